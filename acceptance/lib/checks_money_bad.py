"""Hostile numbers, clocks and disks: clamped and flagged, nothing granted, nothing lost."""

import contextlib
import functools
import os
import subprocess
import threading
import time
from decimal import Decimal

import wire
from checks_money_budget import resets
from harness import ROOT, Gateway, Skip, at_end, check, eventually, stream_reply, up, usd
from money import (
    CAP,
    WORST,
    Clock,
    admin,
    answering,
    ask,
    asked,
    done,
    dripping,
    key_of,
    lab,
    lines,
    money,
    name,
    new_key,
    ok,
    own,
    piece,
    raw_usage,
    spent,
    verified,
)  # fmt: skip
from money_load import burst

# what an upstream may say it used -> at most so many completion tokens may be booked, and whether that is flagged
NUMBERS = {
    "negative": '{"prompt_tokens":-5000,"completion_tokens":-7000,"total_tokens":-12000}', "nan": '{"prompt_tokens":NaN,"completion_tokens":NaN}',
    "infinite": '{"prompt_tokens":12,"completion_tokens":1e400}', "huge": '{"prompt_tokens":12,"completion_tokens":9223372036854775808}',
    "text": '{"prompt_tokens":"12","completion_tokens":"many"}', "fraction": '{"prompt_tokens":1.5,"completion_tokens":7.9}',
    "null": "null", "empty": "{}", "list": "[]", "partly": '{"prompt_tokens":12}', "true": '{"prompt_tokens":true,"completion_tokens":true}',
    "twice": '{"prompt_tokens":12,"completion_tokens":7,"completion_tokens":-7}', "details": '{"prompt_tokens":12,"completion_tokens":7,'
    '"prompt_tokens_details":{"cached_tokens":-9000000},"completion_tokens_details":{"reasoning_tokens":-5}}',
    "cached": '{"prompt_tokens":12,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":5000000}}',
}  # fmt: skip


def booked_row(g, answer: wire.Answer) -> dict:
    row = g.row(answer.header("x-generation-id"))
    numbers = (row["prompt_tokens"], row["completion_tokens"])
    assert all(isinstance(n, int) and 0 <= n < 10**9 for n in numbers), f"tokens {numbers}"
    assert row["cost_usd"] is not None and 0 <= usd(row["cost_usd"]) < 10, f"cost {row['cost_usd']}"
    return row


for what, usage in NUMBERS.items():

    @check(f"bad.usage-{what}", f"usage {usage[:60]}: answered, booked within bounds, flagged or estimated, the key's budget never grows, verify ok", timeout=20)
    def _(usage=usage, what=what):
        g = money()
        key = new_key(g, limit_usd="1")
        answer = ask(g, key["key"], raw_usage(usage))
        assert answer.status in (200, 502), f"{answer}"
        if answer.status == 200:
            row = booked_row(g, answer)
            assert row["estimated"] or "usage_clamped" in row["flags"] or what in ("twice",), f"neither flagged nor estimated: {row}"
        eventually(lambda: usd(key_of(g, key)["limit_remaining_usd"]) + spent(g, key) == 1, 4, 0.2)
        assert 0 <= spent(g, key) <= 1 and usd(key_of(g, key)["limit_remaining_usd"]) <= 1, f"{key_of(g, key)}"


@check("bad.usage-stream", "the same in the last event of a stream", timeout=30)
def _():
    g = money()
    for usage in (NUMBERS["negative"], NUMBERS["huge"], NUMBERS["text"]):
        key = new_key(g, limit_usd="1")
        last = b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":' + usage.encode() + b"}\n\ndata: [DONE]\n\n"
        script = up().script(stream_reply(piece("ok") + last))
        row = booked_row(g, ok(ask(g, key["key"], script, stream=True)))
        assert row["estimated"] or "usage_clamped" in row["flags"], f"{row}"
        assert 0 <= spent(g, key) <= 1


