"""What is in the list: rows of all sources, each once, none of them spoilt by its neighbours; and by which names it is found."""

import re
from decimal import Decimal

import catalogue_lists as lists
from catalogue import (
    AUTO, DESK, KEY, LANDMARKS, TIERS, appears, booked, costs, endpoints, every, fake, ids, is_priced, json_of, listing, not_found,
    openrouter_lists, openrouter_upstream, per_mtok, price_of, providers, refresh, row_of, rows, say, served, settings, table, whole, without_bundle,
)  # fmt: skip
from catalogue_upstreams import Fake
from harness import Gateway, check, error_of, eventually, gateway, gw, info

SOURCES = {
    "configuration": "team/own", "openrouter": "acme/plain", "openai": "openai/testbird-1", "anthropic": "anthropic/claude-testbird-0",
    "anthropic-last-page": "anthropic/claude-testbird-44", "gemini": "google/gemini-testbird-0", "gemini-last-page": "google/gemini-testbird-69",
    "ollama": "ollama/llama3.2:latest", "house": "house/my-model", "kilo": "kiwi-house/kiwi-0", "bundle": "kilo/auto",
}  # fmt: skip

for name, id in SOURCES.items():

    @check(f"rows.source-{name}", f"{id} is listed: rows of the source are there", timeout=45)
    def _(id=id):
        found = ids(whole(), output_modalities="all")
        assert id in found, f"not among {len(found)} rows: {whole().log()[-200:]}"


# -- all of them, each once


@check("rows.counted", "at least 500 rows of nine sources together: every good row of every list, and kilo/auto and its tiers")
def _():
    known = every(whole())
    wanted = {*openrouter_lists().ids, *LANDMARKS, *AUTO}
    wanted |= {f"anthropic/{row['id']}" for row in lists.anthropic()} | {f"ollama/{row['name']}" for row in lists.ollama()}
    wanted |= {f"google/{row['name'].removeprefix('models/')}" for row in lists.gemini()}
    wanted |= {row["id"] for row in lists.kilo() if row["id"].startswith("kiwi")}
    missing = sorted(wanted - set(known))
    assert not missing, f"{len(missing)} of {len(wanted)} missing: {missing[:6]}"
    assert len(known) >= 500, f"{len(known)} rows"
    return f"{len(known)} rows, {len(wanted)} of them counted by name"


@check("rows.once", "every id is listed once, duplicates in an upstream's list and beyond it notwithstanding")
def _():
    found = ids(whole(), output_modalities="all")
    twice = sorted({id for id in found if found.count(id) > 1})
    assert found and not twice, f"{twice[:8]}"


@check("rows.nothing-else", "no row comes from the tables of prices and abilities: what no upstream lists and nobody configured is not there")
def _():
    known = set(every(whole()))
    assert "acme/plain" in known, "nothing was discovered"
    known = without_bundle(known)
    possible = {*openrouter_lists().ids, *(row["id"] for row in openrouter_lists().doubtful), "team/own", "openrouter/auto"}
    of_lists = ("anthropic/", "google/", "ollama/", "openai/", "house/", "kiwi-house/", "lonely-author/", "kilocode/")
    extra = sorted(id for id in known - possible if not id.startswith(of_lists))
    assert not extra, f"{len(extra)}: {extra[:6]}"
    real = [id for id in ("openai/gpt-4-turbo", "anthropic/claude-3-opus", "google/gemini-pro") if id in known]
    assert not real, f"{real} come from a table"


@check("rows.bad-dropped", "rows without a usable id are dropped, and nothing else with them")
def _():
    for row in rows(whole(), output_modalities="all"):
        assert isinstance(row["id"], str) and row["id"].strip() == row["id"] != "", f"id {row['id']!r}"
    known = set(every(whole()))
    assert not {"acme/just-a-string", "acme/in-a-list", "acme/x", "7", "True"} & known
    assert len(known & set(openrouter_lists().ids)) == len(openrouter_lists().ids)


@check("rows.bad-warned", "the log says, with the upstream's name, that rows were dropped")
def _():
    g = whole()
    assert "acme/plain" in every(g), "nothing was discovered"
    lines = [line for line in g.log().splitlines() if "openrouter" in line and re.search(r"(?i)drop|skip|malformed|bad row|invalid|unusable", line)]
    assert lines, f"no such line: {g.log()[-250:]}"
    assert any(re.search(r"\d", line) for line in lines), f"without a number or reason: {lines[0]}"


