"""What one family's models signed is not relayed to another's; an upstream of many gets back what it gave."""

import json
from typing import Any

import pytest
from msgspec import Raw

from kilo_gateway.core.types import Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.chat.foreign import without_foreign

CLAUDES = {"type": "reasoning.text", "text": "hm", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
REDACTED = {"type": "reasoning.encrypted", "data": "cmVk", "format": "anthropic-claude-v1", "index": 1}
GEMINIS = {"type": "reasoning.encrypted", "data": "Z2Vt", "format": "google-gemini-v1", "id": "c1", "index": 2}
PLAIN = {"type": "reasoning.text", "text": "hm", "format": "unknown", "index": 3}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"signature":1}'}}
SIGNED = CALL | {"extra_content": {"google": {"thought_signature": "Z2Vt"}}}


def endpoint(model: str, own: str = "m") -> Endpoint:
    return Endpoint("one", model, Origin("h", 1), "openai-chat", json.dumps(own).encode(), b"", b"", b'"one"', b'"a/m"', None)


def sent(model: str, message: dict[str, Any], own: str = "m") -> tuple[dict[str, Any], tuple[str, ...]]:
    call = openai_chat.open_body(json.dumps({"model": model, "messages": [message]}).encode())
    body = json.loads(Bridge().shape(call, endpoint(model, own), None))
    return body["messages"][0], call.changed


def said(*details: dict[str, Any], call: dict[str, Any] = SIGNED) -> dict[str, Any]:
    members = {"reasoning_details": list(details)} if details else {}
    return {"role": "assistant", "content": None, "tool_calls": [call]} | members


UNSIGNED = {name: value for name, value in CLAUDES.items() if name != "signature"}


@pytest.mark.parametrize(("model", "left"), [
    ("openai/gpt-5", said(UNSIGNED, PLAIN, call=CALL)), ("deepseek/deepseek-chat", said(UNSIGNED, PLAIN, call=CALL)),
    ("anthropic/claude-4", said(CLAUDES, REDACTED, PLAIN, call=CALL)), ("google/gemini-3", said(UNSIGNED, GEMINIS, PLAIN)),
    ("my/alias", said(CLAUDES, REDACTED, GEMINIS, PLAIN)),
])  # fmt: skip
def test_a_signature_goes_to_models_of_its_family_alone(model: str, left: dict[str, Any]) -> None:
    message, changed = sent(model, said(CLAUDES, REDACTED, GEMINIS, PLAIN))
    assert message == left
    assert bool(changed) == (model != "my/alias")


def test_the_upstreams_own_name_of_a_model_tells_its_author_too() -> None:
    assert sent("openai/gpt-5", said(CLAUDES, call=CALL), own="anthropic/claude-4") == (said(CLAUDES, call=CALL), ())


def test_nothing_is_left_of_what_was_signature_alone() -> None:
    part = {"type": "text", "text": "x", "thoughtSignature": "Z2Vt"}
    message, _ = sent("openai/gpt-5", {"role": "assistant", "content": [part], "reasoning_details": [GEMINIS]})
    assert message == {"role": "assistant", "content": [{"type": "text", "text": "x"}]}


@pytest.mark.parametrize("messages", [
    b'[{"role": "user",  "content": "a \\"reasoning_details\\" b \\"thought_signature\\""}]', b'{"reasoning_details": 1}', b"[1]",
    b'[{"role":"assistant","reasoning_details":[{"text":"hm",  "format":"anthropic-claude-v1"}]}]',
    b'[{"role":"assistant","reasoning_details":[7]}]', b'[{"role":"assistant","reasoning_details":null}]',
])  # fmt: skip
def test_what_has_no_foreign_signature_stays_byte_for_byte(messages: bytes) -> None:
    assert without_foreign({"messages": Raw(messages)}, endpoint("openai/gpt-5")) is None