@check("bad.cost", "a reported cost that is negative, NaN, text or a billion is not booked as it is: flagged, our own computation or a bound instead", timeout=20)
def _():
    g = money()
    for cost in ("-0.5", "NaN", '"free"', "1e30", "1e400", "null", "true"):
        key = new_key(g, limit_usd="1")
        answer = ask(g, key["key"], raw_usage('{"prompt_tokens":12,"completion_tokens":500,"cost":%s}' % cost), "lab/told")
        assert answer.status in (200, 502), f"{cost}: {answer}"
        if answer.status == 200:
            row = booked_row(g, answer)
            assert usd(row["cost_usd"]) == WORST or row["flags"], f"cost {cost} booked as {row['cost_usd']}, flags {row['flags']}"
        assert 0 <= spent(g, key) <= 1, f"{cost}: {spent(g, key)}"


@check("bad.verify", "after all of that the books verify", timeout=30)
def _():
    verified(money())


# ---------------------------------------------------------------- clocks


@check("clock.jumps", "the wall clock jumps a day ahead, two back, one ahead under load: a budget of 20 worst cases admits 20, nothing stays held, verify ok", timeout=90, waits=True)
def _():
    clock = Clock()
    with own("jumps", workers=3, **clock.env) as g:
        key = new_key(g, limit_usd=str(20 * WORST))
        admitted = 0
        for jump in (0, 86400, -2 * 86400, 86400, 3600, -3600):
            clock.move(jump)
            time.sleep(0.3)
            admitted += burst(g.port, [g.head(asked(answering(CAP)), key=key["key"])] * 5, 5).statuses[200]
        admitted += burst(g.port, [g.head(asked(answering(CAP)), key=key["key"])] * 30, 8).statuses[200]
        assert admitted == 20, f"{admitted} admitted of a budget of 20"
        assert eventually(lambda: spent(g, key) == 20 * WORST, 8, 0.2), f"spent {spent(g, key)}"
        verified(g)


@check("clock.back", "a daily budget that is spent is not granted again by a clock set back a day, nor by setting it forward to the same day", timeout=40, waits=True)
def _():
    clock = Clock()
    with own("back", workers=2, **clock.env) as g:
        if resets("daily", clock.now() + 30) != resets("daily", clock.now()):
            raise Skip("the day is about to end")
        key = new_key(g, limit_usd="0.001", reset="daily")
        ok(ask(g, key["key"]))
        for jump in (-86400, 86400):
            clock.move(jump)
            time.sleep(1)
            answer = ask(g, key["key"])
            assert answer.status == 402, f"granted again after a jump of {jump // 86400} d: {answer}"


@check("clock.stream", "a stream in flight over a jump of a day is relayed whole and settled once", timeout=40, waits=True)
def _():
    clock = Clock()
    with own("jump-stream", **clock.env) as g:
        key = new_key(g, limit_usd="1")
        with wire.Conn(g.port, 15) as conn:
            conn.send(g.head(asked(dripping(20, 0.1), stream=True), key=key["key"]))
            answer = conn.head()
            clock.move(86400)
            conn.body(answer)
        assert answer.is_clean and answer.body.endswith(b"data: [DONE]\n\n") and b'"error"' not in answer.body, f"{answer.ended} {answer.body[-120:]!r}"
        settles = eventually(lambda: {row["entry_id"] for row in lines(g, request_id=answer.header("x-generation-id")) if row["kind"] == "settle"}, 6, 0.3)
        assert settles and len(settles) == 1, f"{settles}"


# ---------------------------------------------------------------- a full disk


@contextlib.contextmanager
def small_disk(megabytes: int = 64):
    """A file system of that size, and the way to fill and free it."""
    if os.getuid():
        raise Skip("a small file system needs root")
    place = ROOT / name("disk")
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], capture_output=True, text=True)
    if mounted.returncode:
        raise Skip(f"no tmpfs can be mounted: {mounted.stderr.strip()[:100]}")
    unmount = functools.partial(subprocess.run, ["umount", "-l", str(place)], capture_output=True)
    at_end.append(unmount)  # should the check not be done in time
    try:
        yield place
    finally:
        at_end.remove(unmount)
        unmount()


def on_disk(what: str, place) -> Gateway:
    """A gateway whose data, and not its logs, lie there."""
    g = Gateway(what, lab(), workers=1)
    g.data = place / "data"
    return g.start()


