"""Records of other software as questions to swedge: one small function a peer function, each stating the conventions that differ.

A `Case` holds what swedge is asked, and how the peer turns a variance into a power where that differs: the number of tails it counts, the
degrees of freedom of its shifted central t, and the factor by which its variance differs from ours when it means another total variance.
Nothing here computes a variance. What cannot be asked is in `NOT_COVERED`, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

import swedge as sw

Record = dict[str, Any]
Matrix = Sequence[Sequence[float | None]]


class NotCovered(Exception):
    """Swedge has no counterpart of what the record asks."""


@dataclass(frozen=True)
class Case:
    """What swedge is asked, and how the peer reads the answer."""

    design: sw.Design
    allocation: sw.Allocation
    arguments: dict[str, Any]
    tails: int = 2
    df: float = np.inf
    ratio: float = 1.0
    null: dict[str, Any] = field(default_factory=dict)

    def ours(self, **changes: Any) -> sw.AnalyticPower:
        """Swedge's answer."""
        return sw.analytic_power(self.design, allocation=self.allocation, **{"df": "normal", **self.arguments, **changes})

    def variance(self) -> float:
        """Our variance, in the peer's convention."""
        return self.ours().std_error ** 2 * self.ratio

    def power(self) -> float:
        """The peer's power, from our variance."""
        effect, alpha = self.arguments["effect"], self.arguments.get("alpha", 0.05)
        under_null = sqrt(self.ours(**self.null).std_error ** 2 * self.ratio) if self.null else sqrt(self.variance())
        limit = under_null * stats.t.ppf(1 - alpha / 2, self.df)
        tails = [stats.t.cdf((sign * abs(effect) - limit) / sqrt(self.variance()), self.df) for sign in (1, -1)]
        return float(sum(tails[: self.tails]))


@dataclass(frozen=True)
class Weighted:
    """An estimand as weights over exposure times, which is how swCRTdesign names one."""

    weights: tuple[float, ...]

    def contrast(self, terms: Sequence[str]) -> tuple[str, NDArray[np.float64]]:
        """Weights over the exposure effects that the design has."""
        at = [int(term.split()[1]) for term in terms]
        return "H", np.array([self.weights[s - 1] for s in at]) / sum(self.weights)


def placed(matrix: Matrix) -> tuple[sw.Design, sw.Allocation]:
    """A table of clusters x periods as a design and the allocation that it shows."""
    rows = [tuple(None if v is None else float(v) for v in row) for row in matrix]
    sequences = list(dict.fromkeys(rows))
    design = sw.Design.from_matrix(sequences, clusters_per_sequence=[rows.count(row) for row in sequences])
    return design, design.allocate({name: sequences.index(row) for name, row in zip(design.clusters, rows, strict=True)})


def stepped(per_step: Sequence[int]) -> Matrix:
    """The complete wedge that crosses `per_step` clusters over after a baseline period."""
    return [[float(t > step) for t in range(len(per_step) + 1)] for step, count in enumerate(per_step) for _ in range(count)]


def size_of(n: Any) -> Any:
    """One number for all cells, or the peer's vector (by cluster) or matrix."""
    array = np.asarray(n, dtype=float)
    return float(array.ravel()[0]) if array.size == 1 else array


def swpwr(i: Record) -> Case:
    """`swPwr`: tau, gamma, eta, zeta are standard deviations.

    A binary residual variance is m(1-m) at the mean of all arms: our "pooled". ICCs are relative to the RESIDUAL variance divided by
    (1-icc)(1-iac), where ours are relative to the total.
    """
    design, allocation = placed(i["design_matrix"])
    effect = float(np.dot(np.ravel(i["mu1"]), _weights(i)) - i["mu0"])
    asked: dict[str, Any] = {"effect": effect, "size": size_of(i["n"]), "alpha": i["alpha"]}
    if "H" in i:
        asked |= {"curve": sw.ByExposure(), "estimand": Weighted(tuple(i["H"]))}
    binary = i["family"] == "binomial"
    if binary:
        asked |= {"family": "binomial", "baseline": i["mu0"], "variance": "pooled"}
    if "icc" not in i:
        return Case(design, allocation, {**asked, "correlation": _effects(i, individual="zeta", residual=None if binary else i["sigma"])})
    correlation = sw.NestedExchangeable(i["icc"], i["cac"], i.get("iac", 0.0))
    share = (1 - correlation.icc) * (1 - correlation.iac)
    if binary:
        return Case(design, allocation, {**asked, "correlation": correlation}, ratio=1 / share)
    return Case(design, allocation, {**asked, "correlation": correlation, "sd": i["sigma"] / sqrt(share)})


