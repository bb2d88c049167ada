"""The list over HTTP: every path under every prefix, the shape of each answer, filters, sorts, pages, ETag, gzip, feed."""

import gzip
import json
import re
import time
from datetime import datetime
from decimal import Decimal
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree

import catalogue_lists as lists
import wire
from catalogue import (
    AUTO, PREFIXES, booked, endpoints, every, fake, ids, is_priced, json_of, listing, not_found, openrouter_lists, openrouter_upstream, path_of,
    per_mtok, price_of, row_of, rows, say, served, whole,
)  # fmt: skip
from harness import Gateway, check, error_of, eventually

# ---------------------------------------------------------------- shapes


class Wrong(AssertionError):
    pass


def _is(value, kind: str) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {
        "text": isinstance(value, str), "filled": isinstance(value, str) and bool(value.strip()), "number": number,
        "whole": isinstance(value, int) and number, "flag": isinstance(value, bool), "object": isinstance(value, dict),
        "list": isinstance(value, list), "texts": isinstance(value, list) and all(isinstance(each, str) for each in value),
        "null": value is None, "price": isinstance(value, str) and re.fullmatch(r"-1|\d+(\.\d+)?", value) is not None, "any": True,
    }[kind]  # fmt: skip


def fits(value, shape: dict[str, str], where: str) -> None:
    """`{"a.b": "text|null", "c?": "flag"}`: each member is there and of one of the kinds; with `?` it may be missing."""
    for path, kinds in shape.items():
        at = value
        optional = path.endswith("?")
        for part in path.removesuffix("?").split("."):
            if not isinstance(at, dict) or part not in at:
                at = Wrong
                break
            at = at[part]
        if at is Wrong:
            if optional:
                continue
            raise Wrong(f"{where}: {path} is missing")
        if not any(_is(at, kind) for kind in kinds.split("|")):
            raise Wrong(f"{where}: {path} is {str(at)[:60]!r}, not {kinds}")


# What breaks real clients when it is missing or of another type.
ROW = {
    "id": "filled", "canonical_slug": "filled", "name": "filled", "created": "whole", "description": "text", "context_length": "whole",
    "architecture": "object", "architecture.modality": "text|null", "architecture.input_modalities": "texts",
    "architecture.output_modalities": "texts", "architecture.tokenizer?": "text", "architecture.instruct_type?": "text|null",
    "pricing.prompt": "price", "pricing.completion": "price", "pricing.request?": "price", "pricing.image?": "price",
    "pricing.web_search?": "price", "pricing.internal_reasoning?": "price", "pricing.input_cache_read?": "price",
    "pricing.input_cache_write?": "price", "pricing.audio?": "price", "pricing.discount?": "number", "pricing.overrides?": "list",
    "top_provider.is_moderated": "flag", "top_provider.context_length": "whole|null", "top_provider.max_completion_tokens": "whole|null",
    "per_request_limits": "object|null", "supported_parameters": "texts", "default_parameters": "object", "supported_voices": "texts|null",
    "links.details": "text", "hugging_face_id?": "text|null", "knowledge_cutoff?": "text|null", "expiration_date?": "text|null",
    "max_completion_tokens?": "number|null", "isFree": "flag", "mayTrainOnYourPrompts": "flag", "hasUserByokAvailable": "flag",
    "preferredIndex?": "number", "opencode?": "object", "opencode.ai_sdk_provider?": "text", "opencode.family?": "text",
    "opencode.variants?": "object", "autoRouting?": "object", "reasoning?": "object", "reasoning.mandatory?": "flag",
    "object": "filled", "owned_by": "text",
}  # fmt: skip
ENDPOINT = {
    "name": "filled", "model_id": "filled", "model_name": "filled", "context_length": "whole", "pricing.prompt": "price",
    "pricing.completion": "price", "provider_name": "filled", "tag": "filled", "quantization": "text|null",
    "max_completion_tokens": "whole|null", "max_prompt_tokens": "whole|null", "supported_parameters": "texts", "status?": "whole",
    "uptime_last_5m": "number|null", "uptime_last_30m": "number|null", "uptime_last_1d": "number|null",
    "latency_last_30m": "object|null", "throughput_last_30m": "object|null", "supports_implicit_caching": "flag",
}  # fmt: skip
MODALITIES = {"text", "image", "file", "audio", "video", "pdf", "embeddings", "rerank", "speech", "transcription", "decisions"}


def is_row(row: dict, where: str = "") -> None:
    fits(row, ROW, where or str(row.get("id")))
    architecture = row["architecture"]
    strange = {*architecture["input_modalities"], *architecture["output_modalities"]} - MODALITIES
    assert not strange and architecture["output_modalities"], f"{row['id']}: modalities {strange} {architecture}"
    assert row["context_length"] > 0 and row["created"] >= 0, f"{row['id']}: context {row['context_length']}, created {row['created']}"


