"""Extract tests/golden/did_random.csv and did_random_weights.csv from ../shared/oracle/did_peers.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

GOLDEN = Path(__file__).parent / "golden"
OUTCOMES = {"mpdta": "lemp", "california_prop99": "PacksPerCapita"}
SYNTHETIC = {"synthdid_estimate_prop99": "SyntheticDiD", "sc_estimate_prop99": "SyntheticControl", "dd_sdid_prop99": "SyntheticDiD"}


def panel_of(record: dict[str, Any]) -> str:
    """The panel's name; descriptions of the rebuilt one start with pj."""
    return record["data"].removesuffix(".csv") if record["data"].endswith(".csv") else "pj_full"


def staggered(record: dict[str, Any]) -> list[dict[str, Any]]:
    """One row an estimate."""
    asked, data = record["inputs"], panel_of(record)
    event = asked["estimand"] == "eventstudy"
    row = {
        "id": record["id"],
        "source": "staggered",
        "version": record["version"],
        "data": data,
        "outcome": OUTCOMES.get(data, asked.get("y", "complaints")),
        "estimator": "RothSantAnna",
        "aggregate": "event" if event else asked["estimand"],
        "controls": "last" if record["function"].endswith("_sa") else "not_yet",
        "beta": asked.get("beta", "" if record["function"] == "staggered" else 1),
    }
    return [
        row
        | {"term": f"event {o['eventTime']}" if event else "overall"}
        | {"estimate": o["estimate"], "se": o["se_neyman"], "se_adjusted": o["se"]}
        for o in record["output"]
    ]


def synthetic(record: dict[str, Any]) -> dict[str, Any]:
    """The estimate and its placebo error."""
    said = record["output"]
    return {
        "id": record["id"],
        "source": record["peer"],
        "version": record["version"],
        "data": "california_prop99",
        "outcome": OUTCOMES["california_prop99"],
        "estimator": SYNTHETIC[record["id"]],
        "term": "overall",
        "estimate": said.get("estimate", said.get("att")),
        "se": said.get("se_placebo", said.get("se")),
    }


def weights(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Weights that are not 0."""
    base = {"id": record["id"], "source": "synthdid", "version": record["version"]}
    both = [(kind, j, v) for kind in ("omega", "lambda") for j, v in enumerate(record["output"][kind])]
    return [base | {"kind": kind, "position": j, "weight": v} for kind, j, v in both if v]


def main() -> None:
    """Write both tables."""
    oracle = Path(__file__).resolve().parents[2] / "shared" / "oracle" / "did_peers.json"
    records = [record for record in json.loads(oracle.read_text())["records"] if record["status"] == "ok"]
    left_out = [r["id"] for r in records if "fisher" in r["id"] or r["id"].endswith("es_pre")]
    rows = [row for r in records if r["peer"] == "staggered" and r["id"] not in left_out for row in staggered(r)]
    rows += [synthetic(r) for r in records if r["id"] in SYNTHETIC]
    pd.DataFrame(rows).to_csv(GOLDEN / "did_random.csv", index=False, float_format="%.12g")
    shown = [row for r in records if r["id"] in SYNTHETIC and r["peer"] == "synthdid" for row in weights(r)]
    pd.DataFrame(shown).to_csv(GOLDEN / "did_random_weights.csv", index=False, float_format="%.12g")


if __name__ == "__main__":
    main()
