import numpy as np

from tests.table import ONE_OPERAND, Row, bad, case, normal

GAPS = np.array([[3.0, np.nan, 1.0], [2.0, 5.0, 7.0]])


def axes_cases(*args, **options):
    return {
        "plain": case(normal(2, 3), *args, **options),
        "plain, one axis": case(normal(2, 5), *args, axis=1, **options),
        "plain, two axes": case(normal(2, 3, 4), *args, axis=(2, 0), **options),
        "plain, keepdims": case(normal(2, 3), *args, axis=1, keepdims=True, **options),
        "plain, one element": case(normal(3, 1), *args, axis=1, **options),
        "negative axis": case(normal(2, 3, 4), *args, axis=-2, **options),
        "0-d": case(normal(), *args, **options),
    }


def axes_raise(name, *args):
    return (
        bad(ValueError, rf"{name}: axis 1 is not one of x \(3,\)", np.ones(3), *args, axis=1),
        bad(ValueError, rf"{name}: axis \(0, -2\) names an axis twice", np.ones((2, 3)), *args, axis=(0, -2)),
        bad(ValueError, rf"{name}: x \(0, 3\) has no elements along axis 0", np.ones((0, 3)), *args, axis=0),
        bad(TypeError, "list is not supported", [1.0], *args),
    )


def quantile(x, q, skip_nan=False, **options):
    return (np.nanquantile if skip_nan else np.quantile)(x, q, **options)


EXEMPT = {**ONE_OPERAND, "empty": "it needs elements"}

ROWS = [
    Row("median", np.median, axes_cases(), axes_raise("median"), EXEMPT),
    Row(
        "quantile",
        quantile,
        {
            **axes_cases(0.3),
            "plain, several shares": case(normal(2, 5), [0.0, 0.25, 1.0], axis=1),
            "plain, ends": case(normal(5), np.array([[0, 1]])),
            **{
                f"plain, {m}": case(normal(2, 5), [0.3, 0.6], axis=1, method=m)
                for m in ("lower", "higher", "nearest", "midpoint")
            },
        },
        (
            *axes_raise("quantile", 0.5),
            bad(ValueError, "quantile: q must be from 0 to 1, not 30", np.ones(3), 30),
            bad(ValueError, "quantile: method must be one of linear", np.ones(3), 0.5, method="weibull"),
        ),
        EXEMPT,
    ),
]
