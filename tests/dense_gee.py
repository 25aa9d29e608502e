"""Generalised estimating equations the slow way: every individual a row, working covariances n x n, adjustments by dense inverses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, special

Array = np.ndarray

# mean and its derivative by the linear predictor; variance by the mean
LINKS = {
    "identity": (lambda eta: eta, np.ones_like),
    "logit": (special.expit, lambda eta: special.expit(eta) * special.expit(-eta)),
    "log": (np.exp, np.exp),
    "cloglog": (lambda eta: 1 - np.exp(-np.exp(eta)), lambda eta: np.exp(eta - np.exp(eta))),
}
VARIANCES = {"gaussian": np.ones_like, "binomial": lambda mu: mu * (1 - mu), "poisson": lambda mu: mu}


@dataclass
class Rows:
    """Individuals: outcome, columns, cluster and 0-based period."""

    y: Array
    x: Array
    cluster: Array
    period: Array


@dataclass
class Dense:
    """Coefficients, correlation parameters, dispersion, and each cluster's derivative, working covariance and residual."""

    beta: Array
    theta: tuple[float, float]
    dispersion: float
    clusters: list[tuple[Array, Array, Array]]
    information: Array


def correlation(kind: str, theta: tuple[float, float], one: int, other: int) -> float:
    """Of two individuals in periods `one` and `other`."""
    if kind == "decay":
        return theta[0] * theta[1] ** abs(one - other)
    return theta[0] if kind == "exchangeable" or one == other else theta[1]


def working(kind: str, theta: tuple[float, float], period: Array) -> Array:
    size = len(period)
    matrix = np.eye(size)
    for a in range(size):
        for b in range(size):
            if a != b:
                matrix[a, b] = correlation(kind, theta, period[a], period[b])
    return matrix


def pieces(rows: Rows, family: str, link: str, kind: str, beta: Array, theta: tuple[float, float]) -> list[tuple[Array, Array, Array]]:
    mean, rate = LINKS[link]
    found = []
    for i in np.unique(rows.cluster):
        own = rows.cluster == i
        eta = rows.x[own] @ beta
        sd = np.sqrt(VARIANCES[family](mean(eta)))
        covariance = sd[:, None] * working(kind, theta, rows.period[own]) * sd
        found.append((rows.x[own] * rate(eta)[:, None], covariance, rows.y[own] - mean(eta)))
    return found


def information(clusters: list[tuple[Array, Array, Array]]) -> Array:
    return sum(d.T @ linalg.solve(v, d) for d, v, _ in clusters)


def cell_targets(rows: Rows, kind: str, clusters: list, adjusted: bool, dispersion: float, counts: bool = False) -> tuple[list, float]:
    """(target, weight, period, period) of every pair of cells in a cluster, and how much the adjustment adds to the squares."""
    inverse, out, extra = np.linalg.inv(information(clusters)), [], 0.0
    for i, (d, v, r) in zip(np.unique(rows.cluster), clusters, strict=True):
        period = rows.period[rows.cluster == i]
        seen = np.unique(period)
        mean = np.array([(period == t) / (period == t).sum() for t in seen])
        sd = np.sqrt(np.diag(v))
        rbar, vbar, omega = mean @ r, mean @ v @ mean.T, mean @ d @ inverse @ d.T @ mean.T
        product = np.outer(rbar, rbar)
        if adjusted:
            product = vbar @ np.linalg.inv(vbar - omega) @ product
        for j in range(len(seen)):
            here = mean[j] * sd
            extra += (period == seen[j]).sum() * (product[j, j] - rbar[j] ** 2)
            for k in range(j, len(seen)):
                there = mean[k] * sd
                weight = here.sum() * there.sum() - (0.0 if counts else here @ there)
                out.append((product[j, k] / dispersion - here @ there, weight, seen[j], seen[k]))
    return out, extra


def pair_targets(rows: Rows, clusters: list, dispersion: float) -> list:
    """The same of every pair of individuals' Pearson residuals."""
    out = []
    for i, (_, v, r) in zip(np.unique(rows.cluster), clusters, strict=True):
        period, e = rows.period[rows.cluster == i], r / np.sqrt(np.diag(v))
        out += [(e[a] * e[b] / dispersion, 1.0, period[a], period[b]) for a in range(len(e)) for b in range(a + 1, len(e))]
    return out


def solve(kind: str, targets: list, start: tuple[float, float]) -> tuple[float, float]:
    """Least squares of the targets on weight times correlation."""

    target, weight, one, other = np.array(targets, dtype=float).T
    lag = np.abs(one - other)
    if kind == "exchangeable":
        theta = float(weight @ target / (weight @ weight))
        return theta, theta
    if kind == "nested":
        within, between = (float((weight * target)[part].sum() / (weight**2)[part].sum()) for part in (lag == 0, lag > 0))
        return within, between
    found = optimize.least_squares(
        lambda theta: target - weight * theta[0] * theta[1] ** lag, start if start[1] else (0.05, 0.8), xtol=3e-16, ftol=3e-16, gtol=3e-16
    )
    return float(found.x[0]), float(found.x[1])


