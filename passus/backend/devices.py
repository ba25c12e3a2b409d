"""Devices: main memory, where arrays are of NumPy, and those that JAX finds."""

from __future__ import annotations

from typing import Any, TypeAlias

from passus.backend.base import Array
from passus.backend.lookup import backend_of, jax_backend
from passus.errors import ArgumentError, DependencyError, DTypeError

__all__ = ["Device", "has_gpu", "is_elsewhere", "moved_to", "to_device"]

Device: TypeAlias = Any
"""``"cpu"``: main memory and NumPy; ``"gpu"``, ``"gpu:1"``, ``"tpu"``: a device of JAX; ``"xla"``: the default one of JAX, which may
be the processor; or an object of JAX, a device or a sharding over several."""


def to_device(x: Array, device: Device, narrow: bool = False) -> Array:
    """The array on a device: of NumPy for ``"cpu"``, and of JAX for all others.

    ``narrow``: convert float64 to float32 if JAX does not compute in it.

    Raises `DependencyError` without JAX or such a device, `ArgumentError` for another name, `DTypeError` for 64-bit numbers
    that JAX would truncate.

    >>> import numpy as np
    >>> to_device(np.ones(2), "cpu")
    array([1., 1.])
    """
    if device == "cpu":
        return backend_of(x).to_numpy(x)
    backend: Any = jax_backend()
    target = _found(backend.jax, device)
    if not narrow and x.dtype.itemsize == 8 and x.dtype.kind == "f" and not backend.jax.config.jax_enable_x64:
        raise DTypeError(
            f"to_device: JAX would truncate {x.dtype} to float32; convert with astype(np.float32), or call "
            'jax.config.update("jax_enable_x64", True) first'
        )
    return backend.jax.device_put(x, target)


def is_elsewhere(x: Array, like: Array) -> bool:
    """Whether an array is not on the device of another one.

    >>> import numpy as np
    >>> is_elsewhere(np.ones(1), np.ones(2))
    False
    """
    a, b = backend_of(x), backend_of(like)
    if a is not b:
        return True
    return a.name == "jax" and a.has_values(x) and b.has_values(like) and x.sharding != like.sharding


def moved_to(x: Array, like: Array) -> Array:
    """The array on the device of another one.

    >>> import numpy as np
    >>> moved_to(np.ones(1), np.ones(2))
    array([1.])
    """
    return to_device(x, "cpu" if backend_of(like).name == "numpy" else like.sharding) if is_elsewhere(x, like) else x


def has_gpu() -> bool:
    """Whether JAX is installed and finds a GPU.

    >>> has_gpu() in (True, False)
    True
    """
    try:
        return bool(_devices(jax_backend().jax, "gpu"))  # type: ignore[attr-defined]
    except DependencyError:
        return False


def _found(jax: Any, device: Device) -> Any:
    """The device of JAX that is meant by a name; None: the default one."""
    if not isinstance(device, str):
        if isinstance(device, (jax.Device, jax.sharding.Sharding)):
            return device
        raise ArgumentError(f"to_device: {device!r} is no device; {_choice(jax)}")
    if device == "xla":
        return None
    platform, _, number = device.partition(":")
    if platform not in ("gpu", "cuda", "rocm", "tpu") or not (number.isdecimal() or number == ""):
        raise ArgumentError(f"to_device: {device!r} is no device; {_choice(jax)}")
    devices = _devices(jax, platform)
    index = int(number or 0)
    if index >= len(devices):
        raise DependencyError(
            f"to_device: JAX finds {len(devices) or 'no'} {platform}, so there is no {device!r}; {_choice(jax)}. JAX for GPUs is "
            'installed with: pip install "jax[cuda12]"; write `if passus.cuda.gpu_enable:` before to_gpu() and as_cupy()'
        )
    return devices[index]


def _devices(jax: Any, platform: str) -> list[Any]:
    try:
        return list(jax.local_devices(backend=platform))
    except RuntimeError:  # There is no such platform.
        return []


def _choice(jax: Any) -> str:
    names = [f"{d.platform}:{d.id}" for d in jax.local_devices() if d.platform != "cpu"]
    return f"choose {', '.join(['cpu', *names])} or xla"
