"""Rebuild golden/robust_mixed.csv and steppedwedge.csv: ``python tests/make_robust_mixed.py`` (R with lme4, clubSandwich, geepack)."""

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
MADE = ["made_wedge", "made_unequal", "made_gaps"]


def robust_records(fits: dict[str, Any]) -> pd.DataFrame:
    """clubSandwich's standard errors of the treatment in lmer fits, with the variances that they were taken at."""
    source, rows = f"clubSandwich {fits['versions']['clubSandwich']}, lme4 {fits['versions']['lme4']}", []
    for name, record in fits["datasets"].items():
        for fit in (fit for fit in record["lmer"] if fit.get("clubSandwich")):
            part = {(v["group"], v["var1"], v["var2"]): v["vcov"] for v in fit["varcomp"]}
            trt = next((key[1] for key in part if key[0] == "cl" and key[1] not in ("(Intercept)", None)), "trt")
            common = {
                "dataset": name,
                "model": fit["model"],
                "estimate": fit["coef"]["trt"],
                "var_cluster": part[("cl", "(Intercept)", None)],
                "var_cluster_period": next((part[key] for key in part if key[0] not in ("cl", "Residual")), None),
                "var_treatment": part.get(("cl", trt, None)),
                "cov_cluster_treatment": part.get(("cl", "(Intercept)", trt)),
                "var_residual": part[("Residual", None, None)],
                "source": source,
                "version": "R 4.2.2; shared/oracle",
            }
            for kind, own in fit["clubSandwich"]["results"].items():
                rows.append({**common, "vcov": kind, "std_error": own["trt_se"], "satterthwaite_df": own.get("satt_df")})
    return pd.DataFrame(rows)


def stepped_records(fits: dict[str, Any]) -> pd.DataFrame:
    """Estimates and standard errors of steppedwedge; what it could not fit is left out."""
    rows = [
        {
            "dataset": name,
            "model": fit["model"],
            "estimate": fit["te_est"],
            "std_error": fit["te_se"],
            "source": f"steppedwedge {fit['version']} on lme4 {fits['versions']['lme4']}",
            "version": "R 4.2.2; shared/oracle",
        }
        for name, record in fits["datasets"].items()
        for fit in record["steppedwedge"]
        if fit.get("te_est") is not None
    ]
    return pd.DataFrame(rows)


def fresh(script: str, frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What one of the R scripts makes of these rows."""
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in frames.items():
            frame.to_csv(Path(folder) / f"{name}.csv", index=False)
        subprocess.run(["Rscript", "--vanilla", str(FOLDER / script), folder], check=True)
        return pd.read_csv(next(Path(folder).glob("*_fresh.txt")))


def main() -> None:
    """Write both tables."""
    shared = data.shared_folder()
    if shared is None:
        sys.exit("../shared is not here: nothing to rebuild from")
    fits = json.loads((shared / "oracle/lmm_fits.json").read_text())
    made = fresh("robust_mixed.R", {name: data.aged_rows(name) for name in MADE})
    records = robust_records(fits)
    pd.concat([records, made])[list(made.columns)].to_csv(FOLDER / "robust_mixed.csv", index=False)
    again = fresh("steppedwedge.R", {name: exposed(name) for name in fits["datasets"]})
    stepped = pd.concat([stepped_records(fits), again])
    last = ["source", "version"]
    stepped[[c for c in stepped.columns if c not in last] + last].to_csv(FOLDER / "steppedwedge.csv", index=False)


def exposed(name: str) -> pd.DataFrame:
    """Rows of a data set with the periods since the first observed treated one."""
    rows = data.trial_rows(name)
    first = rows[rows.treatment > 0].groupby("cluster").period.min()
    return rows.assign(exposure=(rows.period - rows.cluster.map(first) + 1).clip(lower=0).fillna(0))


if __name__ == "__main__":
    main()
