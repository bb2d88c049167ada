"""Fake upstreams with lists of models: each a server on loopback in a thread, that can be told at run time how to behave.

    fakes = catalogue_upstreams.start_all()          # or Fake("openrouter").start()
    fakes["openrouter"].mode = "garbage"             # good garbage html 500 401 empty silent stall shrunk dearer raw
    fakes["openrouter"].asked                        # requests that came

`python catalogue_upstreams.py` starts one of each and prints where they are.
"""

import asyncio
import copy
import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import catalogue_lists as lists

# What a chat costs is worked out from this, unless `usage` of the fake is set: kinds of tokens belong to the two sums.
USAGE = {
    "prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500, "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 120},
}  # fmt: skip
ANTHROPIC_PAGE, GEMINI_PAGE = 20, 30  # the most rows of a page, whatever is asked for


@dataclass
class Asked:
    """`gone`: when its connection ended. Times are of time.time()."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)
    gone: float | None = None
    status: int = 0

    @property
    def is_list(self) -> bool:
        return self.method == "GET"

    @property
    def is_chat(self) -> bool:
        return self.method == "POST" and self.path.endswith("/chat/completions")

    @property
    def model(self) -> str:
        return str(json.loads(self.body).get("model"))


class _Loop:
    """One event loop in one thread, for all fakes of a process."""

    _lock = threading.Lock()
    _loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def get(cls) -> asyncio.AbstractEventLoop:
        with cls._lock:
            if cls._loop is None:
                cls._loop = asyncio.new_event_loop()
                threading.Thread(target=cls._loop.run_forever, daemon=True, name="fake upstreams").start()
            return cls._loop

    @classmethod
    def run(cls, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, cls.get()).result(10)


class Fake:
    """`kind`: openrouter kilo anthropic gemini ollama openai house lmstudio vllm. `rows` is what it lists, `base` its base URL."""

    def __init__(self, kind: str, rows: list | None = None, port: int = 0) -> None:
        self.kind, self.port = kind, port
        self.rows: list = rows if rows is not None else _rows_of(kind)
        self.mode = "good"
        self.chat = "good"  # good 500 silent
        self.raw: tuple[int, dict[str, str], bytes] = (200, {}, b"")  # status, headers, body of mode raw
        self.usage: dict | None = None
        self.uses: dict[str, set[str]] | None = None  # ids by category; None: it does not know the question, and gives all
        self.delay_s = 0.0  # before a chat is answered
        self.asked: list[Asked] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task] = set()

    def start(self) -> "Fake":
        """Raises OSError when the port is taken."""
        self._server = _Loop.run(asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**20))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def stop(self) -> None:
        """No longer there: what is open is cut, and connections are refused."""
        if self._server is None:
            return

        async def end() -> None:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()

        _Loop.run(end())
        self._server = None

    @property
    def base(self) -> str:
        path = {"kilo": "/api/gateway", "openrouter": "/api/v1", "gemini": "/v1beta"}.get(self.kind, "/v1")
        return f"http://127.0.0.1:{self.port}{path}"

    def listed(self, since: int = 0) -> list[Asked]:
        return [each for each in self.asked[since:] if each.is_list]

    def chats(self, since: int = 0) -> list[Asked]:
        return [each for each in self.asked[since:] if each.is_chat]

    # -- HTTP

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        open_asked: list[Asked] = []
        try:
            while asked := await _request(reader):
                self.asked.append(asked)
                open_asked.append(asked)
                if not await self._answer(asked, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            for asked in open_asked:
                asked.gone = time.time()
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, asked: Asked, reader, writer) -> bool:
        """Whether the connection goes on."""
        if asked.is_chat:
            return await self._answer_chat(asked, reader, writer)
        if asked.method != "GET":
            return await _send(asked, writer, 404, {"error": {"message": "no such path", "code": 404}})
        if refused := self._refusal(asked):
            return await _send(asked, writer, refused[0], {"error": {"message": refused[1], "code": refused[0]}})
        if (page := self._page(asked)) is None:
            return await _send(asked, writer, 404, {"error": {"message": "no such path", "code": 404}})
        return await self._send_list(asked, page, reader, writer)

    async def _send_list(self, asked: Asked, page: dict, reader, writer) -> bool:
        match self.mode:
            case "garbage":
                return await _send(asked, writer, 200, b'{"data":[{"id":"acme/cut", \xff\xfe garbage')
            case "html":
                return await _send(asked, writer, 200, b"<html><body>It works!</body></html>", {"Content-Type": "text/html"})
            case "500":
                return await _send(asked, writer, 500, {"error": {"message": "it broke", "code": 500}})
            case "401":
                return await _send(asked, writer, 401, {"error": {"message": "no", "code": 401}})
            case "silent":
                await reader.read()  # until the peer goes
                return False
            case "stall":
                asked.status = 200
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50000\r\n\r\n{"data":[')
                await reader.read()
                return False
            case "raw":
                return await _send(asked, writer, *(self.raw[0], self.raw[2], self.raw[1]))
        return await _send(asked, writer, 200, page)

    # -- lists

    def _refusal(self, asked: Asked) -> tuple[int, str] | None:
        """What the real one insists on."""
        headers = asked.headers
        if self.kind == "kilo" and "authorization" in headers:
            return 401, "the list is for everybody: send no credential"
        if self.kind == "anthropic":
            if not headers.get("x-api-key"):
                return 401, "x-api-key header is required"
            if not headers.get("anthropic-version"):
                return 400, "anthropic-version: header is required"
        if self.kind == "gemini" and not headers.get("x-goog-api-key"):
            return 403, "Method doesn't allow unregistered callers"
        if self.kind in ("openai", "openrouter", "house") and not headers.get("authorization", "").startswith("Bearer "):
            return 401, "You didn't provide an API key"
        return None

    def _current(self) -> list:
        if self.mode == "empty":
            return []
        if self.mode == "shrunk":
            return self.rows[: max(1, len(self.rows) // 10)]
        return lists.doubled(self.rows) if self.mode == "dearer" else self.rows

    def _page(self, asked: Asked) -> dict | None:
        path, rows = asked.path, self._current()
        if self.kind == "ollama" and path == "/api/tags":
            return {"models": rows}
        if self.kind == "ollama" and path == "/api/version":
            return {"version": "0.12.3"}
        if self.kind == "ollama" and path == "/v1/models":
            return {"object": "list", "data": [{"id": row["name"], "object": "model", "created": 1, "owned_by": "library"} for row in rows]}
        if self.kind == "lmstudio" and path == "/api/v0/models":
            return {"object": "list", "data": rows}
        if not path.endswith("/models") or path.startswith("/api/v0") or self.kind == "ollama":
            return None
        if self.kind == "anthropic":
            return _anthropic_page(rows, asked.query)
        if self.kind == "gemini":
            return _gemini_page(rows, asked.query)
        if self.kind == "lmstudio":
            return {"object": "list", "data": [{name: row[name] for name in ("id", "object", "owned_by")} for row in rows]}
        if self.uses is not None and "category" in asked.query:
            wanted = self.uses.get(asked.query["category"][0], set())
            rows = [row for row in rows if isinstance(row, dict) and str(row.get("id")) in wanted]
        return {"data": rows} if self.kind in ("openrouter", "kilo") else {"object": "list", "data": rows}

    # -- chat

    async def _answer_chat(self, asked: Asked, reader, writer) -> bool:
        if self.kind in ("kilo", "openrouter", "openai", "house") and "authorization" not in asked.headers:
            return await _send(asked, writer, 401, {"error": {"message": "no key", "code": 401}})
        if self.chat == "silent":
            await reader.read()
            return False
        if self.chat == "500":
            return await _send(asked, writer, 500, {"error": {"message": "it broke", "code": 500}})
        await asyncio.sleep(self.delay_s)
        body = json.loads(asked.body)
        usage = self.usage if self.usage is not None else USAGE
        whole = {"id": f"chatcmpl-{self.kind}-{len(self.asked)}", "created": 1_795_600_000, "model": body.get("model")}
        calls = [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
        called = {"tool_calls": calls} if body.get("tools") and "call it" in str(body["messages"][-1]) else {}
        end = "tool_calls" if called else "stop"
        if not body.get("stream"):
            message = {"role": "assistant", "content": f"ok from {self.kind}", **called}
            choice = {"index": 0, "message": message, "finish_reason": end}
            return await _send(asked, writer, 200, {**whole, "object": "chat.completion", "choices": [choice], "usage": usage})
        chunk = {**whole, "object": "chat.completion.chunk"}
        parts = [
            {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": f"ok from {self.kind}"}, "finish_reason": None}]},
            {**chunk, "choices": [{"index": 0, "delta": called, "finish_reason": end}]}, {**chunk, "choices": [], "usage": usage},
        ]  # fmt: skip
        events = b"".join(b"data: " + json.dumps(part).encode() + b"\n\n" for part in parts) + b"data: [DONE]\n\n"
        return await _send(asked, writer, 200, events, {"Content-Type": "text/event-stream"})


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    head = b""
    while not head.strip():  # an empty line before a request is allowed
        head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
        if not head:
            return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:size]
        await reader.readuntil(b"\r\n")
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    return Asked(method, re.sub("//+", "/", url.path), parse_qs(url.query), headers, body)


async def _send(asked: Asked, writer: asyncio.StreamWriter, status: int, body, headers: dict[str, str] | None = None) -> bool:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} As told", *(f"{name}: {value}" for name, value in fields.items())]
    asked.status = status
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    await writer.drain()
    return True


def _anthropic_page(rows: list, query: dict[str, list[str]]) -> dict:
    limit = min(int(query.get("limit", [str(ANTHROPIC_PAGE)])[0]), ANTHROPIC_PAGE)
    after = query.get("after_id", [""])[0]
    ids = [row.get("id") for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    page = rows[start : start + limit]
    return {"data": page, "has_more": start + limit < len(rows), "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None}  # fmt: skip


def _gemini_page(rows: list, query: dict[str, list[str]]) -> dict:
    limit = min(int(query.get("pageSize", ["50"])[0]), GEMINI_PAGE)
    start = int(query.get("pageToken", ["0"])[0].removeprefix("from-") or 0)
    page: dict = {"models": rows[start : start + limit]}
    return page | ({"nextPageToken": f"from-{start + limit}"} if start + limit < len(rows) else {})


def _rows_of(kind: str) -> list:
    return {
        "openrouter": lambda: lists.openrouter().body, "kilo": lists.kilo, "anthropic": lists.anthropic, "gemini": lists.gemini,
        "ollama": lists.ollama, "openai": lists.openai, "house": lists.house, "lmstudio": lists.lm_studio, "vllm": lists.vllm,
    }[kind]()  # fmt: skip


KINDS = ("openrouter", "kilo", "anthropic", "gemini", "ollama", "openai", "house", "lmstudio", "vllm")


def start_all(kinds: tuple[str, ...] = KINDS) -> dict[str, Fake]:
    return {kind: Fake(kind).start() for kind in kinds}


def is_free(port: int) -> bool:
    """Whether nobody listens on it on loopback."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    with socket.socket() as sock:
        sock.settimeout(0.5)
        return sock.connect_ex(("127.0.0.1", port)) != 0


def priced(rows: list, id: str, **pricing: str) -> list:
    """The rows, with these prices at one of them."""
    out = copy.deepcopy(rows)
    for row in out:
        if isinstance(row, dict) and row.get("id") == id:
            row["pricing"] = {**(row.get("pricing") or {}), **pricing}
    return out


if __name__ == "__main__":
    for name, fake in start_all().items():
        print(f"{name:12} {fake.base}  {len(fake.rows)} rows", flush=True)
    threading.Event().wait()
