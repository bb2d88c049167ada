"""Chaos upstream: an HTTP/1.1 server on raw asyncio protocols that does exactly what it is told, and keeps a record.

    python upstream.py --ports 6 [--cert C --key K]        prints one JSON line: {"control": port, "ports": [...], "tls": port}

It ends when its standard input ends. Which script answers a request: the text `script:NAME` anywhere in its body, else
`/s/NAME/` in its path, else `ok`. Told over the control port, one JSON object a line, one answer a line:

    {"cmd": "script", "name": N, "steps": [...]}                     always these steps
    {"cmd": "script", "name": N, "seq": [[...], [...]]}              n-th use; the last one repeats
    {"cmd": "script", "name": N, "first": [...], "other": [...]}     the first port it reaches / every other port
    {"cmd": "mode", "port": I, "mode": M, ...}                       of a whole port, for new connections: normal | reset |
                                                                     close | deaf | forward (host, to) | proxy (CONNECT)
    {"cmd": "log", "name": N or null, "since": n}                    requests seen, with what became of them
    {"cmd": "count"}                                                 number of requests so far
    {"cmd": "conns", "port": I}                                      connections

Steps: ["send", base64] ["sleep", s] ["close"] ["reset"] ["hold", max_s] (until the peer goes) ["drip", base64, s]
["flood", base64, times] ["echo"] (a JSON answer with length and sha256 of the body it got).
"""

import argparse
import asyncio
import base64
import hashlib
import json
import re
import socket
import ssl
import struct
import sys
import time

MARK = re.compile(rb"script:([A-Za-z0-9_.-]+)")
IN_PATH = re.compile(r"/s/([A-Za-z0-9_.-]+)/")
OK_JSON = (
    b'{"id":"chatcmpl-default","object":"chat.completion","created":1700000000,"model":"mock","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,'
    b'"completion_tokens":7,"total_tokens":19}}'
)
OK_EVENTS = (
    b'data: {"id":"chatcmpl-default","object":"chat.completion.chunk","created":1700000000,"model":"mock","choices":'
    b'[{"index":0,"delta":{"role":"assistant","content":"ok"},"finish_reason":null}]}\n\n'
    b'data: {"id":"chatcmpl-default","object":"chat.completion.chunk","created":1700000000,"model":"mock","choices":'
    b'[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"chatcmpl-default","object":"chat.completion.chunk","created":1700000000,"model":"mock","choices":'
    b'[],"usage":{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19}}\n\ndata: [DONE]\n\n'
)


def json_answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def stream_answer(events: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events)


class Gone(Exception):
    """The peer closed while a script was running."""


class World:
    def __init__(self) -> None:
        self.scripts: dict[str, dict] = {}
        self.uses: dict[str, int] = {}
        self.first_port: dict[str, int] = {}
        self.modes: dict[int, dict] = {}
        self.requests: list[dict] = []
        self.conns: list[dict] = []
        self.tasks: set[asyncio.Task] = set()

    def keep(self, coroutine) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def steps_for(self, name: str, port: int) -> list | None:
        script = self.scripts.get(name)
        if script is None:
            return None
        if "steps" in script:
            return script["steps"]
        if "seq" in script:
            n = self.uses.get(name, 0)
            self.uses[name] = n + 1
            return script["seq"][min(n, len(script["seq"]) - 1)]
        return script["first" if self.first_port.setdefault(name, port) == port else "other"]


