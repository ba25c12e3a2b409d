import numpy as np

from tests.table import Row, bad, case, normal

NO_AXIS = {"negative axis": "axes have letters"}


def sums(prefix: str, **shapes: tuple[tuple[int, ...], ...]):
    """A case for each of several subscripts, with operands of these shapes."""
    return {f"{prefix}, {s}": case(s, *[normal(*shape) for shape in operands]) for s, operands in shapes.items()}


PLAIN = {
    "ij,jk->ik": ((2, 3), (3, 4)),
    "ij,jk": ((2, 3), (3, 4)),
    "ba": ((2, 3),),
    "ij->ji": ((2, 3),),
    "ij->": ((2, 3),),
    "ij->j": ((2, 3),),
    "i,i": ((3,), (3,)),
    "i,j,k->kij": ((2,), (3,), (4,)),
    "ij,ij,j->": ((2, 3), (2, 3), (3,)),
    "a,ab,abc->abc": ((2,), (2, 3), (2, 3, 2)),
    "nic,io -> nco": ((2, 3, 4), (3, 2)),
}
DIAGONALS = {
    "ii->i": ((3, 3),),
    "ii": ((3, 3),),
    "iii->i": ((2, 2, 2),),
    "iij,j->i": ((3, 3, 2), (2,)),
    "ijij->ij": ((2, 3, 2, 3),),
    "ii,jj->ij": ((2, 2), (3, 3)),
}
DOTS = {
    "...ij,...jk": ((2, 3, 4), (2, 4, 5)),
    "...ij,...jk->...ik": ((2, 3, 4), (4, 5)),
    "...i,...i->...": ((2, 3), (3,)),
    "...,...": ((2, 3), (3,)),
    "i...->...": ((2, 3, 4),),
    "ab,b...": ((2, 3), (3, 2, 2)),
    "...ii->...i": ((2, 3, 3),),
    "ij...,j...->i...": ((2, 3, 1, 4), (3, 5, 1)),
}
REFUSED = {
    "must be 2 groups": ("ij->i", np.ones((2, 3)), np.ones(3)),
    "must be 1 groups": ("ij,jk", np.ones((2, 3))),
    "does not name the axes of an array of 1": ("ij->i", np.ones(3)),
    "does not name the axes of an array of 3": ("ij->i", np.ones((2, 3, 4))),
    "'ijk' must name": ("ij->ijk", np.ones((2, 3))),
    "'ii' must name": ("ij->ii", np.ones((2, 3))),
    "at most one": ("i......", np.ones(3)),
    "must consist of letters": ("i1", np.ones((3, 1))),
    "as a string": ([0, 1], np.ones((3, 1))),
}

ROWS = [
    Row(
        "einsum",
        np.einsum,
        {
            **sums("plain", **PLAIN),
            **sums("plain, diagonal", **DIAGONALS),
            **sums("broadcast", **DOTS),
            **sums("broadcast, an axis of length 1", **{"ij,ij->i": ((1, 3), (2, 3)), "ij,jk->ik": ((2, 1), (3, 4))}),
            **sums("empty", **{"ij,jk->ik": ((0, 3), (3, 4)), "ij,jk": ((2, 0), (0, 4)), "ij->j": ((0, 3),)}),
            **sums("0-d", **{"->": ((),), "i,->i": ((2,), ()), ",": ((), ())}),
        },
        (
            *[bad(ValueError, f"einsum: .*{what}", *args) for what, args in REFUSED.items()],
            bad(ValueError, r"einsum\(float64\[2, 3\], float64\[4\]\)", "ij,j", np.ones((2, 3)), np.ones(4)),
            bad(TypeError, "einsum: list is not supported", "i", [1.0]),
        ),
        NO_AXIS,
    ),
    Row(
        "tensordot",
        np.tensordot,
        {
            "plain": case(normal(2, 3, 4), normal(3, 4, 5)),
            "plain, no axes": case(normal(2), normal(3, 2), 0),
            "plain, one axis": case(normal(2, 3), normal(4, 3), ((1,), (1,))),
            "plain, pairs of axes": case(normal(2, 3, 4), normal(4, 3, 5), ((1, 2), (1, 0))),
            "negative axis": case(normal(2, 3, 4), normal(5, 4, 2), (-1, -2)),
            "empty": case(normal(0, 3), normal(3, 2), 1),
            "empty, nothing to add": case(normal(2, 0), normal(0, 3), 1),
            "0-d": case(normal(), normal(2), 0),
        },
        (
            bad(ValueError, r"tensordot: x0 \(2, 3\) and x1 \(2, 1\) do not fit", np.ones((2, 3)), np.ones((2, 1))),
            bad(ValueError, "axes = .*named once", np.ones((2, 2)), np.ones((2, 2)), ((0, 0), (0, 1))),
            bad(ValueError, "axes = 3 does not pair", np.ones((2, 2)), np.ones((2, 2)), 3),
            bad(ValueError, r"axes = \(0, \(0, 1\)\) does not pair", np.ones((2, 2)), np.ones((2, 2)), (0, (0, 1))),
            bad(ValueError, "axes = 'a' does not pair", np.ones((2, 2)), np.ones((2, 2)), "a"),
            bad(TypeError, "tensordot: list is not supported", [1.0], np.ones(1), 1),
        ),
        {"broadcast": "it does not broadcast"},
    ),
]
