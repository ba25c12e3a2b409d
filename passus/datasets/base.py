"""The base classes of datasets: objects with a length whose examples are read by index."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from passus.backend import Array
from passus.display import ShowsFields, described_value, kind_of_array, numbers
from passus.errors import ArgumentError, DTypeError, LabelError, PassusError, ShapeError, kind_of
from passus.transforms import Compose, Transform

__all__ = ["ArrayDataset", "Dataset", "checked_index", "dataset_length", "described_column", "every_fifth"]


class Dataset(ShowsFields):
    """Examples with labels: ``dataset[i]`` is ``(transform(data[i]), target_transform(label[i]))``.

    A subclass defines `prepare`, which sets ``data`` and, if the examples are labelled, ``label``. A subclass whose
    examples do not fit in memory defines ``__getitem__`` and ``__len__`` instead. Without labels, the second element of
    each pair is None.

    Raises `ArgumentError` if `prepare` is missing or does not set ``data``, `DTypeError` for data or labels without rows,
    `ShapeError` if the numbers of labels and examples differ.

    >>> class Squares(Dataset):
    ...     def prepare(self):
    ...         self.data = np.arange(4, dtype=np.float32)
    ...         self.label = self.data**2
    >>> float(Squares()[3][1]), len(Squares())
    (9.0, 4)
    """

    data: Any = None
    label: Any = None
    # For subclasses that do not call the constructor.
    train: bool = True
    transform: Transform = Compose()
    target_transform: Transform = Compose()

    def __init__(
        self, train: bool = True, transform: Transform | None = None, target_transform: Transform | None = None
    ) -> None:
        self.train = train
        self.transform = Compose() if transform is None else transform
        self.target_transform = Compose() if target_transform is None else target_transform
        try:
            self.prepare()
        except AttributeError as error:
            if error.obj is self:
                error.add_note(
                    "Dataset.__init__ calls prepare(): set the attributes that it reads before super().__init__()"
                )
            raise
        if type(self).__getitem__ is Dataset.__getitem__ and not self._is_filled_later():
            _check_columns(type(self).__name__, _checked_data(self), self.label)

    def _is_filled_later(self) -> bool:
        """Whether ``data`` may be set by the constructor of a subclass, after this one."""
        cls = type(self)
        return self.data is None and cls.prepare is Dataset.prepare and cls.__init__ is not Dataset.__init__

    def prepare(self) -> None:
        """Set ``data`` and ``label``; called once, by the constructor."""

    def __len__(self) -> int:
        return len(_checked_data(self))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        i = checked_index(type(self).__name__, index)
        x = self.transform(_checked_data(self)[i])
        return x, None if self.label is None else self.target_transform(self.label[i])

    def _fields(self) -> dict[str, object]:
        columns = {name: described_column(array) for name, array in (("data", self.data), ("label", self.label))}
        transform = described_value(self.transform)
        return {"examples": dataset_length(self), **columns, "train": self.train, "transform": transform}

    @property
    def batch(self) -> Callable[[Array], tuple[Any, Any]] | None:
        """A function from an array of indices to a batch of examples, much faster than reading them one by one.

        None if batches cannot be read as a whole: ``data`` or ``label`` is not an array, a transform has no ``batch``
        method, or a subclass overrides ``__getitem__``.
        """
        if type(self).__getitem__ is not Dataset.__getitem__:
            return None
        x, t = _column(self.data, self.transform), _column(self.label, self.target_transform)
        return None if x is None or t is None else lambda index: (x(index), t(index))

    @property
    def is_random(self) -> bool:
        """Whether a transform may draw random numbers; if so, a loader seeds a generator for each batch."""
        return any(getattr(transform, "is_random", True) for transform in (self.transform, self.target_transform))


class ArrayDataset(ShowsFields):
    """Arrays of equal length as a dataset: ``dataset[i]`` is the tuple of their i-th rows.

    Raises `ShapeError` for arrays of different lengths, `DTypeError` for arguments that are not arrays.

    >>> x, t = np.zeros((3, 2), np.float32), np.array([0, 1, 2])
    >>> ArrayDataset(x, t)[1]
    (array([0., 0.], dtype=float32), np.int64(1))
    """

    is_random = False

    def __init__(self, *arrays: Array) -> None:
        if not arrays:
            raise ArgumentError("ArrayDataset: expected at least one array; write ArrayDataset(x, t)")
        for array in arrays:
            if not isinstance(array, np.ndarray) or array.ndim == 0:
                raise DTypeError(
                    f"ArrayDataset: expected arrays (N, ...), not {type(array).__name__}; write np.array(x), or x.data for a "
                    "Variable"
                )
        if len({len(array) for array in arrays}) > 1:
            shapes = ", ".join(str(a.shape) for a in arrays)
            raise ShapeError(f"ArrayDataset: arrays have different lengths: {shapes}; their first axes must be equal")
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        i = checked_index("ArrayDataset", index)
        if not -len(self) <= i < len(self):
            raise LabelError(f"ArrayDataset: index {i} is out of range for {len(self)} examples")
        return tuple(array[i] for array in self.arrays)

    def _fields(self) -> dict[str, object]:
        columns = {f"array {i}": described_column(array) for i, array in enumerate(self.arrays)}
        return {"examples": len(self), **columns}

    def batch(self, index: Array) -> tuple[Array, ...]:
        """The rows of all arrays at these indices."""
        return tuple(array.take(index, axis=0) for array in self.arrays)


def every_fifth(label: Array) -> Array:
    """A boolean mask of the test samples, for data without a predefined split: every fifth sample of each class.

    >>> every_fifth(np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])).nonzero()
    (array([4, 9]),)
    """
    test = np.zeros(len(label), bool)
    for c in np.unique(label):
        test[np.flatnonzero(label == c)[4::5]] = True
    return test


def _column(array: Any, transform: Transform) -> Callable[[Array], Any] | None:
    """A function that reads and transforms many rows of ``array`` at once, or None if that is impossible."""
    if array is None:
        return lambda index: None
    transform_batch = getattr(transform, "batch", None)
    if transform_batch is None or not isinstance(array, np.ndarray):
        return None
    return lambda index: transform_batch(array.take(index, axis=0))


def _checked_data(dataset: Dataset) -> Any:
    if dataset.data is None:
        raise ArgumentError(
            f"{type(dataset).__name__}: no data; set self.data in prepare(), which Dataset.__init__ calls, or define "
            "__getitem__ and __len__"
        )
    return dataset.data


def described_column(array: Any) -> str:
    """The dtype, shape and numbers of a column of a dataset; the type of a column that is not an array.

    >>> described_column(np.arange(3)), described_column(["a", "b"])
    ('int64[3]  [0 1 2]', 'list')
    """
    if isinstance(array, np.ndarray) and array.dtype.kind != "O":
        return f"{kind_of_array(array)}  {' '.join(numbers(array).split())}".rstrip()
    return "none" if array is None else type(array).__name__


def dataset_length(dataset: Any) -> str:
    """The number of examples; "unknown" for an object without a length.

    >>> dataset_length([1, 2, 3]), dataset_length(iter([1]))
    ('3', 'unknown')
    """
    try:
        return f"{len(dataset):,}"
    except (TypeError, PassusError):
        return "unknown"


def _check_columns(name: str, data: Any, label: Any) -> None:
    columns = {"data": data} if label is None else {"data": data, "label": label}
    for column, rows in columns.items():
        if not _has_rows(rows):
            raise DTypeError(
                f"{name}: {column} is {kind_of(rows)}; prepare() must set an array or list with a row for each example"
            )
    lengths = [len(rows) for rows in columns.values()]
    if len(set(lengths)) > 1:
        raise ShapeError(
            f"{name}: data has {lengths[0]} examples, but label has {lengths[1]}; prepare() must set the same number"
        )


def _has_rows(rows: Any) -> bool:
    """Whether ``rows[i]`` is the i-th of ``len(rows)`` rows; that of a mapping or a table of pandas is a column."""
    if isinstance(rows, Mapping) or hasattr(rows, "iloc") or not hasattr(rows, "__getitem__"):
        return False
    return bool(rows.ndim) if hasattr(rows, "ndim") else hasattr(rows, "__len__")


def checked_index(name: str, index: Any) -> int:
    """``index`` as an int; ``name``: the dataset, for the message. Raises `DTypeError` if it is not an integer.

    >>> checked_index("ArrayDataset", np.int64(3))
    3
    """
    try:
        return operator.index(index)
    except TypeError as error:
        raise DTypeError(
            f"{name}: an index must be one integer, not {index!r}; use Subset to select examples, DataLoader for batches"
        ) from error
