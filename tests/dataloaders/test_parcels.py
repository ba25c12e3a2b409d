"""Objects in shared memory, and a worker that runs in a thread of this process."""

from __future__ import annotations

import errno
import gc
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from passus.dataloaders import parcels, serving
from passus.dataloaders.parcels import LARGE, MAX_SEGMENTS, Parcel, pickled, receive
from passus.dataloaders.reading import Reader, Task
from passus.dataloaders.sendable import pickled_reader
from passus.dataloaders.serving import READY, Cancelled, Order, Settings
from passus.dataloaders.unfound import UnfoundGenerators
from passus.errors import LoaderWorkerError
from tests.dataloaders import sent

ROWS = LARGE // 8

VALUES: dict[str, Any] = {
    "small": {"a": [np.arange(3), "b"]},
    "large": (np.arange(ROWS), np.ones((ROWS, 2), "f"), None),
    "long": "x" * 100_000,
    "both": ("x" * 100_000, np.arange(ROWS), np.arange(ROWS + 1)),
    "many": [np.full(ROWS, i) for i in range(MAX_SEGMENTS + 3)],
}


def segments() -> int:
    """The number of segments that this process has open."""
    gc.collect()
    links = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(str(path.readlink()))
    return sum("passus-loader" in link or "/dev/shm/" in link for link in links)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("name", VALUES)
def test_values_are_sent_and_leave_no_open_file(name: str, together: bool) -> None:
    before, (a, b) = segments(), Pipe()
    value = pickled(VALUES[name])
    with Parcel(value, together=together) as parcel:
        assert parcel.holds(value)
        parcel.send(a)
    with receive(b) as parcel:
        loaded = parcel.load()
    np.testing.assert_equal(loaded, VALUES[name])
    del loaded
    assert segments() == before


def test_each_array_frees_its_own_memory() -> None:
    """Kept labels must not keep their images."""
    before = segments()
    with Parcel(pickled([np.arange(ROWS), np.arange(2 * ROWS)])) as parcel:
        first, second = parcel.load()
    assert segments() == before + 2
    del second
    assert segments() == before + 1
    assert first[-1] == ROWS - 1
    assert first.ctypes.data % 64 == 0


def test_changes_of_a_private_copy_are_not_seen() -> None:
    with Parcel(pickled(np.zeros(ROWS)), together=True) as parcel:
        mine, yours, common, same = parcel.load(private=True), parcel.load(private=True), parcel.load(), parcel.load()
    mine[0] = 1
    assert (yours[0], common[0]) == (0, 0)
    common[0] = 2
    assert same[0] == 2


@pytest.mark.parametrize("change", ["number", "array", "length", "last"])
def test_a_parcel_knows_what_it_holds(change: str) -> None:
    value: Any = [1, np.zeros(3 * ROWS), np.zeros(ROWS)]
    with Parcel(pickled(value), together=True) as parcel:
        assert parcel.holds(pickled(value))
        if change == "number":
            value[0] = 2
        elif change == "length":
            value.pop()
        else:
            value[1 if change == "array" else 2][-1] = 1e-9
        assert not parcel.holds(pickled(value))


def test_systems_without_memory_files_use_files_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    folder, before = Path("/dev/shm"), segments()
    names = {path.name for path in folder.glob("*")} if folder.is_dir() else set()
    with Parcel(pickled(np.arange(ROWS))) as parcel:
        assert not folder.is_dir() or not {path.name for path in folder.glob("tmp*")} - names
        np.testing.assert_array_equal(parcel.load(), np.arange(ROWS))
    assert segments() == before


def test_no_space_closes_what_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(segment: int, view: memoryview, start: int) -> None:
        if view.nbytes > 8 * ROWS:
            raise OSError(errno.ENOSPC, "No space left on device")

    before = segments()
    monkeypatch.setattr(parcels, "_write", full)
    with pytest.raises(
        LoaderWorkerError, match=r"no shared memory for 0\.2 MiB: .*No space left on device; use smaller"
    ):
        Parcel(pickled([np.zeros(ROWS), np.zeros(2 * ROWS)]))
    assert segments() == before


