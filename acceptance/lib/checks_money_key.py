"""Keys: scopes, expiry, rotation, disabling, last use, management keys, revocation in time, and lookups that tell nothing."""

import json
import statistics
import threading
import time

import wire
from harness import check, closed_within, eventually, info
from money import (
    Clock,
    admin,
    answering,
    ask,
    asked,
    by_account,
    done,
    dripping,
    key_of,
    lines,
    money,
    new_key,
    new_user,
    ok,
    own,
    refused,
)  # fmt: skip
from money_load import burst, press


@check("key.object", "keys: create, show, update, list; the members of the object; the key itself is shown once")
def _():
    g = money()
    made = new_key(g, name="object", limit_usd="0.05", reset="daily", models=["lab/*"], endpoints=["chat"], ips=["127.0.0.0/8"], requests_per_minute=1000)
    wanted = {"id", "name", "role", "hint", "user_id", "created_ms", "revoked_ms", "expires_ms", "last_used_ms", "disabled", "is_management", "limit_usd",
              "reset", "usage_usd", "limit_remaining_usd", "models", "endpoints", "ips", "requests_per_minute", "tokens_per_minute", "concurrency", "store_bodies"}  # fmt: skip
    told = key_of(g, made)
    assert wanted <= set(told), f"missing {sorted(wanted - set(told))}"
    assert "key" not in told and made["key"] not in json.dumps(done(g, "GET", "keys")), "the key is shown again"
    assert (told["limit_usd"], told["reset"], told["models"], told["is_management"]) == (0.05, "daily", ["lab/*"], False), f"{told}"
    assert done(g, "PATCH", f"keys/{made['id']}", {"name": "renamed", "reset": "weekly"})["reset"] == "weekly"
    assert key_of(g, made)["name"] == "renamed"


@check("key.models", "a scope of models with wildcards: within it served, outside 403 with reason model; lists show only what is in scope")
def _():
    g = money()
    key = new_key(g, models=["lab/o*", "lab/both"])
    for model_id, status in (("lab/out", 200), ("lab/both", 200), ("lab/dear", 403), ("other/out", 403), ("kilocode/lab/dear", 403)):
        answer = ask(g, key["key"], model_id=model_id)
        assert answer.status == status, f"{model_id}: {answer}"
        assert status == 200 or refused(answer, 403)["metadata"]["reason"] == "model", f"{answer}"
    listed = {row["id"] for row in g.get("/v1/models", {"Authorization": f"Bearer {key['key']}"}).json()["data"]}
    assert "lab/out" in listed and not listed & {"lab/dear", "other/out"}, f"{sorted(listed)}"


@check("key.models-auto", "kilo/auto and fallbacks (models: [...]) stay within the scope")
def _():
    g = money()
    key = new_key(g, models=["lab/both"])
    for answer in (ask(g, key["key"], model_id="kilo/auto"), ask(g, key["key"], model_id="lab/dear", models=["lab/dear", "lab/out"])):
        assert answer.status in (403, 404) or answer.header("x-kilo-model") == "lab/both", f"{answer}"


@check("key.endpoints", "a scope of endpoints: chat only, Messages and embeddings are 403 with reason endpoint; the model list is always open")
def _():
    g = money()
    key = new_key(g, endpoints=["chat"])
    ok(ask(g, key["key"]))
    ok(ask(g, key["key"], path="/api/openrouter/chat/completions"))
    for path, body in (("/v1/messages", {"model": "lab/out", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}),
                       ("/v1/responses", {"model": "lab/out", "input": "x"}), ("/v1/embeddings", {"model": "lab/out", "input": "x"})):  # fmt: skip
        answer = g.post(json.dumps(body).encode(), path=path, key=key["key"])
        assert answer.status == 403 and b"endpoint" in answer.body, f"{path}: {answer}"
    ok(g.get("/v1/models", {"Authorization": f"Bearer {key['key']}"}))
    bad = admin(g, "POST", "keys", {"name": "x", "endpoints": ["chta"]})
    assert bad.status == 400 and b"chat" in bad.body, f"an unknown endpoint was taken: {bad}"


