"""How a gateway ends: drained on request, and without loss when its processes are killed."""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from tests.caller import Caller, asking, request
from tests.chaos import EVENTS, STREAM_HEAD, Chaos, Peer, chunk
from tests.node import Node, answers, config, upstream
from tests.processes.conftest import NewNode
from tests.until import until

from kilo_gateway.core import crash
from kilo_gateway.processes.supervisor import ONE_WISH_S

KILLS = 20
RUSH_CALLERS = 12


class Slow:
    """A stream that goes on until it is told to finish."""

    def __init__(self) -> None:
        self.may_finish = threading.Event()

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        await peer.say(STREAM_HEAD + chunk(EVENTS[0]))
        while not self.may_finish.is_set():
            await peer.say(chunk(EVENTS[0]), pause_s=0.02)
        await peer.say(*map(chunk, EVENTS[1:]), b"0\r\n\r\n")


def streaming(node: Node) -> socket.socket:
    """A caller who has seen the first event."""
    caller = socket.create_connection(("127.0.0.1", node.port))
    caller.settimeout(20)
    caller.sendall(request(asking(stream=True), credential=f"Authorization: Bearer {node.key}\r\n".encode()))
    assert b"one" in caller.recv(65536) + caller.recv(65536)
    return caller


def rest_of(caller: socket.socket) -> bytes:
    with caller:
        return b"".join(iter(lambda: caller.recv(65536), b""))


def test_running_streams_finish_and_readiness_is_gone_at_once(new_node: NewNode, chaos: Chaos) -> None:
    slow = Slow()
    chaos.scripts = [slow]
    chaos.connections = 0
    found = new_node("drain_s = 20").start()
    caller = streaming(found)
    found.signal(signal.SIGTERM)
    ends_at = time.monotonic() + 2
    while found.ask("GET", "/ready", key="")[0] != 503:
        assert time.monotonic() < ends_at
    slow.may_finish.set()
    body = rest_of(caller)
    assert body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert b'"error"' not in body
    assert found.ended() == 0
    assert [row["status"] for row in found.usage()] == ["ok"]
    chaos.scripts = [answers]


def test_what_does_not_finish_in_time_is_cut_with_a_clear_end(new_node: NewNode, chaos: Chaos) -> None:
    slow = Slow()
    chaos.scripts = [slow]
    chaos.connections = 0
    found = new_node("drain_s = 1").start()
    caller = streaming(found)
    found.signal(signal.SIGTERM)
    body = rest_of(caller)
    assert body.count(b'"finish_reason":"error"') == 1
    assert b'"code":"server_restarting"' in body
    assert found.ended() == 0
    slow.may_finish.set()
    [row] = found.usage()
    assert (row["status"], row["estimated"]) == ("broken_off", True)
    chaos.scripts = [answers]


def test_nothing_is_left_behind_when_the_supervisor_is_killed(new_node: NewNode) -> None:
    found = new_node().start()
    workers = found.workers()
    assert found.stop(signal.SIGKILL) == -signal.SIGKILL
    ends_at = time.monotonic() + 15
    while found.workers():
        assert time.monotonic() < ends_at, f"{workers} still run"
        time.sleep(0.05)


