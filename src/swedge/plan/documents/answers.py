"""What a plan knows of an item, and what a person still has to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from swedge._present.report import Block
from swedge.plan.documents.items import Item, to_be_written

if TYPE_CHECKING:
    from swedge.plan.lock import Amendment
    from swedge.plan.plan import Plan

PLANNED, WRITTEN, OPEN = "from the plan", "written", "to be written"


class Facts(NamedTuple):
    """What the documents are made of: a plan and what its lock adds.

    Attributes
    ----------
    plan : Plan
    sha256 : str
        Of the lock; empty for a plan that is not locked.
    versions : mapping of str
        Of the packages.
    amendments : sequence of Amendment
    """

    plan: Plan
    sha256: str
    versions: Mapping[str, str]
    amendments: Sequence[Amendment]


class Known(NamedTuple):
    """What the plan says about an item, and marks of what it leaves out."""

    blocks: tuple[Block, ...] = ()
    gaps: tuple[str, ...] = ()


Fill = Callable[[Facts], Known]


@dataclass(frozen=True, eq=False)
class Answer:
    """An item with what the plan says about it and what a person wrote under its key."""

    item: Item
    known: Known
    text: str

    @property
    def status(self) -> str:
        """Where the answer comes from, or that it is to be written."""
        if self.known.blocks and not self.known.gaps:
            return PLANNED
        return WRITTEN if self.text else OPEN

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The answer under its item's number and title."""
        marks = () if self.status != OPEN else self.known.gaps or (to_be_written(self.item.wants, self.item.key),)
        said = [*([self.text] if self.text else []), *self.known.blocks, *marks]
        opening = f"{self.item.number}. {self.item.title}"
        first, rest = said[0], tuple(said[1:])
        return (f"{opening}: {first}", *rest) if isinstance(first, str) else (f"{opening}.", first, *rest)
