"""Pictures of a report: what they draw is what the report's tables hold."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import swedge as sw
from report_examples import hostile_plan, rich_plan, run_of, small_people
from swedge.errors import PlanError
from swedge.plan.documents import figures, flow_figure
from swedge.plan.documents.naming import drawn
from swedge.plan.report import Report

rich = cache(lambda: run_of(rich_plan()))
few = cache(lambda: run_of(rich_plan(), small_people(rich_plan())))


@pytest.fixture(autouse=True)
def _closed() -> object:
    yield
    plt.close("all")


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_the_forest_has_a_row_an_estimate_and_one_an_offered_interval() -> None:
    rows = rich().rows
    own = rows[(rows["outcome"] == "score")]
    lines = figures.forest_lines(rich(), "score")
    offered = own["offered_level"].notna().sum()
    assert len(lines) == len(own) + offered
    np.testing.assert_array_equal(
        sorted(line.estimate for line in lines), sorted([*own["estimate"], *own.loc[own["offered_level"].notna(), "estimate"]])
    )
    axes = figures.forest_of(rich(), "score")
    assert len(axes.get_yticklabels()) == len(lines)
    assert axes.get_xlabel() == "Difference in mean (points)"


def test_each_scale_of_an_outcome_has_a_forest_of_its_own_and_logarithms_have_ratios() -> None:
    pictures = figures.forest_pictures(rich(), "recovered")
    assert len(pictures) == 2
    assert "odds ratio along the top" in pictures[0].caption
    assert "difference in risk" in pictures[1].caption
    assert [axis.get_xlabel() for axis in figures.forest_of(rich(), "recovered").child_axes] == ["Odds ratio"]
    assert figures.forest_of(rich(), "recovered", scale="identity").child_axes == []


def test_the_forest_of_a_report_is_that_of_its_primary_outcome() -> None:
    labels = [label.get_text() for label in rich().plot().get_yticklabels()]
    assert labels == [label.get_text() for label in rich().plot("recovered").get_yticklabels()]


def test_what_failed_is_written_out_and_infinite_intervals_are_arrows() -> None:
    assert texts(figures.forest_of(rich(), "never")).count(" not estimated") == 4
    assert "4 results were not estimated" in figures.forest_pictures(rich(), "never")[0].caption
    assert figures.INFINITE in figures.forest_pictures(rich(), "recovered")[0].caption
    assert figures.INFINITE not in figures.forest_pictures(rich(), "never")[0].caption


def test_trajectories_are_the_cells_and_what_is_suppressed_is_a_gap() -> None:
    axes = figures.trajectories_of(few(), "recovered", "all")
    cells = few().cells.query("outcome == 'recovered' and population == 'all'")
    lines = [line.get_ydata() for line in axes.get_lines() if line.get_linestyle() not in ("None", "none") and len(line.get_ydata()) == 6]
    wide = cells.pivot(index="cluster", columns="period", values="mean").loc[cells["cluster"].unique()]
    np.testing.assert_array_equal(np.array(lines), wide.to_numpy())
    assert np.isnan(np.array(lines)).sum() == cells["suppressed"].sum() > 0
    caption = figures.trajectories_picture(few(), "recovered", "all").caption
    assert f"{cells['suppressed'].sum()} cells are gaps: small counts are suppressed" in caption
    whole = replace(rich(), cells=rich().cells.assign(suppressed=False))
    assert "gap" not in figures.trajectories_picture(whole, "score", "all").caption


def test_comparators_are_grey_and_last() -> None:
    report = rich()
    beside = report.cells.assign(cluster=report.cells["cluster"].replace("A", "Elsewhere"))
    axes = figures.trajectories_of(replace(report, cells=beside), "score", "all")
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "Elsewhere" not in shown
    assert "1 comparison clusters" in shown


def test_the_reference_distribution_is_that_of_the_report() -> None:
    key = figures.reference_keys(rich(), "recovered")[0]
    axes = figures.reference_of(rich(), key)
    assert "12 allocations" in axes.get_title(loc="left")
    assert axes.get_xlabel() == "Log odds ratio under each allocation"
    row = rich().rows.query("outcome == 'recovered' and test == 'exact' and method == 'cr2'").iloc[0]
    assert f"{row['statistic']:.4g}" in figures.reference_picture(rich(), key).alt
    assert len(figures.reference_keys(rich(), "never")) == 0


def test_effects_along_exposures_are_a_curve_without_a_band_that_is_not_known() -> None:
    (picture,) = figures.effect_pictures(rich(), "score")
    assert "5 effects" in picture.alt
    axes = figures.effects_of(rich(), ("curve", "sensitivity", "score", "all", "curve", ""))
    curve = next(line for line in axes.get_lines() if len(line.get_ydata()) == 5)
    np.testing.assert_array_equal(curve.get_ydata(), rich().rows.query("analysis == 'curve'")["estimate"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["estimate, pointwise interval"]
    assert figures.effect_pictures(rich(), "recovered") == []


def test_the_flow_diagram_counts_what_the_report_counts() -> None:
    shown = texts(flow_figure.flow_of(rich(), "recovered", "kind"))
    assert "5 clusters randomised" in shown
    assert "900 rows read" in shown
    kept = int(rich().flow.query("population == 'kind' and stage == 'in the population'")["rows"].sum())
    assert any(f"{kept} rows in the population" in text.replace("\n", " ") for text in shown)
    assert any(f"{900 - kept} rows outside" in text.replace("\n", " ") for text in shown)


def test_every_step_of_the_flow_has_words() -> None:
    steps = set(rich().flow["stage"])
    assert steps == set(flow_figure.KEPT) == {"rows read", *flow_figure.LEFT}


def test_the_flow_diagram_hides_what_is_suppressed_and_what_gives_it_away() -> None:
    shown = texts(flow_figure.flow_of(few(), "recovered", "all"))
    assert shown.count(flow_figure.HIDDEN) == few().cells.query("outcome == 'recovered' and population == 'all'")["suppressed"].sum() > 1
    assert any(text.replace("\n", " ").startswith("at least") for text in shown)
    assert any("a suppressed number of rows" in text.replace("\n", " ") for text in shown)
    assert [text for text in shown if text in ("180", "177", "154")] == ["180", "180", "180"]
    numbers = [int(text) for text in shown if text.isdigit() and text not in "123456"]
    assert not [number for number in numbers if 1 <= number <= 5]


def test_the_flow_diagram_shows_the_schedule_where_the_data_are_no_trial() -> None:
    empty = replace(rich(), cells=rich().cells.iloc[:0])
    assert texts(flow_figure.flow_of(empty, "recovered", "all")).count("–") == 30


def test_comparators_stand_in_the_first_box_and_have_no_row_of_the_schedule() -> None:
    report = replace(
        rich(),
        flow=rich().flow.assign(cluster=rich().flow["cluster"].replace("A", "Elsewhere")),
        cells=rich().cells.assign(cluster=rich().cells["cluster"].replace("A", "Elsewhere")),
    )
    shown = texts(flow_figure.flow_of(report, "recovered", "all"))
    assert "4 clusters randomised, 1\ncomparator beside them" in shown
    assert "Elsewhere" not in shown


def test_treatment_in_the_diagram_is_what_was_analysed() -> None:
    other = rich().cells.assign(treatment=0.5)
    assert "Treated in part" in texts(flow_figure.flow_of(replace(rich(), cells=other), "recovered", "all"))
    unseen = rich().cells.assign(treatment=np.nan, n=0.0)
    assert "Not observed" in texts(flow_figure.flow_of(replace(rich(), cells=unseen), "recovered", "all"))


def test_no_dollar_sign_begins_a_formula_in_any_picture() -> None:
    report = run_of(hostile_plan())
    for picture in (
        *figures.forest_pictures(report, "recovered"),
        figures.trajectories_picture(report, "recovered", "all"),
        figures.reference_picture(report, figures.reference_keys(report, "recovered")[0]),
        flow_figure.flow_picture(report, "recovered", "kind"),
    ):
        assert picture.png.startswith(b"\x89PNG")
    assert drawn("_x $y$") == " _x \\$y\\$"


def test_clusters_with_dollar_signs_can_be_drawn() -> None:
    axes = sw.Design.stepped_wedge(["$\\frac{$", "b$"]).randomise(seed=1).plot()
    axes.figure.canvas.draw()


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda report: figures.forest_of(report, "recoverd"), "no outcome 'recoverd'. Did you mean 'recovered'"),
        (lambda report: report.plot("nothing"), "no outcome"),
        (lambda report: figures.forest_of(report, "recovered", scale="probit"), "no estimate of 'recovered'"),
        (lambda report: figures.trajectories_of(report, "score", "kind"), "no cells"),
        (lambda report: figures.reference_of(report, ("main", "main", "never", "all", "cr2", "exact")), "no reference distribution"),
        (lambda report: figures.effects_of(report, ("main", "main", "score", "all", "cr2", "")), "no effects along"),
        (lambda report: flow_figure.flow_of(report, "score", "kind"), "no flow"),
        (lambda report: flow_figure.flow_of(replace(report, flow=report.flow.assign(cluster="Z")), "score", "all"), "No cluster of the"),
    ],
)
def test_bad_input_is_named(draw: object, words: str) -> None:
    with pytest.raises(PlanError, match=words.replace("(", r"\(")):
        draw(rich())


def test_the_pictures_do_not_change_the_report() -> None:
    report = rich()
    before = pd.util.hash_pandas_object(report.rows.astype(str)).sum()
    _ = [*figures.forest_pictures(report, "score"), flow_figure.flow_picture(report, "score", "all")]
    assert isinstance(report, Report)
    assert pd.util.hash_pandas_object(report.rows.astype(str)).sum() == before
