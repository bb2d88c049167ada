"""What operators and callers ask: GET key, the admin API and its OpenAPI document, the commands with --json, usage sums and CSV."""

import csv
import io
import json
import time
from decimal import Decimal
from urllib.parse import quote

from harness import REPO, check, cli, eventually, usd
from money import (
    WORST,
    admin,
    answering,
    ask,
    cli_json_of,
    done,
    drop_budget,
    money,
    new_budget,
    new_key,
    new_user,
    ok,
    own,
    refused,
    spent,
)  # fmt: skip

PREFIXES = ("/api/gateway", "/api/gateway/v1", "/api/openrouter", "/api/openrouter/v1", "/api/v1", "/v1")
MEMBERS = {
    "label", "limit", "limit_remaining", "limit_reset", "usage", "usage_daily", "usage_weekly", "usage_monthly", "byok_usage", "byok_usage_daily",
    "byok_usage_weekly", "byok_usage_monthly", "is_free_tier", "is_management_key", "is_provisioning_key", "include_byok_in_limit", "expires_at",
    "creator_user_id", "rate_limit", "budgets", "effective_budget",
}  # fmt: skip


def own_key(g, key: str, prefix: str = "/v1") -> dict:
    return ok(g.get(prefix + "/key", {"Authorization": f"Bearer {key}"}), prefix).json()["data"]


for prefix in PREFIXES:

    @check(f"getkey{prefix.replace('/', '.')}", f"GET {prefix}/key: OpenRouter's shape, whole")
    def _(prefix=prefix):
        g = money()
        key = new_key(g, limit_usd="0.05", reset="daily")
        told = own_key(g, key["key"], prefix)
        assert MEMBERS <= set(told), f"missing {sorted(MEMBERS - set(told))}"
        assert (told["limit"], told["limit_remaining"], told["limit_reset"], told["usage"]) == (0.05, 0.05, "daily", 0), f"{told}"


@check("getkey.spent", "usage by day, week and month, limit_remaining, budgets[] and the effective one, after two requests; no limit: nulls")
def _():
    g = money()
    user = new_user(g)
    budget = new_budget(g, "user", user["id"], "0.004", "monthly")
    try:
        key = new_key(g, user_id=user["id"], limit_usd="0.05")
        for _ in range(2):
            ok(ask(g, key["key"]))
        told = eventually(lambda: (t := own_key(g, key["key"]))["usage"] and t, 6, 0.2)
        assert told and all(usd(told[name]) == 2 * WORST for name in ("usage", "usage_daily", "usage_weekly", "usage_monthly")), f"{told}"
        assert usd(told["limit_remaining"]) == Decimal("0.048") and told["limit_reset"] is None, f"{told}"
        wanted = {"scope", "limit_usd", "spend_usd", "remaining_usd", "reset_interval", "resets_at", "budget_id"}
        assert len(told["budgets"]) == 2 and all(wanted <= set(one) for one in told["budgets"]), f"{told['budgets']}"
        effective = told["effective_budget"]
        assert effective["budget_id"] == budget["id"] and usd(effective["remaining_usd"]) == 2 * WORST, f"{effective}"
        assert effective["reset_interval"] == "monthly", f"{effective}"
    finally:
        drop_budget(g, budget)
    free = own_key(g, new_key(g)["key"])
    assert free["limit"] is None and free["limit_remaining"] is None and free["budgets"] == [] and free["effective_budget"] is None, f"{free}"


@check("getkey.exhausted", "GET key answers for an exhausted key too, and for one with a limit of 0")
def _():
    g = money()
    key = new_key(g, limit_usd="0.001")
    ok(ask(g, key["key"]))
    refused(ask(g, key["key"]), 402)
    told = own_key(g, key["key"])
    assert usd(told["limit_remaining"]) == 0 and usd(told["usage"]) == WORST, f"{told}"
    assert own_key(g, new_key(g, limit_usd=0)["key"])["limit"] == 0


@check("getkey.kinds", "a management key and the owner's key are told as such; unknown and revoked keys are 401, no key 401")
def _():
    g = money()
    key = own_key(g, new_key(g, is_management=True)["key"])
    assert key["is_management_key"] is key["is_provisioning_key"] is True, f"{key}"
    assert own_key(g, new_key(g)["key"])["is_management_key"] is False
    gone = new_key(g)
    done(g, "DELETE", f"keys/{gone['id']}")
    for headers in ({}, {"Authorization": "Bearer kilo_" + "z" * 32}, {"Authorization": f"Bearer {gone['key']}"}):
        assert g.get("/v1/key", headers).status == 401, f"{list(headers.values())}"


