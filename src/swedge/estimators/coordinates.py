"""Coordinates of a Gaussian mixed model's covariance: variances by name, or a total with the shares (icc, cac, iac) that it is cut into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.reml_inference import Model
from swedge.assumptions import Structure
from swedge.estimators.layout import ratio_names

Array = NDArray[np.float64]

# A share this close to 1 leaves no residual.
NEARLY = 1 - 1e-9
# Step of the central differences through the map to variances, relative to each coordinate's size: exact for what is linear or square.
STEP = 1e-6


@dataclass(frozen=True, eq=False)
class Coordinates:
    """A likelihood over named coordinates; `own` are those to be profiled here, `squared` the standard deviations.

    `variances` maps a point to variances in the kernel's order: the residual's, one for each ratio, and a decay.
    """

    likelihood: Model
    names: tuple[str, ...]
    own: tuple[str, ...]
    squared: tuple[str, ...]
    start: Array
    lower: Array
    upper: Array
    unit: float
    variances: Callable[[Array], Array]

    def criterion(self, point: Array) -> float:
        """-2 log likelihood, coefficients at their best."""
        return self._at(self.variances(point))[0]

    def slope(self, point: Array) -> tuple[float, Array]:
        """-2 log likelihood and its gradient."""
        criterion, gradient = self._at(self.variances(point))
        return criterion, gradient @ self._jacobian(point)

    def diverges(self, term: str, side: int) -> bool:
        """Whether the likelihood has no value at that end: without a residual, or with nothing but the shared part."""
        return (term == "residual" and side < 0) or (term in ("icc", "iac") and side > 0)

    def _at(self, v: Array) -> tuple[float, Array]:
        """Criterion and its gradient in the variances: the profiled one with its scale put back."""
        model, linear = self.likelihood, self.likelihood.parameters.linear
        residual, ratios = v[0], np.where(linear, v[1:] / v[0], v[1:])
        at = model.evaluate(model.parameters.inward(ratios[None]))
        squares, freedom = float(at.squares[0]), float(model.freedom[0])
        rest = float(at.criterion[0]) - freedom * (1 + np.log(2 * np.pi * squares / freedom))
        forms = model.forms(at)
        in_ratios = forms.traces(model.restricted)[0] - forms.quad[0] / residual
        moved = np.where(linear, in_ratios / residual, in_ratios)
        first = freedom / residual - squares / residual**2 - (in_ratios * ratios)[linear].sum() / residual
        return freedom * np.log(2 * np.pi * residual) + squares / residual + rest, np.append(first, moved)

    def _jacobian(self, point: Array) -> Array:
        steps = np.diag(STEP * np.maximum(np.abs(point), 1e-3 * self.unit))
        columns = [(self.variances(point + e) - self.variances(point - e)) / (2 * e.sum()) for e in steps]
        return np.stack(columns, -1)


def coordinates_of(likelihood: Model, structure: Structure, found: Mapping[str, float]) -> list[Coordinates]:
    """Variances by name and, where a cluster's outcomes are correlated, the shares; starting from the variances `found`."""
    shares = {"cluster", "cluster_period"} & set(structure.effects)
    return [_variances(likelihood, structure, found), *([_shares(likelihood, structure, found)] if shares else [])]


def _variances(likelihood: Model, structure: Structure, found: Mapping[str, float]) -> Coordinates:
    names = ("residual", *ratio_names(structure))
    point = dict(found)
    if structure.correlated:
        names = tuple("treatment_corr" if name == "cluster_treatment" else name for name in names)
        point |= _apart(found)

    def variances(at: Array) -> Array:
        part = dict(zip(names, at, strict=True))
        return np.array([_joined(part)[name] for name in ("residual", *ratio_names(structure))])

    own = tuple(name for name in names)
    return _space(likelihood, names, own, ("cluster", "treatment") if structure.correlated else (), point, found, variances)


def _apart(found: Mapping[str, float]) -> dict[str, float]:
    """Standard deviations of level and effect, and their correlation (0 where it has no meaning)."""
    level, effect = np.sqrt(found["cluster"]), np.sqrt(found["treatment"])
    product = float(level * effect)
    corr = float(np.clip(found["cluster_treatment"] / product, -1, 1)) if product > 0 else 0.0
    return {"cluster": float(level), "treatment": float(effect), "treatment_corr": corr}


def _joined(part: dict[str, float]) -> dict[str, float]:
    if "treatment_corr" not in part:
        return part
    level, effect = part["cluster"], part["treatment"]
    return {**part, "cluster": level**2, "treatment": effect**2, "cluster_treatment": part["treatment_corr"] * level * effect}


def _shares(likelihood: Model, structure: Structure, found: Mapping[str, float]) -> Coordinates:
    """Total variance under control, and how it is cut; random treatment and exposure effects stand beside it."""
    both = {"cluster", "cluster_period"} <= set(structure.effects)
    cut = "lasting" if structure.decay != "none" else "cac"  # with a decay, the CAC is more than the share that lasts
    names = ["total", "icc", *([cut] if both else []), *(["iac"] if "individual" in structure.effects else [])]
    beside = [name for name in ratio_names(structure) if name not in ("cluster", "cluster_period", "individual", "cluster_treatment")]
    if structure.correlated:
        beside = [*beside, "treatment_corr"]
    point = {**found, **(_apart(found) if structure.correlated else {}), **_cut(found, cut)}

    def variances(at: Array) -> Array:
        part = dict(zip([*names, *beside], at, strict=True))
        between, rest = part["total"] * part["icc"], part["total"] * (1 - part["icc"])
        lasting = part.get(cut, 1.0 if "cluster" in structure.effects else 0.0) * between
        own = part.get("iac", 0.0) * rest
        whole = {**part, "residual": rest - own, "individual": own, "cluster": lasting, "cluster_period": between - lasting}
        if structure.correlated:
            whole = _joined({**whole, "cluster": float(np.sqrt(max(lasting, 0.0)))})
        return np.array([whole[name] for name in ("residual", *ratio_names(structure))])

    own = tuple(name for name in names if name in ("icc", "cac", "iac"))
    squared = ("treatment",) if structure.correlated else ()
    return _space(likelihood, (*names, *beside), own, squared, point, found, variances)


def _cut(found: Mapping[str, float], cut: str) -> dict[str, float]:
    between, own = found.get("cluster", 0.0) + found.get("cluster_period", 0.0), found.get("individual", 0.0)
    rest = own + found["residual"]
    share = found.get("cluster", 0.0) / between if between > 0 else 0.5
    return {"total": between + rest, "icc": between / (between + rest), cut: share, "iac": own / rest}


def _space(
    likelihood: Model,
    names: tuple[str, ...],
    own: tuple[str, ...],
    squared: tuple[str, ...],
    point: Mapping[str, float],
    found: Mapping[str, float],
    variances: Callable[[Array], Array],
) -> Coordinates:
    unit = found["residual"]
    floor = {"residual": 1e-9 * unit, "total": 1e-9 * unit, "treatment_corr": -1.0}
    top = {"icc": NEARLY, "iac": NEARLY, "cac": 1.0, "lasting": 1.0, "autocorrelation": 1.0, "treatment_corr": 1.0}
    lower, upper = (np.array([bound.get(name, end) for name in names]) for bound, end in ((floor, 0.0), (top, np.inf)))
    start = np.array([point[name] for name in names])
    return Coordinates(likelihood, names, own, squared, start, lower, upper, unit, variances)
