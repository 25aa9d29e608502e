"""`Allocation`: one draw from a design, what it does to each cluster, and the record that proves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._present.wedge import wedge
from swedge.design import record
from swedge.design.design import Design
from swedge.design.enumeration import Ints
from swedge.design.strata import Stratum
from swedge.errors import DesignError, PlanError, listing, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMAT = "swedge allocation 1"
GENERATOR = "PCG64"
_KEYS = ("format", "design", "design_sha256", "list", "draw", "allocation", "sha256")
_DRAW_KEYS = ("seed", "index", "generator", "numpy", "swedge")


@dataclass(frozen=True)
class Draw:
    """How an allocation came about: the seed (None when it was not drawn here), its number in the list, and the software."""

    seed: int | None
    index: int | None
    generator: str = GENERATOR
    numpy: str = ""
    swedge: str = ""

    @classmethod
    def now(cls, seed: int | None, index: int | None) -> Self:
        """A draw made by the software that is running."""
        return cls(seed, index, numpy=np.__version__, swedge=_swedge_version())


def _swedge_version() -> str:
    try:
        return version("swedge")
    except PackageNotFoundError:
        return "not installed"


@dataclass(frozen=True)
class Allocation:
    """The sequence that each cluster takes.

    Made by `Design.randomise` (drawn) or `Design.allocate` (carried out). Two allocations are equal when they do the same to the same
    design, however they came about.

    Parameters
    ----------
    design
        The design it is drawn from.
    sequence
        0-based sequence of each cluster `(I,)`, in the design's order.
    draw
        How it came about.

    Raises
    ------
    DesignError
        If the design does not permit the allocation.

    Examples
    --------
    >>> allocation = Design.stepped_wedge(["A", "B"]).allocate({"A": 1, "B": 0})
    >>> allocation.treatment
    array([[0., 0., 1.],
           [0., 1., 1.]])
    """

    design: Design
    sequence: tuple[int, ...]
    draw: Draw | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Refuse what the design does not permit."""
        object.__setattr__(self, "sequence", self.design._require(self.sequence))

    @property
    def treatment(self) -> NDArray[np.float64]:
        """Treatment `(I, T)`: 0, 1 or a fraction; nan where not observed."""
        return self.design.treatment_of(self.sequence)

    @property
    def exposure(self) -> Ints:
        """Periods since crossover `(I, T)`; 0 under control, 1 in the first treated period."""
        return self.design.exposure_of(self.sequence)

    def without(self, clusters: Iterable[str]) -> Allocation:
        """The allocation of the other clusters, given the sequences of those left out: periods and dates stay as they are.

        The others could have shared out only the sequences that they hold now, each stratum its own, so fewer allocations are permitted.

        Raises
        ------
        DesignError
            If a name is no cluster, nobody would be left, or the design is constrained: which allocations balance then rests on the
            clusters left out.

        Examples
        --------
        >>> allocation = Design.stepped_wedge(["A", "B", "C"]).randomise(seed=0)
        >>> allocation.without(["B"]).design.count()
        2
        """
        gone = set(clusters)
        unknown = [f"{name!r}.{nearest(name, self.design.clusters)}" for name in sorted(gone) if name not in self.design.clusters]
        if unknown or gone >= set(self.design.clusters) or self.design.constraint is not None:
            why = listing(unknown) or ("the design is constrained." if self.design.constraint is not None else "nobody would be left.")
            raise DesignError(
                f"Clusters cannot be left out of this allocation: {why} Name some of the clusters of a design without constraint."
            )
        return self._of_others(gone) if gone else self

    def _of_others(self, gone: set[str]) -> Allocation:
        design = self.design
        kept = [(name, place) for name, place in zip(design.clusters, self.sequence, strict=True) if name not in gone]
        places = dict(kept)
        rows = sorted(set(places.values()))
        number = {place: k for k, place in enumerate(rows)}
        groups = [tuple(name for name in stratum.clusters if name in places) for stratum in design.strata]
        strata = tuple(Stratum(group, tuple(number[places[name]] for name in group)) for group in groups if group)
        counts = tuple(list(places.values()).count(place) for place in rows)
        smaller = replace(
            design, rows=tuple(design.rows[place] for place in rows), clusters=tuple(places), clusters_per_sequence=counts, strata=strata
        )
        return Allocation(smaller, tuple(number[place] for place in places.values()))

    def schedule(self) -> pd.DataFrame:
        """One row per cluster and period: `cluster, sequence, period, start, end, treatment, exposure`.

        Examples
        --------
        >>> frame = Design.stepped_wedge(["A", "B"]).allocate({"A": 1, "B": 0}).schedule()
        >>> frame.loc[frame["exposure"] == 1, ["cluster", "period"]].values.tolist()
        [['A', 3], ['B', 2]]
        """
        frame = self.design._tidy(list(self.sequence), "cluster", self.design.clusters)
        frame.insert(1, "sequence", np.repeat(self.sequence, self.design.n_periods))
        return frame

    def calendar(self) -> pd.DataFrame:
        """Who goes live when: `cluster, sequence, go_live` in order of go-live; a date, or a period from 1 when there are no dates.

        Examples
        --------
        >>> Design.stepped_wedge(["A", "B"]).allocate({"A": 1, "B": 0}).calendar()["go_live"].tolist()
        [2, 3]
        """
        start = self.design._go_live_period()[list(self.sequence)]
        periods = self.design.periods["start"] if self.design.boundaries else self.design.periods["period"].astype("Int64")
        go_live = periods.reindex(start).reset_index(drop=True)
        frame = pd.DataFrame({"cluster": self.design.clusters, "sequence": self.sequence, "go_live": go_live})
        return frame.sort_values("go_live", kind="stable", ignore_index=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """The wedge: clusters down in order of go-live, periods across (as wide as they are long), coloured by treatment.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> Design.stepped_wedge(clusters=2).randomise(seed=0).plot(Figure().subplots()).get_ylabel()
        'Cluster'
        """
        order = np.argsort(self.design._go_live_period()[list(self.sequence)], kind="stable")
        rows = np.array(self.sequence)[order]
        labels = [self.design.clusters[i] for i in order]
        return wedge(self.design._states[rows], self.design.matrix[rows], labels, self.design.boundaries, ylabel="Cluster", ax=ax)

    def record(self) -> dict[str, Any]:
        """The audit record as plain JSON values: design, list, draw, allocation and their hashes.

        Examples
        --------
        >>> record = Design.stepped_wedge(clusters=5).randomise(seed=0).record()
        >>> record["list"]["count"], record["draw"]["seed"], record["draw"]["generator"]
        (120, 0, 'PCG64')
        """
        made = self.draw or Draw.now(None, None)
        index = self.design.number_of(self.sequence)
        content = {
            "format": FORMAT,
            "design": record.design_record(self.design),
            "design_sha256": self.design.sha256(),
            "list": record.list_record(self.design),
            "draw": {
                "seed": None if made.seed is None else record.integer_out(made.seed),
                "index": None if index is None else record.integer_out(index),
                "generator": made.generator,
                "numpy": made.numpy,
                "swedge": made.swedge,
            },
            "allocation": dict(zip(self.design.clusters, self.sequence, strict=True)),
        }
        return {**content, "sha256": record.digest(content)}

    def verify(self) -> None:
        """Draw again from the design and the seed; an allocation that was carried out, not drawn, is permitted by construction.

        Raises
        ------
        PlanError
            If the draw comes to another allocation or another number in the list.

        Examples
        --------
        >>> Design.stepped_wedge(clusters=5).randomise(seed=0).verify()
        """
        if self.draw is None or self.draw.seed is None:
            return
        again = self.design.randomise(self.draw.seed)
        if (again.sequence, again.draw and again.draw.index) != (self.sequence, self.draw.index):
            raise PlanError(
                f"Seed {self.draw.seed} draws {again.sequence} from this design, not {self.sequence}. The allocation, the seed or the"
                " design was changed after the draw; use the registered record."
            )

    def save(self, path: str | PathLike[str], overwrite: bool = False) -> None:
        """Write the audit record: one line of canonical JSON, written whole or not at all.

        Raises
        ------
        PlanError
            If the draw does not verify, or the path holds another record and `overwrite` is not set.

        Examples
        --------
        >>> import tempfile
        >>> allocation = Design.stepped_wedge(clusters=5).randomise(seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     allocation.save(folder + "/allocation.json")
        ...     Allocation.load(folder + "/allocation.json") == allocation
        True
        """
        self.verify()
        record.write_whole(Path(path), record.text(self.record()), overwrite)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read an audit record and draw again.

        Raises
        ------
        PlanError
            If any byte differs from what the design and the seed give, naming the part. Nothing in the file is evaluated.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "allocation.json"
        ...     Design.stepped_wedge(clusters=5).randomise(seed=0).save(path)
        ...     edited = path.write_text(path.read_text().replace('"seed":0', '"seed":1'))
        ...     Allocation.load(path)
        Traceback (most recent call last):
        swedge.errors.PlanError: allocation.json is not the record that its design and seed give: draw is ...
        """
        data = Path(path).read_bytes()
        content = record.parse(data, Path(path))
        allocation = cls.from_record(content)
        record.require_same(data, cast(dict[str, Any], content), allocation.record(), Path(path))
        return allocation

    @classmethod
    def from_record(cls, content: object) -> Self:
        """The allocation of an audit record that is part of another one; the design is read and the seed is drawn from again.

        Raises
        ------
        PlanError
            If the content is no audit record of this version.

        Examples
        --------
        >>> allocation = Design.stepped_wedge(clusters=5).randomise(seed=0)
        >>> Allocation.from_record(allocation.record()) == allocation
        True
        """
        fields = record.only(content, _KEYS, "top level")
        if fields["format"] != FORMAT:
            raise PlanError(f"The allocation's record has format {fields['format']!r:.60}; this version of swedge reads {FORMAT!r}.")
        return cls._from_content(fields)

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> Self:
        design, made = Design.from_record(content["design"]), _draw(content["draw"])
        with record.reading("allocation"):
            recorded = content["allocation"]
            redrawn = design.allocate(recorded) if made.seed is None else design.randomise(made.seed)
        return cls(design, redrawn.sequence, replace(made, index=design.number_of(redrawn.sequence)))


def _draw(content: object) -> Draw:
    fields = record.only(content, _DRAW_KEYS, "draw")
    wrong = [key for key in ("generator", "numpy", "swedge") if not isinstance(fields[key], str)]
    if wrong:
        raise PlanError(f"The record's draw must give text for {listing(wrong)}. The record was edited.")
    whole = {key: None if fields[key] is None else record.integer_in(fields[key], key) for key in ("seed", "index")}
    return Draw(**whole, generator=GENERATOR, numpy=fields["numpy"], swedge=fields["swedge"])
