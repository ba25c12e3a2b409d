"""Loading published weights into a new model."""

from __future__ import annotations

import hashlib

from passus.arguments import checked_flag
from passus.datasets import cache_folder, get_file
from passus.errors import DataError, MissingWeightsError
from passus.files import FilePath
from passus.models.model import Model

__all__ = ["load_pretrained", "published"]


def load_pretrained(
    model: Model,
    weights: FilePath | None,
    pretrained: bool,
    known: str,
    url: str | None = None,
    by_hand: str | None = None,
) -> None:
    """Load the file ``weights`` if it is given; otherwise, if ``pretrained``, the published weights.

    ``known``: a description of suitable files, for the message. ``url``: the URL of published weights with a checksum, which
    are downloaded; ``by_hand``: the URL of weights without a checksum, which the user puts into the cache folder.

    Raises `MissingWeightsError` if no published weights can be downloaded, `WeightsError` for a file that does not fit,
    `DataError` for a failed download.
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
            f"{name}: pretrained weights are not included and cannot be downloaded; give a file, "
            f"as in {name}(weights=path): {known}{where}"
        )


def published(url: str) -> FilePath:
    """Download a file into the cache folder and compare its sha256 with the first digits, which are in its name.

    Raises `DataError` for a failed download and for a different checksum.
    """
    path = get_file(url)
    digits = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if not actual.startswith(digits):
        raise DataError(
            f"{path}: its sha256 begins with {actual[:8]} instead of {digits}; delete the file and try again"
        )
    return path
