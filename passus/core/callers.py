"""Inspection of the calling code: its use of the numbers of a Variable.

NumPy calls ``__float__`` for a log (``float(loss)``), where no gradient is lost, and for an assignment to an element of an array
(``o[0] = loss``), where one is lost. The frame of the caller distinguishes them. It is read only where an error would be raised.
"""

from __future__ import annotations

import dis
from types import FrameType
from typing import Any

import numpy as np

__all__ = ["assigns_item", "computes_with_array", "updates_data"]

STORE_SUBSCR = dis.opmap["STORE_SUBSCR"]

READERS = ("numpy.testing", "pandas._testing", "_pytest", "matplotlib")
"""Modules that read numbers to compare or to draw them."""


def computes_with_array(frame: FrameType, dtype: np.dtype[Any]) -> bool:
    """Whether code that converts a Variable of a dtype to an array may compute with it: it neither reads it only, nor indexes with it."""
    return not _only_reads(frame) and not (dtype.kind in "iu" and _reads_item(frame))


def assigns_item(frame: FrameType) -> bool:
    """Whether the caller executes ``o[index] = x``."""
    return frame.f_code.co_code[frame.f_lasti] == STORE_SUBSCR


def updates_data(frame: FrameType) -> bool:
    """Whether the caller executes an update such as ``p.data -= x``, which is explicitly outside the graph."""
    stores = (
        i for i in dis.get_instructions(frame.f_code) if i.offset > frame.f_lasti and i.opname.startswith("STORE_")
    )
    store = next(stores, None)
    return store is not None and store.opname == "STORE_ATTR" and store.argval == "data"


def _only_reads(frame: FrameType) -> bool:
    """Whether the caller, behind functions of NumPy, is one of `READERS`."""
    caller: FrameType | None = frame
    while caller is not None:
        module = str(caller.f_globals.get("__name__"))
        if module.startswith(READERS):
            return True
        if not module.startswith("numpy"):
            return False
        caller = caller.f_back
    return False


def _reads_item(frame: FrameType) -> bool:
    """Whether the caller executes ``array[x]``, where x is an index."""
    here = next((i for i in dis.get_instructions(frame.f_code) if i.offset == frame.f_lasti), None)
    return here is not None and (here.opname == "BINARY_SUBSCR" or here.argrepr == "[]")
