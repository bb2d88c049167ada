"""SIGTERM, kill -9, crash points: what survives, and that it is counted once."""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter

import load
import wire
from checks_access import ok, url
from checks_faults import START
from harness import (
    EVENTS, LAST_CHUNK, PYTHON, REPO, STREAM, STREAM_HEAD, Gateway, broken_end, check, chunk, cli, cli_json, closed_within, config,
    environment, eventually, info, is_alive, model, same_events, say_to, send, set_to, setting, up, upstream,
)  # fmt: skip

KILLS = int(os.environ.get("KILLS", "20"))
RATE = float(os.environ.get("RATE", "500"))
POINTS = (
    "journal.start", "journal.end", "journal.rotate", "import.before_commit", "import.after_commit", "snapshot.write", "snapshot.rename",
    "snapshot.push", "snapshot.ack",
)  # fmt: skip


def made(name: str, workers: int = 1, server: str = "", **env: str) -> Gateway:
    return Gateway(name, config(upstream("alpha", url(0), model("t/a")), server=server), workers=workers, env=env)


def slow_stream(seconds: float) -> str:
    first, rest = EVENTS[0], STREAM[len(EVENTS[0]) :]
    drip = [x for _ in range(int(seconds / 0.25)) for x in (send(chunk(EVENTS[2])), ["sleep", 0.25])]
    return up().script(send(STREAM_HEAD + chunk(first)), *drip, send(chunk(rest) + LAST_CHUNK))


def slow_before(seconds: float) -> bytes:
    return EVENTS[0] + EVENTS[2] * int(seconds / 0.25) + b"".join(EVENTS[1:])


def once_each(g: Gateway, ids: list[str], within: float = 10.0) -> list[dict]:
    """Every id stands in usage exactly once, and no id at all stands there twice."""

    def wrong() -> tuple[list[dict], str]:
        rows = g.usage()
        counted = Counter(row["id"] for row in rows)
        twice = [id for id, n in counted.items() if n > 1]
        lost = [id for id in ids if id not in counted]
        return rows, f"{len(lost)} of {len(ids)} lost, {len(twice)} doubled" if lost or twice else ""

    end = time.monotonic() + within
    while True:
        rows, bad = wrong()
        if not bad or time.monotonic() > end:
            break
        time.sleep(0.5)
    assert not bad, bad
    return rows


# -- SIGTERM


@check("term.drain", "SIGTERM while a stream runs: /ready 503 at once, the stream ends whole, exit 0, its usage row is there", timeout=60, waits=True)
def _():
    g = made("drain", workers=2).start()
    box: dict = {}

    def stream() -> None:
        box["answer"] = g.post(say_to("t/a", slow_stream(3.0), stream=True), timeout=20)

    kept = wire.Conn(g.port)  # a caller who has a connection open already
    kept.send(wire.request("GET", "/ready"))
    ok(kept.read("GET"))
    thread = threading.Thread(target=stream, daemon=True)
    thread.start()
    time.sleep(0.7)
    g.process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    statuses: list[str] = []

    def is_draining() -> bool:
        try:
            statuses.append(str(g.get("/ready", timeout=1).status))
        except (OSError, wire.Ended) as error:
            statuses.append(type(error).__name__)
        return statuses[-1] == "503"

    assert eventually(is_draining, 1.0, 0.03), f"/ready on new connections within 1 s: {statuses[:8]}"
    took = time.monotonic() - sent
    thread.join(15)
    answer = box.get("answer")
    assert answer is not None, "the stream did not end"
    same_events(answer, slow_before(3.0))
    g.process.wait(15)
    assert g.process.returncode == 0, f"exit {g.process.returncode}"
    once_each(g, [answer.header("x-generation-id")])
    info("term.ready-after", f"/ready said 503 {took * 1000:.0f} ms after SIGTERM")


@check("term.idle", "SIGTERM with nothing running: exit 0 within 3 s, nothing left behind", timeout=40, waits=True)
def _():
    from harness import children

    g = made("idleterm", workers=2).start()
    ok(g.post(say_to("t/a")))
    family = children(g.process.pid)
    with wire.Conn(g.port) as conn:  # an idle keep-alive connection does not hold it up
        conn.send(g.head(say_to("t/a")))
        ok(conn.read())
        started = time.monotonic()
        code = g.stop()
    took = time.monotonic() - started
    assert code == 0, f"exit {code}"
    assert took < 3, f"{took:.1f} s"
    left = [pid for pid in family if is_alive(pid)]
    assert not left, f"{len(left)} processes are still there"


