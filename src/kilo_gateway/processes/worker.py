"""A data worker: takes its snapshot, serves its socket, and when told so drains and ends.

DRAIN: /ready says 503, new connections are served for a while, running requests finish. DRAIN_HASTILY: the same without the
while. A second one: what still runs is cut, with a clear end, and settled.
"""

import asyncio
import ctypes
import gc
import os
import resource
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import uvloop

from kilo_gateway.app.worker import WorkerParts, build_worker
from kilo_gateway.catalog.files import read_snapshot, snapshot_of
from kilo_gateway.catalog.snapshot import Snapshot
from kilo_gateway.core import crash, link, nesting
from kilo_gateway.core.link import Ack, Heard, Hello, Push, Stats
from kilo_gateway.core.types import SnapshotData
from kilo_gateway.http.deadlines import SWEEP_S
from kilo_gateway.http.server import ClientConnection
from kilo_gateway.processes.log import Log
from kilo_gateway.processes.node import DRAIN, DRAIN_HASTILY, Node

CONTROL_MISSED_S = 5.0
FIRST_WORD_S = 1.0  # of control, when there is a snapshot on disk to go on with
RECONNECT_S = 0.05
STATS_S = 1.0
BACKLOG = 8192
KEPT_BYTES = 32 * 1024 * 1024
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def run(node: Node, slot: int, listener: socket.socket) -> None:
    uvloop.run(_Worker(node, slot).serve(listener))