def _weights(i: Record) -> NDArray[np.float64]:
    count = np.size(i["mu1"])
    weights = np.asarray(i["H"], dtype=float) if count > 1 else np.ones(1)
    return weights / weights.sum()


def _effects(i: Record, *, individual: str, residual: float | None) -> sw.RandomEffects:
    return sw.RandomEffects(
        cluster=i.get("tau") or 0.0,
        cluster_period=i.get("gamma") or 0.0,
        treatment=i.get("eta") or 0.0,
        treatment_corr=i.get("rho") or 0.0,
        individual=i.get(individual) or 0.0,
        residual=residual,
    )


def swglmpwr(i: Record) -> Case:
    """`swGlmPwr`: a GLMM linearised at its typical cluster, random effects on the logit scale.

    A scalar time effect is that of every period after the first. The critical value rests on the variance under the null, the rest on
    that under the alternative; ours rests on the latter alone.
    """
    design, allocation = placed(i["design_matrix"])
    if len(set(i["fixed_treatment_effect"])) > 1:
        raise NotCovered("a truth whose effect differs between exposure times; ours has one effect and a curve")
    time = np.ravel(i["fixed_time_effect"])
    after = np.repeat(time, design.n_periods - 1) if len(time) == 1 else time
    asked: dict[str, Any] = {
        "effect": i["fixed_treatment_effect"][0],
        "size": size_of(i["n"]),
        "family": "binomial",
        "link": i["link"],
        "baseline": float(special.expit(i["fixed_intercept"])),
        "trend": np.concatenate([[0.0], after]),
        "correlation": _effects(i, individual="zeta", residual=None),
        "alpha": i["alpha"],
    }
    if "H" in i:
        asked |= {"curve": sw.ByExposure(), "estimand": Weighted(tuple(i["H"]))}
    return Case(design, allocation, asked, null={"effect": 0.0})


def glspower(i: Record, denominator: float = np.inf, found: float | None = None) -> Case:
    """`glsPower`: standard deviations; a binary residual variance is each cell's own, our "cell".

    `AR` makes cluster effects decay by the period. `alpha_0_1_2` are relative to a total that is the RESIDUAL variance divided by
    (1-icc)(1-iac). Finite df shift a central t, where ours is noncentral. `N_opt` is an answer, `found`.
    """
    observed = i.get("observed_matrix") or np.ones_like(np.array(i["design_matrix"], dtype=float)).tolist()
    matrix = [[v if seen else None for v, seen in zip(*rows, strict=True)] for rows in zip(i["design_matrix"], observed, strict=True)]
    design, allocation = placed(matrix)
    binary = i["family"] == "binomial"
    n = found if i.get("N") is None else i["N"]
    asked: dict[str, Any] = {"effect": i["mu1"] - i["mu0"], "size": size_of(n), "alpha": i.get("sig.level", 0.05)}
    asked["period_effects"] = _periods_modelled(i["timeAdjust"], design)
    if binary:
        asked |= {"family": "binomial", "baseline": i["mu0"], "variance": "cell"}
    if i.get("alpha_0_1_2"):
        correlation = sw.NestedExchangeable.from_alphas(*_alphas(i["alpha_0_1_2"]))
        share = (1 - correlation.icc) * (1 - correlation.iac)
        sd = {} if binary else {"sd": i["sigma"]}
        return Case(design, allocation, {**asked, **sd, "correlation": correlation}, df=denominator, ratio=1 / share)
    correlation = _autoregressive(i, None if binary else i["sigma"])
    return Case(design, allocation, {**asked, "correlation": correlation}, df=denominator)


