"""An answer on its way back is indifferent to how its bytes were cut."""

import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from tests.streams import DONE, FINISH, STREAMS, Stream, content, usage

from kilo_gateway.core.errors import BadAnswer, EmptyAnswer, Truncated, UpstreamError
from kilo_gateway.core.pipeline import cost_of
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects import relay
from kilo_gateway.dialects.gathered import MAX_ANSWER_BYTES
from kilo_gateway.dialects.relay import RelayBody, RelayStream

PRICE = Price(1_000_000, 2_000_000)
ENDPOINT = Endpoint("one", "mock/model", Origin("h", 1), "openai-chat", b'"m"', b"", b"", b'"one"', b'"mock/model"', PRICE)
CALL = Call("openai-chat", "mock/model", True, 400, {})
ERROR = b'data: {"error":{"message":"no","code":"x"}}\n\n'


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places) if a < b]


def relayed(pieces: list[bytes]) -> tuple[bytes, str]:
    """What was let out, and how it ended: nothing, or the kind of failure."""
    stream, out = RelayStream(CALL, ENDPOINT), b""
    try:
        for piece in pieces:
            out += stream.feed(piece)
        return out + stream.finish(), ""
    except UpstreamError as error:
        return out + error.before, type(error).__name__


def but_for_estimates(ended: tuple[bytes, str]) -> tuple[bytes, str]:
    """An estimate takes the last events it saw for typical, so it may differ with the cuts.

    Of an empty answer that came at once nothing is let out.
    """
    if ended[1] == "EmptyAnswer":
        return b"", ended[1]
    return re.sub(rb'"usage":\{[^}]*"estimated":true[^}]*\}', b"", ended[0]), ended[1]


@pytest.mark.parametrize("name", STREAMS)
def test_each_kind_of_stream_may_be_cut_at_any_two_places(name: str) -> None:
    data = STREAMS[name].sent
    for first in range(0, len(data), 3):
        for second in range(first, len(data), 37):
            out, failure = relayed(pieces_of(data, [first, second]))
            assert failure == ""
            STREAMS[name].check(out)


TEXT = st.text(alphabet='ab"\\{}[]:,\n\u00e9\u2615 datusgerDONE', max_size=12)
PLAIN = TEXT.map(content)
COMMENTS = st.sampled_from([b": ping\n\n", b":\n\n", b": data: x\n\n"])
NULLS = TEXT.map(lambda text: content(text, ',"usage":null'))
COUNTED = st.integers(0, 99).map(lambda n: content("x", f',"usage":{{"prompt_tokens":5,"completion_tokens":{n}}}'))
USAGES = st.integers(0, 99).map(lambda n: usage(5, n))
MIDDLE = st.lists(st.one_of(PLAIN, PLAIN, COMMENTS, NULLS, COUNTED, USAGES), max_size=8)
CUTS = st.lists(st.integers(0, 2500), max_size=25)


def last_usage(events: list[bytes]) -> int | None:
    found = [n for n, event in enumerate(events) if event.startswith(b"data: {") and json.loads(event[6:]).get("usage")]
    return found[-1] if found else None


@settings(max_examples=300)
@given(MIDDLE, st.sampled_from([(FINISH, usage(), DONE), (FINISH, DONE), (content("", finish='"length"'), usage(), DONE)]), CUTS)
def test_a_random_stream_cut_at_random_is_relayed_byte_for_byte(
    middle: list[bytes], end: tuple[bytes, ...], cuts: list[int]
) -> None:
    has_usage = len(end) == 3
    kept = middle if has_usage else [event for event in middle if b'"usage":{' not in event]  # then none may be the last
    events = [content("first"), *kept, *end]
    out, failure = relayed(pieces_of(b"".join(events), cuts))
    assert failure == ""
    Stream(tuple(events), last_usage(events)).check(out)