def is_list(told: dict, count: int | None = None) -> None:
    fits(told, {"data": "list", "links": "object", "links.next": "text|null", "total_count": "whole"}, "the list")
    assert count is None or len(told["data"]) == count, f"{len(told['data'])} rows, not {count}"
    for row in told["data"]:
        is_row(row)


def under_each(path: str, judge, prefixes: tuple[str, ...] = PREFIXES, **options) -> None:
    for prefix in prefixes:
        try:
            judge(json_of(whole(), prefix + path, **options))
        except AssertionError as error:
            raise AssertionError(f"{prefix}{path}: {error}") from None


# ---------------------------------------------------------------- paths


@check("path.models", "GET models under six prefixes and /api: the same ids, whole", timeout=60)
def _():
    found = [ids(whole())]
    under_each("/models", lambda told: (is_list(told), found.append([row["id"] for row in told["data"]])), (*PREFIXES, "/api"))
    assert len(found[0]) >= 450 and all(each == found[0] for each in found), f"{[len(each) for each in found]}"


@check("path.row-shape", "every row of every kind has every member that a client insists on, of its type; Kilo's among them")
def _():
    told = listing(whole(), output_modalities="all")
    is_list(told)
    assert len(told["data"]) >= 500, f"{len(told['data'])} rows"
    assert any("preferredIndex" in row for row in told["data"]), "no row has a preferredIndex"
    assert any(row.get("opencode") for row in told["data"]), "no row has an opencode"


@check("path.opencode", "opencode tells the API kind and the variants of reasoning models, in words that clients know")
def _():
    known = {"anthropic", "openai", "openai-compatible", "alibaba", "mistral", "openrouter"}
    variants = 0
    for row in rows(whole(), output_modalities="all"):
        told = row.get("opencode") or {}
        assert told.get("ai_sdk_provider") in {None, *known}, f"{row['id']}: {told}"
        assert told.get("family") is None or isinstance(told["family"], str)
        variants += bool(told.get("variants"))
        assert all(isinstance(each, dict) for each in (told.get("variants") or {}).values()), f"{row['id']}: {told}"
    assert variants, "no row has variants"
    return f"{variants} rows with variants"


@check("path.count", "models/count under each prefix: as many as the list has, and as all outputs together have")
def _():
    for query in ({}, {"output_modalities": "all"}, {"output_modalities": "embeddings"}):
        total = listing(whole(), **query)["total_count"]
        assert total == len(rows(whole(), **query)) > 0
        under_each("/models/count", lambda told, total=total: _equals(told["data"]["count"], total), **query)


def _equals(seen, wanted) -> None:
    assert seen == wanted, f"{seen!r}, not {wanted!r}"


@check("path.user", "models/user under each prefix wants a key (401), and gives the rows that key may use")
def _():
    for prefix in PREFIXES:
        answer = whole().get(f"{prefix}/models/user")
        assert answer.status == 401 and error_of(answer), f"{prefix}: {answer}"
    under_each("/models/user", is_list, key=True)
    told = json_of(whole(), "/v1/models/user", key=True)
    assert {"acme/plain", "house/my-model", "kilo/auto"} <= {row["id"] for row in told["data"]}, f"{len(told['data'])} rows"


@check("path.model", "model/{author}/{slug} under each prefix: one whole row; variants and aliases by their names")
def _():
    under_each("/model/acme/plain", lambda told: (is_row(told["data"]), _equals(told["data"]["id"], "acme/plain")))
    for id in ("acme/robin:free", "kilo/auto", "kilo-auto/free", "ollama/llama3.2:latest", "team/own"):
        told = row_of(whole(), id)
        is_row(told)
        assert told["id"] == id, f"{told['id']}, not {id}"
    not_found(whole().get("/v1/model/acme/nobody"))


@check("path.endpoints", "models/{author}/{slug}/endpoints under each prefix and /api: OpenRouter's shape, each endpoint once")
def _():
    def judge(told: dict) -> None:
        fits(told, {"data.id": "filled", "data.name": "filled", "data.created": "whole", "data.description": "text",
                    "data.architecture": "object", "data.endpoints": "list"}, "the endpoints")  # fmt: skip
        _equals(len(told["data"]["endpoints"]), 2)
        for each in told["data"]["endpoints"]:
            fits(each, ENDPOINT, each.get("provider_name", "?"))

    under_each("/models/acme/both/endpoints", judge, (*PREFIXES, "/api"))
    not_found(whole().get("/v1/models/acme/nobody/endpoints"))


