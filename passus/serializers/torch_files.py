"""Reading files of ``torch.save`` without PyTorch and without pickle."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipInfo

from passus.errors import WeightsError, kind_of
from passus.files import FilePath
from passus.serializers.files import check_readable
from passus.serializers.torch_pickle import Unpickler
from passus.serializers.torch_tensors import CALLABLES, Storages
from passus.tree import Tree
from passus.unpacking import BROKEN, zip_archive

__all__ = ["load_torch"]

MAGIC = 0x1950A86A20F9469CFC6C
"""The first number in files of the legacy format, the default before PyTorch 1.6."""


def load_torch(path: FilePath) -> Tree:
    """Read a file of ``torch.save``: dicts, lists, numbers and strings unchanged, tensors as arrays.

    For a saved ``state_dict()``, ``load_torch("model.pth")`` returns a dict of arrays by name. bfloat16 tensors become
    float32; tensors that shared memory still do. The pickle in the file is not executed: an interpreter that supports only
    these types reads it. Memory is limited in proportion to the size of the file, and the number of dicts, lists, tuples
    and tensors to a million.

    Raises `WeightsError` for a file that is damaged or contains other objects, `FileNotFoundError` for a missing file.

    >>> load_torch("never-saved.pth")
    Traceback (most recent call last):
        ...
    passus.errors.MissingWeightsError: never-saved.pth: no such file; check the path
    """
    check_readable(path)
    try:
        with Path(path).open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
        tree = _read_zip(Path(path)) if zipped else _read_legacy(Path(path).read_bytes())
    except BROKEN as error:
        raise WeightsError(f"{path}: not a readable PyTorch file: {error}") from error
    if type(tree) is not dict:
        raise WeightsError(f"{path}: holds {kind_of(tree)}, not a dict of tensors; save model.state_dict()")
    return tree


def _read_zip(path: Path) -> Any:
    """Read the format since PyTorch 1.6: an archive with a pickle, ``NAME/data.pkl``, and storages, ``NAME/data/KEY``."""
    storages = Storages(path.stat().st_size)
    with zip_archive(path) as archive:
        _check_members(archive.infolist(), storages.room)
        folder = _folder(archive.namelist())
        if f"{folder}/byteorder" in archive.namelist() and archive.read(f"{folder}/byteorder") != b"little":
            raise WeightsError("big-endian files are not supported")
        tree = Unpickler(CALLABLES, storages.resolve).run(BytesIO(archive.read(f"{folder}/data.pkl")))
        for key, storage in storages.items():
            storage.fill(archive.read(f"{folder}/data/{key}"))
    return tree


def _folder(names: list[str]) -> str:
    folders = [folder for folder, _, name in (n.partition("/") for n in names) if name == "data.pkl"]
    if len(folders) != 1:
        raise WeightsError(f"the archive has {len(folders)} members NAME/data.pkl, not one")
    return folders[0]


def _check_members(members: list[ZipInfo], room: int) -> None:
    if any(member.compress_type != ZIP_STORED for member in members):
        raise WeightsError("the archive has compressed members, which PyTorch never writes")
    if sum(member.file_size for member in members) > room:
        raise WeightsError("the members of the archive are larger than the file")


def _read_legacy(data: bytes) -> Any:
    """Read the legacy format: five pickles, of which the fourth is the tree and the fifth the keys of the storages that follow."""
    storages = Storages(len(data))
    content = BytesIO(data)
    unpickler = Unpickler(CALLABLES, storages.resolve)
    if unpickler.run(content) != MAGIC:
        raise WeightsError("neither the format of PyTorch 1.6 and later nor the legacy format")
    _, system, tree, keys = (unpickler.run(content) for _ in range(4))
    if type(system) is not dict or system["little_endian"] is not True:
        raise WeightsError("big-endian files are not supported")
    if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(storages):
        raise WeightsError("the list of storages does not match the storages of the tensors")
    for storage in (storages[key] for key in keys):
        if int.from_bytes(content.read(8), "little") != storage.array.size:
            raise WeightsError("the length of a storage differs from that in the pickle")
        storage.fill(content.read(storage.nbytes))
    return tree
