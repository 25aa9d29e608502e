"""What every estimator promises, from one table: estimators x families x laws.

A law that an estimator does not keep is an exemption, which says why; an exempted estimator must break the law, so that no exemption
outlives its reason. Trials that it refuses are held against it in the same way. Of several effects the leading one is looked at.

Tolerances: the same numbers in another order or another stack agree to 1e-9. Where other numbers lead an iteration to the same optimum
(`ITERATED`), it may stop a step sooner: at a Newton decrement of 1e-11, a variance is found to 3e-6 of its own error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import numpy as np
import pytest

import swedge as sw
from swedge.estimate import COLUMNS
from swedge.estimators.gee import GEE, VCOVS
from swedge.estimators.marginal import MarginalEffect
from swedge.estimators.roth_santanna import RothSantAnna

Array = np.ndarray
ALL = ("gaussian", "binomial", "poisson")
EXACT, ITERATED = 1e-9, 1e-6
REFUSED = r"not observed in every period|No clean comparison is left"
NO_EFFECT = r"rank deficient|No cluster is ever treated|No clean comparison is left"


@dataclass(frozen=True)
class Case:
    """An estimator, the families it is for, the laws it is excused from, and the laws whose trials it refuses."""

    name: str
    estimator: sw.Estimator
    families: tuple[str, ...] = ALL
    exempt: dict[str, str] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)

    @property
    def iterated(self) -> bool:
        return isinstance(self.estimator, sw.MixedModel | GEE)


RANDOM = {"cluster constant": "clusters are random here, so what they differ by tells their variance"}
ACROSS = {"cluster constant": "clusters are compared with each other within a period, so their levels are part of the comparison"}
CURVED = dict.fromkeys(
    ("period constant", "cluster constant", "shift of the treated"),
    "predictions are made on a link, where neither shifts of the means nor constant differences of them are shifts",
)
EQUAL = sw.Exchangeable()
OWN = {"vcov": "influence", "df": "normal"}
GAPS = dict.fromkeys(
    ("unobserved cells never matter", "rows in unobserved cells never matter"),
    "a transition period leaves no two neighbouring periods, or no whole cluster, to compare",
)
WHOLE = {**GAPS, "cells without data never matter": "the saturated regression is no set of comparisons where cells are missing"}
LEVELS = {"cluster constant": "clusters' levels stay in the efficient estimate, as randomised timing allows"}
DIFFERENCES = (
    Case("callaway-santanna", sw.CallawaySantAnna(controls="not_yet")),
    Case("callaway-santanna own", sw.CallawaySantAnna(controls="not_yet", **OWN)),
    Case("sun-abraham", sw.SunAbraham(), refuses=WHOLE),
    Case("imputation", sw.Imputation()),
    Case("imputation own", sw.Imputation(**OWN)),
    Case("two-stage", sw.TwoStage()),
    Case("extended two-way", sw.ExtendedTwoWay()),
    Case("stacked", sw.StackedDiD(after=0), refuses=GAPS),
    Case("switchers", sw.Switchers(), refuses=GAPS),
    Case("switcher comparison", sw.SwitcherComparison(), refuses=GAPS),
    Case("generalised", sw.GeneralisedDiD()),
    Case("random timing", RothSantAnna(), exempt=LEVELS, refuses=GAPS),
    Case("random timing CR2", RothSantAnna(vcov="CR2", df="satterthwaite"), exempt=LEVELS, refuses=GAPS),
)

CASES = [
    *[Case(f"fixed {vcov}", sw.FixedEffects(vcov=vcov)) for vcov in ("CR0", "CR1", "CR2", "CR3", "overdispersed", "model")],
    Case("fixed CR3 clusters", sw.FixedEffects(vcov="CR3", df="clusters")),
    Case("fixed model normal", sw.FixedEffects(vcov="model", df="normal")),
    Case("fixed delayed", sw.FixedEffects(effect=sw.Delayed(1))),
    Case("fixed linear", sw.FixedEffects(effect=sw.Linear(2))),
    Case("fixed tate", sw.FixedEffects(effect=sw.ByExposure(), estimand=sw.TATE())),
    Case("mixed nested KR", sw.MixedModel(), ("gaussian",), RANDOM),
    Case("mixed nested Satterthwaite", sw.MixedModel(df="satterthwaite"), ("gaussian",), RANDOM),
    Case("mixed nested ML", sw.MixedModel(reml=False, df="satterthwaite"), ("gaussian",), RANDOM),
    Case("mixed nested clusters", sw.MixedModel(df="clusters"), ("gaussian",), RANDOM),
    Case("mixed nested CR2", sw.MixedModel(df="satterthwaite", vcov="CR2"), ("gaussian",), RANDOM),
    Case("mixed exchangeable CR3 clusters", sw.MixedModel(EQUAL, df="clusters", vcov="CR3"), ("gaussian",), RANDOM),
    Case("mixed nested tate", sw.MixedModel(effect=sw.ByExposure(), estimand=sw.TATE()), ("gaussian",), RANDOM),
    Case("mixed exchangeable KR", sw.MixedModel(EQUAL), ("gaussian",), RANDOM),
    Case("mixed exchangeable Satterthwaite", sw.MixedModel(EQUAL, df="satterthwaite"), ("gaussian",), RANDOM),
    Case("mixed exchangeable ML", sw.MixedModel(EQUAL, reml=False, df="satterthwaite"), ("gaussian",), RANDOM),
    Case("mixed exchangeable normal", sw.MixedModel(EQUAL, df="normal"), ALL, RANDOM),
    Case("mixed exchangeable clusters", sw.MixedModel(EQUAL, df="clusters"), ALL, RANDOM),
    *[Case(f"gee nested {vcov}", GEE(vcov=vcov), ALL, RANDOM) for vcov in VCOVS],
    Case("gee exchangeable satterthwaite", GEE(EQUAL, "MD", "satterthwaite"), ALL, RANDOM),
    Case("gee decay", GEE(sw.ExponentialDecay()), ("gaussian", "binomial"), RANDOM),
    Case("gee independence", GEE(sw.Exchangeable(0.0)), ALL, RANDOM),
    Case("gee pairs", GEE(EQUAL, "robust", "normal", moments="pairs"), ("gaussian", "binomial"), RANDOM),
    Case("gee tate", GEE(EQUAL, effect=sw.ByExposure(), estimand=sw.TATE()), ("gaussian", "binomial"), RANDOM),
    Case("marginal difference of means", MarginalEffect(sw.FixedEffects(vcov="model")), ("gaussian",)),
    Case("marginal difference", MarginalEffect(), ("binomial", "poisson"), CURVED),
    Case("marginal difference treated", MarginalEffect(over="treated"), ("binomial", "poisson"), CURVED),
    Case("marginal ratio", MarginalEffect(measure="ratio"), ("binomial",), CURVED),
    Case("marginal ratio of rates", MarginalEffect(sw.FixedEffects(vcov="overdispersed"), "ratio"), ("poisson",), CURVED),
    Case("generalised nested", sw.MixedModel(df="between-within"), ("binomial", "poisson"), RANDOM),
    Case("generalised decay", sw.MixedModel(sw.ExponentialDecay(), df="clusters"), ("binomial", "poisson"), RANDOM),
    Case("generalised cloglog", sw.MixedModel(EQUAL, df="normal", link="cloglog"), ("binomial",), RANDOM),
    Case("generalised quadrature", sw.MixedModel(EQUAL, df="normal", quadrature=9), ("binomial", "poisson"), RANDOM),
    Case("within equal", sw.WithinPeriod(), ALL, ACROSS),
    Case("within size CR3", sw.WithinPeriod(weigh="size", vcov="CR3"), ALL, ACROSS),
    Case("within clusters", sw.WithinPeriod(df="clusters"), ALL, ACROSS),
    Case("two-way size", sw.TwoWayFixedEffects()),
    Case("two-way equal CR0", sw.TwoWayFixedEffects(weigh="equal", vcov="CR0", df="normal")),
    *DIFFERENCES,
]

# Trials ---------------------------------------------------------------------------------------------------------------------------------

NAMES = ("Avon", "Bute", "Cork", "Down", "Eden", "Fife")
DESIGN = sw.Design.stepped_wedge(clusters=NAMES, periods=5, clusters_per_sequence=[2, 1, 2, 1])
SHAPE = (6, 5)


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 20200901])


@dataclass(frozen=True)
class Drawn:
    """Cells of one trial: counts, means and each cluster's scatter."""

    n: Array
    mean: Array
    within: Array | None
    family: str
    allocation: sw.Allocation

    def trial(self) -> sw.Trial:
        """A scatter may not hold cells that the design leaves out, so a trial that has one has no data there."""
        left_out = np.isnan(self.allocation.treatment) & (self.within is not None)
        n = np.where(left_out, 0.0, self.n)
        return sw.Trial.from_cells(n, self.mean, self.allocation, within=self.within, family=self.family)