def fill(place) -> None:
    with (place / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    with (place / "filler2").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(256))


def free(place) -> None:
    for each in ("filler", "filler2"):
        with contextlib.suppress(OSError):
            (place / each).unlink()


@check("disk.full", "a full disk: keys with a limit get 503 with Retry-After, streams under way end whole and are settled; with room again all is served; nothing lost, verify ok", timeout=120)
def _():
    with small_disk() as place:
        g = on_disk("disk", place)
        try:
            key = new_key(g, limit_usd="10")
            done_ids = [ok(ask(g, key["key"])).header("x-generation-id") for _ in range(3)]
            conns = [wire.Conn(g.port, 20) for _ in range(5)]
            for conn in conns:
                conn.send(g.head(asked(dripping(30, 0.1), stream=True), key=key["key"]))
            answers = [conn.head() for conn in conns]
            fill(place)
            refusal = eventually(lambda: (a := _tried(g, key["key"], done_ids)).status == 503 and a, 12, 0.1)
            assert refusal, f"a key with a limit is still served {len(done_ids)} requests after the disk was full"
            assert refusal.header("retry-after") and refusal.json()["error"]["code"], f"{refusal}"
            for conn, answer in zip(conns, answers, strict=True):
                conn.body(answer)
                assert answer.is_clean and answer.body.endswith(b"data: [DONE]\n\n") and b'"error"' not in answer.body, f"{answer.ended} {answer.body[-160:]!r}"
            done_ids += [answer.header("x-generation-id") for answer in answers]
            free(place)
            assert eventually(lambda: ask(g, key["key"]).status == 200, 10, 0.3), "still refused with room again"
            rows = eventually(lambda: (ids := [row["id"] for row in g.usage()]) and set(done_ids) <= set(ids) and ids, 12, 0.5)
            assert rows and len(rows) == len(set(rows)), f"lost {len(set(done_ids) - {row['id'] for row in g.usage()})}"
            verified(g)
        finally:
            g.kill()


def _tried(g: Gateway, key: str, done_ids: list) -> wire.Answer:
    answer = ask(g, key)
    if answer.status == 200:
        done_ids.append(answer.header("x-generation-id"))
    return answer


@check("disk.killed", "kill -9 of everything while the disk is full, room again, start: what was answered is booked once, budget and verify ok", timeout=90)
def _():
    with small_disk() as place:
        g = on_disk("disk-killed", place)
        try:
            key = new_key(g, limit_usd="10")
            ids = [ok(ask(g, key["key"])).header("x-generation-id") for _ in range(3)]
            fill(place)
            for _ in range(30):
                _tried(g, key["key"], ids)
            g.kill()
            free(place)
            g.start()
            rows = eventually(lambda: (r := [row["id"] for row in g.usage()]) and set(ids) <= set(r) and r, 12, 0.5)
            assert rows and len(rows) == len(set(rows)), f"{len(ids)} answered, {len(g.usage())} rows"
            assert spent(g, key) == sum(usd(row["cost_usd"]) for row in g.usage())
            verified(g)
        finally:
            g.kill()


@check("bad.admin-race", "40 changes of one limit at once, under load: one of them stands, no 5xx, verify ok", timeout=40)
def _():
    g = money()
    key = new_key(g, limit_usd="0.5")
    statuses: list[int] = []

    def change(n: int) -> None:
        statuses.append(admin(g, "PATCH", f"keys/{key['id']}", {"limit_usd": f"0.{n + 100}"}).status)

    threads = [threading.Thread(target=change, args=(n,)) for n in range(40)]
    [thread.start() for thread in threads]
    seen = burst(g.port, [g.head(asked(answering(1)), key=key["key"])] * 100, 8).statuses
    [thread.join(20) for thread in threads]
    assert set(statuses) == {200} and dict(seen) == {200: 100}, f"{sorted(set(statuses))}, {dict(seen)}"
    limit = usd(done(g, "GET", f"keys/{key['id']}")["limit_usd"])
    assert Decimal("0.1") <= limit < Decimal("0.14"), f"{limit}"

