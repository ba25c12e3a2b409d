"""Downloads: a file is there whole and right, or not at all."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from passus.datasets import cache_folder, get_file, load_cache_npz, save_cache_npz
from passus.datasets.download import show_progress
from passus.errors import ArgumentError, DataError, DTypeError
from passus.files import replacing
from tests.served import Served, serving

CONTENT = bytes(range(256)) * 2000
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def _server() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def served(_server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path))
    _server.files, _server.cut = {"data.bin": CONTENT}, set()
    _server.requests.clear()
    return _server


@pytest.mark.parametrize("checksum", [MD5, SHA256, SHA256.upper(), None])
def test_a_file_is_downloaded_once(served: Served, tmp_path: Path, checksum: str | None) -> None:
    for _ in range(2):
        path = get_file(f"{served.url}/data.bin", checksum=checksum)
        assert path == tmp_path / "data.bin"
        assert path.read_bytes() == CONTENT
    assert served.requests["data.bin"] == 1


def test_a_progress_bar_is_shown(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    get_file(f"{served.url}/data.bin")
    shown = capsys.readouterr().err
    assert "data.bin" in shown
    assert "100%" in shown


def test_name_and_folder_can_be_chosen(served: Served, tmp_path: Path) -> None:
    path = get_file(f"{served.url}/data.bin", "other.bin", folder=tmp_path / "deep" / "er")
    assert path == tmp_path / "deep" / "er" / "other.bin"
    assert path.read_bytes() == CONTENT


def test_no_network_is_needed_for_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT)
    assert get_file("http://127.0.0.1:1/data.bin", checksum=MD5, folder=tmp_path).read_bytes() == CONTENT


def test_a_file_that_is_not_itself_is_refused_and_kept(served: Served, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"data\.bin.*md5.*delete the file") as caught:
        get_file(f"{served.url}/data.bin", checksum=MD5)
    assert MD5 in str(caught.value)
    assert served.requests["data.bin"] == 0


def nothing_left(folder: Path) -> bool:
    return list(folder.iterdir()) == []


def test_a_download_with_another_checksum_leaves_nothing(served: Served, tmp_path: Path) -> None:
    served.files["data.bin"] = CONTENT[::-1]
    with pytest.raises(DataError, match=r"data\.bin.*sha256"):
        get_file(f"{served.url}/data.bin", checksum=SHA256)
    assert nothing_left(tmp_path)


def test_a_download_that_breaks_off_leaves_nothing(served: Served, tmp_path: Path) -> None:
    served.cut.add("data.bin")
    with pytest.raises(DataError, match=r"data\.bin.*256000 of 512000 bytes"):
        get_file(f"{served.url}/data.bin")
    assert nothing_left(tmp_path)


def test_a_file_that_is_not_on_the_server(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.bin.*404.*mirror"):
        get_file(f"{served.url}/none.bin")
    assert nothing_left(tmp_path)


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.bin.*by hand"):
        get_file("http://127.0.0.1:1/data.bin", folder=tmp_path)
    assert nothing_left(tmp_path)


def test_an_interrupted_download_leaves_nothing(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def update(self, chunk: bytes) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("passus.datasets.download._digest", lambda checksum: Interrupted())
    with pytest.raises(KeyboardInterrupt):
        get_file(f"{served.url}/data.bin")
    assert nothing_left(tmp_path)


def test_several_may_download_the_same_file_at_once(served: Served, tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def fetch(_: int) -> bytes:
        together.wait()
        return get_file(f"{served.url}/data.bin", checksum=MD5).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert all(content == CONTENT for content in pool.map(fetch, range(4)))
    assert [p.name for p in tmp_path.iterdir()] == ["data.bin"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data.bin", "ftp://127.0.0.1/data.bin"])
def test_only_http_is_downloaded_from(url: str) -> None:
    with pytest.raises(ArgumentError, match="http"):
        get_file(url)


@pytest.mark.parametrize("name", ["../data.bin", "a/b", "", "..", "/tmp/data.bin"])
def test_a_name_with_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="file_name"):
        get_file("http://127.0.0.1:1/data.bin", name)


def test_a_checksum_of_no_known_length(served: Served) -> None:
    with pytest.raises(ArgumentError, match="md5"):
        get_file(f"{served.url}/data.bin", checksum="abc")


def test_the_cache_folder_is_set_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("PASSUS_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "passus"


def test_progress_as_in_dezero(capsys: pytest.CaptureFixture[str]) -> None:
    show_progress(3, 100, 200)
    assert capsys.readouterr().out == f"\r[{'#' * 30}] 100.00%"
    show_progress(1, 100, -1)
    assert "0.00%" in capsys.readouterr().out


def test_arrays_are_cached(served: Served, tmp_path: Path) -> None:
    assert load_cache_npz("arrays.npz") == (None, None)
    path = save_cache_npz(np.eye(2), np.arange(2), "arrays.npz")
    assert path == tmp_path / "arrays.npz"
    data, label = load_cache_npz("arrays.npz")
    np.testing.assert_array_equal(data, np.eye(2))
    np.testing.assert_array_equal(label, [0, 1])


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_broken_cache_says_so(tmp_path: Path, keep: int) -> None:
    path = save_cache_npz(np.eye(9), np.arange(9), tmp_path / "arrays.npz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"arrays\.npz"):
        load_cache_npz(path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", data=np.array([{}], dtype=object), label=np.arange(1))
    with pytest.raises(DataError, match=r"bad\.npz"):
        load_cache_npz(tmp_path / "bad.npz")


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def half() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        half()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
    link = tmp_path / "link"
    link.symlink_to(path)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_objects_are_never_pickled_into_the_cache(tmp_path: Path) -> None:
    with pytest.raises(DTypeError, match="objects"):
        save_cache_npz(np.array([{}]), np.array([0]), tmp_path / "objects.npz")
    assert not list(tmp_path.iterdir())