ENCODED = {
    "colon": ("acme%2Frobin%3Afree", "acme/robin:free"), "author": ("acme/robin%3Afree", "acme/robin:free"),
    "tilde": ("%7Eacme/robin-latest", ""), "slash": ("acme%2Fplain", "acme/plain"), "lower": ("ollama%2fllama3.2%3alatest", "ollama/llama3.2:latest"),
    "plain-colon": ("ollama/llama3.2:latest", "ollama/llama3.2:latest"), "own": ("house/wren%3A7b", "house/wren:7b"),
}  # fmt: skip
for name, (encoded, id) in ENCODED.items():

    @check(f"path.encoded-{name}", f"percent-encoded ids are found: {encoded}, in model/ and in …/endpoints")
    def _(encoded=encoded, id=id):
        for prefix in ("/v1", "/api/openrouter"):
            told = json_of(whole(), f"{prefix}/models/{encoded}/endpoints")["data"]
            assert not id or told["id"] == id, f"{told['id']}, not {id}"
            told = json_of(whole(), f"{prefix}/model/{encoded}")["data"]
            assert not id or told["id"] == id, f"{told['id']}, not {id}"
        json_of(whole(), f"/api/models/{encoded}/endpoints")


@check("path.by-provider", "models-by-provider under each prefix: every upstream with its models")
def _():
    def judge(told) -> None:
        text = json.dumps(told)
        for name in ("openrouter", "kilocode", "house", "ollama", "acme/plain", "kiwi-house/kiwi-1", "house/my-model"):
            assert f'"{name}"' in text, f"{name} is not in it: {text[:200]}"

    under_each("/models-by-provider", judge)


@check("path.validate", "models/validate under each prefix tells a model that can be asked from one that cannot")
def _():
    def judge(told, id: str, is_valid: bool) -> None:
        text = json.dumps(told)
        assert id in text, f"{text[:200]}"
        assert bool(re.search(r'"(valid|isValid|is_valid)":\s*true', text)) is is_valid, f"{text[:200]}"

    under_each("/models/validate", lambda told: judge(told, "acme/plain", True), model="acme/plain")
    under_each("/models/validate", lambda told: judge(told, "acme/pliain", False), ("/v1", "/api"), model="acme/pliain")


@check("path.providers", "providers under each prefix: name, slug, policies; every upstream among them")
def _():
    def judge(told) -> None:
        shape = {"name": "filled", "slug": "filled", "privacy_policy_url": "text|null", "terms_of_service_url?": "text|null",
                 "status_page_url?": "text|null", "headquarters?": "text|null", "datacenters?": "texts|null"}  # fmt: skip
        for each in told["data"]:
            fits(each, shape, str(each.get("slug")))
        slugs = {each["slug"] for each in told["data"]}
        missing = {"desk", "openrouter", "openai", "anthropic", "google", "ollama", "house", "kilocode"} - slugs
        assert not missing, f"{missing} missing of {sorted(slugs)}"

    under_each("/providers", judge)


@check("path.embedding-models", "embedding-models under each prefix: Kilo's shape, dimensions above 0, the default among them")
def _():
    def judge(told) -> None:
        fits(told, {"defaultModel": "text", "models": "list", "aliases": "object"}, "the list")
        for each in told["models"]:
            fits(each, {"id": "filled", "name": "filled", "dimension": "whole", "scoreThreshold": "number", "note?": "text"}, str(each.get("id")))
            assert each["dimension"] > 0
        known = {each["id"] for each in told["models"]}
        assert not known or told["defaultModel"] in known, f"default {told['defaultModel']!r} of {sorted(known)[:5]}"

    under_each("/embedding-models", judge)
    found = [each["id"] for each in json_of(whole(), "/v1/embedding-models")["models"]]
    assert "openai/text-embedding-3-small" in found, f"a known embedding model at openai is not in it: {found[:5]}"


@check("path.embeddings", "embeddings/models under each prefix: OpenRouter's shape, the rows that give embeddings, pages too")
def _():
    wanted = set(ids(whole(), output_modalities="embeddings"))
    assert {"acme/vectors-0", "quokka/vectors-4"} <= wanted, f"{sorted(wanted)[:5]}"

    def judge(told) -> None:
        is_list(told)
        _equals({row["id"] for row in told["data"]}, wanted)

    under_each("/embeddings/models", judge)
    is_list(json_of(whole(), "/v1/embeddings/models", offset=2, limit=3), 3)


@check("path.transcription", "transcription-models under each prefix: the rows that write down speech, with id and name")
def _():
    def judge(told) -> None:
        for each in told["data"]:
            fits(each, {"id": "filled", "name": "filled"}, str(each.get("id")))
        assert {"acme/scribe-0", "zephyrus/scribe-1"} <= {each["id"] for each in told["data"]}, f"{told['data'][:3]}"

    under_each("/transcription-models", judge)


@check("path.zdr", "endpoints/zdr under each prefix: a list of endpoints, for one with a key")
def _():
    def judge(told) -> None:
        assert isinstance(told["data"], list)
        for each in told["data"]:
            fits(each, ENDPOINT, str(each.get("name")))

    under_each("/endpoints/zdr", judge, key=True)


