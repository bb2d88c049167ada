"""Messages and Responses between equals: byte for byte but for what usage costs, however it was cut."""

import json

import pytest
from msgspec import Raw
from msgspec.structs import replace

from kilo_gateway.core.errors import EmptyAnswer, Truncated, UpstreamError
from kilo_gateway.core.price import Price, Usage
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects.hub.answered import AnswerHead, Begun, CallBegun, CallDelta, Finished, TextDelta
from kilo_gateway.dialects.hub.asked import Thought
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.messages.signatures import seal
from kilo_gateway.dialects.relaying import NamedBody, NamedStream, splice
from kilo_gateway.dialects.table import CALLERS, RELAYS, RESPONSES, UPSTREAMS

HEAD = AnswerHead("answer-1", 1_700_000_000, "upstreams-own", "them")
EVENTS = [Begun("answer-1", "upstreams-own", 1_700_000_000), TextDelta("Hel"), TextDelta("lo \"usage\""), CallBegun(0, "call_1", "look"),
          CallDelta(0, '{"error":1}'), Finished("tool_calls")]  # fmt: skip
DIALECTS = sorted(RELAYS)


def endpoint(dialect: str) -> Endpoint:
    return Endpoint("one", "mock/model", Origin("h", 1), dialect, b'"m"', b"", b"", b'"one"', b'"mock/model"', Price(10**6, 2 * 10**6))


def call(dialect: str) -> Call:
    return Call(dialect, "mock/model", True, 400, {"model": Raw(b'"mock/model"'), "odd": Raw(b"[1,  2]")}, id="gen-1")


def stream(dialect: str) -> NamedStream:
    return NamedStream(call(dialect), endpoint(dialect), UPSTREAMS[dialect], RELAYS[dialect])


def sent(dialect: str) -> list[bytes]:
    writer = CALLERS[dialect].writer(HEAD)
    whole = b"".join(writer.write([event]) for event in EVENTS) + writer.end(Usage(25, 7), None)
    return [event + b"\n\n" for event in whole.split(b"\n\n") if event]


def name_of(event: bytes) -> bytes:
    return event.split(b"\n")[0].removeprefix(b"event: ")


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_may_begin_with_a_mark_and_end_its_lines_with_returns(dialect: str, size: int) -> None:
    plain, other = stream(dialect), stream(dialect)
    whole = b"".join(sent(dialect))
    returns = b"\xef\xbb\xbf" + whole.replace(b"\n", b"\r")
    out = b"".join(other.feed(returns[at : at + size]) for at in range(0, len(returns), size)) + other.finish()
    assert out == plain.feed(whole) + plain.finish() and other.used() == plain.used()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_but_the_first_and_the_event_with_the_last_usage_passes_byte_for_byte_however_it_is_cut(dialect: str) -> None:
    events = [event for event in sent(dialect) if name_of(event) not in RELAYS[dialect].firsts]
    whole = b"".join(events)
    [last] = [event for event in events if name_of(event) in RELAYS[dialect].lasts]
    once = stream(dialect)
    out = once.feed(whole) + once.finish()
    assert once.finish_reason()[0] == "tool_calls"
    before, after = whole.split(last)
    assert out.startswith(before) and out.endswith(after)
    stamped = json.loads(out.removeprefix(before).removesuffix(after).partition(b"data: ")[2])
    usage = (stamped[RELAYS[dialect].within] if RELAYS[dialect].within else stamped)["usage"]
    assert usage["cost"] == 0.000039 and once.cost == 39_000 and once.used().completion_tokens == 7
    for at in range(0, len(whole), 3):
        cut = stream(dialect)
        assert cut.feed(whole[:at]) + cut.feed(whole[at:]) + cut.finish() == out


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_stops_before_its_end_is_truncated(dialect: str) -> None:
    events = sent(dialect)
    for end in range(len(events) - 1):
        if name_of(events[end]) in RELAYS[dialect].lasts and dialect == "openai-responses":
            continue
        one = stream(dialect)
        one.feed(b"".join(events[: end + 1]))
        if not one.is_done:
            with pytest.raises(Truncated):
                one.finish()


