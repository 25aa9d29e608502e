"""Write the notebooks of this folder, without outputs: `python notebooks/make_notebooks.py`, after a change of their text here."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).parent

DESIGN = '''
# Design a trial

Change the first cell to your own trial, and run the rest. Nothing here needs data.
---
from dataclasses import replace

import numpy as np

import swedge as sw

go_live = {"Ash": "2027-01-11", "Birch": "2027-04-12", "Cedar": "2027-07-12", "Dale": "2027-10-11", "Elm": "2028-01-10"}
start, end = "2026-10-12", "2028-04-09"
strata = [["Ash", "Birch"], ["Cedar", "Dale", "Elm"]]  # None, if any site may take any date
size = {"Ash": 300, "Birch": 250, "Cedar": 150, "Dale": 200, "Elm": 220}  # people a period
risk, odds_ratio, noise = 0.10, 0.75, 0.10  # noise: standard deviation of site-by-period effects, logit scale
---
## The schedule

Periods are cut at the dates of go-live. A stratum is a group of sites that share out the dates its members hold.
---
design = sw.Design.from_dates(go_live, start=start, end=end, strata=strata)
design.periods
---
ax = design.plot()
---
## What the draw alone can show

The randomisation test compares the estimate with those of the other orders that could have been drawn. With few orders even the largest
estimate of all is not unusual: p is never below 1 over their number.
---
count, smallest = design.count(), design.min_p()
print(f"{count} permitted orders; no p below {smallest:.3f}; the best interval by inversion is a {1 - smallest:.1%} one")
print("It can reject at 5%." if smallest <= 0.05 else "It can never reject at 5%: any conclusion at that level needs a model too.")
---
## Size, then power

First the rate at which each analysis finds an effect that is not there; the power of one that exceeds 5% means nothing.
---
analyses = {
    "GLMM, normal": sw.MixedModel(sw.Exchangeable(), df="normal"),
    "CR2, Satterthwaite": sw.FixedEffects(vcov="CR2"),
    "overdispersed": sw.FixedEffects(vcov="overdispersed"),
}
sizes = [[size[site]] * design.n_periods for site in design.clusters]


base = sw.Scenario(family="binomial", scale="logit", baseline=risk, size=sizes)


def world(ratio, sd):
    """The truth at one odds ratio and one amount of noise."""
    return replace(base, effect=np.log(ratio), correlation=sw.RandomEffects(cluster=0.2, cluster_period=sd))


null = {sd: world(1.0, sd) for sd in (0.0, noise, 2 * noise)}
table = sw.simulate_grid({"this design": design}, null, analyses, reps=1000, seed=1).tidy()
table.pivot(index="estimator", columns="scenario", values="power").round(3)
---
curve = {ratio: world(ratio, noise) for ratio in (1.0, 0.9, 0.8, 0.7, 0.6)}
ax = sw.simulate_grid({"this design": design}, curve, analyses, reps=500, seed=1).plot()
text = ax.set_xlabel("Odds ratio, treated against control")
---
print(sw.simulate_power(design, world(odds_ratio, noise), analyses, reps=2000, seed=1).summary())
---
## The draw

Choose the seed before anyone can know what it draws, and write it down where it can be found. 0 is a seed. The record is drawn again
whenever it is loaded, and refuses an edit.
---
allocation = design.randomise(seed=20260928)
allocation.save("allocation.json", overwrite=True)
sw.Allocation.load("allocation.json").calendar()
'''

ANALYSIS = """
# Analyse a trial

A tour of the methods, from a file with a row a person to estimates, tests and pictures; `family_safeguarding.ipynb` puts them together
for a whole trial. The file is simulated here, at the sizes of the Family Safeguarding trial with an odds ratio of .7; with your own
data, read your file in the cell after the next.
---
import numpy as np
import pandas as pd

import swedge as sw
from swedge.estimate import forest
from swedge.inference import LikelihoodRatioTest
from swedge.studies import family_safeguarding, read_children, simulate_children, write_children

study = family_safeguarding()
write_children(simulate_children(study, seed=1, odds_ratio=0.7, plan_ratio=0.8, noise=0.1, missing=True), "children.csv")
---
## From rows to a trial

The allocation is the one carried out. Dates are sorted into the design's periods, and what does not fit is refused with a reason.
---
children = read_children("children.csv")
allocation = study.allocation
about = {"cluster": "la", "date": "referral_date", "treatment": "treated"}
care = {"outcome": "looked_after", "family": "binomial", **about}

trial = sw.Trial.from_frame(children, allocation, covariates="C(age_group) + C(previous_plans) + disability", **care)
trial.tidy().pivot(index="cluster", columns="period", values="outcome").round(3)
---
ax = trial.plot()
# alt: One line an authority: the share of children looked after in each period, with treated periods marked
---
## A binary outcome

Two analyses side by side: CR2 assumes nothing of how an authority varies over time, the overdispersed one that all vary alike.
Estimates are log odds ratios, treated minus control.
---
lead = sw.FixedEffects(vcov="CR2").fit(trial)
print(lead.summary())
---
fits = {"CR2": lead, "overdispersed": sw.FixedEffects(vcov="overdispersed").fit(trial)}
ratios = pd.concat(fit.tidy().assign(analysis=name) for name, fit in fits.items()).set_index("analysis")
ratios[["estimate", "conf_low", "conf_high"]].apply(np.exp).round(3)
---
## The same as risks

A regression predicts every child's risk with and without treatment. Averaged and compared, that is a difference or a ratio of risks;
the ratio is shown as its logarithm.
---
risks = [sw.MarginalEffect(sw.FixedEffects(), measure).fit(trial).tidy() for measure in ("difference", "ratio")]
pd.concat(risks).set_index("estimand")[["estimate", "std_error", "df", "p_value", "conf_low", "conf_high"]].round(4)
---
## The test that stands on the draw alone

