"""Rebuild the golden tables of the generalised linear mixed model from ../shared/oracle and fresh runs of lme4.

Run by hand (`python tests/make_golden_glmm.py`); CI only reads the tables. Without ../shared or without R nothing is written.
"""

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
MODELS = {
    "ri_laplace": "ri",
    "ri_agq9": "ri",
    "ri_agq25": "ri",
    "nested_laplace": "nested",
    "rt_uncorr_laplace": "treatment",
    "nested_binomial": "nested",
    "ar1_binomial": "decay",
}


def parameters(fit: dict[str, Any]) -> list[float]:
    """Standard deviations in our order: cluster, then cluster-period or treatment; for the decay its correlation follows."""
    if fit["model"] == "ar1_binomial":
        return [fit["sd"]["cl"][0], fit["corr"]["cl"]]
    if fit["peer"] == "glmmTMB":
        return [fit["sd"]["cl"][0], fit["sd"]["cp"][0]]
    if fit["model"] == "nested_laplace":
        found = {part["group"]: part["sdcor"] for part in fit["varcomp"]}
        return [found["cl"], found["cp"]]
    return [part["sdcor"] for part in fit["varcomp"]]


def from_oracle(fits: dict[str, Any]) -> list[dict[str, Any]]:
    """Every recorded GLMM that is not beta-binomial, with all of its parameters."""
    run = fits["R"].split(" Patched")[0].replace(" version", "") + "; shared/oracle"
    rows = []
    for name, record in fits["datasets"].items():
        for fit in [*record["glmer"], *(f for f in record["glmmTMB"] if f["model"] in MODELS)]:
            coefficients = fit["coef"]
            level = coefficients["(Intercept)"]
            beta = [level, *(level + value for term, value in coefficients.items() if term.startswith("per")), coefficients["trt"]]
            rows.append(
                {
                    "dataset": name,
                    "model": MODELS[fit["model"]],
                    "nodes": fit.get("nAGQ", 1),
                    "estimate": coefficients["trt"],
                    "std_error": fit["se"]["trt"],
                    "log_likelihood": fit["logLik"],
                    "theta": " ".join(repr(value) for value in parameters(fit)),
                    "beta": " ".join(repr(value) for value in beta),
                    "warned": bool(fit["warnings"]),
                    "source": f"{fit['peer']} {fits['versions'][fit['peer']]}",
                    "version": run,
                }
            )
    return rows


def from_r(folder: Path) -> None:
    """Fresh runs on trials that anyone can rebuild."""
    for kind in ("cells", "rows"):
        (folder / kind).mkdir()
        for name in data.MADE:
            rows = data.made_trial(name)
            (data.cells_of(rows) if kind == "cells" else rows).to_csv(folder / kind / f"{name}.csv", index=False)
    subprocess.run(["Rscript", "--vanilla", str(FOLDER / "glmm_links.R"), str(folder)], check=True)
    for table in ("glmm_links", "likelihood_ratios"):
        pd.read_csv(folder / f"{table}.csv", na_values=["NA"]).to_csv(FOLDER / f"{table}.csv", index=False)


def main() -> None:
    """Write the three tables."""
    shared = data.shared_folder()
    if shared is None:
        sys.exit("../shared is not here: nothing to rebuild from")
    with tempfile.TemporaryDirectory() as folder:
        from_r(Path(folder))
    rows = from_oracle(json.loads((shared / "oracle/lmm_fits.json").read_text()))
    pd.DataFrame(rows).to_csv(FOLDER / "glmm_structures.csv", index=False)


if __name__ == "__main__":
    main()
