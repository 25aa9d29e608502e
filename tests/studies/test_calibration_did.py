"""Difference-in-differences with the trial's own order and ten comparison authorities: defaults hold their size, peers' errors do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimators import Imputation
from swedge.studies.did_calibration import COLUMNS, ESTIMATORS, SETTINGS, _Block, _draw, _errors, did_calibration_table
from swedge.studies.facts import family_safeguarding

BASE = next(iter(SETTINGS))
LEARNT = ("SyntheticDiD", "SyntheticControl")
FAST = [name for name in ESTIMATORS if name not in LEARNT]
SHORT, LONG = 400, 10_000


@pytest.fixture(scope="module")
def short() -> pd.DataFrame:
    return did_calibration_table(SHORT, seed=1, settings=[BASE], estimators=FAST, tested=1)


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    table = did_calibration_table(SHORT, seed=2, settings=[BASE], effects=["constant", "growing"], estimators=FAST, tested=0)
    return table[table["default"]]


def most(count: float, level: float = 0.05) -> float:
    """What a rate of 5% exceeds by chance once in 700 tables."""
    return level + 3 * float(np.sqrt(level * (1 - level) / count))


def of(table: pd.DataFrame, estimator: str, inference: str) -> pd.Series:
    return table[(table["estimator"] == estimator) & (table["inference"] == inference)].iloc[0]


def test_the_table_has_one_row_an_analysis(short: pd.DataFrame) -> None:
    assert tuple(short.columns) == COLUMNS
    assert not short.duplicated(["estimator", "inference"]).any()
    assert short.groupby("estimator")["default"].sum().eq(1).all()
    wald = short[~short["inference"].str.contains("test|Conley|Ferman|wild")]
    assert (wald["n_ok"] + wald["n_failed"]).eq(SHORT).all()
    assert wald["n_failed"].eq(0).all()
    assert (wald["rejection"] + wald["coverage"]).to_numpy() == pytest.approx(1)  # under a true null the interval misses 0 or does not


def test_calibration_defaults_hold_their_size(short: pd.DataFrame) -> None:
    defaults = short[short["default"]]
    assert set(defaults["estimator"]) == set(FAST)
    assert (defaults["rejection"] <= most(SHORT)).all(), defaults.to_string()


@pytest.mark.parametrize("estimator", ["Imputation", "ExtendedTwoWay", "TwoStage", "StackedDiD", "CallawaySantAnna, never treated"])
def test_calibration_must_fail_with_influence_functions(short: pd.DataFrame, estimator: str) -> None:
    """The analyses that must fail: one authority a cohort leaves an influence function nothing to vary."""
    row = of(short, estimator, "influence, normal")
    assert row["rejection"] - 3 * row["mcse"] > 0.07


def test_the_order_alone_never_rejects(short: pd.DataFrame) -> None:
    exact = short[short["inference"] == "randomisation test"]
    assert len(exact) == len(FAST)
    assert exact["rejection"].eq(0).all()


def test_calibration_intervals_hold_their_targets(effects: pd.DataFrame) -> None:
    assert (effects["coverage"] >= 1 - most(SHORT)).all(), effects.to_string()


def test_only_those_that_assume_one_effect_are_biased_when_it_grows(effects: pd.DataFrame) -> None:
    """The standard deviation of an estimate is about half of 1 here, so 500 of them give a mean to .03."""
    constant, growing = (effects[effects["effect"] == name].set_index("estimator")["bias"] for name in ("constant", "growing"))
    assert constant.abs().max() < 0.12
    averages = ["Imputation", "TwoStage", "ExtendedTwoWay", "CallawaySantAnna, never treated", "SunAbraham"]
    assert (growing[averages] - constant[averages]).to_numpy() == pytest.approx(0, abs=1e-9)  # the same noise in both
    assert (growing - constant)["TwoWayFixedEffects"] < -0.15


@pytest.mark.parametrize("name", LEARNT)
def test_calibration_synthetic_controls(name: str) -> None:
    table = did_calibration_table(100, seed=3, settings=[BASE], estimators=[name], tested=0)
    assert table["n_failed"].eq(0).all()
    assert of(table, name, "default")["rejection"] <= most(100)


def test_law_the_digits_do_not_depend_on_processes_or_on_other_analyses() -> None:
    one = did_calibration_table(300, seed=4, settings=[BASE], estimators=["Imputation"], tested=0)
    two = did_calibration_table(300, seed=4, settings=["independent", BASE], estimators=["TwoStage", "Imputation"], tested=0, n_jobs=2)
    same = two[(two["setting"] == BASE) & (two["estimator"] == "Imputation")].reset_index(drop=True)
    pd.testing.assert_frame_equal(one, same)


@pytest.mark.parametrize("name", SETTINGS)
def test_reference_the_noise_is_what_the_setting_says(name: str) -> None:
    noise, rng = SETTINGS[name], np.random.default_rng(5)
    n = np.tile(np.linspace(50, 400, 15)[:, None], 6)
    errors = _errors(n, noise, 5, 20_000, rng)
    spread = errors.std((0, 2))
    if not noise.sizes:
        assert spread == pytest.approx(np.where(np.arange(15) < 5, 1.0, noise.beside), rel=0.02)
        assert np.corrcoef(errors[:, 0, 2], errors[:, 0, 4])[0, 1] == pytest.approx(noise.autocorrelation**2, abs=0.03)
        return
    assert (errors**2).mean() == pytest.approx(1, rel=0.02)
    assert spread**2 == pytest.approx(0.5 + 0.5 * (1 / n[:, 0]) / (1 / n).mean(), rel=0.03)


def test_reference_one_replicate_by_hand() -> None:
    """The mean of a block's estimates less the mean effect, and its rejections, from single fits."""
    drawn = _draw(_Block(family_safeguarding(), 10, BASE, "growing", ("Imputation",), 20, 0, (6, 0)))
    table = did_calibration_table(20, seed=6, settings=[BASE], effects=["growing"], estimators=["Imputation"], tested=0)
    rejected, errors, covered = 0, [], 0
    for k in range(20):
        fit = Imputation().fit(drawn.trials.replicate(k))
        truth = drawn.truth[k][drawn.trials.replicate(k).arm == 1].mean()
        low, high = np.ravel(fit.conf_int)
        rejected, covered = rejected + (float(fit.p_value) < 0.05), covered + (low <= truth <= high)
        errors.append(float(fit.estimate) - truth)
    row = of(table, "Imputation", "default")
    assert (row["rejection"], row["coverage"]) == (rejected / 20, covered / 20)
    assert row["bias"] == pytest.approx(np.mean(errors))
    exposure = drawn.trials.exposure[drawn.trials.arm == 1]
    assert drawn.truth[drawn.trials.arm == 1] == pytest.approx(0.5 * exposure)
    assert exposure.min() == 1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"settings": ["windy"]}, "settings holds windy; expected a list of: autocorrelation .5"),
        ({"settings": "independent"}, "settings holds independent; expected a list"),
        ({"settings": []}, "settings holds nothing"),
        ({"effects": ["fading"]}, "effects holds fading; expected a list of: none, constant, growing"),
        ({"estimators": ["Imputations"]}, "estimators holds Imputations"),
        ({"comparators": 1}, "comparators"),
        ({"tested": -1}, "tested"),
        ({"reps": 0}, "reps"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_input_is_refused(asked: dict[str, object], message: str) -> None:
    with pytest.raises(sw.SwedgeError, match=message):
        did_calibration_table(**{"reps": 10, "seed": 1, **asked})  # type: ignore[arg-type]


@pytest.mark.calibration
def test_calibration_in_full() -> None:
    table = did_calibration_table(LONG, seed=1, settings=[BASE, "independent"], estimators=FAST, tested=0, n_jobs=2)
    defaults = table[table["default"]]
    assert (defaults["rejection"] <= most(LONG)).all(), defaults.to_string()
    learnt = did_calibration_table(2_000, seed=1, settings=[BASE], estimators=LEARNT, tested=0, n_jobs=2)
    assert (learnt.loc[learnt["default"], "rejection"] <= most(2_000)).all(), learnt.to_string()