ENDINGS = st.sampled_from([(), (ERROR,), (FINISH,), (FINISH, usage()), (usage(),), (DONE,), (FINISH, DONE), (FINISH, usage(), ERROR)])


@settings(max_examples=300)
@given(st.lists(st.one_of(PLAIN, COMMENTS, NULLS, COUNTED, USAGES), max_size=6), ENDINGS, CUTS)
def test_however_it_is_cut_a_stream_ends_in_the_same_way(middle: list[bytes], ending: tuple[bytes, ...], cuts: list[int]) -> None:
    data = b"".join([*middle, *ending])
    assert but_for_estimates(relayed(pieces_of(data, cuts))) == but_for_estimates(relayed([data]))


@pytest.mark.parametrize("after", [b": ping\n\n", content(""), b"\n\n\n\n", b": a\n\n: b\n\n"])
def test_what_follows_the_finish_may_come_in_any_pieces(after: bytes) -> None:
    data = content("a") + FINISH + after
    assert but_for_estimates(relayed([bytes([byte]) for byte in data])) == but_for_estimates(relayed([data]))


@pytest.mark.parametrize("name", ["plain", "comments", "no usage", "no [DONE]"])
def test_bare_carriage_returns_leave_as_line_feeds(name: str) -> None:
    data = STREAMS[name].sent.replace(b"\n", b"\r")
    for cut in range(len(data)):
        out, failure = relayed(pieces_of(data, [cut]))
        assert failure == "", f"cut at {cut}"
        STREAMS[name].check(out)
    assert relayed([bytes([byte]) for byte in data])[1] == ""


def test_what_follows_done_is_lost_however_it_is_cut() -> None:
    data = content("a") + FINISH + DONE + content("late")
    for cut in range(len(data)):
        out, failure = relayed(pieces_of(data, [cut]))
        assert (failure, b"late" in out, out.count(b'"usage"')) == ("", False, 1), f"cut at {cut}"


@settings(max_examples=200)
@given(st.lists(st.one_of(PLAIN, USAGES, st.just(FINISH)), min_size=1, max_size=6), st.integers(0, 2000), CUTS)
def test_a_stream_that_was_cut_off_lets_out_whole_events_only(events: list[bytes], end: int, cuts: list[int]) -> None:
    data = b"".join(events)[:end]
    out, failure = relayed(pieces_of(data, cuts))
    whole = data[: data.rfind(b"\n\n") + 2] if b"\n\n" in data else b""
    if failure:
        assert whole.startswith(out)
    else:
        assert out.endswith(DONE)


@settings(max_examples=300)
@given(st.binary(max_size=200), CUTS)
def test_garbage_is_an_upstreams_failure_and_nothing_worse(data: bytes, cuts: list[int]) -> None:
    assert relayed(pieces_of(data, cuts))[1] != ""


@settings(max_examples=200)
@given(st.lists(st.sampled_from([b"data: ", b"{", b"}", b'"usage":', b'"error":', b"[DONE]", b"\n", b"\r\n", b"\n\n", b"null",
                                 b"[]", b'"choices":', b"5", b'"', b":", b"\xff", b"event: x"]), max_size=30), CUTS)  # fmt: skip
def test_half_sense_is_an_upstreams_failure_or_a_stream(parts: list[bytes], cuts: list[int]) -> None:
    relayed(pieces_of(b"".join(parts), cuts))


@pytest.mark.parametrize("text", ['{"finish_reason":"stop"}', '"finish_reason": "stop"', '","finish_reason":"stop'])
@pytest.mark.parametrize("more", ["", ',"x":{"finish_reason":"stop"}'])
def test_words_about_a_finish_are_none(text: str, more: str) -> None:
    assert relayed([content("a"), content(text, more)])[1] == "Truncated"
    assert relayed([content("a"), content(text, more, '""')])[1] == "Truncated"


def test_an_event_is_let_out_as_soon_as_it_is_whole() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    for event in (content("a"), content("b"), content("c", ',"usage":null')):
        assert stream.feed(event[:9]) == b""
        assert stream.feed(event[9:]) == event


