"""Conversations that clients leave broken, mended on the hub's values."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.dialects.hub.asked import Message, Part, Request, Text, ToolCall, ToolResult
from kilo_gateway.dialects.repair import repaired
from kilo_gateway.dialects.tool_ids import FORMS, Form


def said(*messages: Message, form: Form | None = None) -> tuple[list[Part], dict[str, int]]:
    whole, mends = repaired(Request(model="m", messages=messages), form)
    return [part for message in whole.messages for part in message.parts], dict(mends)


def calls(*parts: Part) -> Message:
    return Message("assistant", parts)


def results(*parts: Part) -> Message:
    return Message("tool", parts)


def call(id: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id, "look", arguments)


def result(id: str, text: str = "sun") -> ToolResult:
    return ToolResult(id, (Text(text),))


def test_what_is_whole_is_left_as_it_is() -> None:
    request = Request(model="m", messages=(calls(call("a", '{"x": 1}')), results(result("a"))))
    assert repaired(request, FORMS["64-plain"]) == (request, {})


def test_ids_that_come_again_with_a_result_are_calls_of_their_own() -> None:
    parts, mends = said(calls(call("a", '{"n":1}')), results(result("a", "one")), calls(call("a", '{"n":2}')), results(result("a", "two")))
    assert parts == [call("a", '{"n":1}'), result("a", "one"), call("a_2", '{"n":2}'), result("a_2", "two")]
    assert mends == {"duplicate_tool_call": 1}


def test_a_call_that_is_sent_again_is_left_out_and_so_is_a_second_result() -> None:
    assert said(calls(call("a"), call("a")), results(result("a"))) == ([call("a"), result("a")], {"duplicate_tool_call": 1})
    assert said(calls(call("a")), results(result("a"), result("a"))) == ([call("a"), result("a")], {"duplicate_tool_result": 1})


def test_calls_without_ids_get_them_and_their_results_in_order() -> None:
    parts, mends = said(calls(call(""), call("")), results(result("", "one"), result("", "two")))
    assert parts == [call("call_2"), call("call_3"), result("call_2", "one"), result("call_3", "two")]
    assert mends == {"missing_tool_call_id": 2}


def test_orphans_are_left_out_and_what_is_missing_is_added() -> None:
    parts, mends = said(calls(call("a")), results(result("b")))
    assert parts[0] == call("a") and isinstance(parts[1], ToolResult) and (parts[1].id, parts[1].is_error) == ("a", True)
    assert mends == {"orphan_tool_result": 1, "missing_tool_result": 1}


@pytest.mark.parametrize("arguments", ["not JSON", "[1]", '"a"', "1", "{", '{"a":'])
def test_arguments_that_are_no_object_are_put_into_one(arguments: str) -> None:
    parts, mends = said(calls(call("a", arguments)), results(result("a")))
    assert isinstance(parts[0], ToolCall) and json.loads(parts[0].arguments) == {"arguments": arguments}
    assert mends == {"tool_arguments": 1}
    assert said(calls(call("a", " ")), results(result("a"))) == ([call("a"), result("a")], {})


@pytest.mark.parametrize("name", FORMS)
def test_ids_get_the_form_that_is_taken_alike_in_call_and_result_and_stay_different(name: str) -> None:
    odd = ["functions.look:0", "functions_look_0", "é" * 90, "x" * 90, "x" * 91]
    parts, mends = said(calls(*map(call, odd)), results(*map(result, odd)), form=FORMS[name])
    found = [part.id for part in parts if isinstance(part, ToolCall)]
    assert found == [part.id for part in parts if isinstance(part, ToolResult)] and len(set(found)) == 5
    assert all(FORMS[name].fits(id) for id in found)
    assert mends["tool_call_id"] == sum(not FORMS[name].fits(id) for id in odd)


ID = st.sampled_from(["", "a", "b", "a_2", "a.b", "x" * 80])
TURNS = st.one_of(
    st.lists(st.builds(call, ID, st.sampled_from(["{}", "no", ""])), max_size=3).map(lambda parts: calls(*parts)),
    st.lists(st.builds(result, ID), max_size=3).map(lambda parts: results(*parts)),
    st.sampled_from([Message("user", (Text("go"),)), Message("assistant", (Text(""),))]),
)


@given(st.lists(TURNS, max_size=8), st.sampled_from([None, *FORMS.values()]))
def test_every_call_has_an_id_of_its_own_and_its_result_right_behind_it_whatever_came(messages: list[Message], form: Form | None) -> None:
    whole, _ = repaired(Request(model="m", messages=tuple(messages)), form)
    ids = [part.id for message in whole.messages for part in message.parts if isinstance(part, ToolCall)]
    assert len(set(ids)) == len(ids) and all(ids)
    after = [*whole.messages[1:], Message("user", ())]
    for message, following in zip(whole.messages, after, strict=False):
        called = [part.id for part in message.parts if isinstance(part, ToolCall)]
        answered = [part.id for part in following.parts if isinstance(part, ToolResult)]
        assert message.role == "tool" or called == answered
    assert repaired(whole, form) == (whole, {})
