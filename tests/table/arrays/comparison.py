import numpy as np

from tests.table import NO_AXIS, Row, away_from, bad, binary, case


def low(*shape: int) -> np.ndarray:
    return away_from((-1.0, 1.0), *shape)


def off_grid(*shape: int) -> np.ndarray:
    """Numbers at a distance of at least 0.05 from those of `grid`."""
    return away_from(GRID, *shape)


def grid(*shape: int) -> np.ndarray:
    return np.round(low(*shape) * 2) / 2


GRID = tuple(np.arange(-10, 10.5, 0.5))

ROWS = [
    binary("maximum", np.maximum, off_grid, grid),
    binary("minimum", np.minimum, off_grid, grid),
    binary("fmax", np.fmax, off_grid, grid),
    binary("fmin", np.fmin, off_grid, grid),
    Row(
        "clip",
        np.clip,
        {
            "plain": case(low(3, 4), -1.0, 1.0),
            "plain, from below only": case(low(3, 4), -1.0, None),
            "plain, from above only": case(low(3, 4), None, 1),
            "plain, bounds of NumPy": case(low(3), np.float64(-1.0), np.int64(1)),
            "plain, bounds for each element": case(off_grid(3, 4), grid(3, 4) - 1, grid(3, 4) + 1),
            "plain, an array and a number": case(off_grid(3, 4), grid(3, 4), 6.0),
            "plain, an array from above": case(off_grid(3, 4), None, grid(4)),
            "broadcast": case(off_grid(3, 1), grid(4) - 1, grid(2, 1, 4) + 1),
            "empty": case(low(0, 3), -1.0, 1.0),
            "0-d": case(low(), -1.0, 1.0),
        },
        (
            bad(ValueError, "clip: give x_min", np.ones(3)),
            bad(ValueError, "clip: x_min 2.0 must not be above x_max 1.0", np.ones(3), 2.0, 1.0),
            bad(ValueError, "clip: x_min nan", np.ones(3), np.nan, 1.0),
            bad(TypeError, "clip: x_max must be a number, an array or None, not a list", np.ones(3), 0.0, [1.0]),
            bad(TypeError, "clip: .*not supported", [1.0, 2.0], 0.0),
        ),
        NO_AXIS,
        atol16=2**-8,  # As in `binary`.
        non_finite_exempt={"plain, bounds for each element": "an infinite bound replaces an element"},
    ),
]
