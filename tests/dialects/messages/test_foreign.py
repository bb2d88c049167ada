"""What other providers have signed is taken out of a relayed request, and nothing else is touched."""

import json
from typing import Any

import pytest
from msgspec import Raw

from kilo_gateway.dialects.hub.asked import Format, Thought
from kilo_gateway.dialects.messages.foreign import without_foreign
from kilo_gateway.dialects.messages.signatures import seal

CLAUDE = "claude-sonnet-4-5"
OFF = "thinking: off, for the calls being answered carry no thought of this provider's"
LEFT_OUT = "messages: reasoning of another provider left out"
CALL = {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
OWN = {"type": "thinking", "thinking": "own", "signature": "b3du"}


def thinking(format: Format, signature: str = "", encrypted: str = "", origin: str = "") -> dict[str, Any]:
    return {"type": "thinking", "thinking": "hm", "signature": seal(Thought("", "", signature, encrypted, format, origin=origin))}


def said(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def cleaned(*messages: dict[str, Any], model: str = CLAUDE, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    fields = {name: Raw(json.dumps(value).encode()) for name, value in ({"messages": list(messages)} | members).items()}
    made = without_foreign(fields, model)
    return None if made is None else ({name: json.loads(bytes(raw)) for name, raw in made[0].items()}, made[1])


def test_a_conversation_of_its_own_is_not_looked_into() -> None:
    assert cleaned({"role": "user", "content": "hi"}, said(OWN, CALL), RESULT) is None


@pytest.mark.parametrize(
    "foreign",
    [
        thinking("google-gemini-v1", "Z2Vt"), thinking("openai-responses-v1", encrypted="gAAA"), thinking("google-gemini-v1"), thinking(""),
        {"type": "redacted_thinking", "data": seal(Thought(encrypted="gAAA", format="openai-responses-v1", id="rs_1"))},
    ],
)  # fmt: skip
def test_thoughts_of_others_are_left_out_and_the_rest_stays_to_the_byte(foreign: dict[str, Any]) -> None:
    odd = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": 'say "KILO_SEALED_THOUGHT:x"'}}
    made = cleaned({"role": "user", "content": "hi"}, said(OWN, foreign, odd, CALL), RESULT, said(foreign), max_tokens=9)
    assert made == ({"messages": [{"role": "user", "content": "hi"}, said(OWN, odd, CALL), RESULT], "max_tokens": 9}, (LEFT_OUT,))
    spaced = b'[{"role":"assistant" , "content":[ {"type":"text",  "text":"\\u00fc"}, %b ]}]' % json.dumps(foreign).encode()
    fields = without_foreign({"messages": Raw(spaced)}, CLAUDE)
    assert fields is not None and b'{"type":"text",  "text":"\\u00fc"}' in bytes(fields[0]["messages"])


def test_geminis_signature_of_a_call_is_taken_off() -> None:
    made = cleaned(said(CALL | {"thought_signature": "Z2Vt"}), RESULT)
    assert made == ({"messages": [said(CALL), RESULT]}, (LEFT_OUT,))


def test_claudes_own_that_came_another_way_is_unwrapped_for_claude_alone() -> None:
    message = said(thinking("anthropic-claude-v1", "b3du", origin="0a1b2c3d"), {"type": "text", "text": "x"})
    made = cleaned(message)
    assert made == ({"messages": [said(OWN | {"thinking": "hm"}, {"type": "text", "text": "x"})]}, ())
    assert cleaned(message, model="other-1") == ({"messages": [said({"type": "text", "text": "x"})]}, (LEFT_OUT,))


def test_thinking_is_off_where_the_calls_being_answered_have_lost_their_thought() -> None:
    foreign, on = thinking("google-gemini-v1", "Z2Vt"), {"type": "enabled", "budget_tokens": 2000}
    edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    made = cleaned(said(foreign, CALL), RESULT, thinking=on, context_management=edits)
    assert made == (
        {"messages": [said(CALL), RESULT], "thinking": {"type": "disabled"}},
        (LEFT_OUT, OFF, "context_management: left out without thinking"),
    )
    for rest in ((RESULT, said({"type": "text", "text": "x"}), {"role": "user", "content": "go on"}), (RESULT, said(OWN, CALL), RESULT)):
        made = cleaned(said(foreign, CALL), *rest, thinking=on, context_management=edits)
        assert made is not None and made[0]["thinking"] == on and made[0]["context_management"] == edits
    made = cleaned(said(foreign, CALL), RESULT, thinking={"type": "adaptive"})
    assert made is not None and made[0]["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize("messages", [b'["KILO_SEALED_THOUGHT:"', b'{"a":"KILO_SEALED_THOUGHT:"}', b'[{"content":[5,"KILO_SEALED_THOUGHT:"]}]', b'["KILO_SEALED_THOUGHT:"]'])
def test_what_cannot_be_read_is_left_to_the_upstream(messages: bytes) -> None:
    assert without_foreign({"messages": Raw(messages)}, CLAUDE) is None
