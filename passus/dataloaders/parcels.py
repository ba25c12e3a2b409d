"""Objects sent between a process and its children: pickled, with large arrays in shared memory.

The memory has no name: it is an open file without an entry in any folder, whose descriptor is sent through the connection.
The system frees it with its last user, however that one ends. A receiver maps it, so an array is copied once, by the sender.
"""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

import numpy as np

from passus.errors import LoaderWorkerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["Parcel", "Pickled", "pickled", "receive"]

LARGE = 1 << 16
"""Bytes from which an array lies in shared memory."""

SHORT = 1 << 14
"""Bytes up to which a pickle goes through the connection. Those of a few messages fit its buffer, so no sender waits."""

ALIGNMENT = 64

MAX_SEGMENTS = 64
"""Maximum number of segments in a parcel: a message holds at most 253 descriptors."""

MAX_MAPPED = 128
"""Number of mapped segments from which arrays are copied to ordinary memory, because each mapping is an open file."""

MAX_WRITTEN = 1 << 30
"""Bytes that one call writes or reads; Linux allows 2 GiB."""

_mapped: WeakSet[mmap.mmap] = WeakSet()
"""The segments of this process that are in use."""


class Pickled(NamedTuple):
    """An object as bytes, without the large arrays that it refers to."""

    data: bytes
    arrays: list[memoryview]


def pickled(value: Any, pickler: type[pickle.Pickler] = pickle.Pickler) -> Pickled:
    """Pickle an object, with contiguous arrays of at least `LARGE` bytes apart.

    >>> value = pickled({"x": np.zeros(10_000)})
    >>> len(value.data) < 200, [array.nbytes for array in value.arrays]
    (True, [80000])
    """
    file, arrays = BytesIO(), list[memoryview]()

    def is_inside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes >= LARGE:
            arrays.append(raw)
        return raw.nbytes < LARGE

    pickler(file, protocol=5, buffer_callback=is_inside).dump(value)
    return Pickled(file.getvalue(), arrays)


class _Place(NamedTuple):
    """Where an array lies."""

    segment: int
    start: int
    size: int
    is_readonly: bool


