"""What the checks of money stand on: a lab whose worst cases are known to the nano-dollar, and questions to the books.

Prompts cost nothing at `lab/out`, so that its worst case is the cap of the answer times 2 micro-dollars, whatever else counts.
"""

import contextlib
import itertools
import json
import mmap
import os
import shutil
import sqlite3
import struct
import subprocess
import threading
import time
from decimal import Decimal
from urllib.parse import urlencode

import wire
from harness import (
    HERE,
    ROOT,
    STREAM_HEAD,
    Gateway,
    Skip,
    chunk,
    cli_json,
    config,
    eventually,
    gateway,
    gw,
    json_reply,
    model,
    say_to,
    send,
    stream_reply,
    up,
    upstream,
    usd,
)  # fmt: skip

WORST = Decimal("0.001")  # of `ask()`: 500 tokens at $2 a million
CAP = 500
REPEATS = int(os.environ.get("KILO_ACCEPTANCE_REPEATS", "20"))
_numbers = itertools.count(1)


def url(port: int = 0) -> str:
    return f"http://127.0.0.1:{up().ports[port]}/v1"


def lab(server: str = "", extra: str = "", first: str = "", **more) -> str:
    """The configuration: two upstreams, the second dearer, both of which serve `lab/both`."""
    models = [
        model("lab/out", "mock-out", ("0", "2.0"), max_output=4096), model("lab/dear", "mock-dear", ("0", "20.0"), max_output=4096),
        model("lab/cheap", "mock-cheap", ("0", "0.2"), max_output=4096), model("lab/in", "mock-in", ("1.0", "2.0"), max_output=4096),
        model("lab/gratis", "mock-gratis", ("0", "0"), max_output=4096), model("lab/unpriced", "mock-unpriced", None),
        model("lab/open", "mock-open", ("0", "0"), anonymous=True), model("lab/both", "mock-both", ("0", "2.0"), max_output=4096),
        model("other/out", "mock-other", ("0", "2.0"), max_output=4096),
    ]  # fmt: skip
    return config(
        upstream("alpha", url(0), *models, extra=first), upstream("beta", url(1), model("lab/both", "mock-both", ("0", "6.0"), max_output=4096)),
        upstream("telling", url(2), model("lab/told", "mock-told", ("0", "2.0"), max_output=4096), extra="reports_cost = true\n"),
        server=server, extra=extra, **more,
    )  # fmt: skip


@gateway("money")
def money_gateway() -> Gateway:
    return Gateway("money", lab(), workers=3)


def money() -> Gateway:
    return gw("money")


def fresh(name: str, text: str = "", workers: int = 1, **env: str) -> Gateway:
    """One of its own, for checks that break it."""
    return Gateway(name, text or lab(), workers=workers, env=env).start()


@contextlib.contextmanager
def own(name: str, text: str = "", workers: int = 1, **env: str):
    g = fresh(name, text, workers, **env)
    try:
        yield g
    finally:
        g.kill()


def name(stem: str = "k") -> str:
    return f"{stem}-{next(_numbers)}"


# ---------------------------------------------------------------- the upstream's answers and requests for them


def body_of(completion: int = CAP, prompt: int = 12, text: str = "ok", **usage) -> bytes:
    told = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **usage}
    return json.dumps({
        "id": name("chatcmpl"), "object": "chat.completion", "created": 1700000000, "model": "mock",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": told,
    }).encode()  # fmt: skip


def answering(completion: int = CAP, prompt: int = 12, wait: float = 0.0, **usage) -> str:
    """A script that answers JSON with this usage."""
    return up().script(*([["sleep", wait]] if wait else []), json_reply(body_of(completion, prompt, **usage)))


def raw_usage(usage: str) -> str:
    """A script whose usage is this very text, JSON or not quite."""
    whole = body_of().decode()
    return up().script(json_reply((whole[: whole.rindex('"usage":')] + '"usage":' + usage + "}").encode()))