@check("path.public", "the list needs no key, and one that nobody knows does no harm: what is sent with it is what is sent without")
def _():
    plain = whole().get("/api/openrouter/models")
    for headers in ({"Authorization": "Bearer anonymous"}, {"Authorization": f"Bearer {whole().key}"}, {"Content-Type": "application/json"}):
        answer = whole().get("/api/openrouter/models", headers=headers)
        assert answer.status == 200 and len(answer.json()["data"]) == len(plain.json()["data"]), f"{headers}: {answer.status}"


@check("path.head-and-method", "HEAD of the list has no body, OPTIONS is 204, POST is a 405 with Allow")
def _():
    answer = whole().get("/v1/models", method="HEAD")
    assert answer.status == 200 and not answer.body, f"{answer}"
    answer = wire.ask(whole().port, wire.request("POST", "/v1/models", {"Content-Type": "application/json"}, b"{}"))
    assert answer.status == 405 and "GET" in (answer.header("allow") or ""), f"{answer} {answer.header('allow')}"


@check("path.openai-shape", "the list is OpenAI's too: object list, rows of object model with owned_by")
def _():
    told = listing(whole())
    assert told.get("object") == "list"
    assert {row["object"] for row in told["data"]} == {"model"}


# ---------------------------------------------------------------- Anthropic's list

ANTHROPIC = {"anthropic-version": "2023-06-01"}


@check("anthropic.shape", "with anthropic-version the list under each prefix has Anthropic's shape, any version of it", timeout=40)
def _():
    def judge(told) -> None:
        fits(told, {"data": "list", "has_more": "flag", "first_id": "text|null", "last_id": "text|null"}, "the list")
        for each in told["data"]:
            fits(each, {"type": "filled", "id": "filled", "display_name": "filled", "created_at": "filled"}, str(each.get("id")))
            assert each["type"] == "model" and datetime.fromisoformat(each["created_at"].replace("Z", "+00:00")).tzinfo, f"{each}"
        assert told["first_id"] == told["data"][0]["id"] and told["last_id"] == told["data"][-1]["id"], "first_id or last_id is another"

    under_each("/models", judge, headers=ANTHROPIC)
    judge(json_of(whole(), "/v1/models", headers={"anthropic-version": "2026-10-21"}))


@check("anthropic.pages", "its pages by after_id give every row once; before_id goes back; limit is kept")
def _():
    seen, after = [], {}
    for _ in range(20):
        told = json_of(whole(), "/v1/models", headers=ANTHROPIC, limit=100, **after)
        assert len(told["data"]) <= 100
        seen += [each["id"] for each in told["data"]]
        after = {"after_id": told["last_id"]}
        if not told["has_more"]:
            break
    assert len(seen) == len(set(seen)) and set(ids(whole())) <= set(seen), f"{len(seen)} rows, {len(set(seen))} different"
    back = json_of(whole(), "/v1/models", headers=ANTHROPIC, limit=5, before_id=seen[10])
    assert [each["id"] for each in back["data"]] == seen[5:10], f"{[each['id'] for each in back['data']]}"


# ---------------------------------------------------------------- filters


def filtered(wanted, least: int = 1, **query) -> list[dict]:
    """The filter gives exactly the rows of all for which `wanted` holds."""
    whole_list = rows(whole())
    found = rows(whole(), **query)
    expected = {row["id"] for row in whole_list if wanted(row)}
    seen = {row["id"] for row in found}
    assert len(expected) >= least, f"the check wants {len(expected)} rows of {len(whole_list)}"
    assert seen == expected, f"{query}: {len(seen)} rows, {len(expected)} wanted; extra {sorted(seen - expected)[:3]}, missing {sorted(expected - seen)[:3]}"
    return found


@check("filter.default", "without a filter the list has the rows that give text, in full")
def _():
    found, all_of_them = rows(whole()), every(whole())
    assert {row["id"] for row in found} == {id for id, row in all_of_them.items() if "text" in row["architecture"]["output_modalities"]}
    assert len(all_of_them) > len(found) >= 450 and listing(whole())["links"]["next"] is None


@check("filter.outputs", "output_modalities: image, embeddings, several, all")
def _():
    known = every(whole())
    for value in ("image", "embeddings", "speech", "image,embeddings", "text,image"):
        wanted = {id for id, row in known.items() if set(value.split(",")) & set(row["architecture"]["output_modalities"])}
        assert wanted and set(ids(whole(), output_modalities=value)) == wanted, f"{value}: {len(ids(whole(), output_modalities=value))}, not {len(wanted)}"


@check("filter.inputs", "input_modalities: image; image and file")
def _():
    filtered(lambda row: "image" in row["architecture"]["input_modalities"], 20, input_modalities="image")
    filtered(lambda row: {"image", "file"} <= set(row["architecture"]["input_modalities"]), 5, input_modalities="image,file")


