import numpy as np

from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, normal

EXEMPT = {**NO_AXIS, **ONE_OPERAND, "0-d": "it takes matrices"}


def spread(*shape: int) -> np.ndarray:
    """Matrices with well-separated singular values and generic vectors, for which LAPACK's signs are stable."""
    *batch, m, n = shape
    k = min(m, n)
    left, right = [np.linalg.qr(normal(*batch, i, k))[0] for i in (m, n)]
    return (left * (1.0 + 2 * np.arange(k))) @ right.swapaxes(-1, -2)


def rotated(*shape: int) -> np.ndarray:
    """Symmetric matrices with well-separated eigenvalues."""
    Q = np.linalg.qr(normal(*shape))[0]
    return (Q * (1.0 + 2 * np.arange(shape[-1]))) @ Q.swapaxes(-1, -2) + np.triu(np.ones(shape[-2:]), 1) * 0.1


def symmetric(x: np.ndarray) -> np.ndarray:
    return (x + x.swapaxes(-1, -2)) / 2


def square_cases(draw):
    return {
        "plain": case(draw(3, 3)),
        "plain, one row": case(draw(1, 1)),
        "plain, batches": case(draw(2, 1, 3, 3)),
        "empty": case(draw(0, 3, 3)),
    }


def any_cases():
    return {
        **square_cases(spread),
        "plain, tall": case(spread(5, 3)),
        "plain, wide": case(spread(3, 5)),
        "plain, wide, batches": case(spread(2, 2, 3)),
    }


def square_raise(name: str):
    return (
        bad(ValueError, rf"{name}\(float64\[2, 3\]\): .*square", np.ones((2, 3))),
        bad(TypeError, f"{name}: list is not supported", [[1.0]]),
    )


def any_raise(name: str):
    return (
        bad(ValueError, rf"{name}\(float64\[3\]\): a matrix .* is needed", np.ones(3)),
        bad(TypeError, f"{name}: list is not supported", [[1.0]]),
    )


PRODUCTS: dict[str | int, str] = {0: "its gradient is a product of whole matrices, some of whose numbers are 0"}

ROWS = [
    Row(
        "eigh",
        lambda x: np.linalg.eigh(symmetric(x)),
        square_cases(rotated),
        square_raise("eigh"),
        EXEMPT,
        non_finite_exempt=PRODUCTS,
    ),
    Row(
        "eigvalsh",
        lambda x: np.linalg.eigvalsh(symmetric(x)),
        square_cases(rotated),
        square_raise("eigvalsh"),
        EXEMPT,
        non_finite_exempt=PRODUCTS,
    ),
    Row(
        "svd",
        lambda x: np.linalg.svd(x, full_matrices=False),
        any_cases(),
        any_raise("svd"),
        EXEMPT,
        non_finite_exempt=PRODUCTS,
    ),
    Row("svdvals", np.linalg.svdvals, any_cases(), any_raise("svdvals"), EXEMPT, non_finite_exempt=PRODUCTS),
    Row("qr", np.linalg.qr, any_cases(), any_raise("qr"), EXEMPT, non_finite_exempt=PRODUCTS),
    Row("pinv", np.linalg.pinv, any_cases(), any_raise("pinv"), EXEMPT, non_finite_exempt=PRODUCTS),
]
