"""What a constant-effect estimate will weigh, before there is a trial."""

from __future__ import annotations

from typing import Any

import numpy as np

from swedge._kernels.gls import generalised_least_squares
from swedge.assumptions import Constant, Correlation
from swedge.design import Allocation, Design
from swedge.errors import DesignError
from swedge.estimators.weighing import ExposureWeights, gathered
from swedge.power.analytic import model_of, placed
from swedge.power.content import with_defaults


def planned_exposure_weights(
    design: Design,
    *,
    size: Any,
    correlation: Correlation,
    allocation: Allocation | None = None,
    by: str = "exposure",
    **assumed: Any,
) -> ExposureWeights:
    """Weights of the effects at each exposure in the constant-effect estimate by generalised least squares at the assumed correlation.

    Parameters
    ----------
    design : Design
    size, correlation
        As for `analytic_power`, as are further keyword arguments; a Gaussian outcome with ``sd=1`` is assumed when none is named.
    allocation : Allocation, optional
        Left out: the clusters take the sequences in the order in which the design lists them.
    by : {"exposure", "period"}

    Raises
    ------
    DesignError
        If the assumptions contradict each other, a curve other than `Constant` or an estimand is named, or the effect is not identified.

    Notes
    -----
    Only the correlation ``phi`` of a cluster's means in two periods counts where it is the same for any two:
    ``tau2 / (tau2 + sigma2 / n)``, which is ``n icc / (1 + (n - 1) icc)`` for an exchangeable correlation and n individuals a cell.
    ``correlation=Exchangeable(phi), size=1`` states it as it is. For one cluster in each of Q sequences and Q + 1 periods the weight of
    exposure j is
    ``6 (j - Q - 1) ((1 + 2 phi Q) j - (1 + phi + phi Q) Q) / (Q (Q + 1) (phi Q^2 + 2 Q - phi Q - 2))``.

    References
    ----------
    Kenny A, Voldal EC, Xia F, Heagerty PJ, Hughes JP (2022). Analysis of stepped wedge cluster randomized trials in the presence of a
    time-varying treatment effect. Statistics in Medicine 41, 4311-4339.

    Examples
    --------
    >>> import swedge as sw
    >>> weights = planned_exposure_weights(sw.Design.stepped_wedge(5, 6), size=1, correlation=sw.Exchangeable(0.5))
    >>> weights.weights.round(6)
    array([ 0.777778,  0.355556,  0.066667, -0.088889, -0.111111])
    >>> weights.negative
    (4, 5)
    """
    base = with_defaults(size, correlation, assumed)
    if not isinstance(base.curve, Constant) or base.estimand is not None:
        raise DesignError("These are the weights of the constant-effect estimate. Leave out curve= and estimand=.")
    chosen = placed(design, allocation)
    model = model_of(design, base, chosen.treatment, chosen.exposure)
    fit = generalised_least_squares(model.columns, model.covariance, model.seen, model.contrast)
    if not fit.definite:
        raise DesignError("This design does not identify a treatment effect: no period holds both treated and control cells.")
    treated = model.seen & (np.nan_to_num(chosen.treatment) > 0)
    periods = tuple(range(1, design.n_periods + 1))
    return gathered(fit.weights * model.columns[-1], treated, chosen.exposure, periods, by, f"GLS at {base.correlation!r}")
