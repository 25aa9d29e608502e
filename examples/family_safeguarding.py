"""The Family Safeguarding trial: five authorities, 12 permitted allocations, and what can be concluded from it.

Run it with `python examples/family_safeguarding.py`; it takes a few seconds. The design, sizes and risks are published; the children are
simulated, with an odds ratio of .7, and none of them exists. `swedge demo` makes a full report of the same trial.
"""

import numpy as np
import pandas as pd

import swedge as sw
from swedge.studies import family_safeguarding, simulate_children

study = family_safeguarding()
design, allocation = study.design, study.allocation
print(f"{study.tidy().to_string(index=False)}\n")
print(
    f"Two authorities took the first two steps and three the last three: {design.count()} orders were possible. A randomisation test"
    f" compares the estimate with those of the {design.count()} orders, so its p is never below 1/{design.count()} = {design.min_p():.3f}:"
    " it cannot reject at 5%, whatever the data.\n"
)

# What an analysis is worth when authorities drift a little by themselves: its size, then its power at an odds ratio of .8.
analyses = {
    "GLMM, z (as pre-specified)": sw.MixedModel(sw.Exchangeable(), df="normal"),
    "CR2, Satterthwaite": sw.FixedEffects(vcov="CR2"),
    "overdispersed": sw.FixedEffects(vcov="overdispersed"),
}
for odds_ratio in (1.0, 0.8):
    simulated = sw.simulate_power(design, study.scenario(odds_ratio, noise=0.1), analyses, reps=1000, seed=1)
    print(f"Odds ratio {odds_ratio:g}\n{simulated.summary()}\n")

# The children, as a data frame of one row each; the date of referral is sorted into the design's periods.
children = simulate_children(study, seed=1, odds_ratio=0.7, noise=0.1)
trial = sw.Trial.from_frame(
    children,
    allocation,
    cluster="la",
    date="referral_date",
    outcome="looked_after",
    family="binomial",
    treatment="treated",  # checked against the allocation
    covariates="C(age_group) + C(gender) + disability",
)
fits = [sw.FixedEffects(vcov=vcov).fit(trial) for vcov in ("CR2", "overdispersed")]
ratios = pd.concat([fit.tidy() for fit in fits]).set_index("estimator")[["estimate", "conf_low", "conf_high"]].apply(np.exp)
print(f"Looked after within 18 months, odds ratio with its 95% interval\n{ratios.round(2).to_string()}\n")
print(fits[0].summary())

# The test that stands on the draw alone, with the most that 12 allocations can give: a 91.7% interval for the difference in risk.
exact = sw.RandomisationTest().run(trial, sw.TwoWayFixedEffects())
print(f"\n{exact.summary()}\n")

# A continuous outcome, for the children who had a plan.
plans = children.dropna(subset=["plan_days"])
duration = sw.Trial.from_frame(plans, allocation, cluster="la", date="referral_date", outcome="plan_days")
print(sw.MixedModel().fit(duration).summary())
