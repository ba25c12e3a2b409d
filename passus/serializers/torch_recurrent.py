"""The weights of recurrent layers under the names of PyTorch and in its form, both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from passus.backend import Array, backend_of
from passus.errors import WeightsError

__all__ = ["recurrent_from_torch", "recurrent_to_torch"]

THEIRS = re.compile(r"(.*?)(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(?:_(l\d+(?:_reverse)?))?")
OURS = re.compile(r"(.*?)(?:(l\d+(?:_reverse)?)\.)?(W_x|W_h|W_p|b|b_h)")
GRU = 3
"""How many gates have a bias of their own for h."""


def recurrent_from_torch(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The state of our `RNN`, `LSTM` or `GRU` layers, or of their cells, from that of PyTorch's.

    ``weight_ih_l0_reverse``, (G H, I), becomes ``l0_reverse.W_x``, (I, G H), and ``weight_ih`` of a cell ``W_x``; likewise
    ``weight_hh`` becomes ``W_h``, and the projection ``weight_hr`` ``W_p``. ``bias_ih`` and ``bias_hh`` become ``b``, their sum;
    that of a GRU for h inside the reset gate becomes ``b_h``. What stands in front of these names, such as ``encoder.``,
    stays.

    Raises `WeightsError` for other names, or if a part is missing.

    >>> import numpy as np
    >>> theirs = {"weight_ih_l0": np.ones((4, 3)), "weight_hh_l0": np.ones((4, 4))}
    >>> {name: array.shape for name, array in recurrent_from_torch(theirs).items()}
    {'l0.W_x': (3, 4), 'l0.W_h': (4, 4)}
    """
    found: dict[str, Array] = {}
    for (prefix, cell), parts in _grouped("recurrent_from_torch", arrays, THEIRS).items():
        _check("recurrent_from_torch", arrays, parts, ("weight_ih", "weight_hh"))
        start = prefix + (f"{cell}." if cell else "")
        W_x, W_h = parts["weight_ih"].T, parts["weight_hh"].T
        found |= {f"{start}W_x": W_x, f"{start}W_h": W_h}
        if "bias_ih" in parts or "bias_hh" in parts:
            _check("recurrent_from_torch", arrays, parts, ("bias_ih", "bias_hh"))
            bias, own = parts["bias_ih"], parts["bias_hh"]
            H = W_h.shape[0]
            if "weight_hr" not in parts and W_h.shape[1] == GRU * H:
                first = bias[: 2 * H] + own[: 2 * H]
                found |= {f"{start}b": np.concatenate([first, bias[2 * H :]]), f"{start}b_h": own[2 * H :]}
            else:
                found[f"{start}b"] = bias + own
        if "weight_hr" in parts:
            found[f"{start}W_p"] = parts["weight_hr"].T
    return found


def recurrent_to_torch(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The state of PyTorch's layers from that of ours, or of our cells: the inverse of `recurrent_from_torch`.

    Of the two biases that PyTorch adds up, ``bias_hh`` is 0, but for the part that ``b_h`` is. What a layer keeps for its next
    step is left out.

    Raises `WeightsError` for other names, or if a part is missing.

    >>> from passus.layers import LSTM
    >>> ours = LSTM(4, in_size=3, rng=0).state_dict()
    >>> {name: array.shape for name, array in recurrent_to_torch(ours).items()}
    {'weight_ih_l0': (16, 3), 'weight_hh_l0': (16, 4), 'bias_ih_l0': (16,), 'bias_hh_l0': (16,)}
    """
    weights = {name: array for name, array in arrays.items() if name.rpartition(".")[2] not in ("h", "c")}
    found: dict[str, Array] = {}
    for (prefix, cell), parts in _grouped("recurrent_to_torch", weights, OURS).items():
        _check("recurrent_to_torch", weights, parts, ("W_x", "W_h"))
        end = f"_{cell}" if cell else ""
        named = {"weight_ih": parts["W_x"].T, "weight_hh": parts["W_h"].T}
        if "b" in parts:
            named["bias_ih"], named["bias_hh"] = parts["b"], np.zeros_like(parts["b"])
            if "b_h" in parts:
                named["bias_hh"] = np.concatenate([named["bias_hh"][: -len(parts["b_h"])], parts["b_h"]])
        if "W_p" in parts:
            named["weight_hr"] = parts["W_p"].T
        found |= {f"{prefix}{name}{end}": array for name, array in named.items()}
    return found


def _grouped(
    where: str, arrays: Mapping[str, Array], pattern: re.Pattern[str]
) -> dict[tuple[str, str], dict[str, Array]]:
    """The arrays of each cell, by their names in it; a cell is known by what stands in front, and its name."""
    groups: dict[tuple[str, str], dict[str, Array]] = {}
    for name, array in arrays.items():
        match = pattern.fullmatch(name)
        if match is None:
            raise WeightsError(
                f"{where}: {name} is no array of a recurrent layer; give those of recurrent layers only, and convert others apart"
            )
        if array is None:
            raise WeightsError(
                f"{where}: {name} has no shape before the first call; call the layer once, or pass in_size"
            )
        parts = match.groups("")
        prefix, part, cell = parts if pattern is THEIRS else (parts[0], parts[2], parts[1])
        groups.setdefault((prefix, cell), {})[part] = backend_of(array).to_numpy(array)
    return groups


def _check(where: str, arrays: Mapping[str, Array], parts: Mapping[str, Array], needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in parts]
    if missing:
        raise WeightsError(
            f"{where}: {', '.join(missing)} missing beside {', '.join(parts)}; given: {', '.join(arrays)}"
        )
