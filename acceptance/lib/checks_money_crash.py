"""Deaths at every instruction: crash points and kill -9 of workers and control under load; nothing lost, nothing twice, holds back."""

import contextlib
import os
import random
import re
import signal
import threading
import time

import wire
from harness import REPO, Gateway, check, children, eventually, info, usd
from money import (
    CAP,
    WORST,
    answering,
    ask,
    asked,
    by_account,
    done,
    dripping,
    key_of,
    lab,
    lines,
    new_key,
    nothing_held,
    ok,
    own,
    spent,
    verified,
)  # fmt: skip
from money_load import Load, burst, press

KILLS = int(os.environ.get("KILO_ACCEPTANCE_KILLS", "20"))
STEMS = ("lease", "hold", "settle", "ledger")


def points() -> list[str]:
    """The product's own list, read without importing it."""
    text = (REPO / "src/kilo_gateway/core/crash.py").read_text()
    found = re.search(r"POINTS\s*(?::[^=]*)?=\s*\((.*?)\)", text, re.DOTALL)
    return re.findall(r'"([^"]+)"', found[1]) if found else []


@check("crash.points", "crash points of money: at least six whose names begin with lease, hold, settle or ledger, and each is in docs/settings.md")
def _():
    found = [point for point in points() if point.partition(".")[0] in STEMS]
    assert len(found) >= 6, f"points of money: {found}"
    text = (REPO / "docs/settings.md").read_text()
    missing = [point for point in found if f"`{point}`" not in text]
    assert not missing, f"not in docs/settings.md: {missing}"


def judged(g: Gateway, key: dict, load: Load, limit, reached: int | None = None, within: float = 20.0) -> str:
    """After the deaths: every whole answer is booked and settled once, nothing is held, the limit holds, the books verify."""
    whole = set(load.ids)
    rows = eventually(lambda: (r := g.usage()) and whole <= {row["id"] for row in r} and r, within, 0.5) or g.usage()
    ids = [row["id"] for row in rows]
    lost = whole - set(ids)
    assert not lost, f"{len(lost)} of {len(whole)} whole answers are not in usage, e.g. {sorted(lost)[:2]}"
    assert len(ids) == len(set(ids)), f"{len(ids) - len(set(ids))} usage rows are there twice"
    held = nothing_held(g, 90)
    settles: dict[str, set] = {}
    for line in lines(g, limit=1_000_000):
        if line["kind"] == "settle":
            settles.setdefault(line["request_id"], set()).add(line["entry_id"])
    twice = [id for id, entries in settles.items() if len(entries) > 1]
    unsettled = whole - set(settles)
    assert not twice and not unsettled, f"{len(twice)} settled twice, {len(unsettled)} whole answers not settled"
    total = sum(usd(row["cost_usd"]) for row in rows if row["key_id"] == key["id"])
    told = spent(g, key)
    assert total == told <= limit, f"rows {total}, the key {told}, its limit {limit}"
    verified(g)
    return f"{len(whole)} whole, {len(rows)} rows, {told} of {limit}, nothing held after {held:.1f} s"


