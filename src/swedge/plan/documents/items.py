"""The items that a statistical analysis plan should address, and the names under which a person writes what no plan can know."""

from __future__ import annotations

from typing import NamedTuple


class Item(NamedTuple):
    """An item of the guidance, in words of our own.

    Attributes
    ----------
    number : str
        As the guidance numbers it.
    section : str
    title : str
    wants : str
        What has to be said, in at most twelve words.
    key : str
        The plan's ``[text]`` key under which a person writes it, or adds to what the plan knows.
    """

    number: str
    section: str
    title: str
    wants: str
    key: str


ADMINISTRATION = "Administrative information"
INTRODUCTION = "Introduction"
METHODS = "Trial methods"
PRINCIPLES = "Statistical principles"
POPULATION = "Trial population"
ANALYSIS = "Analysis"

GUIDANCE = (
    "Gamble C, Krishan A, Stocken D, et al (2017). Guidelines for the content of statistical analysis plans in"
    " clinical trials. JAMA 318, 2337-2343."
)

SAP_ITEMS = (
    Item("1a", ADMINISTRATION, "Title", "the trial's full title and its acronym", "title"),
    Item("1b", ADMINISTRATION, "Registration", "registry and number of the trial", "registration"),
    Item("2", ADMINISTRATION, "Version", "number and date of this plan", "version"),
    Item("3", ADMINISTRATION, "Protocol", "which version of the protocol it belongs to", "protocol_version"),
    Item("4a", ADMINISTRATION, "Revisions", "every earlier version", "revisions"),
    Item("4b", ADMINISTRATION, "Reasons for revisions", "why each revision was made", "revision_reasons"),
    Item("4c", ADMINISTRATION, "Timing of revisions", "when, against unblinding and interim looks", "revision_timing"),
    Item("5", ADMINISTRATION, "Roles", "who contributed, from where, and as what", "roles"),
    Item("6a", ADMINISTRATION, "Signature of the author", "name and date of who wrote it", "signature_author"),
    Item(
        "6b",
        ADMINISTRATION,
        "Signature of the senior statistician",
        "name and date of the statistician in charge",
        "signature_statistician",
    ),
    Item("6c", ADMINISTRATION, "Signature of the chief investigator", "name and date of who leads the trial", "signature_investigator"),
    Item("7", INTRODUCTION, "Background", "the research question and why the trial is done", "background"),
    Item("8", INTRODUCTION, "Objectives", "objectives or hypotheses, one by one", "objectives"),
    Item("9", METHODS, "Design", "kind of trial, allocation and what is compared", "design"),
    Item("10", METHODS, "Randomisation", "how clusters were allocated, with strata or constraints", "randomisation"),
    Item("11", METHODS, "Sample size", "the whole calculation, or where it stands", "sample_size"),
    Item("12", METHODS, "Framework", "superiority, equivalence or non-inferiority, for which comparisons", "framework"),
    Item("13a", METHODS, "Interim analyses", "what is looked at before the end, and when", "interim_analyses"),
    Item("13b", METHODS, "Adjustment for interim analyses", "how interim looks change the significance level", "interim_adjustment"),
    Item("13c", METHODS, "Stopping", "rules for ending the trial early", "stopping"),
    Item("14", METHODS, "Time of the final analysis", "when the final analysis starts, for which outcomes", "final_analysis"),
    Item("15", METHODS, "Time of outcomes", "when each outcome is measured, and its window", "outcome_timing"),
    Item("16", PRINCIPLES, "Level of significance", "the level, one-sided or two-sided", "significance"),
    Item("17", PRINCIPLES, "Multiplicity", "how several tests share the error, and why", "multiplicity"),
    Item("18", PRINCIPLES, "Confidence intervals", "which intervals are given", "intervals"),
    Item("19a", PRINCIPLES, "Adherence", "what adherence to the intervention is, how assessed", "adherence"),
    Item("19b", PRINCIPLES, "Adherence in the report", "how adherence is shown", "adherence_report"),
    Item("19c", PRINCIPLES, "Protocol deviations", "what counts as a deviation from the protocol", "deviations"),
    Item("19d", PRINCIPLES, "Deviations in the report", "which deviations are summarised", "deviations_report"),
    Item("20", PRINCIPLES, "Analysis populations", "who belongs to each population", "populations"),
    Item("21", POPULATION, "Screening", "figures on who was screened, for representativeness", "screening"),
    Item("22", POPULATION, "Eligibility", "who could enter, clusters and individuals", "eligibility"),
    Item("23", POPULATION, "Recruitment", "what the flow diagram shows", "recruitment"),
    Item("24a", POPULATION, "Withdrawal", "from what one can withdraw", "withdrawal"),
    Item("24b", POPULATION, "Time of withdrawal", "when withdrawals and losses are counted", "withdrawal_timing"),
    Item("24c", POPULATION, "Withdrawal in the report", "how reasons and losses are shown", "withdrawal_report"),
    Item("25a", POPULATION, "Baseline characteristics", "which characteristics are described", "baseline"),
    Item("25b", POPULATION, "Baseline in the report", "by which statistics they are described", "baseline_report"),
    Item("26a", ANALYSIS, "Outcomes", "each outcome, its rank and its time", "outcomes"),
    Item("26b", ANALYSIS, "Measurement of outcomes", "what is measured, in which unit", "outcome_measurement"),
    Item("26c", ANALYSIS, "Derivation of outcomes", "any calculation that gives the outcome", "outcome_derivation"),
    Item("27a", ANALYSIS, "Methods", "model of each analysis and how effects are shown", "methods"),
    Item("27b", ANALYSIS, "Covariates", "what each analysis adjusts for", "covariates"),
    Item("27c", ANALYSIS, "Checks of assumptions", "how the methods' assumptions are checked", "assumption_checks"),
    Item("27d", ANALYSIS, "Alternatives", "what is done where assumptions do not hold", "alternative_methods"),
    Item("27e", ANALYSIS, "Sensitivity analyses", "each one, with its reason", "sensitivity"),
    Item("27f", ANALYSIS, "Subgroups", "which subgroups, how defined and compared", "subgroups"),
    Item("28", ANALYSIS, "Missing data", "how missing values are reported, assumed and handled", "missing_data"),
    Item("29", ANALYSIS, "Additional analyses", "any other analysis", "additional_analyses"),
    Item("30", ANALYSIS, "Harms", "how harms are classed and summarised", "harms"),
    Item("31", ANALYSIS, "Software", "packages and versions that do the analysis", "software"),
    Item("32a", ANALYSIS, "References for methods", "sources of methods that are not standard", "method_references"),
    Item("32b", ANALYSIS, "Data management plan", "where it is", "data_management_plan"),
    Item("32c", ANALYSIS, "Master files", "where the trial's and the statistician's files are", "master_file"),
    Item("32d", ANALYSIS, "Procedures", "other documents that the analysis follows", "procedures"),
)
"""The 55 items of Gamble et al. (2017), numbered as there; titles and wants are ours.

The first part (1a to 9) was compared with the table of items in Homer V et al. (2022), BMJ 376, e068177, which quotes it; topics and order
of the others with a published list for nutrition trials and a public template that follow the guidance.
"""