def test_usage_in_every_chunk_delays_each_by_one_at_most() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    counted = [content(text, f',"usage":{{"prompt_tokens":5,"completion_tokens":{n}}}') for n, text in enumerate("abcd")]
    out = [stream.feed(event) for event in counted]
    assert out == [b"", *counted[:3]]


def test_an_answer_that_goes_on_after_its_usage_is_not_held_back() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    stream.feed(content("a"))
    stream.feed(usage())
    assert stream.feed(content("b")) == usage() + content("b")


def test_an_event_without_end_is_given_up() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    stream.feed(content("a"))
    with pytest.raises(UpstreamError, match="without end"):
        for _ in range(20):
            stream.feed(b"x" * (1 << 20))


def test_what_came_ahead_of_an_error_is_kept_with_it() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    with pytest.raises(UpstreamError) as caught:
        stream.feed(content("a") + content("b") + ERROR + content("c"))
    assert caught.value.before == content("a") + content("b")


def test_output_is_estimated_by_the_events_that_passed() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    for _ in range(50):
        stream.feed(content("word"))
    assert stream.estimated_output_tokens() == 50


def test_one_event_that_says_much_is_more_than_one_token() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    stream.feed(content("word"))
    stream.feed(content("x" * 10_000))
    assert 2_000 <= stream.estimated_output_tokens() <= 2_600


def choice(index: int, finish: str = "null") -> bytes:
    return b'data: {"id":"c","choices":[{"index":%d,"delta":{"content":"a"},"finish_reason":%b}]}\n\n' % (index, finish.encode())


@pytest.mark.parametrize("end", [b"", usage(1, 2)])
def test_of_several_answers_one_that_finished_does_not_end_the_others(end: bytes) -> None:
    several = Call("openai-chat", "mock/model", True, 400, {"n": Raw(b"2")})
    stream = RelayStream(several, ENDPOINT)
    for event in (choice(0), choice(1), choice(0, '"stop"'), choice(1)):
        stream.feed(event)
    with pytest.raises(Truncated):
        stream.finish()
    whole = RelayStream(several, ENDPOINT)
    whole.feed(choice(0, '"stop"') + choice(1, '"stop"') + end + DONE)
    assert whole.finish() == b"" and whole.is_done


@pytest.mark.parametrize("n", [b"2", b"3"])
def test_several_answers_are_whole_when_each_has_finished_even_without_done(n: bytes) -> None:
    stream = RelayStream(Call("openai-chat", "mock/model", True, 400, {"n": Raw(n)}), ENDPOINT)
    sent = [*(choice(index) for index in (1, 0, 1)), *(choice(index, '"stop"') for index in range(2)), choice(2)]
    out = b"".join([stream.feed(event) for event in sent])
    assert out == b"".join(sent)
    if n == b"3":
        with pytest.raises(Truncated):
            stream.finish()
    out = stream.feed(choice(2, '"length"')) + stream.finish()
    assert out.endswith(DONE) and out.count(b'"estimated":true') == 1


@pytest.mark.parametrize("told", ['{"prompt_tokens":5}', '{"prompt_tokens":5,"completion_tokens":9}', "null"])
def test_who_leaves_before_the_end_is_booked_as_one_who_stays(told: str) -> None:
    def sent() -> RelayStream:
        stream = RelayStream(CALL, ENDPOINT)
        for event in (*[content("word")] * 50, FINISH, b'data: {"choices":[],"usage":%b}\n\n' % told.encode()):
            stream.feed(event)
        return stream

    left, stayed = sent(), sent()
    stayed.feed(DONE)
    assert left.used() == stayed.used()
    assert left.used().completion_tokens in (9, 51)  # FINISH counts as an event
    assert stayed.cost == cost_of(left.used(), ENDPOINT, 0)


