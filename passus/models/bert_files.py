"""The mapping of BERT's array names in Hugging Face files to ours.

The prefix ``bert.`` is optional. Matrices in the files are (outputs, inputs), and are transposed:

| Hugging Face | passus |
|---|---|
| ``embeddings.word_embeddings.weight`` | ``embed.W`` |
| ``embeddings.position_embeddings.weight`` | ``position.W`` |
| ``embeddings.token_type_embeddings.weight`` | ``segment.W`` |
| ``embeddings.LayerNorm.weight``, ``.bias`` | ``norm.gamma``, ``.beta`` |
| ``encoder.layer.0.attention.self.query``, ``key``, ``value`` | ``encoder.layers.0.attention.qkv``, concatenated |
| ``encoder.layer.0.attention.output.dense.weight``, ``.bias`` | ``encoder.layers.0.attention.out.W``, ``.b`` |
| ``encoder.layer.0.attention.output.LayerNorm.weight``, ``.bias`` | ``encoder.layers.0.norm1.gamma``, ``.beta`` |
| ``encoder.layer.0.intermediate.dense.weight``, ``.bias`` | ``encoder.layers.0.feed_forward.hidden.W``, ``.b`` |
| ``encoder.layer.0.output.dense.weight``, ``.bias`` | ``encoder.layers.0.feed_forward.out.W``, ``.b`` |
| ``encoder.layer.0.output.LayerNorm.weight``, ``.bias`` | ``encoder.layers.0.norm2.gamma``, ``.beta`` |

The constant ``embeddings.position_ids``, and the layers ``pooler`` and ``cls`` of the training tasks, are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from passus.backend import Array
from passus.models.gpt_files import array_path

__all__ = ["from_bert", "is_bert"]

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
"""The layers of a block, and the position of each in a concatenated matrix."""

EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "embed.W",
    "embeddings.position_embeddings.weight": "position.W",
    "embeddings.token_type_embeddings.weight": "segment.W",
    "embeddings.LayerNorm.weight": "norm.gamma",
    "embeddings.LayerNorm.bias": "norm.beta",
}
"""The arrays before the blocks."""

UNUSED = re.compile(r"embeddings\.position_ids$|pooler\.|cls\.")
"""Arrays that an encoder does not use."""


def is_bert(arrays: Mapping[str, Array]) -> bool:
    """Whether the names are those of BERT in Hugging Face files.

    >>> is_bert({"encoder.layer.0.attention.self.query.weight": None}), is_bert({"embed.W": None})
    (True, False)
    """
    return any(re.search(r"(^|\.)encoder\.layer\.\d+\.attention\.self\.query\.weight$", name) for name in arrays)


def from_bert(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Rename the arrays of a BERT file; unknown names are unchanged.

    >>> W = np.ones((4, 4), np.float32)
    >>> state = {f"encoder.layer.0.attention.self.{name}.weight": W for name in ("query", "key", "value")}
    >>> {name: array.shape for name, array in from_bert(state).items()}
    {'encoder.layers.0.attention.qkv.W': (4, 12)}
    """
    state: dict[str, Array] = {}
    blocks: dict[str, dict[int, Array]] = {}
    for full, array in arrays.items():
        name = full.removeprefix("bert.")
        layer, _, kind = name.rpartition(".")
        match = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", layer)
        if match and match[2] in BLOCK:
            ours, position = BLOCK[match[2]]
            blocks.setdefault(array_path(f"encoder.layers.{match[1]}.{ours}", kind), {})[position] = array.T
        elif not UNUSED.match(name):
            state[EMBEDDINGS.get(name, name)] = array
    for path, by_position in blocks.items():
        pieces = [by_position[position] for position in sorted(by_position)]
        state[path] = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=-1)
    return state
