"""What the checks stand on: the registry and runner, the gateway and the upstream as processes, and a few questions to them."""

import base64
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import wire
from wire import Answer, Conn

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
PYTHON = os.environ.get("KILO_ACCEPTANCE_PYTHON") or str(REPO / ".venv/bin/python")
BINARY = os.environ.get("KILO_ACCEPTANCE_BINARY") or str(REPO / ".venv/bin/kilo-gateway")
ROOT = Path(tempfile.mkdtemp(prefix="kilo-acceptance-"))
PROMPT_CANARY = "canaryPromptXQ7Z"  # in every prompt: must never be in a log or a file
SECRET_CANARY = "sk-canarySecretJ5W2"  # the upstream's key: must never be shown
DEFAULT = "/v1/chat/completions"


# ---------------------------------------------------------------- registry and runner


class Skip(Exception):
    """Could not be tried here; told as INFO."""


@dataclass
class Check:
    id: str
    what: str
    run: object
    timeout: float
    waits: bool
    status: str = ""


CHECKS: list[Check] = []
_print_lock = threading.Lock()
counts = {"PASS": 0, "FAIL": 0, "INFO": 0}


def check(id: str, what: str, timeout: float = 30.0, waits: bool = False):
    """Registers a check. It passes by returning (a string is added to the line). `waits`: mostly sleeps, runs beside others."""

    def register(function):
        CHECKS.append(Check(id, what, function, timeout, waits))
        return function

    return register


def say(kind: str, id: str, text: str) -> None:
    text = " ".join(str(text).split())
    with _print_lock:
        counts[kind] += 1
        print(f"{kind} {id} {text[:420]}", flush=True)


def info(id: str, figure: str) -> None:
    say("INFO", id, figure)


def _seen(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/acceptance/" in f.filename]
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    name = "" if isinstance(error, AssertionError) and str(error) else f"{type(error).__name__}: "
    return f"{name}{error}"[:300] + where


def _run_one(one: Check) -> None:
    done: dict = {}

    def body() -> None:
        try:
            done["said"] = one.run()
        except Skip as skip:
            done["skip"] = str(skip)
        except BaseException as error:
            done["error"] = _seen(error)

    started = time.monotonic()
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(one.timeout)
    if thread.is_alive():
        frame = sys._current_frames().get(thread.ident)
        at = [f for f in traceback.extract_stack(frame) if "/acceptance/" in f.filename] if frame else []
        where = f" at {Path(at[-1].filename).name}:{at[-1].lineno}" if at else ""
        say("FAIL", one.id, f"{one.what}: not done after {one.timeout:g} s{where}")
    elif "error" in done:
        say("FAIL", one.id, f"{one.what}: {done['error']}")
    elif "skip" in done:
        say("INFO", one.id, f"not tried: {done['skip']}")
    else:
        took = time.monotonic() - started
        extra = f" [{done['said']}]" if done.get("said") else ""
        slow = f" ({took:.1f} s)" if took > 5 else ""
        say("PASS", one.id, f"{one.what}{extra}{slow}")


def run(pattern: str) -> int:
    chosen = [one for one in CHECKS if re.search(pattern, one.id)]
    if not chosen:
        print(f"no check matches {pattern!r}")
        return 2
    try:
        with ThreadPoolExecutor(8) as pool:  # those that mostly wait, side by side
            list(pool.map(_run_one, [one for one in chosen if one.waits]))
        for one in chosen:
            if not one.waits:
                _run_one(one)
    finally:
        stop_everything()
    print(f"passed {counts['PASS']}, failed {counts['FAIL']}", flush=True)
    if counts["FAIL"]:
        print(f"logs and data of the gateways: {ROOT}", flush=True)
    else:
        shutil.rmtree(ROOT, ignore_errors=True)
    return 1 if counts["FAIL"] else 0


# ---------------------------------------------------------------- processes

_started: list[subprocess.Popen] = []
at_end: list = []  # called once all processes are stopped, to take away what lies outside ROOT


def environment(**extra: str) -> dict[str, str]:
    """A clean one: nothing of the machine's keys, proxies or directories gets in."""
    home = ROOT / "home"
    home.mkdir(exist_ok=True)
    env = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(home), "LANG": "C.UTF-8",
        "XDG_DATA_HOME": str(home / "data"), "XDG_CONFIG_HOME": str(home / "config"), "NO_COLOR": "1", "COLUMNS": "300",
    }  # fmt: skip
    for name in ("XDG_CACHE_HOME", "TMPDIR"):
        if name in os.environ:
            env[name] = os.environ[name]
    env.update(extra)
    return env