@check("key.ips", "a scope of addresses, v4 and v6: elsewhere 403 with reason ip; a forged X-Forwarded-For does not help; nonsense is refused at creation")
def _():
    g = money()
    ok(ask(g, new_key(g, ips=["127.0.0.1"])["key"]))
    ok(ask(g, new_key(g, ips=["10.0.0.0/8", "127.0.0.0/8"])["key"]))
    for ips in (["10.0.0.0/8"], ["::1"]):
        answer = ask(g, new_key(g, ips=ips)["key"], headers={"X-Forwarded-For": "10.1.1.1"})
        assert refused(answer, 403)["metadata"]["reason"] == "ip", f"{ips}: {answer}"
    for bad in (["nowhere"], ["10.0.0.0/40"], [""], "127.0.0.1"):
        assert admin(g, "POST", "keys", {"name": "x", "ips": bad}).status == 400, f"took {bad}"


@check("key.empty-scope", "an empty list of models, endpoints or addresses lets nothing through or is refused; null is all")
def _():
    g = money()
    for scope in ("models", "endpoints", "ips"):
        answer = admin(g, "POST", "keys", {"name": "empty", scope: []})
        assert answer.status == 400 or ask(g, answer.json()["key"]).status == 403, f"{scope} []: {answer}"
        ok(ask(g, new_key(g, **{scope: None})["key"]))


@check("key.expiry", "an expiry: valid before, 401 after, at once and on all workers; in the past it is refused at creation", timeout=30)
def _():
    g = money()
    key = new_key(g, expires_ms=int(time.time() * 1000) + 2500)
    ok(ask(g, key["key"]))
    time.sleep(3)
    seen = burst(g.port, [g.head(asked(answering(1)), key=key["key"])] * 24, 12).statuses
    assert dict(seen) == {401: 24}, f"{dict(seen)}"
    assert admin(g, "POST", "keys", {"name": "x", "expires_ms": 1000}).status == 400, "an expiry in 1970 was taken"


@check("key.expiry-stream", "a stream whose key expires under it is cut within 5 s, with an error event", timeout=20)
def _():
    g = money()
    key = new_key(g, expires_ms=int(time.time() * 1000) + 2000)
    answer = ask(g, key["key"], dripping(), stream=True, timeout=12)
    assert answer.is_clean and b"key_revoked" in answer.body, f"{answer.ended} {answer.body[-160:]!r}"
    assert max(at for at, _ in answer.seen) < 7.2, f"after {max(at for at, _ in answer.seen):.1f} s"


@check("key.rotate", "rotate: a new key with the same id, scopes and budget; the old one works until the grace is over, then 401", timeout=20)
def _():
    g = money()
    old = new_key(g, limit_usd="0.01", models=["lab/*"])
    ok(ask(g, old["key"]))
    new = done(g, "POST", f"keys/{old['id']}/rotate", {"grace_s": 3})
    assert new["id"] == old["id"] and new["key"] != old["key"] and new["limit_usd"] == old["limit_usd"], f"{new}"
    ok(ask(g, new["key"]), "the new one")
    ok(ask(g, old["key"]), "the old one within the grace")
    assert eventually(lambda: key_of(g, old)["usage_usd"] == 0.003, 5, 0.2), f"both count on one budget: {key_of(g, old)['usage_usd']}"
    time.sleep(4)
    refused(ask(g, old["key"]), 401)
    ok(ask(g, new["key"]))
    last = done(g, "POST", f"keys/{old['id']}/rotate", {"grace_s": 0})
    assert ask(g, new["key"]).status == 401, "no grace, and the old one works"
    ok(ask(g, last["key"]))


@check("key.disable", "disabled: 401 within 1 s on all workers, running streams cut; enabled again, it works", timeout=20)
def _():
    g = money()
    key = new_key(g)
    done(g, "PATCH", f"keys/{key['id']}", {"disabled": True})
    time.sleep(1)
    seen = burst(g.port, [g.head(asked(answering(1)), key=key["key"])] * 24, 12).statuses
    assert dict(seen) == {401: 24}, f"{dict(seen)}"
    done(g, "PATCH", f"keys/{key['id']}", {"disabled": False})
    time.sleep(1)
    ok(ask(g, key["key"]))


