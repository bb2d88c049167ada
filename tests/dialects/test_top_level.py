"""Requests that are relayed, mended: of their top level, and below it only where an upstream is known to refuse something."""

import json
from typing import Any

import pytest

from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.table import MESSAGES, RESPONSES

CHAT = openai_chat.NAME
HI = {"messages": [{"role": "user", "content": "hi"}]}


def sent(dialect: str, fields: dict[str, Any], **traits: Any) -> tuple[dict[str, Any], Call]:
    """The body without its model, and what is told."""
    endpoint = Endpoint("one", "a/m", Origin("h", 1), dialect, b'"m"', b"", b"", b'"one"', b'"a/m"', None, **traits)
    call = openai_chat.open_call(dialect, json.dumps({"model": "a/m", **fields}).encode())
    body: dict[str, Any] = json.loads(Bridge().shape(call, endpoint, None))
    assert body.pop("model") == "m"
    return body, call


@pytest.mark.parametrize(
    ("dialect", "choice", "gone"),
    [(CHAT, "auto", {"parallel_tool_calls": True}), (RESPONSES, "auto", {}), (MESSAGES, {"type": "auto"}, {})],
)
def test_an_empty_list_of_tools_is_left_out_with_what_goes_with_tools(dialect: str, choice: object, gone: dict[str, Any]) -> None:
    body, call = sent(dialect, {"tools": [], "tool_choice": choice, **gone})
    assert body.keys() <= {"store"} and call.mended == {"empty_tools": 1}


def test_where_nothing_is_wrong_nothing_is_mended() -> None:
    fields = HI | {"tools": [{"type": "function", "function": {"name": "f"}}], "max_completion_tokens": 9, "x_own": [1], "temperature": 7}
    body, call = sent(CHAT, fields)
    assert (body, call.mended, call.dropped, call.clamped) == (fields, None, (), ())


