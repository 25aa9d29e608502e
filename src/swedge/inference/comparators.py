"""Which never-treated clusters to compare with: chosen by a rule that is printed, and looked at before they are believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design.validation import whole
from swedge.errors import DataError, counted, listing, nearest
from swedge.estimate import Estimator
from swedge.inference.leave_out import LeaveOneOut, leave_one_cluster_out
from swedge.trial import Cells, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

RULES = ("matching", "neighbours")
ON = ("levels", "changes")
NEIGHBOUR_COLUMNS = ("cluster", "neighbour", "rank")
# A standardised difference in means that textbooks call large enough to worry about.
APART = 0.25


@dataclass(frozen=True, eq=False, repr=False)
class ComparatorChoice:
    """Comparators chosen by a stated rule.

    Attributes
    ----------
    trial : Trial
        With the chosen comparators alone; its notes hold the rule.
    candidates : Trial
        What they were chosen from.
    rule : str
        The rule, in words.
    pairs : DataFrame
        One row a treated cluster and comparator chosen for it: cluster, comparator, rank and distance (nan unless matched).
    """

    trial: Trial
    candidates: Trial
    rule: str
    pairs: pd.DataFrame

    def __repr__(self) -> str:
        """One line: how many of how many."""
        return f"<ComparatorChoice: {self.trial.comparators} of {self.candidates.comparators} comparators>"

    @property
    def names(self) -> tuple[str, ...]:
        """The chosen comparators."""
        return self.trial.clusters[len(self.trial.clusters) - self.trial.comparators :]

    def tidy(self) -> pd.DataFrame:
        """Balance before treatment, one row a variable: means of treated clusters, chosen comparators and all candidates.

        `difference` and `difference_all` are differences from the treated clusters over the treated clusters' standard deviation and the
        candidates', averaged as variances.
        """
        known = _before(self.candidates)
        treated, chosen = _treated(self.candidates), np.isin(self.candidates.clusters, self.names)
        every = _candidate(self.candidates)
        table = known[treated].mean().rename("treated").to_frame()
        table = table.assign(chosen=known[chosen].mean(), candidates=known[every].mean())
        spread = np.sqrt((known[treated].var(ddof=0) + known[every].var(ddof=0)) / 2)
        for name, column in (("difference", "chosen"), ("difference_all", "candidates")):
            table[name] = (table["treated"] - table[column]) / spread.where(spread > 0)
        return table.rename_axis("variable").reset_index()

    def summary(self) -> str:
        """The rule, the comparators, and how alike they are."""
        from swedge._present.tables import text_table

        balance = self.tidy()
        apart = balance.loc[balance["difference"].abs() > APART, "variable"].tolist()
        told = (
            f"More than {APART} standard deviations apart: {listing(apart, 8)}."
            if apart
            else f"Every variable is within {APART} standard deviations."
        )
        names = f"Chosen: {listing(self.names, 60)}."
        lines = [self.rule, names, text_table(balance), told, "Alike before treatment is no proof of parallel trends after it."]
        return "\n".join([*lines, *_idle(self.candidates)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Mean outcome of treated clusters, chosen comparators and other candidates in each period."""
        from swedge._present.pretrends import draw_group_means

        seen = np.where(self.candidates.n > 0, self.candidates.outcome, np.nan)
        treated, chosen = _treated(self.candidates), np.isin(self.candidates.clusters, self.names)
        groups = {"treated clusters": treated, "chosen comparators": chosen, "other candidates": _candidate(self.candidates) & ~chosen}
        means = {f"{name} ({int(own.sum())})": _mean(seen[own], 0) for name, own in groups.items() if own.any()}
        return draw_group_means(means, self.candidates.periods, float((self.candidates.arm > 0).any(0).argmax()), ax=ax)

    def leave_one_out(self, estimator: Estimator) -> LeaveOneOut:
        """Refits without each chosen comparator in turn.

        Raises
        ------
        DataError, FitError
            As `leave_one_cluster_out`.
        """
        every = leave_one_cluster_out(self.trial, estimator)
        kept = [k for k, name in enumerate(every.clusters) if name in self.names]
        failures, changed = ({c: why for c, why in told.items() if c in self.names} for told in (every.failures, every.changed))
        return LeaveOneOut(every.whole, tuple(every.clusters[k] for k in kept), tuple(every.fits[k] for k in kept), failures, changed)