@check("key.last-used", "last_used_ms: null before, then the time of the last request")
def _():
    g = money()
    key = new_key(g)
    assert key_of(g, key)["last_used_ms"] is None
    ok(ask(g, key["key"]))
    told = eventually(lambda: key_of(g, key)["last_used_ms"], 6, 0.2)
    assert told and abs(told / 1000 - time.time()) < 8, f"{told}"


@check("key.management", "a management key: 403 on every inference path, admin API open; an ordinary key the other way round")
def _():
    g = money()
    key = new_key(g, is_management=True)
    assert key_of(g, key)["is_management"] is True
    refused(ask(g, key["key"]), 403)
    for path in ("/v1/messages", "/v1/responses", "/v1/embeddings", "/api/gateway/chat/completions"):
        answer = g.post(json.dumps({"model": "lab/out", "max_tokens": 3, "input": "x", "messages": [{"role": "user", "content": "x"}]}).encode(),
                        path=path, key=key["key"])  # fmt: skip
        assert answer.status == 403, f"{path}: {answer}"
    assert admin(g, "GET", "keys", key=key["key"]).status == 200
    assert admin(g, "GET", "keys", key=new_key(g)["key"]).status == 403


# ---------------------------------------------------------------- revocation


@check("revoke.workers", "revoked: refused by every worker within 1 s, on open connections too", timeout=20)
def _():
    g = money()
    key = new_key(g)
    conns = [wire.Conn(g.port) for _ in range(12)]
    data = g.head(asked(answering(1)), key=key["key"])
    for conn in conns:
        conn.send(data)
        ok(conn.read())
    began = time.monotonic()
    done(g, "DELETE", f"keys/{key['id']}")
    last = 0.0
    while time.monotonic() - began < 2.5:
        for conn in conns:
            conn.send(data)
            answer = conn.read()
            if answer.status == 200:
                last = time.monotonic() - began
            elif answer.header("connection") == "close":
                conns[conns.index(conn)] = wire.Conn(g.port)
    assert last < 1, f"still served {last:.2f} s after the revocation"
    info("revoke.last-served", f"{last * 1000:.0f} ms after the revocation began")


@check("revoke.load", "revoked under load: nothing is served later than 1 s after, and whoever holds the key gets 401 alone", timeout=30)
def _():
    g = money()
    key, moment = new_key(g), [0.0]
    began = time.monotonic()

    def is_over(load) -> bool:
        if not moment[0] and time.monotonic() - began > 1.0:
            moment[0] = time.monotonic()
            threading.Thread(target=lambda: done(g, "DELETE", f"keys/{key['id']}"), daemon=True).start()
        return time.monotonic() - began > 4.5

    load = press(g.port, g.head(asked(answering(1)), key=key["key"]), 24, is_over)
    assert set(load.statuses) == {200, 401}, f"{dict(load.statuses)}"
    assert load.last_ok - moment[0] < 1, f"last served {load.last_ok - moment[0]:.2f} s after"


@check("revoke.stream", "a running stream of a revoked key is cut within 5 s: one error event key_revoked, [DONE], upstream closed, settled once", timeout=30)
def _():
    g = money()
    key, script = new_key(g, limit_usd="1"), dripping()
    with wire.Conn(g.port, 12) as conn:
        conn.send(g.head(asked(script, stream=True, cap=4000), key=key["key"]))
        answer = conn.head()
        time.sleep(0.5)
        began = time.monotonic()
        done(g, "DELETE", f"keys/{key['id']}")
        conn.body(answer)
        took = time.monotonic() - began
    assert took < 5, f"after {took:.1f} s"
    assert answer.is_clean and wire.data_of(wire.events(answer.body)[-1]).strip() == b"[DONE]", f"{answer.ended} {answer.body[-160:]!r}"
    errors = [one for one in wire.chunks(answer.body) if one.get("error")]
    assert len(errors) == 1 and errors[0]["error"]["code"] == "key_revoked", f"{answer.body[-260:]!r}"
    closed_within(script, 1.5)
    held = eventually(lambda: not sum(row["amount_nanos"] for row in by_account(lines(g, request_id=answer.header("x-generation-id")), "holds")), 5, 0.2)
    assert held, "its hold is still there"