def test_an_error_ends_it_in_its_own_way_and_with_the_next_number() -> None:
    events = sent("openai-responses")
    one = stream("openai-responses")
    one.feed(b"".join(events[:4]))
    error = UpstreamError("broken")
    failed = json.loads(one.failure(error).partition(b"data: ")[2])
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 4)
    assert stream("anthropic-messages").failure(error) == b""


def test_an_event_that_fails_is_not_counted_among_those_that_were_relayed() -> None:
    events = sent("openai-responses")
    failing = b'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"message":"x"}},"sequence_number":4}\n\n'
    one = stream("openai-responses")
    with pytest.raises(UpstreamError) as caught:
        one.feed(b": a comment\n\n" + b"".join(events[:4]) + failing)
    assert caught.value.before.count(b"data: ") == 4
    assert json.loads(one.failure(caught.value).partition(b"data: ")[2])["sequence_number"] == 4


@pytest.mark.parametrize("dialect", DIALECTS)
def test_half_an_event_at_the_end_is_not_passed_on_and_a_missing_blank_line_is_forgiven(dialect: str) -> None:
    events = sent(dialect)
    torn = stream(dialect)
    torn.feed(b"".join(events[:3]) + events[3][:-20])
    with pytest.raises(Truncated) as caught:
        torn.finish()
    assert not caught.value.before
    whole, short = stream(dialect), stream(dialect)
    out = whole.feed(b"".join(events)) + whole.finish()
    assert short.feed(b"".join(events)[:-2]) + short.finish() == out


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_first_event_has_the_catalogues_model(dialect: str) -> None:
    events = sent(dialect)
    first = json.loads(stream(dialect).feed(events[0]).partition(b"data: ")[2])
    before = json.loads(events[0].partition(b"data: ")[2])
    head = RELAYS[dialect].head
    assert first == before | {head: before[head] | {"model": "mock/model", "provider": "one"}}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_keeps_its_members_and_gets_its_cost(dialect: str) -> None:
    body = json.loads(CALLERS[dialect].write_answer(fold(EVENTS), HEAD, Usage(25, 7), None)) | {"odd": [1]}
    one = NamedBody(call(dialect), endpoint(dialect), UPSTREAMS[dialect], RELAYS[dialect])
    one.feed(json.dumps(body).encode())
    told = json.loads(one.finish())
    assert told.pop("usage")["cost"] == 0.000039
    assert told.pop("model") == "mock/model" and told.pop("provider") == "one"
    kept = {name: value for name, value in body.items() if name not in ("usage", "model", "provider")}
    assert told == kept


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_is_spliced_and_not_read(dialect: str) -> None:
    told = b'"store":false,' if dialect == RESPONSES else b""
    one = call(dialect)
    one.fields = {"model": Raw(b'"mock/model"'), "store": Raw(b"false"), "odd": Raw(b"[1,  2]")} if told else one.fields
    assert splice(one, endpoint(dialect), RELAYS[dialect], None) == b'{"model":"m",%b"odd":[1,  2]}' % told
    assert json.loads(splice(call(dialect), endpoint(dialect), RELAYS[dialect], 99))[RELAYS[dialect].rules.caps[0]] == 99


@pytest.mark.parametrize("store", [b"null", None])
def test_nothing_is_stored_where_nobody_says_so(store: bytes | None) -> None:
    one = call("openai-responses")
    one.fields |= {} if store is None else {"store": Raw(store)}
    assert json.loads(splice(one, endpoint("openai-responses"), RELAYS["openai-responses"], None))["store"] is False


def test_what_another_provider_signed_is_not_relayed_and_the_caller_is_told() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": seal(Thought(signature="Z2Vt", format="google-gemini-v1"))}
    said = [{"role": "assistant", "content": [block, {"type": "text", "text": "x"}]}]
    one = call("anthropic-messages")
    one.fields["messages"] = Raw(json.dumps(said).encode())
    body = json.loads(splice(one, endpoint("anthropic-messages"), RELAYS["anthropic-messages"], None))
    assert body["messages"] == [{"role": "assistant", "content": [{"type": "text", "text": "x"}]}]
    assert one.changed == ("messages: reasoning of another provider left out",)


