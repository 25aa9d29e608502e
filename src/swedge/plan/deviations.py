"""What was run beside what was registered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import pandas as pd

from swedge.plan.lock import LockedPlan
from swedge.plan.plan import Plan

IDENTITY = ("analysis", "outcome", "population", "method", "test")


class Deviation(NamedTuple):
    """One difference between the registered plan and the run."""

    kind: str
    where: str
    registered: str
    run: str


def registered_fits(plan: Plan) -> list[tuple[str, str, str, str, str]]:
    """Every fit and test of a plan: analysis, outcome, population, estimator, and test (empty for the fit itself)."""
    found = []
    for analysis in plan.analyses:
        outcomes = analysis.outcomes or plan.names["outcomes"]
        populations = analysis.populations or plan.names["populations"][:1]
        tests = ("", *analysis.tests)
        found += [(analysis.name, *rest) for rest in product(outcomes, populations, analysis.estimators, tests)]
    return found


def deviations_of(locked: LockedPlan, rows: pd.DataFrame, versions: Mapping[str, str], only: Sequence[str] = ()) -> pd.DataFrame:
    """Deviations of a run: ``kind, where, registered, run``.

    Parameters
    ----------
    locked : LockedPlan
    rows : DataFrame
        Of the report: one row a fit's term or a test.
    versions : mapping
        Of the packages that ran.
    only : sequence of str
        Analyses that were asked for; none means all.
    """
    found = [
        *_amended(locked),
        *_other_versions(locked, versions),
        *_not_run(locked.plan, rows, only),
        *_failed(rows),
        *_unregistered(locked.plan, rows),
    ]
    return pd.DataFrame(found, columns=list(Deviation._fields))


def _amended(locked: LockedPlan) -> Iterator[Deviation]:
    for row in locked.changes().to_dict("records"):
        when = "after unblinding" if row["unblinded"] else "before unblinding"
        what = f"amendment {row['number']}, {row['date']}, {when}"
        yield Deviation(what, str(row["path"]), str(row["was"]), f"{row['now']} ({row['reason']})")


def _other_versions(locked: LockedPlan, versions: Mapping[str, str]) -> Iterator[Deviation]:
    for name, version in versions.items():
        if locked.versions.get(name) != version:
            yield Deviation("software version", name, locked.versions.get(name, "none"), version)


def _not_run(plan: Plan, rows: pd.DataFrame, only: Sequence[str]) -> Iterator[Deviation]:
    done = _identities(rows)
    for fit in registered_fits(plan):
        if fit not in done:
            why = "not run: not asked for" if only and fit[0] not in only else "not run"
            yield Deviation("not run", _where(fit), "to be run", why)


def _failed(rows: pd.DataFrame) -> Iterator[Deviation]:
    for row in rows[rows["status"] == "failed"].to_dict("records"):
        yield Deviation("failed", _where([str(row[name]) for name in IDENTITY]), "to be run", str(row["message"]))


def _unregistered(plan: Plan, rows: pd.DataFrame) -> Iterator[Deviation]:
    registered = set(registered_fits(plan))
    for fit in sorted(_identities(rows) - registered):
        yield Deviation("not registered", _where(fit), "", "run")


def _identities(rows: pd.DataFrame) -> set[tuple[str, ...]]:
    return set(rows[list(IDENTITY)].itertuples(index=False, name=None))


def _where(fit: Sequence[str]) -> str:
    return ", ".join(part for part in fit if part)
