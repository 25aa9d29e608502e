"""The analysis plan does not say of a comparison of cell means that it is adjusted."""

from __future__ import annotations

from pathlib import Path

from plan.small_toml import SMALL, written
from swedge.plan.documents.sap_analysis import analysis_blocks
from swedge.plan.plan import Plan


def said(folder: Path, kind: str, more: str = "") -> str:
    text = SMALL.replace('kind = "FixedEffects"', f'kind = "{kind}"\nlabel = "Mine"').replace("[analyses.main]", f"[analyses.main]{more}")
    plan = Plan.from_toml(written(folder, text))
    return str(analysis_blocks(plan, plan.analyses[0])[0])


def test_law_only_a_comparison_of_cell_means_is_told_to_be_unadjusted(tmp_path: Path) -> None:
    told = "Mine: a comparison of cell means, not adjusted for them."
    assert told in said(tmp_path, "TwoWayFixedEffects")
    assert told in said(tmp_path, "SunAbraham")
    assert told not in said(tmp_path, "FixedEffects")
    assert told not in said(tmp_path, "TwoWayFixedEffects", '\ncovariates = ""')