class Parcel:
    """A pickled object that can be sent to other processes, several times, and loaded.

    ``together``: all arrays lie in one segment, which is used for an object that is kept as a whole. Otherwise each has its
    own, which is freed with it.

    >>> with Parcel(pickled(np.arange(10_000))) as parcel:
    ...     parcel.load()
    array([   0,    1,    2, ..., 9997, 9998, 9999], shape=(10000,))
    """

    def __init__(self, value: Pickled, *, together: bool = False) -> None:
        self._segments: list[int] = []
        self._places: list[_Place] = []
        self._data = value.data if len(value.data) <= SHORT and len(value.arrays) <= MAX_SEGMENTS else None
        parts: list[Any] = [*value.arrays] if self._data is not None else [value.data, *value.arrays]
        together |= len(parts) > MAX_SEGMENTS
        start = 0
        try:
            for part in parts:
                if not self._segments or not together:
                    self._segments.append(_new_segment())
                    start = 0
                view = memoryview(part)
                _write(self._segments[-1], view, start)
                self._places.append(_Place(len(self._segments) - 1, start, view.nbytes, view.readonly))
                start += -(-view.nbytes // ALIGNMENT) * ALIGNMENT
        except OSError as error:
            self.close()
            size = sum(memoryview(part).nbytes for part in parts)
            raise LoaderWorkerError(
                f"DataLoader: no shared memory for {size / 2**20:,.1f} MiB: {error}; use smaller batches or fewer workers, or "
                "leave out processes"
            ) from error

    @classmethod
    def _received(cls, data: bytes | None, places: list[_Place], segments: list[int]) -> Parcel:
        parcel = cls.__new__(cls)
        parcel._data, parcel._places, parcel._segments = data, places, segments
        return parcel

    def send(self, connection: Connection[Any, Any]) -> None:
        """Send the object through a connection."""
        from multiprocessing.reduction import send_handle

        connection.send((self._data, self._places, len(self._segments)))
        for segment in self._segments:
            send_handle(connection, segment, None)  # Its process matters on Windows only.

    def load(self, *, private: bool = False) -> Any:
        """The object. Its arrays are the memory of the parcel; with ``private``, a change of theirs is not seen elsewhere."""
        parts = self._parts(private)
        data = parts.pop(0) if self._data is None else self._data
        # The parts are given up one by one, so that nothing else refers to an array.
        return pickle.loads(data, buffers=(parts.pop(0) for _ in range(len(parts))))  # noqa: S301 - from a child process

    def holds(self, value: Pickled) -> bool:
        """Whether the parcel holds these very bytes."""
        parts = self._parts(private=True)
        data = parts.pop(0) if self._data is None else self._data
        if len(data) != len(value.data) or len(parts) != len(value.arrays) or bytes(data) != value.data:
            return False
        return all(_is_same(a, b) for a, b in zip(parts, value.arrays))

    def close(self) -> None:
        """Close the segments; arrays that were loaded stay."""
        for segment in self._segments:
            os.close(segment)
        self._segments = []

    def __enter__(self) -> Parcel:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _parts(self, private: bool) -> list[Any]:
        ends = [0] * len(self._segments)
        for place in self._places:
            ends[place.segment] = place.start + place.size
        memory = [_memory(segment, end, private) for segment, end in zip(self._segments, ends)]
        parts = [memory[place.segment][place.start : place.start + place.size] for place in self._places]
        return [part.toreadonly() if place.is_readonly else part for part, place in zip(parts, self._places)]


def receive(connection: Connection[Any, Any]) -> Parcel:
    """Receive a parcel that was sent through a connection. Raises `EOFError` if the sender has ended.

    >>> from multiprocessing import Pipe
    >>> a, b = Pipe()
    >>> with Parcel(pickled(np.zeros(10_000))) as parcel:
    ...     parcel.send(a)
    >>> with receive(b) as parcel:
    ...     parcel.load().shape
    (10000,)
    """
    from multiprocessing.reduction import recv_handle

    data, places, count = connection.recv()
    segments: list[int] = []
    try:
        for _ in range(count):
            segments.append(recv_handle(connection))
    except BaseException as error:
        for segment in segments:
            os.close(segment)
        if isinstance(error, RuntimeError):  # The descriptor was sent, but not received.
            raise LoaderWorkerError(
                "DataLoader: too many open files for the arrays of a batch; raise the limit (ulimit -n)"
            ) from error
        raise
    return Parcel._received(data, places, segments)


def _new_segment() -> int:
    """The descriptor of an empty file without a name, in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("passus-loader")
    shared = Path("/dev/shm")  # noqa: S108 - the file has no name
    with tempfile.TemporaryFile(dir=shared if shared.is_dir() else None) as file:
        return os.dup(file.fileno())


def _write(segment: int, view: memoryview, start: int) -> None:
    """Write bytes. Unlike a write to a mapping, it raises `OSError` where there is no space."""
    done = 0
    while done < view.nbytes:
        done += os.pwrite(segment, view[done : done + MAX_WRITTEN], start + done)


def _memory(segment: int, size: int, private: bool) -> memoryview:
    """The bytes of a segment: mapped, or copied if this process has many mappings."""
    if private or len(_mapped) < MAX_MAPPED:
        mapping = mmap.mmap(segment, size, access=mmap.ACCESS_COPY if private else mmap.ACCESS_WRITE)
        if not private:
            _mapped.add(mapping)
        return memoryview(mapping)
    copy = np.empty(size, np.uint8).data
    done = 0
    while done < size:
        read = os.preadv(segment, [copy[done : done + MAX_WRITTEN]], done)
        if not read:
            raise EOFError(f"a segment of {size} bytes has only {done}")
        done += read
    return copy


def _is_same(a: memoryview, b: memoryview) -> bool:
    """Whether two ranges have the same bytes, compared in blocks that stay in the cache."""
    x, y = np.frombuffer(a, np.uint8), np.frombuffer(b, np.uint8)
    return len(x) == len(y) and all(
        np.array_equal(x[start : start + LARGE], y[start : start + LARGE]) for start in range(0, len(x), LARGE)
    )
