"""Many clients at once, each on a connection of its own, let go by one gate. Asyncio, no HTTP library."""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field

STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)")
LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)\r?$")
HEADER = re.compile(r"(?im)^([\w-]+):[ \t]*(.*?)\r?$")


@dataclass
class Got:
    status: int  # 0: no answer, or not a whole one
    head: str = ""
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for key, value in HEADER.findall(self.head) if key.lower() == name.lower()), None)


@dataclass
class Load:
    got: list[Got] = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    last_ok: float = 0.0

    def add(self, got: Got) -> None:
        self.got.append(got)
        self.statuses[got.status] += 1

    @property
    def ids(self) -> list[str]:
        """Generations whose answers came whole."""
        return [id for one in self.got if one.status == 200 and (id := one.header("x-generation-id"))]

    def example(self, status: int) -> str:
        return next((one.body[:160].decode(errors="replace") for one in self.got if one.status == status), "")


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> Got:
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    status, body = int(STATUS.match(head)[1]), b""
    if (length := LENGTH.search(head)) is not None:
        body = await reader.readexactly(int(length[1]))
    elif b"chunked" in head.lower():
        body = await reader.readuntil(b"0\r\n\r\n")
    return Got(status, head.decode("latin-1"), body)


async def _client(port: int, take, load: Load, gate: asyncio.Event, opened, timeout: float) -> None:
    reader = writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    except OSError:
        pass
    opened()
    await gate.wait()
    while (data := take()) is not None:
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
            async with asyncio.timeout(timeout):
                got = await _exchange(reader, writer, data)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            got = Got(0)
        load.add(got)
        if got.status == 200:
            load.last_ok = time.monotonic()
        elif got.status == 402 or not got.status:
            await asyncio.sleep(0.02)  # who retries does not spin
        if not got.status and writer is not None:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


async def _run(port: int, take, clients: int, load: Load, timeout: float) -> None:
    gate, left = asyncio.Event(), clients
    all_open = asyncio.Event()

    def opened() -> None:
        nonlocal left
        left -= 1
        if not left:
            all_open.set()

    tasks = [asyncio.create_task(_client(port, take, load, gate, opened, timeout)) for _ in range(clients)]
    await all_open.wait()
    load.last_ok = time.monotonic()
    gate.set()
    await asyncio.gather(*tasks)


def burst(port: int, datas: list[bytes], clients: int, timeout: float = 20.0) -> Load:
    """Each of `datas` once, by so many clients at once."""
    rest, load = iter(datas), Load()
    asyncio.run(_run(port, lambda: next(rest, None), clients, load, timeout))
    return load


def press(port: int, data: bytes, clients: int, is_over, timeout: float = 20.0, load: Load | None = None) -> Load:
    """The same request again and again, whatever the answer, until `is_over(load)`."""
    load = load or Load()
    asyncio.run(_run(port, lambda: None if is_over(load) else data, clients, load, timeout))
    return load
