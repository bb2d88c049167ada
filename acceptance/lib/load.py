"""New connections at a steady rate, one request each, every end classified. Asyncio, no HTTP library."""

import asyncio
import random
import re
import time
from dataclasses import dataclass, field

STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)")
GENERATION = re.compile(rb"(?im)^x-generation-id:[ \t]*(\S+?)\r?$")
LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)\r?$")


@dataclass
class Tally:
    """`finished`: generation ids of answers that came whole. `idle_closed`: closed or reset before anything was sent."""

    finished: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    refused: int = 0
    idle_closed: int = 0
    cut: int = 0  # the request had been sent, the answer did not come whole
    slow: int = 0
    started: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if len(self.examples) < 3:
            self.examples.append(text)


async def one(port: int, data: bytes, tally: Tally, idle: float) -> None:
    tally.started += 1
    try:
        async with asyncio.timeout(15):
            await _one(port, data, tally, idle)
    except TimeoutError:
        tally.slow += 1
        tally.note("no answer in 15 s")


async def _one(port: int, data: bytes, tally: Tally, idle: float) -> None:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        tally.refused += 1
        tally.note(f"connect: {error}")
        return
    sent = False
    try:
        if idle:
            early = asyncio.ensure_future(reader.read(1))
            await asyncio.wait([early], timeout=idle)
            if early.done():
                tally.idle_closed += 1
                error = early.exception()
                tally.note(f"closed having sent nothing: {error or 'end'}")
                return
            early.cancel()
            await asyncio.gather(early, return_exceptions=True)
        writer.write(data)
        sent = True
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(STATUS.match(head)[1])
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        if (length := LENGTH.search(head)) is not None:
            await reader.readexactly(int(length[1]))
        elif b"chunked" in head.lower():
            body = await reader.readuntil(b"\r\n0\r\n\r\n")
            if b"[DONE]" not in body or b'"finish_reason":"error"' in body:
                tally.cut += 1
                return
        if status == 200 and (found := GENERATION.search(head)):
            tally.finished.append(found[1].decode())
        elif status != 200:
            tally.note(f"status {status}")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        tally.cut += 1 if sent else 0
        tally.idle_closed += 0 if sent else 1
        if not sent:
            tally.note(f"before sending: {error!r}")
    finally:
        writer.close()


async def _run(port: int, data: list[bytes], rate: float, is_over, tally: Tally) -> None:
    running: set[asyncio.Task] = set()
    began, n = time.monotonic(), 0
    rng = random.Random(7)
    while not is_over():
        due = int((time.monotonic() - began) * rate) - n
        for _ in range(min(due, 100)):
            idle = rng.uniform(0.002, 0.05) if n % 5 == 0 else 0.0
            task = asyncio.create_task(one(port, data[n % len(data)], tally, idle))
            running.add(task)
            task.add_done_callback(running.discard)
            n += 1
        await asyncio.sleep(0.004)
        if len(running) > 8000:
            tally.note("8000 connections at once: the gateway does not keep up")
            break
    await asyncio.gather(*running)


def run(port: int, data: list[bytes], rate: float, is_over) -> Tally:
    """Until `is_over()`; then waits for what is under way."""
    tally = Tally()
    asyncio.run(_run(port, data, rate, is_over, tally))
    return tally
