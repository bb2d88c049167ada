"""Leases: a budget holds exactly over three workers, whatever number of clients press on it, and nobody is refused while money is left."""

import base64
import contextlib
import json
import os
import signal
import threading
import time
from decimal import Decimal

import wire
from harness import check, eventually, info, json_reply, up, usd
from money import (
    CAP,
    REPEATS,
    WORST,
    answering,
    ask,
    asked,
    body_of,
    budget_of,
    done,
    dripping,
    key_of,
    money,
    name,
    new_budget,
    new_key,
    new_user,
    nothing_held,
    ok,
    own,
    refused,
    spent,
    verified,
)  # fmt: skip
from money_load import burst, press

K = 20


def requests(g, key: str, script: str, many: int, **more) -> list[bytes]:
    return [g.head(asked(script, **more), key=key)] * many


def exactly(clients: int, repeats: int = REPEATS) -> str:
    """`repeats` times: a fresh budget of K worst cases, twice as many requests and more, all at once."""
    g = money()
    took = 0.0
    for n in range(repeats):
        limit = K * WORST
        key = new_key(g, limit_usd=str(limit))
        script = answering(CAP)
        began = time.monotonic()
        load = burst(g.port, requests(g, key["key"], script, max(3 * K, clients)), clients)
        took += time.monotonic() - began
        seen = load.statuses
        assert seen[200] == K and seen[402] == len(load.got) - K, f"run {n}: {dict(seen)}, not {K} x 200: {load.example(402) or load.example(429)}"
        reached = len(up().log(script))
        assert reached == K, f"run {n}: the upstream saw {reached} requests, not {K}"
        up().tell("forget")
        assert eventually(lambda key=key, limit=limit: spent(g, key) == limit, 8, 0.2), f"run {n}: spent {spent(g, key)} of {limit}"
    return f"{repeats} runs, {took / repeats * 1000:.0f} ms each"


for clients in (8, 64, 256):

    @check(f"lease.exact-{clients}", f"3 workers, {clients} clients, upstream usage equal to the worst case, a budget of {K} of them: {K} admitted, every time", timeout=300)
    def _(clients=clients):
        return exactly(clients)


