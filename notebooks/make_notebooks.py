"""Write the notebooks of this folder, without outputs, from `sources`: `python notebooks/make_notebooks.py`, after a change there."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).parent


def described(alt: str) -> dict[str, object]:
    """Metadata of a cell whose picture has a text for readers who cannot see it."""
    return {"mystnb": {"image": {"alt": alt}}} if alt else {}


def notebook(name: str, source: str) -> None:
    """A line `---` begins a cell, `+++` or a heading one of Markdown; a code cell may end in `# alt:` and what its picture shows."""
    cells = []
    marked = re.split(r"^(---|\+\+\+)$", f"+++\n{source}", flags=re.MULTILINE)[1:]
    for number, (mark, part) in enumerate(zip(marked[::2], marked[1::2], strict=True)):
        text, _, alt = part.strip().partition("\n# alt: ")
        prose = mark == "+++" or text.startswith("#")
        cell = (new_markdown_cell if prose else new_code_cell)(text, metadata=described(alt))
        cell["id"] = f"{name}-{number}"
        cells.append(cell)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "language_info": {"name": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), HERE / f"{name}.ipynb")


if __name__ == "__main__":
    for source in sorted((HERE / "sources").glob("*.md")):
        notebook(source.stem, source.read_text("utf-8"))
