"""Mutations of nested states, and a check that loading a mutated state is atomic."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from passus import Parameter
from passus.errors import PassusError
from passus.training import Trainer
from tests.loading.run import state


def deep() -> Any:
    node: Any = 1
    for _ in range(10_000):
        node = {"a": node}
    return node


DELETED = object()
DEEP = deep()
MUTATIONS: dict[str, Callable[[Any], Any]] = {
    "deleted": lambda leaf: DELETED,
    "none": lambda leaf: None,
    "nan": lambda leaf: np.nan,
    "minus one": lambda leaf: -1,
    "huge": lambda leaf: 2**200,
    "too many digits": lambda leaf: 10**5000,
    "infinite": lambda leaf: np.inf,
    "true": lambda leaf: True,
    "text": lambda leaf: "text",
    "bytes": lambda leaf: b"\x00",
    "list": lambda leaf: [[1], [2, 3]],
    "empty": lambda leaf: {},
    "dict": lambda leaf: {"a": np.ones(3)},
    "odd names": lambda leaf: {1: 2, None: 3},
    "deep": lambda leaf: DEEP,
    "deep list": lambda leaf: [DEEP],
    "object": lambda leaf: object(),
    "type": lambda leaf: np.float32,
    "variable": lambda leaf: Parameter(np.ones(2)),
    "array": lambda leaf: np.ones((7, 1)),
    "array of objects": lambda leaf: np.full(np.shape(leaf), None),
    "array of strings": lambda leaf: np.full(np.shape(leaf), "text"),
    "complex": lambda leaf: np.full(np.shape(leaf), 1j),
    "array of minus ones": lambda leaf: np.full(np.shape(leaf), -1, getattr(leaf, "dtype", None)),
    "array of nan": lambda leaf: np.full_like(leaf, np.nan) if getattr(leaf, "dtype", None) == np.float32 else [np.nan],
    "additional axis": lambda leaf: np.asarray(leaf)[None] if isinstance(leaf, np.ndarray) else [leaf],
    "recursive list": lambda leaf: (lambda ring: ring.append(ring) or ring)([]),
}


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all nodes of a tree, branches among them."""
    if path:
        yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, (list, tuple)) else ()
    for name, child in items:
        yield from leaves(child, (*path, name))


def mutated(tree: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """A copy of a tree with one node changed; all other nodes are shared."""
    name, *rest = path
    new = dict(tree) if isinstance(tree, dict) else list(tree)
    value = mutated(tree[name], tuple(rest), change) if rest else change(tree[name])
    if value is DELETED:
        del new[name]
    else:
        new[name] = value
    return new


def check(run: Trainer, load: Callable[[], None]) -> bool:
    """Whether loading raised; nothing must have changed then, and training must continue in both cases."""
    before = state(run)
    objects = {name: p.data for name, p in run.model.named_params()}
    try:
        load()
    except PassusError:
        np.testing.assert_equal(state(run), before)
        assert all(p.data is objects[name] for name, p in run.model.named_params())
        rejected = True
    else:
        rejected = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            run.fit(steps=run.step + (1 if rejected else 6))
        except PassusError as error:
            if rejected or not re.search("NaN|nan|inf", str(error)):  # The loaded weights may be NaN.
                raise
    return rejected
