"""Streams and their money: cut at the ceiling with a clear end, noted every 250 ms, cut when the key is gone."""

import json
import time
from decimal import Decimal

import wire
from harness import LAST_CHUNK, STREAM_HEAD, check, chunk, closed_within, eventually, send, up, usd
from money import (
    WORST,
    ask,
    asked,
    done,
    dripping,
    ending,
    key_of,
    lab,
    lines_of,
    money,
    new_key,
    ok,
    own,
    piece,
    refused,
    spent,
    streaming,
)  # fmt: skip


def endless(text: str = "word " * 16, every: float = 0.02) -> str:
    """An upstream that does not care about its cap."""
    steps = [send(STREAM_HEAD)]
    for _ in range(400):
        steps += [send(chunk(piece(text))), ["sleep", every]]
    return up().script(*steps, send(chunk(ending(6400)) + LAST_CHUNK))


def cut(answer: wire.Answer) -> list[dict]:
    """A stream cut at its ceiling: finish_reason length, the reason, usage, [DONE]. Its chunks."""
    ok(answer)
    assert answer.is_clean, f"did not end whole: {answer.ended} {answer.body[-160:]!r}"
    assert wire.data_of(wire.events(answer.body)[-1]).strip() == b"[DONE]", f"{answer.body[-160:]!r}"
    told = wire.chunks(answer.body)
    finishes = [choice["finish_reason"] for one in told for choice in one.get("choices") or [] if choice.get("finish_reason")]
    assert finishes == ["length"], f"finish reasons {finishes}: {answer.body[-260:]!r}"
    last = next(one for one in told if any(choice.get("finish_reason") for choice in one.get("choices") or []))
    assert (last.get("metadata") or {}).get("reason") == "budget_exhausted", f"the last chunk: {json.dumps(last)[:260]}"
    assert not any("error" in one for one in told), "an error event as well"
    assert any(one.get("usage") for one in told), "no usage"
    return told


for limit, cap in (("0.0008", None), ("0.001", 400)):

    @check(f"stream.ceiling-{cap or 'none'}", f"a limit of ${limit}, cap {cap}, an upstream that goes on for ever: cut at the ceiling, upstream closed, never above", timeout=30)
    def _(limit=limit, cap=cap):
        g = money()
        key, script = new_key(g, limit_usd=limit), endless()
        answer = ask(g, key["key"], script, cap=cap, stream=True, timeout=20)
        cut(answer)
        closed_within(script, 1.5)
        ceiling = Decimal(limit)
        rows = lines_of(g, answer)
        assert spent(g, key) <= ceiling, f"spent {spent(g, key)}, more than {ceiling}: {rows[:2]}"
        assert spent(g, key) >= ceiling / 2, f"cut far too early: {spent(g, key)} of {ceiling}"
        seconds = max((at for at, _ in answer.seen), default=0)
        return f"{spent(g, key)} of {ceiling} after {seconds:.1f} s"


@check("stream.ceiling-messages", "the same for a Messages caller: stop_reason max_tokens and message_stop", timeout=30)
def _():
    g = money()
    key, script = new_key(g, limit_usd="0.001"), endless()
    body = json.dumps({"model": "lab/out", "max_tokens": 400, "stream": True, "messages": [{"role": "user", "content": f"script:{script}"}]}).encode()
    answer = ok(g.post(body, path="/v1/messages", key=key["key"], timeout=20))
    assert b'"stop_reason":"max_tokens"' in answer.body.replace(b": ", b":") and b"message_stop" in answer.body, f"{answer.body[-260:]!r}"
    assert b"budget_exhausted" in answer.body, f"no reason: {answer.body[-260:]!r}"
    closed_within(script, 1.5)


@check("stream.within", "a stream that stays within its cap is relayed whole and untouched by the money")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    answer = ok(ask(g, key["key"], streaming(), stream=True))
    assert answer.is_clean and answer.body.endswith(b"data: [DONE]\n\n") and b"budget_exhausted" not in answer.body
    lines_of(g, answer)
    assert spent(g, key) == WORST


@check("stream.progress", "progress every 250 ms: kill -9 of everything in a stream, and at least what was relayed 500 ms before is charged, as recovered", timeout=60)
def _():
    with own("progress", lab()) as g:
        key = new_key(g, limit_usd="1")
        script = dripping(200, 0.05, "word " * 40)
        with wire.Conn(g.port) as conn:
            conn.send(g.head(asked(script, cap=4000, stream=True), key=key["key"]))
            id = conn.head().header("x-generation-id")
            time.sleep(3)
            g.kill()
        g.start()
        row = g.row(id, 15)
        assert row["status"] == "recovered", f"{row['status']}"
        assert 40 * 20 * 0.4 <= row["completion_tokens"] <= 40 * 20 * 4, f"{row['completion_tokens']} tokens booked for 3 s of ~800 a second"
        assert usd(row["cost_usd"]) == spent(g, key), f"row {row['cost_usd']}, key {spent(g, key)}"
        rows = lines_of(g, _Told(id))
        assert len({line["entry_id"] for line in rows if line["kind"] == "settle"}) == 1, "not settled exactly once"


class _Told:
    """What lines_of asks of an answer."""

    def __init__(self, id: str | None) -> None:
        self.id = id

    def header(self, name: str) -> str | None:
        return self.id


@check("stream.lowered", "a budget lowered in the middle of a stream: it is cut or ends within what was held; nothing above; the next request is refused", timeout=40)
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    with wire.Conn(g.port, 15) as conn:
        conn.send(g.head(asked(dripping(20, 0.1), stream=True), key=key["key"]))
        answer = conn.head()
        done(g, "PATCH", f"keys/{key['id']}", {"limit_usd": "0"})
        conn.body(answer)
    assert answer.is_clean, f"{answer.ended} {answer.body[-120:]!r}"
    assert eventually(lambda: spent(g, key) <= WORST, 4, 0.2), f"{spent(g, key)}"
    refused(ask(g, key["key"]), 402)


@check("stream.many", "40 streams at once on one budget: what they hold together is never more than the limit", timeout=40)
def _():
    g = money()
    limit = 10 * WORST
    key = new_key(g, limit_usd=str(limit))
    conns = []
    for _ in range(40):
        conn = wire.Conn(g.port, 15)
        conn.send(g.head(asked(dripping(10, 0.1), stream=True), key=key["key"]))
        conns.append(conn)
    heads = [conn.head().status for conn in conns]
    assert heads.count(200) == 10 and heads.count(402) == 30, f"{heads.count(200)} x 200, {heads.count(402)} x 402"
    assert usd(key_of(g, key)["limit_remaining_usd"]) >= 0