def choose_comparators(
    trial: Trial,
    by: str | Sequence[str] = "matching",
    *,
    count: int = 3,
    on: str = "levels",
    covariates: Sequence[str] = (),
    neighbours: pd.DataFrame | None = None,
    exclude: Sequence[str] = (),
) -> ComparatorChoice:
    """Choose comparators among a trial's never-treated clusters.

    Parameters
    ----------
    trial : Trial
        One trial or panel whose comparators are the candidates.
    by : {"matching", "neighbours"} or sequence of str
        "matching": the `count` candidates nearest to each treated cluster before its treatment. "neighbours": the `count` nearest in a
        table. Or the names themselves.
    count : int
        How many for each treated cluster; one candidate may serve several.
    on : {"levels", "changes"}
        Match outcomes before treatment as they are, or about each cluster's own mean before treatment. Matching levels invites regression
        to the mean when treated clusters were extreme.
    covariates : sequence of str
        Columns of `Trial.with_cluster_covariates` to match as well, each weighing as much as the outcomes together.
    neighbours : DataFrame, optional
        Columns ``cluster, neighbour, rank``, such as statistical neighbours of local authorities.
    exclude : sequence of str
        Candidates never to choose, such as known adopters.

    Raises
    ------
    DataError
        If no candidate is left, a name or column is unknown, or a treated cluster has no period before treatment to match on.

    Notes
    -----
    The distance is the root mean square difference of outcomes over the periods before treatment in which both clusters are observed, over
    the candidates' standard deviation in them; covariates add their squared standardised differences.

    Examples
    --------
    >>> import numpy as np, pandas as pd, swedge as sw
    >>> df = pd.DataFrame([(f"la {i}", t, 4.0 * (i == 0)) for i in range(8) for t in range(1, 7)], columns=["la", "year", "first"])
    >>> df["y"] = np.repeat([1.0, 5.0, 1.1, 7.0, 0.8, 9.0, 4.0, 1.3], 6)
    >>> panel = sw.Trial.from_panel(df, cluster="la", period="year", outcome="y", first_treated="first")
    >>> choose_comparators(panel, count=3).names
    ('la 2', 'la 4', 'la 7')
    """
    _check(trial, by, on)
    barred = _known(exclude, trial, "exclude")
    allowed = _candidate(trial) & ~np.isin(trial.clusters, barred)
    if isinstance(by, str) and by == "matching":
        if isinstance(covariates, str):
            raise DataError(f"covariates={covariates!r} is one text. Pass a list of names.")
        pairs = _matched(trial, allowed, whole(count, "count", least=1), on, tuple(covariates))
        also = f" and {', '.join(covariates)}" if covariates else ""
        rule = f"Comparators: the {count} candidates nearest to each treated cluster in outcomes before treatment ({on}){also}"
    elif isinstance(by, str):
        pairs = _listed(trial, allowed, whole(count, "count", least=1), neighbours)
        rule = f"Comparators: the {count} nearest neighbours of each treated cluster, by the table given"
    else:
        chosen = [name for name in _known(by, trial, "by") if name not in barred]
        pairs = pd.DataFrame({"cluster": "", "comparator": chosen, "rank": np.nan, "distance": np.nan})
        rule = "Comparators: given by name"
    return _choice(trial, pairs, f"{rule}{f', without {listing(barred, 20)}' if barred else ''}.")