def test_an_event_that_came_whole_is_let_out_when_the_stream_is_cut() -> None:
    counted = content("word", ',"usage":{"prompt_tokens":5,"completion_tokens":1}')
    stream = RelayStream(CALL, ENDPOINT)
    out = stream.feed(counted) + stream.feed(counted + counted[:20])
    with pytest.raises(Truncated):
        stream.finish()
    assert out + stream.held() == counted * 2
    assert stream.held() == b"" and (stream.used().completion_tokens, stream.used().is_estimated) == (2, True)


HALVES = [r"\ud83d", r"\ude00", r"a\ud83d\\u", r"\\\ud83d", r"\ud83d\ud83d\ude00", r"\uD83D"]


@pytest.mark.parametrize("half", HALVES)
def test_half_a_character_is_relayed_as_it_came(half: str) -> None:
    event = content("x").replace(b'"x"', b'"%b"' % half.encode())
    sent = event + content("y") + FINISH + usage(7, 3) + DONE
    out, failure = relayed([sent])
    assert failure == "" and out.startswith(event + content("y") + FINISH)
    body = RelayBody(CALL, ENDPOINT)
    body.feed(b'{"choices":[{"message":{"content":"%b"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}' % half.encode())
    assert json.loads(body.finish())["usage"]["completion_tokens"] == 1


def test_an_error_inside_an_answer_says_nothing_of_our_credential() -> None:
    endpoint = replace(ENDPOINT, head=b"POST / HTTP/1.1\r\nAuthorization: Bearer sk-secret-1\r\n")
    for code, message in ((401, "bad key sk-secret-1"), (500, "key sk-secret-1 is slow"), ("sk-secret-1", "no")):
        body = RelayBody(CALL, endpoint)
        body.feed(json.dumps({"error": {"code": code, "type": "sk-secret-1", "message": message}}).encode())
        with pytest.raises(UpstreamError) as caught:
            body.finish()
        assert "sk-secret" not in f"{caught.value} {caught.value.code} {caught.value.metadata}"


def test_a_json_answer_has_a_bound() -> None:
    body = RelayBody(CALL, ENDPOINT)
    with pytest.raises(BadAnswer, match="more than"):
        for _ in range(MAX_ANSWER_BYTES // 1_000_000 + 1):
            body.feed(b" " * 1_000_000)


def test_usage_in_groq_s_own_member_is_what_was_used() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    told = b'data: {"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":25,"completion_tokens":7}}}\n\n'
    out = stream.feed(content("Hel") + told + DONE) + stream.finish()
    assert (stream.cost, stream.used().completion_tokens) == (39_000, 7) and b'"total_tokens":32,"cost":0.000039' in out


def test_usage_that_is_silent_on_the_completion_is_estimated_there() -> None:
    body = RelayBody(CALL, ENDPOINT)
    body.feed(b'{"choices":[{"message":{"content":"%b"}}],"usage":{"prompt_tokens":5}}' % (b"x" * 400))
    told = json.loads(body.finish())["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"], told["estimated"]) == (5, 100, True)
    assert told["cost"] == 0.000205


@pytest.mark.parametrize("code", ["my secret prompt", "x" * 65, "a\nb", "[{'role': 'user'}]"])
def test_a_code_that_is_none_is_not_passed_on(code: str) -> None:
    body = RelayBody(CALL, ENDPOINT)
    body.feed(json.dumps({"error": {"message": "no", "code": code, "type": code}}).encode())
    with pytest.raises(UpstreamError) as caught:
        body.finish()
    assert caught.value.code == "upstream_error"


def test_an_event_that_comes_in_fragments_does_not_lose_the_estimate() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    for _ in range(50):
        stream.feed(content("word"))
    for byte in content("word")[:9]:
        stream.feed(bytes([byte]))
    assert stream.estimated_output_tokens() == 50


def estimate(pieces: list[bytes]) -> int:
    stream = RelayStream(CALL, ENDPOINT)
    for piece in pieces:
        stream.feed(piece)
    stream.finish()
    used = stream.used()
    assert used.is_estimated
    return used.completion_tokens


