"""diff-diff's EfficientDiD (Chen, Sant'Anna and Xie), rebuilt from effects by group and time and their influence functions.

An effect may be measured through any cohort h not treated yet in a base period s: the never-treated clusters' change since s, and h's
change from the first period to s, stand for the change that is missing. All give the same number if trends are parallel throughout; the
estimator weighs them by the inverse of their covariance. swedge does not offer it: as many variances and covariances are estimated as there
are periods and cohorts. With cohorts of one state (castle5_plus10) it says -.217 with standard errors of effects down to 3e-7.

diff-diff also takes the never-treated for h, and then counts their changes before and after s as independent. Its weights are therefore not
those of least variance: those give -.0437 overall on `mpdta` for its -.0455, and smaller standard errors.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import reference_data as data
import swedge as sw

Array = NDArray[np.float64]

NUMBERS = data.golden("did_local").set_index("id")
RIDGE = 1e-6
COLUMNS = {
    "mpdta": {"cluster": "countyreal", "period": "year", "outcome": "lemp", "first_treated": "first.treat"},
    "castle5_plus10": {"cluster": "sid", "period": "year", "outcome": "l_homicide", "first_treated": "gvar"},
}
NEVER = np.inf


def panel(name: str) -> sw.Trial:
    return sw.Trial.from_panel(pd.read_csv(data.needed_folder() / f"data/did/{name}.csv"), **COLUMNS[name])


class Efficient:
    """Rows over effects by group and time with one base period; `independent` is diff-diff's covariance, else the least variance."""

    def __init__(self, trial: sw.Trial, independent: bool = True) -> None:
        effects = sw.CallawaySantAnna(aggregate=None, base="universal", vcov="influence", df="normal")
        fit, self.trial, self.independent = effects.fit(trial), trial, independent
        self.pairs = [(int(term.split()[1].rstrip(",")), int(term.split()[-1])) for term in fit.terms]
        self.effect, self.influence = fit.estimate, effects.influence(trial)
        self.start = np.where(trial.arm.any(-1), np.array(trial.periods)[trial.arm.argmax(-1)], NEVER)
        self.years, self.groups = list(trial.periods), sorted({group for group, _ in self.pairs})
        self.size = {group: int((self.start == group).sum()) for group in (*self.groups, NEVER)}

    def since_first(self, group: float, year: int) -> Array:
        """A cohort's change since the first period against the never-treated, as a row over effects."""
        return np.array([(pair == (group, year)) - float(pair == (group, self.years[0])) for pair in self.pairs])

    @cached_property
    def spread(self) -> dict[float, Array]:
        """Covariance of each cohort's mean outcomes, ``(T, T)``; 0 of a cohort of one."""
        tables = {group: self.trial.outcome[self.start == group] for group in self.size}
        return {g: np.cov(y.T) / len(y) if len(y) > 1 else np.zeros((len(self.years),) * 2) for g, y in tables.items()}

    def moved(self, group: float, since: int, to: int) -> dict[float, Array]:
        """Weights of one cohort's means in a change."""
        weight = np.zeros(len(self.years))
        weight[self.years.index(to)] += 1
        weight[self.years.index(since)] -= 1
        return {group: weight}

    def covariance(self, group: int, year: int, ways: list[tuple[float, int]]) -> Array:
        """Covariance of the group's change in a year measured in several ways."""
        first, parts = self.years[0], []
        for other, base in ways:
            legs = [("own", group, first, year, 1.0), ("never", NEVER, base, year, -1.0), ("other", other, first, base, -1.0)]
            table = {g: np.zeros(len(self.years)) for g in self.size} | {"apart": np.zeros(len(self.years))}
            for leg, of, since, to, sign in legs:
                apart = self.independent and leg == "other" and of == NEVER
                table["apart" if apart else of] += sign * self.moved(of, since, to)[of]
            parts.append(table)
        spread = {**self.spread, "apart": self.spread[NEVER]}
        return sum(np.array([p[g] for p in parts]) @ v @ np.array([p[g] for p in parts]).T for g, v in spread.items())

    def row(self, group: int, year: int) -> Array:
        """The weighted effect of a group in a year."""
        others = [(h, s) for h in (*self.groups, NEVER) for s in self.years[1:] if s < h and (h, s) != (group, year)]
        ways = others if self.independent else [(NEVER, self.years[1]), *(way for way in others if way[0] != NEVER)]
        covariance = self.covariance(group, year, ways)
        ridge = RIDGE * np.trace(covariance) / len(ways) if self.independent else 0.0
        weight = np.linalg.solve(covariance + ridge * np.eye(len(ways)), np.ones(len(ways)))
        shares = zip(weight / weight.sum(), ways, strict=True)
        return self.since_first(group, year) - sum(w * self.since_first(h, s) for w, (h, s) in shares if h != NEVER)

    def averaged(self, term: str) -> tuple[float, float]:
        """Estimate and standard error; shares of cohorts in overall and event averages are estimates too."""
        last = int(term.split()[-1]) if term != "overall" else 0
        if "," in term or term.startswith("group"):
            group = int(term.split()[1].rstrip(","))
            years = [last] if "," in term else [year for year in self.years if year >= group]
            row = np.mean([self.row(group, year) for year in years], 0)
            return float(row @ self.effect), float(np.linalg.norm(row @ self.influence))
        cells = [(g, t) for g in self.groups for t in self.years[1:] if (t >= g if term == "overall" else t - g == last)]
        rows, sizes = np.array([self.row(*cell) for cell in cells]), np.array([self.size[g] for g, _ in cells])
        row = sizes @ rows / sizes.sum()
        shares = sum((self.start == g) * ((own - row) @ self.effect) for (g, _), own in zip(cells, rows, strict=True)) / sizes.sum()
        return float(row @ self.effect), float(np.linalg.norm(row @ self.influence + shares))


@pytest.mark.parametrize("name", ["dd_eff_mpdta", "dd_eff_castle5_10"])
def test_efficient_weights_of_diff_diff(name: str) -> None:
    """Every effect. With cohorts of one the covariance is all but singular, and held up by its ridge: 1e-8 of what is left."""
    rows = NUMBERS.loc[name]
    ours = Efficient(panel(rows["data"].iloc[0]))
    found = np.array([ours.averaged(term) for term in rows.term])
    near = 1e-10 if name == "dd_eff_mpdta" else 1e-6
    np.testing.assert_allclose(found[:, 0], rows.estimate, rtol=0, atol=near)
    np.testing.assert_allclose(found[:, 1], rows.se, rtol=near, atol=0 if name == "dd_eff_mpdta" else 1e-9)


def test_weights_of_least_variance_are_others() -> None:
    """With the covariance that is left out every effect's standard error is smaller, by up to 1.4%."""
    rows = NUMBERS.loc["dd_eff_mpdta"]
    least = Efficient(panel("mpdta"), independent=False)
    cells = rows[rows.term.str.contains(",")]
    ratio = np.array([least.averaged(term)[1] for term in cells.term]) / cells.se
    assert ((ratio > 0.985) & (ratio < 1)).all()
    assert least.averaged("overall")[0] == pytest.approx(-0.0437, abs=5e-5)
