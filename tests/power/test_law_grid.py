from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from swedge.errors import Status
from swedge.power import engine
from swedge.power.chunks import CHUNK, Draws
from swedge.power.engine import Run, Tally
from swedge.power.grid import SimulatedGrid, simulate_grid
from swedge.studies import family_safeguarding

STUDY = family_safeguarding()
NULL = STUDY.scenario(noise=0.1)
ESTIMATORS: dict[str, Any] = {
    "CR2": sw.FixedEffects(),
    "overdispersed": sw.FixedEffects(vcov="overdispersed"),
    "within": sw.WithinPeriod(),
}
TESTS = {"Wald": sw.WaldTest(), "exact": sw.RandomisationTest()}
METHODS: dict[str, Any] = {"CR2": sw.FixedEffects(), "exact": (sw.WithinPeriod(), sw.RandomisationTest())}
SCENARIOS = {1.0: NULL, 0.7: dataclasses.replace(NULL, effect=np.log(0.7))}


def three_by_two(**how: Any) -> SimulatedGrid:
    """Three estimators and two tests, one of them exact, on the Family Safeguarding design; the last chunk is a short one."""
    return simulate_grid({"FS": STUDY.design}, {"0.8": STUDY.scenario(0.8, 0.1)}, ESTIMATORS, tests=TESTS, reps=600, seed=5, **how)


def digits(power: sw.SimulatedPower) -> bytes:
    return b"".join(np.ascontiguousarray(array).tobytes() for draws in power.draws.values() for array in draws)


def grid_digits(grid: SimulatedGrid) -> tuple[str, bytes]:
    return grid.tidy().to_csv(), b"".join(digits(power) for power in grid.cells.values())


def power(reps: int = 500, methods: dict[str, Any] = METHODS, truth: sw.Scenario = NULL, **how: Any) -> sw.SimulatedPower:
    return sw.simulate_power(STUDY.design, truth, methods, reps=reps, seed=5, **how)


@pytest.fixture(scope="module")
def alone() -> tuple[str, bytes]:
    """On one worker, a chunk a job."""
    return grid_digits(three_by_two())


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Dask cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="dask is not installed: pip install 'swedge[distributed]'")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running,
        distributed.Client(running) as client,
    ):
        yield client


@pytest.mark.parametrize(("n_jobs", "block"), [(1, 2), (1, 100), (2, 1), (3, 2)])
def test_neither_workers_nor_blocks_change_a_digit(n_jobs: int, block: int, alone: tuple[str, bytes]) -> None:
    assert grid_digits(three_by_two(n_jobs=n_jobs, block=block)) == alone


@pytest.mark.filterwarnings("default")  # the cluster's own
def test_a_dask_cluster_gives_the_same_digits_by_client_and_by_backend(
    cluster: Any, alone: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "run_chunk", None)  # here, not on the cluster
    assert grid_digits(three_by_two(client=cluster, block=2)) == alone
    with joblib.parallel_config(backend="dask"):
        assert grid_digits(three_by_two()) == alone


def test_a_chunk_is_the_child_that_spawn_gives() -> None:
    trial = NULL.draw(STUDY.design, CHUNK, np.random.default_rng(np.random.SeedSequence(5).spawn(2)[1]))
    expected = sw.FixedEffects().fit(trial).estimate
    np.testing.assert_array_equal(power().draws["CR2"].estimate[CHUNK:], expected)


def test_more_replicates_leave_the_first_ones_as_they_were() -> None:
    few, many = power(500).draws["CR2"], power(750).draws["CR2"]
    np.testing.assert_array_equal(few.p_value, many.p_value[:500])


def test_every_method_sees_the_same_trials_whatever_its_company() -> None:
    together = power(methods={**ESTIMATORS, **METHODS})
    np.testing.assert_array_equal(together.draws["CR2"].estimate, together.draws["overdispersed"].estimate)
    assert digits(power(methods={"within": sw.WithinPeriod()})) == b"".join(a.tobytes() for a in together.draws["within"])


def test_cells_with_common_random_numbers_are_simulate_power() -> None:
    grid = simulate_grid({"FS": STUDY.design}, SCENARIOS, METHODS, reps=500, seed=5)
    for (_, name), cell in grid.cells.items():
        assert digits(cell) == digits(power(truth=SCENARIOS[float(name)]))


