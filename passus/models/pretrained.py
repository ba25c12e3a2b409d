"""Weights that somebody else has trained, for a model that is being made."""

from __future__ import annotations

from passus.arguments import checked_flag
from passus.errors import MissingWeightsError
from passus.files import FilePath
from passus.models.model import Model

__all__ = ["take_weights"]


def take_weights(model: Model, weights: FilePath | None, pretrained: bool, known: str) -> None:
    """Load the file ``weights``, if there is one. ``known``: which file a user may have, for the message.

    Raises `MissingWeightsError` if a pretrained model is asked for without a file, `WeightsError` for a file of another
    model.
    """
    if weights is not None:
        model.load_weights(weights)
    elif checked_flag(type(model).__name__, "pretrained", pretrained, f"; for classes write num_classes={pretrained}"):
        name = type(model).__name__
        raise MissingWeightsError(
            f"{name}: passus brings no trained weights, and knows no checksum of any that it could download; give a file, "
            f"as in {name}(weights=path): {known}"
        )