for point in points() or ["none"]:
    for nth in (1, 4) if point.partition(".")[0] in STEMS else (1,):

        @check(f"crash.{point}.{nth}", f"KILO_GATEWAY_CRASH_AT={point}:{nth} under load on a budget: what was answered is settled once, the budget holds, holds come back", timeout=150)
        def _(point=point, nth=nth):
            with own(f"crash-{point.replace('.', '-')}-{nth}", workers=2) as g:
                limit = 30 * WORST
                key = new_key(g, limit_usd=str(limit))
                g.kill()
                g.wait = 6.0
                with contextlib.suppress(AssertionError):  # some die before they are ready; a restarted process no longer obeys
                    g.start(KILO_GATEWAY_CRASH_AT=f"{point}:{nth}")
                load, end = Load(), time.monotonic() + 4
                if g.process.poll() is None:
                    press(g.port, g.head(asked(answering(CAP // 2)), key=key["key"]), 6,
                          lambda load: time.monotonic() > end or len(load.got) > 3000 or load.statuses[200] > 400 or load.statuses[402] > 300, load=load)  # fmt: skip
                g.kill()
                g.wait = 20.0
                g.start()
                after = burst(g.port, [g.head(asked(answering(CAP // 2)), key=key["key"])] * 4, 2)
                [load.add(got) for got in after.got]
                return judged(g, key, load, limit)


# ---------------------------------------------------------------- random deaths


def control_pid(g: Gateway) -> int | None:
    """The process that has the database open."""
    for pid in children(g.process.pid):
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{fd}").endswith("gateway.db"):
                        return pid
    return None


def killing(g: Gateway, workers: int, controls: int, is_over: threading.Event, seed: int) -> list[str]:
    """kill -9 at random moments; what was killed."""
    rng, killed = random.Random(seed), []
    plan = ["worker"] * workers + ["control"] * controls
    rng.shuffle(plan)
    for what in plan:
        is_over.wait(rng.uniform(0.2, 0.7))
        pids = g.workers_pids() if what == "worker" else [pid for pid in (eventually(lambda: control_pid(g), 5, 0.1),) if pid]
        if pids:
            with contextlib.suppress(OSError):
                os.kill(rng.choice(pids), signal.SIGKILL)
                killed.append(what)
    is_over.set()
    return killed


@check("kill.random", f"kill -9 of {KILLS} workers and {max(5, KILLS // 4)} control processes at random under load: 0 lost, 0 twice, budget never above, holds back", timeout=300)
def _():
    with own("kills", workers=3) as g:
        limit = 100_000 * WORST
        key = new_key(g, limit_usd=str(limit))
        over, killed, above = threading.Event(), [], []
        seed = random.randrange(10**6)

        def watch() -> None:
            while not over.wait(0.5):
                with contextlib.suppress(AssertionError, OSError, wire.Ended):
                    told = key_of(g, key)
                    if usd(told["usage_usd"]) > limit or usd(told["limit_remaining_usd"]) < 0:
                        above.append(told)

        threads = [threading.Thread(target=lambda: killed.extend(killing(g, KILLS, max(5, KILLS // 4), over, seed)), daemon=True),
                   threading.Thread(target=watch, daemon=True)]  # fmt: skip
        [thread.start() for thread in threads]
        load = press(g.port, g.head(asked(answering(CAP // 2, wait=0.01)), key=key["key"]), 12, lambda load: over.is_set())
        [thread.join(10) for thread in threads]
        assert not above, f"above its limit: {above[0]}"
        assert len(load.ids) > 50, f"only {len(load.ids)} answered: {dict(load.statuses)}"
        assert not load.statuses[401] and not load.statuses[402], f"{dict(load.statuses)} with an ample budget: {load.example(402) or load.example(401)}"
        said = judged(g, key, load, limit, within=30)
        info("kill.random", f"seed {seed}: {killed.count('worker')} workers, {killed.count('control')} controls killed; {dict(load.statuses)}; {said}")


@check("kill.control", "control killed again and again while a budget runs low: exactly as many as it pays for, once control is back", timeout=90)
def _():
    with own("kill-control", workers=3) as g:
        key = new_key(g, limit_usd=str(40 * WORST))
        over = threading.Event()
        killer = threading.Thread(target=lambda: killing(g, 0, 5, over, 7), daemon=True)
        killer.start()
        end = time.monotonic() + 30
        load = press(g.port, g.head(asked(answering(CAP)), key=key["key"]), 8,
                     lambda load: over.is_set() and (time.monotonic() - load.last_ok > 3 or time.monotonic() > end)
                     or load.statuses[200] > 400)  # fmt: skip
        killer.join(10)
        assert load.statuses[200] == 40, f"{dict(load.statuses)}: a budget of 40"
        judged(g, key, load, 40 * WORST)


@check("kill.everything", "kill -9 of everything with streams and requests under way, three times: recovered, settled once, holds back at once after the start", timeout=120)
def _():
    with own("kill-all", workers=2) as g:
        limit = 200 * WORST
        key = new_key(g, limit_usd=str(limit))
        whole = Load()
        for _ in range(3):
            conns = []
            for _ in range(4):
                conn = wire.Conn(g.port)
                conn.send(g.head(asked(dripping(), stream=True), key=key["key"]))
                conn.head()
                conns.append(conn)
            [whole.add(got) for got in burst(g.port, [g.head(asked(answering(CAP)), key=key["key"])] * 6, 3).got]
            time.sleep(0.6)
            g.kill()
            g.start()
        eventually(lambda: len(g.usage()) >= 30, 15, 0.5)
        statuses = [row["status"] for row in g.usage()]
        assert statuses.count("recovered") == 12, f"{statuses.count('recovered')} recovered of 12 streams: {sorted(set(statuses))}"
        return judged(g, key, whole, limit)


@check("kill.frozen", "a worker stopped (SIGSTOP) longer than its lease and let go again: late settles are corrections, never double; the budget holds", timeout=150)
def _():
    with own("frozen", lab(extra="[ledger]\nlease_s = 5\n"), workers=2) as g:
        key = new_key(g, limit_usd=str(20 * WORST))
        for _ in range(4):
            ok(ask(g, key["key"]))
        pids = g.workers_pids()
        conns = []
        for _ in range(6):
            conn = wire.Conn(g.port, 20)
            conn.send(g.head(asked(answering(CAP, wait=2.0)), key=key["key"]))
            conns.append(conn)
        time.sleep(0.5)
        os.kill(pids[0], signal.SIGSTOP)
        time.sleep(9)
        os.kill(pids[0], signal.SIGCONT)
        statuses = [conn.read().status for conn in conns]
        nothing_held(g, 90)
        load = burst(g.port, [g.head(asked(answering(CAP)), key=key["key"])] * 40, 8, timeout=10)
        assert statuses.count(200) + load.statuses[200] == 16, f"{statuses.count(200)} + {load.statuses[200]} of the 16 that were left"
        judged(g, key, load, 20 * WORST)


@check("kill.stopped", "SIGTERM under load: streams end whole, all is settled before the exit, leases go back: after the start the whole rest is there", timeout=60)
def _():
    with own("stopped", workers=3) as g:
        limit = 50 * WORST
        key = new_key(g, limit_usd=str(limit))
        with wire.Conn(g.port, 20) as conn:
            conn.send(g.head(asked(dripping(15, 0.1), stream=True), key=key["key"]))
            answer = conn.head()
            for _ in range(5):
                ok(ask(g, key["key"]))
            stopping = threading.Thread(target=g.stop, daemon=True)
            stopping.start()
            conn.body(answer)
            stopping.join(20)
        assert answer.is_clean and answer.body.endswith(b"data: [DONE]\n\n"), f"{answer.ended} {answer.body[-100:]!r}"
        g.start()
        left = usd(key_of(g, key)["limit_remaining_usd"])
        assert left + spent(g, key) == limit, f"{left} + {spent(g, key)} is not {limit}"
        held = [row for row in by_account(done(g, "GET", "ledger/accounts"), "holds") if row["balance_nanos"]]
        assert not held, f"{held}"
        verified(g)


