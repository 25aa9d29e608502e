"""A plan in Python: six clinics, registered before the data, run on data made up on the spot, and reported.

Run it with `python examples/plan.py`; it takes a few seconds. The same as a text file and commands: `swedge new`, `check`, `randomise`,
`lock`, `run`, `report`.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import swedge as sw
from swedge.plan import Analysis, Outcome, PlannedEstimator, PlannedTest, Population, Source

folder = Path(tempfile.mkdtemp())  # of a real trial: where it stays, and is backed up

# 1. The design and its draw.
clinics = ["Ash", "Birch", "Cedar", "Dale", "Elm", "Fir"]
design = sw.Design.stepped_wedge(clusters=clinics, periods=7)
allocation = design.randomise(seed=20260901)

# 2. The plan: everything that is decided before the data are looked at, as frozen objects.
plan = sw.Plan(
    title="Recovery in six clinics",
    design=design,
    allocation=allocation,
    sources=(Source("people", cluster="clinic", period="period"),),
    populations=(Population("all", "Everybody"),),
    outcomes=(
        Outcome("recovered", "Recovered", column="recovered", family="binomial", role="primary", covariates="age", expected=0.3),
        Outcome("score", "Score", column="score", family="gaussian", unit="points", expected=50.0, sd=10.0),
    ),
    estimators=(
        PlannedEstimator("cr2", "Clinic effects, CR2", sw.FixedEffects(vcov="CR2")),
        PlannedEstimator("mixed", "Mixed model", sw.MixedModel()),
    ),
    tests=(PlannedTest("exact", "Randomisation test", sw.RandomisationTest(interval=False)),),
    analyses=(
        Analysis("main", "Main", estimators=("cr2",), tests=("exact",)),
        Analysis("model", "Mixed model", part="sensitivity", outcomes=("score",), estimators=("mixed",)),
    ),
    seed=20260115,
    date="2026-01-15",
)

# 3. The lock: the SHA-256 that it prints is what is registered.
plan.lock(folder / "plan.lock.json")
locked = sw.Plan.load(folder / "plan.lock.json")

# 4. A rehearsal on simulated data without any effect, so that tables and figures are final.
print(repr(locked.rehearse(seed=1, progress=False)))

# 5. The data: a row a person. These have a risk difference of .1 and a difference of 2 points.
rng = np.random.default_rng(5)
people = pd.DataFrame({"clinic": rng.choice(clinics, 3000), "period": rng.integers(1, 8, 3000), "age": rng.integers(18, 90, 3000)})
treated = allocation.treatment[people["clinic"].map(clinics.index), people["period"] - 1]
people["recovered"] = rng.binomial(1, 0.3 + 0.1 * treated)
people["score"] = rng.normal(50 + 2 * treated + people["clinic"].map(clinics.index), 10)

# 6. The run, the deviations (none) and the folder of documents.
report = locked.run(people, progress=False)
print(report.summary())
print(f"\nReport: {report.save(folder / 'results')}")