LONG = content("x" * 10_000)
WITH_LONG = {
    "alone": [LONG, FINISH, DONE],
    "first": [LONG, content("a"), FINISH, DONE],
    "last": [content("a"), content("b"), LONG, FINISH, DONE],
    "in the middle": [content("a"), LONG, *[content("b")] * 20, FINISH, DONE],
    "with usage null": [content("a", ',"usage":null'), content("x" * 10_000, ',"usage":null'), FINISH, DONE],
}


@pytest.mark.parametrize("name", WITH_LONG)
def test_a_long_event_is_estimated_by_its_text(name: str) -> None:
    events = WITH_LONG[name]
    for pieces in (events, [b"".join(events)], pieces_of(b"".join(events), [700, 5000])):
        assert 2400 <= estimate(pieces) <= 2700


ARGUMENTS = b'data: {"id":"gen-7","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"wo rd"}}]}}]}\n\n'
SMALL = {
    "words": content("word "),
    "words with much beside them": content("word ", ',"x":"' + "y" * 300 + '"'),
    "usage null": content("word ", ',"usage":null'),
    "named": b"event: chunk\n" + content("word "),
    "carriage returns": content("word ").replace(b"\n", b"\r\n"),
    "arguments": ARGUMENTS,
    "reasoning": content("word ").replace(b'"content"', b'"reasoning_content"'),
}


@pytest.mark.parametrize("name", SMALL)
def test_an_estimate_of_small_events_is_near_their_number(name: str) -> None:
    first, events = content("").replace(b'"content"', b'"role":"assistant","content"'), [SMALL[name]] * 300
    for end in ([FINISH], [FINISH, DONE]):
        for pieces in ([first, *events, *end], [b"".join([first, *events, *end])], [first, b"".join(events), *end]):
            assert 280 <= estimate(pieces) <= 400


def test_a_comment_ahead_of_the_events_does_not_hide_how_they_end() -> None:
    data = b": ping\n\n" + content("a") + FINISH
    assert {relayed(pieces_of(data, [cut]))[1] for cut in range(len(data))} == {""}


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=5), st.integers(0, 9), st.integers(0, 9))
def test_a_json_answer_keeps_all_its_members(members: dict[str, object], prompt: int, completion: int) -> None:
    sent = {**members, "usage": {"prompt_tokens": prompt, "completion_tokens": completion}, "error": None}
    body = RelayBody(CALL, ENDPOINT)
    body.feed(json.dumps(sent).encode())
    told = json.loads(body.finish())
    cost = (prompt + 2 * completion) / 10**6
    stamp = {"model": "mock/model", "provider": "one", "usage": {**sent["usage"], "cost": cost}}  # type: ignore[dict-item]
    assert told == sent | stamp


@pytest.mark.parametrize("usage_text", ['{"prompt_tokens":5,"completion_tokens":1,"cost":9}', '{ "prompt_tokens" : 5 }', '{"prompt_tokens":5,"x":{}}'])
def test_the_usage_object_stays_an_object_with_one_cost(usage_text: str) -> None:
    body = RelayBody(CALL, ENDPOINT)
    body.feed(f'{{"usage":{usage_text}}}'.encode())
    pairs = json.loads(body.finish(), object_pairs_hook=list)
    told = dict(pairs)["usage"]
    assert [name for name, _ in told].count("cost") == 1
    assert dict(told)["prompt_tokens"] == 5


LINES = st.lists(st.sampled_from([b"data: ", b"data:", b"data", b": ", b"event: x", b" ", b"\r", b"\n", b"\r\n", b"{}", b"a"]), max_size=9)


@given(LINES.map(b"".join))
def test_the_payload_of_one_line_is_what_the_pattern_finds(event: bytes) -> None:
    assert relay._payload_of(event) == b"\n".join(relay._DATA(event))


