"""What a platform wants otherwise than the dialect's own house."""

import json

import pytest
from msgspec import Raw
from msgspec.structs import replace
from tests.dialects.test_relay import ENDPOINT

from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects.bridge import Bridge

CLAUDE = replace(ENDPOINT, dialect="anthropic-messages", model_json=b'"claude-x@20260101"', platform="vertex")
GEMINI = replace(ENDPOINT, dialect="gemini", model_json=b'"gemini-2.5-pro"')
CALLED = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TALK = [
    {"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "tool_calls": [CALLED]},
    {"role": "tool", "tool_call_id": "call_1", "content": "done"},
]  # fmt: skip


def shaped(dialect: str, endpoint: Endpoint, **fields: object) -> tuple[dict[str, object], Call]:
    raw = {name: Raw(json.dumps(value).encode()) for name, value in {"model": "m", **fields}.items()}
    call = Call(dialect, "m", False, 100, raw)
    return json.loads(Bridge().shape(call, endpoint, None)), call


@pytest.mark.parametrize("caller", ["anthropic-messages", "openai-chat"])
def test_claude_on_vertex_has_the_version_in_the_body_and_the_model_in_the_path_alone(caller: str) -> None:
    asked = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
    body, _ = shaped(caller, CLAUDE, **asked)
    assert (body["anthropic_version"], "model" in body, body["max_tokens"]) == ("vertex-2023-10-16", False, 9)
    body, _ = shaped(caller, replace(CLAUDE, platform=""), **asked)
    assert (body["model"], "anthropic_version" in body) == ("claude-x@20260101", False)


def test_gemini_on_vertex_gets_no_ids_of_calls_and_no_tier() -> None:
    body, _ = shaped("openai-chat", GEMINI, messages=TALK, service_tier="flex")
    assert body["serviceTier"] == "flex" and json.dumps(body).count('"id": "call_1"') == 2
    body, call = shaped("openai-chat", replace(GEMINI, platform="vertex"), messages=TALK, service_tier="flex")
    assert "serviceTier" not in body and "call_1" not in json.dumps(body)
    assert call.dropped == ("service_tier",)


@pytest.mark.parametrize("dialect", ["anthropic-messages", "openai-chat", "gemini"])
@pytest.mark.parametrize("wrapped", [b"[%b]", b"[%b\n]\n", b"%b"])
def test_errors_of_vertex_are_read_in_whichever_dialect_it_is_asked(dialect: str, wrapped: bytes) -> None:
    told = wrapped % b'{"error": {"code": 400, "message": "contents is not specified", "status": "INVALID_ARGUMENT"}}'
    refused = Bridge().refused(replace(CLAUDE, dialect=dialect), 400, told, "")
    assert (str(refused), refused.status) == ("contents is not specified", 400)


@pytest.mark.parametrize("body", [b"[", b"[]", b"[5]", b"[" * 100_000])
def test_arrays_that_are_no_errors_are_borne(body: bytes) -> None:
    assert Bridge().refused(CLAUDE, 429, body, "3").retry_after == "3"
