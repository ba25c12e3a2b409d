"""How the parts of BERT are called in files with Hugging Face's names, and here.

With or without ``bert.`` in front. Matrices there are (outputs, inputs), and are transposed:

| there | here |
|---|---|
| ``embeddings.word_embeddings.weight`` | ``embed.W`` |
| ``embeddings.position_embeddings.weight`` | ``position.W`` |
| ``embeddings.token_type_embeddings.weight`` | ``segment.W`` |
| ``embeddings.LayerNorm.weight``, ``.bias`` | ``norm.gamma``, ``.beta`` |
| ``encoder.layer.0.attention.self.query``, ``key``, ``value`` | ``encoder.layers.0.attention.qkv``, side by side |
| ``encoder.layer.0.attention.output.dense.weight``, ``.bias`` | ``encoder.layers.0.attention.out.W``, ``.b`` |
| ``encoder.layer.0.attention.output.LayerNorm.weight``, ``.bias`` | ``encoder.layers.0.norm1.gamma``, ``.beta`` |
| ``encoder.layer.0.intermediate.dense.weight``, ``.bias`` | ``encoder.layers.0.feed_forward.hidden.W``, ``.b`` |
| ``encoder.layer.0.output.dense.weight``, ``.bias`` | ``encoder.layers.0.feed_forward.out.W``, ``.b`` |
| ``encoder.layer.0.output.LayerNorm.weight``, ``.bias`` | ``encoder.layers.0.norm2.gamma``, ``.beta`` |

The constant ``embeddings.position_ids``, and the layers ``pooler`` and ``cls``, which serve the tasks that BERT was trained
on, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from passus.backend import Array

__all__ = ["from_bert", "is_berts"]

BLOCK = {
    "attention.self.query": ("attention.qkv", 0),
    "attention.self.key": ("attention.qkv", 1),
    "attention.self.value": ("attention.qkv", 2),
    "attention.output.dense": ("attention.out", 0),
    "attention.output.LayerNorm": ("norm1", 0),
    "intermediate.dense": ("feed_forward.hidden", 0),
    "output.dense": ("feed_forward.out", 0),
    "output.LayerNorm": ("norm2", 0),
}
"""The layers of a block, and the place of each in a matrix of several."""

EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "embed.W",
    "embeddings.position_embeddings.weight": "position.W",
    "embeddings.token_type_embeddings.weight": "segment.W",
    "embeddings.LayerNorm.weight": "norm.gamma",
    "embeddings.LayerNorm.bias": "norm.beta",
}
"""What is in front of the blocks."""

UNUSED = re.compile(r"embeddings\.position_ids$|pooler\.|cls\.")
"""What an encoder has no use for."""


def is_berts(arrays: Mapping[str, Array]) -> bool:
    """Whether arrays are named as those of BERT.

    >>> is_berts({"encoder.layer.0.attention.self.query.weight": None}), is_berts({"embed.W": None})
    (True, False)
    """
    return any(re.search(r"(^|\.)encoder\.layer\.\d+\.attention\.self\.query\.weight$", name) for name in arrays)


def from_bert(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a file of BERT under our names; what has no counterpart keeps its name.

    >>> W = np.ones((4, 4), np.float32)
    >>> state = {f"encoder.layer.0.attention.self.{name}.weight": W for name in ("query", "key", "value")}
    >>> {name: array.shape for name, array in from_bert(state).items()}
    {'encoder.layers.0.attention.qkv.W': (4, 12)}
    """
    state: dict[str, Array] = {}
    parts: dict[str, dict[int, Array]] = {}
    for full, array in arrays.items():
        name = full.removeprefix("bert.")
        layer, _, kind = name.rpartition(".")
        found = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", layer)
        if found and found[2] in BLOCK:
            ours, place = BLOCK[found[2]]
            parts.setdefault(_path(found[1], ours, kind), {})[place] = array.T
        elif not UNUSED.match(name):
            state[EMBEDDINGS.get(name, name)] = array
    for path, by_place in parts.items():
        side_by_side = [by_place[place] for place in sorted(by_place)]
        state[path] = side_by_side[0] if len(side_by_side) == 1 else np.concatenate(side_by_side, axis=-1)
    return state


def _path(block: str, layer: str, kind: str) -> str:
    names = {"weight": "gamma", "bias": "beta"} if "norm" in layer else {"weight": "W", "bias": "b"}
    return f"encoder.layers.{block}.{layer}.{names.get(kind, kind)}"
