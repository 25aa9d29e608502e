from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes

from swedge._present.flow import Arm, Flow, Stage, draw_flow
from swedge._present.report import Picture
from swedge.errors import DataError

STAGES = (Stage("9 authorities approached", ("3 declined", "1 to 5 too small")), Stage("5 authorities randomised"))


def flow(clusters: int, length: int, **changes: Any) -> Flow:
    arms = tuple(
        Arm(
            f"{i}: Telford and Wrekin",
            "28 Jun 2021",
            tuple("Control" if t <= i % length else "Treated" for t in range(length)),
            tuple("1 to 5" if t == 0 else f"{1000 + i * length + t:,}" for t in range(length)),
            "1 to 5",
            "10,947",
        )
        for i in range(clusters)
    )
    return Flow(**{"stages": STAGES, "arms": arms, "periods": tuple(str(t + 1) for t in range(length)), **changes})


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_number_and_reason_is_in_the_picture_as_it_was_given() -> None:
    shown = words(draw_flow(flow(5, 6)))
    for text in (
        *(count for arm in flow(5, 6).arms for count in arm.counts),
        "9 authorities approached",
        "3 declined\n1 to 5 too small",
        "10,947",
    ):
        assert text in shown
    assert "Individuals in each period" in shown
    assert "0: Telford and Wrekin\nlive 28 Jun 2021" in shown


@pytest.mark.parametrize(("clusters", "periods"), [(1, 2), (5, 6), (12, 13)])
def test_texts_overlap_nowhere_and_stay_on_six_inches(clusters: int, periods: int) -> None:
    axes = draw_flow(flow(clusters, periods))
    figure = axes.figure.canvas.figure
    assert figure.get_figwidth() == 6
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert not [(a, b) for k, a in enumerate(boxes) for b in boxes[:k] if a.overlaps(b)]
    page = figure.bbox
    assert all(box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1 and box.y0 >= page.y0 and box.y1 <= page.y1 for box in boxes)


def test_texts_are_large_enough_to_read() -> None:
    assert min(text.get_fontsize() for text in draw_flow(flow(12, 13)).texts) >= 4.5
    assert min(text.get_fontsize() for text in draw_flow(flow(5, 6)).texts) >= 7


def test_a_stranger_text_is_no_formula() -> None:
    axes = draw_flow(flow(5, 6, stages=(Stage(r"$\frac{1}{$ _x^ approached", (r"$\input{x}$",)),)))
    axes.figure.canvas.draw()
    assert not any(text.get_parse_math() for text in axes.texts if text.get_text())


def test_given_axes_are_drawn_on_and_the_picture_is_the_same_twice() -> None:
    given = plt.subplots()[1]
    assert draw_flow(flow(5, 6), ax=given) is given
    assert Picture.of(draw_flow(flow(5, 6)), "a", "b", dpi=50).png == Picture.of(draw_flow(flow(5, 6)), "a", "b", dpi=50).png


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stages": ()}, "at least one stage"),
        ({"arms": ()}, "one sequence"),
        ({"periods": ("1", "2")}, "6 states for 2 periods"),
        ({"arms": (Arm("A", "", ("Control", "Live"), ("1", "2")),), "periods": ("1", "2")}, "'Live' is not a state"),
        ({"arms": (Arm("A", "", ("Control", "Control"), ("1",)),), "periods": ("1", "2")}, "1 counts for 2 periods"),
    ],
)
def test_bad_input_a_flow_that_cannot_be_drawn_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        flow(5, 6, **changes)
