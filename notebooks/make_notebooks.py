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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

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

First the rate at which each analysis finds an effect that is not there; the power of one that exceeds 5% means nothing. Bars are 95%
Monte Carlo intervals.
---
analyses = {
    "GLMM, normal": sw.MixedModel(sw.Exchangeable(), df="normal"),
    "CR2, Satterthwaite": sw.FixedEffects(vcov="CR2"),
    "overdispersed": sw.FixedEffects(vcov="overdispersed"),
}
sizes = [[size[site]] * design.n_periods for site in design.clusters]


def power(odds_ratio, noise, reps=500):
    """Rejection rates of every analysis at one odds ratio and one amount of noise."""
    truth = sw.Scenario(
        family="binomial",
        scale="logit",
        baseline=risk,
        effect=np.log(odds_ratio),
        size=sizes,
        correlation=sw.RandomEffects(cluster=0.2, cluster_period=noise),
    )
    return sw.simulate_power(design, truth, analyses, reps=reps, seed=1).tidy().assign(odds_ratio=odds_ratio, noise=noise)


null = pd.concat([power(1.0, sd) for sd in (0.0, noise, 2 * noise)])
null.pivot(index="estimator", columns="noise", values="power").round(3)
---
curve = pd.concat([power(ratio, noise) for ratio in (1.0, 0.9, 0.8, 0.7, 0.6)])
figure, ax = plt.subplots()
for marker, (name, rows) in zip("sov", curve.groupby("estimator"), strict=True):
    ax.errorbar(rows["odds_ratio"], rows["power"], yerr=1.96 * rows["mcse"], marker=marker, capsize=3, label=name)
ax.axhline(0.05, color="0.6", linestyle=":")
ax.set(xlabel="Odds ratio", ylabel="Rejection rate at two-sided 5%", ylim=(0, 1))
legend = ax.legend()
---
power(odds_ratio, noise, reps=2000)[["estimator", "power", "mcse", "coverage", "n_failed"]].round(3)
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