def spawn(command: list[str], **options) -> subprocess.Popen:
    process = subprocess.Popen(command, start_new_session=True, **options)
    _started.append(process)
    return process


def adopt_orphans() -> None:
    """Whatever loses its parent becomes our child (Linux), so that all we started can be found without looking at others."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def is_alive(pid: int) -> bool:
    return _state(pid) not in ("", "Z", "X")


def stop_everything() -> None:
    for process in _started:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    for _ in range(3):  # whatever left its group
        for pid in children(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for process in _started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
    while at_end:
        at_end.pop()()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def children(pid: int) -> list[int]:
    """All descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = entry.read_text()
            parents.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(entry.parent.name))
    out, todo = [], [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            out.append(child)
            todo.append(child)
    return out


def rss_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
    return 0


def cli(*args: str, data_dir: Path | None = None, config: Path | None = None, timeout: float = 20.0, **env: str):
    """One `kilo-gateway …` command, to its end."""
    command = [BINARY, *args]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir)]
    if config is not None:
        command += ["--config", str(config)]
    return subprocess.run(
        command, env=environment(**env), capture_output=True, text=True, errors="replace", timeout=timeout, stdin=subprocess.DEVNULL
    )


def cli_json(*args: str, **options):
    done = cli(*args, "--json", **options)
    assert done.returncode == 0, f"{' '.join(args)}: exit {done.returncode}: {(done.stderr or done.stdout)[-220:]}"
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"{' '.join(args)} --json printed {done.stdout[:200]!r}") from None


# ---------------------------------------------------------------- the upstream


class Upstream:
    """Tells the chaos upstream what to do, and asks it what came."""

    def __init__(self, ports: int = 6) -> None:
        self.cert = self._certificate()
        command = [sys.executable, str(HERE / "upstream.py"), "--ports", str(ports)]
        if self.cert:
            command += ["--cert", str(self.cert), "--key", str(self.cert.with_suffix(".key"))]
        self.process = spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
        told = json.loads(self.process.stdout.readline())
        self.ports, self.tls = told["ports"], told["tls"]
        self._sock = socket.create_connection(("127.0.0.1", told["control"]))
        self._file = self._sock.makefile("rwb")
        self._lock = threading.Lock()
        self._n = 0

    @staticmethod
    def _certificate() -> Path | None:
        if not shutil.which("openssl"):
            return None
        cert = ROOT / "upstream.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(cert.with_suffix(".key")), "-out", str(cert)],
            check=True, capture_output=True,
        )  # fmt: skip
        return cert

    def tell(self, cmd: str, **fields):
        with self._lock:
            self._file.write(json.dumps({"cmd": cmd, **fields}).encode() + b"\n")
            self._file.flush()
            return json.loads(self._file.readline())["answer"]

    def script(self, *steps, name: str = "", **kinds) -> str:
        """Its name, to be put in a prompt. `seq=[…]` or `first=…, other=…` instead of steps."""
        if not name:
            with self._lock:
                self._n += 1
                name = f"s{self._n}"
        self.tell("script", name=name, **(kinds or {"steps": list(steps)}))
        return name

    def log(self, name: str | None = None, since: int = 0) -> list[dict]:
        return self.tell("log", name=name, since=since)

    def one(self, name: str) -> dict:
        rows = self.log(name)
        assert len(rows) == 1, f"the upstream saw {len(rows)} requests, not 1"
        return rows[0]


def send(data: bytes) -> list:
    return ["send", base64.b64encode(data).decode()]


def drip(data: bytes, delay: float) -> list:
    return ["drip", base64.b64encode(data).decode(), delay]


def flood(data: bytes, times: int) -> list:
    return ["flood", base64.b64encode(data).decode(), times]


