"""The report: what was planned, what was done, what was found, and how to find it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from swedge._present.escape import one_line
from swedge._present.plain import report_text
from swedge._present.report import CAUTION, Block, Caution, Picture, Points, Results, Section, Table
from swedge._present.tables import percent
from swedge.errors import counted
from swedge.plan.documents import figures, flow_figure
from swedge.plan.documents import results_tables as tables
from swedge.plan.documents.again import commands
from swedge.plan.documents.consort import consort_sections
from swedge.plan.documents.methods import methods_paragraph
from swedge.plan.documents.naming import label_in, of, primary_of
from swedge.plan.documents.results_words import bounded, how_to_read, in_words, what_was_done
from swedge.plan.documents.sap_analysis import METHODS
from swedge.plan.documents.stamped import line
from swedge.plan.specs import Outcome
from swedge.plan.versions import ordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from swedge.plan.report import Report

NOT_A_RESULT = "None of its numbers is a result of the trial."
UNHIDDEN = (
    " Outcomes by cluster and period are the real ones, the lock beside them names the real allocation, and a reference distribution holds"
    " the real estimate among its values: whoever has these can compute the contrast."
)
OWN = "The own test of an estimator is its estimate over its standard error."
TIME = (
    "Control and treated rows differ in calendar time by design: treated periods come later, so a difference between them may be one of"
    " time, and is not an effect."
)
UNLIMITED = "inf stands for no finite limit: no effect on that side can be rejected at this level."


def report_title(report: Report) -> str:
    """The title of every document of a report, which says what is no result."""
    title = one_line(report.locked.plan.title)
    return f"{report.purpose.capitalize()}: {title}" if report.purpose else title


def report_sections(report: Report) -> list[Section]:
    """The report, section by section; what the report does not hold has no section, and what failed stands in its place.

    Parameters
    ----------
    report : Report

    Returns
    -------
    list of Section
        Texts of the plan are data: no renderer may read markup in them. In a report that is no result every caption says so.
    """
    parts = [
        in_short(report),
        _the_plan(report),
        _deviations(report),
        _flow(report),
        *_baseline(report),
        *_primary(report),
        *_others(report, "secondary", "Secondary outcomes"),
        *_others(report, "exploratory", "Exploratory outcomes"),
        *_other_flows(report),
        *_further(report, "sensitivity", "Sensitivity analyses"),
        *_further(report, "supplementary", "Supplementary analyses"),
        _failures(report),
        _notes(report),
        _methods(report),
        *consort_sections(report.locked.plan, report),
        _versions(report),
        _again(report),
        *([_release()] if report.release else []),
    ]
    return [_marked(part, report.purpose) for part in parts] if report.purpose else parts


def _marked(section: Section, purpose: str) -> Section:
    """A section whose captions say that it holds no results."""
    said = f" ({purpose.capitalize()}: no result.)"
    blocks = (replace(b, caption=b.caption + said) if isinstance(b, Table | Results | Picture) else b for b in section.blocks)
    return Section(section.heading, tuple(blocks))


def in_short(report: Report) -> Section:
    """What a reader who stops here should know."""
    plan = report.locked.plan
    first = [Caution(f"This is a {report.purpose}. {NOT_A_RESULT}{UNHIDDEN * ('blinded' in report.purpose)}")] if report.purpose else []
    outcomes = [outcome for outcome in plan.outcomes if outcome.role == "primary"] or [primary_of(plan)]
    rows = [row for outcome in outcomes for row in _main(report, outcome).itertuples(index=False)]
    lead = "The first estimator of the plan's first analysis of it leads, and the others stand beside it."
    found = [lead, Points(tuple(in_words(report, row) for row in rows))] if rows else ["No analysis of a primary outcome was run."]
    read = [how_to_read(report, rows)] if rows else []
    return Section("In short", (*first, what_was_done(report), *read, *found, *bounded(report, rows)))


def _main(report: Report, outcome: Outcome) -> pd.DataFrame:
    return tables.rows_of(report, outcome.name, "main")


def _the_plan(report: Report) -> Section:
    plan = report.locked.plan
    dated = f", dated {plan.date}" if plan.date else ""
    version = f"Version {one_line(plan.version)}{dated}, registered under the SHA-256 that stands above."
    other = " This rehearsal analysed another permitted allocation." if "blinded" in report.purpose else ""
    return Section("The plan", (f"{version} Tests are two-sided at {percent(plan.alpha)}.{other}", figures.wedge_picture(report)))


def _deviations(report: Report) -> Section:
    found, amended = tables.deviations_table(report), tables.amendments_table(report)
    said: list[Block] = ["There are none: everything that was registered was run, and nothing else, by the registered versions."]
    if len(found):
        said = [
            f"{counted(len(found), 'deviation', 'deviations')} from what was registered.",
            Table(found, "Deviations, in the order of their kind."),
        ]
    history: list[Block] = [Table(amended, "Amendments on record.")] if len(amended) else ["No amendment is on record."]
    return Section("Deviations from the plan", (*said, *history))


def _flow(report: Report) -> Section:
    """A diagram and a table of the primary outcome."""
    pairs, _ = _flow_pairs(report)
    blocks = [block for pair in pairs for block in _flow_blocks(report, *pair)]
    told = (flow_figure.counted_rows(report), *blocks) if blocks else ("The report holds no flow of a primary outcome.",)
    return Section("Flow of clusters and individuals", told)


def _other_flows(report: Report) -> Iterator[Section]:
    """After the results, so that these begin early."""
    _, pairs = _flow_pairs(report)
    blocks = [block for pair in pairs for block in _flow_blocks(report, *pair)]
    if blocks:
        yield Section("Flow of the other outcomes", (flow_figure.counted_rows(report), *blocks))


def _flow_pairs(report: Report) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Outcomes and populations: primary outcomes in the plan's first population, and all others."""
    plan = report.locked.plan
    pairs = list(report.flow[["outcome", "population"]].drop_duplicates().itertuples(index=False, name=None))
    first = [pair for pair in pairs if plan.outcome(pair[0]).role == "primary" and pair[1] == plan.names["populations"][0]]
    return first, [pair for pair in pairs if pair not in first]


