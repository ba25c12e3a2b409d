"""Calls of NumPy's functions, each made with arrays and with Variables by `test_calls.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.functions.numpy_api.calls import (
    EMPTY,
    GAPS,
    LOWER,
    MASK,
    SINGULAR,
    SQUARE,
    TALL,
    WIDE,
    ZERO,
    M,
    N,
    P,
    T,
    V,
    W,
    call,
    normal,
)
from tests.functions.numpy_api.shapes import CHOOSING, ELEMENTS, JOINING, MAKING, SHAPES

_AXES = [{}, {"axis": 1}, {"axis": -2, "keepdims": True}, {"axis": (0, -1)}]
_SOME = {"where": MASK}

REDUCTIONS = [
    *[
        call(f, T, **o)
        for f in (np.sum, np.prod, np.mean, np.var, np.std, np.max, np.min, np.amax, np.amin)
        for o in _AXES
    ],
    *[call(f, T, **o) for f in (np.median, np.ptp) for o in _AXES],
    *[call(f, T[..., :3], **o) for f in (np.median,) for o in _AXES],
    call(np.sum, M, 0, None),
    call(np.sum, M, None, np.float64, None, True),
    call(np.mean, M, 1, None, None, True),
    call(np.var, M, 1, None, None, 1, True),
    call(np.std, M, ddof=1),
    call(np.var, M, correction=1),
    call(np.var, M, axis=()),
    call(np.var, np.zeros((3, 0)), axis=0, ddof=1),
    call(np.max, M, 0, None, True),
    *[call(f, M, axis=a, **_SOME) for f in (np.sum, np.prod, np.mean, np.var, np.std) for a in (None, 1)],
    *[call(f, M, axis=0, initial=0.3) for f in (np.sum, np.prod, np.max, np.min)],
    *[call(f, M, axis=0, initial=0.3, **_SOME) for f in (np.sum, np.prod, np.max, np.min)],
    call(np.max, EMPTY, axis=0, initial=0.5),
    call(np.sum, EMPTY, axis=0),
    *[
        call(f, GAPS, **o)
        for f in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin, np.nanmedian)
        for o in _AXES[:3]
    ],
    call(np.nanvar, GAPS, axis=1, ddof=1),
    call(np.nancumsum, GAPS, axis=1),
    call(np.nancumprod, GAPS),
    call(np.nanquantile, GAPS, [0.2, 0.8], axis=1),
    call(np.nanpercentile, GAPS, 30),
    *[
        call(np.quantile, T, [0.1, 0.55, 1.0], method=m, **o)
        for m in ("linear", "lower", "higher", "nearest", "midpoint")
        for o in _AXES
    ],
    call(np.quantile, V, 0.3),
    call(np.percentile, M, [30, 75], axis=0),
    call(np.average, M),
    call(np.average, M, axis=1, weights=[1.0, 2.0, 0.5, 1.0]),
    call(np.average, M, weights=P, returned=True),
    call(np.average, M, 0, P),
    call(np.average, M, axis=1, keepdims=True),
    call(np.cumsum, M),
    call(np.cumsum, M, axis=0, dtype=np.float64),
    call(np.cumprod, M),
    call(np.cumprod, np.array([2.0, 0.0, 3.0, 0.0, 1.5])),
    call(np.cumprod, T, axis=-2),
    call(np.cumulative_sum, V, include_initial=True),
    call(np.cumulative_prod, V),
    *[call(f.reduce, M) for f in (np.add, np.multiply, np.maximum, np.minimum, np.logaddexp, np.fmax)],
    *[call(f.reduce, T, axis=(0, 2), keepdims=True) for f in (np.add, np.multiply, np.maximum, np.minimum)],
    call(np.add.reduce, T, axis=None, initial=2.0),
    call(np.add.reduce, M, where=MASK),
    *[call(f.accumulate, M, axis=1) for f in (np.add, np.multiply, np.maximum, np.minimum)],
    *[call(f.outer, V, M * 1.3) for f in (np.add, np.multiply, np.maximum, np.subtract, np.hypot)],
    call(np.add.outer, [1.0, 2.0], V),
]

SAMPLES = [
    call(np.diff, M),
    call(np.diff, T, 2, 1),
    call(np.diff, V, prepend=0.5, append=W[:2]),
    call(np.diff, M, axis=0, prepend=1.0),
    call(np.ediff1d, M, to_end=[1.0], to_begin=ZERO),
    call(np.gradient, V),
    call(np.gradient, V, 0.5),
    call(np.gradient, T, axis=(0, -1)),
    call(np.gradient, M, 2.0, np.array([0.0, 1.0, 1.5, 4.0])),
    call(np.gradient, M, edge_order=2),
    call(np.gradient, V, np.array([0.0, 1.0, 1.5, 4.0, 4.2]), edge_order=2),
    call(np.trapezoid, V),
    call(np.trapezoid, M, dx=0.5, axis=0),
    call(np.trapezoid, M, np.array([0.0, 1.0, 1.5, 4.0])),
    call(np.trapezoid, M, N, axis=0),
    call(np.interp, np.array([-5.0, -0.3, 0.4, 1.2, 7.0]), np.array([-1.0, 0.1, 1.5]), np.array([2.0, -1.0, 0.5])),
    call(np.interp, np.array([-5.0, 0.4]), np.array([-1.0, 0.1, 1.5]), np.array([2.0, -1.0, 0.5]), left=0.0, right=9.0),
    call(np.interp, np.array([-5.0, 0.4, 3.3]), np.array([2.0, 0.1, 1.5]), np.array([2.0, -1.0, 0.5]), period=2.5),
    *[call(np.convolve, *a, mode=m) for m in ("full", "same", "valid") for a in ((V, W[:3]), (W[:2], V), (V, W))],
    *[call(np.correlate, *a, mode=m) for m in ("full", "same", "valid") for a in ((V, W[:3]), (W[:2], V), (V, W))],
    call(np.polyval, V, M),
    call(np.polyval, [1.0, 2.0], M),
    call(np.linspace, ZERO, 3.0, 5),
    call(np.linspace, V, W, 4, endpoint=False),
    call(np.linspace, V, 1.0, 3, axis=-1, retstep=True),
    call(np.logspace, ZERO, 1.0, 4),
    call(np.bincount, np.array([0, 2, 2, 4, 0]), weights=V, minlength=7),
    call(np.cov, M),
    call(np.cov, M, bias=True),
    call(np.cov, V, W),
    call(np.cov, M, rowvar=False, ddof=0),
    call(np.cov, M, fweights=[1, 2, 1, 3], aweights=[0.5, 1.0, 2.0, 1.0]),
    call(np.corrcoef, TALL),
    call(np.corrcoef, V, W),
]

MATRICES = [
    call(np.dot, M, N.T),
    call(np.dot, [1.0, 2.0, 3.0], M),
    call(np.dot, T, N.T),
    call(np.outer, M, V),
    call(np.linalg.outer, V, W),
    *[call(np.inner, a, b) for a, b in ((V, W), (M, N), (T, N), (ZERO, M))],
    call(np.vdot, M, N),
    call(np.vecdot, T, N),
    call(np.vecdot, T, T, axis=0),
    call(np.linalg.vecdot, M, N, axis=0),
    call(np.matvec, M, N[0]),
    call(np.vecmat, N[:, 0], M),
    call(np.matmul, T, N.T),
    call(np.linalg.matmul, T, N.T),
    *[call(np.kron, a, b) for a, b in ((M, SQUARE[:2]), (V, M), (ZERO, M), (V, W))],
    call(np.cross, normal(2, 3), normal(2, 3)),
    call(np.cross, normal(3, 2), normal(3), axisa=0, axisc=0),
    call(np.linalg.cross, normal(2, 3), normal(2, 3)),
    call(np.tensordot, T, M, ([1, 2], [0, 1])),
    call(np.linalg.tensordot, M, N.T, axes=1),
    call(np.einsum, "ij,kj->ik", M, N, optimize=True),
    call(np.einsum, M, [0, 1], N, [2, 1], [0, 2]),
    call(np.einsum, M, [0, 1], N, [2, 1]),
    call(np.einsum, T, [Ellipsis, 0, 1], N, [2, 1], [Ellipsis, 0, 2]),
    call(np.linalg.multi_dot, [M, N.T, TALL.T[:, :2]]),
    call(np.linalg.multi_dot, [V, TALL, WIDE, W]),
    *[call(np.linalg.matrix_power, SQUARE, n) for n in (-2, 0, 1, 2, 5)],
    call(np.linalg.trace, T, offset=1),
    call(np.linalg.diagonal, T),
    call(np.linalg.inv, SQUARE),
    call(np.linalg.solve, SQUARE, normal(4, 2)),
    call(np.linalg.det, SQUARE),
    call(np.linalg.det, SINGULAR),
    call(np.linalg.det, np.zeros((2, 2))),
    call(np.linalg.det, np.ones((2, 3, 3)) + np.diag([0.0, 0.0, 1.0])),
    call(np.linalg.slogdet, SQUARE),
    call(np.linalg.cholesky, LOWER),
    call(np.linalg.cholesky, LOWER.T.copy(), upper=True),
    call(np.linalg.svd, SQUARE, compute_uv=False),
    call(np.linalg.svdvals, WIDE),
    call(np.linalg.eigvalsh, LOWER),
    call(np.linalg.eigvalsh, LOWER.T.copy(), UPLO="U"),
    *[call(np.linalg.eigh, x, *u) for x, u in ((LOWER, ()), (LOWER.T.copy(), ("U",)))],
    *[call(np.linalg.svd, x, full_matrices=False) for x in (SQUARE, TALL, WIDE, normal(2, 3, 2))],
    call(np.linalg.svd, SQUARE),
    *[call(np.linalg.qr, x) for x in (SQUARE, TALL, WIDE, normal(2, 4, 3))],
    call(np.linalg.qr, TALL, mode="r"),
    call(np.linalg.qr, WIDE, mode="complete"),
    *[call(np.linalg.pinv, x) for x in (SQUARE, TALL, WIDE, normal(2, 4, 3))],
    call(np.linalg.lstsq, TALL, V),
    call(np.linalg.lstsq, TALL, normal(5, 2)),
    call(np.linalg.lstsq, WIDE, V[:3]),
    call(np.linalg.tensorinv, SQUARE.reshape(4, 2, 2), ind=1),
    call(np.linalg.tensorsolve, SQUARE.reshape(2, 2, 4), normal(2, 2)),
    *[
        call(np.linalg.norm, M, o, **k)
        for o in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
        for k in ({}, {"keepdims": True})
    ],
    *[call(np.linalg.norm, T, o, axis=(2, 0)) for o in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)],
    *[call(np.linalg.norm, V, o) for o in (None, 0, 1, 2, 3, 0.5, -1, np.inf, -np.inf)],
    call(np.linalg.norm, T),
    call(np.linalg.norm, T, axis=1, keepdims=True),
    call(np.linalg.norm, T, 3, -1),
    call(np.linalg.vector_norm, T, ord=3),
    call(np.linalg.vector_norm, T, axis=(0, 1)),
    call(np.linalg.matrix_norm, T),
    call(np.linalg.matrix_norm, T, ord="nuc"),
    *[call(np.linalg.cond, SQUARE, p) for p in (None, 2, -2, 1, np.inf, "fro")],
]


def composition(transform: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """The composition of a transform and a function, named after both."""

    def composed(x: Any, *args: Any, **kwargs: Any) -> Any:
        return function(transform(x, *args, **kwargs))

    composed.__qualname__ = f"{transform.__name__}-{function.__name__}"
    return composed


def filtered(z: Any) -> Any:
    return np.fft.irfft(z * (1 + 2j) / (0.5 - 1j) + 1j - z.conj() * 2.0)


def power_spectrum(z: Any) -> Any:
    return np.abs(z) ** 2


def arithmetic(z: Any) -> Any:
    return [
        np.real(z / z[..., :1]),
        np.imag((2 - z) ** 3),
        abs(1j / z),
        np.square(z).real,
        (z + np.ones(z.shape) * 1j).imag,
    ]


def moves(z: Any) -> Any:
    return [
        np.concatenate([z, np.conj(-z)], 0),
        np.transpose(z),
        z.reshape(-1),
        z.sum(0),
        np.mean(z),
        np.ravel(z),
        +z - z[:1],
    ]


def norms(z: Any) -> Any:
    return [np.linalg.norm(z, o) for o in (None, "fro", 1, np.inf)] + [np.linalg.norm(z, 3, axis=0)]


def angle(z: Any) -> Any:
    return np.angle(z)


def back(z: Any) -> Any:
    return [
        np.fft.ifft(z),
        np.fft.hfft(z, 5),
        np.fft.fft(z, axis=0),
        np.fft.irfft(z, 7),
        np.fft.irfftn(z),
        np.fft.fftshift(z),
    ]


EVEN = normal(4, 6)
SCALED = [{}, {"norm": "ortho"}, {"norm": "forward"}]

FOURIER = [
    *[
        call(f, M, **o)
        for f in (np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.ihfft, np.fft.irfft, np.fft.hfft)
        for o in SCALED
    ],
    *[
        call(f, M, n, axis=0)
        for f in (np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft)
        for n in (2, 5, 6)
    ],
    *[call(f, T, **o) for f in (np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn) for o in SCALED],
    *[call(f, T, s=(3, 5), axes=(0, 2)) for f in (np.fft.fft2, np.fft.ifft2, np.fft.rfft2, np.fft.irfft2, np.fft.fftn)],
    *[call(f, T) for f in (np.fft.fft2, np.fft.ifft2, np.fft.rfft2, np.fft.irfft2, np.fft.fftshift, np.fft.ifftshift)],
    call(np.fft.fftn, T, axes=(1,)),
    call(np.fft.fftshift, M, axes=1),
    call(np.fft.ifftshift, T, axes=(0, 2)),
    *[
        call(composition(f, g), EVEN)
        for f in (np.fft.rfft, np.fft.fft)
        for g in (filtered, power_spectrum, arithmetic, moves, norms, back)
    ],
    call(composition(np.fft.fft, angle), V[1:] + 3.0, 7),
]

FAMILIES = {
    "making": MAKING,
    "fourier": FOURIER,
    "elements": ELEMENTS,
    "shapes": SHAPES,
    "joining": JOINING,
    "choosing": CHOOSING,
    "reductions": REDUCTIONS,
    "samples": SAMPLES,
    "matrices": MATRICES,
}