def _alphas(given: Sequence[float]) -> Sequence[float]:
    """Two alphas mean a cross-section, three a cohort."""
    return given if len(given) == 3 else given[:2]


def _periods_modelled(time_adjust: str, design: sw.Design) -> bool:
    if time_adjust in ("factor", "none"):
        return time_adjust == "factor"
    treated = np.nansum(design.matrix * np.array(design.clusters_per_sequence)[:, None], axis=0)
    if time_adjust in ("linear", "quadratic") and np.allclose(np.diff(treated, 2), 0):
        return True  # treated clusters grow linearly, so a polynomial in time takes out what period effects take out
    raise NotCovered(f"period effects that follow a {time_adjust} curve; ours are free or absent")


def _autoregressive(i: Record, residual: float | None) -> sw.RandomEffects:
    """Cluster effects that decay are our cluster-by-period effects with an autocorrelation."""
    decay = [float(a) for a in np.ravel(i.get("AR") or 1.0)] * (1 if np.size(i.get("AR") or 1.0) == 3 else 3)
    for rate, name, what in zip(decay[1:], ("eta", "psi"), ("treatment", "individual"), strict=True):
        if rate != 1 and i.get(name):
            raise NotCovered(f"{what} effects that decay beside an independent residual (AR with {name})")
    if decay[0] == 1:
        return _effects(i, individual="psi", residual=residual)
    if i.get("gamma"):
        raise NotCovered("a decaying cluster effect and an independent cluster-by-period effect at once")
    if i.get("eta"):
        own = {"treatment": i["eta"], "individual": i.get("psi") or 0.0}
        return sw.RandomEffects(cluster_period=i["tau"], autocorrelation=decay[0], residual=residual, **own)
    return sw.RandomEffects(cluster_period=i["tau"], autocorrelation=decay[0], individual=i.get("psi") or 0.0, residual=residual)


def kasza(i: Record) -> Case:
    """`VarClosed_Kasza`: an open cohort with churn `chi`; an individual effect that is replaced is residual noise."""
    design, allocation = placed(i["design_matrix"])
    stays, leaves = sqrt(1 - i["chi"]) * i["psi"], sqrt(i["chi"]) * i["psi"]
    residual = float(np.hypot(i["sigma"], leaves))
    correlation = sw.RandomEffects(cluster=i["tau"], cluster_period=i["gamma"], individual=stays, residual=residual)
    return Case(design, allocation, {"effect": i["effect"], "size": i["N"], "correlation": correlation})


def li(i: Record) -> Case:
    """`VarClosed_Li`: cluster and individual effects decay alike and nothing else varies: our proportional decay."""
    design, allocation = placed(i["design_matrix"])
    total = i["tau"] ** 2 + i["psi"] ** 2
    correlation = sw.ProportionalDecay(icc=i["tau"] ** 2 / total, cac=i["AR"])
    return Case(design, allocation, {"effect": i["effect"], "size": i["N"], "sd": sqrt(total), "correlation": correlation})


def shiny(i: Record) -> Case:
    """The Shiny CRT Calculator: ICC, CAC and IAC are relative to the total variance, as ours; normal, one tail.

    A random treatment effect comes on top of that total, so the components are named. Its decay is the decay a period, as ours.
    """
    matrix = i.get("design_matrix") or [row for row in i["design_matrix_per_sequence"] for _ in range(i["clusters_per_sequence"])]
    design, allocation = placed(matrix)
    asked = {"effect": i["effect"], "size": size_of(i.get("n", i.get("n_per_cluster_period"))), "alpha": i["alpha"]}
    decay = i["correlation"].startswith("discrete-time decay")
    if not i.get("random_treatment_sd"):
        kind = sw.ExponentialDecay if decay else sw.NestedExchangeable
        return Case(design, allocation, {**asked, "sd": i["total_sd"], "correlation": kind(i["icc"], i["cac"], i["iac"])}, tails=1)
    level, own = i["total_sd"] * sqrt(i["icc"]), {"treatment": i["random_treatment_sd"]}
    within, seen = sqrt((1 - i["icc"]) * (1 - i["iac"])), sqrt((1 - i["icc"]) * i["iac"])
    own |= {"residual": i["total_sd"] * within, "individual": i["total_sd"] * seen}
    nested = {"cluster": level * sqrt(i["cac"]), "cluster_period": level * sqrt(1 - i["cac"])}
    effects = {"cluster_period": level, "autocorrelation": i["cac"]} if decay else nested
    return Case(design, allocation, {**asked, "correlation": sw.RandomEffects(**effects, **own)}, tails=1)


