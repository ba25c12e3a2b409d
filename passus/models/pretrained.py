"""Weights that somebody else has trained, for a model that is being made."""

from __future__ import annotations

import hashlib

from passus.arguments import checked_flag
from passus.datasets import cache_folder, get_file
from passus.errors import DataError, MissingWeightsError
from passus.files import FilePath
from passus.models.model import Model

__all__ = ["published", "take_weights"]


def take_weights(
    model: Model,
    weights: FilePath | None,
    pretrained: bool,
    known: str,
    url: str | None = None,
    by_hand: str | None = None,
) -> None:
    """Load the file ``weights``, if there is one; else, for a ``pretrained`` model, the one that is published.

    ``known``: which file a user may have, for the message. ``url``: where weights are published with a checksum, and are
    downloaded from; ``by_hand``: where they are without one, to be put into the cache folder by hand.

    Raises `MissingWeightsError` if a pretrained model is asked for without a file, `WeightsError` for a file of another
    model, `DataError` for one that cannot be downloaded.
    """
    name = type(model).__name__
    checked_flag(name, "pretrained", pretrained, f"; for classes write num_classes={pretrained}")
    if weights is not None:
        model.load_weights(weights)
    elif pretrained and url is not None:
        model.load_weights(published(url))
    elif pretrained:
        path = None if by_hand is None else cache_folder() / by_hand.rpartition("/")[2]
        if path is not None and path.exists():
            model.load_weights(path)
            return
        where = "" if by_hand is None else f". Or download {by_hand} to {path} by hand"
        raise MissingWeightsError(
            f"{name}: no pretrained weights are included, and none can be downloaded; give a file, "
            f"as in {name}(weights=path): {known}{where}"
        )


def published(url: str) -> FilePath:
    """The file behind an address, in the cache folder; its name tells the first digits of its sha256, which are compared.

    Raises `DataError` if it cannot be downloaded, or is another file.
    """
    path = get_file(url)
    digits = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(digits):
        raise DataError(
            f"{path}: its sha256 begins with {found[:8]} instead of {digits}; delete the file and try again"
        )
    return path
