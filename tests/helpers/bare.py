"""A minimal model for tests of optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus import Parameter


class Model:
    """A model that consists of parameters with paths; ``_`` in a keyword stands for a dot."""

    def __init__(self, **params: Any) -> None:
        self.params = {name.replace("_", "."): Parameter(np.asarray(data)) for name, data in params.items()}

    def __getitem__(self, path: str) -> Parameter:
        return self.params[path]

    def named_params(self) -> Any:
        return iter(self.params.items())
