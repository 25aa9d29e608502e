"""The lock of a plan: canonical JSON, its SHA-256, and amendments that leave every earlier version in place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from swedge.design import Allocation, record
from swedge.errors import PlanError, listing
from swedge.plan.content import Difference, allocation_content, differences, leaves, plan_content, plan_of, shown
from swedge.plan.fault import Fault
from swedge.plan.plan import Plan
from swedge.plan.versions import versions_of

if TYPE_CHECKING:
    from swedge.plan.frames import Frames
    from swedge.plan.power import PlannedPower
    from swedge.plan.report import Report

FORMAT = "swedge lock 1"
KEYS = ("format", "plan", "allocation", "versions", "amendments", "earlier", "seals", "sha256")
REGISTERED = ("plan", "allocation", "versions")
SEAL = 12
"""Hexadecimal digits of a leaf's own hash, which tell where a lock was edited."""


class Amendment(NamedTuple):
    """A registered change: numbered from 1, dated, reasoned, before or after unblinding, and the hash of the lock that it replaced.

    Parameters
    ----------
    number : int
    date : str
        Year-month-day.
    reason : str
    unblinded : bool
        Whether anybody who decided on it had seen outcomes by treatment.
    before : str
        SHA-256 of the lock as it was.

    Examples
    --------
    >>> Amendment(1, "2026-11-02", "Follow-up ends after a year", unblinded=False, before="e7b0...").number
    1
    """

    number: int
    date: str
    reason: str
    unblinded: bool
    before: str