def with_comparators(trial: Trial, names: Sequence[str]) -> Trial:
    """The trial with some of its comparators alone; none at all, if no name is given.

    Parameters
    ----------
    trial : Trial
    names : sequence of str

    Raises
    ------
    DataError
        If a name is no comparator, or the trial holds individual patterns or offsets, which cannot be cut here.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=2, periods=3).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.ones((4, 3)), np.zeros((4, 3)), allocation, comparators=["F", "G"])
    >>> with_comparators(trial, ["G"]).clusters
    ('1', '2', 'G')
    """
    chosen = _known(names, trial, "names")
    kept = np.append(np.ones(len(trial.clusters) - trial.comparators, dtype=bool), np.isin(_candidates(trial), chosen))
    if trial.patterns is not None or trial.offset is not None:
        raise DataError("A trial with individual covariate patterns or an offset cannot leave comparators out. Build it without them.")
    return replace(
        trial,
        cells=_rows(trial.cells, kept),
        treatment=trial.treatment[..., kept, :],
        exposure=trial.exposure[..., kept, :],
        clusters=tuple(name for name, keep in zip(trial.clusters, kept, strict=True) if keep),
        comparators=len(chosen),
        cluster_covariates=None if trial.cluster_covariates is None else trial.cluster_covariates[kept],
    )


def _rows(cells: Cells, kept: Flags) -> Cells:
    """Cells of some clusters; a pooled scatter of all of them is dropped."""
    own = cells.within is not None and cells.within.shape[-3] == len(kept)
    return Cells(
        cells.n[..., kept, :],
        cells.mean[..., kept, :, :],
        cells.within[..., kept, :, :] if own and cells.within is not None else None,
        None if cells.scatter is None else cells.scatter[kept],
        None if cells.cohort is None else cells.cohort[kept],
    )


def _choice(trial: Trial, pairs: pd.DataFrame, rule: str) -> ComparatorChoice:
    names = [name for name in _candidates(trial) if name in set(pairs["comparator"])]
    if not names:
        raise DataError(f"{rule} None of the {trial.comparators} candidates is left. Choose more, or exclude fewer.")
    chosen = with_comparators(trial, names)
    return ComparatorChoice(replace(chosen, notes=(*trial.notes, rule, *_idle(trial))), trial, rule, pairs)


def _candidates(trial: Trial) -> tuple[str, ...]:
    return trial.clusters[len(trial.clusters) - trial.comparators :]


def _treated(trial: Trial) -> Flags:
    """Clusters that are treated in one of the trial's periods."""
    return np.asarray((trial.arm > 0).any(-1))


def _candidate(trial: Trial) -> Flags:
    return np.arange(len(trial.clusters)) >= len(trial.clusters) - trial.comparators


def _idle(trial: Trial) -> tuple[str, ...]:
    """A note on clusters that are to be treated, but in none of the trial's periods."""
    names = [trial.clusters[i] for i in np.flatnonzero(~_treated(trial) & ~_candidate(trial))]
    number = f"{listing(names)} ({counted(len(names), 'cluster) is', 'clusters) are')}"
    stay = "it, and it stays" if len(names) == 1 else "them, and they stay"
    told = f"{number} not treated in any period here: nothing is matched to {stay}."
    return (told,) if names else ()


def _check(trial: object, by: object, on: str) -> None:
    if not isinstance(trial, Trial) or trial.shape:
        raise DataError(f"This takes one Trial, and was given {trial!r:.80}. Take one of a stack with trial.replicate(0).")
    if not trial.comparators:
        raise DataError("The trial has no never-treated comparators to choose from. Pass comparators= or a panel that holds them.")
    if isinstance(by, str) and by not in RULES:
        raise DataError(f"by={by!r}; expected one of {', '.join(RULES)}, or a list of names.{nearest(by, RULES)}")
    if not isinstance(by, Sequence):
        raise DataError(f"by={by!r}; expected one of {', '.join(RULES)}, or a list of names.")
    if on not in ON:
        raise DataError(f"on={on!r}; expected one of {', '.join(ON)}.{nearest(on, ON)}")


def _known(names: Sequence[str], trial: Trial, what: str) -> list[str]:
    """Names of comparators, each once."""
    if isinstance(names, str):
        raise DataError(f"{what}={names!r} is one text. Pass a list of names.")
    known = _candidates(trial)
    unknown = [f"{name!r}.{nearest(name, known)}" for name in names if str(name) not in known]
    if unknown:
        raise DataError(
            f"{what}= holds {len(unknown)} names that are no comparators: {listing(unknown)} There are {len(known)}: {listing(known)}."
        )
    return list(dict.fromkeys(str(name) for name in names))