@check("filter.parameters", "supported_parameters: reasoning; tools and reasoning")
def _():
    filtered(lambda row: "reasoning" in row["supported_parameters"], 20, supported_parameters="reasoning")
    filtered(lambda row: {"tools", "reasoning"} <= set(row["supported_parameters"]), 20, supported_parameters="tools,reasoning")


@check("filter.q", "q finds by id and by name, whatever the case")
def _():
    found = rows(whole(), q="KESTREL")
    assert len(found) >= 20 and all("kestrel" in (row["id"] + row["name"]).lower() for row in found), f"{len(found)} rows"
    assert len(found) == sum("kestrel" in (row["id"] + row["name"]).lower() for row in rows(whole()))
    assert "house/my-model" in [row["id"] for row in rows(whole(), q="my-model")] and rows(whole(), q="no-such-name-xq") == []


@check("filter.context", "context: rows with at least so much")
def _():
    found = rows(whole(), context=1_000_000)
    assert "acme/tiered" in [row["id"] for row in found] and "kilo/auto" in [row["id"] for row in found]
    assert all(row["context_length"] >= 1_000_000 for row in found), f"{[row['id'] for row in found if row['context_length'] < 10**6][:3]}"
    assert len(found) == sum(row["context_length"] >= 1_000_000 for row in rows(whole()))


@check("filter.price", "min_price, max_price and those of output, in USD per million; an unknown price fits no bound")
def _():
    filtered(lambda row: is_priced(row) and per_mtok(row)[0] <= 1, 20, max_price=1)
    filtered(lambda row: is_priced(row) and per_mtok(row)[0] >= Decimal("2.5"), 5, min_price=2.5)
    filtered(lambda row: is_priced(row) and Decimal("0.5") <= per_mtok(row)[0] <= Decimal("1.5"), 10, min_price=0.5, max_price=1.5)
    filtered(lambda row: is_priced(row) and per_mtok(row)[1] <= 3, 10, max_output_price=3)
    filtered(lambda row: is_priced(row) and per_mtok(row)[1] >= 5, 10, min_output_price=5)
    filtered(lambda row: is_priced(row) and per_mtok(row)[0] == 0, 5, max_price=0)


@check("filter.authors", "model_authors: the rows of these authors")
def _():
    filtered(lambda row: row["id"].lstrip("~").partition("/")[0] in ("quokka", "heron"), 20, model_authors="quokka,heron")


@check("filter.providers", "providers: the rows that one of these upstreams serves, by its name")
def _():
    wanted = {"house/my-model", "house/wren:7b", "lonely-author/lonely-model", "house/other-model", "house/third-model"}
    assert set(ids(whole(), providers="house")) == wanted, f"{ids(whole(), providers='house')[:8]}"
    assert {"acme/both", "kiwi-house/kiwi-0", "house/my-model"} <= set(ids(whole(), providers="kilocode,house"))


@check("filter.arch", "arch: the rows of a family, whatever the case")
def _():
    found = rows(whole(), arch="claude")
    assert len(found) >= 20, f"{len(found)} rows"
    strange = [row["id"] for row in found if "claude" not in json.dumps([row["architecture"].get("tokenizer"), row.get("opencode"), row["id"]]).lower()]
    assert not strange, f"{strange[:5]}"
    assert {row["id"] for row in found} == set(ids(whole(), arch="Claude"))


@check("filter.age", "min_age_days and max_age_days")
def _():
    now = time.time()
    young = rows(whole(), max_age_days=100)
    old = rows(whole(), min_age_days=300)
    assert young and old
    assert all(now - row["created"] <= 101 * 86_400 for row in young), f"{[row['id'] for row in young if now - row['created'] > 101 * 86_400][:3]}"
    assert all(now - row["created"] >= 299 * 86_400 for row in old), f"{[row['id'] for row in old if now - row['created'] < 299 * 86_400][:3]}"


@check("filter.indices", "min and max of the intelligence, coding and agentic index: rows with such an index")
def _():
    for name in ("intelligence", "coding", "agentic"):
        found = rows(whole(), **{f"min_{name}_index": 20, f"max_{name}_index": 40})
        assert found, f"{name}: no rows"
        for row in found:
            index = ((row.get("benchmarks") or {}).get("artificial_analysis") or {}).get(f"{name}_index")
            assert index is not None and 20 <= index <= 40, f"{name}: {row['id']} has {index}"


