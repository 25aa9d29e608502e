"""Rebuild tests/golden from ../shared/oracle and, where Rscript is on the path, from fresh runs of the same R packages.

Run by hand (`python tests/make_golden.py`); CI only reads the tables. Without ../shared or without R nothing is written, because a table
is one piece of evidence: half of it is none.
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
SIMULATED = ["d01", "d02", "d04", "d05", "d06", "d07", "d09", "d10", "d12", "d13"]
RERUN_MIXED = [*SIMULATED, "sw_data_example", *data.MADE]
RERUN_CELLS = [*SIMULATED, "sw_data_example", "fs_null", *data.MADE]
RERUN_FIXED = ["sw_data_example", *data.MADE]
PUBLISHED = "shared/oracle/README.md"


def from_oracle(fits: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The peers' rows of lmm_fits.json."""
    tables: dict[str, list[dict[str, Any]]] = {"mixed": [], "glmm": [], "fixed": []}
    run = fits["R"].split(" Patched")[0].replace(" version", "") + "; shared/oracle"
    peer = {name: f"{name} {number}" for name, number in fits["versions"].items()}
    for name, record in fits["datasets"].items():
        for fit in record["lmer"]:
            if fit["model"] not in ("ri", "nested"):
                continue
            variances = {part["group"]: part["vcov"] for part in fit["varcomp"]}
            kr = fit.get("kenward_roger") or {}
            tables["mixed"].append(
                {
                    "dataset": name,
                    "model": fit["model"],
                    "reml": fit["REML"],
                    "criterion": fit["criterion"],
                    "estimate": fit["coef"]["trt"],
                    "std_error": fit["se"]["trt"],
                    "var_cluster": variances["cl"],
                    "var_cluster_period": variances.get("cp"),
                    "var_residual": variances["Residual"],
                    "satterthwaite_df": fit["satterthwaite"]["df"]["trt"],
                    "kr_std_error": kr.get("trt_se"),
                    "kr_df": kr.get("trt_df"),
                    "singular": fit["singular"],
                    "source": ", ".join(peer[p] for p in ("lme4", "lmerTest", "pbkrtest")),
                    "version": run,
                }
            )
        for fit in record["glmer"]:
            if fit["model"] == "ri_laplace":
                tables["glmm"].append(
                    {
                        "dataset": name,
                        "family": "binomial",
                        "estimate": fit["coef"]["trt"],
                        "std_error": fit["se"]["trt"],
                        "log_likelihood": fit["logLik"],
                        "var_cluster": fit["theta"][0] ** 2,
                        "singular": fit["singular"],
                        "source": peer["lme4"],
                        "version": f"{run}; default tolPwrss 1e-7",
                    }
                )
        for fit in record["glmmTMB"]:
            if fit["model"] == "nested_binomial" and fit["sd"]["cp"][0] < 1e-4 and fit["se"]["trt"] is not None:
                tables["glmm"].append(
                    {
                        "dataset": name,
                        "family": "binomial",
                        "estimate": fit["coef"]["trt"],
                        "std_error": fit["se"]["trt"],
                        "log_likelihood": fit["logLik"],
                        "var_cluster": fit["sd"]["cl"][0] ** 2,
                        "source": peer["glmmTMB"],
                        "version": f"{run}; nested model whose cluster-period sd is {fit['sd']['cp'][0]:.1e}",
                    }
                )
        fixed = record["lm_cluster_fixed_effects"]
        common = {"dataset": name, "unit": "rows", "family": "gaussian", "estimate": fixed["coef_trt"], "version": run}
        tables["fixed"].append({**common, "vcov": "model", "std_error": fixed["se_ols"], "df": fixed["df"], "source": "stats 4.2.2"})
        for kind, values in fixed["cluster_robust"].items():
            if "trt_se" in values:
                tables["fixed"].append(
                    {**common, "vcov": kind, "std_error": values["trt_se"], "df": values["satt_df"], "source": peer["clubSandwich"]}
                )
    return tables


