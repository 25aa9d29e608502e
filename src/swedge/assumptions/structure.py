"""What a model has to estimate of a correlation structure: values left out are estimated, zeros are absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swedge.errors import DesignError


@dataclass(frozen=True)
class Structure:
    """Random effects to estimate, whatever the words that asked for them.

    Parameters
    ----------
    effects : tuple of str
        Among "cluster", "treatment", "exposure", "cluster_period" and "individual", in this order; each has a variance to estimate.
    correlated : bool
        Whether a cluster's treatment effect correlates with its level.
    decay : {"none", "cluster_period", "all"}
        What decays with the lag between periods: nothing, the cluster-by-period effects, or these and the individuals' residuals alike.
    """

    effects: tuple[str, ...]
    correlated: bool = False
    decay: str = "none"


def refuse_values(correlation: object, values: Mapping[str, float | None]) -> None:
    """Refuse numbers where a model is to estimate; 0 says that an effect is absent, and is no number to keep to.

    Raises
    ------
    DesignError
        Naming the values given.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if given:
        shown = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise DesignError(
            f"{type(correlation).__name__} states {shown}; a fitted model estimates what is asked for and keeps to no value. Leave the"
            " value out (None) to have it estimated, or give 0 to a random effect's standard deviation to leave it out of the model."
        )
