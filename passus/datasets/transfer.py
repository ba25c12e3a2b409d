"""One answer of a server, from the first to the last byte: within a deadline and a size, and over HTTP alone."""

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
"""The status of an answer that holds the whole file; 204 has none, and 206 a part of one."""


class TransferError(Exception):
    """What went wrong, to be said after the address."""


@contextmanager
def fetched(url: str, timeout: float, deadline: float, max_size: int) -> Iterator[tuple[int | None, Iterator[bytes]]]:
    """The size of what is behind an address, if the server says it, and its bytes in pieces.

    ``timeout``: seconds without a byte, ``deadline``: seconds in all. Raises `TransferError`.
    """
    with _Watch(deadline) as watch:
        with watch.explained():
            response = _opener(watch).open(url, timeout=min(timeout, deadline))
        with response:
            if response.status != COMPLETE:
                raise TransferError(f"answered {response.status} {response.reason}, which is no whole file")
            size = _announced(response, max_size)
            yield size, _chunks(response, size, max_size, watch)


class _Watch:
    """Cuts the connections when the time is over, even while nothing but the header drips in."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds
        self.sockets: list[socket.socket] = []
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()

    def add(self, connection: socket.socket) -> None:
        self.sockets.append(connection)
        if time.monotonic() >= self.end:
            self._cut()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise `TransferError` for what the network or the server did wrong inside."""
        # Not at the top: HTTP and TLS take longer to import than passus does.
        import http.client

        try:
            yield
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.check()
            raise TransferError(f"cannot be downloaded ({error})") from error

    def check(self) -> None:
        """Raise `TransferError` if the time is over."""
        if time.monotonic() >= self.end:
            raise TransferError(f"took longer than the deadline of {self.seconds:g} s")

    def _cut(self) -> None:
        for connection in self.sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _opener(watch: _Watch) -> Any:
    """What opens addresses of HTTP and TLS, and follows redirects to no others."""
    import http.client
    import urllib.request as request

    class Watched(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            watch.add(self.sock)

    class WatchedTLS(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            watch.add(self.sock)

    class Plain(request.HTTPHandler):
        def http_open(self, req: request.Request) -> Any:
            return self.do_open(Watched, req)

    class TLS(request.HTTPSHandler):
        def https_open(self, req: request.Request) -> Any:
            return self.do_open(partial(WatchedTLS, context=self._context), req)  # type: ignore[attr-defined]

    opener = request.OpenerDirector()
    kinds = (
        request.ProxyHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
    )
    # None for files, FTP or data: an address that leads there has no handler.
    for handler in (*(kind() for kind in kinds), Plain(), TLS(), request.UnknownHandler()):
        opener.add_handler(handler)
    return opener


def _announced(response: Any, max_size: int) -> int | None:
    announced = response.headers.get("Content-Length")
    if announced is None or not (announced.isascii() and announced.isdigit() and len(announced) < 20):
        return None
    size = int(announced)
    if size > max_size:
        raise TransferError(f"has {size} bytes, and {max_size} are the limit (max_size)")
    return size


def _chunks(response: Any, size: int | None, max_size: int, watch: _Watch) -> Iterator[bytes]:
    done = 0
    while chunk := _next(response, watch):
        done += len(chunk)
        if done > max_size:
            raise TransferError(f"has more than {max_size} bytes, which are the limit (max_size)")
        yield chunk
    if size is not None and done < size:
        raise TransferError(f"ended after {done} of {size} bytes")


def _next(response: Any, watch: _Watch) -> bytes:
    with watch.explained():
        chunk: bytes = response.read1(CHUNK)
    watch.check()
    return chunk
