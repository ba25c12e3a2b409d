"""Shakespeare's plays as characters."""

from __future__ import annotations

import hashlib

import pytest

from passus.datasets import (
    Shakespear,
    Shakespeare,
)
from passus.errors import DataError
from tests.helpers.served import Served


def test_characters_are_paired_with_the_ones_that_follow(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "First Citizen:\nBefore we proceed any further, hear me speak.\n"
    served.files["input.txt"] = text.encode()
    monkeypatch.setattr(Shakespeare, "checksum", hashlib.sha256(text.encode()).hexdigest())
    play = Shakespeare(url=f"{served.url}/input.txt")
    assert "".join(play.id_to_char[i] for i in play.data) == text[:-1]
    assert "".join(play.id_to_char[i] for i in play.label) == text[1:]
    assert (play.char_to_id["F"], play.char_to_id["i"]) == (0, 1)
    assert play[0] == (0, 1)
    assert Shakespear is Shakespeare


def test_files_that_are_not_utf8_are_rejected(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.files["input.txt"] = b"\xff\xfe"
    monkeypatch.setattr(Shakespeare, "checksum", hashlib.sha256(b"\xff\xfe").hexdigest())
    with pytest.raises(DataError, match="not UTF-8 text"):
        Shakespeare(url=f"{served.url}/input.txt")