def json_head(length: int, extra: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n" % (status, length, extra)


def json_reply(body: bytes, extra: bytes = b"", status: bytes = b"200 OK") -> list:
    return send(json_head(len(body), extra, status) + body)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream_reply(body: bytes) -> list:
    return send(STREAM_HEAD + chunk(body) + LAST_CHUNK)


_upstream: Upstream | None = None
_upstream_lock = threading.Lock()


def up() -> Upstream:
    global _upstream
    with _upstream_lock:
        if _upstream is None:
            _upstream = Upstream()
        return _upstream


# ---------------------------------------------------------------- the gateway


def model(id: str, upstream_id: str = "mock", price: tuple[str, str] | None = ("1.0", "2.0"), **more) -> str:
    fields = [f'id = "{id}"', f'upstream_id = "{upstream_id}"']
    if price:
        fields += [f"input_usd_per_mtok = {price[0]}", f"output_usd_per_mtok = {price[1]}"]
    fields += [f"{k} = {json.dumps(v)}" for k, v in {"context": 128000, **more}.items()]
    return "{ " + ", ".join(fields) + " }"


def upstream(name: str, base_url: str, *models: str, key: str = SECRET_CANARY, extra: str = "") -> str:
    rows = f"models = [ {', '.join(models)} ]\n" if models else ""
    return f'[[upstreams]]\nname = "{name}"\ndialect = "openai-chat"\nbase_url = "{base_url}"\napi_key = "{key}"\n{extra}{rows}\n'


def config(*upstreams: str, server: str = "", local: bool = False, auto: str = "", extra: str = "") -> str:
    auto = f'[auto]\ndefault = "{auto}"\n' if auto else ""
    return f"[server]\n{server}\n[local]\nenabled = {str(local).lower()}\n{auto}{extra}\n" + "\n".join(upstreams)


@dataclass
class Gateway:
    """One `kilo-gateway serve` with a directory of its own."""

    name: str
    text: str
    workers: int = 1
    env: dict[str, str] = field(default_factory=dict)
    directory: Path | None = None
    wait: float = 20.0

    def __post_init__(self) -> None:
        self.directory = self.directory or Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=ROOT))
        self.data = self.directory / "data"
        self.config = self.directory / "config.toml"
        self.config.write_text(self.text)
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        self.starts = 0

    def start(self, **env: str) -> "Gateway":
        """Until /ready says 200, or /health does and `wait` is over."""
        self.starts += 1
        command = [BINARY, "serve", "--config", str(self.config), "--data-dir", str(self.data), "--port", str(self.port)]
        command += ["--workers", str(self.workers)]
        with (self.directory / "stdout.log").open("ab") as out, (self.directory / "stderr.log").open("ab") as err:
            self.process = spawn(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment(**{**self.env, **env}), cwd=self.directory
            )
        began, answer = time.monotonic(), None
        while time.monotonic() - began < self.wait:
            if self.process.poll() is not None:
                raise AssertionError(f"serve ended at once with {self.process.returncode}: {self.log()[-240:]}")
            with contextlib.suppress(OSError, wire.Ended):
                answer = self.get("/ready", timeout=2)
                if answer.status == 200:
                    return self
            time.sleep(0.02)
        with contextlib.suppress(OSError, wire.Ended):
            if self.get("/health", timeout=2).status == 200:
                return self
        raise AssertionError(f"not ready after {self.wait:g} s: {answer}: {self.log()[-200:]}")

    def stop(self, timeout: float = 15.0) -> int | None:
        """SIGTERM; its exit code, None when it had to be killed."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                return None
        return self.process.returncode

    def kill(self) -> None:
        """kill -9 of everything it is made of."""
        if self.process is None:
            return
        pids = [*children(self.process.pid), self.process.pid]
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)

    @property
    def key(self) -> str:
        path = self.data / "owner.key"
        assert eventually(path.exists, 3), "no owner.key 3 s after the start"
        return path.read_text().strip()

    def log(self) -> str:
        return "".join((self.directory / f"{name}.log").read_text(errors="replace") for name in ("stdout", "stderr"))

    def get(self, path: str, headers: dict[str, str] | None = None, timeout: float = 10.0, method: str = "GET") -> Answer:
        data = wire.request(method, path, {"Connection": "close", **(headers or {})})
        return wire.ask(self.port, data, timeout=timeout, method=method)

    def post(self, body: bytes, *, path: str = DEFAULT, key: str | None = "", headers: dict[str, str] | None = None,
             timeout: float = 15.0, on_piece=None) -> Answer:  # fmt: skip
        return wire.ask(self.port, self.head(body, path=path, key=key, headers=headers), timeout=timeout, on_piece=on_piece)

    def head(self, body: bytes, *, path: str = DEFAULT, key: str | None = "", headers: dict[str, str] | None = None) -> bytes:
        """The request as bytes; `key=None` for none."""
        fields = {"Content-Type": "application/json"}
        if key is not None:
            fields["Authorization"] = f"Bearer {key or self.key}"
        fields.update(headers or {})
        return wire.request("POST", path, fields, body)

    def usage(self) -> list[dict]:
        """All rows: by the CLI; by the database file where there are more than the CLI lists at once."""
        limit = _usage_limit()
        rows = cli_json("usage", *(["--limit", str(limit)] if limit else []), data_dir=self.data, timeout=60)
        assert isinstance(rows, list), f"usage --json gave {str(rows)[:120]}"
        return self._usage_table() if limit and len(rows) >= limit else rows

    def _usage_table(self) -> list[dict]:
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/gateway.db?mode=ro", uri=True, timeout=10)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM usage")]

    def row(self, id: str | None, within: float = 6.0) -> dict:
        """The one row of a generation, as soon as it is there."""
        assert id, "no x-generation-id"
        end = time.monotonic() + within
        while True:
            rows = [row for row in self.usage() if row.get("id") == id]
            if rows or time.monotonic() > end:
                break
            time.sleep(0.2)
        assert len(rows) == 1, f"{len(rows)} usage rows for {id}"
        return rows[0]

    def workers_pids(self) -> list[int]:
        """Data workers: those with a file of journal/ open; else by command line; else all that hold the public socket."""
        pids = [pid for pid in children(self.process.pid) if _state(pid) not in ("Z", "X", "")]
        journalling = [pid for pid in pids if any("/journal/" in name for name in _open_files(pid))]
        named = [pid for pid in pids if re.search(r"\bworker\b", _cmdline(pid))]
        inodes = {f"socket:[{inode}]" for inode in _listening_inodes(self.port)}
        holding = [pid for pid in pids if inodes & _open_files(pid) and not any("gateway.db" in n for n in _open_files(pid))]
        return journalling or named or holding


def _usage_limit() -> int:
    """The most that `usage --limit` takes, by its own help; 0 when there is no such option."""
    global _known_limit
    if _known_limit is None:
        text = cli("usage", "--help").stdout
        most = re.search(r"--limit[^\0]*?x<=(\d+)", text)
        _known_limit = int(most[1]) if most else 1_000_000 if "--limit" in text else 0
    return _known_limit


_known_limit: int | None = None


def _cmdline(pid: int) -> str:
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return text + " " + Path(f"/proc/{pid}/comm").read_text()
    return ""


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _open_files(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(os.readlink(fd))
    return found


_gateways: dict[str, Gateway | str] = {}
_makers: dict[str, object] = {}
_gateway_locks: dict[str, threading.Lock] = {}
_gateways_lock = threading.Lock()


def gateway(name: str):
    """Registers how a shared gateway is made; `gw(name)` starts it once, and again should it have died."""

    def register(maker):
        _makers[name] = maker
        return maker

    return register


def gw(name: str = "main") -> Gateway:
    with _gateways_lock:
        lock = _gateway_locks.setdefault(name, threading.Lock())
    with lock:
        known = _gateways.get(name)
        if isinstance(known, str):
            raise AssertionError(f"the gateway {name!r} does not start: {known}")
        if known is None or known.process is None or known.process.poll() is not None:
            fresh = known or _makers[name]()
            if fresh.starts >= 3:
                raise AssertionError(f"the gateway {name!r} ended three times: {fresh.log()[-200:]}")
            try:
                _gateways[name] = known = fresh.start()
            except Exception as error:
                if known is None:
                    _gateways[name] = str(error)[:250]
                raise
        return known


# ---------------------------------------------------------------- fixtures and judgements

JSON_BODY = (
    b'{"id": "chatcmpl-fix1","object":"chat.completion","created":1700000000,"model":"mock","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"caf\\u00e9 \xe2\x98\x95 \\/ 1.10"},"finish_reason":"stop","logprobs":null}],"x_extra":'
    b'{"n":1.10,"e":1E+2,"big":12345678901234567890123, "spaced" : [ 1 , 2 ]},"usage":{"prompt_tokens":12,'
    b'"completion_tokens":7,"total_tokens":19,"completion_tokens_details":{"reasoning_tokens":3}}}'
)
_E = b'data: {"id":"chatcmpl-fix2","object":"chat.completion.chunk","created":1700000000,"model":"mock","choices":['
EVENTS = [
    _E + b'{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}\n\n',
    b": a comment of the upstream\n\n",
    _E + b'{"index":0,"delta":{"content":"caf\\u00e9 \xe2\x98\x95 \\n data: [DONE] "},"finish_reason":null}],"usage":null,"n":1.10}\n\n',
    b'event: message\nid: 7\n' + _E + b'{"index":0,"delta":{"content":"{\\"usage\\":{}} \\"error\\""},"finish_reason":null}]}\n\n',
    _E + b'{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n',
]  # fmt: skip
USAGE_EVENT = _E + b'],"usage":{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19}}\n\n'
DONE = b"data: [DONE]\n\n"
BEFORE_USAGE = b"".join(EVENTS)
STREAM = BEFORE_USAGE + USAGE_EVENT + DONE
COST = Decimal("0.000026")  # 12 x 1.0 + 7 x 2.0 per million


def say_to(model_id: str, script: str = "ok", stream: bool = False, **more) -> bytes:
    fields = {"model": model_id, "messages": [{"role": "user", "content": f"script:{script} {PROMPT_CANARY}"}]}
    if stream:
        fields["stream"] = True
    return json.dumps({**fields, **more}).encode()


def usd(value) -> Decimal:
    assert value is not None, "cost is null"
    return Decimal(str(value))


def same_events(answer: Answer, before: bytes = BEFORE_USAGE, model_id: str = "", provider: str = "", cost: Decimal | None = COST,
                estimated: bool = False) -> dict:  # fmt: skip
    """A whole stream: byte for byte up to the last usage event, that one stamped, [DONE] once and last. Gives the usage chunk."""
    assert answer.status == 200, f"{answer}"
    assert answer.is_clean, f"did not end whole: {answer.ended} {answer.body[-120:]!r}"
    body = answer.body
    same = len(os.path.commonprefix([body, before]))
    assert same == len(before), f"differs at byte {same}: sent {before[same : same + 60]!r}, came {body[same : same + 60]!r}"
    rest = wire.events(body[len(before) :])
    assert len(rest) == 2 and wire.data_of(rest[1]) == b"[DONE]", f"after the relayed events: {rest!r}"
    told = json.loads(wire.data_of(rest[0]))
    stamped(told, model_id, provider, cost, estimated)
    return told


def stamped(told: dict, model_id: str = "", provider: str = "", cost: Decimal | None = COST, estimated: bool = False) -> None:
    usage = told.get("usage")
    assert isinstance(usage, dict), f"no usage object: {told}"
    assert "cost" in usage, f"no cost: {usage}"
    if cost is None:
        assert usage["cost"] is None, f"cost {usage['cost']!r}, not null"
    elif not estimated:
        assert usd(usage["cost"]) == cost, f"cost {usage['cost']!r}, not {cost}"
    assert bool(usage.get("estimated")) == estimated, f"estimated is {usage.get('estimated')!r}: {usage}"
    for name, wanted in (("model", model_id), ("provider", provider)):
        seen = told.get(name, usage.get(name))
        assert not wanted or str(seen).lower() == wanted.lower(), f"{name} is {seen!r}, not {wanted!r}"


def error_of(answer: Answer) -> dict:
    """OpenAI's shape: {"error": {message, type, code, metadata}}."""
    told = answer.json()
    error = told.get("error") if isinstance(told, dict) else None
    assert isinstance(error, dict), f"not OpenAI's shape: {answer}"
    missing = {"message", "type", "code", "metadata"} - set(error)
    assert not missing, f"error without {sorted(missing)}: {answer.body[:200]!r}"
    assert isinstance(error["message"], str) and error["message"], f"no message: {error}"
    return error


