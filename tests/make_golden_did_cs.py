"""Rebuild golden/did_cs.csv and golden/did_cs_records.csv from ../shared/oracle/did_peers.json: ``python tests/make_golden_did_cs.py``.

did_cs.csv holds every effect by group and time, average and standard error that the peers print; did_cs_records.csv what they were asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent
HOW = {"dr": "doubly robust", "reg": "outcome regression", "ipw": "ipw", "std_ipw": "ipw"}
PARTS = {"group": "group", "calendar": "calendar", "dynamic": "event"}
Row = tuple[str, str, Any, Any]


def settings(record: dict[str, Any]) -> dict[str, Any]:
    """What a record was asked for, in our words."""
    name, inputs = record["id"], record["inputs"]
    how = next((HOW[word] for word in ("std_ipw", "ipw", "reg", "dr") if f"_{word}_" in name), "doubly robust")
    return {
        "id": name,
        "data": record["data"].removesuffix(".csv"),
        "estimator": "SunAbraham" if "sunab" in name or "dd_sa" in name else "CallawaySantAnna",
        "controls": "not_yet" if "notyet" in name or "not_yet" in name else "never",
        "adjust": how,
        "covariates": "lpop" if name.endswith("_x") else "",
        "base": "universal" if "universal" in name else "varying",
        "anticipation": inputs.get("anticipation", 0),
        "balance": inputs.get("balance_e", ""),
        "cluster": "state" if "clstate" in name else "",
        "bootstrap": int("boot" in name),
    }


def listed(aggregate: str, overall: Any, error: Any, part: dict[str, Any]) -> Iterator[Row]:
    """An aggregation in the shape of did and its ports."""
    yield aggregate, "overall", overall, error
    names = [part.get(key) for key in (("egt", "att_egt", "se_egt") if "egt" in part else ("event_times", "att_by_event", "se_by_event"))]
    for at, estimate, se in zip(*names, strict=True) if aggregate in PARTS else ():
        yield aggregate, f"{PARTS[aggregate]} {int(at)}", estimate, se


def from_did(output: dict[str, Any]) -> Iterator[Row]:
    """did, csdid, moderndid."""
    for row in output["attgt"]:
        yield "", f"group {int(row['group'])}, time {row.get('time', row.get('year'))}", row["att"], row["se"]
    for aggregate in ("simple", *PARTS):
        if aggregate in output:
            yield from listed(aggregate, output[aggregate]["overall_att"], output[aggregate]["overall_se"], output[aggregate])


def from_differences(output: dict[str, Any]) -> Iterator[Row]:
    """Tables whose columns are named by aggregation; averages without their labels are left to the other peers."""
    for row in output.get("attgt", ()):
        yield "", f"group {row['cohort']}, time {row['time']}", row["ATTgtElements|ATT"], row["ATTgtElements|analytic|std_error"]
    for ours, theirs in {"simple": "simple_overall", "dynamic": "event_overall", "group": "cohort_overall"}.items():
        for row in output.get(theirs, ()):
            numbers = {key.split("|", 1)[1]: value for key, value in row.items() if "|" in key}
            yield ours, "overall", numbers["ATT"], numbers["analytic|std_error"]


def from_diff_diff(output: dict[str, Any], name: str) -> Iterator[Row]:
    """diff-diff, whose overall effect is the simple one."""
    yield "simple", "overall", output["overall_att"], output["overall_se"]
    for row in output.get("table_group_time", ()):
        yield "", f"group {row['group']}, time {row['time']}", row["effect"], row["se"]
    for row in output.get("table_event_study", ()):
        yield "dynamic", f"event {row['relative_period']}", row["effect"], row["se"]
    for row in output.get("table_group", ()):
        yield "group", f"group {row['group']}", row["effect"], row["se"]


def from_fixest(name: str, output: Any) -> Iterator[Row]:
    """fixest's sunab."""
    tables = output if isinstance(output, dict) else {name.rsplit("_", 1)[1]: output}
    for kind, rows in tables.items():
        for row in rows:
            numbers = [part for part in row["term"].replace("::", ":").split(":") if part.lstrip("-").isdigit()]
            if kind == "es":
                yield "dynamic", f"event {numbers[0]}", row["estimate"], row["se"]
            elif kind == "catt":
                yield "", f"group {numbers[1]}, time {int(numbers[1]) + int(numbers[0])}", row["estimate"], row["se"]
            else:
                yield (
                    ("group", f"group {numbers[0]}", row["estimate"], row["se"])
                    if numbers
                    else ("simple", "overall", row["estimate"], row["se"])
                )


def rows_of(record: dict[str, Any]) -> Iterator[Row]:
    """Every number of a record: aggregate ("" for group and time), term, estimate, standard error."""
    name, output = record["id"], record["output"]
    if record["peer"] == "fixest":
        return from_fixest(name, output)
    if record["peer"] == "differences":
        return from_differences(output)
    return from_diff_diff(output, name) if record["peer"] == "diff-diff" else from_did(output)


def wanted(record: dict[str, Any]) -> bool:
    """Callaway-Sant'Anna and Sun-Abraham on panels."""
    name = record["id"]
    ours = ("did_mpdta", "did_castle", "csdid_", "mdid_", "diffs_", "dd_cs", "dd_sa", "sunab")
    return name.startswith(ours) and not any(word in name for word in ("_rc", "etwfe", "dcdh", "honest"))


def main() -> None:
    """Write both tables."""
    records = json.loads((HERE.parents[1] / "shared/oracle/did_peers.json").read_text())["records"]
    kept = [record for record in records if wanted(record)]
    asked = pd.DataFrame([settings(record) for record in kept])
    rows = [
        {"id": record["id"], "source": record["peer"], "version": record["version"], "aggregate": a, "term": t, "estimate": e, "se": s}
        for record in kept
        for a, t, e, s in rows_of(record)
        if e is not None and s not in (None, "NA")
    ]
    asked.to_csv(HERE / "golden/did_cs_records.csv", index=False)
    pd.DataFrame(rows).to_csv(HERE / "golden/did_cs.csv", index=False, float_format="%.12g")


if __name__ == "__main__":
    main()
