"""`serve`: a small process that owns the listening sockets and keeps the others alive.

Children are forked, so all of them start from what is imported here already; it must stay without threads and loops.
They watch a pipe whose other end only the supervisor has: when it is gone, so are they.
"""

import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from kilo_gateway.catalog.files import DataDirectory, read_snapshot
from kilo_gateway.core.keyring import Keyring
from kilo_gateway.core.settings import Settings
from kilo_gateway.processes import worker
from kilo_gateway.processes.banner import Banner
from kilo_gateway.processes.board import Board
from kilo_gateway.processes.log import Defects, Log, where_of
from kilo_gateway.processes.node import DRAIN, DRAIN_HASTILY, NOT_HEARD, Node

STEADY_S = 2.0  # who lived this long did not die of its start
MAX_PAUSE_S = 5.0
CONTROL_WAITS_S = 1.0  # for the workers to be up first, when they need nothing of it
KILL_AFTER_S = 15.0  # beyond the drain
ONE_WISH_S = 0.2  # signals so close are one wish: a wrapper passes on what its whole group has got already
_STOPPING = {signal.SIGTERM: DRAIN, signal.SIGINT: DRAIN_HASTILY}


@dataclass(slots=True)
class Child:
    name: str
    run: Callable[[Node], None]
    pid: int = 0
    started: float = 0.0
    starts: int = 0
    next_start: float = 0.0
    is_wanted: bool = True


