"""Double entry: what a request leaves in the ledger, in whole nano-dollars, once, whatever became of it."""

import base64
import json
import sqlite3
import time
from decimal import Decimal

import wire
from harness import check, cli_json, closed_within, eventually, json_reply, up, usd
from money import (
    WORST,
    answering,
    ask,
    asked,
    body_of,
    by_account,
    done,
    dripping,
    key_of,
    lines,
    lines_of,
    money,
    name,
    new_key,
    nothing_held,
    ok,
    spent,
    streaming,
    tables,
    verified,
)  # fmt: skip

NANOS = 1_000_000  # of one request that costs its worst case


def sums(rows: list[dict]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        assert type(row["amount_nanos"]) is int, f"an amount that is no whole number: {row}"
        found[row["entry_id"]] = found.get(row["entry_id"], 0) + row["amount_nanos"]
    return found


def balanced(rows: list[dict]) -> None:
    odd = {entry: total for entry, total in sums(rows).items() if total}
    assert not odd, f"entries that do not sum to 0: {odd}"


@check("ledger.double-entry", "a settled request: entries that sum to 0, on the accounts of the key, holds and the upstream's cost, in integer nano-USD")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    rows = lines_of(g, ok(ask(g, key["key"])))
    balanced(rows)
    accounts = {row["account"] for row in rows}
    assert any(key["id"] in account for account in accounts) and "upstream:alpha" in accounts, f"accounts {sorted(accounts)}"
    assert any(account.startswith("holds") for account in accounts), f"nothing was held: accounts {sorted(accounts)}"
    cost = sum(row["amount_nanos"] for row in by_account(rows, "upstream"))
    others = sum(row["amount_nanos"] for row in rows if not row["account"].startswith("upstream"))
    assert abs(cost) == NANOS and others == -cost, f"upstream {cost}, the others {others}, not {NANOS}"


@check("ledger.accounts", "accounts of user, key, holds, upstream cost and adjustments; all balances together are 0")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    lines_of(g, ok(ask(g, key["key"])))
    told = done(g, "GET", "ledger/accounts")
    kinds = {row["account"].partition(":")[0] for row in told}
    assert {"user", "key", "holds", "upstream", "adjustments"} <= kinds, f"kinds of accounts: {sorted(kinds)}"
    assert sum(row["balance_nanos"] for row in told) == 0, f"balances sum to {sum(row['balance_nanos'] for row in told)}"


@check("ledger.two-phase", "while a request runs its worst case is held; then settled: hold, then settle, in that order, and nothing stays held")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    script = answering(completion=100, wait=1.5)
    with wire.Conn(g.port) as conn:
        conn.send(g.head(asked(script), key=key["key"]))
        assert eventually(lambda: up().log(script), 3), "the upstream was not asked"
        told = key_of(g, key)
        remaining = usd(told["limit_remaining_usd"])
        assert remaining <= 1 - WORST, f"while it runs {remaining} of 1 remains: its worst case of {WORST} is not held"
        answer = ok(conn.read())
    rows = lines_of(g, answer)
    kinds = [row["kind"] for row in sorted(rows, key=lambda row: row["id"])]
    assert "settle" in kinds, f"kinds {kinds}"
    assert spent(g, key) == Decimal("0.0002"), f"spent {spent(g, key)}, not 0.0002"
    assert usd(key_of(g, key)["limit_remaining_usd"]) == 1 - Decimal("0.0002"), "what was held has not come back"


@check("ledger.release", "a request that every upstream refuses releases its hold: nothing spent, nothing held")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    script = up().script(json_reply(b'{"error":{"message":"no"}}', status=b"500 Internal Server Error"))
    assert ask(g, key["key"], script).status >= 500
    assert eventually(lambda: usd(key_of(g, key)["limit_remaining_usd"]) == 1, 6, 0.2), f"{key_of(g, key)}"
    assert spent(g, key) == 0
    balanced(lines(g, account=f"key:{key['id']}", limit=1000))


@check("ledger.attempts", "one line per upstream attempt, each at that attempt's provider and price: fallback from a dear endpoint to a cheap one")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    script = up().script(name=name("fail"), first=[json_reply(b'{"error":{"message":"no"}}', status=b"503 Busy")],
                         other=[json_reply(body_of(200))])  # fmt: skip
    answer = ok(ask(g, key["key"], script, "lab/both"))
    rows = [row for row in lines_of(g, answer) if row["kind"] == "attempt"]
    tried = sorted({row["attempt"] for row in rows if row["account"].startswith("upstream:")})
    providers = {row["account"] for row in rows if row["account"].startswith("upstream:")}
    assert len(tried) == 2 and providers == {"upstream:alpha", "upstream:beta"}, f"attempts {tried} at {sorted(providers)}: {rows[:3]}"
    served = answer.header("x-kilo-provider")
    price = {"alpha": 2, "beta": 6}[str(served)]
    cost = sum(abs(row["amount_nanos"]) for row in rows if row["account"] == f"upstream:{served}")
    assert cost == 200 * price * 1000, f"{served} cost {cost} nano-USD, not {200 * price * 1000}"
    balanced(lines_of(g, answer))


@check("ledger.once", "the same generation is never settled twice: JSON, stream, caller gone; one settle each, by request id", timeout=40)
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    answers = [ok(ask(g, key["key"])), ok(ask(g, key["key"], streaming(), stream=True))]
    conn = wire.Conn(g.port)
    conn.send(g.head(asked(dripping(), stream=True), key=key["key"]))
    answers.append(conn.head())
    time.sleep(0.5)
    conn.close()
    for answer in answers:
        rows = lines_of(g, answer)
        balanced(rows)
        settles = {row["entry_id"] for row in rows if row["kind"] == "settle"}
        assert len(settles) == 1, f"{len(settles)} settles: {[row['kind'] for row in rows]}"


@check("ledger.gone-caller", "a caller who hangs up pays for the prompt and what was relayed, no more; the hold comes back within 3 s")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    script = dripping(100, 0.1, "word " * 8)
    conn = wire.Conn(g.port)
    conn.send(g.head(asked(script, stream=True, cap=4000), key=key["key"]))
    conn.head()
    time.sleep(1.0)
    conn.close()
    closed_within(script, 1.5)
    assert eventually(lambda: spent(g, key) > 0, 5, 0.2), "nothing was charged for what was relayed"
    cost, told = spent(g, key), key_of(g, key)
    assert cost < Decimal("0.002"), f"{cost} for a second of a stream whose worst case is 0.008"
    assert usd(told["limit_remaining_usd"]) == 1 - cost, f"still held: {told}"


@check("ledger.reported-cost", "the cost an upstream reports wins over our own computation, exactly")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    answer = ok(ask(g, key["key"], answering(500, cost=0.00099), "lab/told"))
    rows = lines_of(g, answer)
    cost = sum(abs(row["amount_nanos"]) for row in by_account(rows, "upstream"))
    assert cost == 990_000, f"booked {cost} nano-USD, reported 990000, computed 1000000"
    assert not _flags(g, answer), f"1 % is flagged: {_flags(g, answer)}"


def _flags(g, answer: wire.Answer) -> list[str]:
    row = g.row(answer.header("x-generation-id"))
    assert "flags" in row, f"usage rows have no flags: {sorted(row)}"
    return row["flags"]


@check("ledger.cost-differs", "a reported cost that differs from ours by more than 2 % is booked and flagged cost_differs; below it is not flagged")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    for cost, is_flagged in ((0.0009, True), (0.00103, True), (0.00101, False), (0.001, False)):
        answer = ok(ask(g, key["key"], answering(500, cost=cost), "lab/told"))
        lines_of(g, answer)
        assert ("cost_differs" in _flags(g, answer)) == is_flagged, f"{cost} of 0.001: flags {_flags(g, answer)}"


@check("ledger.over-hold", "above a hold (hidden reasoning): booked in full, flagged over_hold, and the key is refused from then on")
def _():
    g = money()
    key = new_key(g, limit_usd="0.0015")
    answer = ok(ask(g, key["key"], answering(1500, completion_tokens_details={"reasoning_tokens": 1000})))
    lines_of(g, answer)
    assert spent(g, key) == Decimal("0.003"), f"spent {spent(g, key)}, not 0.003"
    assert "over_hold" in _flags(g, answer), f"flags {_flags(g, answer)}"
    after = ask(g, key["key"], answering(1), cap=1)
    assert after.status == 402, f"after it: {after}"


@check("ledger.unlimited", "no hard limit on the path: nothing held, no cap put in, the request's bytes untouched; cost recorded all the same")
def _():
    g = money()
    key = new_key(g)
    script = answering(100)
    body = asked(script, cap=None)
    answer = ok(g.post(body, key=key["key"]))
    assert answer.header("x-kilo-max-tokens") is None, "a cap was put in"
    sent = base64.b64decode(up().one(script)["body"])
    assert b"max_tokens" not in sent and b"max_completion_tokens" not in sent, f"{sent[-120:]!r}"
    assert {**json.loads(sent), "model": "lab/out"} == json.loads(body), f"other members than the caller's went upstream: {sent[:200]!r}"
    assert json.dumps(json.loads(body)["messages"]).encode() in sent, "the messages' own bytes were changed"
    rows = lines_of(g, answer)
    assert not [row for row in by_account(rows, "holds") if row["amount_nanos"]], "something was held for a key without a limit"
    assert spent(g, key) == Decimal("0.0002")


@check("ledger.append-only", "ledger_lines refuse UPDATE and DELETE, and no column of money is anything but an integer")
def _():
    g = money()
    lines_of(g, ok(ask(g, new_key(g, limit_usd="1")["key"])))
    db = sqlite3.connect(f"file:{g.data}/gateway.db?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    found = tables(db)
    assert "ledger_lines" in found, f"tables: {sorted(found)}"
    bad = [f"{t}.{c['name']} {c['type']}" for t, columns in found.items() for c in columns
           if any(word in c["name"] for word in ("usd", "cost", "amount", "balance", "nanos")) and "INT" not in c["type"].upper()]  # fmt: skip
    assert not bad, f"money that is no integer: {bad}"
    triggers = " ".join(str(row[0]) for row in db.execute("SELECT sql FROM sqlite_master WHERE type='trigger' AND tbl_name='ledger_lines'")).upper()
    assert "UPDATE" in triggers and "DELETE" in triggers, f"no triggers that keep lines: {triggers[:120]!r}"
    assert all(type(row[0]) is int for row in db.execute("SELECT amount_nanos FROM ledger_lines LIMIT 1000"))


@check("ledger.read-free", "GET of a generation, of the key and of the lists is never billed")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    answer = ok(ask(g, key["key"]))
    lines_of(g, answer)
    for path in (f"/v1/generation?id={answer.header('x-generation-id')}", "/v1/key", "/v1/models") * 3:
        ok(g.get(path, {"Authorization": f"Bearer {key['key']}"}), path)
    assert spent(g, key) == WORST, f"spent {spent(g, key)}"


@check("ledger.rounding", "parts are summed in pico-USD and booked once, exact to the nano-dollar: 3 + 7 tokens at $1 and $2 a million are 17,000 nano-USD")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    answer = ok(ask(g, key["key"], answering(7, prompt=3), "lab/in"))
    rows = lines_of(g, answer)
    cost = sum(abs(row["amount_nanos"]) for row in by_account(rows, "upstream"))
    assert cost == 3 * 1000 + 7 * 2000, f"{cost}"


@check("ledger.verify-clean", "ledger verify: ok, after streams, failures, fallbacks and callers who left; nothing held; exit 0 by CLI", timeout=140)
def _():
    g = money()
    lines_of(g, ok(ask(g, new_key(g, limit_usd="1")["key"])))
    nothing_held(g, 90)
    told = verified(g)
    assert told["lines"] > 0, f"{told}"
    assert cli_json("ledger", "verify", data_dir=g.data, timeout=40)["ok"] is True


@check("ledger.show", "ledger show by CLI: by request, by account, and the accounts' balances")
def _():
    g = money()
    key = new_key(g, limit_usd="1")
    answer = ok(ask(g, key["key"]))
    lines_of(g, answer)
    id = answer.header("x-generation-id")
    rows = cli_json("ledger", "show", "--request", id, data_dir=g.data)
    wanted = {"id", "entry_id", "request_id", "attempt", "kind", "account", "amount_nanos", "at_ms"}
    assert rows and wanted <= set(rows[0]) and all(row["request_id"] == id for row in rows), f"{rows[:1]}"
    own = cli_json("ledger", "show", "--account", f"key:{key['id']}", "--limit", "5", data_dir=g.data)
    assert own and {row["account"] for row in own} == {f"key:{key['id']}"}, f"{own[:2]}"
    balances = {row["account"]: row["balance_nanos"] for row in cli_json("ledger", "show", "--accounts", data_dir=g.data)}
    balance = balances[f"key:{key['id']}"]
    assert abs(balance) == NANOS, f"the key's balance is {balance}, not {NANOS}"