@given(st.lists(st.sampled_from([content("a"), FINISH, DONE, b": ping\n\n", b"data: x\r\n\r\n"]), max_size=9).map(b"".join))
def test_the_last_events_are_those_that_the_pattern_finds(data: bytes) -> None:
    assert relay._last_events(data) == relay._EVENTS(data)[-relay.MAX_SAMPLES - 1 : -1]


def test_filters_of_azure_before_an_answer_are_no_beginning_of_it() -> None:
    """They have neither id nor model; what comes after them has, and another endpoint may be tried until then."""
    first = b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}\n\n'
    stream = RelayStream(CALL, ENDPOINT)
    assert stream.feed(first) == b""
    assert stream.feed(content("hi")) == first + content("hi")
    assert stream.upstream_id == json.loads(content("hi")[5:])["id"]
    assert relayed([first, DONE]) == (b"", "Truncated")
    assert relayed([first, ERROR]) == (b"", "UpstreamRefused")


@pytest.mark.parametrize("last", [FINISH, FINISH + usage(), FINISH + DONE, FINISH + usage() + DONE])
def test_an_answer_that_says_nothing_and_calls_that_an_end_is_none(last: bytes) -> None:
    first = content("").replace(b'"content"', b'"role":"assistant","content"')
    if DONE in last:
        assert relayed([first + last]) == (b"", "EmptyAnswer")  # so that another endpoint may give one
    out, failure = relayed([first, last])
    assert out.startswith(first) and failure == "EmptyAnswer" and b"[DONE]" not in out


@pytest.mark.parametrize(
    "said",
    [b'"content":"a"', b'"tool_calls":[{"index":0}]', b'"reasoning":"a"', b'"reasoning_content":"a"', b'"audio":{"data":"AA=="}', b'"yet_to_come":1',
     b'"images":[{}]', b'"refusal":"no"', b'"reasoning_details":[{"data":"x"}]'],
)  # fmt: skip
def test_whatever_an_answer_says_it_is_not_empty(said: bytes) -> None:
    chunk = content("").replace(b'"content":""', said)
    assert said in chunk and relayed([content(""), chunk, FINISH + DONE])[1] == ""
    body = RelayBody(CALL, ENDPOINT)
    body.feed(b'{"choices":[{"message":{"role":"assistant","content":null,"refusal":null,%b},"finish_reason":"stop"}]}' % said)
    assert body.finish()


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls"])
def test_an_answer_that_says_why_it_says_nothing_passes(reason: str) -> None:
    assert relayed([content(""), FINISH.replace(b'"stop"', b'"%b"' % reason.encode()) + DONE])[1] == ""


def test_what_has_no_choices_is_relayed_as_it_came() -> None:
    assert relayed([usage(), DONE])[1] == relayed([usage() + DONE])[1] == ""
    body = RelayBody(CALL, ENDPOINT)
    body.feed(b'{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":0}}')
    assert body.finish()


@pytest.mark.parametrize("choices", [b'[{"message":{"content":null}}]', b'[{"message":{"role":"assistant","content":"","tool_calls":[]},"finish_reason":"stop"}]'])
def test_a_json_answer_that_says_nothing_is_none(choices: bytes) -> None:
    body = RelayBody(CALL, ENDPOINT)
    body.feed(b'{"choices":%b,"usage":{"prompt_tokens":5,"completion_tokens":0}}' % choices)
    with pytest.raises(EmptyAnswer):
        body.finish()
    assert body.used().prompt_tokens == 5


@pytest.mark.parametrize("size", [1, 10_000])
def test_a_mark_of_byte_order_stands_before_a_stream(size: int) -> None:
    sent = content("Hel") + content("lo") + FINISH + usage(25, 7) + DONE
    marked = b"\xef\xbb\xbf" + sent
    assert relayed([marked[at : at + size] for at in range(0, len(marked), size)]) == relayed([sent])