class Rush:
    """Many callers, each request on a connection of its own. `finished`: ids of those that got their whole answer."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.finished: list[str] = []
        self.broken = 0
        self.is_over = False
        credential = f"Authorization: Bearer {node.key}\r\n".encode()
        self.asked = [request(asking(stream=is_stream), credential=credential) for is_stream in (False, True)]

    async def go(self) -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(RUSH_CALLERS):
                group.create_task(self._call(self.asked[n % 2]))
            group.create_task(self._kill())

    async def _call(self, data: bytes) -> None:
        while not self.is_over:
            try:
                caller = await Caller.to(self.node.port)
            except ConnectionError:
                self.broken += 1
                continue
            try:
                caller.send(data)
                answer = await caller.answer()
                assert answer.status == 200
                if answer.is_whole:
                    self.finished.append(answer.headers["x-generation-id"])
                else:
                    self.broken += 1
            except (ConnectionError, asyncio.IncompleteReadError):
                self.broken += 1
            finally:
                caller.hang_up()
            await asyncio.sleep(0.02)

    async def _kill(self) -> None:
        for _ in range(KILLS):
            await asyncio.sleep(0.2)
            workers = self.node.workers()
            if workers:
                os.kill(workers[_ % len(workers)], signal.SIGKILL)
        await asyncio.sleep(0.3)
        self.is_over = True


@pytest.mark.skipif(sys.platform != "linux", reason="what has sent nothing stays with the kernel on Linux only")
def test_kills_of_workers_lose_no_finished_request_and_no_silent_connection(new_node: NewNode) -> None:
    found = new_node().start()

    async def main() -> Rush:
        silent = [await Caller.to(found.port) for _ in range(40)]
        rush = Rush(found)
        await rush.go()
        for caller in silent:
            caller.send(rush.asked[0])
            assert (await caller.answer()).status == 200
            caller.hang_up()
        return rush

    rush = asyncio.run(main())
    assert len(rush.finished) > 300
    rows = found.usage()
    booked = [row["id"] for row in rows]
    assert len(set(booked)) == len(booked)
    lost = set(rush.finished) - {row["id"] for row in rows if row["status"] == "ok"}
    assert lost == set()
    assert {row["status"] for row in rows} <= {"ok", "client_gone", "recovered"}
    assert found.stop() == 0


def test_a_worker_that_was_killed_is_replaced(new_node: NewNode) -> None:
    found = new_node().start()
    before = set(found.workers())
    os.kill(min(before), signal.SIGKILL)
    ends_at = time.monotonic() + 10
    while len(set(found.workers()) - before) < 1:
        assert time.monotonic() < ends_at
        time.sleep(0.02)
    assert found.chat()[0] == 200


def test_a_control_process_that_was_killed_is_replaced_and_nothing_is_lost(new_node: NewNode) -> None:
    found = new_node().start()
    ids = [found.chat()[2]["x-generation-id"]]
    children = found.children()
    [control] = [pid for pid in children if pid not in found.workers()]
    os.kill(control, signal.SIGKILL)
    while found.is_running(control):
        time.sleep(0.001)
    ids.append(found.chat()[2]["x-generation-id"])
    assert found.ask("GET", "/v1/models")[0] == 200
    assert {row["id"] for row in found.usage()} == set(ids)


POINTS = [point for point in crash.POINTS if point != "journal.rotate"]  # takes 8 MiB of lines; see tests/ledger


@pytest.mark.parametrize("point", [f"{point}:2" for point in POINTS] + ["snapshot.write", "snapshot.push", "snapshot.ack"])
def test_a_death_at_any_named_point_loses_nothing(new_node: NewNode, point: str) -> None:
    found = new_node(KILO_GATEWAY_CRASH_AT=point).start()
    finished = []
    for _ in range(12):
        try:
            status, _, headers = found.chat()
        except (ConnectionError, OSError):
            continue
        assert status == 200
        finished.append(headers["x-generation-id"])
    created = found.cli("keys", "create", "--name", "later", "--json")
    if created.returncode != 0:  # the death came while this very key was made: the command says so and can be repeated
        assert "the control process ended meanwhile" in created.stderr
        created = found.cli("keys", "create", "--name", "later", "--json")
    key = json.loads(created.stdout)["key"]
    assert len(finished) >= 9
    rows = [row["id"] for row in found.usage() if row["status"] == "ok"]
    assert len(set(rows)) == len(rows)
    assert set(finished) <= set(rows)
    assert [found.chat(key)[0] for _ in range(6)] == [200] * 6
    assert "process.ended" in found.said()
    assert found.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_to_the_whole_group_lets_streams_finish(new_node: NewNode, chaos: Chaos, number: signal.Signals) -> None:
    slow = Slow()
    chaos.scripts = [slow]
    chaos.connections = 0
    found = new_node("drain_s = 20").start()
    caller, children = streaming(found), set(found.children())
    found.signal_all(number)
    until(lambda: len(found.children()) == len(children) - 1)  # the worker that has nothing to finish
    finishes(found, slow, caller)
    chaos.scripts = [answers]


def test_a_terminal_that_is_closed_ends_nothing(new_node: NewNode, chaos: Chaos) -> None:
    slow = Slow()
    chaos.scripts = [slow]
    chaos.connections = 0
    found = new_node("drain_s = 20").start()
    caller, children = streaming(found), found.children()
    found.signal_all(signal.SIGHUP)
    for _ in range(20):
        assert caller.recv(65536)
    assert found.children() == children
    found.signal(signal.SIGTERM)
    finishes(found, slow, caller)
    chaos.scripts = [answers]


def finishes(found: Node, slow: Slow, caller: socket.socket) -> None:
    """The stream goes on for a while, and then comes to its own end."""
    for _ in range(20):
        assert caller.recv(65536)
    slow.may_finish.set()
    body = rest_of(caller)
    assert body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert b'"error"' not in body
    assert found.ended() == 0
    assert [row["status"] for row in found.usage()] == ["ok"]


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Its keyboard and screen, and the end for who runs in it."""
    ours, theirs = os.openpty()
    yield ours, theirs
    for end in (ours, theirs):
        os.close(end)


