"""What of a request reaches which upstream, found out by asking for it: the pages of docs/support.md.

Each feature is asked for by each caller, in that caller's words, and the body for the upstream is compared with one made
without it. Equal bodies and no word about it would be a field that is dropped in silence.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.table import MESSAGES_CALLER, RESPONSES_CALLER, SERVICES, UPSTREAMS
from kilo_gateway.upstreams.doors import DOORS
from kilo_gateway.upstreams.registry import SERVERS, providers

Json = dict[str, object]
CALLERS: dict[str, Callable[[bytes], Call]] = {
    "chat": openai_chat.open_body, "responses": RESPONSES_CALLER.open_body, "messages": MESSAGES_CALLER.open_body,
}  # fmt: skip
PAGE = Path(__file__).resolve().parents[2] / "docs" / "support.md"
MARK = "zebra"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
SCHEMA: Json = {"type": "object", "properties": {MARK: {"type": "string"}}, "required": [MARK], "additionalProperties": False}
EPHEMERAL = {"type": "ephemeral"}


class Feature(NamedTuple):
    """Members of a request, by caller; a caller that is missing has no word for it. `tool`: beside a tool of the caller's."""

    name: str
    asked: dict[str, Json]
    needs_tool: bool = False


def said(chat: object = None, responses: object = None, messages: object = None) -> dict[str, Json]:
    """What the user says, as one part of a message."""
    found: dict[str, Json] = {}
    if chat is not None:
        found["chat"] = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, chat]}]}
    if responses is not None:
        found["responses"] = {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}, responses]}]}
    if messages is not None:
        found["messages"] = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, messages]}]}
    return found


def everywhere(**members: object) -> dict[str, Json]:
    return {"chat": members, "responses": members, "messages": members}


def _source(kind: str, data: str) -> Json:
    return {"type": "base64", "media_type": kind, "data": data}


FEATURES = (
    Feature("system prompt", {
        "chat": {"messages": [{"role": "system", "content": MARK}, {"role": "user", "content": "hi"}]},
        "responses": {"instructions": MARK}, "messages": {"system": MARK},
    }),
    Feature("images, as data", said(
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
        {"type": "image", "source": _source("image/png", PIXEL)},
    )),
    Feature("images, by URL", said(
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    )),
    Feature("PDF files", said(
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
        {"type": "document", "source": _source("application/pdf", PDF)},
    )),
    Feature("audio", said({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}})),
    Feature("tools", {
        "chat": {"tools": [{"type": "function", "function": {"name": MARK, "parameters": SCHEMA}}]},
        "responses": {"tools": [{"type": "function", "name": MARK, "parameters": SCHEMA, "strict": False}]},
        "messages": {"tools": [{"name": MARK, "input_schema": SCHEMA}]},
    }),
    Feature("tool choice: required", {
        "chat": {"tool_choice": "required"}, "responses": {"tool_choice": "required"}, "messages": {"tool_choice": {"type": "any"}},
    }, needs_tool=True),
    Feature("tool choice: one tool", {
        "chat": {"tool_choice": {"type": "function", "function": {"name": "look"}}},
        "responses": {"tool_choice": {"type": "function", "name": "look"}},
        "messages": {"tool_choice": {"type": "tool", "name": "look"}},
    }, needs_tool=True),
    Feature("tool choice: none", {
        "chat": {"tool_choice": "none"}, "responses": {"tool_choice": "none"}, "messages": {"tool_choice": {"type": "none"}},
    }, needs_tool=True),
    Feature("one call at a time", {
        "chat": {"parallel_tool_calls": False}, "responses": {"parallel_tool_calls": False},
        "messages": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    }, needs_tool=True),
    Feature("strict tools", {
        "chat": {"tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA, "strict": True}}]},
        "responses": {"tools": [{"type": "function", "name": "look", "parameters": SCHEMA, "strict": True}]},
        "messages": {"tools": [{"name": "look", "input_schema": SCHEMA, "strict": True}]},
    }, needs_tool=True),
    Feature("JSON schema of the answer", {
        "chat": {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}},
        "responses": {"text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}}},
        "messages": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    }),
    Feature("JSON without a schema", {
        "chat": {"response_format": {"type": "json_object"}}, "responses": {"text": {"format": {"type": "json_object"}}},
    }),
    Feature("reasoning, by effort", {
        "chat": {"reasoning": {"effort": "high"}}, "responses": {"reasoning": {"effort": "high"}},
        "messages": {"output_config": {"effort": "high"}, "thinking": {"type": "adaptive"}},
    }),
    Feature("reasoning, by tokens", {
        "chat": {"reasoning": {"max_tokens": 2048}, "max_tokens": 9000},
        "messages": {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 9000},
    }),
    Feature("cache marks", {
        "chat": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": EPHEMERAL}]}]},
        "messages": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": EPHEMERAL}]}]},
    }),
    Feature("cache key", {"chat": {"prompt_cache_key": MARK}, "responses": {"prompt_cache_key": MARK}}),
    Feature("longest answer", {
        "chat": {"max_tokens": 777}, "responses": {"max_output_tokens": 777}, "messages": {"max_tokens": 777},
    }),
    Feature("temperature", everywhere(temperature=0.37)),
    Feature("top_p", everywhere(top_p=0.83)),
    Feature("top_k", {"chat": {"top_k": 37}, "messages": {"top_k": 37}}),
    Feature("stop sequences", {"chat": {"stop": [MARK]}, "messages": {"stop_sequences": [MARK]}}),
    Feature("seed", {"chat": {"seed": 7}}),
    Feature("penalties", {"chat": {"frequency_penalty": 0.41, "presence_penalty": 0.43}}),
    Feature("logit bias", {"chat": {"logit_bias": {"1234": 1}}}),
    Feature("logprobs", {"chat": {"logprobs": True, "top_logprobs": 2}, "responses": {"top_logprobs": 2}}),
    Feature("several answers (n)", {"chat": {"n": 2}}),
    Feature("verbosity", {"chat": {"verbosity": "low"}, "responses": {"text": {"verbosity": "low"}}}),
    Feature("service tier", {
        "chat": {"service_tier": "priority"}, "responses": {"service_tier": "priority"},
    }),
    Feature("user", {"chat": {"user": MARK}, "responses": {"user": MARK}, "messages": {"metadata": {"user_id": MARK}}}),
    Feature("metadata", {"chat": {"metadata": {MARK: "x"}}, "responses": {"metadata": {MARK: "x"}}}),
)  # fmt: skip

