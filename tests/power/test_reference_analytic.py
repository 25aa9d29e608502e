"""Analytic power against slow and obvious counterparts.

Variances and df are compared with full matrices over individuals (dense.py, which shares no code with swedge) to 1e-9 relative: both
sides are exact, and two inversions of matrices of condition 1e3 to 1e4 cost five of the sixteen digits. Powers to 1e-9: a series against
a quadrature. Optima found by search are compared by their value, to 1e-8: it is flat there, so the place is known only to its root.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

import swedge as sw
from power import dense
from swedge._kernels.noncentral import two_sided_power

Array = NDArray[np.float64]

ROWS = [[0, 1, 1, 1], [0, None, 1, 1], [0, 0, 0.5, 1]]
AWKWARD = sw.Design.from_matrix(ROWS, clusters_per_sequence=[1, 2, 1])
PLACED = AWKWARD.allocate(dict(zip(AWKWARD.clusters, (1, 0, 2, 1), strict=True)))
DATES = [dt.date(2020, 3, 1) + dt.timedelta(days=d) for d in (0, 184, 337, 484, 694)]
DATED = replace(AWKWARD, boundaries=tuple(DATES))
SIZES = {
    "equal": np.full((4, 4), 3),
    "by cluster": np.repeat([[2], [5], [3], [4]], 4, axis=1),
    "by cell": np.array([[1, 4, 2, 3], [5, 2, 6, 1], [2, 2, 3, 0], [4, 1, 5, 2]]),
}
SD = 2.0


def steps(a: dense.Person, b: dense.Person) -> float:
    return abs(a.period - b.period)


def apart(a: dense.Person, b: dense.Person) -> float:
    return float(a.period != b.period)


def calendar(a: dense.Person, b: dense.Person) -> float:
    middle = [(p.toordinal() + q.toordinal()) / 2 for p, q in pairwise(DATES)]
    return abs(middle[a.period] - middle[b.period]) / np.mean(np.diff(middle))


def total(a: dense.Person) -> float:
    return SD**2


def nested(icc: float, cac: float, iac: float = 0.0) -> list[dense.Term]:
    """Cluster and cluster-by-period effects as two parameters."""
    own = dense.correlated(0.0, 1.0, iac, total, steps)[1:]
    here = icc * cac * SD**2, lambda a, b: float(a.cluster == b.cluster)
    now = icc * (1 - cac) * SD**2, lambda a, b: float(a.cluster == b.cluster and a.period == b.period)
    return [here, now, *[((1 - icc) * value, function) for value, function in own]]


def decaying(icc: float, cac: float, lag: Callable[[dense.Person, dense.Person], float], iac: float = 0.0) -> list[dense.Term]:
    shared, *rest = dense.correlated(icc, cac, iac, total, lag)
    return [shared, dense.slope_of_decay(icc, cac, SD**2, lag, own=False), *rest]


def proportional(icc: float, cac: float) -> list[dense.Term]:
    shared = icc, lambda a, b: SD**2 * (a.cluster == b.cluster) * cac ** steps(a, b)
    own = 1 - icc, lambda a, b: SD**2 * dense.same(a, b) * cac ** steps(a, b)
    return [shared, own, dense.slope_of_decay(icc, cac, SD**2, steps, own=True)]


def named(cluster: float, period: float, treatment: float, corr: float, individual: float, residual: float) -> list[dense.Term]:
    here = lambda a, b: float(a.cluster == b.cluster)  # noqa: E731 - one line a term
    terms = [
        (cluster**2, here),
        (period**2, lambda a, b: here(a, b) * (a.period == b.period)),
        (treatment**2, lambda a, b: here(a, b) * a.treated * b.treated),
        (individual**2, lambda a, b: float(dense.same(a, b))),
        (corr * cluster * treatment, lambda a, b: here(a, b) * (a.treated + b.treated)),
        (residual**2, lambda a, b: float(a == b)),
    ]
    return [term for term in terms if term[0]]


# name: design, what swedge is told, what the dense matrix is made of, whether individuals are followed
STRUCTURES: dict[str, tuple[sw.Design, Any, list[dense.Term], bool]] = {
    "exchangeable": (AWKWARD, sw.Exchangeable(0.1), dense.correlated(0.1, 1.0, 0.0, total, steps), False),
    "nested": (AWKWARD, sw.NestedExchangeable(0.1, 0.7), nested(0.1, 0.7), False),
    "decay": (AWKWARD, sw.ExponentialDecay(0.1, 0.6), decaying(0.1, 0.6, steps), False),
    "decay by calendar": (DATED, sw.ExponentialDecay(0.1, 0.6), decaying(0.1, 0.6, calendar), False),
    "components": (
        AWKWARD,
        sw.RandomEffects(cluster=0.5, cluster_period=0.2, treatment=0.4, treatment_corr=-0.6, residual=1.5),
        named(0.5, 0.2, 0.4, -0.6, 0.0, 1.5),
        False,
    ),
    "cohort": (AWKWARD, sw.Exchangeable(0.1, iac=0.4), dense.correlated(0.1, 1.0, 0.4, total, steps), True),
    "block exchangeable": (AWKWARD, sw.NestedExchangeable(0.1, 0.7, iac=0.3), nested(0.1, 0.7, 0.3), True),
    "cohort, decay": (AWKWARD, sw.ExponentialDecay(0.1, 0.6, iac=0.3), decaying(0.1, 0.6, steps, 0.3), True),
    "proportional decay": (AWKWARD, sw.ProportionalDecay(0.1, 0.6), proportional(0.1, 0.6), True),
    "cohort, components": (
        AWKWARD,
        sw.RandomEffects(cluster=0.5, treatment=0.4, individual=0.8, residual=1.5),
        named(0.5, 0.0, 0.4, 0.0, 0.8, 1.5),
        True,
    ),
}


def treatment_of(design: sw.Design) -> sw.Allocation:
    return design.allocate(dict(zip(design.clusters, PLACED.sequence, strict=True)))


def asked(design: sw.Design, correlation: Any, sizes: Any, **more: Any) -> sw.AnalyticPower:
    sd = {} if isinstance(correlation, sw.RandomEffects) or more.get("family") else {"sd": SD}
    return sw.analytic_power(design, size=sizes, correlation=correlation, allocation=treatment_of(design), **{"effect": 0.5, **sd, **more})


# A cohort whose cells differ in size has a test of its own
BOTH = [(name, sizes) for name, (*_, cohort) in STRUCTURES.items() for sizes in SIZES if not (cohort and sizes == "by cell")]


@pytest.mark.parametrize(("name", "sizes"), BOTH)
def test_variance_and_df_are_those_of_the_full_matrix(name: str, sizes: str) -> None:
    design, correlation, terms, cohort = STRUCTURES[name]
    crowd = dense.people(PLACED.treatment, SIZES[sizes], cohort)
    expected = dense.answer(crowd, dense.columns(crowd, PLACED.treatment[None]), terms, np.ones(1))
    found = asked(design, correlation, SIZES[sizes])
    assert found.std_error**2 == pytest.approx(expected.variance, rel=1e-9)
    assert found.df == pytest.approx(expected.df, rel=1e-7)  # a ratio of the inverse of an information matrix


@pytest.mark.parametrize("name", [name for name, (*_, cohort) in STRUCTURES.items() if cohort])
def test_a_cohort_that_shrinks_has_the_variance_of_its_weighted_cell_means(name: str) -> None:
    _, correlation, terms, _ = STRUCTURES[name]
    sizes = SIZES["by cell"]
    crowd = dense.people(PLACED.treatment, sizes, cohort=True)
    individual = dense.answer(crowd, dense.columns(crowd, PLACED.treatment[None]), terms, np.ones(1))
    found = asked(AWKWARD, correlation, sizes)
    weights = np.array([found.weights[a.cluster, a.period] / sizes[a.cluster, a.period] for a in crowd])
    assert found.std_error**2 == pytest.approx(weights @ individual.covariance @ weights, rel=1e-9)
    assert found.std_error**2 > individual.variance  # cell means do not hold all that is known of who stayed
    assert any("smaller one is taken to be in the larger" in note for note in found.notes)


RISKS = {"baseline": [0.2, 0.3, 0.15, 0.25], "effect": -0.08, "trend": 0.01}


def risks(effect: Array) -> tuple[Array, Array]:
    """Control and actual risks of each cell."""
    control = np.array(RISKS["baseline"])[:, None] + 0.01 * np.arange(4)
    return control, control - 0.08 * effect


VARIANCES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "cell": lambda control, actual, treated: actual * (1 - actual),
    "control": lambda control, actual, treated: control * (1 - control),
    "pooled": lambda control, actual, treated: (control + treated) / 2 * (1 - (control + treated) / 2),
    "average": lambda control, actual, treated: (control * (1 - control) + treated * (1 - treated)) / 2,
}


@pytest.mark.parametrize("variance", VARIANCES)
def test_conventions_of_a_binary_variance(variance: str) -> None:
    arm = np.nan_to_num(PLACED.treatment)
    control, actual = risks(arm)
    spread = VARIANCES[variance](control, actual, control - 0.08)
    terms = dense.correlated(0.05, 0.8, 0.0, lambda a: float(spread[a.cluster, a.period]), apart)
    crowd = dense.people(PLACED.treatment, SIZES["by cell"], cohort=False)
    expected = dense.answer(crowd, dense.columns(crowd, PLACED.treatment[None]), terms, np.ones(1))
    correlation = sw.NestedExchangeable(0.05, 0.8)
    found = asked(AWKWARD, correlation, SIZES["by cell"], family="binomial", variance=variance, df="normal", **RISKS)
    assert found.std_error**2 == pytest.approx(expected.variance, rel=1e-9)


LINKS: dict[str, tuple[str, float, Callable[[Array], Array], Callable[[Array], Array], Callable[[Array], Array]]] = {
    # family, baseline as a linear predictor, mean, its derivative, variance of an outcome
    "logit": ("binomial", -1.2, lambda eta: 1 / (1 + np.exp(-eta)), lambda m: m * (1 - m), lambda m: m * (1 - m)),
    "log": ("binomial", -1.5, np.exp, lambda m: m, lambda m: m * (1 - m)),
    "rate": ("poisson", 0.4, np.exp, lambda m: m, lambda m: m),
}


@pytest.mark.parametrize("scale", ["outcomes", "link"])
@pytest.mark.parametrize("name", LINKS)
def test_links(name: str, scale: str) -> None:
    """Correlated outcomes are GEE; random effects on the link are the GLMM, linearised: X'D V^-1 D X with V = D Z G Z'D + A."""
    family, base, mean, slope, spread = LINKS[name]
    eta = base + 0.05 * np.arange(4) - 0.4 * np.nan_to_num(PLACED.treatment)
    means, turn = mean(eta), slope(mean(eta))
    crowd = dense.people(PLACED.treatment, SIZES["by cell"], cohort=False)
    if scale == "outcomes":
        correlation: Any = sw.ExponentialDecay(0.05, 0.7)
        terms = dense.correlated(0.05, 0.7, 0.0, lambda a: float(spread(means)[a.cluster, a.period]), steps)
    else:
        correlation = sw.RandomEffects(cluster=0.3, cluster_period=0.1, treatment=0.2, treatment_corr=0.5)
        by_link = named(0.3, 0.1, 0.2, 0.5, 0.0, 0.0)
        at = lambda a: turn[a.cluster, a.period]  # noqa: E731 - one line a term
        terms = [(value, lambda a, b, f=function: float(at(a) * at(b) * f(a, b))) for value, function in by_link]
        terms.append((1.0, lambda a, b: float(spread(means)[a.cluster, a.period]) * (a == b)))
    expected = dense.answer(crowd, dense.columns(crowd, PLACED.treatment[None], turn), terms, np.ones(1))
    found = asked(
        AWKWARD,
        correlation,
        SIZES["by cell"],
        family=family,
        link="logit" if name == "logit" else "log",
        baseline=float(mean(np.array(base))),
        trend=0.05,
        effect=-0.4,
        df="normal",
    )
    assert found.std_error**2 == pytest.approx(expected.variance, rel=1e-9)


WEDGE = sw.Design.stepped_wedge(clusters=8, periods=5)
EXPOSURE = np.maximum(np.arange(5) - np.repeat(np.arange(4), 2)[:, None], 0)


def by_exposure() -> Array:
    return (np.arange(1, 5)[:, None, None] == EXPOSURE).astype(float)


EFFECTS: dict[str, tuple[Any, Any, Array, Sequence[float]]] = {
    "TATE": (sw.ByExposure(), sw.TATE(), by_exposure(), [0.25, 0.25, 0.25, 0.25]),
    "TATE(2, 3)": (sw.ByExposure(), sw.TATE(2, 3), by_exposure(), [0, 0.5, 0.5, 0]),
    "LTE": (sw.ByExposure(), sw.LTE(), by_exposure(), [0, 0, 0, 1]),
    "PTE(1)": (sw.ByExposure(), sw.PTE(1), by_exposure(), [1, 0, 0, 0]),
    "delayed": (sw.Delayed(1), None, (EXPOSURE > 1).astype(float)[None], [1]),
    "linear": (sw.Linear(3), None, np.minimum(EXPOSURE / 3, 1)[None], [1]),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_effect_curves_and_estimands(name: str) -> None:
    curve, estimand, effect, contrast = EFFECTS[name]
    treatment = (EXPOSURE > 0).astype(float)
    crowd = dense.people(treatment, np.full((8, 5), 2), cohort=False)
    expected = dense.answer(crowd, dense.columns(crowd, effect), nested(0.1, 0.7), np.array(contrast, dtype=float))
    found = sw.analytic_power(WEDGE, effect=0.5, size=2, sd=SD, correlation=sw.NestedExchangeable(0.1, 0.7), curve=curve, estimand=estimand)
    assert found.std_error**2 == pytest.approx(expected.variance, rel=1e-9)
    assert found.df == pytest.approx(expected.df, rel=1e-7)


def test_without_period_effects() -> None:
    crowd = dense.people(PLACED.treatment, SIZES["by cell"], cohort=False)
    x = np.array([[1.0, a.treated] for a in crowd])
    expected = dense.answer(crowd, x, nested(0.1, 0.7), np.ones(1))
    found = asked(AWKWARD, sw.NestedExchangeable(0.1, 0.7), SIZES["by cell"], period_effects=False)
    assert found.std_error**2 == pytest.approx(expected.variance, rel=1e-9)
    assert found.df == pytest.approx(expected.df, rel=1e-7)
    assert any("secular trend is taken for an effect" in note for note in found.notes)


@pytest.mark.parametrize("df", [0.5, 1.0, 2.0, 3.75, 19.0, 100.0, 1e4])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_noncentral_t(df: float, alpha: float) -> None:
    shifts = np.array([0.0, 0.3, 1.0, 2.5, 5.0, 12.0, 35.0, 60.0, 100.0, 1000.0])
    expected = [dense.tails(shift, df, alpha) for shift in shifts]
    np.testing.assert_allclose(two_sided_power(shifts, 1.0, df, alpha), expected, atol=1e-9, rtol=0)


def test_a_power_far_from_the_centre_is_not_lost() -> None:
    """The library's series gives nan here, and a quadrature over the chi-square itself misses its pole at 0."""
    assert two_sided_power(8.0, 1.0, 0.5, 0.01) == pytest.approx(dense.tails(8.0, 0.5, 0.01), abs=1e-9)
    assert dense.tails(8.0, 0.5, 0.01) == pytest.approx(0.0343, abs=5e-5)


