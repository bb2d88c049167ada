"""A host of images on loopback, as good or as bad as the path says. It keeps a record of who came, and of how they went.

    /good.png /good.pdf /big.png     what they are; the last has nearly 20 MiB
    /page /gzip /missing /cut        a page that says it is an image, a coded answer, a 404, half of an image
    /huge /endless /unframed         a length beyond all measure, chunks without end, no frame and no end
    /silent /drip /drip-head         nothing, or a byte now and then
    /to/N?URL                        a redirect (status N) to URL; /loop: to itself
"""

import base64
import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import unquote

from dialect_callers import PDF, PNG

MIB = 1024 * 1024
GOOD_PNG, GOOD_PDF = base64.b64decode(PNG), base64.b64decode(PDF)
BIG_PNG = GOOD_PNG + bytes(19 * MIB)


@dataclass
class Visit:
    """`gone` is when the connection ended."""

    head: str
    at: float
    sent: int = 0
    gone: float = 0.0

    @property
    def path(self) -> str:
        return self.head.split(" ", 2)[1]


class MediaHost:
    def __init__(self, port: int = 0) -> None:
        """Raises OSError where the port is not to be had."""
        self.visits: list[Visit] = []
        self.connections = 0
        self._sock = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self._sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True, name="media host").start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def of(self, mark: str) -> list[Visit]:
        return [visit for visit in self.visits if mark in visit.path]

    def close(self) -> None:
        self._sock.close()

    def _accept(self) -> None:
        while True:
            try:
                other, _ = self._sock.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(other,), daemon=True).start()

    def _serve(self, other: socket.socket) -> None:
        head = b""
        with contextlib.suppress(OSError), other:
            while b"\r\n\r\n" not in head:
                piece = other.recv(65536)
                if not piece:
                    return
                head += piece
            visit = Visit(head.decode("latin-1"), time.monotonic())
            self.visits.append(visit)
            try:
                self._answer(other, visit)
            finally:
                visit.gone = time.monotonic()

    def _answer(self, other: socket.socket, visit: Visit) -> None:
        path, _, query = visit.path.partition("?")
        parts = path.strip("/").split("/")
        whole = {"good.png": GOOD_PNG, "good.pdf": GOOD_PDF, "big.png": BIG_PNG, "page": b"<html>secret of the intranet</html>"}
        if parts[0] in whole:
            self._say(other, visit, whole[parts[0]])
        elif parts[0] == "gzip":
            self._say(other, visit, GOOD_PNG, lines="Content-Encoding: gzip\r\n")
        elif parts[0] == "missing":
            self._say(other, visit, b"", status=404)
        elif parts[0] in ("to", "loop"):
            there = unquote(query) if parts[0] == "to" else visit.path
            self._say(other, visit, b"", status=int(parts[1]) if len(parts) > 1 else 302, lines=f"Location: {there}\r\n")
        else:
            self._misbehave(other, visit, parts[0])

    def _misbehave(self, other: socket.socket, visit: Visit, how: str) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
        if how == "cut":
            other.sendall(head + b"Content-Length: 999\r\n\r\n" + GOOD_PNG)
        elif how in ("silent", "huge"):
            other.sendall(head + b"Content-Length: 99999999999999\r\n\r\n" if how == "huge" else b"")
            other.recv(1)  # until they hang up
        elif how in ("endless", "unframed"):
            other.sendall(head + (b"Transfer-Encoding: chunked\r\n\r\n" if how == "endless" else b"\r\n"))
            piece = GOOD_PNG + bytes(65536 - len(GOOD_PNG))
            while visit.sent < 200 * MIB:
                other.sendall(b"10000\r\n%b\r\n" % piece if how == "endless" else piece)
                visit.sent += len(piece)
        elif how in ("drip", "drip-head"):
            other.sendall(head + (b"Content-Length: 9999\r\n\r\n" + GOOD_PNG if how == "drip" else b"X-Slow: "))
            for _ in range(400):
                other.sendall(b"x")
                time.sleep(0.1)

    def _say(self, other: socket.socket, visit: Visit, body: bytes, status: int = 200, lines: str = "") -> None:
        head = f"HTTP/1.1 {status} As told\r\nContent-Type: image/png\r\nSet-Cookie: seen=1\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        other.sendall(head.encode() + body)
        visit.sent = len(body)
