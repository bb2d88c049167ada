"""A caller on a raw blocking socket: sends any bytes, reads answers as they are framed, and says how each one ended."""

import json
import re
import socket
import struct
import time


class Ended(Exception):
    """The connection ended, or went silent, where an answer was due."""


class Answer:
    """`is_clean`: its own framing says it is whole. `seen`: when each piece of the body came, seconds since the request."""

    def __init__(self) -> None:
        self.status = 0
        self.version = ""
        self.headers: list[tuple[str, str]] = []
        self.interim: list[int] = []
        self.body = b""
        self.is_clean = False
        self.is_chunked = False
        self.seen: list[tuple[float, bytes]] = []
        self.ended = ""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise AssertionError(f"{self.status} with a body that is not JSON ({error}): {self.body[:160]!r}") from None

    def __repr__(self) -> str:
        return f"{self.status} clean={self.is_clean} {self.ended} {self.body[:200]!r}"


class Conn:
    def __init__(self, port: int, timeout: float = 10.0, host: str = "127.0.0.1", rcvbuf: int = 0) -> None:
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.started = time.monotonic()
        self.end = ""

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.started = time.monotonic()
        self.sock.sendall(data)

    def try_send(self, data: bytes) -> bool:
        """False when the other side would not take it all: it may have answered and closed."""
        try:
            self.send(data)
        except OSError:
            return False
        return True

    def more(self) -> bytes:
        """b"" at the end, whose kind is in `self.end`."""
        try:
            data = self.sock.recv(262144)
            self.end = "" if data else "eof"
        except TimeoutError:
            data, self.end = b"", "silence"
        except ConnectionError as error:
            data, self.end = b"", type(error).__name__
        self.buffer += data
        return data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not self.more():
                raise Ended(f"{self.end} after {self.buffer[:120]!r}")
        data, _, self.buffer = self.buffer.partition(mark)
        return data

    def head(self) -> Answer:
        answer = Answer()
        while True:
            lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            answer.version, _, rest = lines[0].partition(" ")
            if not rest[:3].isdigit():
                raise Ended(f"not an HTTP answer: {lines[0]!r}")
            answer.status = int(rest[:3])
            if 100 <= answer.status < 200:
                answer.interim.append(answer.status)
                continue
            answer.headers = [(k.strip().lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:])]
            return answer

    def body(self, answer: Answer, method: str = "POST", on_piece=None) -> Answer:
        """`on_piece(answer)` after each piece; when it returns True the rest is left unread."""

        def got(data: bytes) -> bool:
            if data:
                answer.body += data
                answer.seen.append((time.monotonic() - self.started, data))
            return bool(on_piece and on_piece(answer))

        if method == "HEAD" or answer.status in (204, 304):
            answer.is_clean = True
            return answer
        try:
            if "chunked" in (answer.header("transfer-encoding") or "").lower():
                answer.is_chunked = True
                self._chunks(answer, got)
            elif (length := answer.header("content-length")) is not None:
                left = int(length)
                while left:
                    if not self.buffer and not self.more():
                        raise Ended(f"{self.end} with {left} bytes missing")
                    piece, self.buffer = self.buffer[:left], self.buffer[left:]
                    left -= len(piece)
                    if got(piece):
                        return answer
                answer.is_clean = True
            else:
                while True:
                    piece, self.buffer = self.buffer, b""
                    if got(piece):
                        return answer
                    if not self.more():
                        break
                answer.ended, answer.is_clean = self.end, self.end == "eof"
        except Ended as error:
            answer.ended = str(error)
        return answer

    def _chunks(self, answer: Answer, got) -> None:
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self._until(b"\r\n"):
                    pass
                answer.is_clean = True
                return
            left = size
            while left:
                if not self.buffer and not self.more():
                    raise Ended(f"{self.end} inside a chunk")
                piece, self.buffer = self.buffer[:left], self.buffer[left:]
                left -= len(piece)
                if got(piece):
                    return
            self._until(b"\r\n")

    def read(self, method: str = "POST", on_piece=None) -> Answer:
        return self.body(self.head(), method, on_piece)

    def is_closed(self, within: float = 2.0) -> bool:
        """Whether the other side closes, with nothing more to say."""
        self.sock.settimeout(within)
        return not self.buffer and not self.more() and self.end != "silence"


def request(method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None, *, version: str = "1.1",
            host: str | None = "gateway.test") -> bytes:  # fmt: skip
    lines = [f"{method} {path} HTTP/{version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    names = {name.lower() for name in headers or {}}
    if body is not None and "content-length" not in names and "transfer-encoding" not in names:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def chunked(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def ask(port: int, data: bytes, *, timeout: float = 10.0, method: str = "POST", on_piece=None) -> Answer:
    with Conn(port, timeout) as conn:
        conn.try_send(data)
        return conn.read(method, on_piece)


def events(body: bytes) -> list[bytes]:
    """Server-sent events as they came, each with its blank line; a rest without one comes last."""
    return [event for event in re.findall(rb".*?(?:\n\r?\n|\Z)", body, re.DOTALL) if event]


def data_of(event: bytes) -> bytes:
    lines = event.replace(b"\r\n", b"\n").split(b"\n")
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))


def chunks(body: bytes) -> list[dict]:
    """The JSON payloads of a stream, [DONE] left out."""
    datas = [data_of(event) for event in events(body)]
    return [json.loads(data) for data in datas if data and data.strip() != b"[DONE]"]
