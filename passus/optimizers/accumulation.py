"""Gradient accumulation: one update after several backward passes."""

from __future__ import annotations

from typing import Self

from passus.arguments import checked_count
from passus.backend import Array
from passus.backend.trace import host_call
from passus.constructors import CheckedOptions
from passus.core import Parameter
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.kernels.sums import at_least_float32
from passus.loading import Loading, Verified, leaf
from passus.optimizers.base import Optimizer
from passus.optimizers.options import Rate
from passus.optimizers.parameters import Target, check_gradient
from passus.optimizers.state import loaded_arrays
from passus.tree import Tree, check_tree, unflatten

__all__ = ["GradientAccumulation"]


class GradientAccumulation(Verified, CheckedOptions):
    """An optimizer that updates at every ``every``-th call only, with the mean of the gradients since the last update.

    Each call clears the gradients of the parameters, so the training loop need not. `flush` updates with the gradients
    of an incomplete group of calls; a `Trainer` calls it at the end of each epoch and of the training. Hooks and groups
    are those of ``optimizer``. Raises `ArgumentError` unless ``every`` is at least 1.

    >>> from passus.optimizers import SGD
    >>> GradientAccumulation(SGD(lr=0.1), every=4)
    GradientAccumulation(SGD(lr=0.1), step 0, every=4)
    """

    def __init__(self, optimizer: Optimizer, every: int) -> None:
        if not isinstance(optimizer, Optimizer):
            raise DTypeError(f"GradientAccumulation: {kind_of(optimizer)} is not an optimizer; give one, such as SGD()")
        self.optimizer = optimizer
        self.every = checked_count("GradientAccumulation", "every", every)
        self.calls = 0
        """Number of backward passes since the last update."""
        self._sums: dict[str, Array] = {}

    @property
    def lr(self) -> float:
        """The learning rate of the optimizer."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, lr: Rate) -> None:
        self.optimizer.lr = lr

    def setup(self, target: Target) -> Self:
        """Set the layer or model whose parameters are updated."""
        self.optimizer.setup(target)
        return self

    @host_call
    def update(self) -> None:
        """Add the gradients to the sums; at every ``every``-th call, update with their mean."""
        named = self._named_params()
        for path, p in named:
            if p.grad is not None and p.requires_grad:
                check_gradient("GradientAccumulation", path, p)
                g = p.grad.data
                if path in self._sums and self._sums[path].shape != g.shape:
                    raise ShapeError(
                        f"GradientAccumulation: {path} is {g.shape} now, and the gradients so far are "
                        f"{self._sums[path].shape}; "
                        "call flush() before it changes its shape"
                    )
                # Not in place: the sum may be a gradient array that has other references.
                self._sums[path] = self._sums[path] + g if path in self._sums else at_least_float32(g)
                p.cleargrad()
        self.calls += 1
        if self.calls >= self.every:  # It is greater after loading the state of a greater ``every``.
            self._update_with_mean(named)

    @host_call
    def flush(self) -> None:
        """Update with the mean of the gradients since the last update, if there are any."""
        if self.calls:
            self._update_with_mean(self._named_params())

    def _update_with_mean(self, named: list[tuple[str, Parameter]]) -> None:
        for path, p in named:
            if path in self._sums:
                p.grad = (self._sums[path] / self.calls).astype(p.dtype, copy=False)
        self._sums, self.calls = {}, 0
        try:
            self.optimizer.update()
        finally:  # After an error, too, the next batch starts without gradients.
            for _, p in named:
                p.cleargrad()

    def state_dict(self) -> Tree:
        """The state of the optimizer, the number of calls and the sums of gradients."""
        return {"optimizer": self.optimizer.state_dict(), "calls": self.calls, "sums": unflatten(self._sums)}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`. Raises `WeightsError` with the list of mismatches."""
        name = "GradientAccumulation"
        check_tree(f"{name}.load_state_dict", state, ["optimizer", "calls"])
        loading.verify(self.optimizer, state["optimizer"], "optimizer")
        loading.assign(self, "calls", checked_count(name, "calls", leaf(state["calls"]), low=0))
        loading.assign(self, "_sums", loaded_arrays(state, "sums", self._named_params(), loading, name))

    def _named_params(self) -> list[tuple[str, Parameter]]:
        if self.optimizer.target is None:
            raise ArgumentError("GradientAccumulation: no model to update; call setup(model) first")
        return list(self.optimizer.target.named_params())

    def __repr__(self) -> str:
        return f"GradientAccumulation({self.optimizer!r}, every={self.every})"
