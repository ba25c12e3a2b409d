import numpy as np

from tests.table import ONE_OPERAND, Row, bad, case, normal


def axes_cases(draw=normal, empty=((0, 3), 0), **options):
    """Reductions over all axes, one, several and negative axes, of empty and 0-d arrays."""
    shape, axis = empty
    return {
        "plain": case(draw(2, 3), **options),
        "plain, one axis": case(draw(2, 3, 4), axis=1, **options),
        "plain, two axes": case(draw(2, 3, 4), axis=(2, 0), **options),
        "plain, no axes": case(draw(2, 3), axis=(), **options),
        "plain, keepdims": case(draw(2, 3), axis=1, keepdims=True, **options),
        "plain, all axes, keepdims": case(draw(2, 3), keepdims=True, **options),
        "negative axis": case(draw(2, 3, 4), axis=-2, **options),
        "negative axis, two of them": case(draw(2, 3, 4), axis=(0, -1), keepdims=True, **options),
        "empty": case(draw(*shape), axis=axis, **options),
        "0-d": case(draw(), **options),
    }


def axes_raise(name: str):
    """Calls that raise for every reduction."""
    return (
        bad(ValueError, rf"{name}\(float64\[3\]\): axis 1 is out of bounds", np.ones(3), axis=1),
        bad(ValueError, rf"{name}\(float64\[2, 3\]\): axis -3 is out of bounds", np.ones((2, 3)), axis=-3),
        bad(ValueError, rf"{name}\(float64\[2, 3\]\): duplicate", np.ones((2, 3)), axis=(0, -2)),
        bad(TypeError, rf"{name}.*'float'", np.ones(3), axis=1.0),
        bad(TypeError, f"{name}: list is not supported", [1.0]),
    )


def with_zeros(*shape: int) -> np.ndarray:
    x = normal(*shape)
    x.flat[:: max(2, x.size // 3)] = 0
    return x


ROWS = [
    Row(
        "sum_to",
        lambda x, shape: x.sum(axis=tuple(range(x.ndim - len(shape)))),
        {
            "plain": case(normal(2, 3), (3,)),
            "empty": case(normal(2, 0), (0,)),
            "0-d": case(normal(), ()),
        },
        (bad(ValueError, r"sum_to: .*3.*4", np.ones((2, 3)), (4,)),),
        {**ONE_OPERAND, "negative axis": "it takes a shape"},
    ),
    Row("sum", np.sum, axes_cases(), axes_raise("sum"), ONE_OPERAND),
    *[
        Row(
            name,
            np.mean,
            axes_cases(empty=((0, 3), 1)),
            (*axes_raise("mean"), bad(ValueError, r"mean\(float64\[0\].*no elements", np.ones(0))),
            ONE_OPERAND,
        )
        for name in ("mean", "average")
    ],
    Row(
        "prod",
        np.prod,
        {
            **axes_cases(),
            "plain, with zeros": case(with_zeros(5, 7), axis=1),
            "plain, with zeros, two axes": case(with_zeros(2, 3, 4), axis=(0, 2)),
            "plain, one element": case(normal(1, 3), axis=0),
            "empty, other axis": case(normal(2, 0), axis=0),
        },
        axes_raise("prod"),
        ONE_OPERAND,
        non_finite_exempt=dict.fromkeys(
            ("plain, with zeros", "plain, with zeros, two axes"), "the other factors, of which one is 0, are multiplied"
        ),
    ),
    Row(
        "cumsum",
        np.cumsum,
        {
            "plain": case(normal(2, 3)),
            "plain, one axis": case(normal(2, 3, 4), axis=1),
            "negative axis": case(normal(2, 3), axis=-2),
            "empty": case(normal(0, 3), axis=0),
            "0-d": case(normal()),
        },
        (
            bad(ValueError, r"cumsum\(float64\[3\]\): axis 1 is out of bounds", np.ones(3), axis=1),
            bad(TypeError, "cumsum: list is not supported", [1.0]),
        ),
        ONE_OPERAND,
    ),
]