@dataclass(frozen=True)
class LockedPlan:
    """A plan as registered: what `Plan.load` returns, and all that can be rehearsed, powered or run.

    Attributes
    ----------
    plan : Plan
    versions : dict of str
        Of the packages, when it was locked.
    amendments : tuple of Amendment
    earlier : tuple of dict
        Plan, allocation and versions as they were before each amendment.
    """

    plan: Plan
    versions: dict[str, str]
    amendments: tuple[Amendment, ...] = ()
    earlier: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    @property
    def allocation(self) -> Allocation:
        """The allocation carried out."""
        assert self.plan.allocation is not None  # a plan without one cannot be locked
        return self.plan.allocation

    @property
    def registered(self) -> dict[str, Any]:
        """Plan, allocation and versions as JSON values."""
        parts = (plan_content(self.plan), allocation_content(self.plan), dict(self.versions))
        return dict(zip(REGISTERED, parts, strict=True))

    @property
    def content(self) -> dict[str, Any]:
        """The lock as JSON values, its hash included."""
        amendments = [amendment._asdict() for amendment in self.amendments]
        body = {"format": FORMAT, **self.registered, "amendments": amendments, "earlier": list(self.earlier)}
        sealed = {**body, "seals": seals(body)}
        return {**sealed, "sha256": record.digest(sealed)}

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON of everything else in the lock, which every output carries."""
        return str(self.content["sha256"])

    def save(self, path: str | PathLike[str], overwrite: bool = False) -> None:
        """Write the lock, whole or not at all.

        Raises
        ------
        PlanError
            If the file holds another lock and `overwrite` is not set.
        """
        record.write_whole(Path(path), record.text(self.content), overwrite)

    def changes(self) -> pd.DataFrame:
        """What the amendments changed: ``number, date, unblinded, reason, path, was, now``, one row a changed value."""
        states = [*self.earlier, self.registered]
        rows = [
            (a.number, a.date, a.unblinded, a.reason, change.path, shown(change.was, 2000), shown(change.now, 2000))
            for a, was, now in zip(self.amendments, states, states[1:], strict=False)
            for change in differences(was, now)
        ]
        return pd.DataFrame(rows, columns=["number", "date", "unblinded", "reason", "path", "was", "now"])

    def differences(self, plan: Plan) -> list[Difference]:
        """Where another plan differs from the registered one, its allocation included."""
        was, now = self.registered, {"plan": plan_content(plan), "allocation": plan.allocation and plan.allocation.record()}
        return [change._replace(path=change.path.removeprefix("plan.")) for change in differences(_stated(was), _stated(now))]

    def require_same(self, plan: Plan, name: str = "The plan") -> None:
        """Refuse a plan that is not the registered one.

        Raises
        ------
        PlanError
            Naming what differs.
        """
        found = self.differences(plan)
        if found:
            raise PlanError(
                f"{name} is not the plan that was locked: {listing(found)}. Restore the registered values, or record the change with"
                " `swedge amend` and a reason."
            )

    def amend(self, plan: Plan, *, reason: str, unblinded: bool, date: str | None = None) -> LockedPlan:
        """The lock of a changed plan, with the amendment on record.

        Parameters
        ----------
        plan : Plan
            As it shall be from now on.
        reason : str
        unblinded : bool
            Whether anybody who decided on it had seen outcomes by treatment.
        date : str, optional
            Year-month-day; today if left out.

        Raises
        ------
        PlanError
            If nothing changes, or the reason or date is missing or malformed.
        """
        changed = plan if plan.allocation is not None else plan.with_allocation(self.allocation)
        if not self.differences(changed) and self.versions == versions_of():
            raise PlanError("The plan is the registered one, so there is nothing to amend. Change the plan first.")
        if not reason.strip():
            raise PlanError("An amendment needs a reason. Say why the plan changes, in a sentence.")
        day = _day(date)
        if self.amendments and day < self.amendments[-1].date:
            raise PlanError(f"The amendment is dated {day}, before the last one ({self.amendments[-1].date}). Give its own date.")
        made = Amendment(len(self.amendments) + 1, day, " ".join(reason.split()), bool(unblinded), self.sha256)
        return LockedPlan(changed, versions_of(), (*self.amendments, made), (*self.earlier, self.registered))

    def power(self, progress: bool | None = None) -> PlannedPower:
        """Power of the plan as locked, by every case that it lists.

        Parameters
        ----------
        progress : bool, optional
            A progress bar; None shows one only when standard error is a terminal.
        """
        from swedge.plan.power import plan_power

        return plan_power(self.plan, progress)

    def rehearse(self, frames: Frames | None = None, *, seed: int = 1, progress: bool | None = None, release: bool = True) -> Report:
        """The whole analysis before anybody sees the treatment effect.

        Parameters
        ----------
        frames : DataFrame, path, or mapping from source names to them; optional
            The trial's own data, analysed under another permitted allocation. Left out, data are simulated without any effect.
        seed : int
        progress, release
            As in `run`.
        """
        from swedge.plan.rehearsal import rehearse

        return rehearse(self, frames, seed, progress, release)

    def run(self, frames: Frames, *, progress: bool | None = None, release: bool = True, only: Sequence[str] = ()) -> Report:
        """Every analysis of the plan, on the data.

        Parameters
        ----------
        frames : DataFrame, path, or mapping from source names to them
        progress : bool, optional
            A progress bar; None shows one only when standard error is a terminal.
        release : bool
            Whether counts of 1 to 5 are suppressed in what the report holds.
        only : sequence of str
            Names of analyses to run; the others are listed as deviations. None means all.

        Returns
        -------
        Report
            What failed is in it, in its place.

        Raises
        ------
        DataError
            If the data are not those of the plan: columns, clusters or levels differ; or `only` names an analysis that the plan does not
            have.
        """
        from swedge.plan.run import run_plan

        return run_plan(self, frames, progress=progress, release=release, only=only)


def _stated(content: Mapping[str, Any]) -> dict[str, Any]:
    """Plan and allocation without what their making left behind."""
    drawn = content["allocation"] or {}
    done = {key: drawn.get(key) for key in ("allocation", "design_sha256")}
    return {"plan": content["plan"], "allocation": {**done, "seed": (drawn.get("draw") or {}).get("seed")}}


def _day(date: str | None) -> str:
    try:
        return (dt.date.today() if date is None else dt.date.fromisoformat(date)).isoformat()
    except (ValueError, TypeError):
        raise PlanError(f"date is {date!r}; expected year-month-day, such as 2026-11-22.") from None


def seals(body: Mapping[str, Any]) -> dict[str, str]:
    """The first digits of each leaf's own hash, by path."""
    return {path: record.digest(value)[:SEAL] for path, value in leaves({key: value for key, value in body.items() if key != "format"})}


