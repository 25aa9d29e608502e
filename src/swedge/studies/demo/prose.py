"""The demo's sentences, apart from the numbers that fill them."""

from __future__ import annotations

from typing import Any


def say(template: str, **facts: Any) -> str:
    """A template on one line with its facts filled in.

    >>> say('''{count} orders,
    ...        p = {p:.3f}''', count=12, p=1 / 12)
    '12 orders, p = 0.083'
    """
    return " ".join(template.format(**facts).split())


TITLE = "Family Safeguarding: a stepped-wedge trial with five clusters, from schedule to report"

LEAD = """
A demonstration on published facts and simulated children, made by one command. Every figure on simulated children shows how the
analysis works; none is a finding about the programme.
"""

SCHEDULE = """
{name} is a stepped-wedge cluster randomised trial: all {clusters} local authorities start with usual practice, and each goes live
with the programme at a step drawn by lot. The window runs from {first} to {last}. Go-live dates cut it into {periods} periods of
{days} days: unequal, although six months each were planned. A child is treated when its authority was live on the day of the
child's first referral in the window.
"""
SCHEDULE_ALT = """
Grid of {clusters} authorities by {periods} periods. The treated area grows from left to right, one authority a step.
"""
SCHEDULE_CAPTION = "The schedule as carried out. Periods are as wide as they are long."
SCHEDULE_TABLE = "The authorities, with published totals and risks of the primary outcome (looked after within 18 months)."
SCHEDULE_SHORT = "{clusters} authorities went live one after another, over {periods} periods of unequal length."

LOT = """
The lot was stratified by readiness: {strata}. That leaves {product} = {count} allocations, not {clusters}! = {free}.
"""
LOT_TABLE = "The {count} permitted allocations: who goes live at which step."
DRAW = """
For practice, seed {seed} draws number {number} of the list. The record of the draw ({record}) holds design, list, seed and
generator; loading it draws again, and one changed byte is refused. The trial's own draw was made elsewhere.
"""
SMALLEST_P = """
If the programme changed nothing, all {count} orders would have been alike. The strongest result that a randomisation test can
report is that the order carried out gave the most extreme figure of the {count}, which chance alone does one time in {count}: p =
{p:.3f}. So it can never reach 5%, however large the effect, and its 95% interval is always infinite; the highest level at which it
says anything is {level:.1%}. An unrestricted lot would have allowed 1 in {free}.
"""
LOT_SHORT = "{count} allocations were permitted, so the smallest p of the exact test is 1/{count} = {p:.3f}: it cannot reject at 5%."

POWER = """
Simulated trials with the published totals and risks, the allocation drawn anew each time: {reps:,} trials for each odds ratio.
{failed} of {fits:,} fits failed (a failed fit counts as not rejecting). Authorities drift by themselves: noise by authority and
period has a standard deviation of {noise:g} on the logit scale. In the second table it is 0, and all share one trend exactly.
"""
POWER_WARNING = """
The model's own z test rejects {size} of trials in which there is no effect, where 5% are allowed, as soon as authorities drift by
themselves. What it shows for other odds ratios is not power but the same excess; it stands here as a warning. The exact test never
rejects at 5%, whatever the effect: its smallest p is 1/{count}.
"""
POWER_ADVICE = """
CR2 with Satterthwaite degrees of freedom keeps its size here whatever the pattern of drift within an authority, as long as authorities
drift independently. The overdispersed analysis is stronger, and needs drift of one size in every authority. Both are reported below.
"""
POWER_TABLE = "Rejections at 5%, noise {noise:g}: share of trials (Monte Carlo standard error)."
POWER_ALT = """
Four curves of the rejection rate against the odds ratio, with bands of Monte Carlo error. All but the exact test fall from an odds
ratio of 0.7 to 1; the model's own z stays above 5% at 1, at {size}; the exact test lies at zero throughout.
"""
POWER_CAPTION = "Rejection rates at 5%, noise {noise:g} on the logit scale."
POWER_SHORT = """
Power at an odds ratio of 0.8: {cr2} with CR2, {overdispersed} overdispersed, 0% for the exact test. The model's own z rejects
{size} of trials without any effect.
"""

CHILDREN = """
{file} holds {rows:,} simulated children, one a row; none of them exists. Sizes and risks of the {clusters} authorities are the
published ones, and {comparators} comparison authorities that never go live are added. Built in: an odds ratio of {ratio} for being
looked after, no effect on anything else, and noise by authority and period of {noise} on the logit scale. Values are missing as in
the trial ({gaps}); they are kept as a level of their own, "not recorded". {without} holds no data on care proceedings: its children
have no value, never a zero.
"""
CHILDREN_TABLE = "Children in the trial's authorities, and how many had each outcome."
CHILDREN_SHORT = "{rows:,} simulated children were written as CSV, read back and analysed."