def drawn(family: str, seed: int = 0, design: sw.Design = DESIGN) -> Drawn:
    """Unequal cells, clusters that differ by more than their cells do, an effect; large enough counts that no logit separates."""
    rng = rng_of(seed)
    allocation = design.randomise(seed=seed)
    shape = (design.n_clusters, design.n_periods)
    n = rng.integers(15, 60, shape).astype(float)
    level = 0.6 * rng.standard_normal((shape[0], 1)) + 0.15 * rng.standard_normal(shape) + 0.1 * np.arange(shape[1])
    predictor = level + 0.4 * np.nan_to_num(allocation.treatment)
    if family == "gaussian":
        scatter = rng.chisquare((n - 1).sum(-1))[:, None, None]
        return Drawn(n, predictor + rng.standard_normal(shape) / np.sqrt(n), scatter, family, allocation)
    if family == "binomial":
        return Drawn(n, rng.binomial(n.astype(int), 1 / (1 + np.exp(0.3 - predictor))) / n, None, family, allocation)
    return Drawn(n, rng.poisson(n * np.exp(predictor - 0.5)) / n, None, family, allocation)


def numbers(fit: sw.Estimate) -> Array:
    """Estimate, standard error and df of the leading term, side by side."""
    return np.stack([leading(fit, fit.estimate), leading(fit, fit.std_error), leading(fit, fit.df)], -1)


