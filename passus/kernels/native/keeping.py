"""Compiled kernels on the disk, where each run of a program finds them.

Numba keeps compiled functions, too, but it sees changes of the file that a function is in only, not of what this file imports;
a file that is damaged stops each later run; and of two processes that compile at once, one may be given the function of the
other. Here each kernel has a file of its own, whose name tells everything that the kernel follows from, and which begins with a
checksum. What cannot be read is compiled anew; what cannot be written is compiled in each run.
"""

from __future__ import annotations

import ast
import hashlib
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps, loads

from passus.kernels import notices

__all__ = ["KernelCache", "KernelFiles", "imported", "stamp"]

HERE = Path(__file__).parent
OUTSIDE = ("elementwise", "formulas", "gates")
"""The modules beside this folder that are written into kernels: formulas."""


class KernelCache(FunctionCache):  # type: ignore[misc]
    """What Numba asks for a compiled function before it compiles it, and hands it to afterwards.

    Raises RuntimeError if there is no folder to write to, neither beside the package nor in the user's cache.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        source = Path(function.__code__.co_filename)
        place = f"{function.__qualname__}-{function.__code__.co_firstlineno}"
        self._cache_file = KernelFiles(Path(self.cache_path), source.stem, stamp(source), place)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled function; None, and a line for the user, if it is to be compiled."""
        found = None
        with suppress(Exception):  # Whatever is wrong with a file, a new one takes its place.
            found = super().load_overload(signature, target)
        if found is None:
            notices.compiling()
        return found

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep it, if the disk lets us."""
        try:
            super().save_overload(signature, result)
        except Exception as error:
            notices.say(
                f"compiled kernels cannot be kept in {self.cache_path} ({error}), so each run compiles them anew"
            )


class KernelFiles:
    """The kernels of one function, a file each; ``module`` and ``stamp``: where it is written, and a digest of that."""

    def __init__(self, folder: Path, module: str, stamp: str, place: str) -> None:
        self.folder, self.module, self.stamp, self.place = folder, module, stamp, place

    def load(self, key: Any) -> Any:
        """What was saved under a key; None if nothing was, or if its file is damaged."""
        with suppress(OSError):
            checksum, content = _halves(self._path(key).read_bytes())
            if checksum == hashlib.sha256(content).digest():
                return loads(content)  # As Numba does: who can write there can change the package, too.
        return None

    def save(self, key: Any, data: Any) -> None:
        """Write a file whole or not at all. Those of the same module as it was written before are cleared away."""
        _clear(self.folder, self.module, self.stamp)
        content, path = dumps(data), self._path(key)
        part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            part.write_bytes(hashlib.sha256(content).digest() + content)
            part.replace(path)
        except BaseException:  # Ctrl-C, too.
            with suppress(OSError):
                part.unlink()
            raise

    def _path(self, key: Any) -> Path:
        versions = numba.__version__, sys.version_info, getattr(sys, "abiflags", "")
        name = hashlib.sha256(repr((self.place, versions, key)).encode()).hexdigest()[:32]
        return self.folder / f"{self.module}-{self.stamp}-{name}.kernel"


@cache
def stamp(source: Path) -> str:
    """A digest of a module of kernels and of all that it imports from here, for the pieces of these are written into it."""
    found: dict[Path, bytes] = {}
    waiting = [source]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = file.read_bytes()
            waiting += imported(found[file].decode())
    contents = sorted((f"{file.parent.name}/{file.stem}", content) for file, content in found.items())
    return hashlib.sha256(repr(contents).encode()).hexdigest()[:16]


def imported(code: str) -> list[Path]:
    """The modules that a module imports and whose pieces are written into kernels."""
    files = [HERE.parent / f"{name}.py" for name in OUTSIDE] + list(HERE.glob("*.py"))
    by_name = {f"passus.kernels.{'native.' if file.parent == HERE else ''}{file.stem}": file for file in files}
    nodes = [node for node in ast.parse(code).body if isinstance(node, ast.ImportFrom)]
    names = [f"{node.module}{end}" for node in nodes for end in ("", *[f".{alias.name}" for alias in node.names])]
    return [by_name[name] for name in names if name in by_name]


def _halves(content: bytes) -> tuple[bytes, bytes]:
    size = hashlib.sha256().digest_size
    return content[:size], content[size:]


@cache
def _clear(folder: Path, module: str, stamp: str) -> None:
    with suppress(OSError):
        for old in folder.glob(f"{module}-*.kernel*"):
            if not old.name.startswith(f"{module}-{stamp}-"):
                old.unlink(missing_ok=True)
