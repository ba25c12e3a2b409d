"""Worker processes: the same batches as without them, for any number of workers."""

from __future__ import annotations

import copy
import dataclasses
import gc
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passus.config import no_grad, using_config
from passus.core import Variable
from passus.dataloaders import BucketDataLoader, DataLoader, PaddingCollate, SeqDataLoader
from passus.dataloaders.parcels import MAX_MAPPED
from passus.datasets import ArrayDataset, Subset
from passus.errors import ArgumentError, DTypeError, LoaderWorkerError
from passus.random import get_rng, seed
from passus.transforms import Compose, RandomCrop, RandomHorizontalFlip
from tests.dataloaders import sent


def augmentation() -> Compose:
    return Compose([RandomHorizontalFlip(rng=3), RandomCrop(48), sent.jittered])


LOADERS: dict[str, Callable[..., Any]] = {
    "arrays": lambda **options: DataLoader(ArrayDataset(np.arange(20.0), np.arange(20)), 3, rng=0, **options),
    "rows of an array": lambda **options: DataLoader(np.arange(60_000.0).reshape(20, -1), 3, **options),
    "a list": lambda **options: DataLoader(list("abcdefgh"), 3, shuffle=False, **options),
    "current generator": lambda **options: DataLoader(sent.FromCurrent(), 3, rng=0, **options),
    "own generator": lambda **options: DataLoader(sent.FromOwn(), 3, **options),
    "augmentation": lambda **options: DataLoader(sent.Images(transform=augmentation()), 4, drop_last=True, **options),
    "shared generator": lambda **options: DataLoader(
        sent.Images(transform=RandomHorizontalFlip(rng=get_rng())), 4, **options
    ),
    "structured": lambda **options: DataLoader(sent.Structured(6), 2, rng=1, collate=sent.as_list, **options),
    "padded": lambda **options: DataLoader(sent.Sentences(), 4, collate=PaddingCollate(-1), **options),
    "buckets": lambda **options: BucketDataLoader(Subset(sent.Sentences(), range(19)), 4, rng=0, **options),
    "streams": lambda **options: SeqDataLoader(sent.FromCurrent(), 3, **options),
}


def epochs_of(make: Callable[..., Any], spawned: Any = None, **options: Any) -> list[Any]:
    """All batches of two epochs, and those of one that is abandoned in between.

    ``spawned``: a loader whose processes are used.
    """
    seed(5)
    sent.GLOBAL.bit_generator.state = np.random.default_rng(7).bit_generator.state
    loader = make(**options)
    if spawned is not None:
        loader._processes = spawned._processes
        return [*loader, *islice(loader, 2), *loader]
    with loader:
        return [*loader, *islice(loader, 2), *loader]


def check_same(a: Any, b: Any) -> None:
    """Check that two batches are equal in each bit, type and layout."""
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.flags.f_contiguous, a.flags.writeable) == (
            b.dtype,
            b.shape,
            b.flags.f_contiguous,
            b.flags.writeable,
        )
        assert a.tolist() == b.tolist() if a.dtype.hasobject else a.tobytes() == b.tobytes()
    elif isinstance(a, Variable):
        check_same(a.data, b.data)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        check_same(list(a.values()), list(b.values()))
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            check_same(x, y)
    elif dataclasses.is_dataclass(a):
        check_same(vars(a), vars(b))
    else:
        assert a == b


@pytest.mark.parametrize("name", LOADERS)
def test_batches_do_not_depend_on_the_workers(name: str) -> None:
    expected = epochs_of(LOADERS[name])
    check_same(epochs_of(LOADERS[name], workers=2), expected)
    for workers in (1, 2, 3):
        check_same(epochs_of(LOADERS[name], workers=workers, processes="forkserver"), expected)


def test_batches_do_not_depend_on_the_start_method() -> None:
    """The dataset and the collate function are exchanged, so that processes are spawned once."""
    options: Any = {"workers": 2, "processes": "spawn"}
    with DataLoader(np.arange(3), 1, **options) as spawned:
        list(spawned)
        pids = pids_of(spawned)
        for make in LOADERS.values():
            check_same(epochs_of(partial(make, **options), spawned), epochs_of(make))
        assert pids_of(spawned) == pids


def pids_of(loader: Any) -> list[int]:
    return [worker.process.pid for worker in loader._processes._workers]