def leading(fit: sw.Estimate, values: Array) -> Array:
    """Values of the first of several terms, or of the only one."""
    return np.asarray(values)[..., 0] if len(fit.terms) > 1 else np.asarray(values)


def same(left: Array, right: Array, tolerance: float) -> None:
    """Equal to a share of each number; of its standard error, for an estimate that may be near 0."""
    left, right = np.broadcast_arrays(np.asarray(left, float), np.asarray(right, float))
    scale = np.abs(right).copy()
    scale[..., 0] = np.maximum(scale[..., 0], scale[..., 1])
    finite = np.isfinite(right)
    assert (np.isfinite(left) == finite).all(), f"{left} is not {right}"
    assert (np.abs(left[finite] - right[finite]) <= tolerance * scale[finite]).all(), f"{left} is not {right}"


# Laws -----------------------------------------------------------------------------------------------------------------------------------

Law = Callable[[Case, str, int], None]
Domain = Callable[[Case, str], bool]
LAWS: dict[str, tuple[Law, Domain]] = {}


def law(name: str, where: Domain = lambda case, family: True) -> Callable[[Law], Law]:
    """Register a law; `where` says to which estimators and families it can be put at all."""

    def register(function: Law) -> Law:
        LAWS[name] = function, where
        return function

    return register


def on_identity(case: Case, family: str) -> bool:
    """Where effects and constants are shifts of the means."""
    return case.estimator.scale(drawn(family).trial()) == "identity"


def gaussian(case: Case, family: str) -> bool:
    """Where the outcome has a free unit."""
    return family == "gaussian"


def fitted(case: Case, trial: sw.Trial) -> Array:
    return numbers(case.estimator.fit(trial))


def is_linear(case: Case) -> bool:
    return isinstance(case.estimator, sw.LinearEstimator)


def stacked(trials: list[Drawn]) -> sw.Trial:
    """Trials side by side, each under its own allocation."""
    first = trials[0]
    within = None if first.within is None else np.stack([t.within for t in trials])
    stack = sw.Trial.from_cells(
        np.stack([t.n for t in trials]), np.stack([t.mean for t in trials]), first.allocation, within=within, family=first.family
    )
    return stack.under(np.stack([t.allocation.treatment for t in trials]), np.stack([t.allocation.exposure for t in trials]))


