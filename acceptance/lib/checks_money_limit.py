"""Limits of requests: by minute and at once, per key, model and address, exact over the workers of a node; free use by address."""

import os
import re
import signal
import threading
import time

import wire
from harness import Gateway, check, eventually, gateway, gw, up
from money import answering, ask, asked, done, dripping, lab, money, new_key, ok, own, refused
from money_load import burst

FREE = 200  # an hour, by address


def steady() -> None:
    """Not over the end of a minute."""
    if time.time() % 60 > 50:
        time.sleep(61 - time.time() % 60)


@gateway("limits")
def limits_gateway() -> Gateway:
    rows = "".join(f'[[rate_limits]]\nscope = "{scope}"\ntarget = "{target}"\n{rest}\n' for scope, target, rest in (
        ("model", "other/*", "requests_per_minute = 10"), ("ip", "*", "requests_per_minute = 30\nconcurrency = 20"),
    ))  # fmt: skip
    return Gateway("limits", lab(server='trusted_proxies = ["127.0.0.0/8"]\n', extra=rows), workers=3)


def from_ip(ip: str) -> dict[str, str]:
    return {"X-Forwarded-For": ip}


@check("limit.none", "no limit by default for authenticated keys: 1,000 requests at once, none refused, no x-ratelimit headers", timeout=60)
def _():
    g = money()
    key = new_key(g)
    load = burst(g.port, [g.head(asked(answering(1)), key=key["key"])] * 1000, 64)
    assert dict(load.statuses) == {200: 1000}, f"{dict(load.statuses)}"
    seen = [line for line in load.got[0].head.lower().splitlines() if line.startswith("x-ratelimit")]
    assert not seen, f"{seen}"


@check("limit.rpm", "3 workers, 60 requests a minute, 200 requests: 60 pass and 140 are 429", timeout=90)
def _():
    g = money()
    for _ in range(3):
        key = new_key(g, requests_per_minute=60)
        steady()
        began = time.monotonic()
        load = burst(g.port, [g.head(asked(answering(1)), key=key["key"])] * 200, 50)
        took = time.monotonic() - began
        assert dict(load.statuses) == {200: 60, 429: 140}, f"{dict(load.statuses)} in {took:.1f} s"


@check("limit.429", "the 429: code, reason, scope, limit; Retry-After in whole seconds up to a minute; x-ratelimit headers of requests")
def _():
    g = money()
    key = new_key(g, requests_per_minute=2)
    steady()
    answers = [ask(g, key["key"], answering(1)) for _ in range(3)]
    told = [answer.header("x-ratelimit-remaining-requests") for answer in answers]
    assert [answer.status for answer in answers] == [200, 200, 429], f"{[answer.status for answer in answers]}"
    assert told == ["1", "0", "0"], f"remaining {told}"
    assert answers[0].header("x-ratelimit-limit-requests") == "2", f"{answers[0].headers}"
    assert re.fullmatch(r"(\d+h)?(\d+m)?(\d+(\.\d+)?s)?(\d+ms)?", answers[0].header("x-ratelimit-reset-requests") or "-"), f"{answers[0].headers}"
    error = refused(answers[2], 429)
    assert error["code"] == "rate_limited" and error["metadata"]["reason"] == "requests" and error["metadata"]["scope"] == "key", f"{error}"
    assert error["metadata"]["limit"] == 2, f"{error['metadata']}"
    assert 1 <= int(answers[2].header("retry-after") or 0) <= 60, f"Retry-After {answers[2].header('retry-after')}"
    assert answers[2].header("x-should-retry") != "false", "a retry does help here"


@check("limit.retry-after", "whoever waits as long as Retry-After says is served", timeout=130, waits=True)
def _():
    g = money()
    key = new_key(g, requests_per_minute=30)
    steady()
    load = burst(g.port, [g.head(asked(answering(1)), key=key["key"])] * 40, 10)
    assert load.statuses[429] == 10, f"{dict(load.statuses)}"
    answer = ask(g, key["key"], answering(1))
    time.sleep(int(refused(answer, 429) and answer.header("retry-after")) + 0.2)
    ok(ask(g, key["key"], answering(1)))


@check("limit.tpm", "tokens a minute, prompt and completion together as the upstream told them: 2,000 are four answers of 500, the fifth is 429", timeout=20)
def _():
    g = money()
    key = new_key(g, tokens_per_minute=2000)
    steady()
    answers = []
    for _ in range(5):
        answers.append(ask(g, key["key"], answering(100, prompt=400), cap=100))
        time.sleep(0.1)
    assert [answer.status for answer in answers] == [200] * 4 + [429], f"{[answer.status for answer in answers]}"
    assert answers[3].header("x-ratelimit-limit-tokens") == "2000", f"{answers[3].headers}"
    assert answers[4].header("x-ratelimit-remaining-tokens") == "0", f"{answers[4].headers}"
    assert refused(answers[4], 429)["metadata"]["reason"] == "tokens"