FURTHER = {
    "setting": "where the trial takes place, and where data are collected",
    "intervention": "what intervention and control are, in enough detail to repeat them",
    "rationale": "why clusters are randomised, and why in a stepped wedge",
    "participants": "how individuals come into clusters, and who identifies them",
    "consent": "from whom consent is sought, when, and for what",
    "concealment": "how the allocation is kept from clusters until they are recruited",
    "implementation": "who makes the allocation, enrols clusters and assigns them",
    "blinding": "who does not know the allocation, and how",
    "similarity": "how alike intervention and control look, if that matters",
    "ethics": "which committee approved the trial, and any waiver of consent",
    "protocol_access": "where the full protocol can be read",
    "funding": "who pays, and what part they play",
}
"""What a report of a stepped-wedge trial needs beside those items, and a person can write before it starts."""

TEXT_WANTS = {item.key: item.wants for item in SAP_ITEMS} | FURTHER
"""What each key of the plan's ``[text]`` asks for."""

TEXT_KEYS = tuple(TEXT_WANTS)
"""Every key that the plan's ``[text]`` may hold."""


def to_be_written(wants: str, key: str) -> str:
    """The mark of what a person has to write.

    >>> to_be_written("where it is", "data_management_plan")
    '[To be written: where it is (text.data_management_plan)]'
    """
    return f"[To be written: {wants} (text.{key})]"
