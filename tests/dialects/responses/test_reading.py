"""Answers of upstreams that speak Responses."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub.answered import (
    Acted,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Drawn,
    Event,
    Failed,
    Finished,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.asked import Format
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.responses.reading import Reader, read_answer, read_error

FAMILY: Format = "openai-responses-v1"
USAGE = {
    "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}, "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 15,
}  # fmt: skip
COUNTED = Usage(10, 5, cache_read_tokens=4, cache_write_tokens=2, reasoning_tokens=3)
HEAD = {"id": "resp_1", "object": "response", "created_at": 7, "model": "gpt-lab", "error": None, "incomplete_details": None}


def message(text: str, *annotations: dict[str, Any], id: str = "msg_1") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": list(annotations)}
    return {"type": "message", "id": id, "role": "assistant", "status": "completed", "content": [part]}


def call(name: str = "f", arguments: str = '{"a":1}', id: str = "fc_1") -> dict[str, Any]:
    return {"type": "function_call", "id": id, "call_id": f"call_{id}", "name": name, "arguments": arguments, "status": "completed"}


def answer(*output: dict[str, Any], **members: Any) -> bytes:
    return json.dumps(HEAD | {"status": "completed", "output": list(output), "usage": USAGE} | members).encode()


def events(*said: tuple[str, dict[str, Any]], reader: Reader | None = None) -> list[Event]:
    reader = reader or Reader()
    return [event for kind, members in said for event in reader.read(kind.encode(), json.dumps({"type": kind} | members).encode())]


def completed(*output: dict[str, Any], kind: str = "completed", **members: Any) -> tuple[str, dict[str, Any]]:
    return f"response.{kind}", {"response": json.loads(answer(*output, **({"status": kind} | members)))}


def added(at: int, item: dict[str, Any], end: str = "added") -> tuple[str, dict[str, Any]]:
    return f"response.output_item.{end}", {"output_index": at, "item": item}


CREATED = ("response.created", {"response": HEAD | {"status": "in_progress", "output": [], "usage": None}})


def test_a_json_answer_is_events_in_their_order() -> None:
    assert read_answer(answer(message("Hello."))) == [
        Begun("resp_1", "gpt-lab", 7), TextDelta("Hello."), Told(COUNTED), Finished("stop", "completed"),
    ]  # fmt: skip


def test_a_stream_of_text() -> None:
    reader = Reader()
    told = events(
        CREATED, ("response.in_progress", CREATED[1]), added(0, {"type": "message", "id": "msg_1", "content": []}),
        ("response.content_part.added", {"output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": ""}}),
        ("response.output_text.delta", {"output_index": 0, "content_index": 0, "delta": "Hel"}),
        ("response.output_text.delta", {"output_index": 0, "content_index": 0, "delta": "lo."}),
        ("response.output_text.done", {"output_index": 0, "content_index": 0, "text": "Hello."}),
        added(0, message("Hello."), "done"), completed(message("Hello.")), reader=reader,
    )  # fmt: skip
    assert told == [
        Begun("resp_1", "gpt-lab", 7), TextDelta("Hel"), TextDelta("lo."), Told(COUNTED), Finished("stop", "completed"),
    ]  # fmt: skip
    assert reader.is_done


def test_parallel_calls_by_turns() -> None:
    told = events(
        added(0, call(id="fc_1", arguments="")), added(1, call("g", id="fc_2", arguments="")),
        ("response.function_call_arguments.delta", {"output_index": 1, "delta": '{"b"'}),
        ("response.function_call_arguments.delta", {"output_index": 0, "delta": '{"a":1}'}),
        ("response.function_call_arguments.delta", {"output_index": 1, "delta": ":2}"}),
        ("response.function_call_arguments.done", {"output_index": 1, "arguments": '{"b":2}'}),
        added(0, call(id="fc_1"), "done"), added(1, call("g", '{"b":2}', id="fc_2"), "done"),
        completed(call(id="fc_1"), call("g", '{"b":2}', id="fc_2"), usage=None),
    )  # fmt: skip
    assert told == [
        CallBegun(0, "call_fc_1", "f"), CallBegun(1, "call_fc_2", "g"), CallDelta(1, '{"b"'), CallDelta(0, '{"a":1}'), CallDelta(1, ":2}"),
        Begun("resp_1", "gpt-lab", 7), Finished("tool_calls", "completed"),
    ]  # fmt: skip


def test_a_freeform_call_is_one_with_one_argument() -> None:
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "patch", "input": ""}
    told = events(
        added(0, item), ("response.custom_tool_call_input.delta", {"output_index": 0, "delta": '*** "'}),
        ("response.custom_tool_call_input.delta", {"output_index": 0, "delta": "\n\u00e9"}), added(0, item | {"input": '*** "\n\u00e9'}, "done"),
    )  # fmt: skip
    whole = [event for event in read_answer(answer(item | {"input": '*** "\n\u00e9'})) if isinstance(event, CallBegun | CallDelta)]
    assert told[0] == whole[0] == CallBegun(0, "c", "patch")
    assert "".join(event.arguments for event in told if isinstance(event, CallDelta)) == '{"input":"*** \\"\\n\u00e9"}'
    assert fold(told).blocks == fold(whole).blocks


def test_thoughts_have_summary_text_and_what_is_encrypted() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "content": [{"type": "reasoning_text", "text": "t"}], "encrypted_content": "gAAA"}  # fmt: skip
    told = events(
        added(0, {"type": "reasoning", "id": "rs_1", "summary": []}),
        ("response.reasoning_summary_part.added", {"output_index": 0, "summary_index": 0, "part": {}}),
        ("response.reasoning_summary_text.delta", {"output_index": 0, "summary_index": 0, "delta": "a"}),
        ("response.reasoning_summary_text.delta", {"output_index": 0, "summary_index": 1, "delta": "b"}),
        ("response.reasoning_text.delta", {"output_index": 0, "content_index": 0, "delta": "t"}), added(0, item, "done"),
    )  # fmt: skip
    assert told == [
        ThoughtDelta(0, summary="a", format=FAMILY, id="rs_1"), ThoughtDelta(0, summary="\n\nb", format=FAMILY, id="rs_1"),
        ThoughtDelta(0, text="t", format=FAMILY, id="rs_1"), ThoughtDelta(0, encrypted="gAAA", format=FAMILY, id="rs_1"),
    ]  # fmt: skip
    assert fold(read_answer(answer(item))).blocks == fold(told).blocks


def test_thoughts_are_numbered_and_empty_ones_are_none() -> None:
    told = read_answer(answer(
        {"type": "reasoning", "id": "rs_0", "summary": []}, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}, call(),
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "y"},
    ))  # fmt: skip
    assert [(event.index, event.id) for event in told if isinstance(event, ThoughtDelta)] == [(0, "rs_1"), (1, "rs_2")]


def test_openrouters_format_and_signature_are_kept() -> None:
    item = {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}], "signature": "s", "format": "anthropic-claude-v1"}
    assert ThoughtDelta(0, "t", "", "s", "", "anthropic-claude-v1", "r") in read_answer(answer(item))


def test_a_refusal_is_an_answer_that_has_ended() -> None:
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    whole = read_answer(answer(item))
    assert whole[1:] == [RefusalDelta("No."), Told(COUNTED), Finished("stop", "completed")]
    told = events(added(0, item | {"content": []}), ("response.refusal.delta", {"output_index": 0, "content_index": 0, "delta": "No."}),
                  added(0, item, "done"), completed(item))  # fmt: skip
    assert told[0] == RefusalDelta("No.") and told[-1] == whole[-1]
    assert sum(isinstance(event, RefusalDelta) for event in told) == 1


def note(begin: int, end: int) -> dict[str, Any]:
    return {"type": "url_citation", "url": "https://x/", "title": "X", "start_index": begin, "end_index": end}


def test_citations_are_placed_in_the_whole_text_and_files_are_none() -> None:
    file = {"type": "file_citation", "file_id": "file_1", "filename": "a", "index": 3}
    whole = read_answer(answer(message("One. "), message("Two.", note(0, 3), file, id="msg_2")))
    assert Cited("https://x/", "X", "", 5, 8) in whole and sum(isinstance(event, Cited) for event in whole) == 1
    told = events(
        ("response.output_text.delta", {"output_index": 0, "content_index": 0, "delta": "One. "}), added(0, message("One. "), "done"),
        ("response.output_text.delta", {"output_index": 1, "content_index": 0, "delta": "Two."}),
        ("response.output_text.annotation.added", {"output_index": 1, "content_index": 0, "annotation_index": 0, "annotation": note(0, 3)}),
        added(1, message("Two.", note(0, 3), file, id="msg_2"), "done"), completed(message("One. "), message("Two.", note(0, 3), file, id="msg_2")),
    )  # fmt: skip
    assert [event for event in told if isinstance(event, Cited)] == [Cited("https://x/", "X", "", 5, 8)]


def test_an_unknown_place_is_unknown() -> None:
    assert Cited("https://x/", "X") in read_answer(answer(message("a", note(0, 0))))


def test_a_citation_that_came_in_no_event_of_its_own_is_found_at_the_end() -> None:
    told = events(
        ("response.output_text.delta", {"output_index": 0, "content_index": 0, "delta": "One."}),
        added(0, message("One."), "done"), completed(message("One.", note(0, 3))),
    )  # fmt: skip
    assert Cited("https://x/", "X", "", 0, 3) in told


def test_what_the_provider_executed_is_named_and_searches_are_counted() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
    odd = {"type": "unheard_of_call", "id": "x", "name": 5, "content": {"a": 1}, "arguments": {"b": 2}}
    told = read_answer(answer(search, odd, message("a")))
    assert [type(event) for event in told] == [Begun, Acted, Acted, TextDelta, Told, Finished]
    assert [event.kind for event in told if isinstance(event, Acted)] == ["web_search_call", "unheard_of_call"]
    assert [event.usage.web_searches for event in told if isinstance(event, Told)] == [1]
    counted = read_answer(answer(search, message("a"), tool_usage={"web_search": {"num_requests": 3}}))
    assert [event.usage.web_searches for event in counted if isinstance(event, Told)] == [3]


def test_an_image_is_drawn() -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "QUJD", "output_format": "jpeg"}
    assert Drawn("data:image/jpeg;base64,QUJD") in read_answer(answer(item))


def test_what_was_not_streamed_is_found_in_the_items() -> None:
    done = events(added(0, message("Hi."), "done"), added(1, call(), "done"))
    assert done == [TextDelta("Hi."), CallBegun(0, "call_fc_1", "f"), CallDelta(0, '{"a":1}')]
    last = events(CREATED, completed(message("Hi."), call()))
    assert last[1:4] == done and last[-1] == Finished("tool_calls", "completed")


@pytest.mark.parametrize(
    ("members", "finished"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, Finished("length", "max_output_tokens")),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, Finished("content_filter", "content_filter")),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, Finished("stop", "steered")),
        ({"status": "complete"}, Finished("stop", "complete")), ({"status": None}, Finished("stop", "")),
    ],
)  # fmt: skip
def test_every_end_is_read(members: dict[str, Any], finished: Finished) -> None:
    assert read_answer(answer(message("a"), **members))[-1] == finished
    if members["status"] == "incomplete":
        assert events(completed(message("a"), kind="incomplete", **members))[-1] == finished


@pytest.mark.parametrize(
    ("said", "failed"),
    [
        (("error", {"code": "server_error", "message": "boom", "param": None, "sequence_number": 3}), Failed("boom", "server_error")),
        (("error", {"error": {"type": "overloaded", "code": None, "message": "boom"}}), Failed("boom", "overloaded")),
        (("error", {"error": {"type": "upstream", "code": "503", "message": "boom"}}), Failed("boom", "upstream", 503)),
        (("response.error", {"code": 429, "message": "slow"}), Failed("slow", "upstream_error", 429)),
        (("", {"error": {"code": 502, "message": "gone"}}), Failed("gone", "upstream_error", 502)),
        (("error", {"message": "words of a prompt", "code": "words of a prompt"}), Failed("words of a prompt", "upstream_error")),
        (("error", {}), Failed("the upstream reported an error", "upstream_error")),
        (("error", {"delta": 5, "message": "odd"}), Failed("odd", "upstream_error")),
    ],
)  # fmt: skip
def test_every_error_in_a_stream_is_a_failure(said: tuple[str, dict[str, Any]], failed: Failed) -> None:
    reader = Reader()
    assert events(said, reader=reader) == [failed] and reader.is_done


def test_a_failed_response_tells_its_usage_and_its_error() -> None:
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    told = events(CREATED, completed(kind="failed", error=error))
    assert told[1:] == [Told(COUNTED), Failed("slow down", "rate_limit_exceeded")]
    assert read_answer(answer(status="failed", error=error)) == [Failed("slow down", "rate_limit_exceeded")]
    assert read_answer(b'{"error":{"message":"no","code":"bad"}}') == [Failed("no", "bad")]
    assert isinstance(events(CREATED, completed(kind="cancelled"))[-1], Failed)


def test_unknown_events_say_nothing_whatever_is_in_them() -> None:
    reader = Reader()
    unknown = ("response.unheard_of.delta", {"delta": {"a": 1}, "output_index": "x"})
    queued = ("response.queued", {"response": 5})
    assert events(unknown, queued, ("keepalive", {"sequence_number": 3}), reader=reader) == [] and not reader.is_done


def test_a_done_in_the_manner_of_chat_ends_the_stream() -> None:
    reader = Reader()
    assert reader.read(b"", b"[DONE]") == [] and reader.is_done


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"\xff", b'{"type":"response.output_text.delta","delta":5}', b'{"type":"response.completed","response":5}',
             b'{"type":"response.output_item.added","output_index":0,"item":[]}']
)  # fmt: skip
def test_what_cannot_be_read_is_a_bad_answer(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        Reader().read(b"", data)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"output":5}', answer(status="queued"), answer(status="in_progress"),
                                  answer({"type": "function_call", "id": "x", "call_id": "c", "arguments": "{}"})])  # fmt: skip
def test_a_body_that_cannot_be_read_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_answer(body)


def test_half_a_character_is_read_as_the_sign_for_it() -> None:
    assert Reader().read(b"", b'{"type":"response.output_text.delta","output_index":0,"delta":"\\ud83d"}') == [TextDelta("\ufffd")]


@pytest.mark.parametrize(
    "usage", [None, {}, {"input_tokens": -1, "output_tokens": 1}, {"input_tokens": "5", "output_tokens": 1}, {"input_tokens": 10**10, "output_tokens": 1}, 5]
)  # fmt: skip
def test_numbers_that_cannot_be_true_are_not_told(usage: object) -> None:
    assert not any(isinstance(event, Told) for event in read_answer(answer(message("a"), usage=usage)))


def test_usage_is_read_leniently() -> None:
    def usage(told: object, **taken: Any) -> Usage:
        [event] = [each for each in read_answer(answer(message("a"), usage=told), **taken) if isinstance(each, Told)]
        return event.usage

    assert usage({"input_tokens": 10.0, "output_tokens": 5}) == Usage(10, 5)
    assert usage({"input_tokens": 10, "output_tokens": 5, "input_tokens_details": "x"}) == Usage(10, 5)
    assert usage({"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 50}}) == Usage(10, 5, cache_read_tokens=10)
    assert usage({"input_tokens": 10}) == Usage(10, 0, is_estimated=True)
    priced = {"input_tokens": 10, "output_tokens": 5, "cost": 0.25}
    assert usage(priced) == Usage(10, 5)
    assert usage(priced, is_cost_reported=True) == Usage(10, 5, reported_cost=250_000_000)


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        (b'{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"bad_thing"}}', Failed("m", "bad_thing", 400)),
        (b'{"error":{"message":"m","type":"invalid_request_error","code":null}}', Failed("m", "invalid_request_error", 400)),
        (b'{"error":{"code":429,"message":"m"}}', Failed("m", "upstream_error", 429)), (b'{"error":"m"}', Failed("m", "upstream_error", 400)),
        (b'{"message":"m"}', Failed("m", "upstream_error", 400)), (b'{"detail":"m"}', Failed("m", "upstream_error", 400)),
        (b'{"detail":[{"loc":["body"]}]}', Failed('[{"loc":["body"]}]', "upstream_error", 400)), (b'"m"', Failed("m", "upstream_error", 400)),
        (b"nginx says no", Failed("nginx says no", "upstream_error", 400)), (b"", Failed("status 400", "upstream_error", 400)),
        (b'{"error":{"message":"m","code":"some words of the prompt"}}', Failed("m", "upstream_error", 400)), (b"[1]", Failed("[1]", "upstream_error", 400)),
        (b"\xff", Failed("\ufffd", "upstream_error", 400)), (b"null", Failed("null", "upstream_error", 400)),
    ],
)  # fmt: skip
def test_an_error_is_read_however_it_is_worded(body: bytes, failed: Failed) -> None:
    assert read_error(body, 400) == failed


@given(st.binary(max_size=60))
def test_no_bytes_do_more_than_be_a_bad_answer(data: bytes) -> None:
    read_error(data, 500)
    with contextlib.suppress(BadAnswer):
        Reader().read(b"", data)
    with contextlib.suppress(BadAnswer):
        read_answer(data)


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
    st.sampled_from(["type", "id", "text", "content", "summary", "name", "call_id", "output", "annotations", "usage", "error", "status"]), inner, max_size=4), max_leaves=8)  # fmt: skip
KINDS = st.sampled_from([*sorted(Reader()._kinds), "response.output_text.delta", "error", "response.unheard_of"])
MEMBERS = st.sampled_from(["delta", "item", "response", "annotation", "output_index", "content_index", "summary_index", "error"])


@given(st.lists(st.tuples(KINDS, st.dictionaries(MEMBERS, VALUES, max_size=4)), max_size=4))
def test_no_event_does_more_than_be_a_bad_answer(said: list[tuple[str, dict[str, Any]]]) -> None:
    with contextlib.suppress(BadAnswer):
        events(*said)