def swdpower(i: Record) -> Case:
    """`swdpower`: alphas and `sigma2` are of the total, as ours; GEE with identity, log or logit link, each cell's own variance.

    The secular trend is linear on the link's scale. Where the two control means are equal (or only an effect is given) it DROPS the period
    effects, which we do when told to. The conditional Gaussian model is the marginal one.
    """
    design, allocation = placed(i["design_matrix"])
    if i["model"] == "conditional" and i["family"] != "gaussian":
        raise NotCovered("maximum likelihood under normal random effects truncated to the range of the risks")
    to_link: Callable[[float], float] = {"identity": float, "log": log, "logit": lambda p: log(p / (1 - p))}[i["link"]]
    asked: dict[str, Any] = {"size": i["K"], "alpha": i["typeIerror"], "link": i["link"]}
    if "effectsize_beta" in i:
        asked |= {"effect": i["effectsize_beta"], "period_effects": False}
    else:
        start, control, treated = (to_link(i[f"meanresponse_{name}"]) for name in ("start", "end0", "end1"))
        asked |= {"effect": treated - control, "period_effects": start != control}
        asked |= {"trend": (control - start) / (design.n_periods - 1)} if i["family"] != "gaussian" else {}
    asked |= {"sd": sqrt(i["sigma2"])} if i["family"] == "gaussian" else {"family": "binomial", "baseline": i["meanresponse_start"]}
    correlation = sw.NestedExchangeable.from_alphas(i["alpha0"], i["alpha1"], i.get("alpha2", 0.0))
    return Case(design, allocation, {**asked, "correlation": correlation})


def swsamp_normal(i: Record) -> Case:
    """`HH.normal`: sigma is the residual ("within", its default) or the total standard deviation; one tail."""
    return _swsamp(i, effect=i["b.trt"], sd=i["sigma"])


def swsamp_binary(i: Record) -> Case:
    """`HH.binary`: the average of the two arms' variances, our "average", as residual ("within") or total variance; one tail."""
    odds = i["OR"] * i["p1"] / (1 - i["p1"])
    treated = odds / (1 + odds)
    return _swsamp(i, effect=treated - i["p1"], family="binomial", baseline=i["p1"], variance="average")


def swsamp_count(i: Record) -> Case:
    """`HH.count`: the average of the two arms' standard deviations, which no convention of ours is, so it is given; one tail."""
    rate = i["lambda1"]
    return _swsamp(i, effect=rate * i["RR"] - rate, sd=(sqrt(rate) + sqrt(rate * i["RR"])) / 2)


def _swsamp(i: Record, **asked: Any) -> Case:
    design, allocation = placed(i["design_matrix"])
    ratio = 1.0 if i.get("which.var", "within") == "total" else 1 / (1 - i["rho"])
    arguments = {**asked, "size": i["K"], "alpha": i.get("sig.level", 0.05), "correlation": sw.Exchangeable(i["rho"])}
    return Case(design, allocation, arguments, tails=1, ratio=ratio)


def cluster_power_normal(i: Record) -> Case:
    """`cpa.sw.normal`: clusters are counted by step and steps without the baseline; total variance, as ours; one tail.

    Where it is asked for the number of clusters, the case has one a step.
    """
    if i["rho_s"]:
        raise NotCovered("no record shows what rho_s is relative to")
    design, allocation = placed(stepped([i["nclusters"] or 1] * i["ntimes"]))
    correlation = sw.NestedExchangeable(i["ICC"], i["rho_c"])
    asked = {"effect": i["d"], "size": i["nsubjects"], "sd": sqrt(i["vart"]), "correlation": correlation}
    return Case(design, allocation, {**asked, "alpha": i.get("alpha", 0.05)}, tails=1)


