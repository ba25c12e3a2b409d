"""The least that an optimizer can update."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus import Parameter


class Model:
    """Parameters with paths, and nothing else; in a keyword, ``_`` stands for the dot."""

    def __init__(self, **params: Any) -> None:
        self.params = {name.replace("_", "."): Parameter(np.asarray(data)) for name, data in params.items()}

    def __getitem__(self, path: str) -> Parameter:
        return self.params[path]

    def named_params(self) -> Any:
        return iter(self.params.items())