@check("lease.exact-user", "the same for a user's budget that three of his keys share", timeout=90)
def _():
    g = money()
    for _ in range(max(2, REPEATS // 5)):
        user = new_user(g)
        new_budget(g, "user", user["id"], str(K * WORST))
        keys = [new_key(g, user_id=user["id"]) for _ in range(3)]
        script = answering(CAP)
        datas = [g.head(asked(script), key=keys[n % 3]["key"]) for n in range(3 * K)]
        seen = burst(g.port, datas, 32).statuses
        assert seen[200] == K and seen[402] == 2 * K, f"{dict(seen)}, not {K} x 200"


@check("lease.exact-session", "the same for the budget of a session, by one key, over all workers", timeout=90)
def _():
    g = money()
    budget = new_budget(g, "session", "lease-exact", str(K * WORST))
    try:
        key = new_key(g)
        script = answering(CAP)
        seen = burst(g.port, requests(g, key["key"], script, 3 * K, session_id="lease-exact"), 32).statuses
        assert seen[200] == K and seen[402] == 2 * K, f"{dict(seen)}, not {K} x 200"
        ok(ask(g, key["key"], session_id="another"), "another session")
    finally:
        done(g, "DELETE", f"budgets/{budget['id']}")


@check("lease.several", "a hold is taken on all scopes at once: the narrowest of user, key, model and session decides, and the others keep nothing of what was refused", timeout=60)
def _():
    g = money()
    user = new_user(g)
    wide = [new_budget(g, "user", user["id"], "1"), new_budget(g, "model", "lab/dear", "1"), new_budget(g, "session", "several", "1")]
    try:
        key = new_key(g, user_id=user["id"], limit_usd="0.05")  # five of lab/dear
        seen = burst(g.port, requests(g, key["key"], answering(CAP), 40, model_id="lab/dear", session_id="several"), 16).statuses
        assert seen[200] == 5 and seen[402] == 35, f"{dict(seen)}, not 5 x 200"
        for one in wide:
            told = eventually(lambda one=one: (b := done(g, "GET", f"budgets/{one['id']}"))["held_usd"] == 0 and b, 8, 0.2)
            assert told and usd(told["spent_usd"]) == Decimal("0.05"), f"{one['scope']}: {told or 'still held'}"
    finally:
        for one in wide:
            done(g, "DELETE", f"budgets/{one['id']}")


for clients in (8, 64, 256):

    @check(f"lease.half-{clients}", f"real cost half the worst case, {clients} clients that retry 402: spent ends within one worst case of the limit, never above", timeout=120)
    def _(clients=clients):
        g = money()
        limit = K * WORST
        key = new_key(g, limit_usd=str(limit))
        above: list[str] = []
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                with contextlib.suppress(AssertionError, OSError, wire.Ended):
                    told = key_of(g, key)
                    if usd(told["usage_usd"]) > limit or usd(told["limit_remaining_usd"]) < 0:
                        above.append(f"{told['usage_usd']} used, {told['limit_remaining_usd']} remaining")
                over.wait(0.1)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        end = time.monotonic() + 60
        load = press(g.port, requests(g, key["key"], answering(CAP // 2, wait=0.02), 1)[0], clients,
                     lambda load: time.monotonic() - load.last_ok > 2.0 or time.monotonic() > end or load.statuses[200] > 4 * K)  # fmt: skip
        over.set()
        watcher.join(5)
        assert set(load.statuses) <= {200, 402}, f"{dict(load.statuses)}: {load.example(503) or load.example(500)}"
        assert eventually(lambda: usd(key_of(g, key)["limit_remaining_usd"]) + spent(g, key) == limit, 8, 0.2), f"still held: {key_of(g, key)}"
        total = spent(g, key)
        assert total <= limit and not above, f"spent {total} of {limit}; {above[:1]}"
        assert limit - total < WORST, f"spent only {total} of {limit}: refused while {limit - total} was left, more than one worst case of {WORST}"
        return f"{total} of {limit}, {load.statuses[402]} refusals"


@check("lease.no-false-refusal", "an ample budget: 64 clients, 1,500 requests over 3 workers, not one refused", timeout=60)
def _():
    g = money()
    key = new_key(g, limit_usd="100")
    seen = burst(g.port, requests(g, key["key"], answering(CAP), 1500), 64).statuses
    assert dict(seen) == {200: 1500}, f"{dict(seen)}"


@check("lease.last-cent", "one after the other over connections to all workers: exactly as many as the budget pays for, though slices run low", timeout=40)
def _():
    g = money()
    key = new_key(g, limit_usd=str(10 * WORST))
    script, statuses = answering(CAP), []
    conns = [wire.Conn(g.port) for _ in range(9)]
    for n in range(14):
        conn = conns[n % 9]
        conn.send(g.head(asked(script), key=key["key"]))
        statuses.append(conn.read().status)
    assert statuses == [200] * 10 + [402] * 4, f"{statuses}"


@check("lease.bytes", "the input bound is the text's bytes: 402 tells needed_usd; a budget of exactly that admits it, a nano-dollar less does not", timeout=30)
def _():
    g = money()
    script = answering(CAP, prompt=200)
    probe = new_key(g, limit_usd="0.000000001")
    error = refused(ask(g, probe["key"], script, "lab/in", filler="e" * 2000), 402)
    needed = usd(error["metadata"]["needed_usd"])
    assert needed >= WORST + Decimal("0.002"), f"{needed} for 2,000 bytes at $1 a million and {CAP} tokens at $2"
    less, just = (new_key(g, limit_usd=str(needed - cut)) for cut in (Decimal("0.000000001"), 0))
    refused(ask(g, less["key"], script, "lab/in", filler="e" * 2000), 402)
    ok(ask(g, just["key"], script, "lab/in", filler="e" * 2000))


@check("lease.cap", "no cap in the request: min(model's maximum, what the rest affords) is put in, told in x-kilo-max-tokens and sent upstream", timeout=20)
def _():
    g = money()
    for limit, cap in (("0.001", 500), ("0.0006", 300), ("1", 4096)):
        key, script = new_key(g, limit_usd=limit), answering(100)
        answer = ok(ask(g, key["key"], script, cap=None))
        sent = json.loads(base64.b64decode(up().one(script)["body"]))
        assert answer.header("x-kilo-max-tokens") == str(cap), f"x-kilo-max-tokens {answer.header('x-kilo-max-tokens')}, not {cap} of ${limit}"
        assert cap in (sent.get("max_tokens"), sent.get("max_completion_tokens")), f"sent {sent.get('max_tokens')}"


@check("lease.cap-256", "at least 256 tokens must be affordable, else 402; a smaller cap of the caller's own is let through")
def _():
    g = money()
    key = new_key(g, limit_usd="0.00051")  # 255 tokens
    refused(ask(g, key["key"], answering(1), cap=None), 402)
    ok(ask(g, key["key"], answering(200), cap=200))


@check("lease.fallback", "the hold is for the dearest endpoint that may still be tried: a budget that only the cheap one fits is served by it or refused, never overspent", timeout=20)
def _():
    g = money()
    key = new_key(g, limit_usd="0.0015")  # alpha's worst is 0.001, beta's 0.003
    script = up().script(name=name("both"), first=[json_reply(b"{}", status=b"503 Busy")], other=[json_reply(body_of(CAP))])
    answer = ask(g, key["key"], script, "lab/both")
    assert answer.status in (402, 502, 503), f"served by beta for 0.003: {answer}"
    assert eventually(lambda: usd(key_of(g, key)["limit_remaining_usd"]) == Decimal("0.0015"), 6, 0.2), f"{key_of(g, key)}"
    ok(ask(g, key["key"], answering(CAP), "lab/both"), "alpha alone")


@check("lease.unpriced", "a model without a price cannot be asked under a hard limit: 402, and never sent")
def _():
    g = money()
    key, script = new_key(g, limit_usd="1"), answering()
    refused(ask(g, key["key"], script, "lab/unpriced"), 402)
    assert not up().log(script)


@check("lease.free", "a model that costs nothing is served though the budget is spent")
def _():
    g = money()
    key = new_key(g, limit_usd=str(WORST))
    ok(ask(g, key["key"]))
    refused(ask(g, key["key"]), 402)
    ok(ask(g, key["key"], answering(5), "lab/gratis"))


@check("lease.raised", "a limit that is raised lets the next request through within 1 s, on all workers; lowered below what is spent: 402 within 1 s", timeout=30)
def _():
    g = money()
    key = new_key(g, limit_usd=str(WORST))
    ok(ask(g, key["key"]))
    refused(ask(g, key["key"]), 402)
    done(g, "PATCH", f"keys/{key['id']}", {"limit_usd": "1"})
    time.sleep(1)
    seen = burst(g.port, requests(g, key["key"], answering(1), 30), 12).statuses
    assert dict(seen) == {200: 30}, f"after raising: {dict(seen)}"
    done(g, "PATCH", f"keys/{key['id']}", {"limit_usd": str(WORST)})
    time.sleep(1)
    seen = burst(g.port, requests(g, key["key"], answering(1), 30), 12).statuses
    assert dict(seen) == {402: 30}, f"after lowering: {dict(seen)}"


@check("lease.killed-worker", "kill -9 of a worker with holds: they are settled from its journal and the rest is back within 90 s , the budget exact", timeout=150)
def _():
    with own("lease-killed", workers=3) as g:
        key = new_key(g, limit_usd=str(K * WORST))
        conns = []
        for _ in range(6):
            conn = wire.Conn(g.port)
            conn.send(g.head(asked(dripping(), stream=True), key=key["key"]))
            conn.head()
            conns.append(conn)
        time.sleep(1)
        for pid in g.workers_pids():
            os.kill(pid, signal.SIGKILL)
        took = nothing_held(g, 90)
        used = spent(g, key)
        assert 0 < used < 6 * WORST, f"spent {used} for six streams cut after a second"
        left = int((K * WORST - used) / WORST)
        seen = burst(g.port, requests(g, key["key"], answering(CAP), 40), 8).statuses
        assert seen[200] == left, f"{dict(seen)}: {left} were affordable after {used} of {K * WORST}"
        verified(g)
        info("lease.killed-worker", f"nothing held {took:.1f} s after the kill")


@check("lease.budget", "a budget's resource tells spent, held and remaining while requests run, and they add up to the limit", timeout=20)
def _():
    g = money()
    key = new_key(g, limit_usd="0.01")
    with wire.Conn(g.port) as conn:
        conn.send(g.head(asked(answering(CAP, wait=1.0)), key=key["key"]))
        time.sleep(0.4)
        told = budget_of(g, key)
        assert usd(told["held_usd"]) >= WORST and usd(told["spent_usd"]) == 0, f"{told}"
        assert usd(told["spent_usd"]) + usd(told["held_usd"]) + usd(told["remaining_usd"]) == Decimal("0.01"), f"{told}"
        ok(conn.read())