def published() -> dict[str, list[dict[str, Any]]]:
    """Numbers that ../shared/oracle/README.md gives in print, to the digits it prints."""
    example = {"dataset": "sw_data_example", "source": "lme4 1.1.31, lmerTest 3.1.3, pbkrtest 0.5.2", "version": f"R 4.2.2; {PUBLISHED}"}
    wald = {
        **example,
        "unit": "rows",
        "family": "binomial",
        "estimate": 0.4089105394,
        "source": "whitened CR, R 4.2.2",
        "version": PUBLISHED,
    }
    loose = {"family": "binomial", "source": "lme4 1.1.31", "version": f"R 4.2.2; {PUBLISHED}; default tolPwrss 1e-7"}
    return {
        "mixed": [
            {
                **example,
                "model": "ri",
                "reml": True,
                "estimate": 0.5237966735,
                "std_error": 0.07333205,
                "var_cluster": 0.01484994,
                "var_residual": 1.02983186,
                "satterthwaite_df": 305.506,
                "kr_std_error": 0.07505010,
                "kr_df": 307.56,
                "singular": False,
            },
            {
                **example,
                "model": "nested",
                "reml": True,
                "estimate": 0.5224077780,
                "std_error": 0.0741510990,
                "satterthwaite_df": 78.918,
                "kr_std_error": 0.0763017403,
                "kr_df": 81.508,
                "singular": False,
            },
        ],
        "glmm": [
            {**loose, "dataset": "sw_data_example", "estimate": 0.3908169538, "std_error": 0.1338887661, "var_cluster": 0.0085874482},
            {**loose, "dataset": "fs_null", "estimate": 0.0199854, "std_error": 0.102770, "var_cluster": 0.12032},
        ],
        "fixed": [
            {**wald, "vcov": "CR0", "std_error": 0.1885786893},
            {**wald, "vcov": "CR1", "std_error": 0.1951974881},
            {**wald, "vcov": "CR2", "std_error": 0.2028481524, "df": 13.5582612},
            {**wald, "vcov": "CR3", "std_error": 0.2182300846},
        ],
    }


TWFE_CONVENTIONS = {
    "twfe_castle5_10": "clustered, effects nested in clusters not counted",
    "twfe_lm_castle5_10": "clustered, all coefficients counted",
    "twfe_lm_castle5_sw": "clustered, all coefficients counted",
    "lm_twfe_castle5_10_clustered": "clustered, rows / (rows - coefficients), no G / (G - 1)",
    "lm_twfe_castle5_10_clustered_gd": "clustered, all coefficients counted",
    "lm_twfe_castle5_10_unadjusted": "model",
    "pf_twfe_castle5_10_CRV1": "clustered, only the treatment counted",
}


def from_panels(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The peers' two-way fixed effects on the panels with five treated clusters."""
    rows = []
    for record in records:
        common = {
            "dataset": record["data"].removesuffix(".csv"),
            "source": f"{record['peer']} {record['version']}",
            "version": record["id"],
        }
        if record["peer"] == "clubSandwich" and "castle5" in record["data"]:
            for kind, value in record["output"].items():
                if isinstance(value, dict):
                    rows.append({**common, "vcov": kind, "estimate": value["est"], "std_error": value["se"], "df": value["df"]})
        elif record["id"] in TWFE_CONVENTIONS:
            output = record["output"]
            if isinstance(output, list):
                output = next(line for line in output if "post" in (line.get("term"), line.get("Coefficient")))
            rows.append(
                {
                    **common,
                    "vcov": TWFE_CONVENTIONS[record["id"]],
                    "estimate": output.get("estimate", output.get("Estimate")),
                    "std_error": output.get("se", output.get("Std. Error")),
                }
            )
    return rows


def from_r(folder: Path) -> dict[str, pd.DataFrame]:
    """Fresh runs of R on the sets that the oracle does not cover, or covers loosely."""
    for kind, names in {"mixed": RERUN_MIXED, "rows": RERUN_FIXED, "cells": RERUN_CELLS}.items():
        (folder / kind).mkdir()
        for name in names:
            rows = data.trial_rows(name)
            (data.cells_of(rows) if kind == "cells" else rows).to_csv(folder / kind / f"{name}.csv", index=False)
    subprocess.run(["Rscript", "--vanilla", str(FOLDER / "fits.R"), str(folder)], check=True)
    return {table: pd.read_csv(folder / f"{table}.csv", na_values=["NA"]) for table in ("mixed", "effects", "glmm", "fixed")}


def write(table: pd.DataFrame, name: str) -> None:
    """One table, with its source and version last."""
    columns = [column for column in table if column not in ("source", "version")]
    table[[*columns, "source", "version"]].to_csv(FOLDER / f"{name}.csv", index=False)


def main() -> None:
    """Write the four tables."""
    shared = data.shared_folder()
    if shared is None:
        sys.exit("../shared is not here: nothing to rebuild from")
    oracle = from_oracle(json.loads((shared / "oracle/lmm_fits.json").read_text()))
    in_print = published()
    with tempfile.TemporaryDirectory() as folder:
        fresh = from_r(Path(folder))
    for table, rows in oracle.items():
        whole = pd.concat([pd.DataFrame(rows), pd.DataFrame(in_print[table]), fresh[table]], ignore_index=True)
        write(whole, table)
    write(fresh["effects"], "effects")
    write(pd.DataFrame(from_panels(json.loads((shared / "oracle/did_peers.json").read_text())["records"])), "golden_twfe")


if __name__ == "__main__":
    main()
