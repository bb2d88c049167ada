"""The gateway as processes, as an operator runs it: a subprocess with a data directory of its own."""

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos import JSON, STREAM, Chaos, Peer
from tests.until import until

from kilo_gateway.ledger import journal

STARTS_S = 30.0
ENDS_S = 40.0
AUTO_IDS = ("kilo/auto", *(f"kilo-auto/{tier}" for tier in ("balanced", "frontier", "efficient", "small", "free", "org")))
_URL = re.compile(r"URL\s+http://localhost:(\d+)")
_IN_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


async def answers(peer: Peer) -> None:
    """A JSON answer or a stream, as asked."""
    while True:
        received = await peer.request()
        if received.head.startswith(b"GET"):
            listed = b'{"data":[{"id":"found-one","context_length":4096},{"id":""},5]}'
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(listed), listed))
        else:
            await peer.say(STREAM if b'"stream":true' in received.body else JSON)


@contextmanager
def upstream() -> Iterator[Chaos]:
    """A scripted upstream in a thread of its own."""
    chaos, is_up, loop = Chaos(), threading.Event(), asyncio.new_event_loop()
    chaos.scripts = [answers]

    async def serve() -> None:
        await chaos.start()
        is_up.set()

    def run() -> None:
        loop.create_task(serve())
        loop.run_forever()
        loop.run_until_complete(chaos.stop())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert is_up.wait(10)
    try:
        yield chaos
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def config(port: int, more: str = "") -> str:
    return f"""
[local]
enabled = false
[server]
workers = 2
drain_listen_s = 0.5
{more}
[[upstreams]]
name = "mock"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "sk-upstream"
models = [ {{ id = "mock/model", upstream_id = "m", input_usd_per_mtok = 1.0, output_usd_per_mtok = 2.0 }} ]
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of this machine's own settings."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR", "PYTHONPATH")}
    return kept | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "none"), "COLUMNS": "200", "KILO_GATEWAY_LOCAL__SERVERS": "false"} | more


class Node:
    def __init__(self, root: Path, text: str, **more: str) -> None:
        self.root = root
        self.data = root / "data"
        self.file = root / "gateway.toml"
        self.file.write_text(text)
        self.environment = environment(root, **more)
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.terminal: int | None = None

    # Running it

    def start(self, *arguments: str, **more: str) -> "Node":
        """Returns when it has said where it listens."""
        process = self.begin(*arguments, **more)

        def url() -> re.Match[str] | None:
            assert process.poll() is None, self.said()
            return _URL.search((self.root / "out").read_text())

        found = until(url, STARTS_S, self.said)
        assert found is not None
        self.port = int(found[1])
        return self

    def begin(self, *arguments: str, **more: str) -> "subprocess.Popen[bytes]":
        """Returns at once. It leads a process group of its own, in the foreground of `terminal` where there is one."""
        self.out = (self.root / "out").open("w+b")
        self.log = (self.root / "log").open("ab")
        terminal = subprocess.DEVNULL if self.terminal is None else self.terminal
        launcher = [] if self.terminal is None else [sys.executable, "-c", _IN_TERMINAL]
        self.process = subprocess.Popen(
            [*launcher, sys.executable, "-m", "kilo_gateway", "serve", *self.options(), "--port", str(self.port), *arguments],
            stdout=self.out, stderr=self.log, stdin=terminal, env=self.environment | more, start_new_session=True,
        )  # fmt: skip
        return self.process

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        self.signal(number)
        return self.ended()

    def signal_all(self, number: signal.Signals) -> None:
        """As a shell's `kill -TERM -PGID`: the supervisor and its children each get it."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self) -> int:
        """The exit code, once it has ended by itself."""
        assert self.process is not None
        code = self.process.wait(ENDS_S)
        self.out.close()
        self.log.close()
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None:
            self.stop(signal.SIGKILL)

    def said(self) -> str:
        return (self.root / "log").read_text()

    def workers(self) -> list[int]:
        """The process ids of those that live; a worker's journal is named after it."""
        alive = []
        for name in journal.files_of(self.data / "journal"):
            pid = int(name.split(".")[1], 16)
            if _is_running(pid):
                alive.append(pid)
        return alive

    @staticmethod
    def is_running(pid: int) -> bool:
        return _is_running(pid)

    def children(self) -> list[int]:
        """All processes whose parent the supervisor is."""
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    # Asking it

    def options(self) -> list[str]:
        return ["--config", str(self.file), "--data-dir", str(self.data)]

    @property
    def key(self) -> str:
        return (self.data / "owner.key").read_text()

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_cli(*arguments, *self.options(), env=self.environment)

    def json(self, *arguments: str) -> Any:
        done = self.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def usage(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.json("usage", "--limit", "10000")
        return rows

    def ask(self, method: str, path: str, body: object = None, key: str | None = None) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON or text, headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"} if key != "" else {}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
            is_json = bool(data) and "json" in (answer.headers["content-type"] or "")
            return answer.status, json.loads(data) if is_json else data.decode(), {k.lower(): v for k, v in answer.headers.items()}
        finally:
            connection.close()

    def chat(self, key: str | None = None, **more: object) -> tuple[int, Any, dict[str, str]]:
        return self.ask("POST", "/v1/chat/completions", {"model": "mock/model", "messages": [], **more}, key)


def run_cli(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kilo_gateway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=ENDS_S, check=False)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return sys.platform != "linux"