class Wire(asyncio.Protocol):
    def __init__(self, world: World, index: int) -> None:
        self.world, self.index = world, index
        self.buffer = bytearray()
        self.gone = False
        self.wake = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.given = 0  # bytes handed to the transport
        self.request: dict | None = None
        self.note: dict = {}

    # -- transport

    def connection_made(self, transport) -> None:
        self.transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = transport.get_extra_info("ssl_object")
        self.note = {"conn": len(self.world.conns), "port": self.index, "opened": time.time(), "closed": None, "requests": 0,
                     "tls_reused": tls.session_reused if tls is not None else None}  # fmt: skip
        self.world.conns.append(self.note)
        mode = self.world.modes.get(self.index, {}).get("mode", "normal")
        if mode == "reset":
            self.reset()
        elif mode == "close":
            transport.close()
        elif mode == "deaf":
            transport.pause_reading()
        elif mode == "forward":
            where = self.world.modes[self.index]
            self.world.keep(self.tunnel(where.get("host", "127.0.0.1"), where["to"]))
        else:
            self.world.keep(self.serve())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.wake.set()

    def connection_lost(self, exc) -> None:
        self.gone = True
        if self.note.get("closed") is None:
            self.note["closed"] = time.time()
        if self.request is not None and self.request["peer_closed"] is None and not self.request["by_us"]:
            self.request["peer_closed"] = time.time()
        self.wake.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    # -- requests

    async def need(self, is_there) -> None:
        while not is_there():
            if self.gone:
                raise Gone
            self.wake.clear()
            await self.wake.wait()

    async def take(self, n: int) -> bytes:
        await self.need(lambda: len(self.buffer) >= n)
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    async def line(self, end: bytes) -> bytes:
        seen = 0

        def found() -> bool:
            nonlocal seen
            at = self.buffer.find(end, max(0, seen - len(end)))
            seen = len(self.buffer)
            return at >= 0

        await self.need(found)
        return await self.take(self.buffer.find(end) + len(end))

    async def serve(self) -> None:
        try:
            while not self.gone:
                await self.one()
        except Gone:
            pass
        except Exception as error:  # a bug here must be seen, not hang the check
            print("upstream:", repr(error), file=sys.stderr, flush=True)
            self.transport.abort()

    async def one(self) -> None:
        head = (await self.line(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        method, path, _ = first.split(" ", 2)
        fields = {name.strip().lower(): value.strip() for name, _, value in (row.partition(":") for row in lines)}
        if method == "CONNECT":
            self.log(method, path, head, b"", "connect")
            host, _, port = path.rpartition(":")
            self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self.tunnel(host.strip("[]"), int(port))
            raise Gone
        if fields.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int((await self.line(b"\r\n")).split(b";")[0], 16):
                parts.append(await self.take(size))
                await self.take(2)
            await self.line(b"\r\n")
            body = b"".join(parts)
        else:
            body = await self.take(int(fields.get("content-length", "0")))
        await self.answer(method, path, head, body)

    def log(self, method: str, path: str, head: str, body: bytes, name: str) -> dict:
        self.request = {
            "n": len(self.world.requests), "port": self.index, "conn": self.note["conn"], "time": time.time(), "method": method,
            "path": path, "head": head, "body": base64.b64encode(body[:1_000_000]).decode(), "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(), "script": name, "given": 0, "sent": 0, "peer_closed": None,
            "by_us": False, "done": False,
        }  # fmt: skip
        self.note["requests"] += 1
        self.world.requests.append(self.request)
        return self.request

    async def answer(self, method: str, path: str, head: str, body: bytes) -> None:
        found = MARK.search(body[:65536]) or MARK.search(body)
        in_path = IN_PATH.search(path)
        name = found[1].decode() if found else in_path[1] if in_path else "ok"
        is_listing = path.split("?")[0].endswith("/models")
        if is_listing:
            name = "models." + (path.strip("/").split("/")[0] or "root")
        request = self.log(method, path, head, body, name)
        self.given = 0
        steps = self.world.steps_for(name, self.index)
        if steps is None and is_listing:
            listing = {"object": "list", "data": [{"id": path.strip("/").split("/")[0] + "-model", "object": "model"}]}
            steps = [["send", base64.b64encode(json_answer(json.dumps(listing).encode())).decode()]]
        elif steps is None:
            streams = re.search(rb'"stream"\s*:\s*true', body[-65536:] + body[:65536])
            answer = stream_answer(OK_EVENTS) if streams else json_answer(OK_JSON)
            steps = [["send", base64.b64encode(answer).decode()]]
        for step in steps:
            await self.do(step, request)
        request["done"] = True

    async def do(self, step: list, request: dict) -> None:
        what = step[0]
        if what == "send":
            await self.write(base64.b64decode(step[1]), request)
        elif what == "sleep":
            await self.pause(step[1])
        elif what == "hold":
            await self.pause(step[1])
        elif what == "drip":
            for byte in base64.b64decode(step[1]):
                await self.write(bytes((byte,)), request)
                await asyncio.sleep(step[2])
        elif what == "flood":
            piece = base64.b64decode(step[1])
            for _ in range(step[2]):
                await self.write(piece, request)
        elif what == "echo":
            told = {"id": "chatcmpl-echo", "object": "chat.completion", "created": 1, "model": "m", "choices": [], "echo": {
                "length": request["length"], "sha256": request["sha256"]}, "usage": {"prompt_tokens": 1, "completion_tokens": 1,
                "total_tokens": 2}}  # fmt: skip
            await self.write(json_answer(json.dumps(told).encode()), request)
        elif what == "close":
            request["by_us"] = True
            self.transport.close()
            raise Gone
        elif what == "reset":
            await asyncio.sleep(0.02)  # let what was written leave first
            request["by_us"] = True
            self.reset()
            raise Gone
        else:
            raise ValueError(f"no step {what!r}")

    async def pause(self, seconds: float) -> None:
        """Until then, or until the peer goes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.gone:
                raise Gone
            self.wake.clear()
            try:
                await asyncio.wait_for(self.wake.wait(), left)
            except TimeoutError:
                return

    async def write(self, data: bytes, request: dict) -> None:
        if self.gone:
            raise Gone
        self.transport.write(data)
        self.given += len(data)
        request["given"] = self.given
        request["sent"] = self.given - self.transport.get_write_buffer_size()
        await self.writable.wait()
        if self.gone:
            raise Gone
        request["sent"] = self.given - self.transport.get_write_buffer_size()

    async def tunnel(self, host: str, port: int) -> None:
        self.note["requests"] += 1
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            self.transport.close()
            return

        async def back() -> None:
            while data := await reader.read(65536):
                self.transport.write(data)
            self.transport.close()

        self.world.keep(back())
        try:
            while True:
                await self.need(lambda: bool(self.buffer))
                writer.write(bytes(self.buffer))
                self.buffer.clear()
        except Gone:
            writer.close()


async def control(world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        ask = json.loads(line)
        cmd, answer = ask.pop("cmd"), None
        if cmd == "script":
            name = ask.pop("name")
            world.scripts[name] = ask
            world.uses.pop(name, None)
            world.first_port.pop(name, None)
        elif cmd == "mode":
            world.modes[ask["port"]] = ask
        elif cmd == "log":
            rows = world.requests[ask.get("since", 0):]
            answer = [row for row in rows if ask.get("name") in (None, row["script"])]
        elif cmd == "count":
            answer = len(world.requests)
        elif cmd == "conns":
            answer = [row for row in world.conns if ask.get("port") in (None, row["port"])]
        elif cmd == "forget":
            for row in world.requests:
                row["body"] = ""
        writer.write(json.dumps({"ok": True, "answer": answer}).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--ports", type=int, default=6)
    options.add_argument("--cert")
    options.add_argument("--key")
    args = options.parse_args()
    world, loop = World(), asyncio.get_running_loop()
    ports = []
    for index in range(args.ports):
        server = await loop.create_server(lambda index=index: Wire(world, index), "127.0.0.1", 0, backlog=1024)
        ports.append(server.sockets[0].getsockname()[1])
    tls = None
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        server = await loop.create_server(lambda: Wire(world, -1), "127.0.0.1", 0, ssl=context)
        tls = server.sockets[0].getsockname()[1]
    limit = 2**28
    told = await asyncio.start_server(lambda r, w: control(world, r, w), "127.0.0.1", 0, limit=limit)
    print(json.dumps({"control": told.sockets[0].getsockname()[1], "ports": ports, "tls": tls}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
