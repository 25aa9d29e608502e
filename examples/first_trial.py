"""A stepped-wedge trial from the draw to the result: eight clinics, five periods, and data made up on the spot.

Run it with `python examples/first_trial.py`; it takes a few seconds.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import swedge as sw

# 1. The design: two clinics cross over at each of four steps. Strata and dates would be written here too, and nowhere else.
clinics = ["Alder", "Beech", "Cherry", "Damson", "Elder", "Fir", "Gorse", "Hazel"]
design = sw.Design.stepped_wedge(clusters=clinics, periods=5)
print(f"{design.count():,} permitted allocations; the smallest p of the randomisation test is {design.min_p():.4f}.\n")

# 2. Power, before anything is drawn: first the size (an effect of 0), then the effect hoped for.
analyses = {
    "mixed model": sw.MixedModel(),
    "exact test": (sw.TwoWayFixedEffects(), sw.RandomisationTest(draws=199)),
}
for effect in (0.0, 3.0):
    truth = sw.Scenario("gaussian", baseline=50.0, effect=effect, size=30, sd=10.0, correlation=sw.NestedExchangeable(icc=0.05, cac=0.8))
    print(sw.simulate_power(design, truth, analyses, reps=250, seed=1).summary())

# 3. The draw. The record can be loaded, is drawn again when it is, and refuses an edit of one byte.
allocation = design.randomise(seed=20260901)
record = Path(tempfile.mkdtemp()) / "allocation.json"  # of a real trial: where it stays, and is backed up
allocation.save(record)
print(f"\n{sw.Allocation.load(record).calendar().to_string(index=False)}\n")

# 4. The data: a row a patient. These have an effect of 3 on a score with a standard deviation of about 10.
rng = np.random.default_rng(7)
patients = pd.DataFrame({"clinic": rng.choice(clinics, 1200), "period": rng.integers(1, 6, 1200), "age": rng.normal(60, 10, 1200).round()})
row, column = patients["clinic"].map(clinics.index), patients["period"] - 1
level = rng.normal(50, 2, (8, 1)) + rng.normal(0, 1, (8, 5)) + 3 * allocation.treatment
patients["score"] = level[row, column] + 0.1 * (patients["age"] - 60) + rng.normal(0, 10, 1200)

# 5. The analysis, adjusted for age. The cluster-by-period effect and Kenward-Roger degrees of freedom are the defaults.
trial = sw.Trial.from_frame(patients, allocation, cluster="clinic", period="period", outcome="score", covariates="age")
print(sw.MixedModel().fit(trial).summary())

# 6. The test that needs no model: the estimate among those of all permitted allocations.
print(f"\n{sw.RandomisationTest().run(trial, sw.TwoWayFixedEffects()).summary()}")