def test_too_many_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system then leaves descriptors out of a message."""
    before, (a, b), received = segments(), Pipe(), []

    def receive_one(connection: Any) -> int:
        if received:
            raise RuntimeError("received 0 items of ancdata")
        received.append(original(connection))
        return received[0]

    from multiprocessing import reduction

    original = reduction.recv_handle
    monkeypatch.setattr(reduction, "recv_handle", receive_one)
    with Parcel(pickled([np.zeros(ROWS), np.zeros(ROWS)])) as parcel:
        parcel.send(a)
    with pytest.raises(LoaderWorkerError, match="too many open files"):
        receive(b)
    a.close()
    b.close()
    assert segments() == before


def test_a_sender_that_has_ended() -> None:
    a, b = Pipe()
    a.close()
    with pytest.raises(EOFError):
        receive(b)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connection to a worker in a thread, which ends with the connection and seeds no other generators."""
    monkeypatch.setattr(serving, "UnfoundGenerators", partial(UnfoundGenerators, among=()))
    ours, theirs = Pipe()

    def run() -> None:
        with suppress(EOFError):
            serving.serve(theirs)

    state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the worker seeds it
    thread = Thread(target=run)
    thread.start()
    yield ours
    ours.close()
    thread.join()
    theirs.close()
    random.setstate(state[0])
    np.random.set_state(state[1])  # noqa: NPY002


def ask(connection: Any, *messages: Any) -> None:
    for message in messages:
        value = pickled_reader(message) if isinstance(message, Reader) else pickled(message)
        with Parcel(value) as parcel:
            parcel.send(connection)


def answer(connection: Any) -> Any:
    with receive(connection) as parcel:
        return parcel.load()


def order(number: int) -> Order:
    return Order(number, Task(number, 5, np.array([number, number + 1]), 3, {}), Settings.current())


def test_a_worker_answers_in_the_order_of_its_orders_and_leaves_out_what_is_cancelled(connection: Any) -> None:
    slow = sent.Examples()
    ask(connection, Reader("DataLoader", slow, sent.slowly), *map(order, range(5)), Cancelled(frozenset([2, 4, 7])))
    assert answer(connection) == (READY, None, None)
    numbers = []
    for _ in range(3):
        number, failure, batch = answer(connection)
        assert failure is None
        assert batch[1].tolist() == [number, number + 1]
        numbers.append(number)
    assert numbers == [0, 1, 3]
    assert not connection.poll()


def test_a_worker_goes_on_after_errors(connection: Any) -> None:
    ask(connection, Reader("DataLoader", sent.Unloadable(), None))
    number, failure, _ = answer(connection)
    assert (number, failure.description) == (READY, "ImportError: there is no such library")
    ask(connection, Reader("DataLoader", sent.Broken("FarAway"), sent.as_list), order(12), order(14))
    assert answer(connection)[0] == READY
    number, failure, _ = answer(connection)
    assert (number, failure.error, failure.notes) == (12, None, ["Raised by example 13: Broken[13]"])
    assert answer(connection)[:2] == (14, None)
    ask(connection, Reader("DataLoader", sent.Unsendable(), sent.as_list), order(1))
    assert answer(connection)[0] == READY
    assert "cannot be sent by its process" in answer(connection)[1].description


def test_generators_that_a_loader_does_not_find_are_seeded_for_each_batch() -> None:
    found, other, legacy = np.random.default_rng(1), np.random.default_rng(2), np.random.RandomState(2)
    python, system = random.Random(2), random.SystemRandom()

    def drawn() -> list[float]:
        return [
            other.random(),
            legacy.random_sample(),
            python.random(),
            random.random(),
            np.random.random(),  # noqa: NPY002
        ]

    state = random.getstate(), np.random.get_state()  # noqa: NPY002
    before = found.bit_generator.state
    generators = UnfoundGenerators([found], among=[found, "text", other, legacy, python, system])
    generators.seed(7, 0)
    first = drawn()
    generators.seed(7, 1)
    second = drawn()
    generators.seed(7, 0)
    assert drawn() == first
    assert len({*first, *second}) == 10
    assert found.bit_generator.state == before
    assert system.random() != system.random()
    random.setstate(state[0])
    np.random.set_state(state[1])  # noqa: NPY002
