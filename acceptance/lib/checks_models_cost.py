"""What a request costs by the catalogue's prices, against whole numbers worked out here; prices that are unknown, and become known."""

import json
import random
from decimal import Decimal

import wire
from catalogue import (
    appears, booked, cost_of, costs, endpoints, every, fake, ids, openrouter_upstream, price_of, refresh, say, served, settings, table, whole,
)  # fmt: skip
from catalogue_lists import row as list_row
from catalogue_upstreams import USAGE, Fake, priced
from harness import Gateway, check, cli_json, eventually, gateway, gw, usd

PROMPT, COMPLETION, CACHED, REASONING = 1_000, 500, 400, 120  # of catalogue_upstreams.USAGE
M = 1_000_000  # pico-USD a token of a price of 1 USD/M
assert USAGE["prompt_tokens"] == PROMPT and USAGE["prompt_tokens_details"]["cached_tokens"] == CACHED


def usage(prompt: int, completion: int, prompt_details: dict | None = None, completion_details: dict | None = None, **more) -> dict:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": prompt_details or {}, "completion_tokens_details": completion_details or {}, **more}  # fmt: skip


# id, usage (None: USAGE), pico-USD, what it shows
COSTS = {
    "plain": ("acme/plain", None, PROMPT * 1_300_000 + COMPLETION * 4_700_000, "cached and reasoning tokens without a price of their own cost as the others"),
    "cache-read": ("acme/cached", None, (PROMPT - CACHED) * 3 * M + CACHED * 300_000 + COMPLETION * 15 * M, "cache reads have their own price"),
    "cache-write": ("acme/written", usage(1_000, 500, {"cached_tokens": 400, "cache_write_tokens": 300}),
                    300 * 3 * M + 400 * 300_000 + 300 * 3_750_000 + 500 * 15 * M, "cache reads and writes"),
    "reasoning": ("acme/thinker", None, PROMPT * M + (COMPLETION - REASONING) * 2 * M + REASONING * 7 * M, "reasoning has its own price"),
    "audio": ("acme/heard", usage(1_000, 500, {"audio_tokens": 100}), 900 * M + 100 * 40 * M + 500 * 2 * M, "audio in the prompt has its own price"),
    "web-search": ("acme/searched", usage(1_000, 500, server_tool_use_details={"web_search_requests": 2}),
                   1_000 * M + 500 * 2 * M + 2 * 10**10, "web searches are priced each"),
    "request": ("acme/by-request", None, PROMPT * 500_000 + COMPLETION * 1_500_000 + 5 * 10**9, "the price of a request is added"),
    "exponent": ("acme/fine-print", None, PROMPT * 1_300_000 + COMPLETION * 4_700_000, "1.3e-06 is a price"),
    "tiny": ("acme/tiny", usage(3, 2), 3 * 7 + 2 * 13, "a sum below one nano-USD is rounded up once"),
    "below-tier": ("acme/tiered", usage(127_999, 10), 127_999 * 2 * M + 10 * 6 * M, "below the tier the first price"),
    "at-tier": ("acme/tiered", usage(128_000, 10), 128_000 * 2 * M + 10 * 6 * M, "at the number of the tier the first price: it holds above it"),
    "above-tier": ("acme/tiered", usage(128_001, 10), 128_001 * 4 * M + 10 * 10 * M, "above it the tier's, for all tokens"),
    "tier-cache": ("acme/tiered", usage(200_000, 10, {"cached_tokens": 150_000}), 50_000 * 4 * M + 150_000 * 200_000 + 10 * 10 * M,
                   "what a tier does not name keeps its price"),
    "second-tier": ("acme/tiered", usage(600_000, 10), 600_000 * 8 * M + 10 * 10 * M, "of two tiers that hold the later wins, price by price"),
    "in-window": ("acme/by-day", None, PROMPT * 5 * M + COMPLETION * 2 * M, "inside a window of the UTC day its price"),
    "out-of-window": ("acme/by-night", None, PROMPT * M + COMPLETION * 2 * M, "outside of it the first price"),
    "free": ("acme/robin:free", None, 0, ":free is 0"),
    "variant": ("acme/robin:thinking", None, PROMPT * 1_200_000 + COMPLETION * 2_400_000, "a listed variant has its own price"),
    "zero-tokens": ("acme/plain", usage(0, 0), 0, "nothing used is 0, not unknown"),
}  # fmt: skip