@check("getkey.soft", "a soft limit alone is told as no limit")
def _():
    g = money()
    key = new_key(g)
    budget = new_budget(g, "key", key["id"], None, soft_limit_usd="1")
    try:
        assert own_key(g, key["key"])["limit"] is None
    finally:
        drop_budget(g, budget)


# ---------------------------------------------------------------- API


@check("api.openapi", "GET /api/admin/openapi.json: OpenAPI 3 that names every route and method of users, keys, budgets, usage, ledger and audit")
def _():
    g = money()
    document = done(g, "GET", "openapi.json")
    assert str(document["openapi"]).startswith("3."), f"{document.get('openapi')}"
    wanted = {
        "users": "get post", "users/{id}": "get patch delete", "users/{id}/tokens": "post", "keys": "get post", "keys/{id}": "get patch delete",
        "keys/{id}/rotate": "post", "budgets": "get post", "budgets/{id}": "get patch delete", "usage": "get", "ledger": "get", "ledger/verify": "get",
        "audit": "get", "audit/verify": "get",
    }  # fmt: skip
    for path, methods in wanted.items():
        entry = document["paths"].get("/api/admin/" + path)
        assert entry, f"no path /api/admin/{path}: {sorted(document['paths'])[:12]}"
        missing = [m for m in methods.split() if m not in entry]
        assert not missing, f"{path}: no {missing}"
        for method in methods.split():
            assert entry[method].get("responses") and (method in ("get", "delete") or entry[method].get("requestBody") or "reset" in path), f"{method} {path}"


@check("api.openapi-true", "what the admin API answers is what its document says: every GET against its response schema", timeout=20)
def _():
    g = money()
    document = done(g, "GET", "openapi.json")
    new_budget(g, "model", "never/asked", "1")

    def resolved(schema: dict) -> dict:
        while "$ref" in schema:
            at = document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                at = at[part]
            schema = at
        return schema

    for path in ("users", "keys", "budgets", "ledger"):
        schema = resolved(document["paths"]["/api/admin/" + path]["get"]["responses"]["200"]["content"]["application/json"]["schema"])
        rows = done(g, "GET", path)
        assert schema.get("type") == "array" and isinstance(rows, list), f"{path}: schema {str(schema)[:120]}"
        item = resolved(schema["items"])
        unknown = {name for row in rows[:50] for name in row} - set(item["properties"])
        assert not unknown, f"{path}: members that the document does not know: {sorted(unknown)}"
        missing = set(item.get("required", [])) - set(rows[0] if rows else item.get("required", []))
        assert not missing, f"{path}: required and not there: {sorted(missing)}"


@check("api.budgets", "budgets: create, list, show, update, delete; bad scopes, resets, targets and a soft limit above the hard one are refused")
def _():
    g = money()
    budget = new_budget(g, "model", "x/y", "1", "weekly", soft_limit_usd="0.5")
    wanted = {"id", "scope", "target", "reset", "limit_usd", "soft_limit_usd", "webhook", "spent_usd", "held_usd", "remaining_usd", "resets_at"}
    assert wanted <= set(budget) and budget["id"].startswith("budget-"), f"{budget}"
    assert usd(done(g, "PATCH", f"budgets/{budget['id']}", {"limit_usd": "2"})["limit_usd"]) == 2
    assert any(one["id"] == budget["id"] for one in done(g, "GET", "budgets"))
    good = {"scope": "model", "target": "x/z", "limit_usd": "1", "reset": "daily"}
    for bad in ({"scope": "planet"}, {"reset": "hourly"}, {"target": ""}, {"soft_limit_usd": "2"}, {"limit_usd": "-1"}, {"scope": "key", "target": "key-none"},
                {"scope": "user", "target": "user-none"}, {"webhook": "javascript:1"}, {"limit_usd": None}):  # fmt: skip
        answer = admin(g, "POST", "budgets", {**good, **bad})
        assert answer.status in (400, 404), f"took {bad}: {answer}"
    drop_budget(g, budget)
    assert admin(g, "GET", f"budgets/{budget['id']}").status == 404