def lock_plan(plan: Plan, path: str | PathLike[str]) -> LockedPlan:
    """Lock a plan into a file; locking the same plan again changes nothing.

    Raises
    ------
    PlanError
        If the plan has no allocation, or the file holds the lock of another plan.
    """
    target, made = Path(path), LockedPlan(plan, versions_of())
    allocation_content(plan)
    if not target.exists():
        made.save(target)
        return made
    there = load_lock(target)
    there.require_same(plan, f"{target.name} exists, and this")
    return there


def load_lock(path: str | PathLike[str]) -> LockedPlan:
    """Read a lock and verify it: its hash, its spelling, its allocation's draw, and every earlier version.

    Raises
    ------
    PlanError
        If there is no such file, or it is not as it was written, naming what differs.
    """
    file = Path(path)
    if not file.is_file():
        raise PlanError(f"There is no lock {file}. Lock a plan with `swedge lock`, or name the lock's file.")
    if file.suffix == ".toml":
        raise PlanError(f"{file} is a plan as it was written, and no lock. Lock it with `swedge lock`, and name what that writes.")
    data = file.read_bytes()
    content = record.only(record.parse(data, file), KEYS, f"top level ({file.name})")
    _check_format(content, file)
    _check_seals(content, file)
    locked = _locked(content, file)
    record.require_same(data, content, locked.content, file)
    _check_history(locked, file)
    return locked


def _check_format(content: Mapping[str, Any], file: Path) -> None:
    if content["format"] != FORMAT:
        raise PlanError(
            f"{file.name} has format {content['format']!r:.60}; this version of swedge reads {FORMAT!r}. Use the version that wrote it"
            f" ({shown(content['versions'])})."
        )


def _check_seals(content: Mapping[str, Any], file: Path) -> None:
    """Where the lock was edited after it was written, if it was."""
    body = {key: value for key, value in content.items() if key not in ("seals", "sha256")}
    found, kept = seals(body), content["seals"] if isinstance(content["seals"], dict) else {}
    values = dict(leaves(body))
    edited = [f"{path} is now {shown(values[path])}" for path in found if kept.get(path) != found[path]]
    gone = [f"{path} is missing" for path in kept if path not in found]
    if not edited and not gone and content["sha256"] != record.digest({**body, "seals": content["seals"]}):
        gone = [f"sha256 is {shown(content['sha256'])}, and the rest comes to another"]
    if edited or gone:
        raise PlanError(
            f"{file.name} was edited after it was locked: {listing([*edited, *gone])}. Go back to the registered copy, or change the plan"
            " and record that with `swedge amend`."
        )


def _locked(content: Mapping[str, Any], file: Path) -> LockedPlan:
    with record.reading(file.name):
        try:
            plan = plan_of(content["plan"], content["allocation"])
        except Fault as fault:
            raise PlanError(f"{file.name} holds a plan that this version of swedge does not read: {fault}") from None
        amendments = tuple(Amendment(**record.only(entry, Amendment._fields, "amendment")) for entry in content["amendments"])
        return LockedPlan(plan, dict(content["versions"]), amendments, tuple(content["earlier"]))


def _check_history(locked: LockedPlan, file: Path) -> None:
    """Every earlier version gives the hash that its amendment names."""
    if len(locked.earlier) != len(locked.amendments):
        raise PlanError(f"{file.name} has {len(locked.amendments)} amendments and {len(locked.earlier)} earlier versions. It was edited.")
    for number, (state, amendment) in enumerate(zip(locked.earlier, locked.amendments, strict=True)):
        fields = record.only(state, REGISTERED, "earlier version")
        before = replace(
            locked,
            plan=plan_of(fields["plan"], fields["allocation"]),
            versions=dict(fields["versions"]),
            amendments=locked.amendments[:number],
            earlier=locked.earlier[:number],
        )
        if before.sha256 != amendment.before or amendment.number != number + 1:
            raise PlanError(
                f"{file.name}: the version before amendment {number + 1} gives {before.sha256}, and the amendment names"
                f" {amendment.before}. The history was edited; go back to the registered copy."
            )