class Supervisor:
    def __init__(self, settings: Settings, keyring: Keyring, sockets: list[socket.socket], banner: Banner) -> None:
        self._settings = settings
        self._files = DataDirectory(settings.data_dir)
        self._log = Log("supervisor")
        self._banner = banner
        self._sockets = sockets
        self._life, self._life_end = os.pipe()
        self._news, news_end = os.pipe()
        self._wake, self._wake_end = os.pipe()
        for file in (self._news, self._wake, self._wake_end):
            os.set_blocking(file, False)
        self._node = Node(settings, self._files, keyring, len(sockets), self._life, news_end, Board(), settings.crash_at)
        self._workers = [Child(f"worker-{slot}", self._worker(slot)) for slot in range(len(sockets))]
        self._control = Child("control", _run_control)
        self._local = Child("local-model", _run_local_model, is_wanted=False)
        self._ready: set[str] = set()
        self._heard = b""
        self._stopping = 0  # the first signal that said so
        self._stopping_since = 0.0

    def run(self) -> int:
        """Until told to end. Gives the exit code."""
        for number in (*_STOPPING, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        snapshot = read_snapshot(self._files.snapshot, self._settings.fingerprint)
        for child in self._workers:
            self._start(child)
        self._control.next_start = time.monotonic() + (CONTROL_WAITS_S if snapshot is not None else 0.0)
        if self._banner.local_model_runs:
            self._local.is_wanted = True
        while not self._stopping:
            self._tick()
        return self._stop()

    # Children

    def _worker(self, slot: int) -> Callable[[Node], None]:
        return lambda node: worker.run(node, slot, self._sockets[slot])

    def _children(self) -> list[Child]:
        return [*self._workers, self._control, self._local]

    def _start(self, child: Child) -> None:
        child.started, child.starts = time.monotonic(), child.starts + 1
        sys.stdout.flush()
        # A signal between the fork and the child's own word on signals would be taken by what it has inherited, and lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        pid = os.fork()
        if pid == 0:
            self._become(child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        child.pid = pid
        # Told to crash once: what comes after it has to be able to recover.
        if child.starts > 1:
            self._node = replace(self._node, crash_at="")

    def _become(self, child: Child) -> None:
        """In the new process. Does not return."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in NOT_HEARD:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            os.close(self._life_end)
            _name_process(child.name)
            logging.getLogger().addHandler(Defects(Log(child.name)))
            child.run(self._node if child.starts == 1 else replace(self._node, crash_at=""))
            code = 0
        except BaseException as error:  # the process's own door: say it in one line, then end
            Log(child.name)("process.failed", reason=f"{type(error).__name__}: {error}", where=where_of(error))
        finally:
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._hear_news()  # its last word came before its end
            for child in self._children():
                if child.pid == pid:
                    self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        """At once again, unless it dies of its own start: then with growing pauses. A kill is nobody's fault."""
        now = time.monotonic()
        child.pid = 0
        was_up = child.name in self._ready and now - child.started >= STEADY_S
        self._ready.discard(child.name)
        if self._stopping:
            return
        is_own_fault = not was_up and not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
        if child is self._local and is_own_fault and not self._node.local_trouble.read():
            self._node.local_trouble.write("it ends while it starts")
        pause = min(0.1 * 2 ** min(child.starts, 6), MAX_PAUSE_S) if is_own_fault else 0.0
        child.next_start = now + pause
        if child.is_wanted:
            self._log("process.ended", name=child.name, code=os.waitstatus_to_exitcode(status), restarts_in_s=pause)

    # Time

    def _tick(self) -> None:
        now = time.monotonic()
        for child in self._children():
            if child.is_wanted and not child.pid and child.next_start <= now:
                self._start(child)
        due = [child.next_start - now for child in self._children() if child.is_wanted and not child.pid]
        self._listen(min([1.0, *(max(each, 0.0) for each in due)]))

    def _listen(self, timeout_s: float) -> None:
        readable, _, _ = select.select([self._wake, self._news], [], [], timeout_s)
        if self._wake in readable:
            os.read(self._wake, 4096)
            self._reap()
        if self._news in readable:
            self._hear_news()

    def _hear_news(self) -> None:
        with suppress(BlockingIOError):
            *lines, self._heard = (self._heard + os.read(self._news, 4096)).split(b"\n")
            for line in lines:
                self._hear(line.decode("utf-8", "replace"))

    def _hear(self, news: str) -> None:
        word, _, reason = news.partition(" ")
        if word == "no-local-model":
            self._local.is_wanted = False
            self._banner.no_local_model(reason)
            return
        if word == "local-model":
            self._banner.local_model_is_there()
        self._ready.add(news.replace(" ", "-"))
        workers = {child.name for child in self._workers}
        if workers <= self._ready:
            self._control.next_start = 0.0
            if self._banner.has_key() or self._control.name in self._ready:  # control makes it at the very first start
                self._banner.show()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number not in _STOPPING:
            return
        if not self._stopping:
            self._stopping, self._stopping_since = number, time.monotonic()
        elif time.monotonic() - self._stopping_since > ONE_WISH_S:
            self._tell_workers(number)

    # The end

    def _tell_workers(self, number: int) -> None:
        for child in self._workers:
            if child.pid:
                os.kill(child.pid, _STOPPING[signal.Signals(number)])

    def _stop(self) -> int:
        """Workers first, so that control can import their last lines."""
        self._banner.stopping()
        self._tell_workers(self._stopping)
        self._wait_for(self._workers, self._settings.server.drain_s + KILL_AFTER_S)
        for each in self._sockets:
            each.close()
        for child in (self._control, self._local):
            if child.pid:
                os.kill(child.pid, DRAIN)
        self._wait_for([self._control, self._local], KILL_AFTER_S)
        return 0

    def _wait_for(self, children: list[Child], timeout_s: float) -> None:
        ends_at = time.monotonic() + timeout_s
        while any(child.pid for child in children) and time.monotonic() < ends_at:
            self._listen(0.2)
            self._reap()
        for child in children:
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.pid = 0


def _name_process(name: str) -> None:
    """For those who look with ps; Linux only, 15 characters."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"kilo-{name}"[:15])


def _run_control(node: Node) -> None:
    """Imported where it runs: its libraries take longer to load than a worker takes to start."""
    from kilo_gateway.processes import control

    control.run(node)


def _run_local_model(node: Node) -> None:
    from kilo_gateway.processes import local_model

    local_model.run(node)
