"""A restricted interpreter for the pickles in PyTorch files: it imports nothing and calls only functions of a table.

A pickle is a program for a stack machine. This interpreter supports the opcodes that build dicts, lists, tuples, strings
and numbers. Global names are looked up in a table instead of being imported. Everything else is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any, NamedTuple, TypeAlias, TypeVar

from passus.errors import WeightsError, kind_of

__all__ = ["Global", "Unpickler"]

T = TypeVar("T")

MAX_OBJECTS = 1_000_000
"""Maximum number of dicts, lists, tuples and tensors in a pickle; one byte can create an object of 60 bytes."""

DISTINCT_HASHES = range(-(1 << 60), 1 << 60)
"""Integers with distinct hashes; arbitrarily many larger ones can share a hash."""

MAX_LARGE_KEYS = 1000
"""Maximum number of dict keys outside that range; keys with equal hashes take quadratic time."""


class Global(NamedTuple):
    """The name of a class or function, such as ``"torch FloatStorage"``."""

    name: str


Names: TypeAlias = Mapping[str, Callable[..., Any] | None]
"""The global names that a pickle may contain, with the function to call instead, or None for names that are not called."""


class Unpickler:
    """Interprets pickles; ``names``: the supported global names, ``resolve``: a function from persistent ids to objects."""

    def __init__(self, names: Names, resolve: Callable[[tuple[Any, ...]], Any]) -> None:
        self.names, self.resolve = names, resolve

    def run(self, file: BytesIO) -> Any:
        """The object that the next pickle of a file describes.

        Raises `WeightsError`, `ValueError`, `TypeError` or `LookupError` for a pickle that is damaged or unsupported.
        """
        self.stack: list[Any] = []
        self.metastack: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.large_keys = objects = 0
        for name, argument in _instructions(file):
            objects += name in ALLOCATING
            if objects > MAX_OBJECTS:
                raise WeightsError(f"more than {MAX_OBJECTS} dicts, lists, tuples and tensors")
            OPCODES[name](self, argument)
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, kind: type[T]) -> T:
        return _checked(kind, self.stack.pop())

    def pop_mark(self) -> list[Any]:
        """Pop all values above the last mark."""
        values, self.stack = self.stack, self.metastack.pop()
        return values

    def mark(self) -> None:
        self.metastack.append(self.stack)
        self.stack = []

    def pop_tuple(self, count: int) -> tuple[Any, ...]:
        return tuple([self.stack.pop() for _ in range(count)][::-1])

    def memoize(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        _checked(list, self.stack[-1]).extend(values)

    def set_items(self, items: list[Any]) -> None:
        """Set items of the dict on the stack from alternating keys and values."""
        target = _checked(dict, self.stack[-1])
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):  # Hashing nested tuples can take exponential time.
                raise WeightsError(f"{kind_of(key)} as the key of a dict; only strings and integers are supported")
            if type(key) is int and key not in DISTINCT_HASHES:
                self.large_keys += 1
                if self.large_keys > MAX_LARGE_KEYS:
                    raise WeightsError(f"more than {MAX_LARGE_KEYS} dict keys are integers of more than 60 bits")
            target[key] = value

    def name(self, name: str) -> None:
        if name not in self.names:
            raise WeightsError(
                f"unsupported name {name.replace(' ', '.')}, which could run arbitrary code; it was not called. Save only "
                "model.state_dict()"
            )
        self.push(Global(name))

    def call(self) -> None:
        arguments, function = self.pop(tuple), self.pop(Global)
        replacement = self.names[function.name]
        if replacement is None:
            raise WeightsError(f"unsupported call of {function.name.replace(' ', '.')}")
        self.push(replacement(*arguments))

    def persistent_id(self) -> None:
        self.push(self.resolve(self.pop(tuple)))

    def set_attributes(self) -> None:
        """Ignore the attributes of a dict; PyTorch stores only module versions there."""
        self.stack.pop()
        _checked(dict, self.stack[-1])


def _instructions(file: BytesIO) -> Iterator[tuple[str, Any]]:
    """The supported opcodes of a pickle and their arguments, up to ``STOP``; arguments of other opcodes are not read."""
    name = ""
    while name != "STOP":
        code = file.read(1)
        opcode = BY_CODE.get(code)
        if opcode is None:
            raise ValueError(f"opcode {code!r} is unknown" if code else "the pickle ends without the opcode STOP")
        name = opcode.name
        if name not in OPCODES:
            raise WeightsError(
                f"unsupported opcode {name}; save only model.state_dict(), with the default pickle_protocol of torch.save"
            )
        if name == "GLOBAL":  # pickletools interprets backslashes in names, with a warning.
            yield name, f"{_line(file)} {_line(file)}"
        else:
            yield name, opcode.arg.reader(file) if opcode.arg else None


def _line(file: BytesIO) -> str:
    line = file.readline()
    if not line.endswith(b"\n"):
        raise ValueError("a name without a newline at its end")
    return line[:-1].decode("ascii")


def _checked(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise WeightsError(f"expected a {kind.__name__}, found {kind_of(value)}")
    return value


OPCODES: dict[str, Callable[[Unpickler, Any], None]] = {
    "PROTO": lambda unpickler, _: None,
    "STOP": lambda unpickler, _: None,
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"), Unpickler.push),
    "NONE": lambda unpickler, _: unpickler.push(None),
    "NEWTRUE": lambda unpickler, _: unpickler.push(True),
    "NEWFALSE": lambda unpickler, _: unpickler.push(False),
    "EMPTY_DICT": lambda unpickler, _: unpickler.push({}),
    "EMPTY_LIST": lambda unpickler, _: unpickler.push([]),
    "EMPTY_TUPLE": lambda unpickler, _: unpickler.push(()),
    "TUPLE1": lambda unpickler, _: unpickler.push(unpickler.pop_tuple(1)),
    "TUPLE2": lambda unpickler, _: unpickler.push(unpickler.pop_tuple(2)),
    "TUPLE3": lambda unpickler, _: unpickler.push(unpickler.pop_tuple(3)),
    "TUPLE": lambda unpickler, _: unpickler.push(tuple(unpickler.pop_mark())),
    "MARK": lambda unpickler, _: unpickler.mark(),
    "APPEND": lambda unpickler, _: unpickler.extend([unpickler.stack.pop()]),
    "APPENDS": lambda unpickler, _: unpickler.extend(unpickler.pop_mark()),
    "SETITEM": lambda unpickler, _: unpickler.set_items(list(unpickler.pop_tuple(2))),
    "SETITEMS": lambda unpickler, _: unpickler.set_items(unpickler.pop_mark()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), Unpickler.memoize),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda unpickler, index: unpickler.push(unpickler.memo[index])),
    "GLOBAL": Unpickler.name,
    "REDUCE": lambda unpickler, _: unpickler.call(),
    "BINPERSID": lambda unpickler, _: unpickler.persistent_id(),
    "BUILD": lambda unpickler, _: unpickler.set_attributes(),
}
"""The supported opcodes, those of pickle protocol 2 that occur in files of tensors."""

BY_CODE = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}

ALLOCATING = frozenset(
    ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "MARK", "REDUCE")
)
"""The opcodes that create an object or a stack frame."""
