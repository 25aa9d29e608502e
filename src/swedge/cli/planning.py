"""Commands before the data: write a plan, check it, draw the allocation, power it, lock it, amend it, verify it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swedge.cli.app import Json, Quiet, Seed, app, say
from swedge.errors import PlanError, listing

if TYPE_CHECKING:
    from swedge.plan import LockedPlan, Plan

PLAN, LOCK, CHILDREN = "plan.toml", "plan.lock.json", "children.csv"

DEALT = (
    "The dates of go_live were dealt out anew among the clusters that may share them. If the dates of the plan were carried out as they"
    " stand, write carried_out = true below [allocation], and take this record away."
)

PlanFile = Annotated[Path, typer.Argument(help="The plan.", dir_okay=False, metavar="PLAN")]
LockFile = Annotated[Path, typer.Argument(help="The locked plan.", dir_okay=False, metavar="LOCK")]


class Template(StrEnum):
    """Plans to start from."""

    BLANK = "blank"
    FAMILY_SAFEGUARDING = "family-safeguarding"


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it does not exist.", file_okay=False)] = Path(),
    study: Annotated[Template, typer.Option(help="A small trial to change, or the Family Safeguarding evaluation.")] = Template.BLANK,
    seed: Seed = 1,
    quiet: Quiet = False,
) -> None:
    """Write a commented plan to start from.

    \b
    Writes into the folder, and never over a file that is there:
      plan.toml      the plan; every key is explained beside it
      children.csv   with --study family-safeguarding: simulated children to practise on; none of them exists

    \b
    Examples:
      swedge new
      swedge new trial --study family-safeguarding
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.plan.folder import write_new
    from swedge.plan.templates import template

    files = {PLAN: template(study.value.replace("-", "_")).encode()}
    if study is Template.FAMILY_SAFEGUARDING:
        files[CHILDREN] = _practice(files[PLAN], seed)
    write_new(folder, files)
    made = "\n".join(str(folder / name) for name in files)
    typer.echo(made if quiet else f"{made}\nNext: change {PLAN}, then swedge check")


def _practice(plan: bytes, seed: int) -> bytes:
    """Simulated children of the authorities that a plan names."""
    from swedge.studies.practice import practice_children

    return practice_children(seed, tomllib.loads(plan.decode())["comparators"]["clusters"])


