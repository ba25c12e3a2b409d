"""Compiled kernels on the disk, where each run of a program finds them.

Numba has a cache, too, but it only detects changes of the file that defines a function, not of the modules that this file
imports; a damaged file stops each later run; and if two processes compile at once, one may load the function of the other.
Here each kernel has a separate file. Its name contains a digest of everything that the kernel depends on, and it begins with a
checksum. A kernel that cannot be read is compiled again; one that cannot be written is compiled in each run.
"""

from __future__ import annotations

import dis
import hashlib
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, NullCache
from numba.core.serialize import dumps, loads

from passus.kernels import notices

__all__ = ["KernelCache", "KernelFiles", "NoCache", "imported", "stamp"]

HERE = Path(__file__).parent
OUTSIDE = ("elementwise", "formulas", "gates")
"""The modules outside this folder that are inlined into kernels: formulas."""


class KernelCache(FunctionCache):  # type: ignore[misc]
    """The cache that Numba looks a function up in before it compiles it, and stores the result in.

    Raises RuntimeError if neither the folder of the package nor the user's cache is writable.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.unsaved = ""
        source = Path(function.__code__.co_filename)
        place = f"{function.__qualname__}-{function.__code__.co_firstlineno}"
        self._cache_file = KernelFiles(Path(self.cache_path), source.stem, stamp(source), place)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled function; None, after a notice to the user, if it must be compiled."""
        found = None
        with suppress(Exception):  # Any invalid file is replaced.
            found = super().load_overload(signature, target)
        if found is None:
            notices.compiling()
        return found

    def save_overload(self, signature: Any, result: Any) -> None:
        """Save a compiled function, if the disk allows it."""
        try:
            super().save_overload(signature, result)
        except Exception as error:
            self.unsaved = str(error)
            notices.print_once(
                f"compiled kernels cannot be saved in {self.cache_path} ({error}), so each run compiles them again"
            )


class NoCache(NullCache):  # type: ignore[misc]
    """The cache of a kernel for which there is no folder."""

    def load_overload(self, signature: Any, target: Any) -> None:
        notices.compiling()


class KernelFiles:
    """The kernels of one function, one file each; ``module``: the module that defines it; ``stamp``: a digest of its sources."""

    def __init__(self, folder: Path, module: str, stamp: str, place: str) -> None:
        self.folder, self.module, self.stamp, self.place = folder, module, stamp, place

    def load(self, key: Any) -> Any:
        """The content saved under a key; None if it is missing or damaged."""
        with suppress(OSError):
            checksum, content = _halves(self._path(key).read_bytes())
            if checksum == hashlib.sha256(content).digest():
                return loads(content)  # As in Numba: a user who can write there can change the package, too.
        return None

    def save(self, key: Any, data: Any) -> None:
        """Write a file atomically, and remove files of earlier versions of the module."""
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
    """A digest of a module of kernels and of all modules that it imports from here, because these are inlined."""
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
    """The imports of a module that are inlined into kernels."""
    files = [HERE.parent / f"{name}.py" for name in OUTSIDE] + list(HERE.glob("*.py"))
    by_name = {f"passus.kernels.{'native.' if file.parent == HERE else ''}{file.stem}": file for file in files}
    names: list[str] = []
    module = ""
    # Not ast.parse: Python 3.11 raises SystemError if two threads build syntax trees, and this one may be any.
    for step in dis.get_instructions(compile(code, "<kernels>", "exec")):
        if step.opname == "IMPORT_NAME":
            module = step.argval
            names.append(module)
        elif step.opname == "IMPORT_FROM":
            names.append(f"{module}.{step.argval}")
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