12 orders were permitted, so p is never below 1/12 and a 95% interval does not exist; the note gives the one that does.
---
exact = sw.RandomisationTest().run(trial, sw.TwoWayFixedEffects())
print(exact.summary())
---
ax = exact.plot()
# alt: The estimate under each of the 12 permitted allocations; the one carried out is marked
---
## Other models, and tests made for few clusters

Generalised estimating equations average over authorities; the mixed model gives authorities and their periods random effects. The
jackknife leaves out an authority at a time, and the likelihood ratio needs no standard error. One picture takes them all, as they share
a scale.
---
mixed = sw.MixedModel(df="between-within")
others = {
    "GEE, Kauermann-Carroll": sw.GEE().fit(trial),
    "mixed model": mixed.fit(trial),
    "jackknife": sw.JackknifeTest().run(trial, sw.FixedEffects()),
    "likelihood ratio": LikelihoodRatioTest(interval=False).run(trial, mixed),
}
ax = forest(fits | others)
# alt: Log odds ratios with 95% intervals by six analyses; the likelihood ratio, run for its p alone, has no interval
---
## Days, censored days, shares

Days on a child protection plan, for the children who had one. The cluster-by-period effect and Kenward-Roger degrees of freedom are
defaults.
---
plans = children.dropna(subset=["plan_days"]).assign(ended=lambda rows: 1 - rows["plan_open"])
days = sw.Trial.from_frame(plans, allocation, outcome="plan_days_total", **about)
print(sw.MixedModel().fit(days).summary())
+++
Plans still open after two years are censored. `Duration` turns each into a pseudo-observation of the mean time up to a horizon, which
any linear analysis can take.
---
single = {"time": "plan_days", "event": "ended", "cluster": "la", "date": "referral_date"}
until = sw.Duration(horizon=730).trial(plans, allocation, **single)
sw.MixedModel().fit(until).tidy().drop(columns=["term", "estimand"]).round(3)
---
ax = sw.Duration(horizon=730).plot(plans, allocation, release=True, **single)
# alt: Share of plans still open by days since their start, for treated and control children, up to 730 days
+++
A share, such as of school sessions missed, keeps the logit and lets the data say how it varies.
---
pupils = children.dropna(subset=["absence"])
sw.FixedEffects().fit(sw.Trial.from_frame(pupils, allocation, outcome="absence", family="fractional", **about)).tidy().round(3)
---
## Effects that change with time since go-live

A constant effect is an assumption. These are the weights that an estimate gives to the effects at each exposure if it fails:
---
print(sw.exposure_weights(trial, sw.FixedEffects()).summary())
+++
`ByExposure` assumes no shape, and an estimand says what is read off the curve. The shaded band holds for the whole curve at once.
---
print(sw.FixedEffects(effect=sw.ByExposure(), estimand=sw.TATE(1, 3)).fit(trial).summary())
ax = sw.FixedEffects(vcov="overdispersed", effect=sw.ByExposure()).fit(trial).plot()
# alt: Log odds ratio at exposures of 1 to 5 periods with pointwise intervals and a simultaneous band
---
## Missing values

One call, three answers: imputed by chained equations and pooled by Rubin's rules, complete cases, and a level for what is missing.
---
sets = sw.MultipleImputation(imputations=3, seed=1)  # a paper needs more
gaps = sw.missing_data_analysis(children, allocation, sw.FixedEffects(), covariates="C(gender) + C(ethnicity)", imputation=sets, **care)
gaps.tidy()[["method", "estimate", "std_error", "df", "n", "dropped", "fmi"]].round(3)
---
## Before an estimate is believed

What moves it most: an authority, a cell, or what the model leaves over.
---
diagnostics = sw.diagnose(sw.Trial.from_frame(children, allocation, **care), sw.FixedEffects(), release=True)
axes = diagnostics.plot()
# alt: Four panels: trajectories, estimates without each authority, influence of each cell, and residuals
---
## Which cells the estimate stands on