PATHS = (
    "chat/completions", "responses", "messages", "completions", "count_tokens", "embeddings", "audio/transcriptions",
    "fim/completions", "edit/completions",
)  # fmt: skip
OUTPUTS = ("embeddings", "transcription")
SERVICE_BODIES = {
    "embeddings": b'{"model":"a/m","input":"x"}',
    "transcription": b'{"model":"a/m","input_audio":{"data":"UklGRg==","format":"wav"}}',
    "fim": b'{"model":"a/m","prompt":"x"}', "edit": b'{"model":"a/m","messages":[{"role":"user","content":"x"}]}',
}  # fmt: skip
OTHERS = (
    ("Azure OpenAI", "openai-chat"), ("Azure OpenAI, Responses", "openai-responses"), ("Vertex AI, Gemini", "gemini"),
    ("Vertex AI, Claude", "anthropic-messages"), ("Vertex AI, others", "openai-chat"), ("Amazon Bedrock", "bedrock-converse"), ("Cohere", "cohere"), ("OpenAI's Responses", "openai-responses"),
    (", ".join(SERVERS.values()), "openai-chat"), ("any other that is OpenAI-compatible", "openai-chat"),
)  # fmt: skip
CHAT_ALONE = ("Vertex AI, others",)
MODELS = {  # the upstream's own name, where it decides how something is said
    "gemini": b'"gemini-2.5-pro"', "bedrock-converse": b'"anthropic.claude-sonnet-4-5-v1:0"', "cohere": b'"command-a-reasoning"',
    "anthropic-messages": b'"claude-sonnet-4-5"', "openai-responses": b'"gpt-5"',
}  # fmt: skip
EMBEDDERS = {"bedrock-converse": b'"amazon.titan-embed-text-v2:0"'}  # where chat is another model's
YES, OTHERWISE, NAMED, REFUSED, SILENT, NO_WORD = "yes", "otherwise", "named", "400", "SILENT", "no word"


def found(caller: str, dialect: str, feature: Feature) -> str:
    """What becomes of it: one of the words above."""
    if caller not in feature.asked:
        return NO_WORD
    plain = _shaped(caller, dialect, _tools(caller) if feature.needs_tool else {})
    asked = _shaped(caller, dialect, {**(_tools(caller) if feature.needs_tool else {}), **feature.asked[caller]})
    if asked is None or plain is None:
        return REFUSED
    dropped = set(asked[1].dropped) - set(plain[1].dropped)
    changed = set(asked[1].changed) - set(plain[1].changed)
    if dropped:
        return NAMED
    if asked[0] == plain[0]:
        return OTHERWISE if changed else SILENT
    return OTHERWISE if changed else YES