@check("filter.category", "category: the rows that OpenRouter has in it and no other; asked for one after the other, and of no one else", timeout=60)
def _():
    wanted = lists.uses(openrouter_lists().good)
    told: dict[str, set[str]] = {}

    def is_told() -> bool:
        told.update({use: set(ids(whole(), category=use, output_modalities="all")) for use in wanted})
        return told == wanted

    assert eventually(is_told, 30, 0.5), f"{ {use: (len(told[use]), len(wanted[use])) for use in wanted} }"
    assert rows(whole(), category="trivia") == [] and rows(whole(), category="PROGRAMMING") == rows(whole(), category="programming")
    asked = [each for each in openrouter_upstream().listed() if "category" in each.query]
    assert len(asked) == 12 == len({each.query["category"][0] for each in asked}), f"{len(asked)} questions"
    assert all(later.at - sooner.at >= 0.9 for sooner, later in zip(asked, asked[1:], strict=False)), "they come all at once"
    others = [each for name in ("kilo", "openai", "house") for each in fake(name).listed() if "category" in each.query]
    assert not others, f"{len(others)} questions to others"
    id = min(wanted["programming"])
    row = json_of(whole(), f"/v1/model/{id}")["data"]
    origin = row["kilo"]["origins"]["categories"]
    assert "programming" in row["kilo"]["categories"] and origin["source"] == "categories of openrouter" and origin["date"], f"{row['kilo']}"


@check("filter.tool-success", "the tool success rates: of 20 requests with tools at least, the share that ended in calls; fewer say nothing", timeout=90)
def _():
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    g: Gateway = whole()
    for model, calls, silent in (("acme/searched", 18, 2), ("acme/tiny", 0, 20), ("acme/heard", 19, 0)):
        for n in range(calls + silent):
            text = "call it" if n < calls else "leave it"
            served(g.post(say(model, stream=bool(n % 2), tools=tools, messages=[{"role": "user", "content": text}])))

    def is_told() -> bool:
        return ids(g, min_tool_success_rate=0) == ids(g, max_tool_success_rate=1) != [] and len(ids(g, max_tool_success_rate=1)) >= 2

    assert eventually(is_told, 15, 0.5), f"{ids(g, max_tool_success_rate=1)}"
    assert "acme/heard" not in ids(g, min_tool_success_rate=0)
    assert "acme/searched" in ids(g, min_tool_success_rate=0.9) and "acme/searched" not in ids(g, min_tool_success_rate=0.91)
    assert "acme/tiny" in ids(g, max_tool_success_rate=0) and "acme/searched" not in ids(g, max_tool_success_rate=0.89)


@check("filter.followed", "no filter and no sort that was asked for is told as ignored", timeout=40)
def _():
    queries = [{"category": "legal"}, {"min_tool_success_rate": 0.5}, {"max_tool_success_rate": 1}, {"distillable": "true"}, {"region": "eu"},
               *({"sort": sort} for sort in SORTS if sort in VALUE)]  # fmt: skip
    for query in queries:
        told = whole().get(path_of("/v1/models", **query)).header("x-kilo-ignored-filters")
        assert told is None, f"{query}: {told}"


@check("filter.others", "distillable, zdr, region and what was never heard of are taken and give a list of the same shape")
def _():
    for query in ({"distillable": "true"}, {"distillable": "false"}, {"zdr": "true"},
                  {"region": "eu"}, {"region": "us"}, {"unheard-of": "x"}):  # fmt: skip
        is_list(listing(whole(), **query))


@check("filter.together", "filters hold together, and with a sort and a page")
def _():
    query = {"q": "osprey", "max_price": 2, "input_modalities": "image", "sort": "context-high-to-low"}
    found = rows(whole(), **query)
    assert found and all("osprey" in row["id"] and per_mtok(row)[0] <= 2 and "image" in row["architecture"]["input_modalities"] for row in found)
    page = listing(whole(), **query, offset=1, limit=2)
    assert [row["id"] for row in page["data"]] == [row["id"] for row in found][1:3] and page["total_count"] == len(found)


@check("filter.wrong", "a value that cannot be is a 400 that names the parameter", timeout=40)
def _():
    for name, value in (("limit", "many"), ("limit", "-1"), ("offset", "-1"), ("offset", "x"), ("context", "big"), ("min_price", "cheap"),
                        ("sort", "by-colour"), ("max_age_days", "old")):  # fmt: skip
        answer = whole().get(path_of("/v1/models", **{name: value}))
        assert answer.status == 400, f"{name}={value}: {answer}"
        assert name in error_of(answer)["message"], f"{name}={value}: {error_of(answer)['message']}"


# ---------------------------------------------------------------- sorts and pages

