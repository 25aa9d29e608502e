"""What identifies an effect, what does not, and the names in the error of a fit without rank."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from swedge._kernels.aliasing import identified, information_left, relations
from swedge.estimators.identification import aliasing
from swedge.estimators.weighing import exposure_weights

DESIGN = sw.Design.stepped_wedge(clusters=["Avon", "Bute", "Cork", "Down", "Eden"], periods=6)
BEFORE_AFTER = sw.Design.from_matrix([[0, 0, 1, 1]], clusters_per_sequence=[3])
PARALLEL = sw.Design.from_matrix([[0, 0, 0], [1, 1, 1]], clusters_per_sequence=[2, 2])
ESTIMATORS = [
    sw.WithinPeriod(),
    sw.TwoWayFixedEffects(),
    sw.FixedEffects(),
    sw.FixedEffects(vcov="model", effect=sw.ByExposure()),
    sw.MixedModel(),
    sw.MixedModel(effect=sw.ByExposure()),
    sw.MixedModel(sw.Exchangeable(), df="normal", effect=sw.ByExposure(), estimand=sw.TATE()),
]


def trial(design: sw.Design = DESIGN, seed: int = 0, family: str = "gaussian") -> sw.Trial:
    rng = np.random.default_rng(seed)
    shape = (design.n_clusters, design.n_periods)
    n = rng.integers(20, 60, shape).astype(float)
    mean = rng.binomial(n.astype(int), 0.4) / n if family == "binomial" else rng.standard_normal(shape)
    within = 50 * np.ones((shape[0], 1, 1)) if family == "gaussian" else None
    return sw.Trial.from_cells(n, mean, design.randomise(seed=seed), within=within, family=family)


def rows(extra: str = "") -> pd.DataFrame:
    """Twenty children a cell, with an age, its double, a level that stands for a cluster, and an outcome of each kind."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame([(c, t) for c in DESIGN.clusters for t in range(1, 7) for _ in range(20)], columns=["la", "period"])
    age = rng.integers(0, 10, len(frame))
    return frame.assign(age=age, double=2 * age, east=(frame["la"] == "Bute").astype(int), late=(frame["period"] > 4).astype(int),
                        y=rng.integers(0, 2, len(frame)), g=rng.standard_normal(len(frame)))  # fmt: skip


def read(covariates: str, family: str = "gaussian") -> sw.Trial:
    outcome = "g" if family == "gaussian" else "y"
    allocation = DESIGN.randomise(seed=0)
    return sw.Trial.from_frame(rows(), allocation, cluster="la", period="period", outcome=outcome, family=family, covariates=covariates)


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 3))
def test_law_relations_are_the_null_space(seed: int, kept: int, repeats: int) -> None:
    rng = np.random.default_rng(seed)
    independent = rng.integers(-3, 4, (12, kept)) + 7.0 * np.eye(12)[:, :kept]
    columns = np.column_stack([independent, independent @ rng.integers(-2, 3, (kept, repeats))])[:, rng.permutation(kept + repeats)]
    null = relations(columns)
    assert len(null) == kept + repeats - np.linalg.matrix_rank(columns)
    np.testing.assert_allclose(columns @ null.T, 0, atol=1e-7)
    assert np.linalg.matrix_rank(null) == len(null)
    for j, known in enumerate(identified(null, np.eye(kept + repeats))):
        without = np.linalg.matrix_rank(np.delete(columns, j, 1))
        assert known == (without < np.linalg.matrix_rank(columns)), "a column is identified when the rank falls without it"


@given(st.integers(0, 10_000))
def test_reference_information_left_is_the_residual_sum_of_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    others, effects = rng.standard_normal((15, 4)), rng.standard_normal((15, 2))
    x = np.column_stack([others, effects])
    contrasts = np.array([[1.0, 0.0], [0.5, 0.5]])
    expected = [c @ np.linalg.inv(x.T @ x)[4:, 4:] @ c for c in contrasts]
    repeated = np.column_stack([others, others[:, :1]])
    np.testing.assert_allclose(information_left(effects, repeated, contrasts), expected, rtol=1e-8)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_law_a_wedge_identifies_everything(estimator: sw.Estimator) -> None:
    found = aliasing(trial(), estimator)
    assert found.identified.all()
    assert found.relations == ()
    assert found.weighed == "the estimator"
    assert "Not identified" not in found.summary()
    assert ((found.share_left > 0) & (found.share_left <= 1 + 1e-12)).all()
    assert (found.share_within <= found.share_left + 1e-12).all()
    np.testing.assert_allclose(found.shares("period").groupby("term")["share"].sum(), 1)
    assert len(found.cells()) == 30 * len(found.terms)


