"""The errors that passus raises: one tree, each also the built-in error that a caller expects.

```
PassusError
├── ShapeError          (ValueError)    shapes that do not fit together
├── DTypeError          (TypeError)     not an array of numbers, or numbers of the wrong kind
├── ArgumentError       (ValueError)    a value out of range: a NaN learning rate, a batch of size 0, an unknown option
├── LabelError          (IndexError, ValueError)   a class label or an index that does not exist
├── GraphError          (RuntimeError)  an impossible backward pass: no graph, no gradient, edited data
│   └── SecondOrderError                a second derivative through a rule for first derivatives only
├── RecordingError      (RuntimeError)  a step that cannot be recorded as a program
├── WeightsError        (ValueError)    a weights file that is damaged or belongs to another model
│   └── MissingWeightsError (FileNotFoundError)    a missing weights file
├── DataError           (ValueError)    a data file that is missing, truncated or does not match its checksum
├── LoaderTimeoutError  (TimeoutError)  a batch that is not ready in time
├── LoaderWorkerError   (RuntimeError)  a worker process of a loader that ended, or could not start or send its batch
├── PathError           (FileNotFoundError, IsADirectoryError)    a path where no file can be written
├── MissingAttributeError   (AttributeError)   a name that other libraries have
├── DivergenceError     (ArithmeticError)   a training run whose loss is NaN or infinite
├── MissingImportError      (ImportError)   the same name, in an import
└── DependencyError     (ImportError)   an optional package that is not installed
```

`PassusWarning` (a UserWarning) is the only warning: something works, but not as well as it could.

Every message begins with the public name of the function, or with the path of the layer. It states the shapes or types that
were given, and how to fix the call.

>>> issubclass(ShapeError, ValueError) and issubclass(ShapeError, PassusError)
True
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, Self, TypeVar

__all__ = [
    "ArgumentError",
    "DTypeError",
    "DataError",
    "DependencyError",
    "DivergenceError",
    "GraphError",
    "LabelError",
    "LoaderTimeoutError",
    "LoaderWorkerError",
    "MissingAttributeError",
    "MissingImportError",
    "MissingWeightsError",
    "PassusError",
    "PassusWarning",
    "PathError",
    "RecordingError",
    "SecondOrderError",
    "ShapeError",
    "WeightsError",
    "kind_of",
    "named_in_errors",
]

P = ParamSpec("P")
R = TypeVar("R")

NAME = re.compile(r"[a-z_]\w*(?=[(:,])")
"""The name of a function at the beginning of a message."""


class PassusError(Exception):
    """Any error that passus raises itself; ``layers`` are the names of the layers that it passed through, outermost first.

    Each layer adds its own name in front, so that the message of an error deep in a model begins with
    ``model.encoder.l2: ...``. The name of a layer that is called by itself is left out if the message begins with the same
    name, as that of a function (``conv2d: ...``, not ``conv2d: conv2d: ...``).

    >>> error = ShapeError("linear: x (2, 3) does not fit W (4, 5)")
    >>> error.within("linear")
    ShapeError('linear: x (2, 3) does not fit W (4, 5)')
    >>> error.within("encoder")
    ShapeError('encoder.linear: linear: x (2, 3) does not fit W (4, 5)')
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.layers: tuple[str, ...] = ()
        self.layer: object = None
        """The layer that it passed through last."""

    def within(self, name: str) -> Self:
        """Put the name of a layer in front and return the error itself."""
        self.layers = (name, *self.layers)
        self.args = (str(self),)
        return self

    def renamed(self, name: str) -> Self:
        """Replace the name of the function at the beginning of the message and return the error itself."""
        self.message = NAME.sub(name, self.message, count=1) if NAME.match(self.message) else f"{name}: {self.message}"
        self.args = (str(self),)
        return self

    def __str__(self) -> str:
        function = re.match(r"\w+(?=[(:,])", self.message)
        if not self.layers or (function and self.layers == (function[0].replace("_", "").lower(),)):
            return self.message
        return f"{'.'.join(self.layers)}: {self.message}"


class ShapeError(PassusError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(PassusError, TypeError):
    """Not an array of numbers, or an array of numbers of the wrong kind."""


class ArgumentError(PassusError, ValueError):
    """An argument whose value is out of range or unknown."""


class LabelError(PassusError, IndexError, ValueError):
    """A class label or an index that does not exist."""


class GraphError(PassusError, RuntimeError):
    """A backward pass that is impossible."""


class SecondOrderError(GraphError):
    """A second derivative through a rule that is written for first derivatives only."""


class RecordingError(PassusError, RuntimeError):
    """A step that cannot be recorded, because its Python code depends on the numbers of an array."""


class WeightsError(PassusError, ValueError):
    """A weights file that is damaged or belongs to another model."""


class MissingWeightsError(WeightsError, FileNotFoundError):
    """A missing weights file or checkpoint."""


class DataError(PassusError, ValueError):
    """A data file that is missing, truncated or does not match its checksum."""


class LoaderTimeoutError(PassusError, TimeoutError):
    """A batch that the workers of a loader have not prepared in time."""


class LoaderWorkerError(PassusError, RuntimeError):
    """A worker process of a loader that ended, or could not start or send its batch."""


class PathError(PassusError, FileNotFoundError, IsADirectoryError):
    """A path where no file can be written: it is a folder, or its folder does not exist."""


class MissingAttributeError(PassusError, AttributeError):
    """A name that other libraries have, and that is different here."""


class MissingImportError(PassusError, ImportError):
    """A name that other libraries have, in an import. Python replaces an `AttributeError` there by its own error."""


class DivergenceError(PassusError, ArithmeticError):
    """A training run whose loss is NaN or infinite."""


class DependencyError(PassusError, ImportError):
    """An optional package that is not installed."""


class PassusWarning(UserWarning):
    """Something works, but not as well as it could."""


def kind_of(value: object) -> str:
    """A value as described in a message: its type with an article, or the class itself.

    >>> kind_of(3), kind_of("a"), kind_of(None), kind_of(ShapeError)
    ('an int', 'a str', 'None', 'the class ShapeError')
    """
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOaeio' or name[:2] in ('SG', 'MS', 'ML') or name == 'ndarray' else 'a'} {name}"


def named_in_errors(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator for functions that are composed of others: their errors begin with their own name.

    >>> @named_in_errors
    ... def median(x):
    ...     raise ShapeError("quantile: x (0, 3) has no elements along axis 0")
    >>> median(None)
    Traceback (most recent call last):
        ...
    passus.errors.ShapeError: median: x (0, 3) has no elements along axis 0
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PassusError as error:
            error.renamed(function.__name__)
            raise

    return call
