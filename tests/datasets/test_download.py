"""Downloads: a complete and verified file, or none."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passus.datasets import cache_folder, get_file, load_cache_npz, save_cache_npz
from passus.datasets.download import show_progress
from passus.errors import ArgumentError, DataError, DTypeError
from passus.files import replacing
from tests.helpers.served import Served

CONTENT = bytes(range(256)) * 2000
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def served(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path))
    served.files["data.bin"] = CONTENT
    return served


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


def test_the_name_and_folder_of_a_download_can_be_given(served: Served, tmp_path: Path) -> None:
    path = get_file(f"{served.url}/data.bin", "other.bin", folder=tmp_path / "deep" / "er")
    assert path == tmp_path / "deep" / "er" / "other.bin"
    assert path.read_bytes() == CONTENT


def test_existing_files_need_no_network(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT)
    assert get_file("http://127.0.0.1:1/data.bin", checksum=MD5, folder=tmp_path).read_bytes() == CONTENT


def test_existing_files_with_a_wrong_checksum_are_rejected_and_not_deleted(served: Served, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"data\.bin.*md5.*delete the file") as caught:
        get_file(f"{served.url}/data.bin", checksum=MD5)
    assert MD5 in str(caught.value)
    assert served.requests["data.bin"] == 0


def nothing_left(folder: Path) -> bool:
    return list(folder.iterdir()) == []


def test_downloads_with_a_wrong_checksum_leave_no_file(served: Served, tmp_path: Path) -> None:
    served.files["data.bin"] = CONTENT[::-1]
    with pytest.raises(DataError, match=r"data\.bin.*sha256"):
        get_file(f"{served.url}/data.bin", checksum=SHA256)
    assert nothing_left(tmp_path)


def test_truncated_downloads_leave_no_file(served: Served, tmp_path: Path) -> None:
    served.cut.add("data.bin")
    with pytest.raises(DataError, match=r"data\.bin.*256000 of 512000 bytes"):
        get_file(f"{served.url}/data.bin")
    assert nothing_left(tmp_path)


def test_missing_files_on_the_server_raise(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.bin.*404.*mirror"):
        get_file(f"{served.url}/none.bin")
    assert nothing_left(tmp_path)


def test_unreachable_servers_raise(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.bin.*by hand"):
        get_file("http://127.0.0.1:1/data.bin", folder=tmp_path)
    assert nothing_left(tmp_path)


def test_interrupted_downloads_leave_no_file(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def update(self, chunk: bytes) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("passus.datasets.download._digest", lambda checksum: Interrupted())
    with pytest.raises(KeyboardInterrupt):
        get_file(f"{served.url}/data.bin")
    assert nothing_left(tmp_path)


def test_concurrent_downloads_of_one_file_succeed(served: Served, tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def fetch(_: int) -> bytes:
        together.wait()
        return get_file(f"{served.url}/data.bin", checksum=MD5).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert all(content == CONTENT for content in pool.map(fetch, range(4)))
    assert [p.name for p in tmp_path.iterdir()] == ["data.bin"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data.bin", "ftp://127.0.0.1/data.bin"])
def test_urls_of_other_schemes_are_rejected(url: str) -> None:
    with pytest.raises(ArgumentError, match="http"):
        get_file(url)


@pytest.mark.parametrize("name", ["../data.bin", "a/b", "", "..", "/tmp/data.bin"])
def test_file_names_with_a_folder_are_rejected(name: str) -> None:
    with pytest.raises(ArgumentError, match="file_name"):
        get_file("http://127.0.0.1:1/data.bin", name)


def test_checksums_of_unknown_length_are_rejected(served: Served) -> None:
    with pytest.raises(ArgumentError, match="md5"):
        get_file(f"{served.url}/data.bin", checksum="abc")


def test_the_environment_sets_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("PASSUS_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "passus"


def test_a_user_without_a_home_folder_has_a_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSUS_CACHE", raising=False)

    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    assert cache_folder().is_absolute()
    assert cache_folder().name.startswith("passus-")


def test_show_progress_prints_as_in_dezero(capsys: pytest.CaptureFixture[str]) -> None:
    show_progress(3, 100, 200)
    assert capsys.readouterr().out == f"\r[{'#' * 30}] 100.00%"
    show_progress(1, 100, -1)
    assert "0.00%" in capsys.readouterr().out


def test_arrays_are_saved_and_loaded_by_name(served: Served, tmp_path: Path) -> None:
    assert load_cache_npz("arrays.npz") == (None, None)
    path = save_cache_npz(np.eye(2), np.arange(2), "arrays.npz")
    assert path == tmp_path / "arrays.npz"
    data, label = load_cache_npz("arrays.npz")
    np.testing.assert_array_equal(data, np.eye(2))
    np.testing.assert_array_equal(label, [0, 1])


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_damaged_cache_files_raise(tmp_path: Path, keep: int) -> None:
    path = save_cache_npz(np.eye(9), np.arange(9), tmp_path / "arrays.npz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"arrays\.npz"):
        load_cache_npz(path)


def test_pickled_arrays_in_the_cache_are_rejected(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", data=np.array([{}], dtype=object), label=np.arange(1))
    with pytest.raises(DataError, match=r"bad\.npz"):
        load_cache_npz(tmp_path / "bad.npz")


def test_a_failed_write_leaves_the_old_cache_file(tmp_path: Path) -> None:
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


def test_object_arrays_are_not_cached(tmp_path: Path) -> None:
    with pytest.raises(DTypeError, match="objects"):
        save_cache_npz(np.array([{}]), np.array([0]), tmp_path / "objects.npz")
    assert not list(tmp_path.iterdir())


# Servers that misbehave.


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """The URL of a server that answers every request with a given function."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):
                answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/data.bin"
        finally:
            server.shutdown()