for name, (id, used, pico, what) in COSTS.items():

    @check(f"cost.{name}", f"{id}: {what}; JSON, stream and the usage row agree to the nano-USD")
    def _(id=id, used=used, pico=pico):
        g, openrouter = whole(), openrouter_upstream()
        openrouter.usage = used
        try:
            for stream in (False, True):
                answer = served(g.post(say(id, stream)))
                told = wire.chunks(answer.body)[-1]["usage"] if stream else answer.json()["usage"]
                row = booked(g, answer)
                costs(row, pico)
                assert usd(told["cost"]) == cost_of(pico), f"stream={stream}: usage.cost {told['cost']!r}, not {cost_of(pico)}"
                assert row.get("pricing") == "known", f"pricing {row.get('pricing')!r}: {row}"
        finally:
            openrouter.usage = None


@check("cost.images", "images in the prompt are priced each, where they have a price")
def _():
    g = whole()
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    answer = g.post(say("acme/seen", content=[{"type": "text", "text": "what is this?"}, image, image]))
    costs(booked(g, answer), PROMPT * M + COMPLETION * 2 * M + 2 * 1_200_000_000)


@check("cost.configured", "the operator's price is booked where he gave one, though an upstream lists another")
def _():
    g = whole()
    row = booked(g, g.post(say("acme/big-context")))
    assert row["provider"] == "desk", f"{row}"
    costs(row, PROMPT * 7 * M + COMPLETION * 8 * M)


@check("cost.filled", "a price from the table of prices is booked like any other: what the list shows is what it costs")
def _():
    g = whole()
    fake("openai").usage = usage(1_000, 500)
    try:
        row = booked(g, g.post(say("openai/gpt-4.1-mini")))
    finally:
        fake("openai").usage = None
    prompt, completion = (int(price * 10**12) for price in price_of(every(g)["openai/gpt-4.1-mini"]))
    assert prompt > 0, "no price in the list"
    costs(row, 1_000 * prompt + 500 * completion)


@check("cost.auto", "kilo/auto costs what the model behind it costs")
def _():
    g = whole()
    costs(booked(g, g.post(say("kilo/auto"))), PROMPT * 500_000 + COMPLETION * 1_500_000)


@check("cost.many", "200 requests of random usages cost together what they cost one by one, to the nano-USD", timeout=60)
def _():
    rng, g, openrouter, wanted = random.Random(7), whole(), openrouter_upstream(), {}
    try:
        for _ in range(200):
            prompt, completion = rng.randint(1, 400_000), rng.randint(0, 9_000)
            cached = rng.randint(0, prompt)
            openrouter.usage = usage(prompt, completion, {"cached_tokens": cached})
            answer = served(g.post(say("acme/tiered")))
            first, second = (4 * M, 10 * M) if prompt > 128_000 else (2 * M, 6 * M)
            wanted[answer.header("x-generation-id")] = cost_of((prompt - cached) * first + cached * 200_000 + completion * second)
    finally:
        openrouter.usage = None
    rows: dict = {}

    def all_are_there() -> bool:
        rows.update({row["id"]: row for row in _latest(g, 400) if row["id"] in wanted})
        return len(rows) == len(wanted)

    assert eventually(all_are_there, 8, 0.3), f"{len(rows)} of {len(wanted)} rows"
    wrong = [(id, rows[id]["cost_usd"], cost) for id, cost in wanted.items() if usd(rows[id]["cost_usd"]) != cost]
    assert not wrong, f"{len(wrong)} differ: {wrong[:2]}"
    return f"{sum(wanted.values())} USD"


def _latest(g: Gateway, limit: int) -> list[dict]:
    return cli_json("usage", "--limit", str(limit), data_dir=g.data)


# -- unknown prices


@gateway("unpriced")
def unpriced_gateway() -> Gateway:
    return Gateway("unpriced", settings(table("lab", fake("lab", "house")), refresh_s=1))


@check("unpriced.served", "a model of unknown price is served; its row says cost null and unpriced, the answer cost null; never 0", timeout=40)
def _():
    g = gw("unpriced")
    appears(g, "lab/my-model")
    for stream in (False, True):
        answer = served(g.post(say("lab/my-model", stream)))
        told = wire.chunks(answer.body)[-1]["usage"] if stream else answer.json()["usage"]
        row = booked(g, answer)
        assert row["cost_usd"] is None and row["pricing"] == "unpriced", f"{row}"
        assert told["cost"] is None, f"usage.cost {told['cost']!r}"
        assert row["prompt_tokens"] == PROMPT and row["completion_tokens"] == COMPLETION, f"{row}"
    assert answer.header("x-kilo-cost-usd") is None, "a cost in the head of an answer without one"
    assert price_of(every(g)["lab/my-model"]) == (-1, -1) and every(g)["lab/my-model"]["isFree"] is False