def cluster_power_count(i: Record) -> Case:
    """`cpa.sw.count`: SWSamp's `HH.count`; clusters that do not divide evenly cross over at the rounded-down multiples."""
    done = [int(step * i["nclusters"] / i["steps"]) for step in range(i["steps"] + 1)]
    matrix = stepped(np.diff(done).tolist())
    return swsamp_count({"lambda1": i["lambda1"], "RR": i["RR"], "K": i["nsubjects"], "rho": i["ICC"], "design_matrix": matrix})


TRANSLATIONS: dict[str, Callable[[Record], Case]] = {
    "swPwr": swpwr,
    "swGlmPwr": swglmpwr,
    "VarClosed_Kasza": kasza,
    "VarClosed_Li": li,
    "vartheta_Krep_desmat": shiny,
    "swdpower": swdpower,
    "HH.normal": swsamp_normal,
    "HH.binary": swsamp_binary,
    "HH.count": swsamp_count,
    "cpa.sw.normal": cluster_power_normal,
    "cpa.sw.count": cluster_power_count,
}

# Functions whose every record is out of reach; those out of reach one by one raise NotCovered above
NOT_COVERED = {
    "cpa.sw.binary": "maximum likelihood under normal random effects truncated to the range of the risks, without period effects",
}

# Functions that give no variance or power of a design; tests of their own
OTHERS = ("icc_to_RandEff", "alpha012_to_RandEff", "tTestPwr", "DE.woert")


def case_of(record: Record) -> Case:
    """The case that a record makes.

    Raises
    ------
    NotCovered
        With the reason.
    """
    inputs, output, function = record["inputs"], record["output"], record["function"]
    if "error" in output:
        raise NotCovered("the peer itself failed")
    if function in NOT_COVERED:
        raise NotCovered(NOT_COVERED[function])
    if function == "glsPower":
        return glspower(inputs, float(output.get("denom_df", np.inf)), output.get("N_opt"))
    return TRANSLATIONS[function](inputs)


# The worked examples of SteppedPower's vignette: R code as keys, as recorded -------------------------------------------------------------


def gls(per_step: Sequence[int] | Matrix, mu1: float, **given: Any) -> Case:
    """A vignette call: a wedge by clusters a step, or a table; one individual a cell unless N is given."""
    matrix = stepped(per_step) if isinstance(per_step[0], int) else per_step  # type: ignore[arg-type]
    call = {"design_matrix": matrix, "family": "gaussian", "timeAdjust": "factor", "mu0": 0.0, "mu1": mu1, "N": 1, "sigma": 1.0, **given}
    return glspower(call)


def parallel(each: int, periods: int) -> Matrix:
    """Two arms of `each` clusters."""
    return [[arm] * periods for arm in (0.0, 1.0) for _ in range(each)]


def around(matrix: Matrix, reach: int) -> Matrix:
    """What is left when a cluster is observed for `reach` periods before its crossover and as many after."""
    return [[v if -reach <= t - list(row).index(1.0) < reach else None for t, v in enumerate(row)] for row in matrix]


VIGNETTE = {"mu0": 0.05, "mu1": 0.032, "sigma": sqrt(0.041 * 0.959), "tau": 0.025, "gamma": 0.01, "psi": 0.1, "N": 100, "AR": 0.5}
SIX = stepped([6, 6, 6, 6])


def churned(chi: float) -> Case:
    """The vignette's open cohort."""
    return kasza({**VIGNETTE, "design_matrix": SIX, "chi": chi, "effect": VIGNETTE["mu1"] - VIGNETTE["mu0"]})


def churned_by_hand(gamma: float, psi: float) -> Case:
    """The same cohort, the churned share of the individual effect moved to the cluster-period effect, as the vignette does."""
    return gls(SIX, **{**VIGNETTE, "AR": None, "gamma": gamma, "psi": psi})


CLOSED = {"sigma": 5.0, "tau": 1.0, "psi": 3.0, "N": 3}
KASZA = "tmp <- VarClosed_Kasza(trtMat, sigma = sigma, tau = tau, gamma = gamma, psi = psi, N = N, chi = "
CHURNED = "glsPower(Cl = rep(6, 4), N = N, mu0 = mu0, mu1 = mu1, verbose = 0, sigma = sigma, tau = tau, gamma = "