def refused(answer: Answer, *statuses: int) -> dict:
    assert answer.status in statuses if statuses else 400 <= answer.status < 500, f"{answer}"
    return error_of(answer)


def broken_end(answer: Answer) -> list[bytes]:
    """After the first byte: exactly one error chunk, finish_reason "error", then [DONE], nothing else. Gives what came before."""
    assert answer.status == 200, f"{answer}"
    assert answer.is_clean, f"the caller's own framing broke: {answer.ended} {answer.body[-100:]!r}"
    all_events = [event for event in wire.events(answer.body) if not event.startswith(b":")]
    datas = [wire.data_of(event).strip() for event in all_events]
    assert datas and datas[-1] == b"[DONE]", f"does not end with [DONE]: {answer.body[-160:]!r}"
    assert datas.count(b"[DONE]") == 1, f"{datas.count(b'[DONE]')} x [DONE]"
    errors = []
    for at, data in enumerate(datas[:-1]):
        told = json.loads(data)
        if any(choice.get("finish_reason") == "error" for choice in told.get("choices") or []):
            errors.append(at)
            assert isinstance(told.get("error"), dict) and told["error"].get("message"), f"error chunk without error: {data[:200]!r}"
    assert len(errors) == 1, f"{len(errors)} error chunks: {answer.body[-200:]!r}"
    assert errors[0] == len(datas) - 2, f"the error chunk is not last before [DONE]: {answer.body[-300:]!r}"
    return all_events[:-2]