def piece(text: str) -> bytes:
    told = {"id": "chatcmpl-s", "object": "chat.completion.chunk", "created": 1700000000, "model": "mock"}
    return b"data: " + json.dumps({**told, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}).encode() + b"\n\n"


def ending(completion: int, prompt: int = 12, finish: str = "stop") -> bytes:
    told = {"id": "chatcmpl-s", "object": "chat.completion.chunk", "created": 1700000000, "model": "mock"}
    last = {**told, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    usage = {**told, "choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}}
    return b"data: " + json.dumps(last).encode() + b"\n\ndata: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n"


def streaming(completion: int = CAP, text: str = "ok") -> str:
    return up().script(stream_reply(piece(text) + ending(completion)))


def dripping(pieces: int = 100, every: float = 0.1, text: str = "word " * 4) -> str:
    """A stream that goes on for long."""
    steps = [send(STREAM_HEAD)]
    for _ in range(pieces):
        steps += [send(chunk(piece(text))), ["sleep", every]]
    return up().script(*steps, send(chunk(ending(pieces * 4)) + b"0\r\n\r\n"))


def asked(script: str = "ok", model_id: str = "lab/out", cap: int | None = CAP, stream: bool = False, **more) -> bytes:
    return say_to(model_id, script, stream, **({} if cap is None else {"max_tokens": cap}), **more)


def ask(g: Gateway, key: str, script: str = "", model_id: str = "lab/out", cap: int | None = CAP, *, path: str = "/v1/chat/completions",
        headers: dict[str, str] | None = None, stream: bool = False, timeout: float = 10.0, **more) -> wire.Answer:  # fmt: skip
    """By default it costs its worst case, $0.001."""
    script = script or answering()
    return g.post(asked(script, model_id, cap, stream, **more), path=path, key=key, headers=headers, timeout=timeout)


def ok(answer: wire.Answer, what: str = "") -> wire.Answer:
    assert answer.status == 200, f"{what + ': ' if what else ''}{answer}"
    return answer


def refused(answer: wire.Answer, status: int, what: str = "") -> dict:
    """The error object."""
    assert answer.status == status, f"{what + ': ' if what else ''}not {status} but {answer}"
    error = answer.json().get("error")
    assert isinstance(error, dict) and error.get("message"), f"{what}: no error object: {answer.body[:160]!r}"
    return error


# ---------------------------------------------------------------- administration


def admin(g: Gateway, method: str, path: str, body=None, key: str | None = "", timeout: float = 12.0, **query) -> wire.Answer:
    where = "/api/admin/" + path + ("?" + urlencode(query) if query else "")
    headers = {"Connection": "close", "Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key or g.key}"
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return wire.ask(g.port, wire.request(method, where, headers, data), timeout=timeout, method=method)


def done(g: Gateway, method: str, path: str, body=None, **more):
    """The value, where it must go well."""
    answer = admin(g, method, path, body, **more)
    assert answer.status in (200, 201), f"{method} /api/admin/{path} {json.dumps(body)[:120] if body else ''}: {answer}"
    return answer.json()


def new_key(g: Gateway, **members) -> dict:
    made = done(g, "POST", "keys", {"name": members.pop("name", None) or name(), **members})
    assert str(made.get("key", "")).startswith("kilo_"), f"keys answered without a key: {str(made)[:160]}"
    return made


def new_user(g: Gateway, role: str = "member") -> dict:
    return done(g, "POST", "users", {"name": name("user"), "role": role})


def new_budget(g: Gateway, scope: str, target: str, limit=None, reset: str = "never", **more) -> dict:
    return done(g, "POST", "budgets", {"scope": scope, "target": target, "limit_usd": limit, "reset": reset, **more})


def drop_budget(g: Gateway, budget: dict) -> None:
    done(g, "DELETE", f"budgets/{budget['id']}")


def key_of(g: Gateway, key: dict) -> dict:
    return done(g, "GET", f"keys/{key['id']}")


def budget_of(g: Gateway, key: dict) -> dict:
    """The budget that a key's own limit is."""
    rows = [row for row in done(g, "GET", "budgets") if row["scope"] == "key" and row["target"] == key["id"]]
    assert len(rows) == 1, f"{len(rows)} budgets of the key"
    return rows[0]


def spent(g: Gateway, key: dict) -> Decimal:
    return usd(key_of(g, key)["usage_usd"])


def lines(g: Gateway, **query) -> list[dict]:
    return done(g, "GET", "ledger", **query)


def lines_of(g: Gateway, answer: wire.Answer, within: float = 6.0) -> list[dict]:
    """Of one request, once it is settled."""
    id = answer.header("x-generation-id")
    assert id, f"no x-generation-id: {answer}"

    def found() -> list[dict]:
        rows = lines(g, request_id=id)
        return rows if any(row["kind"] in ("settle", "attempt") for row in rows) else []

    rows = eventually(found, within, 0.2)
    assert rows, f"no settled ledger lines of {id} within {within:g} s"
    return rows


def by_account(rows: list[dict], stem: str) -> list[dict]:
    return [row for row in rows if row["account"] == stem or row["account"].startswith(stem + ":")]


def verified(g: Gateway) -> dict:
    told = done(g, "GET", "ledger/verify", timeout=30.0)
    assert told["ok"] is True and not told["problems"], f"ledger verify: {str(told['problems'])[:240]}"
    return told


def nothing_held(g: Gateway, within: float = 90.0) -> float:
    """How long until no account of holds has a balance; slices that nobody uses go back too."""
    began = time.monotonic()

    def held() -> list[dict]:
        return [row for row in by_account(done(g, "GET", "ledger/accounts"), "holds") if row["balance_nanos"]]

    assert eventually(lambda: not held(), within, 0.3), f"still held after {within:g} s: {held()[:3]}"
    return time.monotonic() - began


def cli_json_of(*args: str, g: Gateway, **options):
    """With the configuration and the data of `g`."""
    return cli_json(*args, data_dir=g.data, config=g.config, **options)


# ---------------------------------------------------------------- the database


def copy_of(g: Gateway):
    """The data directory of a stopped gateway, copied."""
    target = ROOT / name("copy")
    shutil.copytree(g.data, target, ignore=shutil.ignore_patterns("*.sock", "lock"))
    return target


def opened(data) -> sqlite3.Connection:
    db = sqlite3.connect(data / "gateway.db", isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def tables(db: sqlite3.Connection) -> dict[str, list[sqlite3.Row]]:
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")]
    return {name: list(db.execute(f'PRAGMA table_info("{name}")')) for name in names}


def without_triggers(db: sqlite3.Connection) -> None:
    """As somebody with an editor would have it."""
    for row in list(db.execute("SELECT name FROM sqlite_master WHERE type='trigger'")):
        db.execute(f'DROP TRIGGER "{row[0]}"')


# ---------------------------------------------------------------- a wall clock that can be moved


class Clock:
    """Of the processes that have `env`: seconds are added to their wall clock, the monotonic one stays."""

    def __init__(self) -> None:
        self.path = ROOT / name("clock")
        self.path.write_bytes(bytes(8))
        with self.path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8)
        self.env = {"LD_PRELOAD": str(_clock_library()), "KILO_ACCEPTANCE_CLOCK": str(self.path)}

    def move(self, seconds: int) -> None:
        self._map[:] = struct.pack("q", self.offset + int(seconds))

    @property
    def offset(self) -> int:
        return struct.unpack("q", self._map[:])[0]

    def now(self) -> float:
        return time.time() + self.offset

    def to(self, moment: float) -> None:
        self.move(int(moment - self.now()))


_building = threading.Lock()


def _clock_library():
    library = ROOT / "clock.so"
    with _building:
        if not library.exists():
            if not shutil.which("gcc"):
                raise Skip("no gcc to build the clock that is moved")
            command = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(HERE / "money_clock.c"), "-ldl"]
            built = subprocess.run(command, capture_output=True, text=True)
            if built.returncode:
                raise Skip(f"the clock could not be built: {built.stderr[-120:]}")
    return library
