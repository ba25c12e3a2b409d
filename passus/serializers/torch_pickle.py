"""The pickles in files of PyTorch, read without pickle: nothing is imported, no object is made, no method is called.

A pickle is a program for a machine with a stack. The machine here knows the commands that build dicts, lists, tuples,
strings and numbers; instead of importing what a name stands for, it looks it up in a table. All else is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, NamedTuple, TypeAlias, TypeVar

from passus.errors import WeightsError, kind_of

__all__ = ["Global", "Machine"]

T = TypeVar("T")

MOST_OBJECTS = 1_000_000
"""How many dicts, lists, tuples and tensors a pickle may describe: a single byte can make one of 60."""

UNLIKE = range(-(1 << 60), 1 << 60)
"""Integers that all have hashes of their own; of greater ones there are any number with the same hash."""

MOST_LARGE_KEYS = 1000
"""How many integers outside of that range may be keys of dicts: to find a place takes each as long as all before it."""


class Global(NamedTuple):
    """A name that stands for a class or function, as in ``"torch FloatStorage"``."""

    name: str


Names: TypeAlias = Mapping[str, Callable[..., Any] | None]
"""What may stand in a pickle; what is called in its place, or None if it is not for calling."""


class Machine:
    """What executes pickles: ``names`` are known, and ``referred`` gives what a reference to outside stands for."""

    def __init__(self, names: Names, referred: Callable[[tuple[Any, ...]], Any]) -> None:
        self.names, self.referred = names, referred

    def run(self, file: BytesIO) -> Any:
        """What the next pickle of a file describes.

        Raises `WeightsError`, `ValueError`, `TypeError` or `LookupError` for one that is broken or does more than that.
        """
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.large_keys = objects = 0
        for command, argument, _ in pickletools.genops(file):
            if command.name not in COMMANDS:
                raise WeightsError(
                    f"it holds more than tensors, dicts, lists and numbers (opcode {command.name}); save "
                    "only model.state_dict(), with the pickle_protocol that torch.save chooses"
                )
            objects += command.name in MAKING
            if objects > MOST_OBJECTS:
                raise WeightsError(f"it describes more than {MOST_OBJECTS} dicts, lists, tuples and tensors")
            COMMANDS[command.name](self, argument)
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, kind: type[T]) -> T:
        return _checked(kind, self.stack.pop())

    def since_mark(self) -> list[Any]:
        """All that was pushed after the last mark; what was there before is the stack again."""
        values, self.stack = self.stack, self.marked.pop()
        return values

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def last(self, count: int) -> tuple[Any, ...]:
        return tuple([self.stack.pop() for _ in range(count)][::-1])

    def remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        _checked(list, self.stack[-1]).extend(values)

    def fill(self, items: list[Any]) -> None:
        """Put keys and values, which take turns, into the dict on the stack."""
        target = _checked(dict, self.stack[-1])
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):  # A tuple of tuples of tuples can take for ever to be hashed.
                raise WeightsError(f"{kind_of(key)} is the key of a dict; a file of tensors has strings and integers")
            if type(key) is int and key not in UNLIKE:
                self.large_keys += 1
                if self.large_keys > MOST_LARGE_KEYS:
                    raise WeightsError(f"more than {MOST_LARGE_KEYS} integers of more than 60 bits are keys of dicts")
            target[key] = value

    def name(self, name: str) -> None:
        if name not in self.names:
            raise WeightsError(
                f"it names {name.replace(' ', '.')}, which is no part of a dict of tensors, and could run arbitrary code; it "
                "was not called. Save only model.state_dict()"
            )
        self.push(Global(name))

    def call(self) -> None:
        arguments, function = self.pop(tuple), self.pop(Global)
        called = self.names[function.name]
        if called is None:
            raise WeightsError(f"it calls {function.name.replace(' ', '.')}, which is no function of tensors")
        self.push(called(*arguments))

    def refer(self) -> None:
        self.push(self.referred(self.pop(tuple)))

    def set_attributes(self) -> None:
        """PyTorch hangs versions of modules to its dicts; the tensors do not need them."""
        self.stack.pop()
        _checked(dict, self.stack[-1])


def _checked(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise WeightsError(f"{kind_of(value)} stands where a {kind.__name__} belongs")
    return value


COMMANDS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"), Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.push(machine.last(1)),
    "TUPLE2": lambda machine, _: machine.push(machine.last(2)),
    "TUPLE3": lambda machine, _: machine.push(machine.last(3)),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "MARK": lambda machine, _: machine.mark(),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.fill(list(machine.last(2))),
    "SETITEMS": lambda machine, _: machine.fill(machine.since_mark()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), Machine.remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, place: machine.push(machine.memo[place])),
    "GLOBAL": Machine.name,
    "REDUCE": lambda machine, _: machine.call(),
    "BINPERSID": lambda machine, _: machine.refer(),
    "BUILD": lambda machine, _: machine.set_attributes(),
}
"""The commands of pickle's protocol 2 that files of tensors are made of."""

MAKING = frozenset(("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "MARK", "REDUCE"))
"""The commands that make an object, or the list in which the machine gathers one."""