@check("rows.doubtful", "a row whose other members are nonsense is dropped or listed without the nonsense, never listed wrong")
def _():
    known = every(whole())
    assert "acme/plain" in known, "nothing was discovered"
    kept = {id: row for id, row in known.items() if id.startswith("doubt/")}
    for id, row in kept.items():
        context = row["context_length"]
        assert isinstance(context, int) and 0 < context <= 10**12, f"{id}: context {context!r}"
        assert isinstance(row["name"], str) and 0 < len(row["name"]) <= 1_000, f"{id}: name {str(row['name'])[:60]!r}"
        assert all(Decimal(price).is_finite() for price in (row["pricing"]["prompt"], row["pricing"]["completion"])), f"{id}: {row['pricing']}"
        assert "price-" not in id or not is_priced(row), f"{id} has the price {row['pricing']}"
    return f"{len(kept)} of {len(openrouter_lists().doubtful)} kept"


@check("rows.first-valid", "of several rows of an id the first valid one wins; a malformed one before it does not block it")
def _():
    row = every(whole())[lists.FIRST_VALID]
    assert per_mtok(row) == (Decimal("3.1"), Decimal("4.1")), f"name {row['name']!r}, pricing {row['pricing']}"


@check("rows.first-of-two", "of two valid rows of an id the first one wins")
def _():
    known = every(whole())
    twice = [row for row in openrouter_lists().good if any(
        isinstance(other, dict) and other.get("id") == row["id"] and other.get("name") == "The second of its id" for other in openrouter_lists().body)]
    assert twice
    for row in twice:
        listed = known[row["id"]]
        assert listed["name"] != "The second of its id" and max(price_of(listed)) < Decimal("0.5"), f"{listed['id']}: {listed['pricing']}"


@check("rows.facts", "a full row keeps its facts: name, description, context, max output, modalities, prices, created, parameters")
def _():
    known = every(whole())
    for wanted in [row for row in openrouter_lists().good if row["id"] in ("acme/plain", "acme/seen", "acme/thinker", "acme/robin:extended")]:
        listed = known[wanted["id"]]
        for field in ("name", "description", "context_length", "created"):
            assert listed[field] == wanted[field], f"{wanted['id']}.{field}: {listed[field]!r}, not {wanted[field]!r}"
        for field in ("input_modalities", "output_modalities"):
            assert listed["architecture"][field] == wanted["architecture"][field], f"{wanted['id']}: {listed['architecture']}"
        assert price_of(listed) == price_of(wanted), f"{wanted['id']}: {listed['pricing']}"
        assert set(wanted["supported_parameters"]) <= set(listed["supported_parameters"]), f"{wanted['id']}: {listed['supported_parameters']}"
        assert listed["top_provider"]["max_completion_tokens"] == 16_384, f"{listed['top_provider']}"


@check("rows.price-kinds", "cache, request, image, audio, search and reasoning prices and overrides are in the list as they came")
def _():
    known = every(whole())
    wanted = {"acme/written": ("input_cache_read", "input_cache_write"), "acme/by-request": ("request",), "acme/seen": ("image",),
              "acme/heard": ("audio",), "acme/searched": ("web_search",), "acme/thinker": ("internal_reasoning",)}  # fmt: skip
    given = {row["id"]: row["pricing"] for row in openrouter_lists().good if row["id"] in wanted}
    for id, names in wanted.items():
        for name in names:
            listed = known[id]["pricing"].get(name)
            assert isinstance(listed, str) and Decimal(listed) == Decimal(given[id][name]), f"{id}.{name}: {listed!r}, not {given[id][name]}"
    tiers = known["acme/tiered"]["pricing"].get("overrides")
    assert isinstance(tiers, list) and len(tiers) == 2, f"overrides: {tiers!r}"
    assert tiers[0]["min_prompt_tokens"] == 128_000 and Decimal(tiers[0]["prompt"]) == Decimal("0.000004"), f"{tiers}"


@check("rows.gaps", "a row that lacks any optional member is listed, whole: each missing member in some row")
def _():
    known = every(whole())
    for gap in lists.GAPS:
        first, _, second = gap.partition(".")
        lacking = [row["id"] for row in openrouter_lists().good
                   if first not in row or (second and isinstance(row[first], dict) and second not in row[first])]  # fmt: skip
        missing = [id for id in lacking if id not in known]
        assert lacking and not missing, f"rows without {gap}: {missing[:3]} of {len(lacking)} are not listed"


