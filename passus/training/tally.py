"""The mean loss and the metrics of an epoch, accumulated batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from types import NoneType
from typing import Any

import numpy as np

from passus.backend import is_array
from passus.core import Variable
from passus.errors import ArgumentError, DTypeError, PassusError, WeightsError, kind_of
from passus.loading import Loading, Verified
from passus.metrics import Mean, MeanOf, Metric
from passus.tree import Stateful, Tree, check_tree

__all__ = ["Tally", "numbers", "size_of"]


class Tally(Verified):
    """The mean loss and the metrics of the batches so far; the mean is weighted by the sizes of the batches.

    >>> tally = Tally()
    >>> tally.update(0.5, None, None, size=1)
    >>> tally.update(2.0, None, None, size=2)
    >>> tally.compute()
    {'loss': 1.5}
    """

    def __init__(self, metrics: Mapping[str, Metric | Callable[[Any, Any], Any]] | None = None) -> None:
        self.loss = Mean()
        if not isinstance(metrics, (Mapping, NoneType)):
            raise DTypeError(f"Trainer: metrics is {kind_of(metrics)}; give a dict, {{'accuracy': Accuracy()}}")
        self.metrics = {name: _checked_metric(name, metric) for name, metric in (metrics or {}).items()}

    def update(self, loss: Any, y: Any, t: Any, size: int) -> None:
        """Add a batch."""
        self.loss.update(loss, weight=size)
        for name, metric in self.metrics.items():
            try:
                metric.update(y, t)
            except PassusError as error:
                error.within(f"metric {name!r}")
                raise

    def compute(self) -> dict[str, Any]:
        """The mean loss and the value of each metric."""
        return {"loss": self.loss.compute(), **{name: metric.compute() for name, metric in self.metrics.items()}}

    def reset(self) -> None:
        """Discard all batches."""
        for metric in (self.loss, *self.metrics.values()):
            metric.reset()

    def fresh(self) -> Tally:
        """An empty tally of the same metrics."""
        new = Tally(self.metrics)
        new.reset()
        return new

    def state_dict(self) -> Tree:
        """The states of the loss and of the metrics."""
        return {name: metric.state_dict() for name, metric in self._stateful().items()}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`. Raises `WeightsError` for other metrics."""
        metrics = self._stateful()
        check_tree("Trainer", state)
        if state.keys() != metrics.keys():
            named = ", ".join(map(str, state))[:200]
            raise WeightsError(f"Trainer: the state has {named}, and the trainer {', '.join(metrics)}")
        for name, metric in metrics.items():
            loading.verify(metric, state[name], name)

    def _stateful(self) -> dict[str, Stateful]:
        return {"loss": self.loss, **self.metrics}


def _checked_metric(name: Any, metric: Any) -> Metric:
    """Copy a metric, or make one from a function."""
    if not isinstance(name, str) or name in ("epoch", "step", "lr", "loss") or "." in name:
        raise ArgumentError(f"Trainer: a metric cannot be named {name!r}; choose another name, without a dot")
    if callable(metric) and not isinstance(metric, (type, Stateful)):
        return MeanOf(metric)
    if isinstance(metric, type) or not isinstance(metric, Stateful) or not hasattr(metric, "compute"):
        raise DTypeError(
            f"Trainer: the metric {name!r} is {kind_of(metric)}; give a Metric, such as Accuracy(), or a function "
            "of y and t"
        )
    return copy.deepcopy(metric)  # type: ignore[return-value]  # it has a state and compute


def numbers(measures: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The measures that are single numbers, for a row of the history; a confusion matrix is not."""
    return {f"{prefix}{name}": float(value) for name, value in measures.items() if np.ndim(value) == 0}


def size_of(batch: Any) -> int:
    """Number of examples in a batch: the length of its first array, or 1 if it has no array."""
    first = next(_arrays(batch), None)
    return len(first) if first is not None and first.ndim else 1


def _arrays(batch: Any) -> Iterator[Any]:
    """The arrays in a batch, at any depth."""
    if isinstance(batch, Mapping):
        batch = tuple(batch.values())
    if isinstance(batch, (tuple, list)):
        for item in batch:
            yield from _arrays(item)
    elif is_array(batch) or isinstance(batch, Variable):
        yield batch