@law("stack equals loop")
def stack_equals_loop(case: Case, family: str, seed: int) -> None:
    trials = [drawn(family, 10 * seed + k) for k in range(4)]
    assert len({t.allocation.sequence for t in trials}) > 1, "one exposure for all would not test this"
    stack = case.estimator.fit(stacked(trials))
    alone = [case.estimator.fit(t.trial()) for t in trials]
    same(numbers(stack), np.stack([numbers(fit) for fit in alone]), EXACT)
    assert [int(code) for code in stack.status] == [int(fit.status) for fit in alone]


@law("exposures stack over one data set")
def exposures_stack(case: Case, family: str, seed: int) -> None:
    data = drawn(family, seed)
    sequences = DESIGN.random_allocations(4, seed)
    under = case.estimator.fit(data.trial().reallocated(sequences))
    alone = [replace(data, allocation=DESIGN.allocate(dict(zip(NAMES, row, strict=True)))).trial() for row in sequences.tolist()]
    same(numbers(under), np.stack([fitted(case, trial) for trial in alone]), EXACT)


@law("relabelling")
def relabelling(case: Case, family: str, seed: int) -> None:
    data = drawn(family, seed)
    order = rng_of(seed).permutation(len(NAMES))
    moved = {NAMES[new]: data.allocation.sequence[old] for new, old in enumerate(order)}
    within = None if data.within is None else data.within[order]
    relabelled = Drawn(data.n[order], data.mean[order], within, family, DESIGN.allocate(moved))
    assert relabelled.allocation.sequence != data.allocation.sequence
    same(fitted(case, relabelled.trial()), fitted(case, data.trial()), ITERATED if case.iterated else EXACT)


@law("period constant", on_identity)
def period_constant(case: Case, family: str, seed: int) -> None:
    data = drawn(family, seed)
    shift = rng_of(seed).uniform(0.05, 0.1, SHAPE[1]) * np.where(data.mean.max() > 0.9, 1, -1) * (3 if family == "gaussian" else 0.2)
    room = np.clip(data.mean + shift, 0, 1) if family == "binomial" else data.mean + shift
    moved = replace(data, mean=room)
    assert (room == data.mean + shift).all(), "the shift left the range of the outcome"
    same(fitted(case, moved.trial()), fitted(case, data.trial()), ITERATED if case.iterated else EXACT)


@law("cluster constant", on_identity)
def cluster_constant(case: Case, family: str, seed: int) -> None:
    data = drawn(family, seed)
    shift = rng_of(seed).uniform(0.01, 0.02, (SHAPE[0], 1)) * np.arange(1, SHAPE[0] + 1)[:, None] * (20 if family == "gaussian" else 0.5)
    room = data.mean + shift * (1 if family != "binomial" or (data.mean + shift).max() <= 1 else -1)
    assert family == "gaussian" or (room >= 0).all()
    same(fitted(case, replace(data, mean=room).trial()), fitted(case, data.trial()), EXACT)


@law("scaling", gaussian)
def scaling(case: Case, family: str, seed: int) -> None:
    data = drawn(family, seed)
    plain = fitted(case, data.trial())
    for unit in (-3.0, 1e6, 1e-12):
        scaled = fitted(case, replace(data, mean=unit * data.mean, within=unit**2 * data.within).trial())
        same(scaled, plain * [unit, abs(unit), 1], ITERATED if case.iterated else EXACT)


@law("shift of the treated")
def shift_of_the_treated(case: Case, family: str, seed: int) -> None:
    trial = drawn(family, seed).trial()
    plain, moved = case.estimator.fit(trial), case.estimator.fit(case.estimator.null(trial, -0.07))
    tolerance = ITERATED if case.iterated else EXACT
    change, error = leading(plain, moved.estimate - plain.estimate), leading(plain, plain.std_error)
    assert change == pytest.approx(0.07, abs=float(tolerance * error) + 1e-12), f"{change} is not 0.07"
    assert moved.std_error == pytest.approx(plain.std_error, rel=tolerance)
    assert moved.df == pytest.approx(plain.df, rel=tolerance)