def test_common_random_numbers_sharpen_differences_between_scenarios() -> None:
    null = sw.Scenario(family="gaussian", baseline=0.0, size=20, sd=1.0, correlation=sw.NestedExchangeable(0.05, 0.8))
    truths = {effect: dataclasses.replace(null, effect=effect) for effect in (0.0, 0.3)}
    spread = {}
    for common in (True, False):
        grid = simulate_grid({"FS": STUDY.design}, truths, {"within": sw.WithinPeriod()}, reps=250, seed=5, common=common)
        control, treated = (cell.draws["within"].estimate for cell in grid.cells.values())
        spread[common] = (treated - control).std()
    assert spread[True] < 1e-12 < spread[False]


def test_separate_cells_have_numbers_of_their_own_and_the_same_on_any_workers() -> None:
    how: dict[str, Any] = {"reps": 300, "seed": 5, "common": False}
    one, two = (simulate_grid({"FS": STUDY.design}, {"a": NULL, "b": NULL}, METHODS, n_jobs=n, **how) for n in (1, 2))
    assert digits(one.cells["FS", "a"]) != digits(one.cells["FS", "b"])
    assert grid_digits(one) == grid_digits(two)


@pytest.mark.parametrize(("n_jobs", "block"), [(1, 1), (1, 5), (2, 3)])
def test_stopping_at_a_monte_carlo_error_does_not_depend_on_workers(n_jobs: int, block: int) -> None:
    stopped = power(20_000, mcse=0.01, n_jobs=n_jobs, block=block)
    assert stopped.reps == 750
    assert digits(stopped) == digits(power(750))
    assert (stopped.tidy()["mcse"] <= 0.01).all()


def test_without_reaching_the_error_every_replicate_is_used() -> None:
    assert power(600, mcse=1e-4).reps == 600


def test_each_cell_stops_by_itself() -> None:
    grid = simulate_grid({"FS": STUDY.design}, SCENARIOS, {"CR2": sw.FixedEffects()}, reps=5_000, seed=5, mcse=0.012)
    null, effect = (cell.reps for cell in grid.cells.values())
    assert null < effect < 5_000
    assert f"{null:,} to {effect:,} trials" in grid.summary()


def piece(rejections: int) -> dict[str, Draws]:
    """A chunk with so many rejections."""
    numbers = np.zeros(CHUNK)
    return {"a": Draws(numbers, numbers, (np.arange(CHUNK) >= rejections).astype(float), numbers, numbers, np.zeros(CHUNK, dtype=np.int8))}


@given(st.permutations(range(8)), st.lists(st.integers(0, CHUNK), min_size=8, max_size=8), st.sampled_from([None, 0.01, 0.02, 0.03]))
def test_the_order_in_which_chunks_arrive_decides_nothing(order: list[int], rejections: list[int], mcse: float | None) -> None:
    run = Run(reps=8 * CHUNK, seed=0, alpha=0.05, mcse=mcse)
    expected = Tally(run, {chunk: piece(rejections[chunk]) for chunk in range(8)})
    arriving = Tally(run, {})
    for chunk in order:
        arriving.add({chunk: piece(rejections[chunk])})
    assert arriving.used == expected.used


def test_no_rejection_in_250_is_not_taken_for_certainty() -> None:
    run = Run(reps=8 * CHUNK, seed=0, alpha=0.05, mcse=0.004)
    assert Tally(run, {0: piece(0)}).used is None
    assert Tally(run, {0: piece(0), 1: piece(0)}).used == 2


def test_failed_fits_are_counted_and_bound_the_power() -> None:
    rare = sw.Scenario(family="binomial", baseline=0.002, effect=-0.5, size=60)
    row = power(truth=rare, methods={"CR2": sw.FixedEffects()}).tidy().iloc[0]
    assert row.n_failed > 0
    assert row.n_ok + row.n_singular + row.n_failed == 500
    assert row.power_if_failures_reject == pytest.approx(row.power + row.n_failed / 500)


def test_the_bar_shows_time_left_and_failures_and_can_be_turned_off(capfd: pytest.CaptureFixture[str]) -> None:
    power(250, progress=True)
    shown = capfd.readouterr().err
    assert "250/250" in shown
    assert "failed=0" in shown
    power(250, progress=False)
    assert not capfd.readouterr().err