def _flow_blocks(report: Report, outcome: str, population: str) -> Iterator[Block]:
    """A diagram for primary outcomes of the trial, a table for all."""
    plan = report.locked.plan
    registered = plan.outcome(outcome)
    if registered.role == "primary" and plan.source_of(registered).first_treated is None:
        yield flow_figure.flow_picture(report, outcome, population)
    who = f"{label_in(plan, 'outcomes', outcome)}, {label_in(plan, 'populations', population)}"
    yield Table(flow_figure.flow_table(report, outcome, population), f"{who}: rows left after each step.")


def _baseline(report: Report) -> Iterator[Section]:
    """Covariates by condition, where rows are individuals."""
    populations = [name for name in report.baseline["population"].unique()]
    frames = {name: tables.baseline_table(report, name) for name in populations}
    who = {name: label_in(report.locked.plan, "populations", name) for name in populations}
    caption = "Shares are of all rows of the condition."
    shown = [Table(frame, f"{who[name]}: covariates by condition. {caption}") for name, frame in frames.items() if len(frame)]
    if shown:
        outcome = label_in(report.locked.plan, "outcomes", primary_of(report.locked.plan).name)
        yield Section("Baseline", (f"Rows for which {outcome} exists, by the treatment of their cluster and period. {TIME}", *shown))


def _crude(report: Report, outcomes: Sequence[Outcome]) -> Iterator[Block]:
    """Events and means by condition, with the warning that they are no comparison."""
    frame = tables.crude_table(report, [outcome.name for outcome in outcomes])
    if len(frame):
        alone = frame if frame["outcome"].nunique() > 1 else frame.drop(columns="outcome")
        yield Table(alone, "Crude results by condition: rows of the first analysis that reads them, all clusters and periods together.")
        yield Caution(f"Crude results are no comparison. {TIME}")


def _primary(report: Report) -> Iterator[Section]:
    for outcome in report.locked.plan.outcomes:
        if outcome.role == "primary":
            yield Section(f"Primary outcome: {one_line(outcome.label)}", (*_defined(outcome), *_found(report, outcome)))


def _defined(outcome: Outcome) -> Iterator[str]:
    said = [one_line(text) for text in (outcome.words, f"Window: {outcome.window}" if outcome.window else "") if text]
    yield from (text if text.endswith(".") else f"{text}." for text in said)


def _found(report: Report, outcome: Outcome) -> Iterator[Block]:
    """Table, forest and pictures of one outcome."""
    rows = _main(report, outcome)
    if not len(rows):
        yield "No main analysis of this outcome was run."
    else:
        yield from _results(report, rows, f"{one_line(outcome.label)}: main analyses. {OWN}")
    yield from _crude(report, [outcome])
    yield from pictures_of(report, outcome)


def _results(report: Report, rows: pd.DataFrame, caption: str, by_outcome: bool = False) -> Iterator[Block]:
    yield Results(tables.publication(report, rows, by_outcome), caption)
    if np.isinf(rows[["conf_low", "conf_high"]].to_numpy(dtype=float)).any():
        yield UNLIMITED
    yield from bounded(report, list(rows.itertuples(index=False)))


def pictures_of(report: Report, outcome: Outcome) -> Iterator[Picture]:
    """Every picture of one outcome that the report's tables hold."""
    name = outcome.name
    if len(of(report.rows, outcome=name)):
        yield from figures.forest_pictures(report, name)
    for population in of(report.cells, outcome=name)["population"].unique():
        yield figures.trajectories_picture(report, name, population)
    yield from (figures.reference_picture(report, key) for key in figures.reference_keys(report, name))
    yield from figures.effect_pictures(report, name)


