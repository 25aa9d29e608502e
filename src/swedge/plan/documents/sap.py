"""The statistical analysis plan: every item of the guidance, filled where the plan knows, marked where a person must write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from swedge._present.report import Block, Caution, Points, Section, Table
from swedge._present.words import joined
from swedge.plan.documents import sap_analysis, sap_design
from swedge.plan.documents.answers import OPEN, PLANNED, Answer, Facts, Known
from swedge.plan.documents.items import FURTHER, GUIDANCE, SAP_ITEMS, to_be_written
from swedge.plan.documents.prose import sentence, value_in_words
from swedge.plan.versions import versions_of

if TYPE_CHECKING:
    from swedge.plan.lock import Amendment
    from swedge.plan.plan import Plan

FILLS = sap_design.FILLS | sap_analysis.FILLS
SECTIONS = tuple(dict.fromkeys(item.section for item in SAP_ITEMS))
DEVIATIONS = (
    "Deviations of the analysis: the run compares what it did with what is registered here. The report lists every amendment, every"
    " registered fit or test that was not run or failed, every one that was run and is not registered, and every package of another"
    " version. An analysis that is not in this plan is exploratory, whatever it finds."
)
OBSERVATIONAL = (
    "an observational panel, in which nobody drew who is treated when. What is estimated from it rests on parallel trends or the like, and"
    " no randomisation test applies."
)


def sap_sections(
    plan: Plan, sha256: str = "", *, versions: Mapping[str, str] | None = None, amendments: Sequence[Amendment] = ()
) -> list[Section]:
    """The statistical analysis plan, in the order of the published guidance.

    Parameters
    ----------
    plan : Plan
    sha256 : str
        Of the lock; left out for a plan that is not locked, which the document then says.
    versions : mapping, optional
        Packages and their versions, such as a lock's; left out, those that are running.
    amendments : sequence of Amendment
        Of the lock.

    Returns
    -------
    list of Section
        Texts of the plan are data: no renderer may read markup in them.

    References
    ----------
    Gamble C, Krishan A, Stocken D, et al (2017). Guidelines for the content of statistical analysis plans in clinical trials. JAMA 318,
    2337-2343.
    """
    facts = Facts(plan, sha256, versions_of() if versions is None else versions, amendments)
    answers = _answers(facts)
    bodies = {name: [block for a in answers if a.item.section == name for block in a.blocks] for name in SECTIONS}
    bodies["Statistical principles"].append(DEVIATIONS)
    own = [Section(f"{name}", tuple(blocks)) for name, blocks in bodies.items()]
    return [_opening(answers), *own, _further(plan), _data(plan), _registered(plan)]


def sap_coverage(plan: Plan) -> pd.DataFrame:
    """Which items of the guidance the plan fills: ``item, title, status, where``.

    The status is "from the plan", "written" (by a person, in the plan's ``[text]``) or "to be written".
    """
    rows = [(a.item.number, a.item.title, a.status, _where(a)) for a in _answers(Facts(plan, "", {}, ()), pictures=False)]
    return pd.DataFrame(rows, columns=["item", "title", "status", "where"])


def _answers(facts: Facts, pictures: bool = True) -> list[Answer]:
    return [Answer(item, _known(facts, item.number, pictures), facts.plan.text(item.key)) for item in SAP_ITEMS]


def _known(facts: Facts, number: str, pictures: bool) -> Known:
    if number == "9" and not pictures:
        return Known((sap_design.design_in_words(facts.plan.design),))
    return FILLS[number](facts) if number in FILLS else Known()


def _where(answer: Answer) -> str:
    if answer.status == PLANNED:
        return answer.item.section
    gaps = [gap.rsplit("(", 1)[-1].removesuffix(")]") for gap in answer.known.gaps]
    return "; ".join(gaps) if gaps and answer.status == OPEN else f"text.{answer.item.key}"


def _opening(answers: Sequence[Answer]) -> Section:
    left = [answer.item for answer in answers if answer.status == OPEN]
    words = f"This document follows the {len(SAP_ITEMS)} items of the guidance, by its numbers: {GUIDANCE}"
    if not left:
        return Section("About this document", (words, "Every item is filled."))
    items = joined(f"{item.number} ({item.title})" for item in left)
    return Section("About this document", (words, Caution(f"{len(left)} items are to be written by a person: {items}.")))


def _further(plan: Plan) -> Section:
    """What the report of a stepped-wedge trial asks for beside the guidance."""
    said = [f"{key.replace('_', ' ').capitalize()}: {plan.text(key) or to_be_written(wants, key)}" for key, wants in FURTHER.items()]
    return Section("Further statements for the report", tuple(said))


def _data(plan: Plan) -> Section:
    blocks: list[Block] = [Table(pd.DataFrame([_source(entry) for entry in plan.sources]), "The tables that the trial receives.")]
    words = tuple(sentence(f"{entry.name}: {entry.words}") for entry in plan.sources if entry.words)
    blocks += [Points(words)] if words else []
    panels = [entry.name for entry in plan.sources if entry.first_treated is not None]
    blocks += [Caution(f"{joined(panels)}: {OBSERVATIONAL}")] if panels else []
    blocks += (
        [Table(_columns(plan), "The columns as agreed.")] if plan.columns else ["No columns were agreed beside those that analyses name."]
    )
    return Section("The data", tuple(blocks))


def _source(entry: object) -> dict[str, str]:
    columns = ("name", "cluster", "date", "period", "treatment", "first_treated", "file")
    return {name.replace("_", " "): getattr(entry, name) or "–" for name in columns}


def _columns(plan: Plan) -> pd.DataFrame:
    rows = [
        {
            "column": entry.name,
            "table": entry.source or "any",
            "holds": entry.holds,
            "levels": joined(map(value_in_words, entry.levels), "or") or "–",
            "meaning": entry.words or "–",
        }
        for entry in plan.columns
    ]
    return pd.DataFrame(rows)


def _registered(plan: Plan) -> Section:
    """Every specification as it is locked, so that nothing rests on words."""
    rows = [("estimator", entry.name, repr(entry.estimator)) for entry in plan.estimators]
    rows += [("test", entry.name, repr(entry.test)) for entry in plan.tests]
    rows += [("power", entry.name, repr(entry)) for entry in plan.power]
    rows += [("imputation", "missing", repr(plan.missing.imputation))] if plan.missing.imputation is not None else []
    frame = pd.DataFrame(rows, columns=["what", "name", "specification"])
    return Section("Specifications as registered", (Table(frame, "The objects that run, as constructor calls."),))
