"""Rebuild golden/did_two_way.csv, did_local.csv and did_wild.csv from ../shared/oracle/did_peers.json.

Two-way fixed effects with every variance that packages give them; saturated and local regressions, efficient weights and repeated
cross-sections; the wild bootstraps that the older table leaves out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).resolve().parent
Record = dict[str, Any]
# id: the regression, and whose residuals are added up before they are squared
TWO_WAY = {
    "twfe_mpdta": ("constant", "clusters"),
    "twfe_mpdta_state": ("constant", "states"),
    "twfe_mpdta_twoway": ("constant", "clusters and periods"),
    "twfe_mpdta_hc1": ("constant", "cells"),
    "twfe_mpdta_x": ("lpop by year", "clusters"),
    "twfe_es_mpdta": ("event times", "clusters"),
    "twfe_pj": ("constant", "clusters"),
    "poisson_twfe_pj": ("poisson", "clusters"),
    "pf_twfe_mpdta": ("constant", "clusters"),
    "pf_event_twfe_mpdta": ("constant", "clusters"),
    "pf_twfe_mpdta_crv3": ("constant", "states left out"),
    "pf_twfe_castle5_10_CRV3": ("constant", "clusters left out"),
    "lm_twfe_mpdta_clustered": ("constant", "clusters, rows / (rows - coefficients)"),
    "lm_twfe_mpdta_clustered_gd": ("constant", "clusters, all coefficients counted"),
    "lm_twfe_mpdta_unadjusted": ("constant", "model"),
    "lm_twfe_mpdta_robust": ("constant", "cells"),
    "lm_twfe_castle5_10_robust": ("constant", "cells"),
    "lm_twfe_mpdta_kernel": ("constant", "periods with a kernel"),
    "lm_twfe_castle5_10_kernel": ("constant", "periods with a kernel"),
}
WILD = ("mammen", "CRV3_31", "dd_wcb_castle5_10_rademacher", "dd_wcb_castle5_10_webb")


def common(record: Record) -> Record:
    """What every row says."""
    return {"id": record["id"], "source": record["peer"], "version": record["version"], "data": record["data"].removesuffix(".csv")}


def named(word: str) -> str:
    """A package's coefficient in our words."""
    years = re.fullmatch(r"year::(\d+):lpop", word)
    event = re.search(r"(?:rel|rel_time|time_to_treatment)::(-?\d+)", word)
    group = re.search(r"first_treated_period::(\d+)", word)
    if years:
        return f"lpop {years[1]}"
    if event and group:
        return f"group {group[1]}, time {int(group[1]) + int(event[1])}"
    return f"event {event[1]}" if event else "treatment"


def coefficients(lines: list[Record]) -> Iterator[tuple[str, Any, Any]]:
    """A regression table of fixest, pyfixest or linearmodels."""
    for line in lines:
        word = line.get("term", line.get("Coefficient", ""))
        yield named(word), line.get("estimate", line.get("Estimate")), line.get("se", line.get("Std. Error"))


def two_way(record: Record) -> Iterator[Record]:
    """One row a coefficient."""
    model, variance = TWO_WAY[record["id"]]
    output = record["output"]
    for term, estimate, se in coefficients(output if isinstance(output, list) else [output]):
        yield common(record) | {"model": model, "variance": variance, "term": term, "estimate": estimate, "se": se}


def long_differences(output: Record) -> Iterator[tuple[str, str, Any, Any]]:
    """diff-diff's LWDiD: overall, by cohort, by event time."""
    yield "", "overall", output["att"], output["se"]
    for group, line in output["cohort_effects"].items():
        yield "", f"group {group}", line["att"], line["se"]
    for event, line in output["event_study_effects"].items():
        yield "", f"event {event}", line["effect"], line["se"]


def cross_sections(output: Record) -> Iterator[tuple[str, str, Any, Any]]:
    """did with panel=FALSE: by group and time, and averages."""
    for line in output["attgt"]:
        yield "", f"group {line['group']}, time {line['time']}", line["att"], line["se"]
    for aggregate, word in (("simple", ""), ("group", "group"), ("calendar", "calendar"), ("dynamic", "event")):
        part = output[aggregate]
        yield aggregate, "overall", part["overall_att"], part["overall_se"]
        for at, estimate, se in zip(part["egt"] or [], part["att_egt"] or [], part["se_egt"] or [], strict=True):
            yield aggregate, f"{word} {at}", estimate, se


def efficient(output: Record) -> Iterator[tuple[str, str, Any, Any]]:
    """diff-diff's EfficientDiD: overall, by cohort, by event time, by cohort and time."""
    yield "", "overall", output["overall_att"], output["overall_se"]
    words = {
        "table_group": "group {group}",
        "table_event_study": "event {relative_period}",
        "table_group_time": "group {group}, time {time}",
    }
    for table, word in words.items():
        for line in output[table]:
            yield "", word.format(**line), line["effect"], line["se"]


def saturated(output: Record) -> Iterator[tuple[str, str, Any, Any]]:
    """pyfixest's saturated regression, and its averages by event time."""
    yield from (("", *line) for line in coefficients(output["tidy"]))
    yield from (("dynamic", f"event {int(line['period'])}", line["Estimate"], line["Std. Error"]) for line in output["agg"])


def local(record: Record) -> Iterator[Record]:
    """One row an effect."""
    name, output = record["id"], record["output"]
    if name == "pf_lpdid_mpdta":
        lines = iter([("", "group 2004", output[0]["Estimate"], output[0]["Std. Error"])])
    elif name == "pf_lpdid_mpdta_es":
        lines = (("", *line) for line in coefficients(output))
    else:
        read = {"dd_eff": efficient, "dd_lwdid": long_differences, "did_mpdta_rc": cross_sections, "pf_saturated": saturated}
        lines = next(reader for start, reader in read.items() if name.startswith(start))(output)
    for aggregate, term, estimate, se in lines:
        yield common(record) | {"aggregate": aggregate, "term": term, "estimate": estimate, "se": se}


def wild(record: Record) -> Record:
    """One bootstrap."""
    output = record["output"]
    limits = output.get("ci", output.get("conf_int")) or [None, None]
    return common(record) | {
        "weights": record["inputs"].get("type", record["inputs"].get("weights")),
        "samples": output.get("boot_iter", output.get("n_bootstrap")),
        "estimate": output.get("att"),
        "se": output.get("se"),
        "statistic": output.get("t", output.get("t_stat")),
        "p_value": output.get("p", output.get("p_value")),
        "conf_low": limits[0],
        "conf_high": limits[1],
    }


def main() -> None:
    """Write the three tables."""
    oracle = HERE.parents[1] / "shared" / "oracle" / "did_peers.json"
    records = [record for record in json.loads(oracle.read_text())["records"] if record["status"] == "ok"]
    starts = ("pf_lpdid", "dd_eff", "dd_lwdid", "did_mpdta_rc", "pf_saturated")
    tables = {
        "did_two_way": [row for record in records if record["id"] in TWO_WAY for row in two_way(record)],
        "did_local": [row for record in records if record["id"].startswith(starts) for row in local(record)],
        "did_wild": [wild(record) for record in records if record["id"].endswith(WILD)],
    }
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(HERE / "golden" / f"{name}.csv", index=False, float_format="%.13g")


if __name__ == "__main__":
    main()
