"""A small plan as TOML, for the tests of reading."""

from __future__ import annotations

from pathlib import Path

SMALL = """\
format = "swedge plan 1"
title = "A small trial"
seed = 3

[design]
kind = "stepped_wedge"
clusters = ["A", "B", "C", "D", "E"]
periods = 6

[sources.people]
cluster = "cluster"
period = "period"
file = "people.csv"

[columns.age]
holds = "number"

[columns.trio]
holds = "category"

[populations.all]
[populations.trio]
where = [{ column = "trio", among = [1] }]

[outcomes.recovered]
column = "recovered"
family = "binomial"
role = "primary"
covariates = "age"

[estimators.cr2]
kind = "FixedEffects"

[estimators.mixed]
kind = "MixedModel"
correlation = { kind = "NestedExchangeable" }

[tests.exact]
kind = "RandomisationTest"
interval = false

[analyses.main]
estimators = ["cr2"]
tests = ["exact"]

[missing.imputation]
imputations = 5

[multiplicity]
method = "holm"
analysis = "main"
estimator = "cr2"
outcomes = ["recovered"]

[power.simulated]
kind = "PowerBySimulation"
estimators = ["cr2"]
[power.simulated.truth]
family = "binomial"
baseline = 0.1
size = 100
correlation = { kind = "Exchangeable", icc = 0.01 }

[text]
background = "Why."
"""


def written(folder: Path, text: str | bytes = SMALL, name: str = "plan.toml") -> Path:
    """A plan's file of this text."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def line_of(sign: str, text: str = SMALL) -> int:
    """The line, from 1, in which a sign stands first."""
    return text[: text.index(sign)].count("\n") + 1