SORTS = (
    "most-popular", "newest", "top-weekly", "pricing-low-to-high", "pricing-high-to-low", "context-high-to-low", "throughput-high-to-low",
    "latency-low-to-high", "intelligence-high-to-low", "coding-high-to-low", "agentic-high-to-low", "design-arena-elo-high-to-low",
)  # fmt: skip
CONTEXTS = {row["id"]: row["context_length"] for row in lists.openrouter().good if "context_length" in row and row["id"] not in ("acme/big-context", lists.FIRST_VALID)}
VALUE = {
    "newest": lambda row: -row["created"] or None, "context-high-to-low": lambda row: _minus(CONTEXTS.get(row["id"])),
    "pricing-low-to-high": lambda row: sum(price_of(row)) if is_priced(row) else None,
    "pricing-high-to-low": lambda row: -sum(price_of(row)) if is_priced(row) else None,
    **{f"{name}-high-to-low": lambda row, name=name: _minus(((row.get("benchmarks") or {}).get("artificial_analysis") or {}).get(f"{name}_index"))
       for name in ("intelligence", "coding", "agentic")},
    "design-arena-elo-high-to-low": lambda row: _minus(max((each["elo"] for each in _battles(row)), default=None)),
}  # fmt: skip


def _battles(row: dict) -> list[dict]:
    return (row.get("benchmarks") or {}).get("design_arena") or []


@check("sort.elo", "Design Arena's battles are given out as they are listed, and the best Elo of a row decides its place")
def _():
    listed = {row["id"]: row["benchmarks"]["design_arena"] for row in lists.openrouter().good if (row.get("benchmarks") or {}).get("design_arena")}
    found = rows(whole(), sort="design-arena-elo-high-to-low")
    told = {row["id"]: _battles(row) for row in found if _battles(row)}
    assert len(told) >= 30 and told == {id: listed[id] for id in told if id in listed}, f"{len(told)} rows with battles of {len(listed)}"
    best = [max(each["elo"] for each in _battles(row)) for row in found if _battles(row)]
    assert best == sorted(best, reverse=True) and all(_battles(row) for row in found[: len(best)]), f"{best[:9]}"


def _minus(value):
    return None if value is None else -value


for sort in SORTS:

    @check(f"sort.{sort}", f"sort={sort}: the same rows, in that order where it is known")
    def _(sort=sort):
        found = rows(whole(), sort=sort)
        assert sorted(row["id"] for row in found) == sorted(ids(whole())), f"{len(found)} rows, not {len(ids(whole()))}"
        value = VALUE.get(sort)
        if value is None:
            return
        # Where those that choose stand is free, and those whose facts are nonsense: they are not known.
        from_upstreams = [row for row in found if row["id"] not in AUTO and not row["id"].startswith("doubt/")]
        known = [(value(row), row["id"]) for row in from_upstreams if value(row) is not None]
        wrong = [(a, b) for a, b in zip(known, known[1:], strict=False) if a[0] > b[0]]
        assert known and not wrong, f"{len(known)} known; {wrong[:2]}"


@check("page.whole", "offset and limit walk through the list: every row once, links.next until the end, total_count the same")
def _():
    wanted, seen, path = ids(whole()), [], "/v1/models?offset=0&limit=150"
    for _ in range(20):
        told = json_of(whole(), path)
        is_list(told)
        assert told["total_count"] == len(wanted), f"total_count {told['total_count']}, not {len(wanted)}"
        seen += [row["id"] for row in told["data"]]
        if told["links"]["next"] is None:
            break
        assert len(told["data"]) == 150, f"a page of {len(told['data'])}"
        url = urlsplit(urljoin(f"http://127.0.0.1:{whole().port}{path}", told["links"]["next"]))
        path = f"{url.path}?{url.query}"
    assert seen == wanted, f"{len(seen)} rows, not {len(wanted)}"


@check("page.edges", "an offset at the end is an empty page, offset alone gives at most 500, limit 1000 is taken; a filter survives in links.next")
def _():
    total = len(ids(whole()))
    told = listing(whole(), offset=total, limit=10)
    assert told["data"] == [] and told["links"]["next"] is None and told["total_count"] == total, f"{told}"
    assert len(rows(whole(), offset=0)) == min(500, total)
    assert len(rows(whole(), limit=1000)) == min(1000, total)
    told = listing(whole(), q="falcon", limit=3)
    assert "falcon" in told["links"]["next"] and told["total_count"] > 3, f"{told['links']}"


# ---------------------------------------------------------------- on the wire


@check("wire.etag", "the list has an ETag; If-None-Match answers 304 with it and no body; another tag gives the list")
def _():
    for path in ("/v1/models", "/api/openrouter/models?q=kite", "/v1/providers", "/v1/models/acme/both/endpoints", "/v1/model/acme/plain"):
        first = whole().get(path)
        tag = first.header("etag")
        assert tag and tag.endswith('"'), f"{path}: ETag {tag!r}"
        again = whole().get(path, headers={"If-None-Match": tag})
        assert again.status == 304 and not again.body and again.header("etag") == tag, f"{path}: {again}"
        assert whole().get(path, headers={"If-None-Match": f'"other", {tag}'}).status == 304, f"{path}: a list of tags"
        assert whole().get(path, headers={"If-None-Match": '"other"'}).status == 200