def test_tidy_has_a_row_a_cell_and_method_and_the_columns_of_one_power() -> None:
    designs = {"FS": STUDY.design, "staircase": sw.Design.stepped_wedge(STUDY.design.clusters, periods=6)}
    grid = simulate_grid(designs, {"null": sw.Scenario(family="binomial", baseline=0.06, size=200)}, METHODS, reps=250, seed=0)
    table = grid.tidy()
    assert list(table.columns) == ["design", "scenario", *power(250).tidy().columns]
    assert table[["design", "scenario", "estimator"]].to_numpy().tolist() == [
        [design, "null", method] for design in designs for method in METHODS
    ]
    assert grid.summary().splitlines()[0] == "FS, null"
    assert "the same random numbers in all cells, seed 0" in grid.summary().splitlines()[-1]


def test_effects_make_curves_named_by_number_or_told_by_their_effect() -> None:
    numbered = simulate_grid({"FS": STUDY.design}, SCENARIOS, METHODS, reps=250, seed=5)
    axes = numbered.plot()
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.7, 1.0])
    assert numbered.plot(xlabel="Odds ratio").get_xlabel() == "Odds ratio"
    named = dataclasses.replace(numbered, cells={("FS", str(ratio)): cell for (_, ratio), cell in numbered.cells.items()})
    axes = named.plot()
    assert axes.get_xlabel() == "Effect (log odds ratio)"
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [np.log(0.7), 0.0])


def test_other_scenarios_make_rows_with_intervals() -> None:
    noisy = {"quiet": STUDY.scenario(), "noisy": NULL}
    axes = simulate_grid({"FS": STUDY.design}, noisy, METHODS, reps=250, seed=5).plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"FS, {name}: {method}" for name in noisy for method in METHODS]


def test_a_zip_plot_changes_colour_at_the_coverage() -> None:
    result = power(500, methods={"CR2": sw.FixedEffects()})
    axes = result.plot_zip("CR2")
    covered = result.tidy()["coverage"].item()
    heights = [np.array([segment[0][1] for segment in lines.get_segments()]) for lines in axes.collections[:2]]
    assert len(heights[0]) == round(500 * covered)
    assert heights[0].max() < heights[1].min()
    assert axes.get_xlabel() == "CR2: log odds ratio"


def test_intervals_without_end_cover_and_lie_lowest() -> None:
    from swedge._present.zip import draw_zip

    estimate, low, high = np.array([[0.0, 1.0, 0.1], [-np.inf, 0.5, -0.1], [np.inf, 1.5, 0.3]])
    axes = draw_zip(estimate, low, high, 0.0, "difference")
    assert len(axes.collections[0].get_segments()) == 2
    assert np.isfinite(axes.get_xlim()).all()


def test_an_error_inside_a_worker_names_the_method_and_the_seed() -> None:
    wrong = {"fine": sw.FixedEffects(), "GLMM": sw.MixedModel()}
    for n_jobs in (1, 2):
        with pytest.raises(sw.FitError, match=r"'GLMM' failed in chunk \d+, whose seed is numpy.random.SeedSequence\(5, spawn_key="):
            power(methods=wrong, n_jobs=n_jobs)


def test_an_error_that_is_not_ours_becomes_ours() -> None:
    class Broken(sw.FixedEffects):
        def _fit(self, trial: sw.Trial) -> sw.Estimate:
            raise ZeroDivisionError("by nought")

    with pytest.raises(sw.FitError, match=r"'broken' failed in chunk 0, .* ZeroDivisionError: by nought"):
        power(methods={"broken": Broken()})


def test_a_test_that_answers_for_one_trial_only_is_found_out() -> None:
    class Short(sw.WaldTest):
        def run(self, trial: sw.Trial, estimator: sw.Estimator) -> sw.TestResult:
            return super().run(trial.replicate(0), estimator)

    with pytest.raises(sw.FitError, match=r"shape \(\) for a stack of 250 trials"):
        power(methods={"short": (sw.FixedEffects(), Short())})


def test_statuses_survive_the_joining() -> None:
    result = power(500).draws["CR2"]
    assert result.status.dtype == np.int8
    assert set(result.status.tolist()) <= {int(status) for status in Status}
    assert isinstance(power(250).tidy(), pd.DataFrame)