@check("limit.tpm-workers", "tokens a minute are counted over all workers: 3 workers, 60 at once of 155 tokens each, 3,100: at most 20 pass, at least 8", timeout=40)
def _():
    g = money()
    key = new_key(g, tokens_per_minute=3100)
    steady()
    seen = burst(g.port, [g.head(asked(answering(150, prompt=5), cap=150), key=key["key"])] * 60, 12).statuses
    assert 8 <= seen[200] <= 20 and seen[200] + seen[429] == 60, f"{dict(seen)}"


@check("limit.too-large", "a request larger than all tokens of a minute: 429 with x-should-retry: false and no promise to be served later")
def _():
    g = money()
    key = new_key(g, tokens_per_minute=100)
    answer = ask(g, key["key"], answering(1), cap=4000)
    refused(answer, 429)
    assert answer.header("x-should-retry") == "false", f"{answer.headers}"


@check("limit.concurrency", "concurrency 4 over 3 workers: of 12 at once 4 run and 8 are 429; as soon as they end 4 more run", timeout=40)
def _():
    g = money()
    key = new_key(g, concurrency=4)
    for _ in range(2):
        load = burst(g.port, [g.head(asked(answering(1, wait=1.0)), key=key["key"])] * 12, 12)
        assert dict(load.statuses) == {200: 4, 429: 8}, f"{dict(load.statuses)}"
        assert '"concurrency"' in load.example(429), f"{load.example(429)}"


@check("limit.concurrency-gone", "a slot comes back when its caller hangs up, when its upstream fails, and when its worker is killed", timeout=60)
def _():
    with own("slots", workers=2) as g:
        key = new_key(g, concurrency=2)

        def both_free(what: str) -> None:
            assert eventually(lambda: ask(g, key["key"], answering(1)).status == 200, 8, 0.2), f"no slot after {what}"
            load = burst(g.port, [g.head(asked(answering(1, wait=0.7)), key=key["key"])] * 2, 2)
            assert dict(load.statuses) == {200: 2}, f"after {what}: {dict(load.statuses)}"

        conns = [wire.Conn(g.port) for _ in range(2)]
        for conn in conns:
            conn.send(g.head(asked(dripping(), stream=True), key=key["key"]))
            assert conn.head().status == 200
        refused(ask(g, key["key"]), 429, "the third")
        for conn in conns:
            conn.close()
        both_free("callers who hung up")
        for _ in range(2):
            ask(g, key["key"], up().script(["reset"]))
        both_free("upstreams that failed")
        conns = [wire.Conn(g.port) for _ in range(2)]
        for conn in conns:
            conn.send(g.head(asked(dripping(), stream=True), key=key["key"]))
            conn.head()
        for pid in g.workers_pids():
            os.kill(pid, signal.SIGKILL)
        both_free("killed workers")


@check("limit.model", "a limit on a model pattern holds for all keys together", timeout=20)
def _():
    g = gw("limits")
    steady()
    keys = [new_key(g)["key"] for _ in range(2)]
    datas = [g.head(asked(answering(1), "other/out"), key=keys[n % 2], headers=from_ip(f"10.9.0.{n}")) for n in range(16)]
    load = burst(g.port, datas, 8)
    assert dict(load.statuses) == {200: 10, 429: 6}, f"{dict(load.statuses)}"
    assert '"model"' in load.example(429), f"{load.example(429)}"
    ok(ask(g, keys[0], answering(1), headers=from_ip("10.9.1.1")), "another model")


@check("limit.ip", "a limit on addresses: each address for itself, by X-Forwarded-For of a trusted proxy, whatever the key", timeout=20)
def _():
    g = gw("limits")
    steady()
    keys = [new_key(g)["key"] for _ in range(3)]
    load = burst(g.port, [g.head(asked(answering(1)), key=keys[n % 3], headers=from_ip("10.8.0.1")) for n in range(40)], 8)
    assert dict(load.statuses) == {200: 30, 429: 10}, f"{dict(load.statuses)}"
    ok(ask(g, keys[0], answering(1), headers=from_ip("10.8.0.2")))


@check("limit.forged-ip", "X-Forwarded-For of a caller who is no trusted proxy gives no new allowance", timeout=40)
def _():
    rows = '[[rate_limits]]\nscope = "ip"\ntarget = "*"\nrequests_per_minute = 5\n'
    with own("forged", lab(extra=rows)) as g:
        steady()
        key = new_key(g)
        statuses = [ask(g, key["key"], answering(1), headers=from_ip(f"10.7.0.{n}")).status for n in range(8)]
        assert statuses == [200] * 5 + [429] * 3, f"{statuses}"