@check("term.limit", "a stream longer than the (configured) drain time gets one error chunk and [DONE]; exit 0", timeout=60, waits=True)
def _():
    names = ["drain_s", "drain_timeout_s", "shutdown_s", "shutdown_timeout_s", "shutdown_grace_s", "grace_s", "stream_drain_s"]
    drain = setting("server", ("drain",), names, "1.0")
    g = made("drainlimit", server=set_to(drain, 1.0)).start()
    box: dict = {}
    script = slow_stream(30.0)

    def stream() -> None:
        box["answer"] = g.post(say_to("t/a", script, stream=True), timeout=25)

    thread = threading.Thread(target=stream, daemon=True)
    thread.start()
    time.sleep(0.7)
    started = time.monotonic()
    code = g.stop(12)
    took = time.monotonic() - started
    thread.join(5)
    assert code == 0 and took < 6, f"exit {code} after {took:.1f} s"
    broken_end(box["answer"])
    closed_within(script)
    row = once_each(g, [box["answer"].header("x-generation-id")])
    assert row[-1]["status"] != "ok" or len(row) > 1, f"{row[-1]}"


@check("term.pipelined-new", "a request on an open connection during the drain is refused (503) or closed, not lost in silence", timeout=40, waits=True)
def _():
    g = made("drainnew").start()
    thread = threading.Thread(target=lambda: g.post(say_to("t/a", slow_stream(3.0), stream=True), timeout=20), daemon=True)
    thread.start()
    conn = wire.Conn(g.port)
    conn.send(g.head(say_to("t/a")))
    ok(conn.read())
    time.sleep(0.5)
    g.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    conn.try_send(g.head(say_to("t/a")))
    try:
        answer = conn.read()
        assert answer.status in (200, 503), f"{answer}"
    except wire.Ended:
        assert conn.end != "silence", "silence for 10 s"
    thread.join(10)
    g.process.wait(15)
    assert g.process.returncode == 0, f"exit {g.process.returncode}"


@check("term.restart-keeps", "after a restart keys, usage and the owner's key are the same", timeout=40, waits=True)
def _():
    g = made("restart").start()
    key, other = g.key, cli_json("keys", "create", "--name", "x", data_dir=g.data)["key"]
    ids = [ok(g.post(say_to("t/a"))).header("x-generation-id") for _ in range(5)]
    assert g.stop() == 0
    g.start()
    assert g.key == key, "another owner's key"
    ids += [ok(g.post(say_to("t/a"), key=k)).header("x-generation-id") for k in (key, other)]
    once_each(g, ids)
    assert g.stop() == 0


# -- kill -9 of a worker


@check("kill.finished-once", "kill -9 of all workers right after 60 answers: restarted, all 60 in usage exactly once", timeout=60)
def _():
    g = made("killed", workers=2).start()
    before = g.workers_pids()
    assert before, "no worker processes found"
    ids = [ok(g.post(say_to("t/a", stream=bool(n % 2)))).header("x-generation-id") for n in range(60)]
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def answers() -> bool:
        try:
            return g.post(say_to("t/a"), timeout=3).status == 200
        except (OSError, wire.Ended):
            return False

    started = time.monotonic()
    assert eventually(answers, 10, 0.02), "no answer 10 s after the kill"
    took = time.monotonic() - started
    assert eventually(lambda: len(g.workers_pids()) == len(before) and not set(g.workers_pids()) & set(before), 10), "not all workers are back"
    once_each(g, ids)
    info("kill.back-after", f"{took * 1000:.0f} ms")
    g.stop()


@check("kill.in-flight", "kill -9 of a worker in the middle of a stream: the caller sees no clean end; one usage row, not ok", timeout=60)
def _():
    g = made("inflight").start()
    box: dict = {}
    script = slow_stream(8.0)
    thread = threading.Thread(target=lambda: box.update(a=g.post(say_to("t/a", script, stream=True), timeout=20)), daemon=True)
    thread.start()
    time.sleep(1.5)
    for pid in g.workers_pids():
        os.kill(pid, signal.SIGKILL)
    thread.join(10)
    answer = box["a"]
    assert not answer.is_clean, "the stream ended whole"
    assert b"\n\ndata: [DONE]" not in answer.body, f"[DONE] at the end: {answer.body[-100:]!r}"
    rows = once_each(g, [answer.header("x-generation-id")], 15)
    row = next(row for row in rows if row["id"] == answer.header("x-generation-id"))
    assert row["status"] != "ok" and row["completion_tokens"] > 0, f"{row}"
    closed_within(script)
    info("kill.in-flight-row", f"status {row['status']}, {row['prompt_tokens']}+{row['completion_tokens']} tokens")
    g.stop()


