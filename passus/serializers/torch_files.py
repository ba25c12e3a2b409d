"""Files that ``torch.save`` wrote, read without PyTorch and without pickle."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipInfo

from passus.errors import WeightsError, kind_of
from passus.files import FilePath
from passus.serializers.files import check_readable
from passus.serializers.torch_pickle import Machine
from passus.serializers.torch_tensors import NAMES, Storages
from passus.tree import Tree
from passus.unpacking import BROKEN, zip_archive

__all__ = ["load_torch"]

MAGIC = 0x1950A86A20F9469CFC6C
"""The number that files begin with which PyTorch wrote before version 1.6, or writes when it is asked to."""


def load_torch(path: FilePath) -> Tree:
    """What ``torch.save`` wrote to a file: dicts, lists, numbers and strings as they were, tensors as arrays.

    So ``load_torch("model.pth")`` of a saved ``state_dict()`` is a dict of arrays by their names. Tensors of bfloat16
    become float32; those that shared their memory share it still. The pickle in the file is not executed but read by a
    machine that knows no other objects than these; a file takes memory in proportion to its size, whatever it claims, and
    describes at most a million dicts, lists, tuples and tensors.

    Raises `WeightsError` for a file that is broken or holds anything else, `FileNotFoundError` if there is none.

    >>> load_torch("never-saved.pth")
    Traceback (most recent call last):
        ...
    passus.errors.MissingWeightsError: never-saved.pth: no such file; check the path
    """
    check_readable(path)
    try:
        with Path(path).open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
        tree = _zipped(Path(path)) if zipped else _old(Path(path).read_bytes())
    except BROKEN as error:
        raise WeightsError(f"{path}: it cannot be read as a file of PyTorch: {error}") from error
    if type(tree) is not dict:
        raise WeightsError(f"{path}: it holds {kind_of(tree)}, not a dict of tensors; save model.state_dict()")
    return tree


def _zipped(path: Path) -> Any:
    """The format since version 1.6: an archive with a pickle, ``NAME/data.pkl``, and storages, ``NAME/data/KEY``."""
    storages = Storages(path.stat().st_size)
    with zip_archive(path) as archive:
        _check_members(archive.infolist(), storages.room)
        folder = _folder(archive.namelist())
        if f"{folder}/byteorder" in archive.namelist() and archive.read(f"{folder}/byteorder") != b"little":
            raise WeightsError("it was written by a machine with another order of bytes")
        tree = Machine(NAMES, storages.referred).run(BytesIO(archive.read(f"{folder}/data.pkl")))
        for key, storage in storages.items():
            storage.put(archive.read(f"{folder}/data/{key}"))
    return tree


def _folder(names: list[str]) -> str:
    folders = [folder for folder, _, name in (n.partition("/") for n in names) if name == "data.pkl"]
    if len(folders) != 1:
        raise WeightsError(f"an archive with {len(folders)} members called NAME/data.pkl, and not one")
    return folders[0]


def _check_members(members: list[ZipInfo], room: int) -> None:
    if any(member.compress_type != ZIP_STORED for member in members):
        raise WeightsError("an archive whose members are compressed, which those of PyTorch never are")
    if sum(member.file_size for member in members) > room:
        raise WeightsError("an archive whose members are larger than the whole file")


def _old(data: bytes) -> Any:
    """The format before: five pickles, of which the fourth is the tree and the fifth lists the storages that follow."""
    storages = Storages(len(data))
    content = BytesIO(data)
    machine = Machine(NAMES, storages.referred)
    if machine.run(content) != MAGIC:
        raise WeightsError("it has neither the format of PyTorch since version 1.6 nor the one before")
    _, system, tree, keys = (machine.run(content) for _ in range(4))
    if type(system) is not dict or system["little_endian"] is not True:
        raise WeightsError("it was written by a machine with another order of bytes")
    if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(storages):
        raise WeightsError("the list of storages is not that of the storages which the tensors need")
    for storage in (storages[key] for key in keys):
        if int.from_bytes(content.read(8), "little") != storage.array.size:
            raise WeightsError("a storage has another length than the pickle says")
        storage.put(content.read(storage.nbytes))
    return tree
