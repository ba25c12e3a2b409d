"""What a dataset is: something with a length whose items are found by number."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sized
from typing import Any

import numpy as np

from passus.backend import Array
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError
from passus.transforms import Compose, Transform

__all__ = ["ArrayDataset", "Dataset", "checked_index", "every_fifth"]


class Dataset:
    """Examples with labels: ``dataset[i]`` is ``(transform(data[i]), target_transform(label[i]))``.

    A subclass writes `prepare`, which sets ``data`` and, where there are labels, ``label``. One whose examples do not
    fit into memory writes ``__getitem__`` and ``__len__`` instead. Without labels, the second of the pair is None.

    Raises `ShapeError` if there are not as many labels as examples.

    >>> class Squares(Dataset):
    ...     def prepare(self):
    ...         self.data = np.arange(4, dtype=np.float32)
    ...         self.label = self.data**2
    >>> float(Squares()[3][1]), len(Squares())
    (9.0, 4)
    """

    data: Any = None
    label: Any = None

    def __init__(
        self, train: bool = True, transform: Transform | None = None, target_transform: Transform | None = None
    ) -> None:
        self.train = train
        self.transform: Transform = Compose() if transform is None else transform
        self.target_transform: Transform = Compose() if target_transform is None else target_transform
        self.prepare()
        if type(self).__getitem__ is Dataset.__getitem__:
            _check_lengths(type(self).__name__, self.data, self.label)

    def prepare(self) -> None:
        """Set ``data`` and ``label``; called once, when the dataset is made."""

    def __len__(self) -> int:
        return len(_present(self))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        i = checked_index(type(self).__name__, index)
        x = self.transform(_present(self)[i])
        return x, None if self.label is None else self.target_transform(self.label[i])

    @property
    def batch(self) -> Callable[[Array], tuple[Any, Any]] | None:
        """The function that takes many examples at once, by an array of their numbers, much faster than one by one.

        None where that is impossible: ``data`` or ``label`` is no array, a transform has no ``batch`` of its own, or a
        subclass has its own ``__getitem__``.
        """
        if type(self).__getitem__ is not Dataset.__getitem__:
            return None
        x, t = _column(self.data, self.transform), _column(self.label, self.target_transform)
        return None if x is None or t is None else lambda index: (x(index), t(index))

    @property
    def is_random(self) -> bool:
        """Whether a transform may draw random numbers, so that a loader gives it a generator for each batch."""
        return any(getattr(transform, "is_random", True) for transform in (self.transform, self.target_transform))


class ArrayDataset:
    """Arrays of one length as a dataset: ``dataset[i]`` is the tuple of their i-th rows.

    Raises `ShapeError` for arrays of different lengths, `DTypeError` for what is no array.

    >>> x, t = np.zeros((3, 2), np.float32), np.array([0, 1, 2])
    >>> ArrayDataset(x, t)[1]
    (array([0., 0.], dtype=float32), np.int64(1))
    """

    is_random = False

    def __init__(self, *arrays: Array) -> None:
        if not arrays:
            raise ArgumentError("ArrayDataset: no array was given; write ArrayDataset(x, t)")
        for array in arrays:
            if not isinstance(array, np.ndarray) or array.ndim == 0:
                raise DTypeError(
                    f"ArrayDataset: expected arrays (N, ...), not {type(array).__name__}; write np.array(x), or x.data for a "
                    "Variable"
                )
        if len({len(array) for array in arrays}) > 1:
            raise ShapeError(f"ArrayDataset: arrays of different lengths: {', '.join(str(a.shape) for a in arrays)}")
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        i = checked_index("ArrayDataset", index)
        if not -len(self) <= i < len(self):
            raise LabelError(f"ArrayDataset: there is no example {i}; there are {len(self)}")
        return tuple(array[i] for array in self.arrays)

    def batch(self, index: Array) -> tuple[Array, ...]:
        """The rows at many places at once."""
        return tuple(array.take(index, axis=0) for array in self.arrays)


def every_fifth(label: Array) -> Array:
    """Where the test samples are in data without a split of its own: every fifth sample of each class, by its place.

    >>> every_fifth(np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])).nonzero()
    (array([4, 9]),)
    """
    test = np.zeros(len(label), bool)
    for c in np.unique(label):
        test[np.flatnonzero(label == c)[4::5]] = True
    return test


def _column(array: Any, transform: Transform) -> Callable[[Array], Any] | None:
    """The function that takes many rows of ``array`` and transforms them at once, or None."""
    if array is None:
        return lambda index: None
    many = getattr(transform, "batch", None)
    if many is None or not isinstance(array, np.ndarray):
        return None
    return lambda index: many(array.take(index, axis=0))


def _present(dataset: Dataset) -> Any:
    if dataset.data is None:
        raise ArgumentError(
            f"{type(dataset).__name__}: no data; set self.data in prepare(), or define __getitem__ and __len__"
        )
    return dataset.data


def _check_lengths(name: str, data: Any, label: Any) -> None:
    lengths = [len(column) for column in (data, label) if isinstance(column, Sized) and np.iterable(column)]
    if len(set(lengths)) > 1:
        raise ShapeError(
            f"{name}: data has {lengths[0]} examples, but label has {lengths[1]}; prepare() must set equally many"
        )


def checked_index(name: str, index: Any) -> int:
    """``index`` as an int. Raises `DTypeError` if it is no integer; ``name`` is who asks.

    >>> checked_index("ArrayDataset", np.int64(3))
    3
    """
    try:
        return operator.index(index)
    except TypeError as error:
        raise DTypeError(
            f"{name}: an index must be one integer, not {index!r}; use Subset for a part and DataLoader for batches"
        ) from error
