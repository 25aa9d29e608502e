"""Three English trials as objects: what was published of them, and nothing else."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from swedge.design import Design
from swedge.studies.study import Outcome, PowerCall, Study

PILOT = "the published pilot report and project pages"
CODE = "the evaluators' published analysis code and the protocol wording quoted in it"
STATISTICS = "Department for Education open statistics"
COMPUTED = "computed for this library by arithmetic or simulation"

#: National lockdowns in England, first and last day.
LOCKDOWNS = (
    (dt.date(2020, 3, 23), dt.date(2020, 6, 1)),
    (dt.date(2020, 11, 1), dt.date(2020, 12, 2)),
    (dt.date(2021, 1, 6), dt.date(2021, 3, 8)),
)


class Adopters(NamedTuple):
    """Authorities known to work with a programme outside (or before) its trial, and what is not known about them."""

    programme: str
    authorities: tuple[str, ...]
    note: str


#: Known adopters of Family Safeguarding that are not clusters of its trial: Hertfordshire 2015, the next four 2017, Cambridgeshire (the
#: pilot) from 2020-02-10. Source: the published pilot report and project pages.
SAFEGUARDING_ADOPTERS = Adopters(
    "Family Safeguarding",
    ("Hertfordshire", "Luton", "Peterborough", "Bracknell Forest", "West Berkshire", "Cambridgeshire"),
    "16 authorities used Family Safeguarding by December 2021, not all named here, so the control group may hold unnamed adopters.",
)

#: Adopters of the two sister programmes. Source: the published pilot report and project pages.
VALUED_ADOPTERS = Adopters("Family Valued", ("Warwickshire", "Newcastle upon Tyne", "Coventry", "Solihull", "Sefton"), "")
NO_WRONG_DOOR_ADOPTERS = Adopters("No Wrong Door", ("Rochdale", "Redcar and Cleveland", "Warrington", "Norfolk", "Leicester"), "")

_SAFEGUARDING_GO_LIVE = {
    "Walsall": "2020-09-01",
    "Lancashire": "2021-02-01",
    "Telford and Wrekin": "2021-06-28",
    "Wandsworth": "2022-01-24",
    "Swindon": "2022-05-24",
}

_SAFEGUARDING_OUTCOMES = (
    Outcome(
        "looked_after",
        "looked after within 18 months of the first referral in the window, ages 0 to 12 and unborn",
        "binomial",
        18,
        primary=True,
    ),
    Outcome(
        "returned", "new child protection plan, child-in-need plan or care after a plan ended, within 36 months of referral", "binomial", 36
    ),
    Outcome("plan_days", "days on a single child protection plan, censored at 24 months", "gaussian", 24),
    Outcome("plan_days_total", "total days on child protection plans over 36 months", "gaussian", 36),
    Outcome("proceedings", "care proceedings within 16 weeks of the first pre-proceedings (PLO) meeting", "binomial"),
    Outcome(
        "rereferred_trio",
        "re-referral for domestic abuse, parental mental health or substance misuse within 18 months of the first referral in the window"
        " that names one of these; treatment is redefined from that referral",
        "binomial",
        18,
    ),
    Outcome("sessions_missed", "share of school sessions missed, unauthorised, over the three terms that start after referral", "gaussian"),
)


def family_safeguarding() -> Study:
    """Family Safeguarding: five local authorities, go-live dates 2020-09-01 to 2022-05-24, 12 permitted allocations.

    The two authorities that were ready share out the first two steps, the other three the last three. Children are a cross-section by first
    referral in the window, treated when their authority was live on the day of that referral.

    Examples
    --------
    >>> study = family_safeguarding()
    >>> study.design.count(), study.design.periods["days"].tolist()
    (12, [184, 153, 147, 210, 120, 185])
    """
    ready = [["Walsall", "Lancashire"], ["Telford and Wrekin", "Wandsworth", "Swindon"]]
    design = Design.from_dates(_SAFEGUARDING_GO_LIVE, "2020-03-01", "2022-11-24", strata=ready)
    return Study(
        name="Family Safeguarding",
        design=design,
        allocation=design.allocate_dates(_SAFEGUARDING_GO_LIVE),
        sizes=(5468, 10947, 2829, 3836, 4345),
        baseline_risk=(0.0613, 0.0635, 0.0833, 0.0321, 0.0345),
        outcomes=_SAFEGUARDING_OUTCOMES,
        planned=51_000,
        analysed=27_406,
        ages="0-12 and unborn",
        notes=(
            "Strata are readiness: Walsall and Lancashire take steps 1 and 2, the other three steps 3 to 5. Cambridgeshire was the"
            " pilot, not a cluster.",
            "Sizes are children before 19 exclusions; 27,406 were analysed, of 51,000 planned.",
            "Periods of six months were planned; the dates carried out make them 184, 153, 147, 210, 120 and 185 days.",
            "The 18-month window crosses go-live: with uniform referrals and hazard, 52.2% of control children's follow-up is already under"
            " treatment, so a contrast by date of referral is diluted.",
            "The window holds three national lockdowns (LOCKDOWNS).",
        ),
        sources=(
            ("design", CODE),
            ("allocation", CODE),
            ("sizes", CODE),
            ("baseline_risk", CODE),
            ("outcomes", f"{PILOT}; {CODE}"),
            ("cell sizes and the share of follow-up under treatment", COMPUTED),
        ),
    )


_NO_WRONG_DOOR_GO_LIVE = {"LA 1": "2020-04-01", "LA 2": "2021-04-01", "LA 3": "2021-06-01", "LA 4": "2021-09-01"}


def no_wrong_door() -> Study:
    """No Wrong Door: four local authorities in two strata, 4 permitted allocations.

    Five were planned, one left, and which is not published with the dates: clusters are numbered by go-live.

    Examples
    --------
    >>> no_wrong_door().design.count()
    4
    """
    design = Design.from_dates(_NO_WRONG_DOOR_GO_LIVE, "2019-10-01", "2022-03-31", strata=[["LA 1", "LA 2"], ["LA 3", "LA 4"]])
    call = PowerCall(baseline=0.07, effect=0.0185, icc=0.00268, cell_size=600)
    return Study(
        name="No Wrong Door",
        design=design,
        allocation=design.allocate_dates(_NO_WRONG_DOOR_GO_LIVE),
        baseline_risk=(call.baseline,) * 4,
        planned=18_000,
        ages="12-17",
        power_call=call,
        notes=(
            "Clusters are numbered by go-live: the authority behind each date is not among the published facts used here. Five were planned"
            f" and one left. Adopters of the programme: {', '.join(NO_WRONG_DOOR_ADOPTERS.authorities)}.",
            "Two strata are published, their members are not: that the first two go-lives form one is an assumption, which leaves the"
            " count at 4.",
            "Baseline risk and cell size are those of the power call, not observed ones.",
        ),
        sources=(("design", CODE), ("allocation", CODE), ("power_call", CODE)),
    )


def family_valued() -> Study:
    """Family Valued: five local authorities and 78,000 planned children, without published dates, strata, sizes or risks.

    Examples
    --------
    >>> study = family_valued()
    >>> study.allocation is None, study.design.count()
    (True, 120)
    """
    return Study(
        name="Family Valued",
        design=Design.stepped_wedge(VALUED_ADOPTERS.authorities),
        allocation=None,
        planned=78_000,
        ages="0-17",
        notes=(
            "No dates, strata or order are among the published facts used here: the design is undated, one authority a step, unrestricted.",
            "The authorities are the programme's named adopters; that they are the trial's five clusters rests on the number agreeing.",
            "Sizes and baseline risks are not published: pass size= and baseline= to scenario.",
        ),
        sources=(("clusters", PILOT), ("planned", CODE)),
    )
