"""The demo's analysis of simulated children, as a trial team would run it on its own file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from swedge._present.forest import draw_forest
from swedge._present.report import CAUTION, Block, Caution, Picture, Section, Table, suppress_small
from swedge.design import Allocation
from swedge.estimate import Estimate, TestResult
from swedge.estimators import FixedEffects, MixedModel
from swedge.inference import RandomisationTest
from swedge.studies.children import read_children, simulate_children, write_children
from swedge.studies.demo import prose
from swedge.studies.demo.prose import say
from swedge.studies.demo.words import Part, interval, p_in_words
from swedge.studies.study import Study
from swedge.trial import Trial

ODDS_RATIO = 0.8
NOISE = 0.05
COMPARATORS = tuple(f"Comparison {k}" for k in range(1, 11))
COMPARATOR_SIZE = 3000
WITHOUT_PROCEEDINGS = "Comparison 7"
COVARIATES = "C(age_group) + C(gender) + C(ethnicity) + C(disability) + C(previous_plans) + C(uasc)"
NOT_RECORDED = ("gender", "ethnicity", "uasc")
COUNTED = ("children", "looked after", "plans started", "re-referred", "pre-proceedings", "proceedings")


def make_children(study: Study, path: Path, seed: int) -> pd.DataFrame:
    """Simulate the file of children, write it and read it back; what was not recorded becomes a level of its own."""
    frame = simulate_children(
        study,
        seed,
        odds_ratio=ODDS_RATIO,
        noise=NOISE,
        comparators=COMPARATORS,
        comparator_size=COMPARATOR_SIZE,
        without_proceedings=(WITHOUT_PROCEEDINGS,),
        missing=True,
    )
    write_children(frame, path)
    rows = read_children(path)
    return rows.assign(**{name: rows[name].astype(object).where(rows[name].notna(), "not recorded").astype(str) for name in NOT_RECORDED})


def children_part(study: Study, rows: pd.DataFrame, path: Path) -> Part:
    """What the file holds, in counts fit for release."""
    facts = {
        "file": path.name,
        "rows": len(rows),
        "clusters": study.design.n_clusters,
        "comparators": len(COMPARATORS),
        "ratio": ODDS_RATIO,
        "noise": NOISE,
        "without": WITHOUT_PROCEEDINGS,
        "gaps": ", ".join(f"{name} {(rows[name] == 'not recorded').mean():.1%}" for name in NOT_RECORDED),
    }
    blocks = (say(prose.CHILDREN, **facts), Table(_counts(study, rows), prose.CHILDREN_TABLE), CAUTION)
    return Part(Section("A simulated trial, child by child", blocks), say(prose.CHILDREN_SHORT, **facts))


def _counts(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    own = _own(study, rows).groupby("la")
    counts = (own.size(), own["looked_after"].sum(), own["plan_days"].count(), own["rereferred"].sum())
    court = (own["proceedings"].count(), own["proceedings"].sum())
    table = pd.DataFrame(dict(zip(COUNTED, (*counts, *court), strict=True))).reindex(list(study.design.clusters))
    return suppress_small(table.rename_axis("authority").reset_index(), COUNTED)


def _own(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["la"].isin(study.design.clusters)]


class Primary(NamedTuple):
    """The primary outcome: unadjusted cells, fits by name, and the exact test."""

    trial: Trial
    fits: dict[str, Estimate]
    exact: TestResult


def primary_part(study: Study, allocation: Allocation, rows: pd.DataFrame) -> Part:
    """Looked after: adjusted by CR2 and overdispersed, and the exact test."""
    found = _primary(allocation, _own(study, rows))
    facts = _primary_facts(next(iter(found.fits.values())))
    methods = [f"Methods, {name}: {fit.methods}" for name, fit in found.fits.items() if "unadjusted" not in name]
    table = Table(_primary_table(found), prose.PRIMARY_TABLE)
    pictures = _trajectories(found.trial), _forest(found), _reference(found.exact)
    text, exact = say(prose.PRIMARY, **facts), Caution(_exact_in_words(found.exact))
    blocks: tuple[Block, ...] = (pictures[0], text, table, *pictures[1:], exact, *methods)
    return Part(Section("Primary outcome: looked after", blocks), say(prose.PRIMARY_SHORT, **facts))


def _primary(allocation: Allocation, rows: pd.DataFrame) -> Primary:
    adjusted, plain = _looked_after(allocation, rows, COVARIATES), _looked_after(allocation, rows, None)
    fits = {
        "CR2, adjusted": FixedEffects(vcov="CR2").fit(adjusted),
        "overdispersed, adjusted": FixedEffects(vcov="overdispersed").fit(adjusted),
        "CR2, unadjusted": FixedEffects(vcov="CR2").fit(plain),
    }
    return Primary(plain, fits, RandomisationTest().run(plain, FixedEffects()))


def _looked_after(allocation: Allocation, rows: pd.DataFrame, covariates: str | None) -> Trial:
    return Trial.from_frame(
        rows,
        allocation,
        cluster="la",
        date="referral_date",
        outcome="looked_after",
        family="binomial",
        covariates=covariates,
        treatment="treated",
    )


def _primary_facts(lead: Estimate) -> dict[str, object]:
    low, high = np.exp(lead.conf_int)
    return {
        "truth": ODDS_RATIO,
        "ratio": float(np.exp(lead.estimate)),
        "limits": interval((low, high)),
        "p": p_in_words(lead.p_value),
        "hit": "contains" if low <= ODDS_RATIO <= high else "misses",
    }


def _primary_table(found: Primary) -> pd.DataFrame:
    fits = [(name, fit.estimate, fit.conf_int, float(fit.df), fit.p_value) for name, fit in found.fits.items()]
    exact = found.exact
    last = (f"exact test, {exact.n_allocations} allocations", exact.estimate, exact.conf_int, np.nan, exact.p_value)
    rows = [(name, float(np.exp(b)), interval(np.exp(limits)), df, float(p)) for name, b, limits, df, p in (*fits, last)]
    return pd.DataFrame(rows, columns=["analysis", "odds ratio", "95% interval", "df", "p"])


def _exact_in_words(exact: TestResult) -> str:
    text = say(prose.EXACT, p=p_in_words(exact.p_value))
    if exact.offered_conf_int is None:
        return text
    limits = interval(np.exp(exact.offered_conf_int))
    return f"{text} {say(prose.EXACT_INFINITE, count=exact.n_allocations, level=exact.offered_level, limits=limits)}"


def _trajectories(trial: Trial) -> Picture:
    axes = trial.plot()
    axes.set_ylabel("Share looked after within 18 months")
    alt = say(prose.TRAJECTORIES_ALT, clusters=len(trial.clusters), periods=len(trial.periods))
    return Picture.of(axes, alt, prose.TRAJECTORIES_CAPTION)


def _forest(found: Primary) -> Picture:
    rows = [(name, float(fit.estimate), fit.conf_int) for name, fit in found.fits.items()]
    rows.append(("exact test, 95%", float(found.exact.estimate), found.exact.conf_int))
    if found.exact.offered_conf_int is not None:
        rows.append((f"exact test, {found.exact.offered_level:.1%}", float(found.exact.estimate), found.exact.offered_conf_int))
    labels, estimates, limits = zip(*rows, strict=True)
    axes = draw_forest(labels, np.array(estimates), np.array(limits), "Log odds ratio, treated against control (0 = no effect)")
    return Picture.of(axes, say(prose.FOREST_ALT), prose.FOREST_CAPTION)


def _reference(exact: TestResult) -> Picture:
    axes = exact.plot()
    axes.set_xlabel("Log odds ratio under each permitted allocation")
    return Picture.of(axes, say(prose.REFERENCE_ALT, count=exact.n_allocations), prose.REFERENCE_CAPTION)


def duration_part(study: Study, allocation: Allocation, rows: pd.DataFrame) -> Part:
    """Days on a plan, by the mixed model."""
    own = _own(study, rows)
    plans = own[own["plan_days"].notna()]
    trial = Trial.from_frame(plans, allocation, cluster="la", date="referral_date", outcome="plan_days", treatment="treated")
    fit = MixedModel().fit(trial)
    facts = {**_variance_shares(fit), "plans": len(plans), "open": int((plans["plan_open"] == 1).sum()), "p": p_in_words(fit.p_value)}
    facts |= {"estimate": float(fit.estimate), "limits": interval(fit.conf_int, 1)}
    row = (float(fit.estimate), float(fit.std_error), interval(fit.conf_int, 1), float(fit.df), float(fit.p_value))
    table = pd.DataFrame([row], columns=["difference (days)", "standard error", "95% interval", "df", "p"])
    blocks = (say(prose.DURATION, **facts), Table(table, prose.DURATION_TABLE), f"Methods: {fit.methods}")
    return Part(Section("Days on a child protection plan", blocks), say(prose.DURATION_SHORT, **facts))


def _variance_shares(fit: Estimate) -> dict[str, object]:
    variances = {name: float(value) for name, value in fit.details["variances"].items()}
    total = sum(variances.values())
    return {"between": variances["cluster"] / total, "within": variances["cluster_period"] / total}