Blue cells count positively and orange ones negatively; framed cells were treated.
---
ax = sw.TwoWayFixedEffects().plot_weights(trial)
# alt: Heat map of the weight of every authority and period in the estimate
"""

POWER = r'''
# Plan the power of a trial

The Family Safeguarding trial, from assumptions to the paragraph that a protocol needs. The outcome is whether a child is looked after
within 18 months of referral. Nothing here needs data; to plan another trial, change the next cell.
---
import textwrap
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import swedge as sw
from swedge.studies import family_safeguarding, no_wrong_door

study = family_safeguarding()
design, allocation = study.design, study.allocation
baseline = 0.055  # risk under control
odds_ratio = 0.8
icc = no_wrong_door().power_call.icc  # on the proportion scale, from the sister trial's published call
cacs = [1.0, 0.95, 0.9, 0.8]  # correlation of two periods of one authority: nobody published one
cac = 0.9  # the value the protocol will go by

odds = odds_ratio * baseline / (1 - baseline)
effect = round(odds / (1 + odds) - baseline, 4)  # difference of risks, treated minus control
print(f"ICC {icc}; an odds ratio of {odds_ratio} at a risk of {baseline} is a difference of {100 * effect:.2f} points")
---
## The design and what it permits

Go-live dates cut the trial into periods of unequal length. Two authorities were ready and share out the first two dates; the other three
share out the rest.
---
ax = design.plot()
---
orders = pd.DataFrame(np.array(design.clusters)[np.argsort(design.allocations(), axis=1)], columns=[f"step {k + 1}" for k in range(5)])
print(f"{design.count()} permitted allocations; the randomisation test cannot give a p below {design.min_p():.3f}")
orders
---
## Power by formula

Generalised least squares on the risk scale. The ICC is about one period; the CAC says how fast an authority's level changes, and a CAC of 1
says that it never does. Beside the normal figure stand the two that allow for few clusters: Satterthwaite's degrees of freedom, which
come from estimating the correlation and are many only if its form is right, and clusters minus 2, which do not ask.
---
assumed = {"family": "binomial", "baseline": baseline, "variance": "control", "size": study.cell_sizes}
carried_out = {**assumed, "allocation": allocation}


def by_formula(cac):
    """Standard error, power and detectable effect (in points) at one CAC, by each kind of degrees of freedom."""
    known = {**carried_out, "correlation": sw.NestedExchangeable(icc, cac)}
    row = {"CAC": cac}
    for df in ("normal", "satterthwaite", "clusters"):
        power = sw.analytic_power(design, effect=effect, df=df, **known)
        found = sw.detectable_effect(design, power=0.8, effect=-1, df=df, **known)  # the sign asks for a protective effect
        row |= {"std_error": power.std_error, f"df, {df}": power.df, f"power, {df}": power.power, f"detectable, {df}": -100 * found.effect}
    return row


formula = pd.DataFrame([by_formula(c) for c in cacs]).set_index("CAC")
formula.drop(columns="df, normal").round({"std_error": 6, **{name: 3 for name in formula if name != "std_error"}})
---
print(sw.analytic_power(design, effect=effect, correlation=sw.NestedExchangeable(icc, cac), **carried_out).summary())
---
## Does the draw matter?

Authorities differ in size, so power depends on which of them gets which date. Of 12 allocations all can be looked at.
---
truth = {**assumed, "effect": effect, "correlation": sw.NestedExchangeable(icc, cac)}
spread = sw.power_over_allocations(design, **truth)
print(f"power from {spread['power'].min():.3f} to {spread['power'].max():.3f}, {spread['power'].mean():.3f} before the draw")
---
## What if the correlation is another?

On the right, at a CAC of 1, authorities never drift apart and the ICC hardly matters. To the left is the price of being wrong about that.
---
surface = sw.power_surface(design, icc=[0.001, icc, 0.005, 0.01], cac=[0.6, 0.7, 0.8, 0.9, 0.95, 1.0], allocation=allocation, **truth)
figure, ax = plt.subplots()
for marker, colour, (value, rows) in zip("osv^", plt.cm.viridis(np.linspace(0, 0.85, 4)), surface.groupby("icc"), strict=True):
    ax.plot(rows["cac"], rows["power"], marker=marker, color=colour, label=f"ICC {value:g}")
ax.set(xlabel="Cluster autocorrelation (CAC)", ylabel="Power at two-sided 5%, Satterthwaite", ylim=(0, 1))
legend = ax.legend()
---
## Which cells carry the information

How much larger the variance would be without a cell: 0 is a cell that could be spared, .1 one whose loss costs a tenth.
---
content = sw.information_content(design, allocation=allocation, **truth)
ax = content.plot()
---
ratios = {f"without period {k + 1}": ratio for k, ratio in enumerate(content.periods)}
pd.Series(ratios, name="variance ratio").round(2).to_frame()
---
## A window that crosses go-live

A child referred before go-live is a control, but 18 months of follow-up run on into the treated time. With referrals and hazard spread
evenly, this is the share of the controls' follow-up that is already under treatment:
---
overlap = sw.exposure_overlap(allocation, size=study.sizes, days=548)
print(f"pooled {overlap.pooled:.1%}; never exposed within the window {overlap.never_exposed:.1%}")
overlap.tidy().round({"controls": 0, "treated_share": 3, "never_exposed": 3})
---
ax = overlap.plot()
---
## Power by simulation

Whole trials, each under an allocation drawn from the 12, analysed in the ways that were considered. The noise by authority and period is
that of the ICC and the CAC, carried from the risk to the logit scale. First the size: an analysis that finds effects where there are
none has no power to speak of, and the model's own z is here as that warning.
---
variance = baseline * (1 - baseline)
noise = {c: np.sqrt(icc * (1 - c) / variance) for c in cacs}
analyses = {
    "CR2, Satterthwaite": sw.FixedEffects(vcov="CR2"),
    "overdispersed": sw.FixedEffects(vcov="overdispersed"),
    "model's own z": sw.FixedEffects(vcov="model", df="normal"),
    "exact test": (sw.WithinPeriod(), sw.RandomisationTest()),
}
odds_ratios = {ratio: study.scenario(ratio, noise[cac]) for ratio in (1.0, 0.9, 0.8, 0.7)}
grid = sw.simulate_grid({"FS": design}, odds_ratios, analyses, reps=10_000, seed=1)
grid.tidy()[["scenario", "estimator", "power", "mcse", "bias", "coverage", "n_failed"]].rename(columns={"scenario": "odds ratio"}).round(3)
---
ax = grid.plot(xlabel="Odds ratio, treated against control")
---
ax = grid.cells["FS", odds_ratio].plot_zip("CR2, Satterthwaite")
---
## What the answer hangs on

The same with another CAC, and with effects that reach controls through the window. The last is no matter of power alone: `kept` is the
mean estimate over the true effect.
---
worlds = {f"CAC {c:g}, no effect": study.scenario(1.0, noise[c]) for c in (1.0, 0.8)}
worlds |= {f"CAC {c:g}": study.scenario(odds_ratio, noise[c]) for c in (1.0, 0.8)}
worlds["window of 18 months"] = study.scenario(odds_ratio, noise[cac], window=548)
others = sw.simulate_grid({"FS": design}, worlds, analyses, reps=4000, seed=2)
others.tidy().pivot(index="scenario", columns="estimator", values="power").round(3)
---
print(f"largest Monte Carlo standard error: {others.tidy()['mcse'].max():.3f}")
diluted = others.cells["FS", "window of 18 months"].draws["CR2, Satterthwaite"].estimate
kept, kept_error = diluted.mean() / np.log(odds_ratio), diluted.std() / np.sqrt(len(diluted)) / abs(np.log(odds_ratio))
print(f"kept: {kept:.2f} (MCSE {kept_error:.2f})")
---
## Why so little is kept

Half of the controls' follow-up is free of treatment, and yet far less than half of the effect is left. The treated share of a control
child's follow-up grows as go-live comes near, so within an authority it rises towards the step and makes the step small, and authority and
period effects take up the rise as if it were a trend. The share regressed on the same effects, for the allocation carried out and without a
simulation, says the same. A contrast of whole windows, or an outcome that is dated within the window, is a decision for the protocol.
---
edges = np.array([day.toordinal() for day in design.boundaries])
go_live = edges[allocation.treatment.argmax(1)]
days = [np.arange(first, last) + 0.5 for first, last in pairwise(edges)]
share = np.array([[np.clip((day + 548 - live) / 548, 0, 1).mean() for day in days] for live in go_live])
shares = sw.Trial.from_cells(study.cell_sizes, np.where(allocation.treatment > 0, 1.0, share), allocation)
print(f"coefficient of treatment: {sw.TwoWayFixedEffects().fit(shares).estimate:.3f}")
---
## What the draw alone can show

At 5% the exact test never rejects, whatever the effect. At 10% it can, and nothing but the draw has to be believed.
---
at_ten = sw.exact_power(design, sw.WithinPeriod(), alpha=0.1, draws=20_000, seed=1, **truth)
print(at_ten.summary())
---
## The statement

Every number below is read off the cells above.
---
table = grid.tidy().set_index(["scenario", "estimator"])


def rate(odds_ratio, analysis):
    """A rejection rate with its Monte Carlo error, in words."""
    row = table.loc[(odds_ratio, analysis)]
    return f"{row['power']:.1%} (Monte Carlo SE {row['mcse']:.1%})"


at, run = formula.loc[cac], grid.cells["FS", 1.0].reps
cr2, over = "CR2, Satterthwaite", "overdispersed"
statement = f"""
The trial has {design.n_clusters} authorities, {design.n_periods} periods and about {sum(study.sizes):,} children. With a risk of
{baseline:.1%} under control, an intracluster correlation of {icc} within a period (proportion scale, from the sister trial's published
power call) and a cluster autocorrelation of {cac}, the standard error of the risk difference is {100 * at["std_error"]:.2f} points. The
difference detectable with 80% power at two-sided 5% is {at["detectable, normal"]:.2f} points by the normal approximation,
{at["detectable, satterthwaite"]:.2f} with Satterthwaite's {at["df, satterthwaite"]:.1f} degrees of freedom, and
{at["detectable, clusters"]:.2f} with clusters minus 2. For an odds ratio of {odds_ratio} the power is {spread["power"].min():.1%} to
{spread["power"].max():.1%} over the permitted allocations (Satterthwaite).

