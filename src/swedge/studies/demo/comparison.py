"""The demo's difference-in-differences: on simulated children, and on the real panel of authorities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from swedge._present.reference import draw_reference
from swedge._present.report import Block, Caution, Picture, Points, Section, Table
from swedge.design import Allocation
from swedge.errors import DataError
from swedge.estimators import TwoWayFixedEffects
from swedge.inference import PlaceboTest
from swedge.studies.demo import prose
from swedge.studies.demo.analysis import COMPARATORS, WITHOUT_PROCEEDINGS
from swedge.studies.demo.prose import say
from swedge.studies.demo.words import Part, interval, p_in_words
from swedge.studies.panel import authority_panel
from swedge.studies.study import Study
from swedge.trial import Trial

ESTIMATOR = TwoWayFixedEffects()
SIMULATED = {"re-referral within 12 months": "rereferred", "care proceedings within 16 weeks": "proceedings"}
REAL = {
    "children looked after per 10,000": "cla_rate_per_10k",
    "% re-referred within 12 months": "rereferral_percent",
    "care applications per 10,000": "care_applications_per_10k",
}
NEIGHBOURS = "statistical_neighbours*.csv"


def comparison_part(allocation: Allocation, rows: pd.DataFrame, seed: int) -> Part:
    """Re-referral and proceedings, against simulated authorities that never go live."""
    trials = {name: _with_comparators(allocation, rows, column) for name, column in SIMULATED.items()}
    table = _estimates(trials, seed, 100.0, "points")
    first = trials["re-referral within 12 months"]
    text = say(prose.COMPARISON, comparators=len(COMPARATORS), without=WITHOUT_PROCEEDINGS)
    warning, methods = Caution(say(prose.COMPARISON_WARNING)), f"Methods: {ESTIMATOR.fit(first).methods}"
    blocks = (text, Table(table, prose.COMPARISON_TABLE), _weights(first), warning, methods)
    heading = "Re-referral and care proceedings, with comparison authorities"
    return Part(Section(heading, blocks), say(prose.COMPARISON_SHORT, rows=_in_words(table)))


def _with_comparators(allocation: Allocation, rows: pd.DataFrame, outcome: str) -> Trial:
    """Children without a value take no part, nor do comparison authorities that hold none."""
    known = rows[rows[outcome].notna()]
    return Trial.from_frame(
        known,
        allocation,
        cluster="la",
        date="referral_date",
        outcome=outcome,
        family="binomial",
        comparators=[name for name in COMPARATORS if name in set(known["la"])],
    )


def _estimates(trials: Mapping[str, Trial], seed: int, unit: float, head: str) -> pd.DataFrame:
    """Estimates with cluster-robust and placebo inference, one row an outcome; `unit` multiplies them."""
    rows = []
    for name, trial in trials.items():
        fit, placebo = ESTIMATOR.fit(trial), PlaceboTest(seed=seed).run(trial, ESTIMATOR)
        robust = (interval(unit * fit.conf_int), float(fit.df), float(fit.p_value))
        beside = int((trial.n[len(trial.clusters) - trial.comparators :] > 0).any(-1).sum())
        rows.append((name, unit * float(fit.estimate), *robust, interval(unit * placebo.conf_int), float(placebo.p_value), beside))
    columns = ["outcome", head, "95% interval, CR2", "df", "p, CR2", "95% interval, placebo", "p, placebo", "comparators"]
    return pd.DataFrame(rows, columns=columns)


def _in_words(table: pd.DataFrame) -> str:
    rows = table.itertuples(index=False, name=None)
    return "; ".join(f"{r[0]} {r[1]:+.2f} (CR2 {p_in_words(r[4])}, placebo {p_in_words(r[6])})" for r in rows)


def _weights(trial: Trial) -> Picture:
    treated = trial.arm > 0
    wrong = int(((ESTIMATOR.weights(trial) < 0) & treated).sum())
    caption = say(prose.WEIGHTS_CAPTION, wrong=wrong, treated=int(treated.sum()))
    return Picture.of(ESTIMATOR.plot_weights(trial), say(prose.WEIGHTS_ALT), caption)


def panel_part(study: Study, panel: Path, neighbours: Path | None, seed: int) -> Part:
    """Estimates on the published panel, with what they rest on."""
    table_of = neighbours or _beside(panel)
    trials = {name: _real_trial(study, panel, table_of, column) for name, column in REAL.items()}
    table = _estimates(trials, seed, 1.0, "difference")
    first = next(iter(trials.values()))
    notes = dict.fromkeys(note for trial in trials.values() for note in trial.notes)
    warning, methods = Caution(say(prose.REAL_WARNING)), f"Methods: {ESTIMATOR.fit(first).methods}"
    pictures = _real_trajectories(first), _placebo(first, seed)
    blocks: tuple[Block, ...] = (
        say(prose.REAL, **_sizes(first)),
        Table(table, prose.REAL_TABLE),
        warning,
        *pictures,
        Points(tuple(notes)),
        methods,
    )
    heading = "Real data: the authorities and their statistical neighbours"
    return Part(Section(heading, blocks), say(prose.REAL_SHORT, rows=_in_words(table)))


def _real_trial(study: Study, panel: Path, neighbours: Path, outcome: str) -> Trial:
    try:
        return authority_panel(panel, neighbours, outcome, study=study)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        raise DataError(f"{panel.name} or {neighbours.name} is not a table in CSV. Pass the files as they were published.") from None


def _beside(panel: Path) -> Path:
    """The neighbour table in the panel's folder."""
    found = sorted(panel.parent.glob(NEIGHBOURS))
    if not found:
        raise DataError(f"No table of statistical neighbours ({NEIGHBOURS}) lies beside {panel.name}. Name it with --neighbours.")
    return found[-1]


def _sizes(trial: Trial) -> dict[str, object]:
    count, others, years = len(trial.clusters), trial.comparators, trial.periods
    return {"authorities": count, "others": others, "own": count - others, "years": len(years), "first": years[0], "last": years[-1]}


def _real_trajectories(trial: Trial) -> Picture:
    axes = trial.plot()
    axes.set(xlabel="Year to 31 March", ylabel="Children looked after per 10,000 under 18")
    return Picture.of(axes, say(prose.REAL_ALT, **_sizes(trial)), prose.REAL_CAPTION)


def _placebo(trial: Trial, seed: int) -> Picture:
    result = PlaceboTest(seed=seed).run(trial, ESTIMATOR)
    assert result.reference is not None  # a placebo test always has one
    label = "Children looked after per 10,000: placebo differences"
    axes = draw_reference(result.reference, float(result.statistic), float(result.p_value), "placebo", xlabel=label, unit="placebo draws")
    return Picture.of(axes, say(prose.PLACEBO_ALT), prose.PLACEBO_CAPTION)