@law("treated cells count as what they are", on_identity)
def treated_cells(case: Case, family: str, seed: int) -> None:
    """On the identity scale and for a constant effect, `null` is plain arithmetic on the means."""
    data = drawn(family, seed)
    effect = getattr(case.estimator, "effect", sw.Constant())
    share = effect.columns(data.allocation.treatment, data.allocation.exposure)[1].sum(-3)
    by_hand = replace(data, mean=data.mean - 0.03 * share).trial()
    same(fitted(case, by_hand), fitted(case, case.estimator.null(data.trial(), 0.03)), EXACT)


def as_rows(data: Drawn, seed: int) -> tuple[dict[str, Array], Drawn]:
    """Individuals with those cells, in disorder, and the cells worked out from them again."""
    rng = rng_of(seed)
    clusters, periods = (np.repeat(index.ravel(), data.n.ravel().astype(int)) for index in np.indices(data.n.shape))
    if data.family == "gaussian":
        outcome = data.mean[clusters, periods] + rng.standard_normal(len(clusters))
    else:
        events = np.rint(data.n * data.mean).astype(int)
        place = np.arange(len(clusters)) - np.repeat(np.cumsum(data.n.ravel()) - data.n.ravel(), data.n.ravel().astype(int))
        outcome = (place < events[clusters, periods]).astype(float)  # a count above 1 stays with the first of its cell
        extra = np.maximum(events - data.n, 0)
        outcome = outcome + (place == 0) * extra[clusters, periods]
    mean = np.zeros(data.n.shape)
    np.add.at(mean, (clusters, periods), outcome)
    mean = mean / data.n
    within = np.zeros((len(data.n), 1, 1))
    np.add.at(within[:, 0, 0], clusters, (outcome - mean[clusters, periods]) ** 2)
    order = rng.permutation(len(clusters))
    columns = {"la": np.array(data.allocation.design.clusters)[clusters][order], "period": periods[order] + 1, "y": outcome[order]}
    return columns, replace(data, mean=mean, within=within if data.family == "gaussian" else None)


@law("rows equal cells")
def rows_equal_cells(case: Case, family: str, seed: int) -> None:
    import pandas as pd

    columns, cells = as_rows(drawn(family, seed), seed)
    rows = sw.Trial.from_frame(pd.DataFrame(columns), cells.allocation, cluster="la", period="period", outcome="y", family=family)
    same(fitted(case, rows), fitted(case, cells.trial()), ITERATED if case.iterated else EXACT)


TRANSITION = sw.Design.stepped_wedge(clusters=NAMES, periods=6, transition=1, clusters_per_sequence=[2, 1, 2, 1])


@law("unobserved cells never matter", lambda case, family: family != "gaussian")
def unobserved_cells(case: Case, family: str, seed: int) -> None:
    data = drawn(family, seed, TRANSITION)
    out = np.isnan(data.allocation.treatment)
    assert out.any()
    nothing = replace(data, n=np.where(out, 0.0, data.n), mean=np.where(out, np.nan, data.mean)).trial()
    for count, value in ((1e6, 1.0), (1.0, 0.0), (3.0, 0.5)):
        full = replace(data, n=np.where(out, count, data.n), mean=np.where(out, value, data.mean)).trial()
        same(fitted(case, full), fitted(case, nothing), EXACT)


@law("rows in unobserved cells never matter")
def unobserved_rows(case: Case, family: str, seed: int) -> None:
    import pandas as pd

    columns, cells = as_rows(drawn(family, seed, TRANSITION), seed)
    frame = pd.DataFrame(columns)
    out = np.isnan(cells.allocation.treatment)[frame.la.map(TRANSITION.clusters.index), frame.period - 1]
    assert out.any()
    frame.loc[out, "y"] = rng_of(seed).integers(0, 2, out.sum()) * (100.0 if family == "gaussian" else 1.0)
    read = {"cluster": "la", "period": "period", "outcome": "y", "family": family}
    with_them = sw.Trial.from_frame(frame, cells.allocation, **read)
    without = sw.Trial.from_frame(frame[~out], cells.allocation, **read)
    same(fitted(case, with_them), fitted(case, without), ITERATED if case.iterated else EXACT)