STAIRS = sw.Design.staircase(clusters=12, sequences=6, control=2, treated=2)
ARMS = sw.Design.parallel(6, 3, baseline=1)


@pytest.mark.parametrize("design", [WEDGE, STAIRS, ARMS], ids=["wedge", "stairs", "arms"])
def test_between_within_df_are_those_of_a_regression_with_cluster_effects(design: sw.Design) -> None:
    treatment = sw.analytic_power(design, effect=1, size=2, sd=1, correlation=sw.Exchangeable(0.1), df="normal").allocation.treatment
    seen = np.argwhere(~np.isnan(treatment))
    x = [[*(i == np.arange(len(treatment))), *(t == np.arange(treatment.shape[1])), treatment[i, t]] for i, t in seen]
    left = len(seen) - np.linalg.matrix_rank(np.array(x, dtype=float))
    common = {"effect": 1.0, "size": 2, "sd": 1.0}
    found = sw.analytic_power(design, correlation=sw.Exchangeable(0.1), df="between-within", **common)
    assert found.df == left
    by_period = sw.analytic_power(design, correlation=sw.NestedExchangeable(0.1, 0.8), df="containment", **common)
    assert by_period.df == left
    individuals = sw.analytic_power(design, correlation=sw.Exchangeable(0.1), df="containment", **common)
    assert individuals.df == left + len(seen)  # two individuals a cell
    assert sw.analytic_power(design, correlation=sw.Exchangeable(0.1), df="clusters", **common).df == len(treatment) - 2


