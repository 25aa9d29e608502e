"""Rebuild tests/golden/structures.csv and profile.csv: ``python tests/make_structures.py`` (R with lme4, lmerTest, pbkrtest)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

import reference_data as data

FOLDER = Path(__file__).parent / "golden"
SETS = ["made_wedge", "made_unequal", "made_gaps", "made_cohort"]
LMER = ("rt_uncorr", "rt_corr", "nested_rt_uncorr")
COLUMNS = ("dataset", "unit", "model", "reml", "criterion", "estimate", "std_error", "autocorrelation", "satterthwaite_df", "kr_std_error",
           "kr_df", "singular", "source", "version")  # fmt: skip


def from_oracle(fits: dict[str, Any]) -> list[dict[str, Any]]:
    """The peers' Gaussian fits of structures other than those of mixed.csv."""
    peer = {name: f"{name} {number}" for name, number in fits["versions"].items()}
    common = {"unit": "rows", "version": fits["R"].split(" Patched")[0].replace(" version", "") + "; shared/oracle"}
    lmer = ", ".join(peer[p] for p in ("lme4", "lmerTest", "pbkrtest"))
    found = []
    for name, record in fits["datasets"].items():
        for fit in record["lmer"]:
            if fit["model"] in LMER:
                kr = fit.get("kenward_roger") or {}
                found.append({**common, "dataset": name, "model": fit["model"], "reml": fit["REML"], "criterion": fit["criterion"],
                              "estimate": fit["coef"]["trt"], "std_error": fit["se"]["trt"],
                              "satterthwaite_df": fit["satterthwaite"]["df"]["trt"], "kr_std_error": kr.get("trt_se"),
                              "kr_df": kr.get("trt_df"), "singular": fit["singular"], "source": lmer})  # fmt: skip
        for fit in record["glmmTMB"]:
            if fit["model"].startswith("ar1_gaussian"):
                ended = "; false convergence" if fit["convergence"] else ""
                found.append({**common, "dataset": name, "model": "decay", "reml": fit["REML"], "criterion": -2 * fit["logLik"],
                              "estimate": fit["coef"]["trt"], "std_error": fit["se"]["trt"], "autocorrelation": fit["corr"]["cl"],
                              "source": peer["glmmTMB"], "version": common["version"] + ended})  # fmt: skip
        for fit in record["nlme"]:
            kind = {"gls_cellmeans_ar1": "total decay", "gls_cellmeans_cs": "ri", "lme_cellmeans_ri": "ri"}[fit["model"].rsplit("_", 1)[0]]
            found.append({**common, "unit": "cell means", "dataset": name, "model": kind, "reml": fit["model"].endswith("REML"),
                          "criterion": -2 * fit["logLik"], "estimate": fit["coef_trt"], "std_error": fit["se_trt"],
                          "autocorrelation": fit["corr_par"][0] if kind == "total decay" else None, "source": peer["nlme"]})  # fmt: skip
    for fit in (fit for fit in fits["cell_mean_fits"] if fit["dataset"] in fits["datasets"]):  # the rows of two more are not given
        found.append({**common, "unit": "cell means", "dataset": fit["dataset"], "model": fit["model"].removeprefix("cell_means_"),
                      "reml": True, "criterion": fit["REMLcrit"], "estimate": fit["trt"], "std_error": fit["se"],
                      "satterthwaite_df": fit["satt_df"], "kr_std_error": fit["kr_se"], "kr_df": fit["kr_df"], "singular": fit["singular"],
                      "source": lmer})  # fmt: skip
    return found


def main() -> None:
    """Write both tables."""
    shared = data.shared_folder()
    if shared is None:
        sys.exit("../shared is not here: nothing to rebuild from")
    oracle = from_oracle(json.loads((shared / "oracle/lmm_fits.json").read_text()))
    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            data.exposed_rows(name).to_csv(Path(folder) / f"{name}.csv", index=False)
        subprocess.run(["Rscript", "--vanilla", str(FOLDER / "structures.R"), folder], check=True)
        fresh, profile = (pd.read_csv(Path(folder) / f"{kind}_fresh.csv") for kind in ("structures", "profile"))
    whole = pd.concat([pd.DataFrame(oracle), fresh.assign(unit="rows")], ignore_index=True)
    whole[list(COLUMNS)].to_csv(FOLDER / "structures.csv", index=False)
    profile.to_csv(FOLDER / "profile.csv", index=False)


if __name__ == "__main__":
    main()