PRIMARY = """
Logistic regression with authority and period effects. The first analysis leads, the second stands beside it, and the third,
unadjusted, shows what the covariates do. Built in is {truth}, which the first interval {hit}: a trial with few clusters leaves wide
intervals.
"""
PRIMARY_TABLE = "Being looked after within 18 months: odds ratios, treated against control."
PRIMARY_SHORT = """
Looked after (simulated): odds ratio {ratio:.2f}, 95% interval {limits}, {p} with CR2; built in was {truth}.
"""
EXACT = "The exact test asks how often a permitted order gives an estimate at least as far from zero: {p}."
EXACT_INFINITE = """
Its 95% interval is infinite, because with {count} allocations no effect, however large, could be rejected at 5%. The {level:.1%}
interval is an odds ratio of {limits}.
"""
TRAJECTORIES_ALT = (
    "A line for each of {clusters} authorities over {periods} periods, with open markers before go-live and filled ones after."
)
TRAJECTORIES_CAPTION = "Share looked after by authority and period of referral (simulated children)."
FOREST_ALT = """
Estimates of every analysis with their intervals, one a row. The 95% interval of the exact test is an arrow to both sides.
"""
FOREST_CAPTION = "Log odds ratios with 95% intervals, and the exact test also at the level that it can give."
REFERENCE_ALT = """
One dot for each of {count} permitted allocations at the estimate that it gives; the one carried out is black, with a line.
"""
REFERENCE_CAPTION = "Reference distribution of the exact test. Shaded: at least as far from zero as the estimate observed."

DURATION = """
{plans:,} plans started. A plan still open after 730 days counts as 730 ({open:,} did). Of the variance, {between:.2%} lies between
authorities and {within:.2%} between periods of an authority. That second share decides the degrees of freedom: leaving it out would
claim that all authorities share one trend exactly.
"""
DURATION_TABLE = "Days on a single child protection plan, treated minus control."
DURATION_SHORT = "Days on a plan (simulated): {estimate:+.1f}, 95% interval {limits}, {p}; built in was 0."

COMPARISON = """
Difference-in-differences on the risk scale: the authorities of the trial against {comparators} that never go live, with authority
and period effects. {without} has no data on proceedings and takes no part in that row. The cluster-robust p allows for drift within
authorities; the placebo p hands the go-live dates to comparison authorities and counts how often they give as much.
"""
COMPARISON_TABLE = "Treated minus control, in percentage points."
COMPARISON_WARNING = """
Only the order of the trial's own authorities was drawn by lot. The comparison with other authorities is observational: it needs
them to have moved in parallel without the programme.
"""
COMPARISON_SHORT = "With comparison authorities (simulated, no effect built in): {rows}."
WEIGHTS_ALT = """
Grid of authorities by periods with the weight of each cell written in. Treated cells have a frame; those that weigh negatively are
hatched.
"""
WEIGHTS_CAPTION = """
Weight of every cell in the estimate for re-referral. Treated cells that weigh negatively: {wrong} of {treated}. If effects changed
with time since go-live, those cells would count with the wrong sign.
"""

REAL = """
Published statistics of {authorities} English authorities, {first} to {last} (years to 31 March): {own} of the trial and {others}
statistical neighbours. The year of go-live counts as the first treated year. Nothing here is simulated.
"""
REAL_WARNING = """
The control group may hold authorities that adopted the programme without being named. Only the ORDER of the five was drawn by lot,
not that these five take part: this comparison is observational, and needs the others to have moved in parallel. Where the
cluster-robust p and the placebo p disagree, do not rest on the smaller: five treated authorities are few for the first, and the
second shows what authorities without the programme did by themselves.
"""
REAL_TABLE = "Real panel: treated minus control, in the outcome's units, two-way fixed effects."
REAL_ALT = """
Rates of {authorities} authorities over {years} years. Those of the trial are coloured, filled from the year of go-live; the others
are grey.
"""
REAL_CAPTION = "Children looked after at 31 March (official statistics)."
PLACEBO_ALT = """
Histogram of the estimates that comparison authorities give when go-live dates are handed to them, with the observed estimate as a
line.
"""
PLACEBO_CAPTION = "Placebo estimates for children looked after. Shaded: at least as far from zero as the estimate observed."
REAL_SHORT = "Real panel: {rows}."
NOT_REAL = "The difference-in-differences on real authorities was left out: give the panel with --panel FILE."

AGAIN = """
Seed {seed} and {reps:,} simulated trials a setting give every number of this report again, with {versions}. The report stands
beside {record}, the record of the draw, and {children}, the simulated children.
"""
AGAIN_TABLE = "Where the facts of {name} come from."
