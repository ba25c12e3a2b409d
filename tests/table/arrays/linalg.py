import numpy as np

from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, normal


def regular(*shape: int) -> np.ndarray:
    """Well-conditioned square matrices, including some with a negative determinant."""
    return 0.3 * normal(*shape) + 2 * np.eye(shape[-1])[::-1]


def positive(*shape: int) -> np.ndarray:
    """Matrices with a positive definite symmetric part."""
    return regular(*shape) @ regular(*shape).swapaxes(-1, -2) + 3 * np.eye(shape[-1])


def square_cases(draw):
    return {
        "plain": case(draw(3, 3)),
        "plain, one row": case(draw(1, 1)),
        "plain, batches": case(draw(2, 3, 4, 4)),
        "empty": case(draw(0, 3, 3)),
        "empty, no rows": case(draw(2, 0, 0)),
    }


def square_raise(name: str):
    return (
        bad(ValueError, rf"{name}\(float64\[2, 3\]\): .*square", np.ones((2, 3))),
        bad(ValueError, rf"{name}\(float64\[3\]\): .*square", np.ones(3)),
        bad(TypeError, f"{name}: list is not supported", [[1.0]]),
    )


EXEMPT = {**NO_AXIS, **ONE_OPERAND, "0-d": "it takes matrices"}
SINGULAR = np.array([[[2.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 4.0]]])
AXES_CASES = {
    "plain": case(normal(3, 3)),
    "plain, above": case(normal(3, 4), 2),
    "plain, below": case(normal(3, 4), -1),
    "plain, outside": case(normal(2, 3), 5),
    "plain, batches": case(normal(2, 3, 4), 1, 2, 0),
    "negative axis": case(normal(2, 3, 4), 0, -2, -1),
    "empty": case(normal(0, 3)),
}


def axes_raise(name):
    return (
        bad(ValueError, rf"{name}: x \(3,\) does not have two axes 0 and 1", np.ones(3)),
        bad(ValueError, rf"{name}: x \(2, 2\) does not have two axes 1 and -1", np.ones((2, 2)), 0, 1, -1),
        bad(TypeError, f"{name}: list is not supported", [[1.0]]),
    )


ROWS = [
    Row(
        "inv",
        np.linalg.inv,
        square_cases(regular),
        (*square_raise("inv"), bad(ValueError, r"inv\(float64\[2, 2, 2\]\): Singular.*eye", SINGULAR)),
        EXEMPT,
    ),
    Row(
        "solve",
        np.linalg.solve,
        {
            "plain": case(regular(3, 3), normal(3, 2)),
            "plain, a vector": case(regular(3, 3), normal(3)),
            "plain, batches": case(regular(2, 3, 3), normal(2, 3, 1)),
            "broadcast": case(regular(3, 3), normal(2, 3, 4)),
            "broadcast, other way": case(regular(2, 3, 3), normal(3, 4)),
            "broadcast, a vector": case(regular(2, 3, 3), normal(3)),
            "broadcast, axes of length 1": case(regular(1, 4, 2, 2), normal(3, 1, 2, 1)),
            "empty": case(regular(0, 3, 3), normal(0, 3, 2)),
        },
        (
            bad(ValueError, r"solve\(float64\[2, 3\].*square", np.ones((2, 3)), np.ones(2)),
            bad(ValueError, r"solve\(float64\[3, 3\], float64\[2\]\)", np.eye(3), np.ones(2)),
            bad(ValueError, "solve.*Singular.*eye", SINGULAR, np.ones(2)),
            bad(TypeError, "solve: list is not supported", [[1.0]], np.ones(1)),
        ),
        {**NO_AXIS, "0-d": "it takes matrices"},
    ),
    Row("det", np.linalg.det, square_cases(regular), square_raise("det"), EXEMPT),
    Row("slogdet", np.linalg.slogdet, square_cases(regular), square_raise("slogdet"), EXEMPT),
    Row(
        "cholesky",
        lambda x: np.linalg.cholesky((x + x.swapaxes(-1, -2)) / 2),
        square_cases(positive),
        (*square_raise("cholesky"), bad(ValueError, r"cholesky\(.*not positive definite.*eye", -np.eye(2))),
        EXEMPT,
        non_finite_exempt={0: "its gradient is a product of triangular matrices"},
        integers="a matrix of any integers is not positive definite",
    ),
    Row("diagonal", np.diagonal, AXES_CASES, axes_raise("diagonal"), {**ONE_OPERAND, "0-d": "it takes matrices"}),
    Row("trace", np.trace, AXES_CASES, axes_raise("trace"), {**ONE_OPERAND, "0-d": "it takes matrices"}),
]
