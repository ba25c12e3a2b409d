"""Exponential moving average of parameters, which often predicts better than the parameters themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from passus.arguments import checked_number
from passus.backend import Array, copied, writable
from passus.core import Parameter
from passus.errors import ShapeError
from passus.kernels.blocks import Scratch, blocks
from passus.kernels.sums import at_least_float32
from passus.kernels.updates import average
from passus.loading import Loading, Verified, leaf
from passus.optimizers.hooks import Hook
from passus.optimizers.parameters import Target, check_target
from passus.optimizers.state import loaded_arrays
from passus.tree import Tree, check_tree, unflatten

__all__ = ["EMA"]


class EMA(Verified, Hook):
    """Keep ``a <- decay * a + (1 - decay) * p`` for each parameter of a model (Polyak and Juditsky, 1992).

    As a hook of an optimizer it runs after each update; the averages start as copies. `swap` replaces the parameters by
    copies of the averages inside a block; changes made to them in the block are lost at its end.

    >>> import numpy as np
    >>> from passus.layers import Linear
    >>> from passus.optimizers import SGD
    >>> model = Linear(2, in_size=3)
    >>> ema = EMA(model, decay=0.99)
    >>> SGD().setup(model).add_hook(ema)
    >>> with ema.swap():
    ...     y = model(np.ones((1, 3), np.float32))

    Raises `ArgumentError` unless ``0 <= decay < 1``. Buffers, such as the statistics of batch normalization, are not
    averaged.
    """

    def __init__(self, model: Target, decay: float = 0.999) -> None:
        check_target("EMA", model)
        self.model = model
        self.decay = checked_number("EMA", "decay", decay, 0.0, 1.0)
        self.averages: dict[str, Array] = {}
        """The averages, by path of the parameter."""
        self._scratch = Scratch()
        self._swapped = 0
        """Number of active `swap` blocks."""

    def updated(self, params: list[Parameter]) -> None:
        if self._swapped:
            return
        for path, p in self._named_params():
            if path not in self.averages:
                self.averages[path] = at_least_float32(copied(p.data))
                continue
            if self.averages[path].shape != p.shape:
                raise ShapeError(
                    f"EMA: {path} is {p.shape} now, and its average {self.averages[path].shape}; create a new EMA "
                    "after "
                    "its shape changes"
                )
            whole = writable(self.averages[path], partial(self.averages.__setitem__, path))
            for mean, x in blocks(whole, p.data):
                average(mean, at_least_float32(x), self.decay, self._scratch(mean))

    @contextmanager
    def swap(self) -> Iterator[None]:
        """Use the averages as parameters inside a block; its end restores the parameters, also after an error."""
        swapped = [(p, p.data, self.averages[path]) for path, p in self._named_params() if path in self.averages]
        self._swapped += 1
        try:
            for p, _, mean in swapped:
                p.data = mean.astype(p.dtype)
            yield
        finally:
            self._swapped -= 1
            for p, data, _ in swapped:
                p.data = data

    def state_dict(self) -> Tree:
        """The decay, and copies of the averages by path."""
        return {
            "decay": self.decay,
            "averages": unflatten({path: copied(mean) for path, mean in self.averages.items()}),
        }

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`. Raises `WeightsError` with the list of mismatches."""
        check_tree("EMA.load_state_dict", state, ["decay"])
        averages = loaded_arrays(state, "averages", self.model.named_params(), loading, "EMA")
        loading.assign(self, "averages", averages)
        loading.assign(self, "decay", checked_number("EMA", "decay", leaf(state["decay"]), 0.0, 1.0))

    def _named_params(self) -> list[tuple[str, Parameter]]:
        """The parameters that have data, unlike those of a lazy layer before its first call."""
        return [(path, p) for path, p in self.model.named_params() if p._data is not None]