def _mean(values: Array, axis: int) -> Array:
    """Mean of what is there; nan where nothing is."""
    seen = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(seen, values, 0.0).sum(axis) / seen.sum(axis))


def _early(trial: Trial) -> Flags:
    """Periods before each cluster's treatment ``(I, T)``; for clusters that are not treated here, before anybody's."""
    start = np.where((trial.arm > 0).any(-1), (trial.arm > 0).argmax(-1), trial.arm.shape[-1])
    return np.asarray(np.arange(trial.arm.shape[-1]) < np.where(_treated(trial), start, start.min())[:, None])


def _before(trial: Trial) -> pd.DataFrame:
    """What is known of each cluster before treatment: mean outcome, slope a period, and numeric covariates."""
    seen = np.where(_early(trial) & (trial.n > 0), trial.outcome, np.nan)
    times = np.where(np.isnan(seen), np.nan, np.arange(seen.shape[-1]))
    off = times - _mean(times, -1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.nansum(off * seen, -1) / np.nansum(off**2, -1)
    table = pd.DataFrame({"outcome before treatment": _mean(seen, -1), "slope before treatment": slope}, index=list(trial.clusters))
    more = trial.cluster_covariates
    return table if more is None else table.join(more.select_dtypes("number").astype(float))


def _matched(trial: Trial, allowed: Flags, count: int, on: str, covariates: tuple[str, ...]) -> pd.DataFrame:
    seen = np.where(trial.n > 0, trial.outcome, np.nan)
    early, rows = _early(trial), []
    extra = [np.asarray(trial.cluster_column(name), dtype=float) for name in covariates]
    for i in np.flatnonzero(_treated(trial)):
        if not (early[i] & ~np.isnan(seen[i])).any():
            raise DataError(f"{trial.clusters[i]} has no observed period before its treatment to match on. Name its comparators instead.")
        own = seen[:, early[i]]
        distance = _distance(own - _mean(own, -1)[:, None] if on == "changes" else own, int(i), allowed, extra)
        order = [k for k in np.argsort(distance, kind="stable") if np.isfinite(distance[k])][:count]
        rows += [(trial.clusters[i], trial.clusters[k], rank, distance[k]) for rank, k in enumerate(order, 1)]
    return pd.DataFrame(rows, columns=["cluster", "comparator", "rank", "distance"])


def _distance(outcomes: Array, i: int, allowed: Flags, covariates: list[Array]) -> Array:
    """Distance of every candidate from cluster i, infinite for the others."""
    total = _mean(((outcomes - outcomes[i]) / _spread(outcomes[allowed])) ** 2, -1)
    for column in covariates:
        total = total + ((column - column[i]) / _spread(column[allowed])) ** 2
    return np.where(allowed & ~np.isnan(total), np.sqrt(total), np.inf)


def _spread(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.std()) if len(known) and known.std() > 0 else 1.0


def _listed(trial: Trial, allowed: Flags, count: int, table: pd.DataFrame | None) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame) or not set(NEIGHBOUR_COLUMNS) <= set(table.columns):
        raise DataError(f"by='neighbours' needs neighbours=, a DataFrame with columns {', '.join(NEIGHBOUR_COLUMNS)}.")
    named = table.assign(cluster=table["cluster"].astype(str), comparator=table["neighbour"].astype(str))
    own = [name for name, mine in zip(trial.clusters, _treated(trial), strict=True) if mine]
    lacking = [name for name in own if name not in set(named["cluster"])]
    if lacking:
        raise DataError(
            f"The neighbour table has no rows for {listing(lacking)} ({len(lacking)} of {len(own)} treated clusters). Complete it."
        )
    near = named[named["cluster"].isin(own) & (named["rank"] <= count)]
    kept = near[near["comparator"].isin(np.array(trial.clusters)[allowed])].sort_values(["cluster", "rank"], ignore_index=True)
    return kept.assign(distance=np.nan)[["cluster", "comparator", "rank", "distance"]]
