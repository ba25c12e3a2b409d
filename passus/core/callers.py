"""What the code that asks for the numbers of a Variable is about to do with them.

NumPy asks in the same way for a log (``float(loss)``), where no gradient is missed, and for an array that is to hold the number
(``o[0] = loss``), where one is. The frame of the caller tells them apart. It is looked at only where an error would be raised.
"""

from __future__ import annotations

import dis
from types import FrameType

__all__ = ["assigns_item", "only_looks", "reads_item", "updates_data"]

STORE_SUBSCR = dis.opmap["STORE_SUBSCR"]

ONLOOKERS = ("numpy.testing", "pandas._testing", "_pytest", "matplotlib")
"""Modules that read numbers to compare or to draw them."""


def only_looks(frame: FrameType) -> bool:
    """Whether the caller, behind functions of NumPy, is a helper of tests, or draws."""
    caller: FrameType | None = frame
    while caller is not None:
        module = str(caller.f_globals.get("__name__"))
        if module.startswith(ONLOOKERS):
            return True
        if not module.startswith("numpy"):
            return False
        caller = caller.f_back
    return False


def reads_item(frame: FrameType) -> bool:
    """Whether the caller executes ``array[x]``, where x is an index."""
    here = next((i for i in dis.get_instructions(frame.f_code) if i.offset == frame.f_lasti), None)
    return here is not None and (here.opname == "BINARY_SUBSCR" or here.argrepr == "[]")


def assigns_item(frame: FrameType) -> bool:
    """Whether the caller executes ``o[index] = x``."""
    return frame.f_code.co_code[frame.f_lasti] == STORE_SUBSCR


def updates_data(frame: FrameType) -> bool:
    """Whether the caller executes an update such as ``p.data -= x``, which is outside the graph by its name."""
    stores = (
        i for i in dis.get_instructions(frame.f_code) if i.offset > frame.f_lasti and i.opname.startswith("STORE_")
    )
    store = next(stores, None)
    return store is not None and store.opname == "STORE_ATTR" and store.argval == "data"