@pytest.mark.parametrize(
    ("field", "asked", "told"),
    [
        ("", {"max_tokens": 5}, {"max_tokens": 5}), ("", {"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ("", {"max_completion_tokens": 5, "max_tokens": 7}, {"max_tokens": 5}),
        ("max_completion_tokens", {"max_tokens": 5}, {"max_completion_tokens": 5}),
        ("max_completion_tokens", {"max_completion_tokens": 5, "max_tokens": 7}, {"max_completion_tokens": 5}),
        ("max_tokens", {"max_completion_tokens": 5}, {"max_tokens": 5}), ("max_tokens", {"max_tokens": 5}, {"max_tokens": 5}),
        ("max_tokens", {"max_completion_tokens": None, "max_tokens": 5}, {"max_completion_tokens": None, "max_tokens": 5}),
    ],
)  # fmt: skip
def test_one_cap_arrives_under_the_name_that_is_known(field: str, asked: dict[str, Any], told: dict[str, Any]) -> None:
    body, call = sent(CHAT, HI | asked, cap_field=field)
    assert body == HI | told and (call.mended == {"cap_field": 1}) == (asked != told)


def test_a_strict_upstream_gets_what_it_knows_and_within_what_it_takes() -> None:
    fields = HI | {"temperature": 2.5, "top_p": 0.5, "top_logprobs": 50, "max_tokens": 90_000, "stop": list("abcde"), "seed": 2**70, "n": 1}
    body, call = sent(CHAT, fields | {"description": "x", "top_k": 4}, is_strict=True, max_output=32_000)
    assert body == fields | {"temperature": 2.0, "top_logprobs": 20, "max_tokens": 32_000, "stop": list("abcd")}
    assert call.dropped == ("description", "top_k")
    assert [each.split(":")[0] for each in call.clamped] == ["temperature", "top_logprobs", "max_tokens", "stop"]
    assert call.mended == {"unknown_field": 2, "out_of_range": 4}


@pytest.mark.parametrize("odd", [{"temperature": "hot"}, {"max_tokens": -3}, {"stop": "x"}, {"temperature": None}, {"max_tokens": 1.5}])
def test_what_is_of_another_kind_is_left_for_the_upstream_to_refuse(odd: dict[str, Any]) -> None:
    body, call = sent(CHAT, HI | odd, is_strict=True, max_output=10)
    assert body == HI | odd and call.mended is None


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_choice_of_tools_without_tools_is_not_for_a_strict_upstream(choice: str) -> None:
    assert sent(CHAT, HI | {"tool_choice": choice}, is_strict=True)[0] == HI
    assert sent(CHAT, HI | {"tool_choice": choice})[0] == HI | {"tool_choice": choice}


def test_messages_lose_the_gateways_own_members_and_keep_those_of_betas() -> None:
    fields = {"max_tokens": 9, "messages": [], "temperature": 1.7, "provider": {"sort": "price"}, "yet_to_come": 1}
    body, call = sent(MESSAGES, fields, is_strict=True)
    assert body == {"max_tokens": 9, "messages": [], "temperature": 1.0, "yet_to_come": 1}
    assert (call.dropped, call.mended) == (("provider",), {"unknown_field": 1, "out_of_range": 1})
    assert sent(MESSAGES, fields)[0] == fields


@pytest.mark.parametrize("said", [{}, {"store": None}, {"store": False}])
def test_no_answer_is_stored_whatever_is_said_of_it(said: dict[str, Any]) -> None:
    body, call = sent(RESPONSES, {"input": "hi"} | said)
    assert body == {"input": "hi", "store": False} and call.mended is None


def test_reasoning_is_given_whole_where_it_is_not_stored() -> None:
    given = {"input": "hi", "include": ["message.output_text.logprobs"]}
    able = {"parameters": ("reasoning",)}
    assert sent(RESPONSES, given, **able)[0]["include"] == ["message.output_text.logprobs", "reasoning.encrypted_content"]
    assert sent(RESPONSES, {"input": "hi"}, **able)[0]["include"] == ["reasoning.encrypted_content"]
    assert sent(RESPONSES, given)[0] == given | {"store": False}
    assert sent(RESPONSES, given | {"store": False}, **able)[0] == given | {"store": False}


def test_responses_have_a_least_length() -> None:
    body, call = sent(RESPONSES, {"input": "hi", "max_output_tokens": 5}, is_strict=True)
    assert body["max_output_tokens"] == 16 and call.clamped[0].startswith("max_output_tokens: 16")


# ---------------------------------------------------------------- below the top level


def talk(*ids: str) -> dict[str, Any]:
    calls = [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in ids]
    return {"messages": [{"role": "assistant", "content": None, "tool_calls": calls}, *({"role": "tool", "tool_call_id": id, "content": "x"} for id in ids)]}


def test_ids_get_the_form_that_is_taken_and_the_rest_stays_as_it_was() -> None:
    body, call = sent(CHAT, talk("call_abc", "abcdefgh1", "é"), tool_ids="9-alphanumeric")
    calls = [each["id"] for each in body["messages"][0]["tool_calls"]]
    assert calls == [each["tool_call_id"] for each in body["messages"][1:]] and calls[1] == "abcdefgh1"
    assert all(id.isalnum() and len(id) == 9 for id in calls) and len(set(calls)) == 3
    assert call.mended == {"tool_call_id": 2}
    assert sent(CHAT, talk("abcdefgh1"), tool_ids="9-alphanumeric")[1].mended is None
    assert sent(CHAT, talk("x" * 40), tool_ids="40")[1].mended is None
    assert sent(CHAT, talk("x" * 41), tool_ids="40")[1].mended == {"tool_call_id": 1}


def test_a_strict_upstream_gets_no_members_of_others_in_messages() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    odd = {"messages": [
        {"role": "user", "content": [{"type": "text", "text": 'a "reasoning" word', **mark}]},
        {"role": "assistant", "content": "b", "reasoning": "so", "reasoning_details": [{"type": "reasoning.text"}], "annotations": []},
    ]}  # fmt: skip
    body, call = sent(CHAT, odd, is_strict=True)
    assert body == {"messages": [
        {"role": "user", "content": [{"type": "text", "text": 'a "reasoning" word'}]}, {"role": "assistant", "content": "b", "annotations": []},
    ]}  # fmt: skip
    assert call.mended == {"foreign_member": 3}
    assert sent(CHAT, odd)[0] == odd


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"effort": "high"}, {"reasoning_effort": "high"}), ({"max_tokens": 20_000}, {"reasoning_effort": "high"}),
     ({"enabled": False}, {"reasoning_effort": "none"}), ({"exclude": True}, {})],
)  # fmt: skip
def test_reasoning_is_asked_for_in_the_word_that_is_known(asked: dict[str, Any], told: dict[str, Any]) -> None:
    body, call = sent(CHAT, HI | {"reasoning": asked}, is_strict=True)
    assert body == HI | told and bool(call.dropped) == (not told)


def test_what_comes_from_another_dialect_is_as_strict() -> None:
    talk = [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "so", "signature": "c2ln"}, {"type": "text", "text": "ho"}]}]  # fmt: skip
    endpoint = Endpoint("one", "a/m", Origin("h", 1), CHAT, b'"m"', b"", b"", b'"one"', b'"a/m"', None, is_strict=True,
                        parameters=("reasoning", "top_k"), max_output=32_000)  # fmt: skip
    fields = {"model": "a/m", "max_tokens": 90_000, "messages": talk, "top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2000}}
    call = openai_chat.open_call(MESSAGES, json.dumps(fields).encode())
    body = json.loads(Bridge().shape(call, endpoint, None))
    assert body["messages"] == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    assert body.keys() == {"model", "messages", "max_tokens", "reasoning_effort"} and body["max_tokens"] == 32_000
    assert {"top_k", "cache_control", "reasoning of former answers"} <= set(call.dropped)
    assert call.mended == {"out_of_range": 1}