def fit(rows: Rows, family: str, link: str, kind: str, moments: str, fixed: tuple[float, float] | None = None) -> Dense:
    """Alternate the mean and the correlation until neither moves."""
    beta = np.linalg.lstsq(rows.x, start_of(rows.y, link), rcond=None)[0]
    theta, dispersion = fixed or (0.0, 0.0), 1.0
    still = 1e-8 if kind == "decay" else 1e-12  # least squares in the decay end at the square root of rounding
    for turn in range(150):
        clusters = pieces(rows, family, link, kind, beta, theta)
        step = np.linalg.solve(information(clusters), sum(d.T @ linalg.solve(v, r) for d, v, r in clusters))
        beta = beta + step
        last = theta
        if turn > 8:  # the mean under independence first
            clusters = pieces(rows, family, link, kind, beta, theta)
            theta, dispersion = moments_of(rows, family, kind, moments, clusters, dispersion, theta)
            theta = fixed or theta
        if turn > 12 and np.abs(step).max() < 1e-12 and max(abs(a - b) for a, b in zip(theta, last, strict=True)) < still:
            break
    clusters = pieces(rows, family, link, kind, beta, theta)
    return Dense(beta, theta, dispersion, clusters, information(clusters))


def start_of(y: Array, link: str) -> Array:
    held = y if link == "identity" else 0.6 * y + 0.4 * y.mean()
    return {"identity": lambda m: m, "logit": special.logit, "log": np.log, "cloglog": lambda m: np.log(-np.log1p(-m))}[link](held)


def moments_of(rows: Rows, family: str, kind: str, moments: str, clusters: list, dispersion: float, theta: tuple) -> tuple:
    squares = sum((r**2 / np.diag(v)).sum() for _, v, r in clusters)
    if moments == "pairs":
        dispersion = squares / len(rows.y)
        return solve(kind, pair_targets(rows, clusters, dispersion), theta), dispersion
    if family == "gaussian":
        extra = cell_targets(rows, kind, clusters, moments == "MAEE", 1.0)[1]
        dispersion = (squares + extra) / len(rows.y)
    counts = family == "poisson"
    found = solve(kind, cell_targets(rows, kind, clusters, moments == "MAEE", 1.0 if counts else dispersion, counts)[0], theta)
    if counts:  # Poisson within a cell, so that clusters add to an individual's variance
        dispersion = 1 + found[0]
        found = (found[0] / dispersion, found[1] if kind == "decay" else found[1] / dispersion)
    return found, dispersion


def covariance(found: Dense, vcov: str) -> Array:
    """Covariance of the coefficients."""
    inverse = np.linalg.inv(found.information)
    if vcov == "model":
        return found.dispersion * inverse
    if vcov == "AVG":
        one, other = covariance(found, "KC"), covariance(found, "MD")
        mean = (one + other) / 2
        scale = (np.sqrt(np.diag(one)) + np.sqrt(np.diag(other))) / 2 / np.sqrt(np.diag(mean))
        return mean * np.outer(scale, scale)
    pulls = [(left @ r, right @ r) for (left, right), (_, _, r) in zip(sides(found, vcov), found.clusters, strict=True)]
    meat = sum((np.outer(a, b) + np.outer(b, a)) / 2 for a, b in pulls)
    if vcov == "MBN":
        return morel(found, meat, inverse)
    return inverse @ meat @ inverse


def sides(found: Dense, vcov: str) -> list[tuple[Array, Array]]:
    """For each cluster, the two matrices that turn residuals into the scores multiplied with each other."""
    inverse, out = np.linalg.inv(found.information), []
    for d, v, _ in found.clusters:
        score = d.T @ np.linalg.inv(v)
        left_out = np.eye(len(v)) - d @ inverse @ score
        if vcov in ("KC", "MD"):
            bent = score @ np.linalg.inv(left_out)
            out.append((bent, score if vcov == "KC" else bent))
        elif vcov == "CR2":
            bent = score @ linalg.sqrtm(np.linalg.inv(left_out)).real
            out.append((bent, bent))
        elif vcov == "FG":
            bent = np.diag((1 - np.minimum(0.75, np.diag(score @ d @ inverse))) ** -0.5) @ score
            out.append((bent, bent))
        else:
            out.append((score, score))
    return out


def morel(found: Dense, meat: Array, inverse: Array) -> Array:
    clusters, p = len(found.clusters), len(found.beta)
    people = sum(len(r) for _, _, r in found.clusters)
    factor = (people - 1) / (people - p) * clusters / (clusters - 1)
    product = inverse @ meat / found.dispersion
    rank = p if clusters >= p else np.linalg.matrix_rank(product, tol=1e-9)
    effect = max(1.0, np.trace(product) / rank)
    share = p / (clusters - p) if clusters > 3 * p else 0.5
    return factor * inverse @ meat @ inverse + share * effect * found.dispersion * inverse


def satterthwaite(found: Dense, vcov: str, contrast: Array) -> float:
    """Of the quadratic form that the variance is in all residuals, the working model being true."""
    inverse = np.linalg.inv(found.information)
    d = np.vstack([part[0] for part in found.clusters])
    v = linalg.block_diag(*[part[1] for part in found.clusters])
    maker = np.eye(len(d)) - d @ inverse @ d.T @ np.linalg.inv(v)
    blocks = []
    for left, right in sides(found, vcov):
        a, b = (side.T @ inverse @ contrast for side in (left, right))
        blocks.append((np.outer(a, b) + np.outer(b, a)) / 2)
    form = linalg.block_diag(*blocks) @ maker @ v @ maker.T
    return float(np.trace(form) ** 2 / np.trace(form @ form))