def test_law_weights_are_those_of_the_exposure_report() -> None:
    for estimator in (sw.MixedModel(), sw.FixedEffects()):
        found = aliasing(trial(), estimator)
        by_exposure = exposure_weights(trial(), estimator)
        sums = [found.weights[0][trial().exposure == s].sum() for s in by_exposure.times]
        np.testing.assert_allclose(sums, by_exposure.weights, atol=1e-12)


def test_reference_share_left_is_the_reciprocal_of_the_variance_inflation() -> None:
    """R-squared of the treatment on the other columns, all counts equal."""
    equal = sw.Trial.from_cells(np.full((5, 6), 20), np.random.default_rng(0).standard_normal((5, 6)), DESIGN.randomise(seed=0))
    z = equal.treatment.ravel()
    i, t = (index.ravel() for index in np.indices((5, 6)))

    def left(x: np.ndarray) -> float:
        return float(((z - x @ np.linalg.lstsq(x, z, rcond=None)[0]) ** 2).sum() / ((z - z.mean()) ** 2).sum())

    periods, both = np.eye(6)[t], np.column_stack([np.eye(6)[t], np.eye(5)[i]])
    found = aliasing(equal, sw.WithinPeriod())
    assert found.share_left[0] == pytest.approx(left(periods))
    assert found.share_within[0] == pytest.approx(left(both))
    assert aliasing(equal, sw.FixedEffects()).share_left[0] == pytest.approx(left(both))


def test_law_one_cluster_alone_is_named() -> None:
    found = aliasing(trial(), sw.FixedEffects(vcov="model", effect=sw.ByExposure()))
    first = DESIGN.clusters[int(np.argmin(trial().allocation.sequence))]
    assert found.tidy().set_index("term")["treated_clusters"].tolist() == [5, 4, 3, 2, 1]
    assert f"exposure 5 is seen in one cluster alone, {first}" in found.summary()


WORDS = [
    (BEFORE_AFTER, sw.WithinPeriod(), "treatment = periods 3, 4 (no control cell in periods 3, 4)"),
    (BEFORE_AFTER, sw.MixedModel(), "treatment = periods 3, 4 (no control cell in periods 3, 4)"),
    (BEFORE_AFTER, sw.FixedEffects(), "treatment = periods 3, 4 (no control cell in periods 3, 4)"),
    (PARALLEL, sw.FixedEffects(), "treatment = clusters {}"),
    (PARALLEL, sw.TwoWayFixedEffects(), "treatment = clusters {}"),
]


@pytest.mark.parametrize(("design", "estimator", "words"), WORDS, ids=[f"{e!r} {w}" for _, e, w in WORDS])
def test_law_what_is_not_identified_is_named_in_words(design: sw.Design, estimator: sw.Estimator, words: str) -> None:
    made = trial(design)
    treated = ", ".join(np.array(made.clusters)[(made.arm > 0).any(1)])
    found = aliasing(made, estimator)
    assert found.aliased_with == (words.format(treated),)
    assert f"Not identified: treatment, for {words.format(treated)}." in found.summary()
    assert found.share_left.item() == 0
    assert np.isnan(found.weights).all()
    with pytest.raises(sw.FitError) as error:
        estimator.fit(made)
    assert "rank deficient" in str(error.value)
    assert words.format(treated) in str(error.value)
    with pytest.raises(sw.FitError, match="not identified, so it has no weights"):
        found.plot()


