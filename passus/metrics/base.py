"""What a metric is, and means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np

from passus.arguments import checked_callable, checked_number, checked_real
from passus.backend import Array, backend_of
from passus.config import no_grad
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of
from passus.loading import Loading, Verified, leaf
from passus.tree import Stateful, Tree, check_tree

__all__ = ["Averaged", "Mean", "MeanOf", "Metric", "here", "measured"]


R = TypeVar("R", covariant=True)


class Metric(Stateful, Protocol):
    """Anything that measures predictions batch by batch, and can say what it noted."""

    def update(self, y: Any, t: Any) -> None:
        """Take note of the predictions ``y`` of a batch and of the truth ``t``."""

    def compute(self) -> Any:
        """The measure of all that was noted; raises `ArgumentError` if that is nothing."""

    def reset(self) -> None:
        """Forget all that was noted."""


class Measures(Protocol[R]):
    """A metric, and what it computes."""

    def update(self, y: Any, t: Any) -> None: ...

    def compute(self) -> R: ...


def measured(metric: Measures[R], y: Any, t: Any) -> R:
    """The measure of one batch by a new metric."""
    metric.update(y, t)
    return metric.compute()


class Mean(Verified):
    """The mean of numbers, each with its weight: ``sum(w * x) / sum(w)``.

    The mean loss of batches of unequal size is right when each loss has the size of its batch as weight.

    >>> loss = Mean()
    >>> loss.update(1.0, weight=3)
    >>> loss.update(2.0, weight=1)
    >>> loss.compute()
    1.25
    """

    def __init__(self) -> None:
        self.reset()

    def update(self, value: Any, weight: float = 1.0) -> None:
        """Add a number, or a Variable or array of one element.

        Raises `ShapeError` for more elements, `ArgumentError` for a weight that is negative or not finite.
        """
        number = array_of("Mean", value)
        if number.size != 1:
            raise ShapeError(f"Mean: {number.shape} is not one number; pass the mean, and the batch size as weight")
        weight = checked_number("Mean", "weight", weight)
        if weight:  # What does not count may be NaN.
            self.total += weight * number.item()
            self.weight += weight

    def compute(self) -> float:
        """The mean. Raises `ArgumentError` if the weights add up to nothing."""
        if not self.weight:
            raise ArgumentError("Mean: no values yet; call update first")
        return self.total / self.weight

    def reset(self) -> None:
        """Forget all numbers."""
        self.total = 0.0
        self.weight = 0.0

    def state_dict(self) -> Tree:
        """The sums."""
        return {"total": self.total, "weight": self.weight}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first. Raises `WeightsError` if a sum is missing, `DTypeError` if it is no number."""
        where = "Mean.load_state_dict"
        check_tree(where, state, ["total", "weight"])
        loading.put(self, "total", checked_real(where, "total", leaf(state["total"])))
        loading.put(self, "weight", checked_number(where, "weight", leaf(state["weight"])))


class MeanOf(Mean):
    """The mean of what a function of prediction and target returns for each batch, weighted by the size of the batch.

    ``function(y, t)``: one number for a batch (N, ...), which is a mean over its examples. A `Trainer` makes one of each
    function among its metrics.

    >>> import numpy as np
    >>> metric = MeanOf(lambda y, t: abs(y - t).mean())
    >>> metric.update(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 0.0]))
    >>> metric.update(np.array([5.0]), np.array([0.0]))
    >>> metric.compute()
    2.0
    """

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        self.function = checked_callable("MeanOf", "function", function)
        super().__init__()

    def __deepcopy__(self, memo: dict[int, Any]) -> MeanOf:
        """A copy has sums of its own; the function may be that of an object of any size."""
        new = MeanOf(self.function)
        new.load_state_dict(self.state_dict())
        return new

    def update(self, y: Any, t: Any) -> None:  # type: ignore[override]  # a metric of a batch, not of a number
        """Call the function for a batch, unless that is empty."""
        size = _length(t if hasattr(t, "shape") else y)
        if size:
            with no_grad():
                value = self.function(y, t)
            if np.size(value) != 1 or value is None:
                if np.ndim(value):
                    raise ShapeError(
                        f"MeanOf: the function of y and t returned an array {np.shape(value)}; take its mean"
                    )
                raise DTypeError(
                    f"MeanOf: the function of y and t returned {kind_of(value)}; it must return one number"
                )
            super().update(value, weight=size)


class Averaged(Verified):
    """The base of metrics that are a mean over examples; a subclass writes ``update``, which adds to ``self._mean``.

    >>> class Largest(Averaged):
    ...     def update(self, y, t):
    ...         self._mean.update(y.max())
    >>> metric = Largest()
    >>> metric.update(np.array([1.0, 3.0]), None)
    >>> metric.compute()
    3.0
    """

    def __init__(self) -> None:
        self._mean = Mean()

    def compute(self) -> float:
        """The mean."""
        return self._mean.compute()

    def reset(self) -> None:
        """Forget all examples."""
        self._mean.reset()

    def state_dict(self) -> Tree:
        """The sums."""
        return self._mean.state_dict()

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first."""
        self._mean.verify_state(state, loading)


def here(array: Array) -> Array:
    """The array in main memory.

    >>> import numpy as np
    >>> here(np.zeros(2))
    array([0., 0.])
    """
    return backend_of(array).to_numpy(array)


def _length(x: Any) -> int:
    shape = getattr(x, "shape", ())
    return int(shape[0]) if shape else 1
