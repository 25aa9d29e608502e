"""Rubin's rules against a plain loop in the words of the book, and laws that any pooling keeps."""

from __future__ import annotations

from dataclasses import replace
from math import inf, sqrt

import numpy as np
import pytest

import swedge as sw
from swedge.inference.pooling import pool

RNG = np.random.default_rng(20)


def fits(sets: int, shape: tuple[int, ...] = (), terms: tuple[str, ...] = ("treatment",), df: float = 4.0) -> list[sw.Estimate]:
    full = shape if len(terms) == 1 else (*shape, len(terms))
    return [
        sw.Estimate(
            terms,
            RNG.normal(1, 0.2, full),
            RNG.uniform(0.5, 1, full),
            RNG.uniform(0.9, 1.1, full) * df,
            np.zeros(shape, dtype=np.int8),
            "treatment effect",
            "FixedEffects CR2",
            "identity",
            "A model.",
        )
        for _ in range(sets)
    ]


def numbers(fit: sw.Estimate) -> np.ndarray:
    return np.array([fit.estimate, fit.std_error, fit.df])


def by_hand(estimates: list[float], errors: list[float], complete: float) -> tuple[float, float, float, float]:
    """Estimate, standard error, degrees of freedom and fraction of missing information, one line of the book after the other."""
    m = len(estimates)
    q = sum(estimates) / m
    u = sum(error**2 for error in errors) / m
    b = sum((value - q) ** 2 for value in estimates) / (m - 1)
    t = u + b + b / m
    r = (b + b / m) / u
    old = (m - 1) * (1 + 1 / r) ** 2
    fraction = (r + 2 / (old + 3)) / (r + 1)
    if complete == inf:
        return q, sqrt(t), old, fraction
    observed = (complete + 1) / (complete + 3) * complete * (1 - (b + b / m) / t)
    return q, sqrt(t), old * observed / (old + observed), fraction


@pytest.mark.parametrize("df", [3.9, 30.0, inf])
@pytest.mark.parametrize("sets", [2, 5, 20])
def test_a_plain_loop_gives_the_same(sets: int, df: float) -> None:
    made = fits(sets, df=df)
    complete = sum(float(fit.df) for fit in made) / sets
    expected = by_hand([float(fit.estimate) for fit in made], [float(fit.std_error) for fit in made], complete)
    pooled = pool(made)
    assert [*numbers(pooled), float(pooled.details["fmi"])] == pytest.approx(expected, rel=1e-12)
    assert pooled.tidy()["fmi"].item() == pooled.details["fmi"]


def test_the_complete_data_degrees_of_freedom_may_be_given() -> None:
    made = fits(5)
    given = [float(fit.estimate) for fit in made], [float(fit.std_error) for fit in made]
    assert pool(made, complete_df=19).df == pytest.approx(by_hand(*given, 19.0)[2], rel=1e-12)
    assert pool(made, complete_df=np.inf).df == pytest.approx(by_hand(*given, inf)[2], rel=1e-12)


@pytest.mark.parametrize("terms", [("treatment",), ("period 1", "period 2", "period 3")])
def test_law_a_stack_is_pooled_replicate_by_replicate_and_term_by_term(terms: tuple[str, ...]) -> None:
    made = fits(4, (6,), terms)
    whole = pool(made)
    assert whole.estimate.shape == made[0].estimate.shape
    for r in range(6):
        one = pool([replace(fit, **{name: getattr(fit, name)[r] for name in ("estimate", "std_error", "df", "status")}) for fit in made])
        for name in ("estimate", "std_error", "df"):
            assert getattr(one, name) == pytest.approx(getattr(whole, name)[r], rel=1e-12)
    assert len(whole.tidy()) == 6 * len(terms)


def test_law_sets_that_agree_are_one_complete_data_analysis() -> None:
    one = fits(1)[0]
    pooled = pool([one] * 7)
    assert numbers(pooled) == pytest.approx(numbers(one), rel=1e-14)
    assert pooled.details["fmi"] == pooled.details["relative_increase"] == 0
    assert not pooled.notes


def test_law_order_and_units_do_not_matter() -> None:
    made = fits(6)
    pooled, turned = pool(made), pool(made[::-1])
    scaled = pool([replace(fit, estimate=100 * fit.estimate, std_error=100 * fit.std_error) for fit in made])
    assert numbers(turned) == pytest.approx(numbers(pooled), rel=1e-12)
    assert numbers(scaled) == pytest.approx(numbers(pooled) * np.array([100, 100, 1]), rel=1e-12)
    assert scaled.details["fmi"] == pytest.approx(float(pooled.details["fmi"]), rel=1e-12)


def test_law_a_set_that_failed_spoils_its_own_replicate_alone() -> None:
    made = fits(3, (2,))
    lost = np.array([1.0, np.nan])
    made[1] = replace(
        made[1], **{name: getattr(made[1], name) * lost for name in ("estimate", "std_error", "df")}, status=np.array([0, 3], dtype=np.int8)
    )
    pooled = pool(made)
    assert np.isfinite(pooled.estimate[0])
    assert np.isnan([pooled.estimate[1], pooled.std_error[1], pooled.df[1]]).all()
    assert pooled.status.tolist() == [sw.Status.OK, sw.Status.SEPARATED]


def test_what_few_degrees_of_freedom_lose_is_said() -> None:
    assert "4.0 degrees of freedom here, and Barnard and Rubin's formula at most 2.9" in pool(fits(5), complete_df=4).summary()
    assert "Barnard and Rubin's formula" not in pool(fits(5, df=50)).summary()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"terms": ("arm",)}, "differ in terms: 1 are not as set 1"),
        ({"estimand": "LTE"}, "differ in estimand.*set 3: 'LTE'"),
        ({"estimator": "GEE"}, "differ in estimator"),
        ({"scale": "logit"}, "differ in scale"),
        ({"level": 0.9}, "differ in level"),
    ],
)
def test_bad_input_fits_of_different_kinds(change: dict[str, object], said: str) -> None:
    made = fits(4)
    made[2] = replace(made[2], **change)
    with pytest.raises(sw.DataError, match=said):
        pool(made)


def test_bad_input_shapes() -> None:
    with pytest.raises(sw.DataError, match="differ in shape"):
        pool([fits(1)[0], fits(1, (3,))[0]])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "0 imputed sets were passed; Rubin's rules need at least 2"),
        (fits(1), "1 imputed sets"),
        (fits(1)[0], "a single Estimate"),
        (3, "a single int"),
        ([fits(1)[0], 2.0], "number 2 is a float"),
    ],
)
def test_bad_input_no_list_of_fits(given: object, said: str) -> None:
    with pytest.raises(sw.DataError, match=said):
        pool(given)


def test_bad_input_failed_fits_are_counted() -> None:
    made = fits(5)
    for k, status in ((1, sw.Status.SEPARATED), (3, sw.Status.NOT_CONVERGED)):
        made[k] = replace(made[k], estimate=np.asarray(np.nan), status=np.asarray(status, dtype=np.int8))
    with pytest.raises(sw.FitError, match="2 of 5 imputed sets could not be fitted: set 2: separated; set 4: not converged"):
        pool(made)


@pytest.mark.parametrize(("df", "said"), [(0, "expected positive"), (np.nan, "expected positive"), ([1.0, 2.0], "has shape")])
def test_bad_input_complete_df(df: object, said: str) -> None:
    with pytest.raises(sw.DataError, match=said):
        pool(fits(3), complete_df=df)
