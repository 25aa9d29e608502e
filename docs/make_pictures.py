"""Draw the pictures that the README and the documentation show, with swedge itself (`make pictures`)."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

import swedge as sw

STATIC = Path(__file__).parent / "_static"
GO_LIVE = {
    "Walsall": "2020-09-01",
    "Lancashire": "2021-02-01",
    "Telford and Wrekin": "2021-06-28",
    "Wandsworth": "2022-01-24",
    "Swindon": "2022-05-24",
}


def wedge(path: Path) -> None:
    """The schedule of the Family Safeguarding trial as it was carried out."""
    design = sw.Design.from_dates(GO_LIVE, start="2020-03-01", end="2022-11-24")
    figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
    design.allocate_dates(GO_LIVE).plot(ax=ax)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    plt.switch_backend("Agg")
    STATIC.mkdir(exist_ok=True)
    wedge(STATIC / "wedge.png")