def test_containment_knows_a_cluster_effect_whatever_the_outcome() -> None:
    gaussian = sw.analytic_power(WEDGE, effect=0.1, size=9, sd=1.0, correlation=sw.Exchangeable(0.1), df="containment")
    binary = sw.analytic_power(
        WEDGE, effect=0.1, size=9, family="binomial", baseline=0.2, correlation=sw.Exchangeable(0.1), df="containment"
    )
    assert binary.df == gaussian.df


# What each piece adds ---------------------------------------------------------------------------------------------------------------------


def test_information_content_by_leaving_out() -> None:
    correlation, sizes = sw.NestedExchangeable(0.1, 0.7), SIZES["by cell"]
    found = sw.information_content(AWKWARD, size=sizes, correlation=correlation, allocation=PLACED)
    crowd = dense.people(PLACED.treatment, sizes, cohort=False)

    def without(dropped: Callable[[dense.Person], bool]) -> float:
        left = [a for a in crowd if not dropped(a)]
        x = dense.columns(left, PLACED.treatment[None])
        if np.linalg.matrix_rank(x) < x.shape[1]:
            return np.inf
        return dense.answer(left, x, nested(0.1, 0.7), np.ones(1)).variance

    whole = without(lambda a: False)
    cells = [[without(lambda a, i=i, t=t: (a.cluster, a.period) == (i, t)) for t in range(4)] for i in range(4)]
    expected = np.where(np.isnan(PLACED.treatment) | (sizes == 0), np.nan, np.array(cells) / whole)
    np.testing.assert_allclose(found.cells, expected, rtol=1e-9)
    np.testing.assert_allclose(found.periods, [without(lambda a, t=t: a.period == t) / whole for t in range(4)], rtol=1e-9)
    sequence = np.array(PLACED.sequence)
    gone = [without(lambda a, s=s: bool(sequence[a.cluster] == s)) / whole for s in range(3)]
    np.testing.assert_allclose(found.sequences, gone, rtol=1e-9)