@check("wire.gzip", "gzip when it is taken: the same list, at most a third of the bytes, Vary, a tag of its own; never when refused")
def _():
    plain = whole().get("/v1/models")
    packed = whole().get("/v1/models", headers={"Accept-Encoding": "br;q=0.5, gzip, deflate"})
    assert packed.header("content-encoding") == "gzip" and plain.header("content-encoding") is None, f"{packed.header('content-encoding')}"
    assert gzip.decompress(packed.body) == plain.body and len(packed.body) * 3 < len(plain.body), f"{len(packed.body)} of {len(plain.body)} bytes"
    assert "accept-encoding" in (packed.header("vary") or "").lower() and "accept-encoding" in (plain.header("vary") or "").lower()
    refused = whole().get("/v1/models", headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert refused.header("content-encoding") is None
    again = whole().get("/v1/models", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.header("etag")})
    assert again.status == 304, f"{again}"


@check("wire.vary-anthropic", "a cache is told that the list depends on anthropic-version")
def _():
    assert "anthropic-version" in (whole().get("/v1/models").header("vary") or "").lower(), f"Vary: {whole().get('/v1/models').header('vary')}"


@check("wire.rss", "?use_rss=true is a feed that parses: a title, a link and a description for each row", timeout=40)
def _():
    for path in ("/v1/models?use_rss=true", "/api/openrouter/models?use_rss=true&q=falcon", "/v1/models?use_rss=true&use_rss_chat_links=true"):
        answer = served(whole().get(path))
        assert "xml" in (answer.header("content-type") or ""), answer.header("content-type")
        root = ElementTree.fromstring(answer.body)
        channel = root.find("channel")
        assert root.tag == "rss" and channel is not None and channel.findtext("title"), f"{answer.body[:200]!r}"
        items = channel.findall("item")
        assert len(items) >= 10, f"{path}: {len(items)} items"
        for item in items:
            assert item.findtext("title") and item.findtext("link") and item.find("description") is not None, ElementTree.tostring(item)[:200]
    dated = [item.findtext("pubDate") for item in items if item.findtext("pubDate")]
    assert dated and all(re.search(r"\d{4} \d\d:\d\d:\d\d", date) for date in dated), f"{dated[:2]}"


@check("wire.json", "the list is strict JSON: no NaN, no Infinity, no lone surrogates, in UTF-8")
def _():
    def never(value):
        raise AssertionError(f"{value} in the list")

    json.loads(whole().get("/v1/models?output_modalities=all").body.decode("utf-8"), parse_constant=never)


# ---------------------------------------------------------------- our own traffic


@check("traffic.percentiles", "after some requests the endpoint tells uptime and percentiles of latency and throughput of our own traffic", timeout=60)
def _():
    g: Gateway = whole()
    for n in range(8):
        booked_or_served(g, n)
    found: dict = {}

    def is_told() -> bool:
        found.update(next(each for each in endpoints(g, "acme/by-request", key=True) if each["provider_name"] == "openrouter"))
        return found["uptime_last_30m"] is not None and found["latency_last_30m"] is not None

    assert eventually(is_told, 15, 0.5), f"uptime {found.get('uptime_last_30m')}, latency {found.get('latency_last_30m')}"
    assert 99 <= found["uptime_last_30m"] <= 100 and 99 <= found["uptime_last_5m"] <= 100 and 99 <= found["uptime_last_1d"] <= 100, f"{found}"
    for name in ("latency_last_30m", "throughput_last_30m"):
        told = found[name]
        assert told is not None and [type(told[p]) in (int, float) for p in ("p50", "p75", "p90", "p99")] == [True] * 4, f"{name}: {told}"
    latency = found["latency_last_30m"]
    assert 0 < latency["p50"] <= latency["p75"] <= latency["p90"] <= latency["p99"] < 10_000, f"{latency}"
    return f"p50 {latency['p50']} ms"


def booked_or_served(g: Gateway, n: int) -> None:
    answer = served(g.post(say("acme/by-request", stream=bool(n % 2))))
    if n == 0:
        booked(g, answer)


@check("traffic.uptime-falls", "an endpoint that fails half of the time shows it in its uptime; others of the model do not", timeout=60)
def _():
    g, kilo = whole(), fake("kilo")
    for n in range(6):
        kilo.chat = "500" if n % 2 else "good"
        g.post(say("kiwi-house/kiwi-7"))
    kilo.chat = "good"
    found: dict = {}

    def has_fallen() -> bool:
        found.update(endpoints(g, "kiwi-house/kiwi-7", key=True)[0])
        return found["uptime_last_30m"] is not None and found["uptime_last_30m"] < 90

    assert eventually(has_fallen, 15, 0.5), f"uptime {found.get('uptime_last_30m')}"
    assert openrouter_upstream().chat == "good"