class _Worker:
    def __init__(self, node: Node, slot: int) -> None:
        self._node = node
        self._slot = slot
        self._log = Log(f"worker-{slot}")
        self._crash = crash.crash_point(node.crash_at)
        self._parts: WorkerParts | None = None
        self._first: SnapshotData | None = None
        self._heard = asyncio.Event()  # control has said whether our snapshot is the newest
        self._connected_at: float | None = None
        self._lost_at = self._heard_at = time.monotonic()
        self._control_trouble = ""
        self._signals = 0
        self._signalled = asyncio.Event()
        self._cut = asyncio.Event()
        self._is_hasty = False

    async def serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(DRAIN, self._end, False)
        loop.add_signal_handler(DRAIN_HASTILY, self._end, True)
        loop.add_reader(self._node.life, self._orphaned)
        first = read_snapshot(self._node.files.snapshot, self._node.settings.fingerprint)
        self._first = first
        talk = loop.create_task(self._talk_for_ever())
        await self._wait_for_snapshot(has_one=first is not None)
        if self._first is None:  # told to end before there was anything to serve
            talk.cancel()
            return
        parts = self._parts = self._build(self._first)
        server = await loop.create_server(lambda: ClientConnection(parts.gateway), sock=listener, backlog=BACKLOG)
        _settle_down()
        self._node.tell(f"worker {self._slot}")
        sweeper = loop.create_task(self._sweep_for_ever(parts))
        await self._signalled.wait()
        await self._drain(parts, server, listener)
        talk.cancel()
        sweeper.cancel()
        parts.gateway.pool.close()

    def _build(self, first: SnapshotData) -> WorkerParts:
        node = self._node
        return build_worker(
            node.settings, node.files, node.keyring, Snapshot(first, node.keyring.pepper), self._log, self._problems,
            node.local_trouble.read, name=f"{self._slot}.{os.getpid():x}.{time.time_ns():x}", crash_at=node.crash_at,
        )  # fmt: skip

    def _problems(self) -> list[str]:
        found = []
        # It is asked once a second: a control process that hangs keeps its sockets.
        if time.monotonic() - (self._lost_at if self._connected_at is None else self._heard_at) > CONTROL_MISSED_S:
            found.append("the control process does not answer")
        if self._control_trouble:
            found.append(self._control_trouble)
        if self._parts is not None and not self._parts.journal.is_writing:
            found.append("the journal cannot be written")
        if self._parts is not None and self._parts.journal.is_full:
            found.append("new requests are refused")
        if self._parts is not None and not self._parts.snapshots.current.has_models:
            found.append("no model is configured")
        settings = self._node.settings
        trouble = self._node.local_trouble.read()
        if trouble and not (settings.upstreams and settings.local.is_demo_model):  # nobody misses it beside real ones
            found.append(f"the local model does not run: {trouble}")
        return found

    # Control

    async def _wait_for_snapshot(self, *, has_one: bool) -> None:
        """Without one on disk there is nothing to serve; with one, control's word is waited for only if it is there."""
        if has_one and not self._node.files.workers_socket.exists():
            return
        waits = [asyncio.ensure_future(each.wait()) for each in (self._heard, self._signalled)]
        done, _ = await asyncio.wait(waits, timeout=FIRST_WORD_S if has_one else None, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        if not done:
            self._log("control.silent", note="starting with the snapshot on disk")

    async def _talk_for_ever(self) -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._talk()
            if self._connected_at is not None:
                self._connected_at, self._lost_at = None, time.monotonic()
            await asyncio.sleep(RECONNECT_S)

    async def _talk(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self._node.files.workers_socket)
        try:
            self._connected_at = self._heard_at = time.monotonic()
            version = self._first.version if self._first is not None else 0
            _say(writer, Hello(self._slot, os.getpid(), version))
            stats = asyncio.create_task(self._send_stats(writer))
            try:
                await self._listen(reader, writer)
            finally:
                stats.cancel()
        finally:
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length = int.from_bytes(await reader.readexactly(link.LENGTH_BYTES), "big")
            message = link.read(await reader.readexactly(length))
            self._heard_at = time.monotonic()
            if isinstance(message, Heard):
                self._control_trouble = message.trouble
            if isinstance(message, Push):
                data = snapshot_of(message.snapshot)
                if self._crash is not None:
                    self._crash("snapshot.ack")
                self._take(data)
                _say(writer, Ack(data.version))
            self._heard.set()

    def _take(self, data: SnapshotData) -> None:
        """The whole of it by reference; requests under way keep what they hold of the old one."""
        self._first = data
        if self._parts is not None:
            self._parts.snapshots.current = Snapshot(data, self._node.keyring.pepper)

    async def _send_stats(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(STATS_S)
            if self._parts is not None:
                parts = self._parts
                gauges = {
                    "in_flight": parts.limits.in_flight(), "connections": parts.gateway.deadlines.count(),
                    "resident_bytes": _resident_bytes(), "journal_backlog": parts.journal.backlog,
                }  # fmt: skip
                _say(writer, Stats(parts.meters.values() | gauges))

    # Time

    async def _sweep_for_ever(self, parts: WorkerParts) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(SWEEP_S)
            parts.gateway.deadlines.sweep()
            parts.journal.retry()
            rounds += 1
            if rounds % 80 == 0:
                parts.gateway.pool.sweep()

    # The end

    def _orphaned(self) -> None:
        asyncio.get_running_loop().remove_reader(self._node.life)
        self._end(True)

    def _end(self, is_hasty: bool) -> None:
        self._signals += 1
        self._is_hasty = self._is_hasty or is_hasty
        self._signalled.set()
        if self._signals > 1:
            self._cut.set()

    async def _drain(self, parts: WorkerParts, server: asyncio.Server, listener: socket.socket) -> None:
        gateway, wanted = parts.gateway, self._node.settings.server
        gateway.is_draining = True
        ends_at = time.monotonic() + wanted.drain_s
        listens_until = time.monotonic() + (0.0 if self._is_hasty else min(wanted.drain_listen_s, wanted.drain_s))
        while not self._cut.is_set():
            now = time.monotonic()
            if now >= listens_until:
                if server.is_serving():
                    with suppress(OSError):  # the supervisor has it too: closing alone would leave callers in its queue
                        listener.shutdown(socket.SHUT_RDWR)
                    server.close()
                gateway.close_idle()
                if gateway.deadlines.count() == 0 or now >= ends_at:
                    break
            await asyncio.sleep(0.05)
        gateway.cut_all()
        server.close()
        for _ in range(20):  # for the last words to leave
            if gateway.deadlines.count() == 0:
                break
            await asyncio.sleep(0.05)
        parts.journal.retry()
        if parts.journal.backlog:
            self._log("journal.lost", lines=parts.journal.backlog)


def _say(writer: asyncio.StreamWriter, message: link.Message) -> None:
    """Nothing once control is gone: uvloop raises for a write on a closed connection. The next one begins anew."""
    if not writer.is_closing():
        writer.write(link.framed(message))


def _settle_down() -> None:
    """What lives now lives for ever: the collector need not look at it again. See core/nesting.py for the limit."""
    sys.setrecursionlimit(nesting.RECURSION_LIMIT)
    _keep_freed_memory()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _keep_freed_memory() -> None:
    """glibc would give the buffers of every large body back to the kernel and fault them in anew: a quarter of its cost.

    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        for option, value in ((_M_TRIM_THRESHOLD, KEPT_BYTES), (_M_MMAP_THRESHOLD, KEPT_BYTES), (_M_TOP_PAD, 1 << 20)):
            if mallopt is not None:
                mallopt(option, value)


def _resident_bytes() -> int:
    """Now; where that is not told, at its peak."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