@law("cells without data never matter")
def empty_cells(case: Case, family: str, seed: int) -> None:
    data = drawn(family, seed)
    n = data.n.copy()
    n[1, 2] = 0
    fits = [fitted(case, replace(data, n=n, mean=np.where(n > 0, data.mean, value)).trial()) for value in (0.0, 0.9, np.nan)]
    same(fits[1], fits[0], EXACT)
    same(fits[2], fits[0], EXACT)
    with pytest.raises(AssertionError):
        same(fitted(case, data.trial()), fits[0], EXACT)  # the cell did matter when it had data


@law("tidy and summary")
def tidy_and_summary(case: Case, family: str, seed: int) -> None:
    fit = case.estimator.fit(drawn(family, seed).trial())
    table = fit.tidy()
    assert tuple(table.columns) == COLUMNS
    row = table.iloc[0]
    assert tuple(table["term"]) == fit.terms
    assert row["estimate"] == leading(fit, fit.estimate)
    assert row["status"] == sw.Status(int(fit.status)).name.lower()
    assert row["conf_low"] < row["estimate"] < row["conf_high"]
    assert 0 < row["p_value"] <= 1
    assert (row["p_value"] < 0.05) == (not row["conf_low"] <= 0 <= row["conf_high"]), "the test and the interval disagree"
    text = fit.summary()
    assert "6 clusters" in text
    assert "degrees of freedom" in text
    stack = case.estimator.fit(stacked([drawn(family, seed), drawn(family, seed + 1)])).tidy()
    assert tuple(stack.columns) == (*COLUMNS, "replicate")
    assert sorted(stack["replicate"]) == np.repeat([0, 1], len(table)).tolist()


def without_outcome(data: Drawn) -> Drawn:
    """The same trial with one outcome for everybody: for a Gaussian an awkward number, that no mean of it repeats to the digit."""
    constant = {"gaussian": 123456.7, "binomial": 0.0, "poisson": 0.0}[data.family]
    within = None if data.within is None else 0 * data.within
    return replace(data, mean=np.full_like(data.mean, constant), within=within)


@law("one degenerate replicate")
def one_degenerate(case: Case, family: str, seed: int) -> None:
    trials = [drawn(family, 10 * seed + k) for k in range(3)]
    trials[1] = without_outcome(trials[1])
    stack = case.estimator.fit(stacked(trials))
    assert stack.status.tolist()[1] == sw.Status.NO_VARIATION
    assert np.isnan(numbers(stack)[1]).all()
    assert np.isnan(stack.p_value[1]).all()
    same(numbers(stack)[::2], np.stack([fitted(case, t.trial()) for t in trials[::2]]), EXACT)
    assert set(stack.tidy().query("replicate == 1")["status"]) == {"no_variation"}
    with pytest.raises(sw.FitError, match=r"no variation.*Every outcome is the same"):
        case.estimator.fit(trials[1].trial())


@law("one replicate without an effect to estimate")
def one_without_effect(case: Case, family: str, seed: int) -> None:
    trials = [drawn(family, 10 * seed + k) for k in range(3)]
    stack = stacked(trials)
    treatment, exposure = stack.treatment.copy(), stack.exposure.copy()
    treatment[2], exposure[2] = 0, 0
    broken = stack.under(treatment, exposure)
    fit = case.estimator.fit(broken)
    assert fit.status.tolist()[2] == sw.Status.RANK_DEFICIENT
    assert np.isnan(numbers(fit)[2]).all()
    same(numbers(fit)[:2], np.stack([fitted(case, t.trial()) for t in trials[:2]]), EXACT)
    if isinstance(getattr(case.estimator, "effect", None), sw.ByExposure):
        return  # without an exposed cell there is no column to ask about
    with pytest.raises(sw.SwedgeError, match=NO_EFFECT):
        case.estimator.fit(broken.replicate(2))


@law("point is the estimate")
def point_is_the_estimate(case: Case, family: str, seed: int) -> None:
    trials = [drawn(family, 10 * seed + k) for k in range(3)]
    trials[1] = without_outcome(trials[1])
    trial = stacked(trials)
    point, fit = case.estimator.point(trial), case.estimator.fit(trial)
    assert np.isnan(point[1])
    assert point[::2] == pytest.approx(leading(fit, fit.estimate)[::2], rel=EXACT)