def eventually(question, within: float = 5.0, every: float = 0.05):
    """The first truthy answer, or the last one."""
    end = time.monotonic() + within
    while True:
        answer = question()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(every)


def closed_within(script: str, seconds: float = 1.0) -> float:
    """How long after now the upstream saw its caller go, at most `seconds`."""
    start = time.time()
    row = eventually(lambda: next((r for r in up().log(script) if r["peer_closed"]), None), seconds + 2.0, 0.02)
    assert row, f"upstream connection still open after {seconds + 2:g} s"
    took = row["peer_closed"] - start
    assert took <= seconds, f"upstream connection closed after {took:.2f} s"
    return took


_settings: dict[tuple[str, str], str] = {}
_settings_lock = threading.Lock()


def setting(section: str, words: tuple[str, ...], guesses: list[str], value: str = "1.0") -> str:
    """The name of a setting the issue leaves open: the first that `config check` takes. `section`: server, upstreams."""
    with _settings_lock:
        found = _settings.get((section, guesses[0])) or _find_setting(section, words, guesses, value)
        _settings[(section, guesses[0])] = found
        return found


def _find_setting(section: str, words: tuple[str, ...], guesses: list[str], value: str) -> str:
    names = list(guesses)
    for source in sorted((REPO / "src/kilo_gateway").rglob("*.py")):  # names the product uses, as further guesses
        for name in re.findall(r"\b([a-z][a-z0-9_]{3,40})\s*:\s*(?:float|int)\b", source.read_text(errors="replace")):
            if all(word in name for word in words) and name not in names:
                names.append(name)
    path = ROOT / f"probe-{section}-{guesses[0]}.toml"
    for template in ("{name} = {value}", "timeouts = {{ {name} = {value} }}", "patience = {{ {name} = {value} }}"):
        for name in names:
            line = template.format(name=name, value=value) + "\n"
            probe = upstream("probe", "http://127.0.0.1:9/v1", model("p/p"), extra=line if section == "upstreams" else "")
            path.write_text(config(probe, server=line if section == "server" else ""))
            if cli("config", "check", config=path).returncode == 0:
                return template.replace("{name}", name)
    raise AssertionError(f"no setting found in [{section}] for {'/'.join(words)}; tried {', '.join(names[:8])}")


def set_to(template: str, value) -> str:
    return template.format(value=value) + "\n"
