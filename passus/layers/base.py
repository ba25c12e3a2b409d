"""The layer: a function together with its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, KeysView
from functools import partial
from inspect import getattr_static
from typing import Any, Self
from weakref import ref

from passus.answers import ASSIGNED, Foreign, answers, check_assigned, foreign_argument
from passus.attributes import snapshot
from passus.backend import Array, is_array, others
from passus.backend.trace import call_layer, reset, touch
from passus.config import enable_backprop
from passus.constructors import CheckedOptions
from passus.core import Parameter, Variable
from passus.core.hooks import Hook, checked_hook
from passus.errors import ArgumentError, DTypeError, PassusError, WeightsError
from passus.foreign import LAYER
from passus.functions.checks import array_of
from passus.layers.describe import described, html_of_layer
from passus.layers.hooks import observe_gradients, run_hooks
from passus.layers.nodes import LEAF_TYPES, TRANSIENT, StateRef, label
from passus.layers.predicting import predicted, rows
from passus.layers.state import State
from passus.layers.undo import Undo, changes, on_failure
from passus.layers.walk import invalidate, named_parameters, set_option, walk
from passus.notices import notice, notice_once
from passus.tree import Spec

__all__ = ["Layer"]

SWITCHES = ("trainable", "training", "requires_grad")
"""Switches of other libraries that are set by assignment."""


class Layer(State, CheckedOptions):
    """The base of all layers and models: a function ``forward`` with parameters.

    A subclass assigns its parameters and sub-layers to attributes, directly or in lists and dicts, and defines
    ``forward``. Errors raised inside begin with the path of the layer, such as ``model.encoder.l2``. A call that fails
    leaves parameters and buffers unchanged.

    >>> import numpy as np
    >>> class Scale(Layer):
    ...     def __init__(self):
    ...         self.factor = Parameter(np.array(2.0))
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> layer = Scale()
    >>> print(layer(np.array([1.0, 3.0])))
    [2. 6.]
    >>> [path for path, parameter in layer.named_params()]
    ['factor']
    """

    inputs: list[Any]
    """After a call: weak references to its arguments, as in ``layer.inputs[0]()``."""
    outputs: list[Any]
    """After a call: weak references to its results."""

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the outputs from the inputs."""
        raise NotImplementedError(
            f"{type(self).__name__}.forward is not implemented; a layer defines def forward(self, x)"
        )

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        undos: list[Undo] = []
        outermost = changes.get() is None
        if outermost:
            token = changes.set(undos)
        try:
            outputs = call_layer(self, inputs, options) if others else self.forward(*inputs, **options)
        except BaseException as error:
            for undo in reversed(undos):
                undo()
            if type(error) is TypeError and options:
                found = foreign_argument(label(self), type(self).forward, options)
                if found is not None:
                    self._locate(found)
                    raise found from error
            if isinstance(error, PassusError):
                self._locate(error)
            raise
        finally:
            if outermost:
                changes.reset(token)
        attributes = self.__dict__  # Past __setattr__.
        attributes["inputs"] = [_reference(x) for x in inputs]
        attributes["outputs"] = [_reference(y) for y in outputs] if type(outputs) is tuple else [_reference(outputs)]
        if "_hooks" in attributes:
            run_hooks(self, inputs, outputs)
        return outputs

    def __setattr__(self, name: str, value: Any) -> None:
        if name in TRANSIENT:
            raise ArgumentError(f"{label(self)}.{name}: there the layer remembers its last call; choose another name")
        if name in ASSIGNED and (type(value) in LEAF_TYPES or isinstance(value, Variable)):
            if type(self).forward is not Layer.forward:  # Any attribute may be assigned to a bare Layer.
                check_assigned(self, name)
            self._check_switch(name, value)
        old = self.__dict__.get(name)
        if isinstance(old, Parameter) and is_array(value):
            raise DTypeError(
                f"{label(self)}.{name} is a parameter, and an array in its place would not be trained; "
                f"assign it to {name}.data"
            )
        if isinstance(old, Parameter) and isinstance(value, Variable) and not isinstance(value, Parameter):
            raise DTypeError(
                f"{label(self)}.{name} is a parameter, and a Variable in its place would not be trained; assign its array to "
                f"{name}.data, or give Parameter(array). For a weight that is computed, as in meta-learning, delete the "
                "attribute first"
            )
        snapshot(self, name)
        if others and value is None and name in self._carried:
            reset(self, name)
        if name in self._carried or name in self._buffers:
            on_failure(partial(self._restore, name, old))
        super().__setattr__(name, value)
        if type(value) not in LEAF_TYPES or type(old) not in LEAF_TYPES:
            invalidate()
            if isinstance(old, (Layer, Parameter)) and isinstance(value, (Layer, Parameter)) and old is not value:
                self._warn_of_replacement(name)
        else:
            set_option()

    def _restore(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        invalidate()

    def _check_switch(self, name: str, value: Any) -> None:
        """Warn if a switch of another library is assigned, which has no effect here."""
        found = getattr_static(type(self), name, None)
        if name in SWITCHES and value is False and name not in self.__dict__ and isinstance(found, Foreign):
            notice(f"{type(self).__name__}.{name} = False has no effect; {found.instead}")

    def _warn_of_replacement(self, name: str) -> None:
        """Warn once of a layer or parameter that a call replaces, so that its updates are lost."""
        if changes.get() is not None and enable_backprop.get():
            path = f"{type(self).__name__}.{name}"
            notice_once(
                path, f"{path} is created again in a call, so what it has learned is lost; create it in __init__"
            )

    def __delattr__(self, name: str) -> None:
        snapshot(self, name)
        super().__delattr__(name)
        invalidate()

    def __getstate__(self) -> dict[str, Any]:
        """The attributes that are copied and pickled."""
        return {name: value for name, value in self.__dict__.items() if name not in TRANSIENT}

    def __repr__(self) -> str:
        return described(self)

    def _repr_html_(self) -> str:
        return html_of_layer(self)

    def predict(self, *inputs: Any, batch_size: int = 256) -> Any:
        """The results for arrays (N, ...) of any length, as arrays, in `test_mode` and under `no_grad`.

        ``batch_size``: the number of examples computed at a time, which bounds the memory. Recurrent layers begin each
        batch in the state that they are in, and are restored to it in the end.

        Raises `DTypeError` for inputs that are no arrays, `ShapeError` for inputs of different lengths.

        >>> import numpy as np
        >>> from passus.layers import Linear
        >>> Linear(2).predict(np.ones((1000, 3), np.float32)).shape
        (1000, 2)
        """
        return predicted(self, rows(inputs, batch_size))

    # Hooks.

    def add_forward_hook(self, function: Callable[[Layer, tuple[Any, ...], Any], Any]) -> Hook:
        """Call ``function(layer, inputs, outputs)`` after each call of the layer. What it returns is ignored.

        Returns a `Hook`, with which the function can be removed. Copies of the layer have no hooks. Raises `DTypeError` if
        ``function`` cannot be called.

        >>> import numpy as np
        >>> from passus.layers import Linear
        >>> layer = Linear(2)
        >>> with layer.add_forward_hook(lambda layer, inputs, y: print(inputs[0].shape, y.shape)):
        ...     y = layer(np.ones((1, 3), np.float32))
        (1, 3) (1, 2)
        """
        checked_hook(f"{label(self)}.add_forward_hook", function)
        invalidate()  # Programs call hooks, too.
        return Hook(self.__dict__.setdefault("_hooks", []), function)

    def add_backward_hook(self, function: Callable[[Layer, Array], Any]) -> Hook:
        """Call ``function(layer, gradient)`` with the gradient of each result of the layer, in each backward pass.

        The gradient is a read-only array; see `Variable.add_gradient_hook`. It applies to results of later calls, and after
        its removal to results of earlier calls only.

        >>> import numpy as np
        >>> from passus.layers import Linear
        >>> layer = Linear(2)
        >>> hook = layer.add_backward_hook(lambda layer, gy: print(gy))
        >>> layer(np.ones((1, 3), np.float32)).sum().backward()
        [[1. 1.]]
        """
        checked_hook(f"{label(self)}.add_backward_hook", function)
        return self.add_forward_hook(partial(observe_gradients, function))

    # Parameters, buffers and sub-layers.

    def params(self) -> Iterator[Parameter]:
        """All parameters, each once, in the order of assignment."""
        return iter([parameter for _, parameter in named_parameters(self)])

    def named_params(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their paths, such as ``encoder.l2.W``; a shared parameter has its first path."""
        return iter(named_parameters(self))

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """All buffers with their paths."""
        return ((path, node.array) for path, node in walk(self) if isinstance(node, StateRef))

    def named_layers(self) -> Iterator[tuple[str, Layer]]:
        """The layer itself (with an empty path) and all layers below it, parents before children."""
        return ((path, node) for path, node in walk(self) if isinstance(node, Layer))

    def register_buffer(self, name: str, array: Array | None, spec: Spec | None = None) -> None:
        """Register the attribute ``name`` as a buffer: an array that is saved with the weights but not trained.

        ``array``: None if the first call creates it, then with the shape and dtype of ``spec``. Raises `ArgumentError`
        if the name is not an identifier, `DTypeError` if ``array`` is no array.
        """
        where = f"{label(self)}.register_buffer"
        if not (isinstance(name, str) and name.isidentifier()):
            raise ArgumentError(f"{where}: {name!r} is no name for an attribute")
        setattr(self, name, None if array is None else array_of(f"{where}({name!r})", array))
        self._buffers = {**self._buffers, name: spec or Spec(None)}

    def register_state(self, *names: str) -> None:
        """Register attributes that carry state from one call to the next: Variables, or None at the start of a
        sequence.

        They are part of `state_dict`, so that a run resumes in the middle of a sequence, but not of files of weights.
        `predict` and the evaluation of a trainer restore them. Raises `ArgumentError` if a name is not an identifier.

        >>> import numpy as np
        >>> class Sum(Layer):
        ...     def __init__(self):
        ...         self.total = None
        ...         self.register_state("total")
        ...     def forward(self, x):
        ...         self.total = x if self.total is None else self.total + x
        ...         return self.total
        >>> layer = Sum()
        >>> y = layer(Variable(np.ones(1)))
        >>> layer.predict(np.ones(1)), layer.total
        (array([2.]), variable([1.]))
        """
        for name in names:
            if not (isinstance(name, str) and name.isidentifier()):
                raise ArgumentError(f"{label(self)}.register_state: {name!r} is no name for an attribute")
        self._carried = (*self._carried, *[name for name in dict.fromkeys(names) if name not in self._carried])

    def count_params(self) -> int:
        """The number of elements of all parameters. Raises `WeightsError` if a shape is unknown before the first
        call.
        """
        parameters = dict(self.named_params())
        lazy = [path for path, parameter in parameters.items() if parameter._data is None]
        if lazy:
            raise WeightsError(f"{label(self)}: {', '.join(lazy)} will get a shape from the first call; call it once")
        return sum(parameter.size for parameter in parameters.values())

    # DeZero's names.

    @property
    def _params(self) -> KeysView[str]:
        """The names of the attributes that contain parameters and layers."""
        found = [path.split(".")[0] for path, node in walk(self) if path and isinstance(node, (Parameter, Layer))]
        return dict.fromkeys(found).keys()

    def _flatten_params(self, params_dict: dict[str, Parameter], parent_key: str = "") -> None:
        """Add all parameters to a dict, under paths such as ``encoder/l2/W``."""
        for path, parameter in named_parameters(self):
            params_dict["/".join(filter(None, [parent_key, *path.split(".")]))] = parameter

    # Training.

    def cleargrads(self) -> None:
        """Set all gradients to None, before the next backward pass."""
        for parameter in self.params():
            parameter.cleargrad()

    def freeze(self) -> Self:
        """Stop training: no gradients flow to the parameters, and `BatchNorm` uses its averages without updating them.
        Returns the layer itself.
        """
        for parameter in self.params():
            if others:
                touch(parameter)
            parameter.requires_grad = False
        for _, layer in self.named_layers():
            layer.freeze_statistics(True)
        return self

    def unfreeze(self) -> Self:
        """Undo `freeze`."""
        for parameter in self.params():
            if others:
                touch(parameter)
            parameter.requires_grad = parameter._data is None or parameter.dtype.kind == "f"
        for _, layer in self.named_layers():
            layer.freeze_statistics(False)
        return self

    def freeze_statistics(self, frozen: bool) -> None:
        """Called by `freeze` (True) and `unfreeze` (False) of this layer and of layers that contain it. A layer with
        running statistics overrides it.
        """

    def _locate(self, error: PassusError) -> None:
        """Prefix the message of an error with the path of the layer that raised it."""
        inner = error.layer
        if inner is self:
            return
        if isinstance(inner, Layer):
            # The inner layer prefixed its class name; its path in this layer replaces that.
            error.layers = error.layers[1:]
            error.within(next((path for path, layer in self.named_layers() if layer is inner), label(inner)))
        error.within(label(self))
        error.layer = self


answers(Layer, LAYER)


def _reference(x: Any) -> Any:
    """A weak reference, so that a layer keeps no graph alive; a function if the type has no weak references."""
    try:
        return ref(x)
    except TypeError:
        return [_reference(v) for v in x] if isinstance(x, (list, tuple)) else lambda: x