@check("revoke.restart", "a revoked key stays revoked over a restart, also when control is killed right after", timeout=40)
def _():
    with own("revoked", workers=2) as g:
        key = new_key(g)
        ok(ask(g, key["key"]))
        done(g, "DELETE", f"keys/{key['id']}")
        g.kill()
        g.start()
        assert ask(g, key["key"]).status == 401


@check("revoke.clock", "a wall clock set back a day revives no expired key, set forward a day kills no key that lasts longer", timeout=40, waits=True)
def _():
    clock = Clock()
    with own("revived", **clock.env) as g:
        short, long = (new_key(g, expires_ms=int((time.time() + s) * 1000)) for s in (3, 10 * 86400))
        ok(ask(g, short["key"]))
        time.sleep(4)
        assert ask(g, short["key"]).status == 401
        clock.move(-86400)
        time.sleep(1)
        assert ask(g, short["key"]).status == 401, "revived by a clock that was set back"
        clock.move(2 * 86400)
        time.sleep(1)
        ok(ask(g, long["key"]), "a key of ten days, a day on")


# ---------------------------------------------------------------- lookups


@check("lookup.same-answer", "unknown, expired, revoked and disabled keys get the same status, headers and body")
def _():
    g = money()
    answers = {name: ask(g, key) for name, key in bad_keys(g).items()}
    shapes = {name: (a.status, a.body, tuple(sorted(k for k, _ in a.headers))) for name, a in answers.items()}
    assert len(set(shapes.values())) == 1, f"{ {name: (shape[0], shape[1][:100]) for name, shape in shapes.items()} }"
    assert answers["unknown"].status == 401


def bad_keys(g) -> dict[str, str]:
    expired, revoked, disabled = (new_key(g, **more) for more in ({"expires_ms": int(time.time() * 1000) + 1000}, {}, {}))
    done(g, "DELETE", f"keys/{revoked['id']}")
    done(g, "PATCH", f"keys/{disabled['id']}", {"disabled": True})
    time.sleep(1.3)
    return {"unknown": "kilo_" + "u" * 32, "expired": expired["key"], "revoked": revoked["key"], "disabled": disabled["key"]}


@check("lookup.same-time", "and take the same time: Welch's t between unknown and each of the others below 4.5, of 2,500 each taken in turns", timeout=90)
def _():
    with own("lookups") as g:
        keys = bad_keys(g)
        datas = {name: g.head(asked("ok"), key=key) for name, key in keys.items()}
        took: dict[str, list[float]] = {name: [] for name in datas}
        conn = wire.Conn(g.port)
        for n in range(2500):
            for name in sorted(datas, key=lambda name: hash((name, n))):
                began = time.perf_counter_ns()
                conn.send(datas[name])
                answer = conn.read()
                took[name].append((time.perf_counter_ns() - began) / 1000)
                if answer.header("connection") == "close":
                    conn = wire.Conn(g.port)
        trimmed = {name: sorted(values)[: len(values) * 8 // 10] for name, values in took.items()}
        worst = max((abs(welch(trimmed["unknown"], trimmed[name])), name) for name in ("expired", "revoked", "disabled"))
        medians = {name: round(statistics.median(values), 1) for name, values in took.items()}
        gap = max(medians.values()) - min(medians.values())
        assert worst[0] < 4.5 or gap < 1.5, f"t = {worst[0]:.1f} for {worst[1]}, medians {medians} us"
        info("lookup.medians", f"{medians} us, worst t {worst[0]:.1f}")


def welch(one: list[float], other: list[float]) -> float:
    return (statistics.fmean(one) - statistics.fmean(other)) / (statistics.variance(one) / len(one) + statistics.variance(other) / len(other)) ** 0.5


@check("lookup.member", "a key of a user is named by its user in usage: user_id stands in every row")
def _():
    g = money()
    user = new_user(g)
    answer = ok(ask(g, new_key(g, user_id=user["id"])["key"]))
    assert g.row(answer.header("x-generation-id"))["user_id"] == user["id"]