@pytest.mark.parametrize("sequences", [3, 4, 6])
@pytest.mark.parametrize("correlation", [0.1, 0.5, 0.9])
def test_optimal_shares_of_hussey_and_hughes(sequences: int, correlation: float) -> None:
    """Inner sequences have phi / (1 + (T - 1) phi) each, phi the correlation of two cell means; the two outer ones share the rest."""
    design = sw.Design.stepped_wedge(sequences, sequences + 1)
    table = sw.optimal_shares(design, size=1, correlation=sw.Exchangeable(correlation))
    inner = correlation / (1 + sequences * correlation)
    outer = (1 - (sequences - 2) * inner) / 2
    np.testing.assert_allclose(table["share"], [outer, *[inner] * (sequences - 2), outer], atol=1e-4)
    assert table.attrs["efficiency"] == pytest.approx(share_variance(sequences, correlation, inner, outer), rel=1e-8)


def share_variance(sequences: int, correlation: float, inner: float, outer: float) -> float:
    """Variance at the known shares over that at equal ones, cell means written out."""
    periods = sequences + 1
    inverse = np.linalg.inv(correlation + (1 - correlation) * np.eye(periods))
    x = [np.column_stack([np.eye(periods), np.arange(periods) > s]) for s in range(sequences)]

    def variance(shares: Sequence[float]) -> float:
        return float(np.linalg.inv(sum(p * m.T @ inverse @ m for p, m in zip(shares, x, strict=True)))[-1, -1])

    return variance([outer, *[inner] * (sequences - 2), outer]) / variance([1 / sequences] * sequences)


