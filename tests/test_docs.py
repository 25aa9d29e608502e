"""What the documentation says is run as it stands: README, pages, docstrings, examples and notebooks."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

import swedge

ROOT = Path(__file__).resolve().parents[1]
FENCES = ("```python", "```{code-cell}")
PAGES = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if any(f in path.read_text("utf-8") for f in FENCES)]
PUBLIC = [name for name in swedge.__all__ if not inspect.ismodule(getattr(swedge, name))]


def python_blocks(markdown: str) -> str:
    """Every block and cell of Python on a page as one program whose line numbers are the page's."""
    lines, inside = [], False
    for line in markdown.splitlines():
        fence = line.startswith("```")
        inside = line.startswith(FENCES) if fence else inside
        option = line.startswith(":")  # of a cell: how it is shown
        lines.append(line if inside and not fence and not option else "")
    return "\n".join(lines)


def assert_page_runs(page: Path) -> None:
    program = compile(python_blocks(page.read_text("utf-8")), page, "exec")
    with matplotlib.rc_context({"figure.max_open_warning": 0}):  # a notebook closes the pictures of each cell
        exec(program, {"__name__": "__main__"})


def assert_program_runs(arguments: list[str], folder: Path) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs_as_it_stands(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_page_runs(page)


def test_the_readme_shows_at_most_fifteen_lines_of_code() -> None:
    program = python_blocks((ROOT / "README.md").read_text("utf-8"))
    assert 0 < sum(bool(line.strip()) for line in program.splitlines()) <= 15


def test_every_picture_and_file_the_readme_names_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert links
    assert not missing


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_object_has_a_docstring_of_its_own(name: str) -> None:
    thing = getattr(swedge, name)
    assert (thing.__doc__ or "").strip()
    assert not (thing.__doc__ or "").startswith(f"{name}("), "a dataclass signature is not a docstring"


@pytest.mark.parametrize("name", [name for name in PUBLIC if inspect.isclass(getattr(swedge, name))])
def test_every_public_method_has_a_docstring(name: str) -> None:
    own = {key: getattr(value, "__func__", value) for key, value in vars(getattr(swedge, name)).items() if not key.startswith("_")}
    verbs = {key for key, value in own.items() if inspect.isfunction(value) or isinstance(value, property)}
    assert not [key for key in verbs if not inspect.getdoc(getattr(getattr(swedge, name), key))]


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_runs(script: Path, tmp_path: Path) -> None:
    assert_program_runs([str(script)], tmp_path)


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    program = (
        "import sys, nbformat, nbclient; book = nbformat.read(sys.argv[1], as_version=4);"
        "nbclient.NotebookClient(book, timeout=600, resources={'metadata': {'path': '.'}}).execute()"
    )
    assert_program_runs(["-c", program, str(notebook)], tmp_path)
