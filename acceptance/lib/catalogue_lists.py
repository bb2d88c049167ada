"""Lists of models as upstreams give them, made by a seeded generator: good rows, rows with gaps, duplicates, and bad ones.

Pure functions of a seed; nothing here listens or checks. Names are invented, so that no table of prices or abilities knows them,
except where a name of the real world is the point (`CURRENT`).
"""

import copy
import random
from dataclasses import dataclass

SEED = 20261126
AUTHORS = ("acme", "zephyrus", "nordlicht", "umbra-labs", "quokka", "tessellate", "heron", "brightwater", "corvid", "lumen-forge")
FAMILIES = ("sparrow", "falcon", "kestrel", "osprey", "merlin", "harrier", "kite", "buzzard", "swift", "martin")
SIZES = ("7b", "24b", "70b", "mini", "pro")
TOKENIZERS = ("Claude", "GPT", "Gemini", "Llama3", "Mistral", "Qwen3", "Other")
EFFORTS = ["xhigh", "high", "medium", "low", "minimal"]
DAY_S = 86_400
NOW = 1_795_600_000  # 25 November 2026

# What a row of OpenRouter may lack, each missing in some rows. Only `id` is never missing in a good one.
GAPS = (
    "canonical_slug", "hugging_face_id", "name", "created", "description", "context_length", "architecture", "architecture.modality",
    "architecture.input_modalities", "architecture.output_modalities", "architecture.tokenizer", "architecture.instruct_type", "pricing",
    "pricing.prompt", "pricing.completion", "pricing.request", "pricing.image", "pricing.web_search", "pricing.internal_reasoning",
    "pricing.input_cache_read", "pricing.input_cache_write", "top_provider", "top_provider.context_length",
    "top_provider.max_completion_tokens", "top_provider.is_moderated", "per_request_limits", "supported_parameters",
    "default_parameters", "supported_voices", "knowledge_cutoff", "expiration_date", "links", "reasoning", "benchmarks",
)  # fmt: skip

# Ids of the real world that an OpenRouter of today lists.
CURRENT = (
    "anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.6", "anthropic/claude-sonnet-5.5",
    "anthropic/claude-opus-5.5", "anthropic/claude-haiku-4.5", "openai/gpt-5.5", "openai/gpt-5.4", "openai/gpt-4o", "openai/gpt-4o-mini",
    "openai/gpt-6.1-sol", "google/gemini-3.1-pro-preview", "google/gemini-3.8-flash", "google/gemini-2.5-flash",
    "meta-llama/llama-3.1-70b-instruct", "minimax/minimax-m2.1", "minimax/minimax-m2.5", "minimax/minimax-m3", "z-ai/glm-5.3-flash",
    "moonshotai/kimi-k3",
)  # fmt: skip

# Every model id of the texts the product was begun from, without a prefix.
SEED_IDS = (
    "kilo/auto", "anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4-6", "anthropic/claude-3-5-sonnet", "openai/gpt-5.5",
    "openai/gpt-5.4", "openai/gpt-4o", "openai/gpt-4o-mini", "google/gemini-3-pro-preview", "google/gemini-flash-1.5",
    "meta-llama/llama-3.1-70b-instruct", "meta-llama/llama-3.1-70b", "minimax/minimax-m2.1:free",
)  # fmt: skip


@dataclass(frozen=True)
class Lists:
    """`good`: unique rows that must be listed. `bad`: without a usable id. `doubtful`: an id, and nonsense beside it; a reader may

    drop such a row or what is wrong in it. `body`: all of them and the duplicates, as they are served.
    """

    good: list[dict]
    bad: list
    doubtful: list[dict]
    body: list

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.good]