@check("limit.anonymous", f"anonymous use: {FREE} an hour and address over 3 workers, the next is 429 with Retry-After; another address is served", timeout=60)
def _():
    with own("anonymous", lab(server='trusted_proxies = ["127.0.0.0/8"]\n'), workers=3) as g:
        data = g.head(asked(answering(1), "lab/open"), key=None, headers=from_ip("10.6.0.1"))
        load = burst(g.port, [data] * (FREE + 20), 16)
        assert dict(load.statuses) == {200: FREE, 429: 20}, f"{dict(load.statuses)}"
        late = next(one for one in load.got if one.status == 429)
        assert 1 <= int(late.header("retry-after") or 0) <= 3600, f"Retry-After {late.header('retry-after')}"
        ok(g.post(asked(answering(1), "lab/open"), key=None, headers=from_ip("10.6.0.2")), "another address")
        ok(ask(g, new_key(g)["key"], answering(1), headers=from_ip("10.6.0.1")), "a key of the same address, a model that costs")


@check("limit.free", "free models by a key count as free use of the address; the setting limits.free_requests_per_hour changes it", timeout=40)
def _():
    with own("free", lab(server='trusted_proxies = ["127.0.0.0/8"]\n', extra="[limits]\nfree_requests_per_hour = 5\n")) as g:
        key = new_key(g)
        statuses = [ask(g, key["key"], answering(1), "lab/gratis", headers=from_ip("10.5.0.1")).status for _ in range(7)]
        assert statuses == [200] * 5 + [429] * 2, f"{statuses}"
        ok(ask(g, key["key"], answering(1), headers=from_ip("10.5.0.1")), "a model that costs")


@check("limit.refused-free", "what is refused for its body or its budget takes no tokens and holds no slot", timeout=20)
def _():
    g = money()
    key = new_key(g, concurrency=1, tokens_per_minute=2000, limit_usd="0.001")
    for _ in range(5):
        assert g.post(b"{", key=key["key"]).status == 400
        refused(ask(g, key["key"], cap=900), 402)
    ok(ask(g, key["key"], answering(1)))


@check("limit.changed", "a limit that is changed or taken away holds within 1 s on all workers", timeout=20)
def _():
    g = money()
    key = new_key(g, requests_per_minute=1)
    steady()
    ok(ask(g, key["key"], answering(1)))
    refused(ask(g, key["key"], answering(1)), 429)
    done(g, "PATCH", f"keys/{key['id']}", {"requests_per_minute": None})
    time.sleep(1)
    seen = burst(g.port, [g.head(asked(answering(1)), key=key["key"])] * 30, 9).statuses
    assert dict(seen) == {200: 30}, f"{dict(seen)}"


@check("limit.zero", "a limit of 0 requests blocks: 429 with x-should-retry: false")
def _():
    g = money()
    key = new_key(g, requests_per_minute=0)
    answer = ask(g, key["key"], answering(1))
    refused(answer, 429)
    assert answer.header("x-should-retry") == "false", f"{answer.headers}"


@check("limit.other-paths", "streams, Messages and embeddings count in the same table", timeout=20)
def _():
    g = money()
    key = new_key(g, requests_per_minute=3)
    steady()
    results: list[int] = []
    results.append(ask(g, key["key"], "ok", stream=True).status)
    results.append(g.post(b'{"model":"lab/out","max_tokens":5,"messages":[{"role":"user","content":"x"}]}', path="/v1/messages", key=key["key"]).status)
    results.append(ask(g, key["key"], answering(1), path="/api/gateway/chat/completions").status)
    results.append(g.post(b'{"model":"lab/out","max_tokens":5,"messages":[{"role":"user","content":"x"}]}', path="/v1/messages", key=key["key"]).status)
    assert results == [200, 200, 200, 429], f"{results}"


@check("limit.many-keys", "the shared table holds 200 limited keys at once without one counting for another", timeout=60)
def _():
    g = money()
    made, lock = [], threading.Lock()

    def make(many: int) -> None:
        for _ in range(many):
            key = new_key(g, requests_per_minute=2)
            with lock:
                made.append(key["key"])

    first = new_key(g, requests_per_minute=2)
    made.append(first["key"])
    threads = [threading.Thread(target=make, args=(50,)) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join(50) for thread in threads]
    steady()
    script = answering(1)
    load = burst(g.port, [g.head(asked(script), key=key) for key in made * 3], 32)
    assert load.statuses[200] == 2 * len(made) and load.statuses[429] == len(made), f"{len(made)} keys: {dict(load.statuses)}"