@app.command()
def check(
    plan: PlanFile = Path(PLAN),
    data: Annotated[
        list[str] | None,
        typer.Option(help="A file of data to hold against the plan: FILE, or SOURCE=FILE; repeat for several.", metavar="FILE"),
    ] = None,
    json: Json = False,
) -> None:
    """Read a plan and say what it registers; with --data, whether a file has its columns, clusters and levels.

    Once the allocation is drawn, --data also makes every trial that is registered, and estimates nothing: that finds dates outside the
    window, treatment recorded against the allocation, and values that an outcome cannot have.

    \b
    Examples:
      swedge check
      swedge check trial/plan.toml --data trial/children.csv
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.plan import Plan
    from swedge.plan.buildable import check_trials
    from swedge.plan.deviations import registered_fits
    from swedge.plan.frames import check_frames, gather
    from swedge.plan.power import few_reps

    read = Plan.from_toml(plan)
    if data:
        frames = gather(read, files_of(data), plan.parent)
        check_frames(read, frames)
        if read.allocation is not None:
            check_trials(read, frames)
    facts = _facts(read) | {"warnings": few_reps(read), "registered_fits_and_tests": len(registered_fits(read))}
    facts |= {"data": "agrees" if data else "not looked at"}
    say(facts, "\n".join([f"{plan}: no error", *_lines(facts)]), json)


def _facts(plan: Plan) -> dict[str, Any]:
    drawn = "none yet: swedge randomise" if plan.allocation is None else plan.allocation_rule.record
    parts = ("outcomes", "populations", "estimators", "tests", "analyses")
    numbers = {"allocations": plan.design.count(), "smallest_p": plan.design.min_p(), "alpha": plan.alpha}
    return {"title": plan.title, "clusters": list(plan.design.clusters), **numbers, "allocation": drawn} | {
        part: list(plan.names[part]) for part in parts
    }


def _lines(facts: Mapping[str, Any]) -> list[str]:
    width, never = max(map(len, facts)), " (above alpha: a randomisation test of the whole design can never reject)"
    marked = {"smallest_p": never if facts["smallest_p"] > facts["alpha"] else ""}
    return [f"  {name.replace('_', ' ').ljust(width)}  {_plain(value)}{marked.get(name, '')}" for name, value in facts.items()]


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else f"{value:.4g}" if isinstance(value, float) else str(value)


def files_of(data: list[str]) -> Any:
    """One path, or paths by the source that they are: ``["children=a.csv"]``."""
    named = [entry.split("=", 1) for entry in data if "=" in entry]
    if len(data) == 1 and not named:
        return data[0]
    if len(named) < len(data):
        raise PlanError("Several files need their sources' names. Write --data SOURCE=FILE for each.")
    return dict(named)


@app.command()
def randomise(
    plan: PlanFile = Path(PLAN),
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draw; 0 is a seed. Not for an allocation that was carried out.")] = None,
    json: Json = False,
) -> None:
    """Draw the allocation that the plan's design permits, and write its audit record.

    Every permitted allocation is equally likely. The record holds the design, the seed and the list's hash, so that anybody can draw
    again. Where the plan says that dates were carried out, nothing is drawn, and the record says so.

    \b
    Examples:
      swedge randomise --seed 20200301
      swedge randomise              when the plan says what was carried out
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.plan import Plan
    from swedge.plan.randomising import allocate

    read = Plan.from_toml(plan)
    allocation = allocate(read, seed)
    target = plan.parent / read.allocation_rule.record
    allocation.save(target)
    calendar = allocation.calendar()
    rows = [(str(row.cluster), str(row.go_live).removesuffix(" 00:00:00")) for row in calendar.itertuples(index=False)]
    facts = {"record": str(target), "seed": seed, "permitted": read.design.count(), "go_live": dict(rows)}
    anew = [DEALT] if not read.allocation_rule.sequences and _kind(plan) == "dates" else []
    text = [*(f"{day}  {name}" for name, day in rows), *anew, f"One of {read.design.count():,}. Record: {target}"]
    say(facts | {"warnings": anew}, "\n".join(text), json)


