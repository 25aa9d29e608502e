"""Small dense linear algebra over stacks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# A pivot below this share of its column's own size means that the column repeats the others.
PIVOT = 1e-7


def inverse_factor(m: Array) -> tuple[Array, Flags]:
    """Inverse Cholesky factors of a stack of positive definite matrices.

    Parameters
    ----------
    m : (..., p, p)

    Returns
    -------
    inverse : (..., p, p)
        ``L^-1`` with ``m = L L'``; the identity where `m` is not positive definite.
    definite : (...)
        Whether it is, judged after scaling to a unit diagonal.
    """
    size = np.sqrt(np.einsum("...ii->...i", m))
    scale = np.divide(1.0, size, out=np.ones_like(size), where=size > 0)
    factor, definite = _cholesky(m * scale[..., :, None] * scale[..., None, :])
    definite &= (size > 0).all(-1) & (np.einsum("...ii->...i", factor).min(-1) > PIVOT)
    inverse = np.asarray(np.linalg.inv(factor), dtype=np.float64)
    return inverse * np.where(definite[..., None], scale, 1.0)[..., None, :], definite


def _cholesky(m: Array) -> tuple[Array, Flags]:
    try:
        factor = np.asarray(np.linalg.cholesky(m), dtype=np.float64)
        definite = np.asarray(np.isfinite(factor).all((-2, -1)))
    except np.linalg.LinAlgError:
        definite = _positive(m)
        factor = np.asarray(np.linalg.cholesky(_identity_unless(definite, m)), dtype=np.float64)
    return _identity_unless(definite, factor), definite


def _positive(m: Array) -> Flags:
    finite = np.asarray(np.isfinite(m).all((-2, -1)))
    smallest = np.asarray(np.linalg.eigvalsh(_identity_unless(finite, m)))[..., 0]
    return np.asarray(finite & (smallest > PIVOT**2))


def _identity_unless(keep: Flags, m: Array) -> Array:
    return m if keep.all() else np.where(keep[..., None, None], m, np.eye(m.shape[-1]))


def small_inverse(m: Array) -> tuple[Array, Array]:
    """Inverses and log determinants of positive definite ``m (..., k, k)``; nan where one has no inverse.

    By formula up to 2 x 2, where a call for each matrix would cost more than its arithmetic.
    """
    k = m.shape[-1]
    if k == 1:
        det = _positive_or_nan(m[..., 0, 0])
        return 1 / det[..., None, None], np.asarray(np.log(det))
    if k == 2:
        det = _positive_or_nan(m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] ** 2)
        turned = np.stack([m[..., 1, 1], -m[..., 0, 1], -m[..., 0, 1], m[..., 0, 0]], -1).reshape(m.shape)
        return turned / det[..., None, None], np.asarray(np.log(det))
    sign, logdet = np.linalg.slogdet(_identity_unless(np.asarray(np.isfinite(m).all((-2, -1))), m))
    sound = np.asarray(np.isfinite(m).all((-2, -1)) & (sign > 0))
    inverse = np.linalg.inv(_identity_unless(sound, m))
    return np.asarray(np.where(sound[..., None, None], inverse, np.nan)), np.asarray(np.where(sound, logdet, np.nan))


def _positive_or_nan(value: Array) -> Array:
    return np.where(value > 0, value, np.nan)


def stacked(array: Array, lead: tuple[int, ...], tail: int) -> Array:
    """`array` with its leading axes made one: ``(R, ...)`` if they vary, ``(1, ...)`` if they only broadcast.

    `lead` is the whole leading shape, `tail` the number of axes that belong to one replicate.
    """
    own = array.shape[: array.ndim - tail]
    body = array.shape[array.ndim - tail :]
    if all(size == 1 for size in own):
        return array.reshape((1, *body))
    return np.broadcast_to(array, (*lead, *body)).reshape((-1, *body))


def rows(array: Array, which: NDArray[np.int64] | slice) -> Array:
    """Rows of a stacked array; an array that only broadcasts is returned as it is."""
    return array if array.shape[0] == 1 else array[which]


def flat(columns: Array) -> Array:
    """Join the last two axes, clusters and periods (or slots): ``(..., p, I, T)`` to ``(..., p, I T)``."""
    return columns.reshape((*columns.shape[:-2], columns.shape[-2] * columns.shape[-1]))


def project(columns: Array, table: Array) -> Array:
    """Sums of a table over columns: ``(R, p, I, T)`` and ``(R, I, T)`` to ``(R, p)``."""
    return np.asarray((flat(columns) @ flat(table)[..., None])[..., 0])
