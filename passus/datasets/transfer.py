"""One HTTP response, read to the end within a deadline and a size limit."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

__all__ = ["TransferError", "fetched"]

CHUNK = 1 << 16
COMPLETE = 200
"""The status of a response that holds the whole file; 204 has no content, and 206 is partial."""


class TransferError(Exception):
    """A failed transfer; the message continues a sentence that begins with the URL."""


@contextmanager
def fetched(url: str, timeout: float, deadline: float, max_size: int) -> Iterator[tuple[int | None, Iterator[bytes]]]:
    """Open a URL: the size of the content, or None if the server does not send it, and an iterator over chunks.

    ``timeout``: seconds without data, ``deadline``: seconds in all. Raises `TransferError`.
    """
    with _Deadline(deadline) as limit:
        with limit.translated_errors():
            response = _opener(limit).open(url, timeout=min(timeout, deadline))
        with response:
            if response.status != COMPLETE:
                raise TransferError(f"answered {response.status} {response.reason}, not {COMPLETE}")
            size = _content_length(response, max_size)
            yield size, _chunks(response, size, max_size, limit)


class _Deadline:
    """Closes the connections at the deadline, even while only headers arrive."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds
        self.sockets: list[socket.socket] = []
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._shut_down)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    def add(self, connection: socket.socket) -> None:
        self.sockets.append(connection)
        if time.monotonic() >= self.end:
            self._shut_down()

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Translate errors of the network or the server into `TransferError`."""
        # Imported here because HTTP and TLS take longer to import than passus.
        import http.client

        try:
            yield
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.check()
            raise TransferError(f"cannot be downloaded ({error})") from error

    def check(self) -> None:
        """Raise `TransferError` if the deadline has passed."""
        if time.monotonic() >= self.end:
            raise TransferError(f"took longer than the deadline of {self.seconds:g} s")

    def _shut_down(self) -> None:
        for connection in self.sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _opener(limit: _Deadline) -> Any:
    """An opener for HTTP and HTTPS that follows redirects to these schemes only."""
    import http.client
    import urllib.request as request

    class LimitedHTTP(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            limit.add(self.sock)

    class LimitedHTTPS(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            limit.add(self.sock)

    class Plain(request.HTTPHandler):
        def http_open(self, req: request.Request) -> Any:
            return self.do_open(LimitedHTTP, req)

    class TLS(request.HTTPSHandler):
        def https_open(self, req: request.Request) -> Any:
            return self.do_open(partial(LimitedHTTPS, context=self._context), req)  # type: ignore[attr-defined]

    opener = request.OpenerDirector()
    kinds = (
        request.ProxyHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
    )
    # No handlers for files, FTP or data: such URLs are refused.
    for handler in (*(kind() for kind in kinds), Plain(), TLS(), request.UnknownHandler()):
        opener.add_handler(handler)
    return opener


def _content_length(response: Any, max_size: int) -> int | None:
    header = response.headers.get("Content-Length")
    if header is None or not (header.isascii() and header.isdigit() and len(header) < 20):
        return None
    size = int(header)
    if size > max_size:
        raise TransferError(f"has {size} bytes, more than max_size={max_size}")
    return size


def _chunks(response: Any, size: int | None, max_size: int, limit: _Deadline) -> Iterator[bytes]:
    received = 0
    while chunk := _next(response, limit):
        received += len(chunk)
        if received > max_size:
            raise TransferError(f"has more than max_size={max_size} bytes")
        yield chunk
    if size is not None and received < size:
        raise TransferError(f"ended after {received} of {size} bytes")


def _next(response: Any, limit: _Deadline) -> bytes:
    with limit.translated_errors():
        chunk: bytes = response.read1(CHUNK)
    limit.check()
    return chunk
