import numpy as np

from tests.table import ONE_OPERAND, Row, away_from, bad, case, normal
from tests.table.arrays.extremes import distinct
from tests.table.arrays.reductions import axes_cases, axes_raise


def norm_by_numpy(x, ord=2, axis=None, keepdims=False):
    """NumPy's norm of vectors; several axes are flattened."""
    if isinstance(axis, int):
        return np.linalg.norm(x, ord, axis, keepdims)
    axes = tuple(range(x.ndim)) if axis is None else tuple(a % x.ndim for a in axis)
    retained = [a for a in range(x.ndim) if a not in axes]
    rows = x.transpose(*retained, *axes).reshape(*[x.shape[a] for a in retained], -1)
    y = np.linalg.norm(rows, ord, axis=-1)
    return y.reshape([1 if a in axes else n for a, n in enumerate(x.shape)]) if keepdims else y


def spread_cases(**options):
    # The standard deviation of one number is 0, where its derivative is discontinuous (and steep nearby).
    cases = axes_cases(distinct, empty=((0, 3), 1), **options)
    return {name: c for name, c in cases.items() if name not in ("0-d", "plain, no axes")}


EXEMPT = {**ONE_OPERAND, "0-d": "one number has no spread"}
ALONE = "the deviation of a number from itself, which is 0, is multiplied"
TOO_FEW = bad(ValueError, r"\(float64\[1\]\): 1 elements .*ddof = 1", np.ones(1), ddof=1)


def off_zero(*shape):
    return away_from((0.0,), *shape)


def norm_cases():
    cases = {f"{name}, ord {p}": c for p in (1, 2, 3, 1.5) for name, c in axes_cases(off_zero, ord=p).items()}
    return {**cases, "plain": case(off_zero(3)), "plain, ord inf": case(np.array([[1.0, -3.0], [2.0, 0.5]]), np.inf, 1)}


ROWS = [
    Row(
        "var",
        np.var,
        {**spread_cases(), "plain, ddof": case(normal(3, 4), axis=0, ddof=1), "0-d": case(normal())},
        (*axes_raise("var"), TOO_FEW),
        ONE_OPERAND,
        non_finite_exempt={"0-d": ALONE},
    ),
    Row(
        "std",
        np.std,
        {**spread_cases(), "plain, ddof": case(normal(3, 4), axis=0, ddof=1)},
        (*axes_raise("std"), TOO_FEW),
        EXEMPT,
        non_finite_exempt={"plain, keepdims": ALONE},
    ),
    Row(
        "norm",
        norm_by_numpy,
        norm_cases(),
        (
            *axes_raise("norm"),
            bad(ValueError, "norm: ord must be at least 1.*0.5", np.ones(3), 0.5),
            bad(ValueError, "norm: ord .*nan", np.ones(3), float("nan")),
            bad(ValueError, r"norm\(float64\[0\]", np.ones(0), np.inf),
        ),
        ONE_OPERAND,
    ),
]
