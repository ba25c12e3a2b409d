from typing import Any

import numpy as np

from tests.table import ONE_OPERAND, Row, bad, case, integers, normal
from tests.table.arrays.extremes import distinct


def largest(x: np.ndarray, k: int, axis: int = -1) -> tuple[np.ndarray, np.ndarray]:
    indices = np.take(np.argsort(-x, axis=axis), np.arange(k), axis=axis)
    return np.take_along_axis(x, indices, axis=axis), indices


def index_of_extreme(name: str, reference: Any) -> Row:
    return Row(
        name,
        reference,
        {
            "plain": case(normal(3, 4)),
            "plain, one axis": case(normal(3, 4), 0),
            "plain, ties": case(integers(2, 3, 4), 1),
            "plain, keepdims": case(normal(3, 4), 1, keepdims=True),
            "negative axis": case(normal(2, 3, 4), -2),
            "empty": case(normal(0, 3), 1),
            "0-d": case(normal()),
        },
        (
            bad(ValueError, rf"{name}\(float64\[0\]\).*empty", np.ones(0)),
            bad(ValueError, rf"{name}\(float64\[3\]\).*axis 1", np.ones(3), 1),
        ),
        ONE_OPERAND,
        order=0,
    )


ROWS = [
    index_of_extreme("argmax", np.argmax),
    index_of_extreme("argmin", np.argmin),
    Row(
        "argsort",
        lambda x, axis=-1: np.argsort(x, axis=axis, stable=True),
        {
            "plain": case(normal(3, 4)),
            "plain, ties": case(integers(3, 20)),
            "plain, all in a row": case(normal(3, 4), None),
            "negative axis": case(normal(3, 4), -2),
            "empty": case(normal(0, 3), 0),
        },
        (bad(ValueError, r"argsort\(float64\[3\]\).*axis 1", np.ones(3), 1),),
        {**ONE_OPERAND, "0-d": "it has no axis to sort along"},
        order=0,
    ),
    Row(
        "sort",
        np.sort,
        {
            "plain": case(distinct(3, 4)),
            "plain, first axis": case(distinct(3, 4), 0),
            "plain, all in a row": case(distinct(3, 4), None),
            "negative axis": case(distinct(2, 3, 4), -2),
            "empty": case(distinct(0, 3), 0),
        },
        (bad(ValueError, r"sort\(float64\[3\]\).*axis 1", np.ones(3), 1),),
        {**ONE_OPERAND, "0-d": "it has no axis to sort along"},
    ),
    Row(
        "topk",
        largest,
        {
            "plain": case(distinct(3, 6), 2),
            "plain, first axis": case(distinct(6, 3), 3, 0),
            "plain, all": case(distinct(4), 4),
            "negative axis": case(distinct(2, 5, 3), 2, -2),
            "empty": case(distinct(0, 3), 2),
        },
        (
            bad(ValueError, r"topk: k is 4; it must be from 1 to 3", np.ones(3), 4),
            bad(ValueError, "topk: k is 0", np.ones(3), 0),
            bad(ValueError, "axis 1", np.ones(3), 1, axis=1),
        ),
        {**ONE_OPERAND, "0-d": "it has no axis to sort along"},
    ),
]