@check("kill.idle-connections", "connections that had sent nothing survive kill -9 of every worker: 40 of them are answered afterwards", timeout=60)
def _():
    g = made("idle", workers=2).start()
    ok(g.post(say_to("t/a")))
    conns = [wire.Conn(g.port, 10) for _ in range(40)]
    time.sleep(0.3)
    for pid in g.workers_pids():
        os.kill(pid, signal.SIGKILL)
    time.sleep(1.0)
    ends = Counter()
    for conn in conns:
        sent = conn.try_send(g.head(say_to("t/a")))
        try:
            ends["answered" if conn.read().status == 200 else "error"] += 1
        except wire.Ended:
            ends[conn.end if sent else "send failed"] += 1
        conn.close()
    g.stop()
    assert ends == {"answered": 40}, f"{dict(ends)}"


@check("kill.loop", f"{KILLS} x kill -9 of a worker at {RATE:.0f} new connections/s: none refused, none reset that had sent nothing, all finished ones in usage once", timeout=90 + KILLS * 3)
def _():
    g = made("killloop", workers=2).start()
    over = threading.Event()
    data = [g.head(say_to("t/a"), headers={"Connection": "close"}), g.head(say_to("t/a", stream=True), headers={"Connection": "close"})]
    box: dict = {}
    since = up().tell("count")
    loader = threading.Thread(target=lambda: box.update(tally=load.run(g.port, data, RATE, over.is_set)), daemon=True)
    began = time.monotonic()
    loader.start()
    time.sleep(1.0)
    rng, killed, limit = random.Random(3), 0, time.monotonic() + 30 + KILLS * 2
    while killed < KILLS and time.monotonic() < limit:
        pids = g.workers_pids()
        if pids:
            try:
                os.kill(rng.choice(pids), signal.SIGKILL)
                killed += 1
            except OSError:
                pass
        time.sleep(rng.uniform(0.3, 0.6))
    time.sleep(1.0)
    over.set()
    took = time.monotonic() - began
    loader.join(40)
    tally: load.Tally = box["tally"]
    reached = up().tell("count") - since
    rows = once_each(g, tally.finished, 30)
    figures = (
        f"{killed} kills in {took:.0f} s, {tally.started} connections ({tally.started / took:.0f}/s), {len(tally.finished)} whole answers, "
        f"{tally.cut} cut in flight, {len(rows)} usage rows, {reached} upstream requests, statuses {tally.statuses}"
    )
    info("kill.loop-figures", figures)
    assert killed == KILLS, f"only {killed} kills: the workers did not come back in time; {figures}"
    bad = f"{tally.refused} refused, {tally.idle_closed} closed having sent nothing, {tally.slow} slow"
    assert not (tally.refused or tally.idle_closed or tally.slow), f"{bad}: {tally.examples}"
    assert set(tally.statuses) <= {200}, f"{tally.statuses}: {tally.examples}"
    assert len(rows) <= reached, f"{len(rows)} usage rows for {reached} upstream requests"
    assert tally.cut <= killed * 40, f"{tally.cut} answers cut by {killed} kills"
    assert g.stop() == 0, "exit code after all this"


@check("kill.everything", "kill -9 of all processes at once under load, then a start: finished ones in usage once, keys valid", timeout=90)
def _():
    g = made("killall", workers=2).start()
    finished: list[str] = []
    for round in range(3):
        over = threading.Event()
        data = [g.head(say_to("t/a"), headers={"Connection": "close"})]
        box: dict = {}
        loader = threading.Thread(target=lambda box=box, over=over, data=data: box.update(t=load.run(g.port, data, 300, over.is_set)), daemon=True)
        loader.start()
        time.sleep(1.2 + 0.13 * round)
        g.kill()
        over.set()
        loader.join(30)
        finished += box["t"].finished
        g.start()
    assert len(finished) > 100, f"only {len(finished)} answers before the kills"
    once_each(g, finished, 20)
    ok(g.post(say_to("t/a")))
    info("kill.everything-figures", f"{len(finished)} answers in 3 rounds, none lost, none doubled")
    g.stop()


