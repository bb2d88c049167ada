"""Answers that cross: however they were cut, they come out the same, and what is not whole never looks whole."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from tests.streams import DONE, FINISH, content, usage

from kilo_gateway.core.errors import BadAnswer, BadRequest, Truncated, UpstreamError
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects.hub.answered import CallBegun, CallDelta
from kilo_gateway.dialects.hub.asked import Request, Thinking
from kilo_gateway.dialects.relaying import NamedStream
from kilo_gateway.dialects.sse import Splitter
from kilo_gateway.dialects.table import CALLERS, RELAYS, RESPONSES_CALLER, UPSTREAMS
from kilo_gateway.dialects.translated import TranslatedBody, TranslatedStream

PRICE = Price(1_000_000, 2_000_000)
ENDPOINT = Endpoint("one", "mock/model", Origin("h", 1), "openai-chat", b'"m"', b"", b"", b'"one"', b'"mock/model"', PRICE)
CALL = Call("openai-chat", "mock/model", True, 400, {"messages": Raw(b"[]")}, id="gen-1")
CHAT = CALLERS["openai-chat"], UPSTREAMS["openai-chat"]
WHOLE = content("Hel") + content("lo") + FINISH + usage(25, 7) + DONE


def stream() -> TranslatedStream:
    return TranslatedStream(CALL, ENDPOINT, *CHAT)


def test_it_may_be_cut_anywhere() -> None:
    once = stream()
    whole = once.feed(WHOLE) + once.finish()
    assert whole.endswith(DONE) and once.cost == 39_000 and once.used().completion_tokens == 7
    for at in range(len(WHOLE)):
        cut = stream()
        assert cut.feed(WHOLE[:at]) + cut.feed(WHOLE[at:]) + cut.finish() == whole


def test_what_stops_early_is_truncated_at_every_event() -> None:
    for sent in (content("Hel"), content("Hel") + content("lo"), b"", b": wait\n\n"):
        one = stream()
        one.feed(sent)
        with pytest.raises(UpstreamError):
            one.finish()


def test_nothing_is_let_out_before_something_is_said() -> None:
    one = stream()
    silent = content("").replace(b'"content":""', b'"role":"assistant"')
    assert one.feed(silent) == b""
    assert one.feed(content("x")) != b""


def test_an_empty_answer_is_no_answer() -> None:
    one = stream()
    assert one.feed(content("") + FINISH + usage(25, 0) + DONE) == b""
    with pytest.raises(BadAnswer, match="empty"):
        one.finish()
    body = TranslatedBody(CALL, ENDPOINT, *CHAT)
    body.feed(b'{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}')
    with pytest.raises(BadAnswer, match="empty"):
        body.finish()


ACTED = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
RESPONSE = {"id": "r", "status": "completed", "output": [ACTED, {**ACTED, "id": "ws_2"}], "usage": {"input_tokens": 25, "output_tokens": 7}}


def test_an_answer_in_which_the_provider_s_own_tools_did_something_is_none_that_is_empty() -> None:
    call = msgspec.structs.replace(CALL, dropped=("seed",))
    body = TranslatedBody(call, ENDPOINT, CALLERS["anthropic-messages"], UPSTREAMS["openai-responses"])
    body.feed(b"\xef\xbb\xbf" + json.dumps(RESPONSE).encode())
    assert json.loads(body.finish())["content"] == [] and call.dropped == ("seed", "answer.web_search_call (2)")
    one = TranslatedStream(call, ENDPOINT, CALLERS["openai-chat"], UPSTREAMS["openai-responses"])
    assert one.feed(b"data: %b\n\n" % json.dumps({"type": "response.completed", "response": RESPONSE}).encode()) == b""
    assert b'"finish_reason":"stop"' in one.finish() and one.used().completion_tokens == 7


def test_where_there_is_no_word_for_an_answer_that_ends_with_an_error_it_is_one() -> None:
    messages = CALLERS["anthropic-messages"], UPSTREAMS["openai-chat"]
    one = TranslatedStream(CALL, ENDPOINT, *messages)
    out = one.feed(content("Hel") + content("", finish='"network_error"') + usage(25, 7) + DONE)
    with pytest.raises(BadAnswer, match="network_error") as caught:
        one.finish()
    assert b"Hel" in out and b"event: error" in one.failure(caught.value)
    body = TranslatedBody(CALL, ENDPOINT, *messages)
    body.feed(b'{"choices":[{"message":{"content":"Hel"},"finish_reason":"network_error"}]}')
    with pytest.raises(BadAnswer, match="network_error"):
        body.finish()
    told = stream()
    told.feed(content("Hel") + content("", finish='"network_error"') + usage(25, 7) + DONE)
    assert b'"finish_reason":"error"' in told.finish()


def test_an_answer_that_used_all_its_tokens_for_thinking_is_one() -> None:
    one = stream()
    one.feed(content("", finish='"length"') + usage(25, 9) + DONE)
    assert b'"finish_reason":"length"' in one.finish() and one.finish_reason() == ("length", "length")


def test_an_error_inside_keeps_what_came_before() -> None:
    one = stream()
    with pytest.raises(UpstreamError) as caught:
        one.feed(content("Hel") + b'data: {"error":{"message":"no","code":"x"}}\n\n')
    assert b"Hel" in caught.value.before and caught.value.is_retryable


@pytest.mark.parametrize("caller", ["openai-chat", "anthropic-messages", "openai-responses"])
def test_a_failure_before_anything_was_said_may_be_tried_elsewhere(caller: str) -> None:
    one = TranslatedStream(CALL, ENDPOINT, CALLERS[caller], UPSTREAMS["openai-chat"])
    assert one.feed(content("", finish='"error"') + usage(25, 1) + DONE) == b""
    with pytest.raises(BadAnswer) as caught:
        one.finish()
    assert caught.value.is_retryable and not caught.value.before


def test_without_usage_it_is_estimated() -> None:
    one = stream()
    one.feed(content("x" * 400) + FINISH + DONE)
    [told] = [json.loads(line[6:]) for line in one.finish().split(b"\n\n") if b'"usage"' in line]
    assert (told["usage"]["completion_tokens"], told["usage"]["estimated"]) == (100, True)


@pytest.mark.parametrize(("said", "tokens"), [("x" * 400, 100), ("\u6570\u636e" * 100, 150)])
def test_who_leaves_pays_for_what_was_said(said: str, tokens: int) -> None:
    one = stream()
    one.feed(content(said))
    assert one.used().completion_tokens == tokens and not one.is_done


@given(st.lists(st.tuples(st.sampled_from([b"", b"delta"]), st.binary(max_size=9).map(lambda data: data.hex().encode())), max_size=4),
       st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 90), max_size=4))  # fmt: skip
def test_events_are_split_off_however_they_come(events: list[tuple[bytes, bytes]], end: bytes, cuts: list[int]) -> None:
    lines = [(b"event: " + name + end if name else b"") + b"data: " + data + end + end for name, data in events]
    sent = b": hello" + end + end + b"".join(lines)
    splitter, found, at = Splitter(), [], 0
    for cut in [*sorted(cuts), len(sent)]:
        found += splitter.feed(sent[at:cut])
        at = max(at, cut)
    assert found + splitter.rest() == events


def test_a_mark_of_byte_order_may_stand_before_events() -> None:
    splitter = Splitter()
    assert [event for byte in b"\xef\xbb\xbfdata: a\n\n" for event in splitter.feed(bytes([byte]))] == [(b"", b"a")]


def test_the_last_event_may_lack_its_blank_line() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\ndata: b\n") == []
    assert splitter.rest() == [(b"", b"a\nb")]


def test_a_truncated_stream_says_so() -> None:
    one = stream()
    one.feed(content("a"))
    with pytest.raises(Truncated):
        one.finish()


@pytest.mark.parametrize("is_relayed", [False, True])
def test_usage_that_is_not_final_is_less_than_what_was_said(is_relayed: bool) -> None:
    claude = msgspec.structs.replace(ENDPOINT, dialect="anthropic-messages")
    upstream = UPSTREAMS["anthropic-messages"]
    one = NamedStream(CALL, claude, upstream, RELAYS["anthropic-messages"]) if is_relayed else TranslatedStream(
        CALL, claude, CHAT[0], upstream
    )  # fmt: skip
    delta = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}}\n\n'
    one.feed(
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"c","content":[],'
        b'"usage":{"input_tokens":50,"cache_read_input_tokens":9,"output_tokens":1}}}\n\n' + delta % (b"x" * 4000)
    )  # fmt: skip
    used = one.used()
    assert (used.prompt_tokens, used.cache_read_tokens, used.is_estimated) == (59, 9, True)
    assert 990 < used.completion_tokens < 1020


def test_a_message_without_its_last_event_is_truncated() -> None:
    one = TranslatedStream(CALL, ENDPOINT, CHAT[0], UPSTREAMS["anthropic-messages"])
    one.feed(
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}\n\n'
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":1,"output_tokens":1}}\n\n'
    )  # fmt: skip
    with pytest.raises(Truncated):
        one.finish()
    assert not one.used().is_estimated


def test_calls_of_one_index_are_told_apart_by_their_ids() -> None:
    reader = UPSTREAMS["openai-chat"].reader(ENDPOINT)
    piece = b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"%b","function":{"name":"%b","arguments":"{}"}}]}}]}'
    told = [event for each in ((b"a", b"f"), (b"b", b"g"), (b"c", b"")) for event in reader.read(b"", piece % each)]
    assert told[1:] == [CallBegun(0, "a", "f"), CallDelta(0, "{}"), CallBegun(1, "b", "g"), CallDelta(1, "{}"), CallDelta(1, "{}")]


def test_thoughts_that_are_not_to_be_shown_are_not() -> None:
    hidden = msgspec.structs.replace(CALL, crossing=Request(model="m", thinking=Thinking(True, is_excluded=True)))
    thinking = content("").replace(b'"content":""', b'"reasoning_content":"hm"')
    one = TranslatedStream(hidden, ENDPOINT, *CHAT)
    out = one.feed(thinking + content("Hel") + FINISH + usage(25, 7) + DONE) + one.finish()
    assert b"hm" not in out and b"Hel" in out
    body = TranslatedBody(hidden, ENDPOINT, *CHAT)
    body.feed(b'{"choices":[{"message":{"content":"Hel","reasoning":"hm"},"finish_reason":"stop"}]}')
    assert b"hm" not in body.finish()


@pytest.mark.parametrize("member", ['"store":true', '"previous_response_id":"r"', '"conversation":"c"'])
def test_what_would_need_something_stored_is_refused_even_where_it_is_relayed(member: str) -> None:
    with pytest.raises(BadRequest):
        RESPONSES_CALLER.open_body(b'{"model":"m","input":"hi",%b}' % member.encode())