GRID = {
    "decay, calendar": {"correlation": sw.ExponentialDecay(0.2, 0.5)},
    "logit": {"correlation": sw.Exchangeable(0.2), "family": "binomial", "link": "logit", "baseline": 0.3, "effect": -1.5},
    "LTE": {"correlation": sw.NestedExchangeable(0.2, 0.8), "curve": sw.ByExposure(), "estimand": sw.LTE()},
    "no period effects": {"correlation": sw.Exchangeable(0.2), "period_effects": False},
}


@pytest.mark.parametrize("name", GRID)
def test_optimal_shares_beat_a_grid_of_clusters(name: str) -> None:
    """Twelve clusters on three sequences in every way: none is better than the optimum by more than rounding, the best is near it."""
    asked_for, periods = GRID[name], [dt.date(2020, 1, 1) + dt.timedelta(days=d) for d in (0, 30, 200, 260, 500)]
    design = sw.Design.stepped_wedge(3, 4, boundaries=periods)
    table = sw.optimal_shares(design, size=20, **asked_for)
    named_for = {"sd": 1.0, "effect": 0.0, "df": "normal", "size": 20, **asked_for}
    if asked_for.get("family"):
        named_for.pop("sd")
    variances = []
    for cuts in combinations(range(1, 12), 2):
        counts = [cuts[0], cuts[1] - cuts[0], 12 - cuts[1]]
        spread = sw.Design.from_matrix(design.matrix, clusters_per_sequence=counts, boundaries=periods)
        variances.append(sw.analytic_power(spread, **named_for).std_error ** 2)
    equal = sw.Design.from_matrix(design.matrix, clusters_per_sequence=[4, 4, 4], boundaries=periods)
    best = table.attrs["efficiency"] * sw.analytic_power(equal, **named_for).std_error ** 2
    assert min(variances) >= best * (1 - 1e-8)
    assert min(variances) <= best * 1.05  # shares in twelfths miss the optimum by a share of at most 1/24 each