@law("a stack of one is a stack")
def stack_of_one(case: Case, family: str, seed: int) -> None:
    data = drawn(family, seed)
    one = case.estimator.fit(stacked([data]))
    assert leading(one, one.estimate).shape == (1,)
    same(numbers(one), numbers(case.estimator.fit(data.trial()))[None], EXACT)


SEEDS = {"gaussian": (1, 2), "binomial": (1,), "poisson": (2,)}
COMBINATIONS = [
    pytest.param(case, family, name, id=f"{name}-{case.name}-{family}")
    for name, (_, where) in LAWS.items()
    for case in CASES
    for family in case.families
    if where(case, family)
]


@pytest.mark.parametrize(("case", "family", "name"), COMBINATIONS)
def test_law(case: Case, family: str, name: str) -> None:
    check, _ = LAWS[name]
    if name in case.refuses:
        with pytest.raises(sw.DataError, match=REFUSED):
            check(case, family, 1)
        return
    if name in case.exempt:
        with pytest.raises(AssertionError, match="is not"):
            check(case, family, 1)
        return
    for seed in SEEDS[family]:
        check(case, family, seed)


# Estimators as values -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_frozen_hashable_and_its_repr_is_a_constructor_call(case: Case) -> None:
    estimator = case.estimator
    again = eval(repr(estimator), {**{name: getattr(sw, name) for name in sw.__all__}, type(estimator).__name__: type(estimator)})
    assert again == estimator
    assert hash(again) == hash(estimator)
    assert type(again) is type(estimator)
    name = fields(estimator)[0].name  # type: ignore[arg-type]
    with pytest.raises(FrozenInstanceError):
        setattr(estimator, name, None)