def test_law_the_shorter_way_is_found_whichever_cluster_comes_first() -> None:
    """The first cluster has no column: treated, it is all periods less the others."""
    for names in (("1", "2"), ("3", "4"), ("1", "4")):
        allocation = PARALLEL.allocate({str(k + 1): int(str(k + 1) in names) for k in range(4)})
        made = sw.Trial.from_cells(np.full((4, 3), 20), np.random.default_rng(0).random((4, 3)), allocation)
        assert aliasing(made, sw.TwoWayFixedEffects()).aliased_with == (f"treatment = clusters {', '.join(names)}",)


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
@pytest.mark.parametrize(
    ("covariates", "words", "with_clusters_only"),
    [("age + double", "double = 2 x age", False), ("east", "east = cluster Bute", True), ("late", "late = periods 5, 6", False)],
)
def test_law_repeated_covariates_are_named_and_leave_the_effect_alone(
    covariates: str, words: str, with_clusters_only: bool, family: str
) -> None:
    made = read(covariates, family)
    mixed = sw.MixedModel(sw.Exchangeable(), df="normal")
    for estimator in [sw.FixedEffects(vcov="model"), *([] if with_clusters_only else [mixed])]:
        found = aliasing(made, estimator)
        assert found.relations == (words,)
        assert found.aliased_with == ("",)
        assert f"Columns that repeat others: {words}." in found.summary()
        assert found.weighed == "least squares by counts"
        with pytest.raises(sw.FitError, match=words.replace("(", r"\(")):
            estimator.fit(made)


def test_reference_weights_without_the_repeated_covariate() -> None:
    """The effect is identified all the same, with the weights of the model that lacks the repeat."""
    found, leaner = aliasing(read("age + double"), sw.FixedEffects()), aliasing(read("age"), sw.FixedEffects())
    np.testing.assert_allclose(found.weights, leaner.weights, atol=1e-9)
    assert found.share_left == pytest.approx(leaner.share_left)


def test_law_a_covariate_fixed_in_clusters_is_known_to_a_mixed_model() -> None:
    assert aliasing(read("east"), sw.MixedModel(sw.Exchangeable(), df="normal")).relations == ()


def test_law_treatment_by_period_has_its_own_names() -> None:
    found = aliasing(trial(), sw.FixedEffects(vcov="model", effect=sw.ByPeriod(empty="leave out")))
    assert found.terms == ("period 2", "period 3", "period 4", "period 5")
    assert found.identified.all()
    assert found.at_work[0].sum() == 1


def test_law_exposures_that_move_as_time_does_are_all_unidentified() -> None:
    found = aliasing(trial(BEFORE_AFTER), sw.FixedEffects(effect=sw.ByExposure()))
    assert not found.identified.any()
    assert found.aliased_with == (
        "exposure 1 = period 3 (no control cell in period 3)",
        "exposure 2 = period 4 (no control cell in period 4)",
    )


def test_law_the_picture_shows_the_weights_of_a_term() -> None:
    found = aliasing(trial(), sw.MixedModel(effect=sw.ByExposure()))
    assert found.plot("exposure 2").get_ylabel() == "Cluster"
    assert repr(found) == "<Aliasing: 5 of 5 effects identified by MixedModel>"


class Odd(sw.Estimator):
    """An estimator without columns."""

    def _fit(self, trial: sw.Trial) -> sw.Estimate:
        return sw.WithinPeriod()._fit(trial)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: aliasing(3, sw.FixedEffects()), sw.DataError, "fits a Trial, and this is an int"),
        (lambda: aliasing(trial(), "FE"), sw.DataError, "the text 'FE', not an Estimator"),
        (lambda: aliasing(trial(), Odd()), sw.FitError, "Odd is no regression on named columns"),
        (lambda: aliasing(trial(), sw.FixedEffects()).shares("la"), sw.FitError, "by='la'; expected 'cluster' or 'period'"),
        (lambda: aliasing(trial(), sw.MixedModel(effect=sw.ByExposure())).plot(), sw.FitError, "term=None; expected one of exposure 1"),
        (lambda: aliasing(trial(), sw.FixedEffects()).plot("treatmant"), sw.FitError, "Did you mean 'treatment'"),
    ],
)
def test_bad_input_aliasing(call: object, error: type[sw.SwedgeError], says: str) -> None:
    with pytest.raises(error, match=says):
        call()  # type: ignore[operator]
