"""Adjusted p values beside R's p.adjust."""

from __future__ import annotations

import pandas as pd
import pytest

import reference_data as data
from swedge.inference import multiplicity

TABLE = data.golden("multiplicity")
NAMES = {"BH": "benjamini-hochberg", "BY": "benjamini-yekutieli"}


@pytest.mark.parametrize(
    ("key", "family"), [pytest.param(key, family, id=" ".join(key)) for key, family in TABLE.groupby(["family", "method"])]
)
def test_p_adjust(key: tuple[str, str], family: pd.DataFrame) -> None:
    method = NAMES.get(key[1], key[1])
    frame = multiplicity(family[["p_value"]], method=method)
    assert frame["p_adjusted"].to_numpy() == pytest.approx(family["p_adjusted"].to_numpy(), rel=1e-12)
    assert (frame["method"] == method).all()