# -- crash points


def _points() -> tuple[str, ...]:
    """The product's own list, should it have one."""
    code = "from kilo_gateway.core.crash import POINTS; print(' '.join(POINTS))"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, env=environment(PYTHONPATH=str(REPO / "src")))
    return tuple(done.stdout.split()) or POINTS


for point in POINTS:
    for nth in (1, 3):

        @check(f"crash.{point}.{nth}", f"KILO_GATEWAY_CRASH_AT={point}:{nth}, then a start without it: nothing lost, nothing doubled", timeout=60)
        def _(point=point, nth=nth):
            _crash(point, f"{point}:{nth}")


def _crash(point: str, at: str) -> str:
    if point not in _points():
        raise AssertionError(f"no such point; the product has {_points()}")
    g = made(f"crash-{at.replace(':', '-')}")
    g.wait = 4.0
    keys = [cli_json("keys", "create", "--name", "before", data_dir=g.data, config=g.config)["key"]]
    finished: list[str] = []
    since = up().tell("count")
    began = "started"
    try:
        g.start(KILO_GATEWAY_CRASH_AT=at)
    except AssertionError as error:
        began = f"did not start: {str(error)[:60]}"
    if g.process.poll() is None:
        end = time.monotonic() + 4
        n = 0
        while time.monotonic() < end and n < 40:
            n += 1
            try:
                answer = g.post(say_to("t/a", stream=bool(n % 2)), key=keys[0], timeout=2)
                if answer.status == 200 and answer.is_clean and b'"finish_reason":"error"' not in answer.body:
                    finished.append(answer.header("x-generation-id"))
            except (OSError, wire.Ended):
                time.sleep(0.05)
            if n == 10 and not point.startswith("journal"):
                try:
                    done = cli("keys", "create", "--name", "during", "--json", data_dir=g.data, timeout=6)
                    if done.returncode == 0:
                        import json

                        keys.append(json.loads(done.stdout)["key"])
                except subprocess.TimeoutExpired:
                    pass
        time.sleep(0.5)
    g.kill()
    g.wait = 20.0
    g.start()
    rows = once_each(g, finished, 12)
    reached = up().tell("count") - since
    assert len(rows) <= reached, f"{len(rows)} usage rows for {reached} upstream requests ({began})"
    for key in keys:
        ok(g.post(say_to("t/a"), key=key))
    assert g.stop() == 0, "exit code"
    return f"{began}; {len(finished)} answers, {len(rows)} rows, {len(keys)} keys"


@check("crash.wrong-name", "KILO_GATEWAY_CRASH_AT with a name that is none: said at the start, exit 78")
def _():
    g = made("crashname")
    done = cli("serve", "--port", str(g.port), data_dir=g.data, config=g.config, KILO_GATEWAY_CRASH_AT="nonsense")
    assert done.returncode == 78 and "nonsense" in done.stdout + done.stderr, f"exit {done.returncode}: {done.stderr[-200:]}"


@check("life.lock", "a second serve on the same data directory is refused, and says why", timeout=40)
def _():
    from harness import free_port

    g = made("lock").start()
    done = cli("serve", "--port", str(free_port()), data_dir=g.data, config=g.config, timeout=15)
    assert done.returncode in (1, 78), f"exit {done.returncode}: {done.stderr[-200:]}"
    assert str(g.data) in done.stdout + done.stderr or "lock" in done.stdout + done.stderr, f"{done.stderr[-200:]}"
    ok(g.post(say_to("t/a")))
    g.stop()


@check("life.supervisor-dies", "kill -9 of the supervisor alone: its children end by themselves within 10 s, and it can be started again", timeout=60)
def _():
    from harness import children

    g = made("orphan", workers=2).start()
    ids = [ok(g.post(say_to("t/a"))).header("x-generation-id") for _ in range(5)]
    family = children(g.process.pid)
    g.process.kill()
    g.process.wait(5)

    def left() -> list[int]:
        return [pid for pid in family if is_alive(pid)]

    eventually(lambda: not left(), 10, 0.2)
    still = left()
    for pid in still:
        os.kill(pid, signal.SIGKILL)
    g.start()
    once_each(g, ids)
    g.stop()
    assert not still, f"{len(still)} of {len(family)} processes live on"