@check("api.methods", "wrong methods are 405 with Allow, unknown resources 404, in OpenAI's shape")
def _():
    g = money()
    for method, path, status in (("PUT", "users", 405), ("DELETE", "ledger", 405), ("POST", "usage", 405), ("GET", "nothing", 404), ("PATCH", "ledger/1", 404)):
        answer = admin(g, method, path, {} if method != "GET" else None)
        assert answer.status == status and answer.json()["error"]["message"], f"{method} {path}: {answer}"
        assert status != 405 or answer.header("allow"), f"{path}: no Allow"


@check("api.injection", "names, targets and ids with quotes, wildcards, NUL and SQL are stored as they are or refused, and change nothing", timeout=20)
def _():
    g = money()
    before = len(done(g, "GET", "keys"))
    for text in ("'; DROP TABLE keys; --", '" OR 1=1', "%", "_", "../../etc", "<script>alert(1)</script>", "a\u202eb"):
        answer = admin(g, "POST", "budgets", {"scope": "session", "target": text, "limit_usd": "1", "reset": "never"})
        assert answer.status in (201, 400), f"{text!r}: {answer}"
        if answer.status == 201:
            assert answer.json()["target"] == text
            drop_budget(g, answer.json())
        assert admin(g, "GET", "keys/" + quote(text, safe="")).status in (400, 404), f"{text!r}"
        assert admin(g, "GET", "ledger", request_id=text).status in (200, 400) and admin(g, "GET", "usage", since=text).status == 400
    assert len(done(g, "GET", "keys")) == before


# ---------------------------------------------------------------- CLI


@check("cli.keys", "keys create with every option, show, update, rotate, revoke, by CLI with --json", timeout=60)
def _():
    with own("keys-cli") as g:
        made = cli_json_of("keys", "create", "--name", "all", "--limit-usd", "0.05", "--reset", "monthly", "--models", "lab/*,other/out", "--endpoints", "chat",
                           "--ips", "127.0.0.0/8", "--expires", "30d", "--rpm", "100", "--tpm", "100000", "--concurrency", "5", g=g)  # fmt: skip
        assert (made["limit_usd"], made["reset"], made["models"], made["endpoints"]) == (0.05, "monthly", ["lab/*", "other/out"], ["chat"]), f"{made}"
        assert (made["requests_per_minute"], made["tokens_per_minute"], made["concurrency"]) == (100, 100000, 5), f"{made}"
        assert abs(made["expires_ms"] / 1000 - time.time() - 30 * 86400) < 60, f"{made['expires_ms']}"
        ok(ask(g, made["key"]))
        shown = cli_json_of("keys", "show", "all", g=g)
        assert shown["id"] == made["id"] and "key" not in shown
        updated = cli_json_of("keys", "update", "all", "--limit-usd", "none", "--reset", "never", "--rpm", "none", g=g)
        assert updated["limit_usd"] is None and updated["requests_per_minute"] is None, f"{updated}"
        rotated = cli_json_of("keys", "rotate", "all", "--grace", "0s", g=g)
        assert rotated["key"] != made["key"] and ask(g, made["key"]).status == 401
        ok(ask(g, rotated["key"]))
        assert cli_json_of("keys", "update", "all", "--disable", g=g)["disabled"] is True
        assert cli_json_of("keys", "revoke", "all", g=g)["id"] == made["id"]


@check("cli.keys-issue", "as in the issue: keys create --limit-usd 0.05 --reset daily|weekly|monthly|never; bad values end with 1 or 2 and a line", timeout=60)
def _():
    with own("keys-issue") as g:
        for reset in ("daily", "weekly", "monthly", "never"):
            assert cli_json_of("keys", "create", "--name", reset, "--limit-usd", "0.05", "--reset", reset, g=g)["reset"] == reset
        for option, value in (("--limit-usd", "-1"), ("--limit-usd", "0.0000000001"), ("--limit-usd", "nan"), ("--reset", "hourly"), ("--expires", "yesterday"),
                              ("--ips", "nowhere"), ("--rpm", "-3")):  # fmt: skip
            bad = cli("keys", "create", "--name", "bad", option, value, data_dir=g.data)
            assert bad.returncode in (1, 2) and "Traceback" not in bad.stderr and bad.stderr.strip(), f"{option} {value}: exit {bad.returncode}"