def row(id: str, n: int = 0, *, prompt: str = "0.000001", completion: str = "0.000002", **more) -> dict:
    """A full row of OpenRouter. `more` replaces members; `pricing` is added to the two prices."""
    author = id.partition("/")[0].removeprefix("~")
    context = more.get("context_length", 128_000)
    whole = {
        "id": id, "canonical_slug": f"{id.removeprefix('~').partition(':')[0]}-20260{n % 9 + 1}15", "hugging_face_id": f"{author}/repo-{n}",
        "name": f"{author.title()}: {id.partition('/')[2].title()}", "created": NOW - (n * 7 % 700) * DAY_S - 3_600,
        "description": f"A model that was made up for a test. Number {n}; “quotes” & <marks>.", "context_length": context,
        "architecture": {
            "modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"],
            "tokenizer": TOKENIZERS[n % len(TOKENIZERS)], "instruct_type": None,
        },
        "pricing": {"prompt": prompt, "completion": completion, "request": "0", "image": "0", "web_search": "0", "internal_reasoning": "0"},
        "top_provider": {"context_length": context, "max_completion_tokens": 16_384, "is_moderated": False},
        "per_request_limits": None, "supported_parameters": ["max_tokens", "temperature", "top_p", "stop", "tools", "tool_choice"],
        "default_parameters": {}, "supported_voices": None, "knowledge_cutoff": "2026-01-31", "expiration_date": None,
        "links": {"details": f"/api/v1/models/{id}/endpoints"},
    }  # fmt: skip
    whole["pricing"].update(more.pop("pricing", {}))
    whole.update(more)
    return whole


def _without(whole: dict, path: str) -> dict:
    whole = copy.deepcopy(whole)
    first, _, second = path.partition(".")
    if not second:
        whole.pop(first, None)
    elif isinstance(whole.get(first), dict):
        whole[first].pop(second, None)
    return whole


