"""Laws of effect curves and estimands: curves are sums over exposures, contrasts are averages of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from swedge.assumptions import EffectCurve
from swedge.assumptions.effect import Fading

WEDGES = st.builds(
    lambda clusters, extra, transition: sw.Design.stepped_wedge(clusters, periods=None, baseline=1 + extra, transition=transition),
    st.integers(2, 6),
    st.integers(0, 2),
    st.integers(0, 1),
)
CURVES: list[EffectCurve] = [sw.Constant(), sw.Delayed(1), sw.Delayed(2), sw.Linear(2), sw.Linear(3), Fading(2), sw.ByExposure()]
SHARES = {
    sw.Constant(): lambda s: 1.0,
    sw.Delayed(1): lambda s: float(s > 1),
    sw.Delayed(3): lambda s: float(s > 3),
    sw.Linear(1): lambda s: 1.0,
    sw.Linear(3): lambda s: min(s / 3, 1.0),
    Fading(1): lambda s: float(s == 1),
    Fading(3): lambda s: max(1 - (s - 1) / 3, 0.0),
}


def arms(design: sw.Design, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Treatment, 0 where left out, and exposure of a drawn allocation."""
    allocation = design.randomise(seed=seed)
    return np.nan_to_num(allocation.treatment), allocation.exposure


@given(design=WEDGES, seed=st.integers(0, 99))
def test_effects_by_exposure_split_the_treatment(design: sw.Design, seed: int) -> None:
    treatment, exposure = arms(design, seed)
    names, columns = sw.ByExposure().columns(treatment, exposure)
    np.testing.assert_array_equal(columns.sum(-3), treatment)
    assert names == tuple(f"exposure {s}" for s in sorted(set(exposure[treatment > 0].tolist())))
    assert (columns.sum((-2, -1)) > 0).all()


@pytest.mark.parametrize("curve", SHARES, ids=repr)
@given(design=WEDGES, seed=st.integers(0, 99))
def test_every_curve_is_a_share_of_the_effect_at_each_exposure(curve: EffectCurve, design: sw.Design, seed: int) -> None:
    treatment, exposure = arms(design, seed)
    names, columns = sw.ByExposure().columns(treatment, exposure)
    shares = [SHARES[curve](int(name.split()[1])) for name in names]
    (term,), column = curve.columns(treatment, exposure)
    assert term == "treatment"
    np.testing.assert_allclose(column[0], np.tensordot(shares, columns, 1))


@pytest.mark.parametrize("curve", CURVES, ids=repr)
def test_a_stack_is_its_trials(curve: EffectCurve) -> None:
    design = sw.Design.stepped_wedge(4)
    sequences = design.allocations()[:6]
    treatment, exposure = design.treatment_of(sequences), design.exposure_of(sequences)
    names, stack = curve.columns(treatment, exposure)
    for r in range(6):
        alone, columns = curve.columns(treatment[r], exposure[r])
        assert alone == names
        np.testing.assert_array_equal(stack[r], columns)


@given(share=st.floats(0.01, 1))
def test_part_treated_cells_take_their_share(share: float) -> None:
    treatment, exposure = np.array([[0.0, share, 1.0]]), np.array([[0, 1, 2]])
    for curve in CURVES:
        whole = curve.columns(np.sign(treatment), exposure)[1]
        np.testing.assert_allclose(curve.columns(treatment, exposure)[1], whole * treatment)


TERMS = st.integers(1, 8).map(lambda longest: [f"exposure {s}" for s in range(1, longest + 1)])


@given(terms=TERMS, data=st.data())
def test_contrasts_are_averages(terms: list[str], data: st.DataObject) -> None:
    first = data.draw(st.integers(1, len(terms)))
    last = data.draw(st.integers(first, len(terms)))
    points = [sw.PTE(s).contrast(terms)[1] for s in range(first, last + 1)]
    name, weights = sw.TATE(first, last).contrast(terms)
    assert name == f"TATE({first}, {last})"
    np.testing.assert_allclose(weights, np.mean(points, axis=0))
    np.testing.assert_array_equal(sw.LTE().contrast(terms)[1], sw.PTE(len(terms)).contrast(terms)[1])
    for estimand in (sw.TATE(), sw.TATE(first), sw.TATE(last=last), sw.TATE(first, last), sw.LTE(), sw.PTE(first)):
        weights = estimand.contrast(terms)[1]
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()


def test_bounds_left_out_mean_all_observed_even_with_gaps() -> None:
    """After a transition period nobody has exposure 1."""
    terms = ["exposure 2", "exposure 3", "exposure 5"]
    assert sw.TATE().contrast(terms)[0] == "TATE(2, 5)"
    np.testing.assert_allclose(sw.TATE().contrast(terms)[1], [1 / 3] * 3)
    assert sw.TATE(last=3).contrast(terms)[1].tolist() == [0.5, 0.5, 0]


def test_an_estimand_is_the_average_of_the_estimates_by_exposure() -> None:
    allocation = sw.Design.stepped_wedge(5, periods=6).randomise(seed=4)
    mean = np.random.default_rng(4).normal(size=(5, 6))
    trial = sw.Trial.from_cells(np.full((5, 6), 20), mean, allocation, within=500.0)
    each = sw.FixedEffects(vcov="model", effect=sw.ByExposure()).fit(trial)
    assert each.terms == tuple(f"exposure {s}" for s in range(1, 6))
    for estimand, part in ((sw.TATE(1, 3), slice(0, 3)), (sw.TATE(), slice(0, 5)), (sw.LTE(), slice(4, 5)), (sw.PTE(2), slice(1, 2))):
        fit = sw.FixedEffects(vcov="model", effect=sw.ByExposure(), estimand=estimand).fit(trial)
        assert float(fit.estimate) == pytest.approx(each.estimate[part].mean())
        assert fit.estimand.startswith(type(estimand).__name__)
