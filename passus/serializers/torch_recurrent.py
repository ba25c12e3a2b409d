"""Conversion of recurrent layers' weights between PyTorch's names and layout and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from passus.backend import Array, backend_of
from passus.errors import WeightsError

__all__ = ["recurrent_from_torch", "recurrent_to_torch"]

TORCH_NAME = re.compile(r"(.*?)(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(?:_(l\d+(?:_reverse)?))?")
PASSUS_NAME = re.compile(r"(.*?)(?:(l\d+(?:_reverse)?)\.)?(W_x|W_h|W_p|b|b_h)")
GRU_GATES = 3
"""Number of gates of a GRU, whose candidate has a separate bias for h."""


def recurrent_from_torch(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Convert the state of PyTorch's `RNN`, `LSTM` or `GRU` layers, or of their cells, to that of ours.

    ``weight_ih_l0_reverse``, (G H, I), becomes ``l0_reverse.W_x``, (I, G H), and ``weight_ih`` of a cell ``W_x``; likewise
    ``weight_hh`` becomes ``W_h``, and the projection ``weight_hr`` ``W_p``. ``b`` is the sum of ``bias_ih`` and ``bias_hh``;
    the bias of a GRU inside the reset gate becomes ``b_h``. Prefixes such as ``encoder.`` are preserved.

    Raises `WeightsError` for other names and for missing arrays.

    >>> import numpy as np
    >>> theirs = {"weight_ih_l0": np.ones((4, 3)), "weight_hh_l0": np.ones((4, 4))}
    >>> {name: array.shape for name, array in recurrent_from_torch(theirs).items()}
    {'l0.W_x': (3, 4), 'l0.W_h': (4, 4)}
    """
    state: dict[str, Array] = {}
    for (prefix, cell), weights in _grouped("recurrent_from_torch", arrays, TORCH_NAME).items():
        _check("recurrent_from_torch", arrays, weights, ("weight_ih", "weight_hh"))
        start = prefix + (f"{cell}." if cell else "")
        W_x, W_h = weights["weight_ih"].T, weights["weight_hh"].T
        state |= {f"{start}W_x": W_x, f"{start}W_h": W_h}
        if "bias_ih" in weights or "bias_hh" in weights:
            _check("recurrent_from_torch", arrays, weights, ("bias_ih", "bias_hh"))
            b_x, b_h = weights["bias_ih"], weights["bias_hh"]
            H = W_h.shape[0]
            if "weight_hr" not in weights and W_h.shape[1] == GRU_GATES * H:
                gates = b_x[: 2 * H] + b_h[: 2 * H]
                state |= {f"{start}b": np.concatenate([gates, b_x[2 * H :]]), f"{start}b_h": b_h[2 * H :]}
            else:
                state[f"{start}b"] = b_x + b_h
        if "weight_hr" in weights:
            state[f"{start}W_p"] = weights["weight_hr"].T
    return state


def recurrent_to_torch(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Convert the state of our recurrent layers or cells to that of PyTorch's; the inverse of `recurrent_from_torch`.

    PyTorch adds two biases; ``bias_hh`` is 0 except for the elements of ``b_h``. The hidden state of a layer is omitted.

    Raises `WeightsError` for other names and for missing arrays.

    >>> from passus.layers import LSTM
    >>> ours = LSTM(4, in_size=3, rng=0).state_dict()
    >>> {name: array.shape for name, array in recurrent_to_torch(ours).items()}
    {'weight_ih_l0': (16, 3), 'weight_hh_l0': (16, 4), 'bias_ih_l0': (16,), 'bias_hh_l0': (16,)}
    """
    parameters = {name: array for name, array in arrays.items() if name.rpartition(".")[2] not in ("h", "c")}
    state: dict[str, Array] = {}
    for (prefix, cell), weights in _grouped("recurrent_to_torch", parameters, PASSUS_NAME).items():
        _check("recurrent_to_torch", parameters, weights, ("W_x", "W_h"))
        end = f"_{cell}" if cell else ""
        named = {"weight_ih": weights["W_x"].T, "weight_hh": weights["W_h"].T}
        if "b" in weights:
            named["bias_ih"], named["bias_hh"] = weights["b"], np.zeros_like(weights["b"])
            if "b_h" in weights:
                named["bias_hh"] = np.concatenate([named["bias_hh"][: -len(weights["b_h"])], weights["b_h"]])
        if "W_p" in weights:
            named["weight_hr"] = weights["W_p"].T
        state |= {f"{prefix}{name}{end}": array for name, array in named.items()}
    return state


def _grouped(
    where: str, arrays: Mapping[str, Array], pattern: re.Pattern[str]
) -> dict[tuple[str, str], dict[str, Array]]:
    """The arrays of each cell by name; the cells are keyed by prefix and cell name."""
    groups: dict[tuple[str, str], dict[str, Array]] = {}
    for name, array in arrays.items():
        match = pattern.fullmatch(name)
        if match is None:
            raise WeightsError(
                f"{where}: {name} is not an array of a recurrent layer; pass recurrent layers only and convert others separately"
            )
        if array is None:
            raise WeightsError(
                f"{where}: {name} has no shape before the first call; call the layer once, or pass in_size"
            )
        fields = match.groups("")
        prefix, weight, cell = fields if pattern is TORCH_NAME else (fields[0], fields[2], fields[1])
        groups.setdefault((prefix, cell), {})[weight] = backend_of(array).to_numpy(array)
    return groups


def _check(where: str, arrays: Mapping[str, Array], weights: Mapping[str, Array], required: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in weights]
    if missing:
        raise WeightsError(
            f"{where}: {', '.join(missing)} missing beside {', '.join(weights)}; given: {', '.join(arrays)}"
        )