@pytest.mark.parametrize("cells", [26, 20, 14])
def test_best_incomplete_is_never_worse_than_chance(cells: int) -> None:
    design, correlation = sw.Design.stepped_wedge(5, 6), sw.NestedExchangeable(0.1, 0.8)
    thin = sw.best_incomplete(design, cells=cells, size=20, correlation=correlation)
    assert sum(value is not None for row in thin.rows for value in row) == cells
    asked_for: dict[str, Any] = {"effect": 0.0, "sd": 1.0, "correlation": correlation, "df": "normal"}
    ours = sw.analytic_power(thin, size=20, **asked_for).std_error
    generator = np.random.default_rng(0)
    for _ in range(200):
        keep = np.zeros(30, dtype=bool)
        keep[generator.choice(30, cells, replace=False)] = True
        try:
            other = sw.analytic_power(design, size=20.0 * keep.reshape(5, 6), **asked_for).std_error
        except sw.DesignError:
            continue  # this draw does not identify the effect
        assert ours <= other * (1 + 1e-9)


# The exact test ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", [sw.Design.stepped_wedge(5, 6), sw.Design.crossover(8, 4)], ids=["wedge", "crossover"])
@pytest.mark.parametrize("estimator", [sw.WithinPeriod(), sw.TwoWayFixedEffects()], ids=["within", "twfe"])
def test_power_of_the_exact_test_is_its_simulated_power(design: sw.Design, estimator: Any) -> None:
    correlation, sizes = sw.NestedExchangeable(0.1, 0.7), np.arange(10, 10 * design.n_clusters + 1, 10)
    exact = sw.exact_power(design, estimator, effect=0.6, size=sizes, sd=1.0, correlation=correlation, draws=40_000, seed=3)
    truth = sw.Scenario(family="gaussian", baseline=0.0, effect=0.6, size=sizes, sd=1.0, correlation=correlation)
    simulated = sw.simulate_power(design, truth, {"exact": (estimator, sw.RandomisationTest())}, reps=2000, seed=4).tidy()
    apart_by = exact.power - float(simulated["power"].iloc[0])
    assert abs(apart_by) < 3 * np.hypot(exact.mcse, float(simulated["mcse"].iloc[0]))
    assert exact.count == design.count()


