"""The type of transforms, and their composition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

import numpy as np

from passus.arguments import checked_callable
from passus.display import described_value
from passus.errors import DTypeError, kind_of

__all__ = ["Compose", "Transform"]

Transform: TypeAlias = Callable[[Any], Any]
"""A function of one example."""


@final
class Compose:
    """Apply several transforms in order; an empty list is the identity.

    >>> Compose([lambda x: x + 1, lambda x: x * 10])(1)
    20
    """

    def __init__(self, transforms: Sequence[Transform] = ()) -> None:
        if not np.iterable(transforms):
            raise DTypeError(f"Compose: {kind_of(transforms)} is not a list of transforms; write Compose([f, g])")
        for f in transforms:
            if isinstance(f, type) and f.__module__.startswith("passus."):
                raise DTypeError(f"Compose: {f.__name__} is a class; write {f.__name__}()")
        self.transforms = [checked_callable("Compose", "a transform", f) for f in transforms]

    def __call__(self, x: Any) -> Any:
        return _apply(self.transforms, x)

    def __repr__(self) -> str:
        return f"Compose({described_value(self.transforms)})"

    @property
    def batch(self) -> Transform | None:
        """The composition for many examples at once; None if a transform has no ``batch``."""
        batched = [getattr(transform, "batch", None) for transform in self.transforms]
        return None if None in batched else lambda x: _apply(batched, x)

    @property
    def is_random(self) -> bool:
        """Whether a transform may draw random numbers; assumed for transforms without ``is_random``."""
        return any(getattr(transform, "is_random", True) for transform in self.transforms)


def _apply(transforms: Sequence[Any], x: Any) -> Any:
    for transform in transforms:
        x = transform(x)
    return x