def _general(rng: random.Random, count: int, first: int = 0) -> list[dict]:
    """Rows of many prices, contexts and abilities; one optional member is missing in every other of them."""
    names = [f"{a}/{f}-{g}-{s}" for g in (1, 2, 3, 4, 5) for a in AUTHORS for f in FAMILIES for s in SIZES][first:]
    rows = []
    for n, id in enumerate(names[:count]):
        more: dict = {"context_length": rng.choice((8_192, 32_768, 131_072, 200_000, 262_144, 1_000_000, 2_000_000))}
        one = row(id, n, prompt=_usd(rng.randint(1, 300) * 10**4), completion=_usd(rng.randint(10, 900) * 10**4), **more)
        if n % 3 == 0:
            one["architecture"] |= {"modality": "text+image->text", "input_modalities": ["text", "image"]}
        if n % 7 == 0:
            one["architecture"]["input_modalities"] = ["text", "image", "file", "audio"]
        if n % 4 == 0:
            one["supported_parameters"] = [*one["supported_parameters"], "reasoning", "include_reasoning", "response_format"]
            one["reasoning"] = {"mandatory": n % 8 == 0, "default_enabled": True, "default_effort": "medium", "supported_efforts": EFFORTS}
        if n % 5 == 0:
            one["pricing"] |= {"input_cache_read": _usd(rng.randint(1, 90) * 10**3), "input_cache_write": _usd(rng.randint(1, 99) * 10**4)}
        if n % 9 == 0:
            one["benchmarks"] = {"artificial_analysis": {"intelligence_index": n % 70 + 1.5, "coding_index": n % 60 + 1.0,
                                                         "agentic_index": n % 50 + 0.5}, "design_arena": []}  # fmt: skip
        if n % 6 == 0:
            one.setdefault("benchmarks", {})["design_arena"] = battles(n)
        rows.append(_without(one, GAPS[n // 2 % len(GAPS)]) if n % 2 else one)
    return rows


def battles(n: int) -> list[dict]:
    """Of Design Arena: the best is not the first, and of the second arena."""
    found = (("models", "website", n), ("models", "svg", n // 2), ("builders", "gamedev", n + n % 5))
    return [{"arena": arena, "category": category, "elo": 1000 + more, "rank": 1 + n % 9, "win_rate": 40.5} for arena, category, more in found]


USES = ("programming", "marketing/seo", "legal")


def uses(rows: list[dict]) -> dict[str, set[str]]:
    """The ids of the rows that are in a category."""
    return {use: {one["id"] for one in rows[at :: 7 + at]} for at, use in enumerate(USES)}


def _usd(pico: int) -> str:
    """Of pico-USD a token, as decimal text."""
    digits = str(pico).rjust(13, "0")
    return f"{digits[:-12]}.{digits[-12:]}".rstrip("0").rstrip(".")


def _special() -> list[dict]:
    """Rows that checks name: prices of every kind, variants, aliases, other outputs."""
    tiers = [
        {"min_prompt_tokens": 128_000, "prompt": "0.000004", "completion": "0.00001"},
        {"min_prompt_tokens": 512_000, "prompt": "0.000008"},
    ]
    return [
        row("acme/plain", 1, prompt="0.0000013", completion="0.0000047"),
        row("acme/cached", 2, prompt="0.000003", completion="0.000015", pricing={"input_cache_read": "0.0000003"}),
        row("acme/written", 3, prompt="0.000003", completion="0.000015",
            pricing={"input_cache_read": "0.0000003", "input_cache_write": "0.00000375"}),
        row("acme/tiered", 4, prompt="0.000002", completion="0.000006", context_length=1_000_000,
            pricing={"input_cache_read": "0.0000002", "overrides": tiers}),
        row("acme/by-request", 5, prompt="0.0000005", completion="0.0000015", pricing={"request": "0.005"}),
        row("acme/thinker", 6, prompt="0.000001", completion="0.000002", pricing={"internal_reasoning": "0.000007"},
            supported_parameters=["max_tokens", "tools", "reasoning", "include_reasoning"],
            reasoning={"mandatory": False, "default_effort": "high", "supported_efforts": ["high", "low"]}),
        row("acme/heard", 7, prompt="0.000001", completion="0.000002", pricing={"audio": "0.00004"}),
        row("acme/seen", 8, prompt="0.000001", completion="0.000002", pricing={"image": "0.0012"},
            architecture={"modality": "text+image->text", "input_modalities": ["text", "image"], "output_modalities": ["text"],
                          "tokenizer": "GPT", "instruct_type": None}),
        row("acme/searched", 9, prompt="0.000001", completion="0.000002", pricing={"web_search": "0.01"}),
        row("acme/fine-print", 10, prompt="1.3e-06", completion="0.00000470"),
        row("acme/tiny", 11, prompt="0.000000000007", completion="0.000000000013"),
        row("acme/robin", 12, prompt="0.0000011", completion="0.0000022"),
        row("acme/robin:free", 13, prompt="0", completion="0"),
        row("acme/robin:thinking", 14, prompt="0.0000012", completion="0.0000024"),
        row("acme/robin:extended", 15, prompt="0.0000014", completion="0.0000028", context_length=1_000_000),
        row("acme/wren-paid", 16, prompt="0.0000011", completion="0.0000022"),
        row("acme/both", 17, prompt="0.0000025", completion="0.00001"),
        row("acme/big-context", 18, context_length=10_000_000),
        row("~acme/robin-latest", 19, prompt="0.0000011", completion="0.0000022",
            alias_target={"slug": "acme/robin", "name": "Acme: Robin"}),
        *[row(f"{a}/depends-{n}", 20 + n, prompt="-1", completion="-1") for n, a in enumerate(AUTHORS[:6])],
        *[row(f"{a}/painter-{n}", 30 + n, pricing={"image_output": "0.00003"},
              architecture={"modality": "text->image", "input_modalities": ["text", "image"], "output_modalities": ["image"],
                            "tokenizer": "Other", "instruct_type": None}) for n, a in enumerate(AUTHORS)],
        *[row(f"{a}/vectors-{n}", 40 + n, completion="0", context_length=8_192,
              architecture={"modality": "text->embeddings", "input_modalities": ["text"], "output_modalities": ["embeddings"],
                            "tokenizer": "Other", "instruct_type": None}) for n, a in enumerate(AUTHORS[:8])],
        *[row(f"{a}/scribe-{n}", 50 + n,
              architecture={"modality": "audio->transcription", "input_modalities": ["audio"], "output_modalities": ["transcription"],
                            "tokenizer": "Other", "instruct_type": None}) for n, a in enumerate(AUTHORS[:3])],
        *[row(f"{a}/speaker-{n}", 55 + n, supported_voices=["alto", "bass"],
              architecture={"modality": "text->speech", "input_modalities": ["text"], "output_modalities": ["speech"],
                            "tokenizer": "Other", "instruct_type": None}) for n, a in enumerate(AUTHORS[:3])],
    ]  # fmt: skip


def _variants(rows: list[dict]) -> list[dict]:
    """Free variants of some, and aliases to the newest of a family."""
    out = []
    for n, one in enumerate(rows[5:200:9]):
        out.append({**copy.deepcopy(one), "id": f"{one['id']}:free", "pricing": {"prompt": "0", "completion": "0"}})
        if n < 8:
            author, _, name = one["id"].partition("/")
            family = name.partition("-")[0]
            out.append({**copy.deepcopy(one), "id": f"~{author}/{family}-latest", "alias_target": {"slug": one["id"], "name": name}})
    return list({one["id"]: one for one in out}.values())


def _bad() -> list:
    """Rows without a usable id."""
    rest = {"name": "No id", "pricing": {"prompt": "0", "completion": "0"}, "context_length": 4_096}
    return [
        None, 7, "acme/just-a-string", [], ["acme/in-a-list"], True, 1.5, {}, rest, {**rest, "id": None}, {**rest, "id": ""},
        {**rest, "id": "   "}, {**rest, "id": 7}, {**rest, "id": ["acme/x"]}, {**rest, "id": {"slug": "acme/x"}}, {**rest, "id": False},
        {**rest, "ID": "acme/upper"}, {**rest, "slug": "acme/slug-only"},
    ]  # fmt: skip


def _doubtful() -> list[dict]:
    """Ids that could be used, beside members that could not."""
    wrong = {
        "context_length": ("huge", -5, 0, 1e300, [1], 10**30), "pricing": ("free", 7, [], {"prompt": {}, "completion": []}),
        "architecture": ("text->text", 7, {"input_modalities": "text", "output_modalities": 7}), "name": (7, {}, "x" * 5_000),
        "supported_parameters": ("tools", {"tools": True}, [1, None]), "created": ("yesterday", -1, 10**18),
        "top_provider": ([], "first", {"is_moderated": "no", "max_completion_tokens": "all"}),
    }  # fmt: skip
    rows = [row(f"doubt/{field.replace('_', '-')}-{n}", n, **{field: value})
            for field, values in wrong.items() if field != "pricing" for n, value in enumerate(values)]  # fmt: skip
    for n, value in enumerate(wrong["pricing"]):
        rows.append({**row(f"doubt/pricing-{n}"), "pricing": value})
    prices = ("NaN", "Infinity", "-Infinity", "1e400", "abc", "0x10", "-0.5", "1,5", "")
    return rows + [row(f"doubt/price-{n}", n, prompt=price) for n, price in enumerate(prices)]


FIRST_VALID = "acme/first-valid"  # a malformed row, a good one, another good one


def openrouter(seed: int = SEED, count: int = 300) -> Lists:
    """At least 350 good rows in OpenRouter's full shape, and what comes with them in the worst case."""
    rng = random.Random(seed)
    general = _general(rng, count)
    current = [row(id, n, prompt="0.000009", completion="0.000019", context_length=111_111) for n, id in enumerate(CURRENT)]
    good = general + _special() + _variants(general) + current
    bad, doubtful = _bad(), _doubtful()
    duplicates = [copy.deepcopy(one) for one in general[::25]]
    dearer = [{**copy.deepcopy(one), "pricing": {"prompt": "0.5", "completion": "0.5"}, "name": "The second of its id"} for one in general[::40]]
    body: list = [*good, *duplicates, *dearer]
    for one in [*bad, *doubtful]:
        body.insert(rng.randrange(len(body)), one)
    malformed = {"id": FIRST_VALID, "name": {}, "pricing": "garbage", "context_length": "much", "architecture": 7}
    first = row(FIRST_VALID, 99, prompt="0.0000031", completion="0.0000041")
    body += [malformed, first, row(FIRST_VALID, 98, prompt="0.5", completion="0.5"), *bad]
    for later in (*duplicates, *dearer):  # the first of an id is the good one
        body.remove(later)
        body.append(later)
    return Lists([*good, first], [*bad, *bad], doubtful, body)


def big(count: int, seed: int = SEED) -> list[dict]:
    """So many full rows, all good."""
    rng = random.Random(seed)
    rows = _general(rng, min(count, 2_400))
    return rows + [row(f"many/model-{n}", n) for n in range(count - len(rows))]


def doubled(rows: list) -> list:
    """The same with all prices twice as high."""
    out = copy.deepcopy(rows)
    for one in out:
        pricing = one.get("pricing") if isinstance(one, dict) else None
        for name, value in (pricing or {}).items() if isinstance(pricing, dict) else ():
            if isinstance(value, str) and value.replace(".", "").isdigit():
                pricing[name] = _usd(int(round(float(value) * 10**12)) * 2)
    return out


def kilo() -> list[dict]:
    """Kilo Gateway's own: OpenRouter's shape and Kilo's fields, its virtual models among them."""
    rows = [row(f"kiwi-house/kiwi-{n}", n, prompt="0.0000006", completion="0.0000012") for n in range(20)]
    rows.append(row("acme/both", 21, prompt="0.000003", completion="0.000012"))
    for n, one in enumerate(rows):
        one |= {"preferredIndex": n, "isFree": False, "mayTrainOnYourPrompts": n % 5 == 0, "hasUserByokAvailable": False}
        one["opencode"] = {"ai_sdk_provider": "anthropic", "family": "claude"} if n % 2 else {}
    auto = row("kilo-auto/efficient", 22, prompt="-1", completion="-1", context_length=123_456, name="Not ours")
    return [{**auto, "autoRouting": {"models": ["kiwi-house/kiwi-1"]}}, row("kilo/auto", 23, prompt="0.1", completion="0.1"), *rows]


def anthropic(count: int = 45) -> list[dict]:
    rows = [{"type": "model", "id": f"claude-testbird-{n}", "display_name": f"Claude Testbird {n}", "created_at": f"2026-0{n % 9 + 1}-01T00:00:00Z",
             "max_input_tokens": 200_000, "max_tokens": 64_000} for n in range(count)]  # fmt: skip
    for n, gap in enumerate(("type", "display_name", "created_at", "max_input_tokens", "max_tokens")):
        rows[n + 3].pop(gap)
    return rows


def gemini(count: int = 70) -> list[dict]:
    rows = [{"name": f"models/gemini-testbird-{n}", "version": "001", "displayName": f"Gemini Testbird {n}", "description": "Invented.",
             "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens"],
             "temperature": 1, "topP": 0.95, "topK": 64, "thinking": True} for n in range(count)]  # fmt: skip
    gaps = ("version", "displayName", "description", "inputTokenLimit", "outputTokenLimit", "temperature", "topP", "topK", "thinking")
    for n, gap in enumerate(gaps):
        rows[n + 3].pop(gap)
    return rows


def ollama(count: int = 30) -> list[dict]:
    names = ["llama3.2:latest", "llama3.2:1b", "qwen3:4b-q4_K_M", *[f"testbird{n}:latest" for n in range(count - 3)]]
    return [{"name": name, "model": name, "modified_at": "2026-10-01T12:00:00.000000Z", "size": 2_019_393_189, "digest": f"{n:064x}",
             "details": {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "3.2B",
                         "quantization_level": "Q4_K_M"}} for n, name in enumerate(names)]  # fmt: skip


def openai() -> list[dict]:
    """Ids without an author, and nothing beside them."""
    ids = ("gpt-4o", "gpt-4.1-mini", "gpt-4.1", "o4-mini", "testbird-1", "testbird-2-2026-01-01", "text-embedding-3-small")
    return [{"id": id, "object": "model", "created": 1_715_367_049, "owned_by": "system"} for id in ids]


def house() -> list[dict]:
    """A server of one's own: plain ids, one with an author, one with a colon that is no variant."""
    return [{"id": id, "object": "model"} for id in ("my-model", "lonely-author/lonely-model", "wren:7b", "other-model", "third-model")]


def vllm() -> list[dict]:
    return [{"id": "Testbird/Owl-4B", "object": "model", "created": NOW, "owned_by": "vllm", "root": "Testbird/Owl-4B", "parent": None,
             "max_model_len": 40_960, "permission": []}]  # fmt: skip


def lm_studio() -> list[dict]:
    return [{"id": "testbird-owl-2b", "object": "model", "owned_by": "organization_owner", "type": "llm", "publisher": "testbird",
             "arch": "llama", "compatibility_type": "gguf", "quantization": "Q4_K_M", "state": "loaded", "max_context_length": 32_768}]  # fmt: skip