def test_no_two_estimators_of_the_table_are_equal() -> None:
    assert len({case.estimator for case in CASES}) == len({repr(case.estimator) for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    "make",
    [
        lambda: sw.FixedEffects(vcov="CR4"),
        lambda: sw.FixedEffects(df="saterthwaite"),
        lambda: sw.FixedEffects(vcov="model", df="satterthwaite"),
        lambda: sw.FixedEffects(vcov="CR2", df="residual"),
        lambda: sw.MixedModel(df="kenward"),
        lambda: sw.MixedModel(reml=False),
        lambda: sw.MixedModel(quadrature=0),
        lambda: sw.WithinPeriod(weigh="sizes"),
        lambda: sw.TwoWayFixedEffects(vcov="HC1"),
        lambda: sw.TwoWayFixedEffects(df="residual"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused_with_those_that_do(make: Callable[[], object]) -> None:
    with pytest.raises(sw.FitError, match=r"expected|Use|only|needs|cannot"):
        make()


# Linear estimators: weights ---------------------------------------------------------------------------------------------------------------

LINEAR = [case for case in CASES if is_linear(case)]


@pytest.mark.parametrize("case", LINEAR, ids=lambda case: case.name)
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("design", [DESIGN, TRANSITION], ids=["complete", "transition"])
def test_weights_are_the_estimate(case: Case, seed: int, design: sw.Design) -> None:
    data = drawn("gaussian", seed, design)
    trial = data.trial()
    if design is TRANSITION and case.refuses:
        with pytest.raises(sw.DataError, match=REFUSED):
            case.estimator.weights(trial)
        return
    weights = case.estimator.weights(trial)
    left_out = np.isnan(data.allocation.treatment)
    by_hand = sum(weights[i, t] * data.mean[i, t] for i in range(weights.shape[0]) for t in range(weights.shape[1]))
    fit = case.estimator.fit(trial)
    assert by_hand == pytest.approx(float(leading(fit, fit.estimate)), rel=1e-10)
    assert case.estimator.point(trial) == pytest.approx(by_hand, rel=1e-10)
    assert weights.sum(0) == pytest.approx(0, abs=1e-12)  # within each period
    assert weights[trial.arm == 1].sum() == pytest.approx(1, abs=1e-12)
    assert weights[left_out] == pytest.approx(0, abs=1e-14)
    clusters = np.abs(weights.sum(1)).max()
    assert clusters > 1e-3 if "cluster constant" in case.exempt else clusters < 1e-12


@pytest.mark.parametrize("case", LINEAR, ids=lambda case: case.name)
def test_variance_under_a_truth_is_the_double_sum(case: Case) -> None:
    rng = rng_of(5)
    trial = drawn("gaussian", 5).trial()
    roots = rng.standard_normal((SHAPE[0], SHAPE[1], SHAPE[1]))
    covariance = roots @ roots.swapaxes(-1, -2)
    weights = case.estimator.weights(trial)
    by_hand = 0.0
    for i in range(SHAPE[0]):
        for s in range(SHAPE[1]):
            for t in range(SHAPE[1]):
                by_hand += weights[i, s] * covariance[i, s, t] * weights[i, t]
    assert case.estimator.variance(trial, covariance) == pytest.approx(by_hand, rel=1e-12)
    shared = case.estimator.variance(trial, covariance[0])
    assert shared == pytest.approx(case.estimator.variance(trial, np.broadcast_to(covariance[0], covariance.shape)), rel=1e-12)
    stack = trial.reallocated(DESIGN.random_allocations(3, 0))
    each = [case.estimator.variance(stack.replicate(k), covariance) for k in range(3)]
    assert case.estimator.variance(stack, covariance) == pytest.approx(np.array(each), rel=1e-12)


@pytest.mark.parametrize("case", LINEAR, ids=lambda case: case.name)
@pytest.mark.parametrize("level", [0.0, 1e9])
def test_reference_is_the_estimate_under_each_allocation(case: Case, level: float) -> None:
    """Also where the level of the outcome dwarfs what it varies by: 1e9 leaves seven digits of the means themselves."""
    data = drawn("gaussian", 3)
    trial = replace(data, mean=data.mean + level).trial()
    sequences = DESIGN.allocations()[::7]
    slow = [case.estimator.point(trial.reallocated(row)) for row in sequences]
    plain = [case.estimator.point(data.trial().reallocated(row)) for row in sequences]
    assert case.estimator.reference(trial, sequences) == pytest.approx(np.array(slow), rel=1e-9, abs=1e-12)
    assert np.array(slow) == pytest.approx(np.array(plain), abs=1e-12 if level == 0 else 1e-6)


@pytest.mark.parametrize("case", LINEAR, ids=lambda case: case.name)
def test_reference_of_a_stack(case: Case) -> None:
    stack = stacked([drawn("gaussian", k) for k in range(3)])
    sequences = DESIGN.allocations()[::11]
    found = case.estimator.reference(stack, sequences)
    assert found.shape == (len(sequences), 3)
    each = [case.estimator.reference(stack.replicate(k), sequences) for k in range(3)]
    assert found == pytest.approx(np.stack(each, -1), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("case", DIFFERENCES, ids=lambda case: case.name)
def test_the_randomisation_test_is_a_loop_over_allocations(case: Case) -> None:
    trial = drawn("gaussian", 4).trial()
    result = sw.RandomisationTest(interval=False).run(trial, case.estimator)
    by_hand = np.array([float(case.estimator.point(trial.reallocated(row))) for row in DESIGN.allocations()])
    observed = float(case.estimator.point(trial))
    assert result.n_allocations == len(by_hand) == 180
    assert float(result.p_value) == (np.abs(by_hand) >= np.abs(observed) * (1 - 1e-9)).mean()
    assert float(result.p_value) >= 1 / 180


SIZED = [case for case in DIFFERENCES if case.estimator.vcov != "influence"]


@pytest.mark.parametrize("case", SIZED, ids=lambda case: case.name)
def test_simulated_power_fits_it_to_every_draw(case: Case) -> None:
    effects = sw.RandomEffects(cluster=0.3, cluster_period=0.1, residual=1.0)
    none, strong = (
        sw.simulate_power(
            DESIGN,
            sw.Scenario(family="gaussian", baseline=0.0, effect=effect, correlation=effects, size=40),
            {case.name: case.estimator},
            reps=60,
            seed=1,
        )
        for effect in (0.0, 5.0)
    )
    (null,), (found,) = (power.tidy().to_dict("records") for power in (none, strong))
    assert null["n_ok"] == found["n_ok"] == 60
    assert null["power"] < 0.2
    assert found["power"] > null["power"]
