"""The interface of metrics, and means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from passus.arguments import checked_callable, checked_number, checked_real
from passus.backend import Array, backend_of
from passus.config import no_grad
from passus.display import html_fields, numbers
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of
from passus.loading import Loading, Verified, leaf
from passus.tree import Stateful, Tree, check_tree

__all__ = ["Averaged", "DisplayedMetric", "Mean", "MeanOf", "Metric", "measured", "on_host"]
R = TypeVar("R", covariant=True)


class Metric(Stateful, Protocol):
    """A measure of predictions that is accumulated batch by batch and has a state that can be saved."""

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of predictions ``y`` and targets ``t``."""

    def compute(self) -> Any:
        """The value over all batches. Raises `ArgumentError` if there were no examples."""

    def reset(self) -> None:
        """Discard all batches."""


class SupportsCompute(Protocol[R]):
    """A metric whose `compute` returns ``R``."""

    def update(self, y: Any, t: Any) -> None: ...

    def compute(self) -> R: ...


def measured(metric: SupportsCompute[R], y: Any, t: Any) -> R:
    """The value of a new metric for one batch."""
    metric.update(y, t)
    return metric.compute()


class DisplayedMetric(Verified):
    """The base of metrics that show their name and value.

    >>> class Zero(DisplayedMetric):
    ...     def compute(self):
    ...         return 0.0
    >>> Zero()
    Zero: 0
    """

    def compute(self) -> Any:
        """The value over all batches."""
        raise NotImplementedError(
            f"{type(self).__name__}.compute is not implemented; it returns the value of the metric"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self._shown()}"

    def _repr_html_(self) -> str:
        return html_fields(type(self).__name__, {"value": self._shown()})

    def _shown(self) -> str:
        try:
            return numbers(np.asarray(self.compute()))
        except ArgumentError:
            return "no values yet"


class Mean(DisplayedMetric):
    """The weighted mean of numbers, ``sum(w * x) / sum(w)``.

    To average losses over batches of unequal sizes, pass the batch size as weight.

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
            raise ShapeError(
                f"Mean: shape {number.shape} is not one number; pass the mean, and the batch size as weight"
            )
        weight = checked_number("Mean", "weight", weight)
        if weight:  # A value with weight 0 may be NaN.
            self.total += weight * number.item()
            self.weight += weight

    def compute(self) -> float:
        """The mean. Raises `ArgumentError` if the weights sum to 0."""
        if not self.weight:
            raise ArgumentError("Mean: no values yet; call update first")
        return self.total / self.weight

    def reset(self) -> None:
        """Discard all numbers."""
        self.total = 0.0
        self.weight = 0.0

    def state_dict(self) -> Tree:
        """The sums."""
        return {"total": self.total, "weight": self.weight}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state. Raises `WeightsError` for a missing sum, `DTypeError` for one that is not a number."""
        where = "Mean.load_state_dict"
        check_tree(where, state, ["total", "weight"])
        loading.assign(self, "total", checked_real(where, "total", leaf(state["total"])))
        loading.assign(self, "weight", checked_number(where, "weight", leaf(state["weight"])))


class MeanOf(Mean):
    """The mean of a function of predictions and targets over batches, weighted by batch size.

    ``function(y, t)``: returns one number, a mean over the examples of a batch (N, ...). A `Trainer` wraps functions among
    its metrics in this class.

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
        """Copy the sums, but not the function, which may be bound to a large object."""
        new = MeanOf(self.function)
        new.load_state_dict(self.state_dict())
        return new

    def update(self, y: Any, t: Any) -> None:  # type: ignore[override]  # a metric of a batch, not of a number
        """Add the value of the function for a batch; an empty batch is skipped."""
        size = _length(t if hasattr(t, "shape") else y)
        if size:
            with no_grad():
                value = self.function(y, t)
            if np.size(value) != 1 or value is None:
                if np.ndim(value):
                    raise ShapeError(
                        f"MeanOf: the function of y and t returned an array {np.shape(value)}; return its mean"
                    )
                raise DTypeError(
                    f"MeanOf: the function of y and t returned {kind_of(value)}; it must return one number"
                )
            super().update(value, weight=size)


class Averaged(DisplayedMetric):
    """The base of metrics that are means over examples; subclasses define ``update``, which adds to ``self._mean``.

    >>> class Largest(Averaged):
    ...     def update(self, y, t):
    ...         self._mean.update(y.max())
    >>> metric = Largest()
    >>> metric.update(np.array([1.0, 3.0]), None)
    >>> metric.compute()
    3.0
    """

    needs: ClassVar[str] = ""
    """What `update` must be given for `compute` to have a value, as the end of a message."""

    def __init__(self) -> None:
        self._mean = Mean()

    def compute(self) -> float:
        """The mean. Raises `ArgumentError` if nothing was counted."""
        if not self._mean.weight:
            raise ArgumentError(f"{type(self).__name__}: no values yet; call update first{self.needs}")
        return self._mean.compute()

    def reset(self) -> None:
        """Discard all examples."""
        self._mean.reset()

    def state_dict(self) -> Tree:
        """The sums."""
        return self._mean.state_dict()

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state; see `Mean.verify_state`."""
        self._mean.verify_state(state, loading)


def on_host(array: Array) -> Array:
    """The array in main memory.

    >>> import numpy as np
    >>> on_host(np.zeros(2))
    array([0., 0.])
    """
    return backend_of(array).to_numpy(array)


def _length(x: Any) -> int:
    shape = getattr(x, "shape", ())
    return int(shape[0]) if shape else 1