def endpoint(dialect: str) -> Endpoint:
    return Endpoint("one", "a/m", Origin("h", 1), dialect, MODELS.get(dialect, b'"m"'), b"", b"", b'"one"', b'"a/m"', None)


def _tools(caller: str) -> Json:
    if caller == "messages":
        return {"tools": [{"name": "look", "input_schema": SCHEMA}]}
    if caller == "responses":
        return {"tools": [{"type": "function", "name": "look", "parameters": SCHEMA}]}
    return {"tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}]}


def _shaped(caller: str, dialect: str, members: Json) -> tuple[Json, Call] | None:
    """None where it is refused."""
    body: Json = {"model": "a/m"}
    if caller == "responses":
        body |= {"input": [{"role": "user", "content": "hi"}], "store": False}
    else:
        body |= {"messages": [{"role": "user", "content": "hi"}]} | ({"max_tokens": 500} if caller == "messages" else {})
    try:
        call, there = CALLERS[caller](json.dumps({**body, **members}).encode()), endpoint(dialect)
        if Bridge().obstacle(call, there):
            return None
        return json.loads(Bridge().shape(call, there, None)), call
    except BadRequest:
        return None


def cell(dialect: str, feature: Feature) -> str:
    """Of all callers: one word where they agree, else each with whom it holds for."""
    words = {caller: found(caller, dialect, feature) for caller in CALLERS}
    known = {caller: word for caller, word in words.items() if word != NO_WORD}
    if len(set(known.values())) == 1:
        return next(iter(known.values()))
    return "; ".join(f"{word} ({caller})" for caller, word in known.items())


def services(dialect: str, offered: frozenset[str]) -> list[str]:
    """Of an upstream: how each path below /v1 is served. `offered`: what it has besides chat, if its dialect has it."""
    own = {"openai-chat": 0, "openai-responses": 1, "anthropic-messages": 2}.get(dialect)
    row = ["relayed" if at == own else "translated" for at in range(3)] + ["translated"]
    row.append("counted" if dialect == "anthropic-messages" else "estimated")
    there = replace(endpoint(dialect), services=dict.fromkeys(offered, ""))
    for name, body in SERVICE_BODIES.items():
        is_served = name in SERVICES and name in DOORS[dialect].services
        call = SERVICES[name].open_body(body) if is_served else None
        asked = replace(there, model_json=EMBEDDERS[dialect]) if name == "embeddings" and dialect in EMBEDDERS else there
        row.append("yes" if call is not None and not Bridge().obstacle(call, asked) else "no")
    return row


def page() -> str:
    """docs/support.md"""
    providers_table = [
        "| upstream | dialect | " + " | ".join(f"`{path}`" for path in PATHS) + " |", "|---" * (len(PATHS) + 2) + "|",
        *(f"| {name} | `{dialect}` | {' | '.join(services(dialect, offered))} |" for name, dialect, offered in upstreams()),
    ]  # fmt: skip
    features_table = [
        "| of a request | " + " | ".join(f"`{dialect}`" for dialect in UPSTREAMS) + " |", "|---" * (len(UPSTREAMS) + 1) + "|",
        *(f"| {feature.name} | {' | '.join(cell(dialect, feature) for dialect in UPSTREAMS)} |" for feature in FEATURES),
    ]  # fmt: skip
    return TEXT.format(upstreams="\n".join(providers_table), features="\n".join(features_table))


def upstreams() -> list[tuple[str, str, frozenset[str]]]:
    plain = [(name, row.dialect, frozenset((*OUTPUTS, *row.services))) for name, row in providers().items()]
    return [*plain, *((name, dialect, frozenset(OUTPUTS) if name not in CHAT_ALONE else frozenset()) for name, dialect in OTHERS)]


TEXT = """# What reaches whom

Written by `scripts/support`, which asks for each feature and looks at what would be sent; a test compares. What is said here of an
upstream is what the gateway can ask of it: whether it has such a model is its own affair.

## Paths

*relayed*: the upstream speaks the caller's dialect, and what it says passes as it is. *translated*: through the hub. *counted* by
the provider, or *estimated* here. FIM and edits are asked of models that are known for them.

{upstreams}

## Features

By the dialect of the upstream, for a model of which nobody said what it knows. All callers (chat completions, Responses, Messages)
that have a word for it are meant; where they differ, each is named. Streams and JSON are alike in this.

| word | means |
|---|---|
| yes | arrives in the upstream's own words |
| otherwise | arrives as something near; `x-kilo-changed-fields` says how |
| named | has no place there, and is named in `x-kilo-dropped-fields` |
| 400 | is refused, unless another endpoint of the model can |

{features}
"""

if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE.relative_to(Path.cwd())}: written")