EXAMPLES: dict[str, Callable[[], Case]] = {
    "glsPwr <- glsPower(Cl = c(3, 2, 3)": lambda: gls([3, 2, 3], 1, tau=0.5),
    "glsPower(Cl = c(3, 3, 3)": lambda: gls([3, 3, 3], 0.2, tau=0, N=50),
    "glsPower(Cl = c(10, 10), mu0 = 0, mu1 = 1.2": lambda: gls(parallel(10, 1), 1.2, tau=0),
    "glsPower(Cl = c(1, 1), mu0 = 0, mu1 = 1.2": lambda: gls(parallel(1, 1), 1.2, tau=0, N=10),
    'glsPower(Cl = c(10, 10), timepoints = 5, mu0 = 0, mu1 = 0.25, sigma = 0.5, dsntype = "parallel")': lambda: gls(
        parallel(10, 5), 0.25, sigma=0.5, tau=0
    ),
    "glsPower(Cl = c(10, 10), timepoints = 5, mu0 = 0, mu1 = 0.25, sigma = 0.5, tau = 0.2": lambda: gls(
        parallel(10, 5), 0.25, sigma=0.5, tau=0.2
    ),
    "mod1 <- ": lambda: gls([1, 1, 1, 0], 1, sigma=0.4, tau=0),
    "mod2 <- ": lambda: gls([2, 2, 2, 2], 1, N=100, tau=1, AR=0.6),
    "mod3 <- ": lambda: gls([2, 2, 2, 2], 1, N=100, tau=1, AR=0.95),
    "mod4 <- ": lambda: gls([1, 1, 1], 1, N=[1, 3, 10], tau=0.5),
    "incompletePwr": lambda: gls(around(stepped([2, 2, 2, 2]), 2), 0.5, sigma=2, tau=0.6, N=80),
    "TimeAdj1 <- ": lambda: gls([2, 2, 2, 2], 1, tau=0, timeAdjust="linear"),
    "TimeAdj2 <- ": lambda: gls([2, 2, 2, 2], 1, tau=0),
    "Closed": lambda: gls([3, 3, 3], 5, **CLOSED),
    "tmp <- VarClosed_Li": lambda: li({**VIGNETTE, "design_matrix": SIX, "effect": VIGNETTE["mu1"] - VIGNETTE["mu0"]}),
    "a": lambda: li({**VIGNETTE, "design_matrix": SIX, "effect": VIGNETTE["mu1"] - VIGNETTE["mu0"]}),
    f"{KASZA}0)": lambda: churned(0.0),
    f"{KASZA}1)": lambda: churned(1.0),
    f"{KASZA}chi)": lambda: churned(0.5),
    f"{CHURNED}gamma, psi = psi)": lambda: churned_by_hand(0.01, 0.1),
    f"{CHURNED}sqrt(gamma^2 + psi^2/N), psi = 0)": lambda: churned_by_hand(sqrt(0.01**2 + 0.1**2 / 100), 0.0),
    f"{CHURNED}sqrt(gamma^2 + chi * psi^2/N), psi = sqrt(1 - chi) * psi)": lambda: churned_by_hand(
        sqrt(0.01**2 + 0.5 * 0.1**2 / 100), sqrt(0.5) * 0.1
    ),
    "Open1": lambda: gls([3, 3, 3], 5, **CLOSED, AR=[1, 1, 0.75]),
    "Open2Indiv": lambda: gls([1, 1, 1, 0], 10, tau=5, psi=10, AR=[1, 1, 0.6], N=3),
}

CONSTANTS = ("mu0 <-", "mu1 <-", "N <-", "tau <-", "sigma <-", "gamma <-", "psi <-", "chi <-", "AR <-")


def asks(code: str) -> bool:
    """Whether a line of the vignette gives a power or a variance: others name a number, or subtract two powers."""
    return not code.startswith(CONSTANTS) and " - Closed2$power" not in code


def example_of(code: str) -> Case:
    """The case of a line of the vignette."""
    return next(case for start, case in EXAMPLES.items() if code.startswith(start))()
