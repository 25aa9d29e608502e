"""Checks of what a user typed: names, whole numbers, seeds, matrix entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

import numpy as np
import pandas as pd

from swedge.errors import DesignError, listing

Row = tuple[float | None, ...]


def whole(value: object, what: str, least: int = 0) -> int:
    """A whole number of at least `least`; text, fractions and booleans are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise DesignError(f"{what} is {value!r}, not a whole number. Pass an int.")
    if value < least:
        raise DesignError(f"{what} is {value}, and must be at least {least}.")
    return int(value)


def seed_number(seed: object) -> int:
    """The seed as an int: a record that can be re-drawn needs one, and 0 is a seed like any other."""
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, Integral):
        raise DesignError(
            f"seed is {seed!r}, not a whole number. Pass an int, for example seed=20200901: the audit record re-draws from it."
        )
    if seed < 0:
        raise DesignError(f"seed is {seed}, and must be 0 or more.")
    return int(seed)


def spell(count: int) -> str:
    """A count that a reader can take in, also when it has thousands of digits.

    >>> spell(2520), spell(10**40)
    ('2,520', 'about 10^40')
    """
    return f"{count:,}" if count < 10**15 else f"about 10^{round(0.30103 * (count.bit_length() - 1))}"


def cluster_names(clusters: object) -> tuple[str, ...]:
    """Names of clusters: as given, or "1" to "I" for a whole number."""
    if isinstance(clusters, str):
        raise DesignError(f"clusters is the text {clusters!r}. Pass a number of clusters or a list of their names.")
    if not isinstance(clusters, Iterable):
        return tuple(str(i + 1) for i in range(whole(clusters, "clusters", least=1)))
    names = tuple(_name(cluster) for cluster in clusters)
    if not names:
        raise DesignError("clusters is empty. Name at least one cluster.")
    _refuse_twins(names)
    return names


def _name(cluster: object) -> str:
    if isinstance(cluster, (int, np.integer)) and not isinstance(cluster, bool):
        return str(int(cluster))
    if not isinstance(cluster, str) or not cluster.strip():
        raise DesignError(f"A cluster is named {cluster!r}. Name clusters by text or by whole numbers.")
    if cluster != cluster.strip():
        raise DesignError(f"The cluster name {cluster!r} begins or ends with a space. Strip it here and in the data.")
    return str(cluster)


def _refuse_twins(names: Sequence[str]) -> None:
    plain = [" ".join(name.casefold().split()) for name in names]
    tally = Counter(plain)
    twins = list(dict.fromkeys(repr(name) for name, key in zip(names, plain, strict=True) if tally[key] > 1))
    if twins:
        raise DesignError(
            f"Cluster names must differ by more than capitals and spaces; more than once: {listing(twins)}. Give each cluster one name."
        )


def checked_rows(rows: object) -> tuple[Row, ...]:
    """Sequences x periods as floats in [0, 1], with None for not observed."""
    table = rows.to_numpy() if isinstance(rows, pd.DataFrame) else rows
    if isinstance(table, str) or not isinstance(table, Iterable):
        raise DesignError(f"rows is {table!r}, not a table. Pass one list per sequence, for example [[0, 1, 1], [0, 0, 1]].")
    checked = tuple(_row(row, s) for s, row in enumerate(table))
    _refuse_shape(checked)
    return checked


def _row(row: object, sequence: int) -> Row:
    if isinstance(row, str) or not isinstance(row, Iterable):
        raise DesignError(
            f"Sequence {sequence} is {row!r}, not a list of cells. Pass one list per sequence, for example [[0, 1, 1], [0, 0, 1]]."
        )
    return tuple(_cell(value, f"sequence {sequence}, period {t + 1}") for t, value in enumerate(row))


def _cell(value: object, where: str) -> float | None:
    if value is None or value is pd.NA or (isinstance(value, Real) and value != value):
        return None
    if not isinstance(value, (Real, np.bool_)) or not 0 <= float(value) <= 1:
        raise DesignError(
            f"The cell of {where} is {value!r}. Use 0 (control), 1 (treated), a fraction between them, or None (not observed)."
        )
    return float(value) + 0.0


def _refuse_shape(rows: tuple[Row, ...]) -> None:
    if not rows or not rows[0]:
        raise DesignError("The design has no cells. Pass at least one sequence of at least one period.")
    ragged = [f"sequence {s} has {len(row)}" for s, row in enumerate(rows) if len(row) != len(rows[0])]
    if ragged:
        raise DesignError(
            f"Every sequence needs as many periods as sequence 0, which has {len(rows[0])}: {listing(ragged)}. Use None where not observed."
        )


def checked_counts(counts: object, n_sequences: int, n_clusters: int) -> tuple[int, ...]:
    """Clusters per sequence: one positive count for each sequence, adding up to the clusters."""
    if not isinstance(counts, Iterable) or isinstance(counts, str):
        counts = (counts,) * n_sequences
    checked = tuple(whole(c, f"clusters_per_sequence[{s}]", least=1) for s, c in enumerate(counts))
    if len(checked) != n_sequences:
        raise DesignError(f"clusters_per_sequence has {len(checked)} counts for {n_sequences} sequences. Give one count a sequence.")
    if sum(checked) != n_clusters:
        raise DesignError(
            f"clusters_per_sequence adds up to {sum(checked)}, but there are {n_clusters} clusters. Change the counts or the clusters."
        )
    return checked