def test_ctrl_c_in_a_terminal_lets_streams_finish(new_node: NewNode, chaos: Chaos, terminal: tuple[int, int]) -> None:
    slow = Slow()
    chaos.scripts = [slow]
    chaos.connections = 0
    found = new_node("drain_s = 20")
    keyboard, found.terminal = terminal
    caller = streaming(found.start())
    os.write(keyboard, b"\x03")
    until(lambda: "once more to cut them" in (found.root / "out").read_text())
    finishes(found, slow, caller)
    chaos.scripts = [answers]


def test_ctrl_c_twice_in_a_terminal_cuts(new_node: NewNode, chaos: Chaos, terminal: tuple[int, int]) -> None:
    slow = Slow()
    chaos.scripts = [slow]
    chaos.connections = 0
    found = new_node("drain_s = 60")
    keyboard, found.terminal = terminal
    caller = streaming(found.start())
    os.write(keyboard, b"\x03")
    time.sleep(ONE_WISH_S + 0.1)  # nobody presses twice within less
    os.write(keyboard, b"\x03")
    assert b'"code":"server_restarting"' in rest_of(caller)
    assert found.ended() == 0
    slow.may_finish.set()
    chaos.scripts = [answers]


def test_two_signals_cut_at_once(new_node: NewNode) -> None:
    with upstream() as other:
        slow = Slow()
        other.scripts = [slow]
        found = new_node()
        found.file.write_text(config(other.port, "drain_s = 60"))
        found.start()
        caller = streaming(found)
        for _ in range(2):
            found.signal(signal.SIGINT)
            time.sleep(0.3)
        started = time.monotonic()
        assert b'"finish_reason":"error"' in rest_of(caller)
        assert found.ended() == 0
        assert time.monotonic() - started < 10
        slow.may_finish.set()


def test_a_control_process_that_hangs_is_told_by_ready(new_node: NewNode) -> None:
    found = new_node().start()
    [control] = [pid for pid in found.children() if pid not in found.workers()]
    os.kill(control, signal.SIGSTOP)
    try:
        until(lambda: found.ask("GET", "/ready", key="")[1]["reasons"] == ["the control process does not answer"])
    finally:
        os.kill(control, signal.SIGCONT)
    until(lambda: found.ask("GET", "/ready", key="")[1]["status"] == "ok")


def test_a_gateway_that_drains_turns_new_callers_away_after_a_while(new_node: NewNode, chaos: Chaos) -> None:
    slow = Slow()
    chaos.scripts = [slow]
    found = new_node("drain_s = 20").start()
    caller = streaming(found)
    found.signal(signal.SIGTERM)

    def is_refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", found.port), 2).close()
        except ConnectionRefusedError:
            return True
        return False

    until(is_refused, 10, found.said)
    slow.may_finish.set()
    assert rest_of(caller).endswith(b"0\r\n\r\n")
    assert found.ended() == 0
    chaos.scripts = [answers]