@check("rows.unknown-price", "a price that nobody knows, or that depends, is -1 in the list, never 0")
def _():
    known = every(whole())
    for id in ("acme/depends-0", "house/my-model", "openai/testbird-1", "google/gemini-testbird-0"):
        assert price_of(known[id]) == (-1, -1), f"{id}: {known[id]['pricing']}"
        assert known[id]["isFree"] is False, f"{id} is called free"


@check("rows.prices-filled", "a real model whose upstream lists no price has one, from the table of prices; an invented one has none")
def _():
    row = every(whole())["openai/gpt-4.1-mini"]
    assert is_priced(row) and price_of(row)[0] > 0, f"{row['pricing']}"
    assert row["context_length"] >= 128_000, f"context {row['context_length']}"
    return f"{per_mtok(row)[0].normalize()} and {per_mtok(row)[1].normalize()} USD/M"


# -- identity


@check("id.alias-table", "gpt-4o at openai is openai/gpt-4o, one row with OpenRouter's, two endpoints with two ids of their own")
def _():
    g = whole()
    assert ids(g).count("openai/gpt-4o") == 1 and "gpt-4o" not in ids(g)
    assert providers(g, "openai/gpt-4o") == {"openrouter", "openai"}, f"{providers(g, 'openai/gpt-4o')}"


@check("id.upstream-own", "a request goes out under the upstream's own id: gpt-4o to openai, openai/gpt-4o to openrouter, llama3.2:latest to ollama")
def _():
    g, openrouter, openai, ollama = whole(), openrouter_upstream(), fake("openai"), fake("ollama")
    openrouter.chat, since = "500", len(openai.asked)
    try:
        served(g.post(say("openai/gpt-4o")))
    finally:
        openrouter.chat = "good"
    assert [each.model for each in openai.chats(since)] == ["gpt-4o"], f"{[each.model for each in openai.chats(since)]}"
    since = len(ollama.asked)
    served(g.post(say("ollama/llama3.2:latest")))
    assert [each.model for each in ollama.chats(since)] == ["llama3.2:latest"]
    since = len(openrouter.asked)
    served(g.post(say("acme/plain")))
    assert [each.model for each in openrouter.chats(since)] == ["acme/plain"]


@check("id.own-upstream", "a server of one's own: my-model is house/my-model, an id with an author keeps it, wren:7b is house/wren:7b")
def _():
    found = set(ids(whole()))
    missing = {"house/my-model", "lonely-author/lonely-model", "house/wren:7b"} - found
    assert not missing, f"{missing} of {sorted(id for id in found if 'house/' in id or 'lonely' in id)}"
    assert not {"my-model", "house/lonely-author/lonely-model", "wren:7b"} & found


@check("id.colon", "a colon that is no variant belongs to the name, in chat and in the paths")
def _():
    g, house = whole(), fake("house")
    since = len(house.asked)
    served(g.post(say("house/wren:7b")))
    assert house.chats(since)[0].model == "wren:7b", house.chats(since)[0].model
    assert row_of(g, "ollama/qwen3:4b-q4_K_M")["id"] == "ollama/qwen3:4b-q4_K_M"
    not_found(g.post(say("acme/plain:7b")), "model_not_found")


@check("id.prefixed-upstream", "Gemini's models/ and an upstream's own author are not doubled")
def _():
    found = ids(whole(), output_modalities="all")
    assert any(id.startswith("google/") for id in found), "no row of Gemini's"
    wrong = [id for id in found if "models/" in id or any(f"{name}/{name}/" in id for name in ("openai", "google", "anthropic", "ollama"))]
    assert not wrong, f"{wrong[:5]}"


# -- two endpoints


@check("both.one-row", "the same model at openrouter and kilocode is one row with two endpoints, each with its own price")
def _():
    g = whole()
    assert ids(g).count("acme/both") == 1
    told = {each["provider_name"].lower(): each for each in endpoints(g, "acme/both")}
    assert set(told) == {"openrouter", "kilocode"}, f"{set(told)}"
    prices = {name: (Decimal(each["pricing"]["prompt"]), Decimal(each["pricing"]["completion"])) for name, each in told.items()}
    assert prices == {"openrouter": (Decimal("0.0000025"), Decimal("0.00001")), "kilocode": (Decimal("0.000003"), Decimal("0.000012"))}, f"{prices}"