@check("unpriced.limit", "where a limit applies an unknown price is a 402 with the fix, by body and by header; a known one is held to it")
def _():
    g = gw("unpriced")
    for headers, more in (({}, {"max_cost_usd": 5}), ({"X-Kilo-Max-Cost-Usd": "5"}, {})):
        answer = g.post(say("lab/my-model", **more), headers=headers)
        error = answer.json()["error"]
        assert answer.status == 402 and error["code"] == "insufficient_funds", f"{answer.status} {error}"
        assert error["metadata"]["reason"] == "price_unknown" and "input_usd_per_mtok" in error["message"], f"{error}"
    dear, fits = (whole().post(say("acme/plain", max_cost_usd=limit)) for limit in (0, 1))
    assert dear.status == 402 and dear.json()["error"]["metadata"]["reason"] == "max_cost", f"{dear.status} {dear.body[:200]}"
    assert served(fits).header("x-kilo-max-tokens"), "no x-kilo-max-tokens"
    assert usd(booked(whole(), fits)["cost_usd"]) <= 1


@check("unpriced.depends", "a price of -1 is unknown too: unpriced, cost null")
def _():
    row = booked(whole(), whole().post(say("acme/depends-0")))
    assert row["cost_usd"] is None and row["pricing"] == "unpriced", f"{row}"


@check("unpriced.repriced", "when the upstream lists a price the rows of before are re-priced by it, exactly, once", timeout=60)
def _():
    g, lab = gw("unpriced"), fake("lab", "house")
    appears(g, "lab/other-model")
    lab.usage = usage(1_001, 333, {"cached_tokens": 500})
    answers = [served(g.post(say("lab/other-model"))) for _ in range(3)]
    lab.usage = None
    assert {booked(g, answer)["pricing"] for answer in answers} == {"unpriced"}
    lab.rows = priced(lab.rows, "other-model", prompt="0.0000007", completion="0.0000021", input_cache_read="0.00000007")
    assert eventually(lambda: price_of(every(g)["lab/other-model"]) == (Decimal("0.0000007"), Decimal("0.0000021")), 8, 0.2), "the price does not appear"
    pico = 501 * 700_000 + 500 * 70_000 + 333 * 2_100_000
    for answer in answers:
        id = answer.header("x-generation-id")
        assert eventually(lambda id=id: g.row(id)["pricing"] == "repriced", 10, 0.5), f"{g.row(id)}"
        costs(g.row(id), pico)
    lab.rows = priced(lab.rows, "other-model", prompt="0.0000009")
    assert eventually(lambda: price_of(every(g)["lab/other-model"])[0] == Decimal("0.0000009"), 8, 0.2)
    costs(g.row(answers[0].header("x-generation-id")), pico)
    row = booked(g, g.post(say("lab/other-model")))
    assert row["pricing"] == "known" and row["cost_usd"] is not None, f"{row}"


@check("unpriced.others-stay", "rows of another model, and of a known price, are not touched by that", timeout=40)
def _():
    g = gw("unpriced")
    rows = [row for row in g.usage() if row["model"] == "lab/my-model"]
    assert rows and {row["pricing"] for row in rows} == {"unpriced"} and {row["cost_usd"] for row in rows} == {None}, f"{rows[:2]}"


@check("unpriced.generation", "/generation tells the re-priced cost", timeout=40)
def _():
    g = gw("unpriced")
    found = [row for row in g.usage() if row["pricing"] == "repriced"]
    assert found, "no row was re-priced"
    told = json.loads(g.get(f"/v1/generation?id={found[0]['id']}", headers={"Authorization": f"Bearer {g.key}"}).body)["data"]
    assert usd(told["total_cost"]) == usd(found[0]["cost_usd"]), f"{told['total_cost']} {found[0]['cost_usd']}"


# -- prices that change


@check("price.changes", "a price that changes upstream holds for requests after the refresh, not for those before", timeout=60)
def _():
    shop = Fake("openrouter", [list_row("shop/one", 1, prompt="0.000001", completion="0.000003"), list_row("shop/two", 2)]).start()
    g = Gateway("shop", settings(table("shop", shop))).start()
    appears(g, "shop/one")
    before = booked(g, g.post(say("shop/one")))
    shop.mode = "dearer"
    refresh(g)
    assert eventually(lambda: price_of(every(g)["shop/one"])[0] == Decimal("0.000002"), 8, 0.1), f"{every(g)['shop/one']['pricing']}"
    after = booked(g, g.post(say("shop/one")))
    costs(after, PROMPT * 2 * M + COMPLETION * 6 * M)
    costs(g.row(before["id"]), PROMPT * M + COMPLETION * 3 * M)
    assert {each["provider_name"] for each in endpoints(g, "shop/one")} == {"shop"} and "shop/two" in ids(g)
    g.stop()
    shop.stop()
