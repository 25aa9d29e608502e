"""Write the notebooks of this folder, without outputs: `python notebooks/make_notebooks.py`, after a change of their text here."""

from __future__ import annotations

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

From a file with a row a person to estimates, tests and pictures. The file is simulated here, at the sizes of the Family Safeguarding
trial with an odds ratio of .7; with your own data, read your file in the cell after the next.
---
import numpy as np
import pandas as pd

import swedge as sw
from swedge.studies import family_safeguarding, simulate_children

study = family_safeguarding()
simulate_children(study, seed=1, odds_ratio=0.7, noise=0.1).to_csv("children.csv", index=False)
---
## From rows to a trial

The allocation is the one carried out. Dates are sorted into the design's periods, and what does not fit is refused with a reason.
---
children = pd.read_csv("children.csv")
allocation = study.allocation
about = {"cluster": "la", "date": "referral_date", "treatment": "treated"}

trial = sw.Trial.from_frame(
    children, allocation, outcome="looked_after", family="binomial", covariates="C(age_group) + C(gender) + disability", **about
)
trial.tidy().pivot(index="cluster", columns="period", values="outcome").round(3)
---
ax = trial.plot()
---
## The primary outcome

Two analyses side by side: CR2 assumes nothing of how an authority varies over time, the overdispersed one that all vary alike.
Estimates are log odds ratios, treated minus control.
---
lead = sw.FixedEffects(vcov="CR2").fit(trial)
print(lead.summary())
---
fits = [lead, sw.FixedEffects(vcov="overdispersed").fit(trial)]
ratios = pd.concat([fit.tidy() for fit in fits]).set_index("estimator")[["estimate", "conf_low", "conf_high"]].apply(np.exp)
ratios.round(3)
---
## The test that stands on the draw alone

12 orders were permitted, so p is never below 1/12 and a 95% interval does not exist; the note gives the one that does.
---
exact = sw.RandomisationTest().run(trial, sw.TwoWayFixedEffects())
print(exact.summary())
---
ax = exact.plot()
---
## A continuous outcome

Days on a child protection plan, for the children who had one. The cluster-by-period effect and Kenward-Roger degrees of freedom are
defaults.
---
plans = sw.Trial.from_frame(children.dropna(subset=["plan_days"]), allocation, outcome="plan_days", **about)
fit = sw.MixedModel().fit(plans)
print(fit.summary())
---
## Which cells the estimate stands on

Blue cells count positively and orange ones negatively; framed cells were treated.
---
ax = sw.TwoWayFixedEffects().plot_weights(trial)
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


def notebook(name: str, source: str) -> None:
    """Cells are separated by lines of three hyphens; one that begins like prose is Markdown."""
    cells = []
    for number, text in enumerate(part.strip() for part in source.split("\n---\n")):
        prose = text.startswith("#") or number == 0
        cell = (new_markdown_cell if prose else new_code_cell)(text)
        cell["id"] = f"{name}-{number}"
        cells.append(cell)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "language_info": {"name": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), HERE / f"{name}.ipynb")


if __name__ == "__main__":
    notebook("design", DESIGN)
    notebook("analysis", ANALYSIS)
    notebook("power", POWER)