@check("cli.budgets", "budgets create, list, show, update, delete by CLI; also when no gateway runs", timeout=60)
def _():
    with own("budgets-cli") as g:
        made = cli_json_of("budgets", "create", "--scope", "model", "--target", "lab/*", "--limit-usd", "0.001", "--soft-limit-usd", "0.0005", "--reset", "daily", g=g)
        key = new_key(g)
        ok(ask(g, key["key"]))
        refused(ask(g, key["key"]), 402)
        assert cli_json_of("budgets", "update", made["id"], "--limit-usd", "1", g=g)["limit_usd"] == 1
        ok(ask(g, key["key"]))
        assert g.stop() == 0
        assert usd(cli_json_of("budgets", "show", made["id"], g=g)["spent_usd"]) == 2 * WORST
        assert [one["id"] for one in cli_json_of("budgets", "list", g=g)] == [made["id"]]
        cli_json_of("budgets", "delete", made["id"], g=g)
        assert cli_json_of("budgets", "list", g=g) == []


@check("cli.usage", "usage --by day, model, key with sums that agree with the rows; --since and --until; --csv", timeout=60)
def _():
    with own("usage-cli") as g:
        keys = [new_key(g) for _ in range(2)]
        for n in range(5):
            ok(ask(g, keys[n % 2]["key"], answering(100, prompt=10), "lab/out" if n < 3 else "lab/dear"))
        assert eventually(lambda: len(g.usage()) >= 5, 6, 0.2)
        today = time.strftime("%Y-%m-%d", time.gmtime())
        day = cli_json_of("usage", "--by", "day", g=g)
        assert len(day) == 1 and day[0]["day"] == today and day[0]["requests"] == 5 and usd(day[0]["cost_usd"]) == Decimal("0.0046"), f"{day}"
        models = {row["model"]: row for row in cli_json_of("usage", "--by", "model", g=g)}
        assert usd(models["lab/out"]["cost_usd"]) == Decimal("0.0006") and models["lab/dear"]["requests"] == 2, f"{models}"
        assert models["lab/out"]["prompt_tokens"] == 30 and models["lab/out"]["completion_tokens"] == 300, f"{models['lab/out']}"
        both = cli_json_of("usage", "--by", "key,model", g=g)
        assert sum(row["requests"] for row in both) == 5 and len(both) == 4 and {"key", "model"} <= set(both[0]), f"{both}"
        assert cli_json_of("usage", "--by", "day", "--until", "2020-01-01", g=g) == []
        text = cli("usage", "--by", "model", "--csv", data_dir=g.data, config=g.config)
        rows = list(csv.DictReader(io.StringIO(text.stdout)))
        assert text.returncode == 0 and {row["model"] for row in rows} == {"lab/out", "lab/dear"}, f"{(text.stderr or text.stdout)[:160]}"
        assert {row["model"]: Decimal(row["cost_usd"]) for row in rows}["lab/dear"] == Decimal("0.004"), f"{rows}"
        assert spent(g, keys[0]) + spent(g, keys[1]) == Decimal("0.0046")


@check("cli.usage-csv-safe", "--csv writes names that begin with = + - @ so that no spreadsheet runs them", timeout=30)
def _():
    with own("usage-csv") as g:
        user = done(g, "POST", "users", {"name": "=cmd|' /C calc'!A0", "role": "member"})
        key = new_key(g, name="@SUM(1)", user_id=user["id"])
        ok(ask(g, key["key"]))
        eventually(lambda: g.usage(), 6, 0.2)
        for by in ("user", "key"):
            text = cli("usage", "--by", by, "--csv", data_dir=g.data, config=g.config)
            assert text.returncode == 0, f"{text.stderr[:160]}"
            bad = [cell for row in csv.reader(io.StringIO(text.stdout)) for cell in row if cell[:1] in "=+-@" and cell and not cell[1:2].isdigit()]
            assert not bad, f"{bad}"


@check("cli.help", "users, keys, budgets, usage, ledger, reconcile and audit are in --help, each with its own, within 1 s", timeout=40)
def _():
    text = cli("--help").stdout
    missing = [word for word in ("users", "keys", "budgets", "usage", "ledger", "reconcile", "audit") if word not in text]
    assert not missing, f"not in --help: {missing}"
    for words in (("users",), ("budgets",), ("ledger", "verify"), ("reconcile",), ("audit", "verify"), ("keys", "rotate")):
        began = time.monotonic()
        shown = cli(*words, "--help")
        assert shown.returncode == 0 and time.monotonic() - began < 1.5, f"{words}: exit {shown.returncode}, {time.monotonic() - began:.1f} s"
    documented = json.dumps([word for word in ("keys rotate", "budgets", "reconcile", "audit verify") if word not in _docs()])
    assert documented == "[]", f"not in docs/cli.md: {documented}"


def _docs() -> str:
    return (REPO / "docs/cli.md").read_text()
