"""`SimulatedPower`: the operating characteristics of each method, with their Monte Carlo errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design import Design
from swedge.errors import DesignError, Status, nearest
from swedge.estimate import SCALES
from swedge.power.chunks import Cell, Draws, Piece
from swedge.power.scenario import Scenario

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class SimulatedPower:
    """Simulated operating characteristics of each method.

    Attributes
    ----------
    draws : dict of str to Draws
        Every replicate's results, by method.
    methods : dict of str to tuple of str
        What each name stands for.
    reps : int
        Replicates used: those asked for, or fewer where the simulation stopped at a wanted Monte Carlo error.
    levels : dict of str to float
        Confidence level of each method's intervals, where its test names one.
    """

    design: Design
    truth: Scenario
    draws: dict[str, Draws]
    methods: dict[str, tuple[str, str, str]]
    reps: int
    seed: int
    alpha: float
    levels: dict[str, float] = field(default_factory=dict)

    def tidy(self) -> pd.DataFrame:
        """One row a method.

        Columns: ``estimator`` (its name here), ``test``, ``power`` (rejections over all replicates, a failed fit not rejecting), ``mcse``,
        ``type_1`` (whether the effect is zero, so that power is the size), ``bias``, ``empirical_se``, ``model_se``, ``coverage`` (all
        over fits that worked, nan when the method estimates on another scale than the scenario's), ``n_ok``, ``n_singular``, ``n_failed``,
        ``power_if_failures_reject``.
        """
        return pd.DataFrame([{"estimator": name, "test": self.methods[name][1], **self._row(name)} for name in self.draws])

    def _row(self, name: str) -> dict[str, Any]:
        draws = self.draws[name]
        ok, rejects = draws.usable, draws.rejects(self.alpha)
        power = float((rejects & ok).mean())
        return {
            "power": power,
            "mcse": float(np.sqrt(power * (1 - power) / self.reps)),
            "type_1": self.truth.effect == 0,
            **self._accuracy(name, draws, ok),
            "n_ok": int((draws.status == Status.OK).sum()),
            "n_singular": int((draws.status == Status.SINGULAR).sum()),
            "n_failed": int((~ok).sum()),
            "power_if_failures_reject": float((rejects | ~ok).mean()),
        }

    def _target(self, name: str) -> float:
        """The true effect; nan when the method estimates on another scale, or when no one number is the effect in every treated cell."""
        same = self.methods[name][2] == {"risk": "identity"}.get(self.truth.scale, self.truth.scale)
        return self.truth.effect if same and self.truth.constant_effect else np.nan

    def _accuracy(self, name: str, draws: Draws, ok: NDArray[np.bool_]) -> dict[str, float]:
        target = self._target(name) if ok.any() else np.nan
        estimate, error = draws.estimate[ok], draws.std_error[ok]
        known = ~np.isnan(draws.conf_low[ok]).any() and ok.any()
        covered = (draws.conf_low[ok] <= target) & (target <= draws.conf_high[ok])
        return {
            "bias": float(estimate.mean() - target) if ok.any() else np.nan,
            "empirical_se": float(estimate.std(ddof=1)) if ok.sum() > 1 else np.nan,
            "model_se": float(np.sqrt((error**2).mean())) if ok.any() else np.nan,
            "coverage": float(covered.mean()) if known and not np.isnan(target) else np.nan,
        }

    def summary(self) -> str:
        """Each method's power with its Monte Carlo error and failures."""
        kind = "size" if self.truth.effect == 0 else "power"
        rows = [
            f"{row.estimator}: {kind} {row.power:.3f} (MCSE {row.mcse:.3f}, {self.reps:,} trials, {row.n_failed} failed)"
            for row in self.tidy().itertuples()
        ]
        return "\n".join(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Power of each method with its 95% Monte Carlo interval; the dashed line is the level of the tests."""
        from swedge._present.forest import draw_forest

        table = self.tidy()
        half = 1.96 * table["mcse"].to_numpy()
        power = table["power"].to_numpy()
        label = f"{'size' if self.truth.effect == 0 else 'power'} at two-sided {self.alpha:.0%}, with 95% Monte Carlo interval"
        return draw_forest(list(table["estimator"]), power, np.stack([power - half, power + half], -1), label, ax=ax, null=self.alpha)

    def plot_zip(self, name: str, ax: Axes | None = None) -> Axes:
        """One method's intervals, those furthest from the truth on top: where the colour changes is the coverage.

        Raises
        ------
        DesignError
            If there is no such method, or it gives no intervals for an effect on the scenario's scale.

        References
        ----------
        Morris TP, White IR, Crowther MJ (2019). Using simulation studies to evaluate statistical methods. Statistics in Medicine 38,
        2074-2102.
        """
        from swedge._present.zip import draw_zip

        target = self._zippable(name)
        draws, scale = self.draws[name], self.methods[name][2]
        estimate, low, high = (array[draws.usable] for array in (draws.estimate, draws.conf_low, draws.conf_high))
        return draw_zip(estimate, low, high, target, f"{name}: {SCALES.get(scale, scale)}", level=self.levels.get(name), ax=ax)

    def _zippable(self, name: str) -> float:
        """The truth that a method's intervals are held against."""
        if name not in self.draws:
            raise DesignError(f"There is no method {name!r} here, only {', '.join(self.draws)}.{nearest(name, self.draws)}")
        target, draws = self._target(name), self.draws[name]
        if np.isnan(target):
            raise DesignError(
                f"{name!r} estimates on the {self.methods[name][2]} scale, the effect is on {self.truth.scale!r}: no truth to hold it to."
            )
        if not draws.usable.any() or np.isnan(draws.conf_low[draws.usable]).any():
            raise DesignError(f"{name!r} gives no intervals. A randomisation test gives them with interval=True; WaldTest always does.")
        return target


def scales_of(cell: Cell, count: int) -> dict[str, str]:
    """The scale of each method's estimate, asked of the first chunk's trials; a scenario that does not fit the design is refused here."""
    probe = cell.draw(0, count)
    return {name: estimator.scale(probe) for name, (estimator, _) in cell.pairs.items()}


def read_off(cell: Cell, scales: dict[str, str], draws: Piece, alpha: float) -> SimulatedPower:
    """What a cell's draws say."""
    named = {name: (repr(estimator), repr(test), scales[name]) for name, (estimator, test) in cell.pairs.items()}
    levels = {name: float(test.level) for name, (_, test) in cell.pairs.items() if hasattr(test, "level")}
    reps = len(next(iter(draws.values())).status)
    return SimulatedPower(cell.design, cell.truth, draws, named, reps, cell.seed, alpha, levels)