@check("both.fallback", "when the first endpoint fails the second one answers, and its price is booked")
def _():
    g, openrouter, kilo = whole(), openrouter_upstream(), fake("kilo")
    openrouter.chat, since, kilo.usage = "500", len(kilo.asked), {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    try:
        row = booked(g, g.post(say("acme/both")))
    finally:
        openrouter.chat, kilo.usage = "good", None
    assert len(kilo.chats(since)) == 1 and str(row["provider"]).lower() == "kilocode", f"{row}"
    costs(row, 1000 * 3_000_000 + 500 * 12_000_000)


# -- Kilo Gateway as an upstream


@check("kilo.no-credential", "Kilo's list is asked for without a credential; its chat gets the key")
def _():
    g, kilo = whole(), fake("kilo")
    assert kilo.listed(), "its list was not asked for"
    assert not [each.headers for each in kilo.listed() if {"authorization", "x-api-key", "cookie"} & set(each.headers)]
    assert {each.path for each in kilo.listed()} == {"/api/gateway/models"}, f"{ {each.path for each in kilo.listed()} }"
    since = len(kilo.asked)
    served(g.post(say("kiwi-house/kiwi-1")))
    assert kilo.chats(since)[0].headers.get("authorization") == f"Bearer {KEY}"


@check("kilo.ids", "its models are there under their own ids, and kilocode/<id> and kilo/<id> are the same models")
def _():
    g, kilo = whole(), fake("kilo")
    assert "kiwi-house/kiwi-2" in ids(g) and not [id for id in ids(g) if id.startswith("kilocode/")]
    for prefix in ("", "kilocode/", "kilo/"):
        since = len(kilo.asked)
        served(g.post(say(f"{prefix}kiwi-house/kiwi-2")))
        assert [each.model for each in kilo.chats(since)] == ["kiwi-house/kiwi-2"], f"{prefix}: {[each.model for each in kilo.chats(since)]}"


@check("kilo.openrouter-base", "its /api/openrouter base does as well, with or without a slash at its end", timeout=60)
def _():
    kilo = Fake("kilo").start()
    for base in ("/api/openrouter", "/api/openrouter/"):
        since = len(kilo.asked)
        g = Gateway("kilo-base", settings(), env={"KILO_API_KEY": KEY, "KILOCODE_BASE_URL": f"http://127.0.0.1:{kilo.port}{base}"}).start()
        appears(g, "kiwi-house/kiwi-3")
        served(g.post(say("kilocode/kiwi-house/kiwi-3")))
        paths = {each.path for each in kilo.asked[since:]}
        assert paths == {"/api/openrouter/models", "/api/openrouter/chat/completions"}, f"{paths}"
        g.stop()
    kilo.stop()


@check("kilo.shadow", "an upstream that lists kilo/auto or a tier of its own does not take the place of ours")
def _():
    known = every(whole())
    assert "kiwi-house/kiwi-0" in known, "Kilo's list is not there"
    assert known["kilo/auto"]["name"] == "Kilo Auto" and price_of(known["kilo/auto"]) == (-1, -1), f"{known['kilo/auto']['pricing']}"
    assert known["kilo-auto/efficient"]["context_length"] != 123_456 and known["kilo-auto/efficient"]["name"] != "Not ours"


# -- kilo/auto and its tiers


@check("auto.facts", "kilo/auto: Kilo Auto, context 1,000,000, max output 128,000, text and image in, text out, reasoning, tools")
def _():
    row = every(whole())["kilo/auto"]
    assert row["name"] == "Kilo Auto" and row["context_length"] == 1_000_000, f"{row['name']} {row['context_length']}"
    assert row["top_provider"]["max_completion_tokens"] == 128_000, f"{row['top_provider']}"
    assert set(row["architecture"]["input_modalities"]) == {"text", "image"}, f"{row['architecture']}"
    assert row["architecture"]["output_modalities"] == ["text"], f"{row['architecture']}"
    assert {"reasoning", "tools"} <= set(row["supported_parameters"]), f"{row['supported_parameters']}"


@check("auto.tiers", "the tiers frontier, balanced, efficient, free and small are listed, with a context and max output each")
def _():
    known = every(whole())
    missing = [id for id in TIERS if id not in known]
    assert not missing, f"{missing} missing"
    for id in TIERS:
        assert known[id]["context_length"] >= 100_000 and known[id]["top_provider"]["max_completion_tokens"], f"{id}: {known[id]['top_provider']}"


@check("auto.prices", "kilo/auto and the tiers show price -1, kilo-auto/free 0; free is called free, the others are not")
def _():
    known = every(whole())
    for id in AUTO:
        row, price = known[id], known[id]["pricing"]
        wanted = "0" if id == "kilo-auto/free" else "-1"
        assert (price["prompt"], price["completion"]) == (wanted, wanted), f"{id}: {price}"
        assert row["isFree"] is (id == "kilo-auto/free"), f"{id}: isFree {row['isFree']}"


@check("auto.routing", "kilo/auto and the tiers tell with autoRouting what they choose from; clients would reject anything but a list of texts")
def _():
    known = every(whole())
    for id in AUTO:
        routing = known[id].get("autoRouting")
        assert isinstance(routing, dict) and isinstance(routing.get("models"), list), f"{id}: {routing!r}"
        assert all(isinstance(each, str) for each in routing["models"]), f"{id}: {routing}"


@check("auto.served", "kilo/auto answers by the default model, with each prefix, and the row names it")
def _():
    g, desk = whole(), fake("desk", "house")
    for id in ("kilo/auto", "kilocode/kilo/auto", "kilo/kilo/auto", "kilo-auto/balanced", "kilo/kilo-auto/balanced"):
        since = len(desk.asked)
        row = booked(g, g.post(say(id)))
        assert row["model"] == "team/own" and [each.model for each in desk.chats(since)] == ["own"], f"{id}: {row}"


# -- nobody serves it


@gateway("bundle")
def bundle_gateway() -> Gateway:
    return Gateway("bundle", settings())


@check("bundle.listed", "without any upstream the list is the bundle: kilo/auto and its tiers", timeout=40)
def _():
    found = ids(gw("bundle"), output_modalities="all")
    assert set(AUTO) <= set(found) and not without_bundle(found), f"{found[:10]}"


@check("bundle.503", "a listed row nobody can serve answers 503, model_not_served, with the reason and what to do")
def _():
    g = gw("bundle")
    for id in AUTO:
        answer = g.post(say(id))
        assert answer.status == 503, f"{id}: {answer}"
        error = error_of(answer)
        assert error["code"] == "model_not_served", f"{id}: {error}"
        assert re.search(r"(?i)upstream|model|add|key|configur", error["message"]), f"{error['message']}"


@check("served.dialect", "a row of an upstream of another dialect is asked for there, in that dialect")
def _():
    g = whole()
    for id in ("anthropic/claude-testbird-0", "google/gemini-testbird-0"):
        answer = g.post(say(id))
        told = error_of(answer)  # the fake upstream has a list and nothing behind it
        assert answer.status == 502 and told["metadata"]["upstream_status"] == 404, f"{id}: {answer}"


@check("served.gone", "a model that its upstream no longer lists is a 404 that names what is near", timeout=60)
def _():
    up = Fake("house").start()
    g = Gateway("gone", settings(table("house", up))).start()
    appears(g, "house/third-model")
    up.rows = [row for row in up.rows if row["id"] != "third-model"]
    refresh(g)
    assert eventually(lambda: "house/third-model" not in ids(g), 6), "still listed"
    answer = g.post(say("house/third-model"))
    assert answer.status in (404, 503), f"{answer}"
    error_of(answer)
    g.stop()
    up.stop()


# -- variants

for variant in ("nitro", "floor", "exacto", "online", "thinking", "extended"):

    @check(f"variant.{variant}", f"acme/plain:{variant} is recognised and served by acme/plain, with each prefix")
    def _(variant=variant):
        g, openrouter = whole(), openrouter_upstream()
        for prefix in ("", "kilocode/", "kilo/"):
            since = len(openrouter.asked)
            served(g.post(say(f"{prefix}acme/plain:{variant}")))
            asked = [each.model for each in openrouter.chats(since)]
            assert asked and asked[0].startswith("acme/plain"), f"{prefix}…:{variant} went out as {asked}"


@check("variant.listed", "a variant that is listed has a row of its own and is served as such")
def _():
    g, openrouter = whole(), openrouter_upstream()
    for id in ("acme/robin:free", "acme/robin:thinking", "acme/robin:extended"):
        since = len(openrouter.asked)
        assert id in ids(g), f"{id} is not listed"
        row = booked(g, g.post(say(id)))
        assert [each.model for each in openrouter.chats(since)] == [id], f"{id} went out as {[each.model for each in openrouter.chats(since)]}"
        assert row["model"].startswith("acme/robin"), f"{row}"


@check("variant.free-cost", "a listed :free costs exactly 0, which is not unknown; its row is called free")
def _():
    g = whole()
    row = booked(g, g.post(say("acme/robin:free")))
    assert row["cost_usd"] == 0 and row["cost_usd"] is not None, f"{row}"
    listed = every(g)["acme/robin:free"]
    assert listed["isFree"] is True and price_of(listed) == (0, 0), f"{listed['isFree']} {listed['pricing']}"


@check("variant.free-refused", ":free of a model that has no free endpoint is refused, and no endpoint is asked")
def _():
    g, openrouter = whole(), openrouter_upstream()
    for id in ("acme/wren-paid:free", "kilocode/acme/wren-paid:free", "acme/plain:free"):
        since = len(openrouter.asked)
        error = not_found(g.post(say(id)))
        assert not openrouter.chats(since), f"{id} reached a paid endpoint"
        assert "free" in error["message"].lower(), f"{error['message']}"


@check("variant.free-never-paid", ":free whose free endpoint fails is an error; the paid one of the same model is not asked")
def _():
    g, openrouter = whole(), openrouter_upstream()
    openrouter.chat, since = "500", len(openrouter.asked)
    try:
        answer = g.post(say("acme/robin:free"))
    finally:
        openrouter.chat = "good"
    assert answer.status >= 500, f"{answer}"
    assert {each.model for each in openrouter.chats(since)} == {"acme/robin:free"}, f"{ {each.model for each in openrouter.chats(since)} }"


# -- aliases, successors, near names


@check("alias.latest", "~author/family-latest is served, with each prefix, and its row has a price", timeout=40)
def _():
    g, openrouter = whole(), openrouter_upstream()
    assert "~acme/robin-latest" in ids(g), "not listed"
    for prefix in ("", "kilocode/", "kilo/"):
        since = len(openrouter.asked)
        served(g.post(say(f"{prefix}~acme/robin-latest")))
        assert openrouter.chats(since)[0].model in ("~acme/robin-latest", "acme/robin"), openrouter.chats(since)[0].model
    assert row_of(g, "~acme/robin-latest")["id"] in ("~acme/robin-latest", "acme/robin")


for id in lists.SEED_IDS:

    @check(f"seed.{id.replace('/', '.').replace(':', '.')}", f"{id}, alone and after kilocode/ and kilo/, is served or its successor is named")
    def _(id=id):
        g, said = whole(), set()
        for prefix in ("", "kilocode/", "kilo/"):
            answer = g.post(say(prefix + id))
            if answer.status == 200:
                said.add("served")
                continue
            error = not_found(answer, "model_retired")
            successor = error["metadata"].get("successor")
            assert isinstance(successor, str) and "/" in successor and successor in error["message"], f"{prefix}{id}: {error}"
            said.add(f"→ {successor}")
        return ", ".join(sorted(said))


@check("near.misspelt", "a misspelt id is a 404 that names the nearest first, with each prefix")
def _():
    g = whole()
    for asked, meant in (("acme/pliain", "acme/plain"), ("kilocode/acme/robbin", "acme/robin"), ("acme/by-requests", "acme/by-request"),
                         ("house/mymodel", "house/my-model")):  # fmt: skip
        error = not_found(g.post(say(asked)), "model_not_found")
        assert meant in error["metadata"].get("closest", [])[:3], f"{asked}: {error['metadata']}"
        assert meant in error["message"], f"{asked}: {error['message']}"


@check("near.paths", "the paths of one model say the same of a misspelt one")
def _():
    g = whole()
    for path in ("/v1/model/acme/pliain", "/v1/models/acme/pliain/endpoints", "/api/models/acme/pliain/endpoints"):
        error = not_found(g.get(path))
        assert "acme/plain" in str(error), f"{path}: {error}"


@check("near.odd-names", "odd names are 404s like any other: empty parts, dots, 10,000 characters, controls, other scripts")
def _():
    g = whole()
    for name in ("/", "//", "acme/", "/plain", "..", "acme/../plain", "x" * 10_000, "acme/\u0000", "acme/\n", "ação/モデル", "kilocode/", "kilo/kilocode/",
                 ":free", "~", "~/", "acme/plain:", "acme/plain:free:free:free", "acme/plain::"):  # fmt: skip
        answer = g.post(say(name))
        assert answer.status in (400, 404), f"{name[:40]!r}: {answer}"
        assert len(answer.body) < 5_000, f"{name[:40]!r}: an error of {len(answer.body)} bytes"


# -- precedence and origins


def origins(g: Gateway, id: str) -> dict:
    kilo = row_of(g, id, origins="true").get("kilo")
    assert isinstance(kilo, dict) and isinstance(kilo.get("origins"), dict), f"{id}: no kilo.origins: {str(kilo)[:120]}"
    return {name: each for name, each in kilo["origins"].items()}


def origin(g: Gateway, id: str, *fields: str) -> str:
    """The source of a fact, by whichever of the names it goes."""
    known = origins(g, id)
    found = [known[name] for name in fields if name in known]
    assert found, f"{id}: none of {fields} among {sorted(known)}"
    assert "source" in found[0] and "date" in found[0], f"{id}: {found[0]}"
    return f"{found[0]['source']} {found[0]['date']}"


CONTEXT, PRICE, NAME = ("context_length", "context"), ("pricing", "price", "pricing.prompt"), ("name",)


@check("origin.configuration", "what the operator configures wins over what is discovered, field by field; the others stay discovered")
def _():
    g = whole()
    row = row_of(g, "acme/big-context")
    assert row["context_length"] == DESK["context"], f"context {row['context_length']}"
    assert per_mtok(row) == (Decimal("7"), Decimal("8")), f"{row['pricing']}"
    assert row["name"] == "Acme: Big-Context", f"name {row['name']!r}"
    assert "config" in origin(g, "acme/big-context", *CONTEXT) and "config" in origin(g, "acme/big-context", *PRICE)
    assert re.search(r"(?i)discover|openrouter", origin(g, "acme/big-context", *NAME)), origin(g, "acme/big-context", *NAME)


@check("origin.discovery", "what an upstream lists wins over the table of prices and the overlay; origin and today's date are told")
def _():
    g = whole()
    row = row_of(g, "openai/gpt-4o-mini")
    assert per_mtok(row) == (Decimal("9"), Decimal("19")), f"{row['pricing']}: not as the upstream listed it"
    assert row["context_length"] == 111_111, f"context {row['context_length']}"
    for fields in (CONTEXT, PRICE):
        said = origin(g, "openai/gpt-4o-mini", *fields)
        assert re.search(r"(?i)discover|openrouter", said) and re.search(r"20\d\d-\d\d-\d\d", said), said


@check("origin.prices", "what only the table of prices knows says so, with its date")
def _():
    g = whole()
    said = origin(g, "openai/gpt-4.1-mini", *PRICE)
    assert re.search(r"(?i)genai|price", said) and re.search(r"20\d\d-\d\d-\d\d", said), said
    return said


@check("origin.overlay", "abilities of a real model that its upstream does not tell come from the overlay, which is told too", timeout=40)
def _():
    g = whole()
    row = row_of(g, "openai/gpt-4o")
    known = origins(g, "openai/gpt-4.1-mini")
    said = {name: str(each["source"]) for name, each in known.items()}
    overlay = {name for name, source in said.items() if re.search(r"(?i)overlay|models\.toml|https?://", source)}
    assert overlay, f"no fact of the overlay: {said}"
    assert "image" in row["architecture"]["input_modalities"] or "image" in row_of(g, "openai/gpt-4.1-mini")["architecture"]["input_modalities"]
    return f"{', '.join(sorted(overlay))[:120]}"


@check("origin.not-asked", "without origins=true the list has no origins in it: they are for one who asks")
def _():
    assert not [row["id"] for row in rows(whole()) if "origins" in (row.get("kilo") or {})]
    assert listing(whole())["total_count"] == len(rows(whole()))
    json_of(whole(), "/v1/models", origins="true", limit=5, offset=0)


@check("log.silent", "the log does not tell keys, and not more than some lines for a list")
def _():
    g = whole()
    assert KEY not in g.log(), "an upstream's key is in the log"
    lines = [line for line in g.log().splitlines() if "openrouter" in line]
    assert len(lines) <= 40, f"{len(lines)} lines about one upstream"
    info("log.lines", f"{len(g.log().splitlines())} lines in all, {len(lines)} about the upstream with {len(openrouter_lists().bad)} bad rows")

