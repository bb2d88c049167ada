"""Budgets: on user, key, model and session, by day, week, month and for ever; soft and hard; what the 402 says; ceilings of one request."""

import calendar
import http.server
import json
import re
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from checks_money_stream import cut, endless
from harness import Gateway, check, eventually, gateway, gw, up, usd
from money import (
    WORST,
    Clock,
    admin,
    answering,
    ask,
    done,
    drop_budget,
    key_of,
    lab,
    money,
    new_budget,
    new_key,
    new_user,
    ok,
    own,
    refused,
    spent,
)  # fmt: skip

PERIODS = ("daily", "weekly", "monthly", "never")


def resets(reset: str, now: float | None = None) -> str | None:
    """When this period is over, as ISO 8601."""
    today = datetime.fromtimestamp(now or time.time(), UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = {"daily": today + timedelta(1), "weekly": today + timedelta(7 - today.weekday()), "never": None,
           "monthly": today.replace(day=1) + timedelta(calendar.monthrange(today.year, today.month)[1])}[reset]  # fmt: skip
    return day and day.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_moment(told, wanted: str | None) -> bool:
    if wanted is None or told is None:
        return told == wanted
    return datetime.fromisoformat(str(told).replace("Z", "+00:00")) == datetime.fromisoformat(wanted.replace("Z", "+00:00"))


@contextmanager
def scoped(scope: str, reset: str, limit: str = "0.002"):
    """A budget of two requests on this scope, and how to ask under it. Gives (gateway, budget, ask, target)."""
    g = gw("budgets")
    user = new_user(g)
    key = new_key(g, user_id=user["id"])
    session = f"s-{key['id']}"
    target = {"user": user["id"], "key": key["id"], "model": "other/out", "session": session}[scope]
    budget = new_budget(g, scope, target, limit, reset)
    model_id, more = ("other/out", {}) if scope == "model" else ("lab/out", {"session_id": session} if scope == "session" else {})
    try:
        yield g, budget, lambda: ask(g, key["key"], model_id=model_id, **more), target
    finally:
        drop_budget(g, budget)


@gateway("budgets")
def budgets_gateway() -> Gateway:
    return Gateway("budgets", lab(), workers=2)


for scope in ("user", "key", "model", "session"):
    for reset in PERIODS:

        @check(f"budget.{scope}-{reset}", f"a budget on a {scope}, {reset}: two requests fit, the third is a 402 that names it, what is left, when it resets")
        def _(scope=scope, reset=reset):
            with scoped(scope, reset) as (g, budget, request, target):
                ok(request(), "first")
                ok(request(), "second")
                answer = request()
                error = refused(answer, 402, "third")
                told = error["metadata"]
                assert told["reason"] == "budget_exhausted" and told["budget_id"] == budget["id"], f"{told}"
                assert (told["scope"], told["target"], told["reset"]) == (scope, target, reset), f"{told}"
                assert usd(told["limit_usd"]) == Decimal("0.002") and usd(told["remaining_usd"]) == 0 and usd(told["needed_usd"]) == WORST, f"{told}"
                assert is_moment(told["resets_at"], resets(reset)), f"resets_at {told['resets_at']!r}, not {resets(reset)!r}"
                assert error["code"] == "insufficient_funds" and answer.header("x-should-retry") == "false", f"{error['code']} {answer.headers}"
                assert scope in error["message"].lower(), f"the message does not name the {scope}: {error['message']}"
                assert reset == "never" or re.search(r"reset", error["message"], re.IGNORECASE), f"no word of the reset: {error['message']}"


@check("budget.cheapest", "the 402 names the cheapest model that would still fit, and null where none does")
def _():
    g = money()
    key = new_key(g, limit_usd="0.0002")
    told = refused(ask(g, key["key"]), 402)["metadata"]
    assert told["cheapest_model"] in ("lab/cheap", "lab/gratis", "lab/open"), f"cheapest_model {told.get('cheapest_model')!r} with $0.0002 left"
    ok(ask(g, key["key"], model_id=told["cheapest_model"]))
    scoped_key = new_key(g, limit_usd="0.0002", models=["lab/out", "lab/dear"])
    told = refused(ask(g, scoped_key["key"]), 402)["metadata"]
    assert told["cheapest_model"] is None, f"{told['cheapest_model']} is not among the key's models"


@check("budget.shapes", "the 402 in each caller's own shape: Messages and Responses")
def _():
    g = money()
    key = new_key(g, limit_usd="0.000001")
    messages = g.post(json.dumps({"model": "lab/out", "max_tokens": 500, "messages": [{"role": "user", "content": "x"}]}).encode(), path="/v1/messages", key=key["key"])
    assert messages.status == 402 and messages.json()["type"] == "error", f"{messages}"
    responses = g.post(json.dumps({"model": "lab/out", "max_output_tokens": 500, "input": "x"}).encode(), path="/v1/responses", key=key["key"])
    assert responses.status == 402 and responses.json()["error"]["message"], f"{responses}"
    assert messages.header("x-should-retry") == responses.header("x-should-retry") == "false", "x-should-retry"


@check("budget.sessions", "a session is session_id in the body, else x-session-id, else X-KiloCode-TaskId; target '*' is each session for itself")
def _():
    g = gw("budgets")
    budget = new_budget(g, "session", "*", "0.001")
    try:
        key = new_key(g)
        for n, (headers, more) in enumerate((({}, {"session_id": "one"}), ({"x-session-id": "two"}, {}), ({"X-KiloCode-TaskId": "three"}, {}),
                                             ({"x-session-id": "other", "X-KiloCode-TaskId": "another"}, {"session_id": "four"}))):  # fmt: skip
            ok(ask(g, key["key"], headers=headers, **more), f"session {n}")
            error = refused(ask(g, key["key"], headers=headers, **more), 402, f"session {n} again")
            assert error["metadata"]["scope"] == "session", f"{error['metadata']}"
        told = error["metadata"]
        assert told["target"] in ("four", "*"), f"{told}"
        ok(ask(g, key["key"]), "without a session")
    finally:
        drop_budget(g, budget)


@check("budget.model-wildcard", "a budget on lab/* is one for all of them together; another author's model is not under it")
def _():
    g = gw("budgets")
    budget = new_budget(g, "model", "lab/*", "0.002")
    try:
        key = new_key(g)
        ok(ask(g, key["key"]))
        ok(ask(g, key["key"], model_id="lab/both"))
        refused(ask(g, key["key"]), 402)
        ok(ask(g, key["key"], model_id="other/out"))
    finally:
        drop_budget(g, budget)


@check("budget.each", "target '*' on keys: each key for itself")
def _():
    g = gw("budgets")
    budget = new_budget(g, "key", "*", "0.001")
    try:
        for _ in range(2):
            key = new_key(g)
            ok(ask(g, key["key"]))
            refused(ask(g, key["key"]), 402)
    finally:
        drop_budget(g, budget)


@check("budget.zero", "a limit of 0 blocks, null means none; a limit taken away frees", timeout=20)
def _():
    g = money()
    blocked, free = new_key(g, limit_usd=0), new_key(g, limit_usd=None)
    refused(ask(g, blocked["key"]), 402, "limit 0")
    assert key_of(g, blocked)["limit_usd"] == 0 and key_of(g, free)["limit_usd"] is None
    ok(ask(g, free["key"]), "limit null")
    done(g, "PATCH", f"keys/{blocked['id']}", {"limit_usd": None})
    ok(ask(g, blocked["key"]), "after the limit was taken away")


@check("budget.inexact", "amounts that are not exact are refused with 400: ten decimals, negative, NaN, Infinity, text, huge, true")
def _():
    g = money()
    for bad in ('"0.0000000001"', "0.0000000001", "-1", '"NaN"', "NaN", "Infinity", '"much"', "1e30", "1e400", "true", "[]", '"1,5"', '""'):
        for path, body in (("keys", '{"name": "bad", "limit_usd": %s}'), ("budgets", '{"scope": "model", "target": "x", "reset": "never", "limit_usd": %s}')):
            answer = admin(g, "POST", path, (body % bad).encode())
            assert answer.status == 400, f"{path} took limit_usd {bad}: {answer}"
            assert "usd" in str(answer.json()["error"]["message"]).lower() or bad in ("NaN", "Infinity", "1e400"), f"{bad}: {answer.body[:160]!r}"
    for good, exact in (("0.000000001", "0.000000001"), ("0.1", "0.1"), (0.3, "0.3"), (1e-9, "0.000000001"), ("123456.789012345", "123456.789012345")):
        made = new_key(g, limit_usd=good)
        assert usd(made["limit_usd"]) == Decimal(exact), f"{good} became {made['limit_usd']}"


@check("budget.restart", "what was spent is not forgotten by a restart of the gateway, clean or by kill -9", timeout=60)
def _():
    with own("restart") as g:
        key = new_key(g, limit_usd="0.003")
        for how in (g.stop, g.kill):
            ok(ask(g, key["key"]), "before the restart")
            assert eventually(lambda: spent(g, key) > 0, 4, 0.1)
            how()
            g.start()
        ok(ask(g, key["key"]), "the third")
        refused(ask(g, key["key"]), 402, "the fourth, after two restarts")


def moved(reset: str, seconds_before: int = 2) -> float:
    return datetime.fromisoformat(str(resets(reset)).replace("Z", "+00:00")).timestamp() - seconds_before


for reset in PERIODS[:3]:

    @check(f"budget.resets-{reset}", f"{reset}: the wall clock over the boundary (UTC, week from Monday): money again; before it not", timeout=40, waits=True)
    def _(reset=reset):
        clock = Clock()
        with own(f"resets-{reset}", workers=2, **clock.env) as g:
            key = new_key(g, limit_usd="0.001", reset=reset)
            keys = new_key(g, limit_usd="0.001", reset="never")
            for one in (key, keys):
                ok(ask(g, one["key"]))
            clock.to(moved(reset, 60))
            time.sleep(0.5)
            refused(ask(g, key["key"]), 402, "a minute before")
            clock.move(90)
            answer = eventually(lambda: (a := ask(g, key["key"])).status == 200 and a, 8, 0.5)
            assert answer, f"still refused after the reset: {ask(g, key['key'])}"
            refused(ask(g, key["key"]), 402, "spent again")
            refused(ask(g, keys["key"]), 402, "never resets")
            told = key_of(g, key)
            assert usd(told["usage_usd"]) == WORST, f"usage of the new period: {told['usage_usd']}"


# ---------------------------------------------------------------- soft limits


class Hook:
    """Hears webhooks."""

    def __init__(self) -> None:
        heard = self.heard = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@check("budget.soft", "past the soft limit: answered, with x-kilo-budget-warning that names the budget; below it no header")
def _():
    g = gw("budgets")
    key = new_key(g)
    budget = new_budget(g, "key", key["id"], "0.01", soft_limit_usd="0.0015")
    try:
        seen = []
        for _ in range(3):
            answer = ok(ask(g, key["key"]))
            seen.append(answer.header("x-kilo-budget-warning"))
            assert eventually(lambda n=len(seen): spent(g, key) == n * WORST, 5, 0.1), f"{spent(g, key)}"
            time.sleep(0.3)
        assert seen[0] is None and seen[2] and budget["id"] in seen[2], f"headers {seen}"
    finally:
        drop_budget(g, budget)


@check("budget.soft-alone", "a soft limit without a hard one warns and never refuses, holds nothing, puts no cap in")
def _():
    g = gw("budgets")
    key = new_key(g)
    budget = new_budget(g, "key", key["id"], None, soft_limit_usd="0.0005")
    try:
        answers = []
        for _ in range(3):
            answers.append(ok(ask(g, key["key"], cap=None)))
            eventually(lambda n=len(answers): spent(g, key) == n * WORST, 5, 0.1)
            time.sleep(0.3)
        assert answers[-1].header("x-kilo-budget-warning"), f"{answers[-1].headers}"
        assert answers[-1].header("x-kilo-max-tokens") is None
    finally:
        drop_budget(g, budget)


@check("budget.webhook", "a webhook at the soft limit, once in the period, with budget, limits, spent; and one when the hard limit first refuses", timeout=40, waits=True)
def _():
    hook = Hook()
    with own("webhook", lab(extra=f'[webhooks]\ntrusted_hosts = ["127.0.0.1:{hook.port}"]\n')) as g:
        key = new_key(g)
        budget = new_budget(g, "key", key["id"], "0.003", "daily", soft_limit_usd="0.0015", webhook=f"http://127.0.0.1:{hook.port}/hook")
        for _ in range(3):
            ok(ask(g, key["key"]))
        refused(ask(g, key["key"]), 402)
        refused(ask(g, key["key"]), 402)
        assert eventually(lambda: len(hook.heard) >= 2, 10, 0.2), f"heard {hook.heard}"
        time.sleep(1)
        assert sorted(one["event"] for one in hook.heard) == ["budget.hard_limit", "budget.soft_limit"], f"{[one['event'] for one in hook.heard]}"
        soft = next(one for one in hook.heard if one["event"] == "budget.soft_limit")
        wanted = {"budget_id", "scope", "target", "limit_usd", "soft_limit_usd", "spent_usd", "resets_at"}
        assert wanted <= set(soft) and soft["budget_id"] == budget["id"], f"{soft}"
        assert key["key"] not in json.dumps(hook.heard), "the key is in the webhook"


@check("budget.webhook-guard", "a webhook to a metadata address or, untrusted, to loopback is refused or never called")
def _():
    g, hook = gw("budgets"), Hook()
    for url in ("http://169.254.169.254/latest", f"http://127.0.0.1:{hook.port}/", "file:///etc/passwd", f"http://[::ffff:127.0.0.1]:{hook.port}/"):
        key = new_key(g)
        answer = admin(g, "POST", "budgets", {"scope": "key", "target": key["id"], "limit_usd": "1", "soft_limit_usd": "0.0005", "reset": "never", "webhook": url})
        assert answer.status in (201, 400), f"{url}: {answer}"
        if answer.status == 201:
            assert "file" not in url, "a file: URL was taken"
            ok(ask(g, key["key"]))
    time.sleep(1.5)
    assert not hook.heard, f"called: {hook.heard}"


# ---------------------------------------------------------------- one request's ceiling


@check("budget.max-cost", "max_cost_usd and X-Kilo-Max-Cost-Usd are hard ceilings beside any budget, fallbacks included; the smaller holds", timeout=20)
def _():
    g = money()
    for key in (new_key(g)["key"], new_key(g, limit_usd="1")["key"]):
        refused(ask(g, key, max_cost_usd=0.0009), 402)
        refused(ask(g, key, headers={"X-Kilo-Max-Cost-Usd": "0.0009"}), 402)
        refused(ask(g, key, headers={"X-Kilo-Max-Cost-Usd": "0.0009"}, max_cost_usd=5), 402)
        ok(ask(g, key, max_cost_usd=0.001))
        script = answering(500)
        answer = ok(ask(g, key, script, "lab/both", max_cost_usd=0.0015))
        assert answer.header("x-kilo-provider") == "alpha" and {row["port"] for row in up().log(script)} == {0}, "the dear endpoint was tried"


@check("budget.max-cost-stream", "a stream under max_cost_usd is cut at that ceiling, with the reason", timeout=20)
def _():
    g = money()
    key = new_key(g)
    answer = ask(g, key["key"], endless(), cap=None, stream=True, max_cost_usd=0.0008, timeout=15)
    cut(answer)
    assert eventually(lambda: spent(g, key) > 0, 5, 0.2) and spent(g, key) <= Decimal("0.0008"), f"{spent(g, key)}"