def is_running(pid: int) -> bool:
    """Whether a process exists; one that has ended may remain until its parent asks for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.fixture
def two() -> Iterator[Callable[..., Any]]:
    """Make loaders with two processes, which are stopped after the test."""
    loaders: list[Any] = []

    def make(dataset: Any, batch_size: int = 2, **options: Any) -> Any:
        loaders.append(DataLoader(dataset, batch_size, **{"workers": 2, "processes": "forkserver", **options}))
        return loaders[-1]

    yield make
    for loader in loaders:
        pids = pids_of(loader)
        loader.close()
        assert not any(map(is_running, pids))


def test_no_two_examples_draw_the_same_numbers() -> None:
    rows = []
    for workers in (1, 2, 3):
        with DataLoader(
            sent.FromHidden(), 3, shuffle=False, rng=0, workers=workers, processes="forkserver", collate=sent.as_list
        ) as loader:
            epochs = [[example for batch in loader for example in batch] for _ in range(2)]
        numbers = [number for epoch in epochs for drawn, _ in epoch for number in drawn]
        assert len(set(numbers)) == len(numbers) == 2 * 20 * 5
        rows.append(numbers)
    assert rows[0] == rows[1] == rows[2]


@pytest.mark.parametrize("stop", [0, 3, 10])
def test_an_epoch_resumes_in_its_middle(stop: int, two: Any) -> None:
    loader = two(sent.FromOwn(), rng=0)
    batches = iter(loader)
    list(islice(batches, stop))
    state = loader.state_dict()
    assert state["iteration"] == stop
    rest = [*batches, *loader]
    for other in (two(sent.FromOwn(), rng=9), DataLoader(sent.FromOwn(), 2, rng=8)):
        next(other)
        other.load_state_dict(state)
        check_same([*other, *other], rest)


def test_processes_are_kept_for_the_next_epoch_and_after_an_abandoned_one(two: Any) -> None:
    loader = two(sent.Examples(), shuffle=False)
    first = list(loader)
    pids = pids_of(loader)
    for _ in loader:
        break
    next(loader)
    assert len(pids) == 2
    check_same(list(loader), first)
    assert pids_of(loader) == pids
    loader.workers = 3
    check_same(list(loader), first)
    assert len(pids_of(loader)) == 3
    loader.close()
    assert pids_of(loader) == []
    check_same(list(loader), first)


def test_two_loops_over_one_loader_are_independent(two: Any) -> None:
    loader = two(sent.Examples(), shuffle=False)
    expected = [x.tolist() for x, _ in DataLoader(sent.Examples(), 2, shuffle=False)]
    for (x, _), (y, _) in zip(loader, loader):
        assert x.tolist() == y.tolist()
    outer = []
    for x, _ in islice(loader, 4):
        assert [y.tolist() for y, _ in loader] == expected
        outer.append(x.tolist())
    assert outer == expected[:4]


def test_two_threads_may_read_from_one_loader(two: Any) -> None:
    loader, results = two(sent.Examples(), shuffle=False), []

    def read() -> None:
        results.append([x.tolist() for x, _ in loader])

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[x.tolist() for x, _ in DataLoader(sent.Examples(), 2, shuffle=False)]] * 3


def test_a_batch_that_is_kept_never_changes(two: Any) -> None:
    loader = two(sent.Structured(6), 1, shuffle=False, collate=sent.as_list)
    kept, copies = [], []
    for _ in range(3):
        for batch in loader:
            kept.append(batch)
            copies.append(copy.deepcopy(batch))
            batch[0]["C"][0] = 3  # It belongs to the user.
            copies[-1][0]["C"][0] = 3
            copies[-1][0]["frozen"].flags.writeable = False
    check_same(kept, copies)


def test_many_batches_may_be_kept(two: Any) -> None:
    """Each mapped array is an open file, of which a process may have a thousand."""
    data = np.arange(10_000.0 * 300).reshape(300, -1)
    descriptors = open_files()
    kept = list(two(data, 1, shuffle=False))
    assert open_files() <= descriptors + MAX_MAPPED + 20
    np.testing.assert_array_equal(np.concatenate(kept), data)
    del kept
    gc.collect()
    assert open_files() <= descriptors + 20


def test_changes_of_the_dataset_are_seen_by_the_next_epoch(two: Any) -> None:
    dataset = sent.Changing()
    loader = two(dataset, 4, shuffle=False)

    def seen() -> list[list[float]]:
        return [values.tolist() for batch in loader for values in batch[:2]]

    assert seen() == [[0] * 4, [1] * 4] * 2
    assert seen() == [[0] * 4, [2] * 4] * 2, "what reading changes stays in the workers"
    assert not dataset.table.any()
    pids, batches = pids_of(loader), iter(loader)
    next(batches)
    dataset.level, dataset.table[5] = 1, 10
    assert [levels.tolist() for levels, *_ in batches] == [[0] * 4]
    assert seen() == [[1] * 4, [1] * 4, [1] * 4, [1, 11, 1, 1]]
    dataset.size = 4
    assert len(seen()) == 2
    loader.dataset = sent.Examples(4)
    assert seen() == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert pids_of(loader) == pids


def test_workers_share_the_arrays_of_the_dataset(two: Any) -> None:
    assert all(mapped.all() for *_, mapped in two(sent.Changing(), shuffle=False))


@pytest.mark.parametrize("mode", ["r", "r+", "w+", "c"])
def test_mapped_files_are_opened_by_the_workers(mode: Any, tmp_path: Path, two: Any) -> None:
    rows = np.arange(160_000, dtype=np.float32).reshape(8, -1)
    rows.tofile(tmp_path / "rows")
    dataset = sent.Reading(tmp_path / "rows", mode)
    if mode == "w+":
        dataset.rows[:] = rows
    read = list(two(dataset, 8, shuffle=False))
    values, are_files = read[0]
    assert values.tolist() == rows[:, 0].tolist()
    assert are_files.all() == (mode != "c")
    del dataset
    assert np.fromfile(tmp_path / "rows", np.float32).tolist() == rows.ravel().tolist()


def test_workers_inherit_switches_and_treatment_of_errors(two: Any) -> None:
    loader = two(sent.Environment(), 1, collate=sent.as_list)
    ((switches, errors, (pid, threads, ignores)),) = next(iter(loader))
    assert (switches["enable_backprop"], switches["train"], errors["divide"]) == (True, True, "warn")
    assert pid in pids_of(loader)
    assert threads == 1
    assert ignores
    with no_grad(), using_config("train", False), np.errstate(divide="raise"):
        ((switches, errors, _),) = next(iter(loader))
    assert (switches["enable_backprop"], switches["train"], errors["divide"]) == (False, False, "raise")
    ((switches, *_),) = next(iter(loader))
    assert switches["enable_backprop"]


def warn_of(examples: Any) -> Any:
    warnings.warn("rare", UserWarning, stacklevel=1)
    return examples


def test_workers_inherit_filters_of_warnings(two: Any) -> None:
    class Local(UserWarning):
        """Cannot be sent."""

    loader = two(sent.Examples(2), 1, collate=warn_of)
    with pytest.raises(UserWarning, match="rare"):
        list(loader)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Local)
        warnings.simplefilter("ignore", UserWarning)
        assert len(list(loader)) == 2


def test_a_copy_of_a_loader_starts_its_own_processes(two: Any) -> None:
    loader = two(sent.Examples(), shuffle=False)
    first = list(loader)
    for other in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
        with other:
            check_same(list(other), first)
            assert not set(pids_of(other)) & set(pids_of(loader))


def test_a_loader_shows_its_processes(two: Any) -> None:
    assert "workers: 2 processes (forkserver)" in repr(two(sent.Examples()))


def test_processes_end_with_their_loader() -> None:
    loader = DataLoader(sent.Examples(), 2, workers=2, processes="forkserver")
    batches = iter(loader)
    next(batches)
    next(loader)
    pids = pids_of(loader)
    assert all(map(is_running, pids))
    del loader, batches
    gc.collect()
    assert not any(map(is_running, pids))


def test_a_process_that_ended_between_epochs_is_replaced(two: Any) -> None:
    loader = two(sent.Examples(), shuffle=False)
    first = list(loader)
    loader._processes._workers[1].process.kill()
    loader._processes._workers[1].process.join()
    check_same(list(loader), first)


def test_a_loop_whose_processes_were_stopped_raises(two: Any) -> None:
    loader = two(sent.Examples())
    batches = iter(loader)
    next(batches)
    loader._processes.close()
    with pytest.raises(LoaderWorkerError, match="have been stopped"):
        list(batches)
    assert len(list(loader)) == 10


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"processes": "fork", "workers": 1}, ArgumentError, "would lack the threads of kernels"),
        ({"processes": True, "workers": 1}, ArgumentError, "processes is True"),
        ({"processes": ["spawn"], "workers": 1}, ArgumentError, "processes is"),
        ({"processes": np.array(["spawn"] * 2), "workers": 1}, ArgumentError, "processes is"),
        ({"processes": "spawn"}, ArgumentError, "needs workers"),
        ({"multiprocessing_context": "spawn"}, DTypeError, "processes"),
        ({"persistent_workers": True}, DTypeError, "leave it out"),
    ],
)
@pytest.mark.parametrize("kind", [DataLoader, BucketDataLoader, SeqDataLoader])
def test_invalid_options_raise(kind: Any, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        kind(sent.Examples(), 2, **options)


@pytest.mark.parametrize(
    ("dataset", "options", "words"),
    [
        (
            sent.Examples(),
            {"collate": lambda examples: examples},
            r"collate cannot be sent to processes: it is the func",
        ),
        (
            sent.Images(transform=Compose([np.abs, lambda x: x])),
            {},
            r"dataset\.transform\.transforms\[1\] cannot be sent to processes: it is the function .*<lambda>",
        ),
        ([threading.Lock()], {}, r"dataset\[0\] cannot be sent to processes: it is a lock"),
        (
            sent.Images(transform=partial(np.clip, a_min={"x": threading.Lock()})),
            {},
            r"dataset\.transform\.keywords\['a_min'\]\['x'\]",
        ),
    ],
)
def test_objects_that_cannot_be_sent_are_named(dataset: Any, options: Any, words: str, two: Any) -> None:
    loader = two(dataset, 1, **options)
    with pytest.raises(DTypeError, match=words) as caught:
        list(loader)
    assert "to use threads" in str(caught.value)
    assert pids_of(loader) == []