def headed(status: int, headers: dict[str, str], body: bytes = b"") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def dripping(first: bytes, drop: bytes) -> Answer:
    """Send one byte at a time, so that no pause is long."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(first)
        for _ in range(600):
            handler.wfile.write(drop)
            time.sleep(0.05)

    return answer


@pytest.mark.parametrize("status", [201, 202, 203, 204, 205, 206, 304, 400, 500])
def test_responses_other_than_200_are_rejected(tmp_path: Path, status: int) -> None:
    body = b"" if status in (204, 304) else b"part"
    answer = headed(status, {"Content-Length": str(len(body))}, body)
    with answering(answer) as url, pytest.raises(DataError, match=str(status)):
        get_file(url, folder=tmp_path)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x", "gopher://127.0.0.1/"]
)
def test_redirects_to_other_schemes_are_rejected(tmp_path: Path, target: str, status: int) -> None:
    with answering(headed(status, {"Location": target})) as url, pytest.raises(DataError, match="cannot be downloaded"):
        get_file(url, folder=tmp_path)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_up_to_a_limit(served: Served, tmp_path: Path, status: int) -> None:
    with answering(headed(status, {"Location": f"{served.url}/data.bin"})) as url:
        assert get_file(url, "x", folder=tmp_path / "new").read_bytes() == CONTENT
    with answering(headed(status, {"Location": "/again"})) as url, pytest.raises(DataError, match="redirect"):
        get_file(url, "y", folder=tmp_path / "new")


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.0 200 OK\r\nX: ", b"x"),
        (b"", b"x"),
    ],
    ids=["body", "without length", "chunked", "length of a chunk", "header", "status"],
)
def test_slow_downloads_stop_at_the_deadline(tmp_path: Path, first: bytes, drop: bytes) -> None:
    with answering(dripping(first, drop)) as url, pytest.raises(DataError, match=r"longer than the deadline of 0\.5 s"):
        get_file(url, folder=tmp_path, deadline=0.5)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("announced", [True, False])
def test_downloads_stop_at_the_size_limit(served: Served, tmp_path: Path, announced: bool) -> None:
    headers = {"Content-Length": str(len(CONTENT))} if announced else {}
    with answering(headed(200, headers, CONTENT)) as url:
        with pytest.raises(DataError, match=r"max_size"):
            get_file(url, folder=tmp_path, max_size=len(CONTENT) - 1)
        assert nothing_left(tmp_path)
        assert get_file(url, folder=tmp_path, max_size=len(CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize("length", ["abc", "-1", "1" * 5000, "\u00b2"])
def test_invalid_content_lengths_are_rejected(tmp_path: Path, length: str) -> None:
    with answering(headed(200, {"Content-Length": length}, b"whole")) as url:
        try:
            content = get_file(url, folder=tmp_path).read_bytes()
        except DataError:
            assert nothing_left(tmp_path)
        else:
            assert content == b"whole"


@pytest.mark.parametrize(
    "url", ["http://[", "http://127.0.0.1:x/y", "http://127.0.0.1/\u00fc", "http://127.0.0.1:1/a b", "http:///x"]
)
def test_invalid_urls_are_rejected(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="cannot be downloaded"):
        get_file(url, "x", folder=tmp_path)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"deadline": 0}, ArgumentError), ({"deadline": "a"}, DTypeError), ({"max_size": 0}, ArgumentError)],
)
def test_invalid_limits_are_rejected(tmp_path: Path, options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind, match="get_file"):
        get_file("http://127.0.0.1:1/x", folder=tmp_path, **options)


def test_cache_entries_that_are_not_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "dangling"):
        for checksum in (None, MD5):
            with pytest.raises(DataError, match=r"folder|no such file"):
                get_file("http://127.0.0.1:1/x", name, folder=tmp_path, checksum=checksum)
    for name in ("a\0", "a" * 300, 3):
        with pytest.raises(ArgumentError):
            get_file("http://127.0.0.1:1/x", name, folder=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="not a URL"):
        get_file(3, folder=tmp_path)  # type: ignore[arg-type]


def test_a_full_disk_raises_os_error_and_leaves_no_file(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        get_file(f"{served.url}/data.bin")
    assert nothing_left(tmp_path)