The primary analysis is a logistic regression with authority and period effects, a CR2 variance and Satterthwaite degrees of freedom. In
{run:,} simulated trials for each effect it rejects in {rate(1.0, cr2)} when there is no effect, and in {rate(0.8, cr2)} and
{rate(0.7, cr2)} at odds ratios of 0.8 and 0.7. The overdispersed analysis, which assumes that all authorities vary alike from period to
period, rejects in {rate(1.0, over)}, {rate(0.8, over)} and {rate(0.7, over)}. The model's own normal p value is not used: it rejects in
{rate(1.0, "model's own z")} when there is no effect. Of {run * len(table):,} analyses {table["n_failed"].sum()} failed.

Randomisation is stratified by readiness and permits {design.count()} allocations, so the smallest p value of the randomisation test is
1/{design.count()} = {design.min_p():.3f}: it can never reject at 5%, and is reported with its {1 - design.min_p():.1%} interval. At 10% its
power for the assumed difference is {at_ten.power:.1%} (Monte Carlo SE {at_ten.mcse:.1%}).

Follow-up of 18 months crosses go-live: {overlap.pooled:.1%} of control follow-up is already under treatment, and
{overlap.never_exposed:.1%} of controls are never exposed. If the effect is proportional to the share of follow-up under treatment, the
primary analysis by date of referral estimates {kept:.0%} of it (Monte Carlo SE {kept_error:.0%}). The powers above suppose an effect
without such dilution.
"""
for paragraph in statement.strip().split("\n\n"):
    print(textwrap.fill(paragraph.replace("\n", " "), 110), end="\n\n")
'''

FAMILY_SAFEGUARDING = r'''
# The Family Safeguarding trial, analysed

Five English local authorities began Family Safeguarding one after the other between September 2020 and May 2022. Authorities, dates, strata
and numbers of children are the trial's own. **The children are simulated**: nothing below is a result of the trial. In return the
truth is known, and every analysis can be held against it.

The analyses are the pre-specified one, the one that holds its size with five authorities, six secondary outcomes and a sensitivity set.
They end in one table and one picture.
---
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import swedge as sw
from swedge.estimate import forest
from swedge.inference import LikelihoodRatioTest, ParametricBootstrapTest
from swedge.studies import family_safeguarding, read_children, simulate_children, write_children

study = family_safeguarding()
design, allocation = study.design, study.allocation

SEED = 1  # not chosen for what it gives
TRUTH = {"odds_ratio": 0.8, "secondary_odds_ratio": 0.85, "plan_ratio": 0.9}  # treated against control
NOISE = 0.1  # standard deviation of what each authority does in each period on its own: log odds, and log length of plans
WITHOUT_PROCEEDINGS = ["Swindon"]  # one authority holds no court dates
---
## 1. The trial in a picture

Periods are cut at the dates of go-live, so their lengths differ.
---
ax = design.plot()
# alt: Grid of sequences by periods; each sequence turns from control to treated one period after the one above it
+++
Walsall and Lancashire were ready and shared out the first two dates; the other three authorities shared out the last three. That
permits 2! × 3! orders, and each was as likely as the one that was drawn:
---
orders = pd.DataFrame(np.array(design.clusters)[np.argsort(design.allocations(), axis=1)], columns=[f"step {k + 1}" for k in range(5)])
orders.index = range(1, len(orders) + 1)
orders
---
print(f"{design.count()} allocations: the randomisation test gives no p below 1/{design.count()} = {design.min_p():.3f}")
print(f"Can it reject at 5%? {design.min_p() <= 0.05}. It offers a {1 - design.min_p():.1%} interval.")
+++
So nothing can be shown at 5% by the draw alone, whatever the data say. A p of .083 is the strongest thing that it can say.
Every smaller p below rests on a model.

The primary outcome has a second limit. A child referred before go-live is a control, and the 18 months of follow-up run on into the
treated time:
---
overlap = sw.exposure_overlap(allocation, size=study.sizes, days=548)
print(f"{overlap.pooled:.1%} of the controls' follow-up is under treatment; {overlap.never_exposed:.1%} of controls never meet it")
+++
In the real trial this dilutes any effect that acts during follow-up, by more than the share itself (the notebook on power shows how
much more). The simulation below spares us: its effect belongs to the date of referral, whole. What the analyses find here they would
find less clearly there.

## 2. The data, through one door

A row a child: authority, date of first referral, covariates, outcomes. Ethnicity, asylum seeking and gender have gaps at the trial's
rates. Counts of 1 to 5 are not shown, and neither is a count from which one could be worked out.
---
simulated = simulate_children(study, SEED, **TRUTH, noise=NOISE, missing=True, without_proceedings=WITHOUT_PROCEEDINGS)
write_children(simulated, "children.csv")
children = read_children("children.csv")

counted = {"children": "child_id", "plans": "plan_days", "meetings before proceedings": "proceedings"}
counts = children.groupby("la")[list(counted.values())].count().set_axis(list(counted), axis=1)
counts.astype(object).mask(counts.isin(range(1, 6)), "1 to 5")
---
children[["gender", "ethnicity", "uasc"]].isna().mean().map("{:.1%}".format).rename("missing").to_frame()
+++
The door sorts dates into the design's periods, and refuses what contradicts the allocation or cannot be analysed. It never fills and
never drops unasked.
---
about = {"cluster": "la", "date": "referral_date", "treatment": "treated"}
COVARIATES = "C(age_group) + C(gender) + C(ethnicity) + C(disability) + C(previous_plans) + C(uasc) + white_british_share"

swapped = children.assign(la=children["la"].replace({"Walsall": "Swindon", "Swindon": "Walsall"}))
for rows, covariates in ((swapped, None), (children, COVARIATES)):
    try:
        sw.Trial.from_frame(rows, allocation, outcome="looked_after", family="binomial", covariates=covariates, **about)
    except sw.DataError as error:
        print(error, end="\n\n")
+++
The main analyses keep every child by making "not recorded" a level of its own. Imputation stands beside it in the sensitivity set.
---
incomplete = children[["gender", "ethnicity", "uasc"]]
known = children.assign(**incomplete.astype(object).where(incomplete.notna(), "not recorded").astype(str))


def trial_of(outcome, family, covariates=None, rows=known, under=allocation, **changed):
    """The trial of one outcome among the children who have it."""
    have = rows.dropna(subset=[outcome])
    return sw.Trial.from_frame(have, under, outcome=outcome, family=family, covariates=covariates, **{**about, **changed})


care = trial_of("looked_after", "binomial", COVARIATES)
cells = trial_of("looked_after", "binomial")
ax = cells.plot()
text = ax.set_ylabel("Share looked after within 18 months")
# alt: One line an authority: the share of children looked after in each period, with treated periods marked
---
## 3. The primary outcome

Three models of one comparison, all with the protocol's covariates. The pre-specified one is a logistic mixed model with a random
intercept for each authority. It is run as it was registered, and its note is printed with it.
---
cr2, over = sw.FixedEffects(vcov="CR2"), sw.FixedEffects(vcov="overdispersed")
registered = sw.MixedModel(sw.Exchangeable(), df="normal")
primary = {
    "authority effects, CR2 and Satterthwaite (leads)": cr2.fit(care),
    "authority effects, overdispersed": over.fit(care),
    "random intercept, z (pre-specified)": registered.fit(care),
}
print(primary["random intercept, z (pre-specified)"].summary())
+++
CR2 with Satterthwaite's degrees of freedom assumes that authorities are independent and nothing about how they vary; it keeps its size
with five. It leads. The overdispersed analysis assumes that all vary alike from period to period, and buys precision with that.
---
print(primary["authority effects, CR2 and Satterthwaite (leads)"].summary())
+++
The draw itself needs no model. Its interval is taken from the cells without covariates; adjusted, the test is run for its p alone.
---
by_draw = {
    "randomisation test, unadjusted": sw.RandomisationTest().run(cells, cr2),
    "randomisation test, adjusted": sw.RandomisationTest(interval=False).run(care, cr2),
}
print(by_draw["randomisation test, unadjusted"].summary())
---
ax = by_draw["randomisation test, unadjusted"].plot()
# alt: The log odds ratio under each of the 12 permitted allocations; the one carried out is marked
+++
An odds ratio is not a number of children. Standardised over the treated children, the same model says how many more or fewer in a
hundred were looked after than would have been without treatment:
---
points = sw.MarginalEffect(cr2, "difference", over="treated").fit(care)
print(f"{100 * points.estimate:.2f} in a hundred ({100 * points.conf_int[0]:.2f} to {100 * points.conf_int[1]:.2f})")
---
## 4. Six secondary outcomes

Each has the family that it is: yes or no, a share of sessions, a censored time, a total of days. Two need care before they are fitted.

* **Re-referral for the trio** (domestic abuse, parental mental health, substance misuse) starts at the first referral that names it.
  The treatment is the one on *that* day.
* **Care proceedings**: Swindon holds no dates. Nothing is filled. The trial is the one of the other four, given Swindon's place in the
  order, and permits 2! × 2! = 4 allocations.

Four of them are outcomes of selected children: those with a plan (twice), whose plan ended, whose case came to a meeting. If the
treatment changes who these are, the comparison is no longer one of like with like, and randomisation does not help.
---
four_dates = {name: date for name, date in study.go_live.items() if name not in WITHOUT_PROCEEDINGS}
four = sw.Design.from_dates(
    four_dates, start="2020-03-01", end="2022-11-24", strata=[["Walsall", "Lancashire"], ["Telford and Wrekin", "Wandsworth"]]
)
plans = known.dropna(subset=["plan_days"]).assign(ended=lambda rows: 1 - rows["plan_open"])
single = {"time": "plan_days", "event": "ended", "cluster": "la", "date": "referral_date"}
duration = sw.Duration(horizon=730)
WHO = "C(age_group) + C(gender) + C(disability) + C(previous_plans)"

outcomes = {
    "return to services after a plan": (trial_of("returned", "binomial", WHO), cr2),
    "days on a plan, restricted to 730": (duration.trial(plans, allocation, covariates=WHO, **single), sw.MixedModel()),
    "days on plans in 36 months": (trial_of("plan_days_total", "gaussian", WHO), sw.MixedModel()),
    "care proceedings in 16 weeks": (trial_of("proceedings", "binomial", under=four.allocate_dates(four_dates)), cr2),
    "re-referral for the trio": (trial_of("trio_rereferred", "binomial", WHO, date="trio_date", treatment="trio_treated"), cr2),
    "share of sessions missed": (trial_of("absence", "fractional", WHO), cr2),
}
secondary = {name: estimator.fit(trial) for name, (trial, estimator) in outcomes.items()}
print(f"Proceedings: {four.count()} allocations, so no p of the draw below {four.min_p():.2f}\n")
print(secondary["days on a plan, restricted to 730"].summary())
---
ax = duration.plot(plans, allocation, release=True, **single)
# alt: Share of plans still open by days since their start, for treated and control children, up to 730 days
+++
Six outcomes are six chances of a small p. Holm's and Hochberg's adjustments take the models' p values. MaxT takes the draw: it permutes
all outcomes together, so their dependence is in the reference. Proceedings have a design of their own and stand outside it.
---
p_values = {name: float(fit.p_value) for name, fit in secondary.items()}
by_number = {method: sw.multiplicity(p_values, method).set_index("outcome")["p_adjusted"] for method in ("holm", "hochberg")}
adjusted = pd.DataFrame({"p": p_values} | by_number)
largest = sw.MaxT().run({name: pair for name, pair in outcomes.items() if name != "care proceedings in 16 weeks"})
adjusted = adjusted.join(largest.tidy().set_index("outcome")[["p_value", "step_down", "min_p"]].add_prefix("draw: "))
adjusted.round(3)
---
## 5. The sensitivity set

**Missing values**, three ways by one call. Five imputed sets are enough to show it; take twenty for a paper.
---
gaps = sw.missing_data_analysis(
    children,
    allocation,
    cr2,
    outcome="looked_after",
    family="binomial",
    covariates=COVARIATES,
    imputation=sw.MultipleImputation(imputations=5, seed=SEED),
    **about,
)
gaps.tidy()[["method", "estimate", "std_error", "df", "p_value", "n", "dropped", "fmi"]].round(3)
+++
**Population**: only children whose assessment named the trio. **Other models**: generalised estimating equations; mixed models whose
authorities also vary from period to period, or drift. **Other tests**: the ones made for few clusters.
---
drifting, varying = sw.MixedModel(sw.ExponentialDecay(), df="between-within"), sw.MixedModel(sw.NestedExchangeable(), df="between-within")
sensitivity = {
    **{f"missing values: {method}": fit for method, fit in gaps.estimates.items()},
    "trio named at first referral": cr2.fit(trial_of("looked_after", "binomial", COVARIATES, rows=known[known["trio"] == 1])),
    "unadjusted, CR2": cr2.fit(cells),
    "GEE, Kauermann-Carroll": sw.GEE().fit(care),
    "random authority-periods": varying.fit(care),
    "random authority-periods that decay": drifting.fit(care),
    "likelihood ratio, unadjusted": LikelihoodRatioTest().run(cells, varying),
    "parametric bootstrap, unadjusted": ParametricBootstrapTest(seed=SEED).run(cells, varying),
    "wild bootstrap, unadjusted": sw.WildBootstrapTest().run(cells, cr2),
    "jackknife over authorities": sw.JackknifeTest().run(care, cr2),
}
+++
**Readiness by treatment**: an effect of its own for each stratum.
---
strata = tuple(stratum.clusters for stratum in design.strata)
by_readiness = replace(sw.FixedEffects(effect=sw.ByGroup(strata)).fit(care), terms=("Walsall and Lancashire", "the later three"))
by_readiness.tidy()[["term", "estimate", "conf_low", "conf_high", "df"]].round(3)
+++
**Treatment by period** cannot be fitted as it was written down: nobody is a control in the last period. It is refused, and what is left
of it has to be asked for. Single periods hold too little for a cluster-robust variance, which says so as well.
---
for effect in (sw.ByPeriod(), sw.ByPeriod(empty="leave out")):
    try:
        sw.FixedEffects(effect=effect).fit(care)
    except sw.SwedgeError as error:
        print(error, end="\n\n")
ax = sw.FixedEffects(vcov="overdispersed", effect=sw.ByPeriod(empty="leave out")).fit(care).plot()
# alt: Log odds ratio in each of periods 2 to 5 with pointwise intervals and a simultaneous band
+++
**Time since go-live.** A constant effect is an assumption. Where it fails, the estimate is a weighted sum of the effects at each
exposure, and these are the weights:
---
print(sw.exposure_weights(care, cr2).summary())
+++
The longest exposures count negatively: an effect that grows would be pulled down by its own growth. The curve assumes no shape, and its
average over exposures is an estimand with no negative weight. The band holds for the whole curve at once.
---
curve = sw.FixedEffects(vcov="overdispersed", effect=sw.ByExposure()).fit(care)
sensitivity |= {
    "average over exposures 1 to 5, CR2": sw.FixedEffects(effect=sw.ByExposure(), estimand=sw.TATE(1, 5)).fit(care),
    "average over exposures 1 to 3, CR2": sw.FixedEffects(effect=sw.ByExposure(), estimand=sw.TATE(1, 3)).fit(care),
}
ax = curve.plot()
# alt: Log odds ratio at exposures of 1 to 5 periods with pointwise intervals and a simultaneous band
+++
**One authority at a time.** Does the answer hang on one of them?
---
left_out = sw.leave_one_cluster_out(care, cr2)
print(left_out.summary())
ax = left_out.plot()
# alt: Log odds ratio with all authorities and without each of the five, with intervals
---
sw.diagnose(cells, cr2, release=True).tidy().round(3)
+++
**Days on a plan by Cox regression**, authorities as strata. A positive log hazard ratio means that plans end sooner.
---
hazard = duration.cox(plans, allocation, covariates=WHO, **single)
print(hazard.summary())
+++
**Not run.** The protocol also defines treatment by the share of the episode: at least half of it, or at least four weeks, after
go-live. That needs the day on which a case closed, which was not collected. It is a declared deviation and has its rows in the table.

## 6. One table

`truth` is what the simulation put in: an odds ratio, or the mean difference that treatment made to the treated children, which is known
because the same children can be simulated without it. It is blank where the analysis estimates something else (a marginal odds ratio, a
hazard ratio) or nothing; an unadjusted odds ratio is a little nearer to 1 than what is shown. `min_p` is the smallest p that the
analysis could have given, 0 where there is none.
---
treated = simulated["treated"] == 1
untreated = simulate_children(study, SEED, odds_ratio=1.0, noise=NOISE)
made = {name: (simulated[name] - untreated[name])[treated].mean() for name in ("looked_after", "plan_days", "plan_days_total")}
log_odds, log_odds_secondary = np.log(TRUTH["odds_ratio"]), np.log(TRUTH["secondary_odds_ratio"])
truths = dict.fromkeys(secondary, log_odds_secondary) | {
    "days on a plan, restricted to 730": made["plan_days"],
    "days on plans in 36 months": made["plan_days_total"],
}
CARE, MARGINAL, DAYS = "looked after", "GEE, Kauermann-Carroll", [name for name in secondary if name.startswith("days")]
COLUMNS = ["outcome", "analysis", "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]
COLUMNS += ["estimand", "estimator", "status", "min_p", "truth"]


def row(outcome, analysis, result, truth):
    """One result in the columns that every result has, and below it the interval that a test offers at a lower level."""
    found = result.tidy().assign(outcome=outcome, analysis=analysis, truth=truth)
    if not isinstance(result, sw.TestResult):
        return found.reindex(columns=COLUMNS)
    status = sw.Status(int(result.status)).name.lower()
    found = found.rename(columns={"test": "estimator"}).assign(std_error=result.std_error, status=status)
    if result.offered_conf_int is not None:
        low, high = result.offered_conf_int
        offered = found.assign(analysis=f"{analysis}, {result.offered_level:.1%} interval", conf_low=low, conf_high=high)
        found = pd.concat([found, offered])
    return found.reindex(columns=COLUMNS)


not_run = pd.DataFrame({"outcome": CARE, "analysis": ["treated for half of the episode", "treated for 4 weeks of the episode"]})
parts = [row(CARE, name, result, log_odds) for name, result in (primary | by_draw).items()]
parts += [row(CARE, name, result, np.nan if name == MARGINAL else log_odds) for name, result in sensitivity.items()]
parts += [row(CARE, "by readiness", by_readiness, log_odds), row(CARE, "by exposure, overdispersed", curve, log_odds)]
parts += [row(CARE, "difference of risks among the treated", points, made["looked_after"])]
parts += [row(name, "main analysis", fit, truths[name]) for name, fit in secondary.items()]
parts += [row("days on a plan, restricted to 730", "Cox, log hazard ratio", hazard, np.nan)]
parts += [not_run.assign(status="not run: closure dates were not collected").reindex(columns=COLUMNS)]
table = pd.concat([part.astype(object) for part in parts], ignore_index=True)
table["min_p"] = table["min_p"].where(table["min_p"].notna() | table["estimate"].isna(), 0.0)
table["term"] = table["term"].where(table["term"].notna() | table["estimate"].isna(), "treatment")

shown = table[["outcome", "analysis", "term", "estimate", "conf_low", "conf_high", "df", "p_value", "min_p", "truth", "status"]]
numbers = shown.columns[3:-1]
with pd.option_context("display.max_rows", 100):
    display(shown.assign(**{name: shown[name].map("{:.3f}".format, na_action="ignore") for name in numbers}).fillna(""))
---
## One picture

A panel for each scale and unit: odds ratios, days, risks, hazard. Arrows are intervals without an end.
---
panels = {
    "Looked after": (primary | by_draw | sensitivity | {"by readiness": by_readiness}, None),
    "Secondary outcomes": ({name: fit for name, fit in secondary.items() if name not in DAYS}, None),
    "Secondary outcomes in days": ({name: secondary[name] for name in DAYS}, "difference, days"),
    "Looked after, among the treated": ({"difference of risks": points}, "difference of risks"),
    "Plans that end": ({"Cox": hazard}, None),
}
heights = [len(results) + 3 for results, _ in panels.values()]
figure, axes = plt.subplots(len(panels), 1, figsize=(9, 0.4 * sum(heights)), height_ratios=heights, layout="constrained")
for ax, (title, (results, unit)) in zip(axes, panels.items(), strict=True):
    forest(results, ax=ax)
    ax.set_title(title, loc="left", fontweight="bold")
    if unit:
        ax.set_xlabel(unit)
# alt: Estimates with intervals in five panels: odds ratios of the primary and the secondary outcomes, then days, risks and hazard
---
## What can be said
---
def ratio(fit):
    """An odds ratio with its interval, in words."""
    low, high = np.exp(fit.conf_int)
    return f"{np.exp(fit.estimate):.2f} ({low:.2f} to {high:.2f})"


lead, pre_specified = next(iter(primary.values())), primary["random intercept, z (pre-specified)"]
exact = by_draw["randomisation test, unadjusted"]
compared = table[table["truth"].notna() & np.isfinite(table["conf_low"].astype(float))]
missed = compared[(compared["truth"] < compared["conf_low"]) | (compared["truth"] > compared["conf_high"])]
print(f"Odds ratio of being looked after: {ratio(lead)}; the truth was {TRUTH['odds_ratio']}.")
print(f"By the pre-specified model: {ratio(pre_specified)}. By the draw p is {exact.p_value:.2f}, and {exact.min_p:.3f} at best.")
print(f"Smallest p of six secondary outcomes: {adjusted['p'].min():.3f} alone, {adjusted['holm'].min():.3f} by Holm's adjustment,")
print(f"{adjusted['draw: p_value'].min():.3f} by the draw alone and {adjusted['draw: step_down'].min():.3f} by MaxT.")
print(f"{len(missed)} of {len(compared)} finite intervals miss the truth:")
print(missed[["outcome", "analysis"]].to_string(index=False, header=False))
+++
* **The primary outcome is open.** The leading interval reaches from half the odds to nearly twice. It holds the truth, and it holds no
  effect. That is not evidence of no effect: where each goes its own way from period to period, five authorities seldom tell an odds
  ratio of .8 from 1 (the notebook on power says how seldom).
* **The narrow interval is not the better one.** The pre-specified model's is a third as wide, because it takes all five authorities to
  share one trend, which the simulation made untrue. Here it holds the truth, just; where there is no effect, such intervals miss 1 too
  often.
* **What the draw says, it says coarsely.** Its 91.7% interval misses the truth, as one in twelve does, and on the scale of odds it is
  approximate. At 95% it says nothing at all.
* **The striking secondary outcome misleads.** Return to services has the smallest p, and its interval lies beyond the truth: the effect
  is there and is exaggerated. By Holm's adjustment its p is above 5%, as is that of re-referral for the trio; by the draw both are
  1/12, the smallest there is. And a child can only return whose plan has ended.
* **Days on plans are too variable.** Plans were made a tenth shorter, some 26 days; the intervals reach about 40 days to either side
  of the estimate.
* **The intervals of the sensitivity set are not so many witnesses.** They share one set of children. That they agree says that the
  answer does not hang on the model, not that it is right.

None of this is a result of Family Safeguarding. With a file of the same columns in place of the simulated one, the cells above run as
they stand, except for `truth`.
'''


def described(alt: str) -> dict[str, object]:
    """Metadata of a cell whose picture has a text for readers who cannot see it."""
    return {"mystnb": {"image": {"alt": alt}}} if alt else {}


def notebook(name: str, source: str) -> None:
    """A line `---` begins a cell, `+++` or a heading one of Markdown; a code cell may end in `# alt:` and what its picture shows."""
    cells = []
    marked = re.split(r"^(---|\+\+\+)$", f"+++{source}", flags=re.MULTILINE)[1:]
    for number, (mark, part) in enumerate(zip(marked[::2], marked[1::2], strict=True)):
        text, _, alt = part.strip().partition("\n# alt: ")
        prose = mark == "+++" or text.startswith("#")
        cell = (new_markdown_cell if prose else new_code_cell)(text, metadata=described(alt))
        cell["id"] = f"{name}-{number}"
        cells.append(cell)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "language_info": {"name": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), HERE / f"{name}.ipynb")


if __name__ == "__main__":
    notebook("design", DESIGN)
    notebook("analysis", ANALYSIS)
    notebook("family_safeguarding", FAMILY_SAFEGUARDING)
    notebook("power", POWER)
