"""The demo before there are data: schedule, permitted allocations, power."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from swedge._present.power import draw_power_curves
from swedge._present.report import Block, Caution, Picture, Section, Table
from swedge._present.words import joined
from swedge.design import Allocation, Design
from swedge.estimators import FixedEffects, WithinPeriod
from swedge.inference import RandomisationTest
from swedge.power import simulate_power
from swedge.power.simulate import Method
from swedge.studies.demo import prose
from swedge.studies.demo.prose import say
from swedge.studies.demo.words import Part, day
from swedge.studies.study import Study

ODDS_RATIOS = (1.0, 0.9, 0.8, 0.7)
NOISE = (0.1, 0.0)
"""Standard deviations of authority-by-period noise on the logit scale; the first is the one the demo goes by."""

CR2, OVERDISPERSED, MODEL_Z, EXACT = "CR2, Satterthwaite t", "overdispersed, t", "model's own z (a warning)", "exact test"
ANALYSES: dict[str, Method] = {
    CR2: FixedEffects(vcov="CR2"),
    OVERDISPERSED: FixedEffects(vcov="overdispersed"),
    MODEL_Z: FixedEffects(vcov="model", df="normal"),
    EXACT: (WithinPeriod(), RandomisationTest()),
}


def schedule_part(study: Study, allocation: Allocation) -> Part:
    """Who went live when."""
    design = study.design
    days = [int(d) for d in design.periods["days"]]
    first, last = design.boundaries[0], design.boundaries[-1] - dt.timedelta(days=1)
    facts = {"name": study.name, "clusters": design.n_clusters, "periods": len(days), "days": joined(days)}
    facts |= {"first": day(first), "last": day(last)}
    picture = Picture.of(allocation.plot(), say(prose.SCHEDULE_ALT, **facts), prose.SCHEDULE_CAPTION)
    blocks = (say(prose.SCHEDULE, **facts), picture, Table(_authorities(study), prose.SCHEDULE_TABLE))
    return Part(Section("The schedule", blocks), say(prose.SCHEDULE_SHORT, **facts))


def _authorities(study: Study) -> pd.DataFrame:
    table = study.tidy()
    heads = {"cluster": "authority", "go_live": "go-live", "baseline_risk": "% looked after, period 1"}
    return table.assign(baseline_risk=100 * table["baseline_risk"]).rename(columns=heads)


def allocation_part(study: Study, record: Path, seed: int) -> Part:
    """Every permitted allocation, one drawn here with its record, and the smallest p that they allow."""
    design = study.design
    drawn = _draw(design, record, seed)
    facts = {**_lot(design), "seed": seed, "number": design.number_of(drawn.sequence), "record": record.name}
    table = Table(_listed(study, drawn), say(prose.LOT_TABLE, **facts))
    blocks = (say(prose.LOT, **facts), table, say(prose.DRAW, **facts), Caution(say(prose.SMALLEST_P, **facts)))
    return Part(Section("What was drawn by lot", blocks), say(prose.LOT_SHORT, **facts))


def _draw(design: Design, record: Path, seed: int) -> Allocation:
    """An allocation drawn, saved, and read back from its record."""
    design.randomise(seed=seed).save(record, overwrite=True)
    return Allocation.load(record)


def _lot(design: Design) -> dict[str, object]:
    """How the allocations come to their number, and what that number allows."""
    return {
        "strata": "; ".join(f"{joined(s.clusters)} share steps {joined([k + 1 for k in s.sequences])}" for s in design.strata),
        "product": " x ".join(f"{len(s.clusters)}!" for s in design.strata),
        "count": design.count(),
        "clusters": design.n_clusters,
        "free": math.factorial(design.n_clusters),
        "p": design.min_p(),
        "level": 1 - design.min_p(),
    }


def _listed(study: Study, drawn: Allocation) -> pd.DataFrame:
    """One row an allocation: its number, the authority at each step, and which ones are special."""
    design = study.design
    order = np.argsort(design.allocations(), axis=1)
    rows = pd.DataFrame(np.array(design.clusters)[order], columns=[f"step {k + 1}" for k in range(design.n_clusters)])
    own = None if study.allocation is None else study.allocation.sequence
    special = [(own, "carried out"), (drawn.sequence, "drawn here")]
    remarks = [", ".join(word for which, word in special if which is not None and design.number_of(which) == k) for k in range(len(rows))]
    return rows.assign(remark=remarks).rename_axis("number").reset_index()


def power_part(study: Study, reps: int, seed: int, progress: bool | None) -> Part:
    """Rejection rates of four analyses under no effect and three effects."""
    rates = pd.concat(list(_simulated(study, reps, seed, progress)), ignore_index=True)
    facts = {**_power_facts(rates), "reps": reps, "count": study.design.count(), "noise": NOISE[0]}
    tables = [Table(_rate_table(rates, noise), say(prose.POWER_TABLE, noise=noise)) for noise in NOISE]
    last = Caution(say(prose.POWER_WARNING, **facts)), say(prose.POWER_ADVICE)
    blocks: tuple[Block, ...] = (say(prose.POWER, **facts), _power_picture(rates, facts), *tables, *last)
    return Part(Section("Power for looked-after children", blocks), say(prose.POWER_SHORT, **facts))


def _simulated(study: Study, reps: int, seed: int, progress: bool | None) -> Iterator[pd.DataFrame]:
    """One table of operating characteristics for each noise and odds ratio, with a bar while they are made."""
    from tqdm import tqdm

    grid = [(noise, ratio) for noise in NOISE for ratio in ODDS_RATIOS]
    hidden = None if progress is None else not progress
    for noise, ratio in tqdm(grid, desc="Power", unit="setting", leave=False, disable=hidden):
        power = simulate_power(study.design, study.scenario(ratio, noise), ANALYSES, reps=reps, seed=seed, progress=False)
        yield power.tidy().assign(noise=noise, odds_ratio=ratio)


def _power_facts(rates: pd.DataFrame) -> dict[str, object]:
    main = rates[rates["noise"] == NOISE[0]].set_index(["estimator", "odds_ratio"])["power"]
    size, cr2, overdispersed = (f"{main[key]:.1%}" for key in ((MODEL_Z, 1.0), (CR2, 0.8), (OVERDISPERSED, 0.8)))
    fits = int(rates[["n_ok", "n_singular", "n_failed"]].to_numpy().sum())
    return {"size": size, "cr2": cr2, "overdispersed": overdispersed, "failed": int(rates["n_failed"].sum()), "fits": fits}


def _rate_table(rates: pd.DataFrame, noise: float) -> pd.DataFrame:
    rows = rates[rates["noise"] == noise]
    shown = rows.assign(cell=[f"{p:.1%} ({100 * e:.1f})" for p, e in zip(rows["power"], rows["mcse"], strict=True)])
    wide = shown.pivot(index="estimator", columns="odds_ratio", values="cell").reindex(index=list(ANALYSES), columns=list(ODDS_RATIOS))
    wide.columns = pd.Index(["no effect" if ratio == 1 else f"odds ratio {ratio:g}" for ratio in ODDS_RATIOS])
    return wide.rename_axis("analysis").reset_index()


def _power_picture(rates: pd.DataFrame, facts: dict[str, object]) -> Picture:
    rows = rates[rates["noise"] == NOISE[0]].sort_values("odds_ratio")
    power, mcse = ({name: rows.loc[rows["estimator"] == name, column].to_numpy() for name in ANALYSES} for column in ("power", "mcse"))
    axes = draw_power_curves(np.sort(ODDS_RATIOS), power, mcse, "Odds ratio, treated against control (1 = no effect)")
    return Picture.of(axes, say(prose.POWER_ALT, **facts), say(prose.POWER_CAPTION, **facts))