@pytest.mark.parametrize("is_strict", [True, False])
def test_reasoning_that_would_be_looked_up_by_its_id_is_not_relayed(is_strict: bool) -> None:
    text = [{"type": "reasoning_text", "text": "hm"}]
    ours = {"type": "reasoning", "id": "rs_kilo_1_0", "summary": [], "content": text}
    bare = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None}
    of_open_model = {"type": "reasoning", "id": "rs_2", "summary": [], "content": text}
    whole = {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": "gAAA"}
    message = {"type": "message", "role": "user", "content": 'a "reasoning"'}
    one = call("openai-responses")
    one.fields["input"] = Raw(json.dumps([ours, bare, of_open_model, whole, message]).encode())
    at = replace(endpoint("openai-responses"), is_strict=is_strict)
    body = json.loads(splice(one, at, RELAYS["openai-responses"], None))
    assert body["input"] == ([whole, message] if is_strict else [of_open_model, whole, message])
    assert one.changed == ("input: reasoning without its encrypted part left out",)
    one.changed, one.fields["input"] = (), Raw(json.dumps([whole,   message]).encode())
    assert bytes(one.fields["input"]) in splice(one, at, RELAYS["openai-responses"], None) and one.changed == ()


def empty(dialect: str) -> list[bytes]:
    writer = CALLERS[dialect].writer(HEAD)
    whole = writer.write([EVENTS[0]]) + writer.write([Finished("stop")]) + writer.end(Usage(25, 0), None)
    return [event + b"\n\n" for event in whole.split(b"\n\n") if event]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_that_says_nothing_is_an_error_before_its_end_is_seen(dialect: str) -> None:
    events = empty(dialect)
    one = stream(dialect)
    with pytest.raises(EmptyAnswer) as caught:
        one.feed(b"".join(events))
    assert caught.value.before == b"" and not one.is_done  # another endpoint may give an answer
    one = stream(dialect)
    out = one.feed(events[0])
    with pytest.raises(EmptyAnswer) as caught:
        one.feed(b"".join(events[1:]))
    assert not any(name_of(event) in RELAYS[dialect].lasts for event in (out + caught.value.before).split(b"\n\n"))
    assert one.used().prompt_tokens == 25 or dialect == "anthropic-messages"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_json_answer_that_says_nothing_is_an_error(dialect: str) -> None:
    body = CALLERS[dialect].write_answer(fold([EVENTS[0], Finished("stop")]), HEAD, Usage(25, 0), None)
    one = NamedBody(call(dialect), endpoint(dialect), UPSTREAMS[dialect], RELAYS[dialect])
    one.feed(body)
    with pytest.raises(EmptyAnswer):
        one.finish()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_usage_that_is_not_told_is_estimated_in_the_dialects_own_members(dialect: str) -> None:
    body = json.loads(CALLERS[dialect].write_answer(fold(EVENTS), HEAD, Usage(25, 7), None))
    body["usage"] = None
    one = NamedBody(call(dialect), endpoint(dialect), UPSTREAMS[dialect], RELAYS[dialect])
    one.feed(json.dumps(body).encode())
    told = json.loads(one.finish())["usage"]
    assert told["estimated"] is True and told["input_tokens"] == 100 and told["output_tokens"] > 0
    assert told["cost"] == (told["input_tokens"] + 2 * told["output_tokens"]) / 10**6


@pytest.mark.parametrize("dialect", DIALECTS)
def test_half_a_character_in_an_answer_is_no_failure(dialect: str) -> None:
    writer = CALLERS[dialect].write_answer(fold([*EVENTS[:1], TextDelta("a@"), Finished("stop")]), HEAD, Usage(25, 7), None)
    one = NamedBody(call(dialect), endpoint(dialect), UPSTREAMS[dialect], RELAYS[dialect])
    one.feed(writer.replace(b"@", b"\\ud83d"))
    assert b"a\\ufffd" in one.finish()