def test_an_exact_test_without_enough_allocations_has_no_power() -> None:
    design = sw.Design.stepped_wedge(4, 5, strata=[["1", "2"], ["3", "4"]])
    exact = sw.exact_power(design, sw.WithinPeriod(), effect=50.0, size=20, sd=1.0, correlation=sw.Exchangeable(0.1), draws=500)
    assert (exact.count, exact.power) == (4, 0.0)
    assert "can never reject" in exact.summary()


@pytest.mark.parametrize("name", ["exchangeable", "nested", "decay", "components"])
def test_variance_of_a_linear_estimator_under_a_truth_it_does_not_assume(name: str) -> None:
    """Least squares on individuals, with cluster and period effects, in the full matrix of the truth."""
    design, correlation, terms, _ = STRUCTURES[name]
    sizes = SIZES["by cell"]
    crowd = dense.people(PLACED.treatment, sizes, cohort=False)
    x = np.column_stack([dense.columns(crowd, PLACED.treatment[None]), *[[float(a.cluster == i) for a in crowd] for i in range(1, 4)]])
    weights = np.linalg.pinv(x)[list(range(x.shape[1])).index(4)]  # four periods come first, then the treatment
    covariance = dense.answer(crowd, x[:, :5], terms, np.ones(1)).covariance
    sd = {} if name == "components" else {"sd": SD}
    asked_for = {"effect": 0.0, "size": sizes, "correlation": correlation, "allocation": treatment_of(design), **sd}
    found = sw.variance_under(sw.TwoWayFixedEffects(), design, **asked_for)
    assert found == pytest.approx(weights @ covariance @ weights, rel=1e-9)


def test_design_effect_of_woertman() -> None:
    """SWSamp 0.3.21, DE.woert: 5 steps, 20 a cell, ICC .2 gives 2.51351351351351 against individual randomisation of as many."""
    wedge = sw.analytic_power(sw.Design.stepped_wedge(5, 6), effect=1.0, size=20, sd=1.55, correlation=sw.Exchangeable(0.2), df="normal")
    individual = 4 * 1.55**2 / (5 * 6 * 20)
    assert wedge.std_error**2 / individual == pytest.approx(2.51351351351351, rel=1e-12)


def test_central_and_noncentral_t_differ() -> None:
    """SteppedPower 0.3.5, tTestPwr: a shifted central t. A t test's power is noncentral, as simulation of the test itself shows."""
    generator = np.random.default_rng(0)
    for shift, df, central in ((2.0, 3, 0.168078706182334), (3.0, 4, 0.585201675601957)):
        limit = stats.t.ppf(0.975, df)
        assert stats.t.cdf(shift - limit, df) + stats.t.cdf(-shift - limit, df) == pytest.approx(central, rel=1e-12)
        draws = (shift + generator.standard_normal(400_000)) / np.sqrt(generator.chisquare(df, 400_000) / df)
        rejected = float((np.abs(draws) > limit).mean())
        ours = float(two_sided_power(shift, 1.0, df, 0.05))
        assert abs(rejected - ours) < 3 * np.sqrt(ours * (1 - ours) / 400_000)
        assert abs(rejected - central) > 30 * np.sqrt(ours * (1 - ours) / 400_000)
