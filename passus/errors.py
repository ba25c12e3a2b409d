"""The errors that passus raises: one tree, each also the built-in error that a caller expects.

```
PassusError
├── ShapeError          (ValueError)    shapes that do not fit together
├── DTypeError          (TypeError)     something that is no array of numbers, or of the wrong kind of numbers
├── ArgumentError       (ValueError)    a value out of range: a NaN learning rate, a batch of size 0, an unknown option
├── LabelError          (IndexError, ValueError)   a class label or an index that does not exist
├── GraphError          (RuntimeError)  backpropagation that cannot be done: no graph, no gradient, data edited since
│   └── SecondOrderError                a rule that was written for first derivatives only
├── WeightsError        (ValueError)    a weights file that is broken or of another model
│   └── MissingWeightsError (FileNotFoundError)    a weights file that is not there
├── DataError           (ValueError)    a data file that is missing, truncated or not what its checksum says
├── LoaderTimeoutError  (TimeoutError)  a batch that does not come
├── PathError           (FileNotFoundError, IsADirectoryError)    a place where no file can be written
├── MissingAttributeError   (AttributeError)   a name that other libraries have
├── DivergenceError     (ArithmeticError)   a training whose loss is NaN or infinite
└── DependencyError     (ImportError)   an optional package that is not installed
```

`PassusWarning` (a UserWarning) is the one warning: something works, but not as well as it could.

Every message names the operation or the layer's path, the shapes or types it met, and a way to mend it.

>>> issubclass(ShapeError, ValueError) and issubclass(ShapeError, PassusError)
True
"""

from __future__ import annotations

from typing import Self

__all__ = [
    "ArgumentError",
    "DTypeError",
    "DataError",
    "DependencyError",
    "DivergenceError",
    "GraphError",
    "LabelError",
    "LoaderTimeoutError",
    "MissingAttributeError",
    "MissingWeightsError",
    "PassusError",
    "PassusWarning",
    "PathError",
    "SecondOrderError",
    "ShapeError",
    "WeightsError",
    "kind_of",
]


class PassusError(Exception):
    """Any error that passus raises by itself; ``layers`` are the names of the layers it came
    through, outermost first.

    A layer that sees an error pass adds its own name in front, so that the message of an error deep in a
    model begins with ``model.encoder.l2: ...``.

    >>> error = ShapeError("linear: x (2, 3) does not fit W (4, 5)")
    >>> error.within("l2").within("encoder")
    ShapeError('encoder.l2: linear: x (2, 3) does not fit W (4, 5)')
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.layers: tuple[str, ...] = ()
        self.layer: object = None
        """The layer that it came through last."""

    def within(self, name: str) -> Self:
        """Put the name of a layer in front and return the error itself."""
        self.layers = (name, *self.layers)
        self.args = (str(self),)
        return self

    def __str__(self) -> str:
        return f"{'.'.join(self.layers)}: {self.message}" if self.layers else self.message


class ShapeError(PassusError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(PassusError, TypeError):
    """Something that is no array of numbers, or an array of the wrong kind of numbers."""


class ArgumentError(PassusError, ValueError):
    """An argument whose value is out of range or unknown."""


class LabelError(PassusError, IndexError, ValueError):
    """A class label or an index that does not exist."""


class GraphError(PassusError, RuntimeError):
    """Backpropagation that cannot be done."""


class SecondOrderError(GraphError):
    """A second derivative through a rule that was written for first derivatives only."""


class WeightsError(PassusError, ValueError):
    """A weights file that is broken or belongs to another model."""


class MissingWeightsError(WeightsError, FileNotFoundError):
    """A weights file or checkpoint that is not there."""


class DataError(PassusError, ValueError):
    """A data file that is missing, truncated or not the file it should be."""


class LoaderTimeoutError(PassusError, TimeoutError):
    """A batch that a loader's threads have not prepared in time."""


class PathError(PassusError, FileNotFoundError, IsADirectoryError):
    """A place where no file can be written: it is a folder itself, or its folder is not there."""


class MissingAttributeError(PassusError, AttributeError):
    """A name that other libraries have, and that is another one here."""


class DivergenceError(PassusError, ArithmeticError):
    """A training whose loss is NaN or infinite."""


class DependencyError(PassusError, ImportError):
    """An optional package that is not installed."""


class PassusWarning(UserWarning):
    """Something works, but not as well as it could."""


def kind_of(value: object) -> str:
    """What a value is, as a message says it: its type with an article, or the class itself.

    >>> kind_of(3), kind_of("a"), kind_of(None), kind_of(ShapeError)
    ('an int', 'a str', 'None', 'the class ShapeError')
    """
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOaeio' or name[:2] in ('SG', 'MS', 'ML') or name == 'ndarray' else 'a'} {name}"
