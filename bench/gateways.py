"""The gateways under test and the upstreams behind them: how each is configured, started, asked and stopped."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import machine
from tools import BUILD, HERE, NGINX_MODULES, executable
from usage import UsageTable

MODEL = "mock/model"
KEY = "sk-bench"
START_S = 60.0
STOP_S = 40.0  # a gateway may drain
INHERITED = ("HOME", "LANG", "PATH", "PYTHONPATH", "TMPDIR")  # no keys, no proxies, no settings of the caller
CONFIGURATION = HERE / "conf" / "kilo.toml"
POLL_S = 0.003


class DidNotStart(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Recipe:
    """What it takes to start a gateway. One with a `data_directory` keeps its key and its usage table there."""

    name: str
    port: int
    command: tuple[str, ...]
    directory: Path
    data_directory: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Running:
    """A gateway that has answered once, `start_s` after its process was made."""

    name: str
    port: int
    process: subprocess.Popen[bytes] | None
    key: str = KEY
    usage: UsageTable | None = None
    start_s: float = 0.0
    worker: int = 0
    """The process that does the work: the one which used most CPU for it."""

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None


def nginx(name: str, port: int, upstream_port: int, directory: Path, certificates: Path | None = None) -> Recipe:
    """nginx with conf/NAME.conf in a directory of its own."""
    words = {"PORT": port, "UPSTREAM_PORT": upstream_port, "MODULES": NGINX_MODULES, "CERTIFICATES": certificates}
    configuration = fill(HERE / "conf" / f"{name}.conf", directory / "nginx.conf", words)
    command = (executable("nginx"), "-p", str(directory), "-e", "error.log", "-c", str(configuration))
    return Recipe(name, port, command, directory)


def kilo(
    name: str, command: tuple[str, ...], port: int, upstream_url: str, directory: Path, ca: Path | None = None
) -> Recipe:
    """The gateway with everything on but the local model, one worker, a new data directory."""
    configuration = fill(CONFIGURATION, directory / "kilo.toml", {"PORT": port, "UPSTREAM_URL": upstream_url})
    data = directory / "data"
    arguments = ("serve", "--config", str(configuration), "--data-dir", str(data), "--port", str(port), "--workers", "1")
    environment = {"SSL_CERT_FILE": str(ca)} if ca else {}
    return Recipe(name, port, command + arguments, directory, data, environment)


def mock_upstream(port: int, directory: Path) -> Recipe:
    return Recipe("mock_upstream", port, (str(BUILD / "mock_upstream"), str(port)), directory)


def spawn(recipe: Recipe, core: int) -> subprocess.Popen[bytes]:
    """The process of `recipe`, pinned, in a process group of its own.

    Not in a Unix session of its own: where the scheduler groups by it (autogroup), spinners yield only within one.
    """
    if machine.is_port_taken(recipe.port):
        raise DidNotStart(f"{recipe.name}: port {recipe.port} is taken; stop whoever has it or pass --first-port")
    recipe.directory.mkdir(parents=True, exist_ok=True)
    with (recipe.directory / "log.txt").open("ab") as log:
        return subprocess.Popen(
            ["taskset", "-c", str(core), *recipe.command], cwd=recipe.directory, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, process_group=0, env={**_environment(), **recipe.environment},
        )  # fmt: skip


def start_upstream(recipe: Recipe) -> Running:
    """Waits for the port only: what is behind it need not speak plain HTTP."""
    running = Running(recipe.name, recipe.port, spawn(recipe, machine.LOAD_CORE))
    deadline = time.monotonic() + STOP_S
    while not machine.is_port_taken(recipe.port):
        if time.monotonic() > deadline:
            stop(running)
            raise DidNotStart(f"{recipe.name} did not start: see {recipe.directory}/log.txt")
        time.sleep(POLL_S)
    return running


def start(recipe: Recipe) -> Running:
    """Waits for the first answer. Raises DidNotStart with the end of the log, after stopping what was begun."""
    usage = UsageTable(recipe.data_directory) if recipe.data_directory else None
    if usage:  # a second start finds the rows of the first
        usage.answered = max(usage.rows(), 0) + 1
    begun = time.monotonic()
    running = Running(recipe.name, recipe.port, spawn(recipe, machine.GATEWAY_CORE), usage=usage)
    try:
        _wait_for_answer(running, recipe, begun)
    except BaseException:
        stop(running)
        raise
    return running


def stop(running: Running) -> None:
    """SIGTERM to the first process, then SIGKILL to whoever of its tree is left."""
    process = running.process
    if process is None:
        return
    family = machine.tree(process.pid) if process.poll() is None else []
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    for send, target in ((os.killpg, process.pid), *((os.kill, member) for member in family[1:])):
        with contextlib.suppress(ProcessLookupError):
            send(target, signal.SIGKILL)
    process.wait(STOP_S)


def fill(template: Path, target: Path, words: Mapping[str, object]) -> Path:
    text = template.read_text()
    for name, value in words.items():
        text = text.replace(f"@{name}@", str(value))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def _wait_for_answer(running: Running, recipe: Recipe, begun: float) -> None:
    complaint = "no answer"
    while time.monotonic() - begun < START_S:
        if running.process and running.process.poll() is not None:
            complaint = f"ended with {running.process.returncode}"
            break
        if recipe.data_directory:
            running.key = _read_key(recipe.data_directory)
        complaint = _ask(running)
        if not complaint:
            running.start_s = time.monotonic() - begun
            return
        time.sleep(POLL_S)
    tail = (recipe.directory / "log.txt").read_text(errors="replace")[-2000:]
    raise DidNotStart(f"{recipe.name} did not start: {complaint}\n$ {' '.join(recipe.command)}\n{tail}")


def _ask(running: Running) -> str:
    """Asks for one chat completion; what was wrong, or nothing."""
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 128})
    headers = {"Authorization": f"Bearer {running.key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()
    return "" if answer.status == 200 and b'"usage"' in text else f"{answer.status} {text[:300]!r}"


def _read_key(data_directory: Path) -> str:
    try:
        return (data_directory / "owner.key").read_text().strip()
    except OSError:
        return KEY


def _environment() -> dict[str, str]:
    return {name: value for name in INHERITED if (value := os.environ.get(name)) is not None}