def _others(report: Report, role: str, heading: str) -> Iterator[Section]:
    outcomes = [outcome for outcome in report.locked.plan.outcomes if outcome.role == role]
    if not outcomes:
        return
    blocks: list[Block] = [Points(tuple(f"{one_line(o.label)}: {' '.join(_defined(o)) or 'as named.'}" for o in outcomes))]
    rows = report.rows[report.rows["outcome"].isin([o.name for o in outcomes]) & (report.rows["part"] == "main")]
    blocks += (
        _results(report, rows, f"{heading}: main analyses. {OWN}", by_outcome=True)
        if len(rows)
        else ["No main analysis of these outcomes was run."]
    )
    blocks += _adjusted(report, outcomes)
    blocks += _crude(report, outcomes)
    blocks += [picture for outcome in outcomes for picture in pictures_of(report, outcome)]
    yield Section(heading, tuple(blocks))


def _adjusted(report: Report, outcomes: Sequence[Outcome]) -> Iterator[Block]:
    """The adjusted p of the registered family, where it begins."""
    rule = report.locked.plan.multiplicity
    if rule is None or not len(report.adjusted) or report.adjusted["outcome"].iloc[0] not in [o.name for o in outcomes]:
        return
    plan = report.locked.plan
    test = f", {label_in(plan, 'tests', rule.test)}" if rule.test else ""
    what = f"{label_in(plan, 'analyses', rule.analysis)}, {label_in(plan, 'estimators', rule.estimator)}{test}"
    yield Table(tables.adjusted_table(report), f"p of the registered family of outcomes, adjusted by {METHODS[rule.method]} ({what}).")


def _further(report: Report, part: str, heading: str) -> Iterator[Section]:
    rows = report.rows[report.rows["part"] == part]
    analyses = [analysis for analysis in report.locked.plan.analyses if analysis.part == part]
    if not analyses and not len(rows):
        return
    why = Points(tuple(f"{one_line(a.label)}: {one_line(a.words) or 'registered without a reason in words.'}" for a in analyses))
    shown: list[Block] = [*_results(report, rows, f"{heading}, by outcome.", by_outcome=True)] if len(rows) else ["None of them was run."]
    yield Section(heading, (why, *shown))


def _failures(report: Report) -> Section:
    lost = tables.failures_table(report)
    if not len(lost):
        return Section("What failed", ("Nothing failed.",))
    words = f"{len(lost)} of {len(report.rows)} results could not be computed. They stand in their places above, and here with reasons."
    return Section("What failed", (words, Table(lost, "Failures.")))


def _notes(report: Report) -> Section:
    notes = tables.notes_points(report, "note")
    return Section("Notes of the analyses", (Points(notes),) if notes else ("No analysis gave a note.",))


def _methods(report: Report) -> Section:
    sentences = tables.notes_points(report, "methods")
    own: list[Block] = ["What each analysis says of itself:", Points(sentences)] if sentences else []
    return Section("Methods", (methods_of(report), *own))


def methods_of(report: Report) -> str:
    """The paragraph of methods, with the versions that ran."""
    locked = report.locked
    return methods_paragraph(locked.plan, report.sha256, report, versions=ordered(report.versions), amendments=locked.amendments)


def _versions(report: Report) -> Section:
    return Section("Versions", (Table(tables.versions_table(report), "Packages that take part in the numbers."),))


def _again(report: Report) -> Section:
    words = (
        "Whoever has the lock and the data gets the same numbers, to the last digit, with the versions above and the same kind of"
        " processor; elsewhere the last digits may differ."
    )
    data = [Table(tables.data_table(report), "Data that were read: SHA-256 of each table, written as CSV.")] if report.data else []
    return Section("How to get these numbers again", (words, Points(commands(report)), *data))


def _release() -> Section:
    more = (
        "The cells of a cluster add up to what was analysed of it, and with the steps of its flow can give away a suppressed one. A number"
        " of individuals that would give away a small one by its difference from another is left blank. Tables of different outcomes are"
        " not compared."
    )
    return Section("Before release", (Caution(CAUTION), more))


def summary_text(report: Report) -> str:
    """The report in a terminal: in short, every main result, adjusted p, failures, deviations, and a paragraph of methods."""
    rows = report.rows[report.rows["part"] == "main"]
    found: list[Block] = [*_results(report, rows, f"Main analyses. {OWN}", by_outcome=True)] if len(rows) else ["No main analysis was run."]
    adjusted = list(_adjusted(report, report.locked.plan.outcomes))
    parts = [in_short(report), Section("Results", (*found, *adjusted)), _failures(report), _deviations(report), _short_methods(report)]
    return "\n\n".join([report_title(report), line(report.sha256), report_text(parts)])


def _short_methods(report: Report) -> Section:
    return Section("Methods", (methods_of(report),))