def _kind(plan: Path) -> str:
    """The kind of design of a plan that was read before."""
    return str(tomllib.loads(plan.read_text("utf-8"))["design"]["kind"])


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="Records, locks, or folders of results.")],
    sha256: Annotated[str | None, typer.Option(help="The hash that was registered; the lock must have it.")] = None,
    json: Json = False,
) -> None:
    """Prove that a record, a lock or a folder of results is as it was written.

    A record is drawn again; of a lock every byte and every earlier version is checked; of a folder every file against its manifest.

    \b
    Examples:
      swedge verify allocation.json plan.lock.json
      swedge verify plan.lock.json --sha256 0a1b...
      swedge verify results
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.plan.verifying import verified

    absent = [str(path) for path in files if not path.exists()]
    if absent:
        raise PlanError(f"There is no file or folder {listing(absent)}. Correct the path.")
    found = [verified(path, sha256) for path in files]
    say({"verified": found}, "\n".join(f"{entry['file']}: {entry['says']}" for entry in found), json)


@app.command()
def power(
    plan: Annotated[Path, typer.Argument(help="A locked plan, or a plan.", dir_okay=False, metavar="LOCK")] = Path(LOCK),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Power of the registered analyses, by every case that the plan lists, from the same objects that will be run.

    Names are those of the plan, with their labels below the table. --json has further columns, such as degrees of freedom.

    \b
    Examples:
      swedge power
      swedge power plan.toml --json
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.plan.documents.power import power_text
    from swedge.plan.power import plan_power

    found = plan_power(either(plan), progress=False if quiet or json else None)
    typer.echo(found.tidy().to_json(orient="records", indent=2) if json else power_text(found))


def either(path: Path) -> Plan:
    """The plan of a lock or of a TOML."""
    from swedge.plan import Plan

    return load(path).plan if path.suffix == ".json" else Plan.from_toml(path)


def load(path: Path) -> LockedPlan:
    """The lock of a file.

    Raises
    ------
    PlanError
        If there is none, or it is not as it was written.
    """
    from swedge.plan import Plan

    return Plan.load(path)


@app.command()
def lock(
    plan: PlanFile = Path(PLAN),
    out: Annotated[Path | None, typer.Option(help="The lock; left out, plan.lock.json beside the plan.", dir_okay=False)] = None,
    json: Json = False,
) -> None:
    """Lock the plan: write it whole, with the allocation's record and the versions of the packages, and print its SHA-256 to register.

    Locking the same plan again gives the same bytes. A changed plan is refused: record the change with swedge amend.

    \b
    Examples:
      swedge lock
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.plan import Plan
    from swedge.plan.lock import lock_plan

    target = lock_beside(plan) if out is None else out
    locked = lock_plan(Plan.from_toml(plan), target)
    text = f"{locked.sha256}\nLocked: {target}. Register this SHA-256 before anybody sees outcomes by treatment."
    say({"lock": str(target), "sha256": locked.sha256}, text, json)


def lock_beside(plan: Path) -> Path:
    """``plan.lock.json`` for ``plan.toml``."""
    return plan.with_name(f"{plan.stem}.lock.json")


@app.command()
def amend(
    plan: PlanFile = Path(PLAN),
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")] = "",
    unblinded: Annotated[
        bool | None, typer.Option("--unblinded/--blinded", help="Whether anybody who decided on it had seen outcomes by treatment.")
    ] = None,
    date: Annotated[str | None, typer.Option(help="Year-month-day; left out, today.")] = None,
    json: Json = False,
) -> None:
    """Record a change of a locked plan: numbered, dated, with its reason, before or after unblinding. Earlier versions stay in the lock.

    \b
    Examples:
      swedge amend --reason "Ethnicity was not recorded in Swindon" --blinded
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.plan import Plan

    if unblinded is None:
        raise PlanError("An amendment says whether anybody who decided on it had seen outcomes by treatment. Add --blinded or --unblinded.")
    target = lock_beside(plan)
    amended = load(target).amend(Plan.from_toml(plan), reason=reason, unblinded=unblinded, date=date)
    amended.save(target, overwrite=True)
    changes = amended.changes()
    last = changes[changes["number"] == len(amended.amendments)]
    shown = [f"  {row.path}: {row.was} -> {row.now}" for row in last.itertuples(index=False)]
    facts = {"lock": str(target), "sha256": amended.sha256, "amendment": len(amended.amendments), "changes": last.to_dict("records")}
    say(facts, "\n".join([amended.sha256, f"Amendment {len(amended.amendments)} is in {target}:", *shown]), json)


def locked_beside(path: Path) -> LockedPlan:
    """A lock; refused where the plan beside it was changed since.

    Raises
    ------
    PlanError
        If the file is no lock, or ``plan.toml`` beside it is another plan, naming what differs.
    """
    from swedge.plan.registered import require_registered

    if path.suffix == ".toml":
        raise PlanError(
            f"{path} is not locked. Lock it first with `swedge lock {path}`, register the SHA-256, and name {lock_beside(path)}."
        )
    locked = load(path)
    written = path.with_name(path.name.removesuffix(".lock.json") + ".toml")
    if written != path and written.is_file():
        require_registered(locked, written)
    return locked
