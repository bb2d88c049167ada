"""A caller that speaks HTTP by hand: bytes out, whole answers in."""

import asyncio
import json
from typing import Any, NamedTuple

KEY = b"kilo_" + b"0123456789abcdefABCDEFghijKLMNop"
PATH = b"/v1/chat/completions"
PATIENCE_S = 10.0


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    is_chunked: bool
    is_whole: bool  # False: the connection ended inside it

    def json(self) -> Any:
        return json.loads(self.body)

    def error(self) -> Any:
        error = self.json()["error"]
        assert {"message", "type", "code", "metadata"} <= set(error)
        return error


def request(
    body: bytes = b'{"model":"mock/model","messages":[]}', lines: bytes = b"", *, path: bytes = PATH, method: bytes = b"POST",
    version: bytes = b"1.1", credential: bytes = b"Authorization: Bearer " + KEY + b"\r\n",
) -> bytes:  # fmt: skip
    """`lines`: more header lines, each with its line end."""
    return b"%b %b HTTP/%b\r\nHost: gateway\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
        method, path, version, credential, lines, len(body), body,
    )  # fmt: skip


def asking(model: str = "mock/model", *, stream: bool = False, **more: object) -> bytes:
    fields: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
    if stream:
        fields["stream"] = True
    return json.dumps(fields).encode()


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port: int) -> "Caller":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 28))

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def until(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(end), PATIENCE_S)

    async def answer(self, *, is_head: bool = False) -> Answer:
        """The next whole answer; 1xx are passed over."""
        return await asyncio.wait_for(self._answer(is_head), PATIENCE_S * 3)

    async def is_closed(self) -> bool:
        """Whether nothing more comes but the end."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE_S) == b""
        except ConnectionError:
            return True

    def hang_up(self) -> None:
        self.writer.transport.abort()

    async def _answer(self, is_head: bool) -> Answer:
        head = await self.reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 1"):
            return await self._answer(is_head)
        status, *lines = head[:-4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        is_chunked = headers.get("transfer-encoding") == "chunked"
        body, is_whole = b"", True
        if is_head or status[9:12] == "204":
            pass
        elif is_chunked:
            body, is_whole = await self._chunks()
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = await self.reader.read()
        return Answer(int(status[9:12]), headers, body, is_chunked, is_whole)

    async def _chunks(self) -> tuple[bytes, bool]:
        body: list[bytes] = []
        try:
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body.append((await self.reader.readexactly(size + 2))[:-2])
            assert await self.reader.readexactly(2) == b"\r\n"
        except (asyncio.IncompleteReadError, ConnectionError):
            return b"".join(body), False
        return b"".join(body), True
