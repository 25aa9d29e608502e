"""The CACs that the trial document gives for cluster-by-period noise of standard deviation .10 and .20.

TRIAL.md, table of sizes, computed from the published baseline risks of the five authorities; it prints two decimals.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from swedge.assumptions import RandomEffects

RISKS = {"Walsall": 0.0613, "Lancashire": 0.0635, "Telford": 0.0833, "Wandsworth": 0.0321, "Swindon": 0.0345}


@pytest.mark.parametrize(("noise", "cac"), [(0.0, 1.0), (0.10, 0.95), (0.20, 0.83)])
def test_noise_of_family_safeguarding_as_a_cac(noise: float, cac: float) -> None:
    between = RandomEffects(cluster=float(np.std(logit(list(RISKS.values())), ddof=1)), cluster_period=noise).between(np.arange(6.0), 1.0)
    assert round(between[0, 1] / between[0, 0], 2) == cac
