"""A document in every format, with its pictures, as files that carry the plan's hash."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from swedge._present.markdown import picture_files, report_markdown
from swedge._present.page import report_html
from swedge._present.report import Section
from swedge._present.word import report_word
from swedge.errors import SwedgeError
from swedge.plan.documents.stamped import line, with_description

Files = dict[str, bytes]
Makers = Mapping[str, Callable[[], bytes]]


@dataclass(frozen=True, eq=False)
class Document:
    """Sections under a title.

    Attributes
    ----------
    name : str
        Of its files, without what says the format.
    title : str
    sections : list of Section
    sha256 : str
        Of the lock; empty for a plan that is not locked.
    date : str
        Of the plan, or empty: no output reads the clock.
    figures : str
        Folder of the pictures that the Markdown links to.
    """

    name: str
    title: str
    sections: list[Section] = field(repr=False)
    sha256: str
    date: str = ""
    figures: str = "figures"

    @property
    def html(self) -> bytes:
        """One page with style and pictures inside."""
        return report_html(self.title, self.sections, line(self.sha256)).encode()

    @property
    def markdown(self) -> bytes:
        """Text that links to `pictures`."""
        return report_markdown(self.title, self.sections, line(self.sha256), figures=self.figures).encode()

    @property
    def word(self) -> bytes:
        """A Word file, with the hash on every page.

        Raises
        ------
        SwedgeError
            If python-docx is not installed.
        """
        day = dt.date.fromisoformat(self.date) if self.date else dt.date(2000, 1, 1)
        return report_word(self.title, self.sections, line(self.sha256), footer=line(self.sha256), date=day)

    @property
    def pictures(self) -> Files:
        """The pictures by path, with their alternative text and the hash inside."""
        found = picture_files(self.sections).items()
        return {f"{self.figures}/{name}": with_description(picture.png, f"{picture.alt} {line(self.sha256)}") for name, picture in found}

    @property
    def makers(self) -> Makers:
        """What makes each format, by path."""
        return {f"{self.name}.html": lambda: self.html, f"{self.name}.md": lambda: self.markdown, f"{self.name}.docx": lambda: self.word}


def made(makers: Makers) -> tuple[Files, list[str]]:
    """The files that can be made, and a sentence for each that lacks its package."""
    files: Files = {}
    lost: list[str] = []
    for name, make in makers.items():
        try:
            files[name] = make()
        except SwedgeError as error:
            if not isinstance(error.__context__, ImportError):
                raise
            lost.append(f"{name} was not written. {error}")
    return files, lost


@contextmanager
def plain_style() -> Iterator[None]:
    """Matplotlib as it comes, whatever the user has set: pictures are the same on every machine."""
    import matplotlib.style

    with matplotlib.style.context("default"):
        yield
