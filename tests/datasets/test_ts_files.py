"""Files of labelled series, and the dataset of Japanese vowels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from passus.datasets import JapaneseVowels, read_ts
from passus.errors import DataError
from tests.helpers.real_data import real

HEADER = "# A comment\n\n@problemName Two\n@timeStamps false\n@classLabel true a b\n@data\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "x.ts"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_series_of_different_lengths_are_read(tmp_path):
    data, label, classes = read_ts(written(tmp_path, HEADER + "1,2.5,-3e1:4, 5 ,6:b\n\n  1:2:a\r\n?,2:NaN,4:a"))
    assert classes == ("a", "b")
    np.testing.assert_array_equal(label, [1, 0, 0])
    assert [x.shape for x in data] == [(3, 2), (1, 2), (2, 2)]
    assert {x.dtype for x in data} == {np.dtype(np.float64)}
    np.testing.assert_array_equal(data[0], [[1, 4], [2.5, 5], [-30, 6]])
    np.testing.assert_array_equal(data[2], [[np.nan, np.nan], [2, 4]])
    assert all(x.flags.c_contiguous and x.flags.writeable for x in data)


def test_header_names_are_case_insensitive(tmp_path):
    assert read_ts(written(tmp_path, "@CLASSLABEL TRUE 7\n@Dimensions 1\n@DATA\n1,2:7\n")).classes == ("7",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no case"),
        (HEADER, "no case"),
        ("1,2:a\n", "line 1: values before @data"),
        (HEADER + "1,2:c\n", "line 7: unknown class label 'c'"),
        (HEADER + "1,2\n", "unknown class label '1,2'"),
        (HEADER + "a\n", "0 channels"),
        (HEADER + "1,2:3:a\n", r"different lengths: \[2, 1\]"),
        (HEADER + "1,2:a\n1,2:3,4:a\n", "line 8: 2 channels, expected 1"),
        (HEADER + "1,x:a\n", "line 7: .*'x'"),
        (HEADER + "1,:a\n", "line 7: could not convert"),
        (HEADER + "1,inf:a\n", "infinite"),
        (HEADER + "1,1e999:a\n", "infinite"),
        (HEADER.replace("@problemName Two", "@dimensions 3") + "1,2:a\n", "1 channels, expected 3"),
        (HEADER.replace("@timeStamps false", "@timeStamps true") + "1,2:a\n", "time stamps are not supported"),
        (HEADER.replace("true a b", "false") + "1,2\n", "no class labels"),
        ("@\n@data\n", "line 1: "),
        (b"\xff\xfe", "line 1: .*decode"),
    ],
)
def test_malformed_files_raise_with_the_reason(text, message, tmp_path):
    with pytest.raises(DataError, match=rf"x\.ts: .*{message}"):
        read_ts(written(tmp_path, text))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.ts: no such file"):
        read_ts(tmp_path / "none.ts")


SPEAKERS = "@classLabel true 1 2 3 4 5 6 7 8 9\n@data\n"
UTTERANCE = ":".join(["0.25,0.5"] * 12)


def test_vowels_are_read_from_a_folder_or_a_wheel(tmp_path):
    files = {"TRAIN": f"{SPEAKERS}{UTTERANCE}:1\n{UTTERANCE}:9\n", "TEST": f"{SPEAKERS}{UTTERANCE}:3\n"}
    with zipfile.ZipFile(tmp_path / "aeon-1.6.0-py3-none-any.whl", "w") as wheel:
        for part, text in files.items():
            wheel.writestr(f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts", text)
    folder = tmp_path / "folder"
    folder.mkdir()
    for part, text in files.items():
        (folder / f"JapaneseVowels_{part}.ts").write_text(text)
    for path in (tmp_path, tmp_path / "aeon-1.6.0-py3-none-any.whl", folder):
        train, test = JapaneseVowels(path=path), JapaneseVowels(train=False, path=path)
        np.testing.assert_array_equal(train.label, [0, 8])
        np.testing.assert_array_equal(test.label, [2])
        x, t = train[1]
        assert (x.shape, x.dtype, t) == ((2, 12), np.float32, 8)
    assert JapaneseVowels(path=folder, transform=lambda x: x[:1])[0][0].shape == (1, 12)


def test_missing_or_unexpected_files_are_rejected(tmp_path):
    with pytest.raises(
        DataError, match=r"holds no JapaneseVowels_TRAIN\.ts; .*pip download --no-deps aeon==1\.6\.0 -d"
    ):
        JapaneseVowels(path=tmp_path)
    (tmp_path / "JapaneseVowels_TRAIN.ts").write_text(HEADER + "1,2:a\n")
    with pytest.raises(DataError, match="1 channels and 2 classes, not the 12 and 9 of JapaneseVowels"):
        JapaneseVowels(path=tmp_path)
    (tmp_path / "aeon-1.whl").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"aeon-1\.whl: cannot be read"):
        JapaneseVowels(train=False, path=tmp_path / "aeon-1.whl")


def test_the_published_vowels_have_the_documented_sizes():
    folder = real("JapaneseVowels_TRAIN.ts").parent
    train, test = JapaneseVowels(path=folder), JapaneseVowels(train=False, path=folder)
    np.testing.assert_array_equal(np.bincount(train.label), [30] * 9)
    np.testing.assert_array_equal(np.bincount(test.label), [31, 35, 88, 44, 29, 24, 40, 50, 29])
    lengths = [len(x) for x in train.data + test.data]
    assert (min(lengths), max(lengths)) == (7, 29)
    assert {x.shape[1] for x in train.data + test.data} == {12}
