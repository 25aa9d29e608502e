"""What a plan knows of its administration, its design and its sample size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from swedge._present.report import Block, Caution, Picture, Points, Table
from swedge._present.tables import format_p, percent
from swedge._present.words import joined
from swedge.design import Allocation, Design
from swedge.design.validation import spell
from swedge.errors import counted
from swedge.plan.documents.answers import Facts, Fill, Known
from swedge.plan.documents.prose import number, numbers, sentence, with_method
from swedge.plan.documents.words import in_words
from swedge.plan.plan import Plan
from swedge.plan.specs import PowerByFormula, PowerBySimulation

FREEDOM = {"satterthwaite": "Satterthwaite", "clusters": "clusters minus 2", "normal": "infinite"}

if TYPE_CHECKING:
    from swedge.plan.lock import Amendment


MOST_LISTED = 24
"""Most permitted allocations that are listed one by one."""

FROM_ONE = "Documents count sequences and allocations from 1; the plan's file and its audit record count from 0."

ELSEWHERE = "[To be written: how and by whom the lot was drawn, as it was not drawn here (text.randomisation)]"


def title(facts: Facts) -> Known:
    """Item 1a."""
    return Known((f"Statistical analysis plan. {facts.plan.title}",))


def version(facts: Facts) -> Known:
    """Item 2."""
    plan = facts.plan
    words = f"Version {plan.version}, {f'dated {plan.date}' if plan.date else 'without a date'}."
    lock = f"Registered under the SHA-256 {facts.sha256}." if facts.sha256 else "Not locked yet: nothing in it is registered."
    return Known((f"{words} {lock}",), () if plan.date else ("[To be written: the plan's date (date)]",))


def revisions(facts: Facts) -> Known:
    """Item 4a."""
    if not facts.amendments:
        return Known(("No amendment is on record.",))
    frame = pd.DataFrame([{"amendment": a.number, "date": a.date, "replaced": a.before} for a in facts.amendments])
    return Known((Table(frame, "Amendments of the registered plan, with the SHA-256 of the lock that each replaced."),))


def reasons(facts: Facts) -> Known:
    """Item 4b."""
    return _of_amendments(facts, lambda a: sentence(f"Amendment {a.number}: {a.reason}"))


def timing(facts: Facts) -> Known:
    """Item 4c."""
    return _of_amendments(facts, lambda a: f"Amendment {a.number}: {'after' if a.unblinded else 'before'} unblinding.")


def _of_amendments(facts: Facts, words: Callable[[Amendment], str]) -> Known:
    return Known((Points(tuple(map(words, facts.amendments))),) if facts.amendments else ("No amendment is on record.",))


def kind_of(design: Design) -> str:
    """What kind of trial a schedule makes.

    >>> kind_of(Design.stepped_wedge(3)), kind_of(Design.parallel(4))
    ('stepped-wedge cluster randomised trial', 'parallel cluster randomised trial')
    """
    steps, periods = {_crossover(row) for row in design.rows}, design.n_periods
    known = {step for step in steps if step is not None}
    if known != steps:
        return "cluster randomised trial"
    inside, all_treated = {step for step in known if 0 < step < periods}, max(known) < periods
    stepped = len(inside) > 1 or (all_treated and len(known) > 1)
    return f"{'stepped-wedge' if stepped else 'parallel'} cluster randomised trial"


def _crossover(row: tuple[float | None, ...]) -> int | None:
    """The first treated period of a sequence that is control before and treated after it (its length if never); None of any other."""
    seen = [(period, value) for period, value in enumerate(row) if value is not None and not np.isnan(value)]
    values = [value for _, value in seen]
    if values != sorted(values):
        return None
    return next((period for period, value in seen if value > 0), len(row))


def design(facts: Facts) -> Known:
    """Item 9."""
    plan, drawn = facts.plan, facts.plan.design
    picture = plan.allocation or drawn
    what = "clusters" if plan.allocation else "sequences"
    count = drawn.n_clusters if plan.allocation else drawn.n_sequences
    alt = f"Grid of {count} {what} by {drawn.n_periods} periods, coloured by treatment."
    blocks: list[Block] = [
        design_in_words(drawn),
        Table(_sequences(drawn), f"The sequences. {FROM_ONE} In a period 0 is control and 1 treated; – is not observed."),
    ]
    blocks += [Table(_periods(drawn), "The periods.")] if drawn.boundaries else []
    blocks += [Picture.of(picture.plot(), alt, "The schedule. Periods are as wide as they are long.")]
    return Known(tuple(blocks))


def design_in_words(drawn: Design) -> str:
    """Clusters, sequences and periods in a sentence or two.

    >>> print(design_in_words(Design.stepped_wedge(["A", "B"])))
    A stepped-wedge cluster randomised trial with 2 clusters (A and B) in 2 sequences over 3 periods.
    """
    when = f", from {drawn.boundaries[0]} to the day before {drawn.boundaries[-1]}" if drawn.boundaries else ""
    kind, sequences = kind_of(drawn), counted(drawn.n_sequences, "sequence", "sequences")
    lost = drawn.transition
    transition = f" The first {counted(lost, 'period', 'periods')} of treatment (transition) are not observed." if lost else ""
    who = f"{drawn.n_clusters} clusters ({joined(drawn.clusters)})"
    return f"A {kind} with {who} in {sequences} over {drawn.n_periods} periods{when}.{transition}"


def _sequences(drawn: Design) -> pd.DataFrame:
    columns = [f"period {k}" for k in range(1, drawn.n_periods + 1)]
    frame = pd.DataFrame([["–" if np.isnan(v) else number(float(v)) for v in row] for row in drawn.matrix], columns=columns)
    frame.insert(0, "clusters", list(drawn.clusters_per_sequence))
    frame.insert(0, "sequence", range(1, drawn.n_sequences + 1))
    return frame


def _periods(drawn: Design) -> pd.DataFrame:
    frame = drawn.periods[["period", "start", "end", "days"]]
    return frame.assign(start=frame["start"].dt.strftime("%Y-%m-%d"), end=frame["end"].dt.strftime("%Y-%m-%d"))


def randomisation(facts: Facts) -> Known:
    """Item 10."""
    plan = facts.plan
    constraint = _constraint(plan.design)
    blocks = [lot_in_words(plan.design), *constraint, *_permitted(plan), *_allocated(plan), *_smallest(plan)]
    elsewhere = plan.allocation is not None and not _drawn(plan.allocation)
    return Known(tuple(blocks), (ELSEWHERE,) if elsewhere else ())


def lot_in_words(drawn: Design) -> str:
    """What the lot decides, and among how many allocations.

    >>> print(lot_in_words(Design.stepped_wedge(["A", "B"])))
    Every cluster may take any sequence. The design permits 2 allocations.
    """
    numbered = [f"sequence{'s' * (len(s.sequences) > 1)} {joined(k + 1 for k in s.sequences)}" for s in drawn.strata]
    groups = [f"{joined(s.clusters)} share out {which}" for s, which in zip(drawn.strata, numbered, strict=True)]
    strata = f"Stratified: {'; '.join(groups)}." if groups else "Every cluster may take any sequence."
    return f"{strata} The design permits {spell(drawn.count())} allocations."


def _permitted(plan: Plan) -> list[Block]:
    """Every allocation, where there are few."""
    drawn, own = plan.design, None if plan.allocation is None else plan.allocation.sequence
    if drawn.count() > MOST_LISTED:
        return []
    rows = [
        (k, *(sequence + 1 for sequence in row), "carried out" if tuple(row) == own else "–")
        for k, row in enumerate(drawn.allocations().tolist(), 1)
    ]
    frame = pd.DataFrame(rows, columns=["number", *drawn.clusters, "remark"])
    return [Table(frame, f"The permitted allocations: the sequence of each cluster. {FROM_ONE}")]


def _constraint(drawn: Design) -> list[Block]:
    rule = drawn.constraint
    if rule is None:
        return []
    kept = f"{spell(rule.keep)}" if isinstance(rule.keep, int) else f"a share of {number(rule.keep)}"
    among = "all allocations" if rule.sample is None else f"{spell(rule.sample)} sampled allocations (seed {rule.seed})"
    values = [(name, *(number(c.values[k]) for c in rule.covariates)) for k, name in enumerate(drawn.clusters)]
    frame = pd.DataFrame(values, columns=["cluster", *(c.name for c in rule.covariates)])
    weights = joined(f"{c.name} {number(c.weight)}" for c in rule.covariates)
    words = f"Constrained: of {among}, {kept} that balance the covariates best are kept (weights: {weights})."
    return [words, Table(frame, "Covariates of clusters that the allocation balances.")]


def _allocated(plan: Plan) -> list[Block]:
    rule, allocation = plan.allocation_rule, plan.allocation
    given = joined(f"{name} sequence {k + 1}" for name, k in rule.sequences)
    told = f"The sequences were given, not drawn here: {given}." if given else ""
    how = "The dates of go-live of the design were carried out; nothing is drawn here." if rule.carried_out else ""
    record = f"The audit record of the allocation is {rule.record}."
    if allocation is None:
        return [" ".join(filter(None, (how, told, record, "The allocation is not on record yet.")))]
    return [
        " ".join(filter(None, (how, told, _drawn(allocation), record))),
        Table(carried_out(allocation).rename(columns={"go_live": "go-live"}), f"The allocation carried out. {FROM_ONE}"),
    ]


def _drawn(allocation: Allocation) -> str:
    draw = allocation.draw
    if draw is None or draw.seed is None:
        return ""
    which = "" if draw.index is None else f": number {draw.index + 1} of the list"
    return f"The allocation was drawn with seed {draw.seed}{which} (generator {draw.generator})."


def carried_out(allocation: Allocation) -> pd.DataFrame:
    """Who goes live when: ``cluster, sequence`` (from 1), ``go_live``, a date or a period as text."""
    frame = allocation.calendar()
    dates = frame["go_live"].astype(str) if allocation.design.boundaries else frame["go_live"].map("period {}".format)
    return frame.assign(sequence=frame["sequence"] + 1, go_live=dates)


def _smallest(plan: Plan) -> list[Block]:
    smallest, count = plan.design.min_p(), spell(plan.design.count())
    words = f"A randomisation test over these {count} allocations cannot give a p below {format_p(smallest)}."
    if smallest <= plan.alpha:
        return [words]
    return [Caution(f"{words} It can never reject at {percent(plan.alpha)}, however large the effect: {offer(smallest, plan.alpha)}")]


def offer(smallest: float, alpha: float) -> str:
    """What a test that cannot reject can still say.

    >>> offer(1 / 12, 0.05)
    'its 95% interval is infinite, and the highest level at which it gives a finite one is 91.7%.'
    """
    return (
        f"its {percent(1 - alpha)} interval is infinite, and the highest level at which it gives a finite one is {percent(1 - smallest)}."
    )


def sample_size(facts: Facts) -> Known:
    """Item 11."""
    cases = tuple(power_case(facts.plan, case) for case in facts.plan.power)
    note = "Figures are in the power section, computed from the same objects as the analysis."
    return Known((Points(cases), note) if cases else ())


def power_case(plan: Plan, case: PowerByFormula | PowerBySimulation) -> str:
    """What a power calculation assumes."""
    if isinstance(case, PowerByFormula):
        said = f"{with_method(case.label)}: {_by_formula(case)}"
    else:
        said = f"{case.label}: {_by_simulation(plan, case)}"
    return sentence(f"{sentence(said)} {case.words}".strip())


def _by_formula(case: PowerByFormula) -> str:
    base = f", {numbers(case.baseline)} under control" if case.baseline is not None else ""
    spread = f", total standard deviation {number(case.sd)}" if case.sd is not None else ""
    kind = f"a {case.family} outcome ({case.link} link" + (f", variance by {case.variance}" if case.family != "gaussian" else "") + ")"
    return (
        f"two-sided test, for an effect of {number(case.effect)} on {kind}{base}{spread}, {numbers(case.size)} individuals a"
        f" cluster-period, {in_words(case.correlation)}; {FREEDOM.get(case.df, case.df)} degrees of freedom"
    )


def _by_simulation(plan: Plan, case: PowerBySimulation) -> str:
    tests = f", with {joined(plan.test(name).label for name in case.tests)} beside the estimators' own tests" if case.tests else ""
    estimators = joined(plan.estimator(name).label for name in case.estimators)
    return f"by {case.reps:,} simulated trials (seed {plan.seed}) analysed by {estimators}{tests}. Assumed truth: {in_words(case.truth)}"


def framework(facts: Facts) -> Known:
    """Item 12."""
    return Known(
        ("Every comparison is of intervention with control, and every test a two-sided one of no effect (superiority framework).",)
    )


def outcome_timing(facts: Facts) -> Known:
    """Item 15."""
    told = tuple(sentence(f"{o.label}: {o.window}") for o in facts.plan.outcomes if o.window)
    gaps = tuple(f"[To be written: the window of {o.label} (outcomes.{o.name}.window)]" for o in facts.plan.outcomes if not o.window)
    return Known((Points(told),) if told else (), gaps)


FILLS: dict[str, Fill] = {
    "1a": title,
    "2": version,
    "4a": revisions,
    "4b": reasons,
    "4c": timing,
    "9": design,
    "10": randomisation,
    "11": sample_size,
    "12": framework,
    "15": outcome_timing,
}
"""What the plan knows, by item."""
