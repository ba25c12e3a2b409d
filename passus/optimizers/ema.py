"""A moving average of the parameters, which often predicts better than the parameters themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from passus.arguments import checked_number
from passus.backend import Array
from passus.core import Parameter
from passus.optimizers.base import Hook, Target
from passus.optimizers.blocks import Scratch, blocks
from passus.optimizers.moments import average
from passus.tree import Tree, compare, flatten, unflatten

__all__ = ["EMA"]


class EMA(Hook):
    """Keep ``a <- decay * a + (1 - decay) * p`` for each parameter of a model (Polyak and Juditsky, 1992).

    Added to an optimizer it works after each update, beginning with a copy; `swap` puts the averages in place of the
    parameters for the length of a block.

    >>> from passus.optimizers import SGD
    >>> import numpy as np
    >>> from passus import Parameter
    >>> class Model:
    ...     W = Parameter(np.zeros(1))
    ...     def named_params(self):
    ...         yield "W", self.W
    >>> model = Model()
    >>> ema = EMA(model, decay=0.5)
    >>> ema.updated([])
    >>> model.W.data += 1.0
    >>> ema.updated([])
    >>> with ema.swap():
    ...     print(model.W)
    [0.5]
    """

    def __init__(self, model: Target, decay: float = 0.999) -> None:
        self.model = model
        self.decay = checked_number("EMA", "decay", decay, 0.0, 1.0)
        self.averages: dict[str, Array] = {}
        """The averages by the paths of the parameters."""
        self._scratch = Scratch()

    def updated(self, params: list[Parameter]) -> None:
        for path, p in self._named_params():
            if path not in self.averages:
                self.averages[path] = p.data.copy()
                continue
            for mean, x in blocks(self.averages[path], p.data):
                average(mean, x, self.decay, self._scratch(x))

    @contextmanager
    def swap(self) -> Iterator[None]:
        """Evaluate with the averages; the parameters come back at the end of the block, whatever happens in it."""
        own = [(p, p.data) for path, p in self._named_params() if path in self.averages]
        try:
            for path, p in self._named_params():
                p.data = self.averages.get(path, p.data)
            yield
        finally:
            for p, data in own:
                p.data = data

    def state_dict(self) -> Tree:
        """The averages, by path."""
        return unflatten(self.averages)

    def load_state_dict(self, state: Tree) -> None:
        """Take back the averages, all or nothing. Raises `WeightsError` with the list of what does not fit."""
        given = {path: np.asarray(x) for path, x in flatten(state).items()} if state else {}
        compare({path: p.data for path, p in self._named_params() if path in given}, given, "EMA.load_state_dict")
        self.averages = {path: x.copy() for path, x in given.items()}

    def _named_params(self) -> list[tuple[str, Parameter]]:
        """The parameters that have data: those of a lazy layer have not, before its first call."""
        return [(path, p) for path, p in self.model.named_params() if p._data is not None]
