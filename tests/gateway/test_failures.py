"""Upstreams that fail: before the first payload another one answers; after it the caller gets one error chunk."""

import asyncio
import json

import pytest
from tests.bench import Bench, Run
from tests.caller import Answer, asking, request
from tests.chaos import (
    BODY,
    ERROR_EVENT,
    EVENTS,
    JSON,
    LAST_CHUNK,
    STREAM,
    STREAM_HEAD,
    UNFRAMED_STREAM_HEAD,
    Peer,
    Script,
    chunk,
    json_answer,
    says,
    stream_answer,
)
from tests.streams import DONE, FINISH, content


async def hangs_up(peer: Peer) -> None:
    """Before it has read anything."""


async def resets(peer: Peer) -> None:
    peer.reset()


def refuses(status: bytes) -> Script:
    return says(json_answer(b'{"error":{"message":"no"}}', status), then="close")


ALWAYS_BROKEN = {
    "hangs up at once": hangs_up,
    "resets at once": resets,
    "hangs up after the request": says(b"", then="close"),
    "resets after the request": says(b"", then="reset"),
    "garbage": says(b"\x16\x03\x01 this is no HTTP\r\n\r\n", then="close"),
    "a head without end": says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, then="hold"),
    "half a head": says(b"HTTP/1.1 200 OK\r\nContent-", then="close"),
    "no status": says(b"HTTP/1.1 yes OK\r\nContent-Length: 0\r\n\r\n"),
    "a length that is no number": says(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", then="close"),
    "compressed": says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
    "an HTML page": says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
    "an empty answer": says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "no content": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "a redirect": says(b"HTTP/1.1 307 Go\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"),
    "an error object with status 200": says(json_answer(b'{"error":{"message":"no"}}')),
    **{f"status {status.decode()}": refuses(status) for status in (b"401 X", b"402 X", b"403 X", b"404 X", b"408 X", b"429 X")},
    **{f"status {status.decode()}": refuses(status) for status in (b"500 X", b"502 X", b"503 X", b"504 X", b"529 X")},
}
BROKEN_JSON = ALWAYS_BROKEN | {
    "too short": says(JSON[:-5], then="close"),
    "too short, then reset": says(JSON[:-5], then="reset"),
    "half an object": says(json_answer(BODY[:-5])),
    "an array": says(json_answer(b"[" + BODY + b"]")),
    "a bad chunk size": says(STREAM_HEAD.replace(b"text/event-stream", b"application/json") + b"zz\r\n{}", then="hold"),
    "a negative chunk size": says(STREAM_HEAD.replace(b"text/event-stream", b"application/json") + b"-5\r\n{}", then="hold"),
    "a chunk longer than it said": says(
        STREAM_HEAD.replace(b"text/event-stream", b"application/json") + chunk(BODY)[:-2] + b"  " + LAST_CHUNK, then="hold"
    ),
    "no last chunk": says(STREAM_HEAD.replace(b"text/event-stream", b"application/json") + chunk(BODY), then="close"),
    "a stream": says(STREAM),
}
BROKEN_STREAMS = ALWAYS_BROKEN | {
    "nothing but a head": says(STREAM_HEAD, then="close"),
    "nothing but a head, reset": says(STREAM_HEAD, then="reset"),
    "an empty stream": says(stream_answer()),
    "only comments": says(stream_answer(b": hello\n\n", b": there\n\n")),
    "only [DONE]": says(stream_answer(DONE)),
    "an error in the first event": says(stream_answer(ERROR_EVENT)),
    "an error after comments": says(stream_answer(b": hello\n\n", ERROR_EVENT, DONE)),
    "half an event": says(STREAM_HEAD + chunk(EVENTS[0][:20]), then="close"),
    "an event that is not JSON": says(stream_answer(b"data: <html>\n\n")),
    "a bad chunk size": says(STREAM_HEAD + b"xyz\r\n" + EVENTS[0], then="hold"),
    "a chunk size as Python writes it": says(STREAM_HEAD + b"0x" + chunk(EVENTS[0]) + stream_answer(*EVENTS[1:])[len(STREAM_HEAD) :]),
    "a chunk longer than it said": says(STREAM_HEAD + chunk(EVENTS[0])[:-2] + b"\n\n" + chunk(EVENTS[1]), then="hold"),
    "a JSON error": says(json_answer(b'{"error":{"message":"no","code":500}}')),
    "one JSON body": says(JSON),
}
AFTER_THE_FIRST = {
    "hangs up": says(STREAM_HEAD + chunk(EVENTS[0]), then="close"),
    "resets": says(STREAM_HEAD + chunk(EVENTS[0]), then="reset", pause_s=0.01),
    "hangs up inside an event": says(STREAM_HEAD + chunk(EVENTS[0] + EVENTS[1][:30]), then="close"),
    "hangs up inside a chunk": says(STREAM_HEAD + chunk(EVENTS[0]) + b"ff\r\n" + EVENTS[1][:30], then="close"),
    "hangs up without framing": says(UNFRAMED_STREAM_HEAD + EVENTS[0], then="close"),
    "ends without a finish": says(stream_answer(EVENTS[0])),
    "a bad chunk size": says(STREAM_HEAD + chunk(EVENTS[0]) + b"zz\r\n", then="hold", pause_s=0.01),
    "a negative chunk size": says(STREAM_HEAD + chunk(EVENTS[0]) + b"-1\r\n", then="hold", pause_s=0.01),
    "a signed chunk size": says(STREAM_HEAD + chunk(EVENTS[0]) + b"+" + chunk(EVENTS[1]), then="hold", pause_s=0.01),
    "a chunk longer than it said": says(
        STREAM_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1])[:-2] + b"xy" + chunk(EVENTS[2]) + LAST_CHUNK, then="hold", pause_s=0.01
    ),
    "an error event": says(stream_answer(EVENTS[0], ERROR_EVENT)),
    "an error event, then [DONE]": says(stream_answer(EVENTS[0], ERROR_EVENT, DONE)),
    "an error event in the same chunk": says(stream_answer(EVENTS[0] + ERROR_EVENT)),
    "an error beside choices": says(stream_answer(EVENTS[0], b'data: {"choices":[],"error":{"message":"no","code":502}}\n\n')),
    "a wrong length": says(UNFRAMED_STREAM_HEAD.replace(b"Connection: close", b"Content-Length: 999") + EVENTS[0], then="close"),
}


def check_error_end(answer: Answer, before: bytes) -> dict[str, object]:
    """Exactly `before`, one error chunk and [DONE]; gives the error."""
    assert answer.status == 200
    assert answer.is_whole
    assert answer.body.startswith(before)
    chunk_, done, rest = answer.body.removeprefix(before).split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    event = json.loads(chunk_.removeprefix(b"data: "))
    assert event["choices"][0]["finish_reason"] == "error"
    error: dict[str, object] = event["error"]
    assert set(error) == {"message", "type", "code", "metadata"}
    return error


@pytest.mark.parametrize("name", BROKEN_JSON)
def test_another_endpoint_answers_when_the_first_breaks_its_json_answer(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [BROKEN_JSON[name]]
        answer = await bench.call()
        assert (answer.status, answer.json()["provider"]) == (200, "two")
        [booked] = await bench.settled()
        assert (booked.outcome, booked.provider, booked.attempts) == ("ok", "two", 2)

    run(test)


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_another_endpoint_answers_when_the_first_breaks_before_the_first_event(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [BROKEN_STREAMS[name]]
        bench.second.scripts = [says(STREAM)]
        answer = await bench.stream()
        assert answer.headers["x-kilo-provider"] == "two"
        assert answer.body.startswith(EVENTS[0] + EVENTS[1])
        [booked] = await bench.settled()
        assert (booked.outcome, booked.attempts) == ("ok", 2)

    run(test)


@pytest.mark.parametrize("name", BROKEN_JSON)
def test_when_the_only_endpoint_breaks_the_caller_gets_an_error_and_pays_nothing(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [BROKEN_JSON[name]]
        answer = await bench.call(b'{"model":"mock/one"}')
        assert answer.status in (429, 502, 503, 504)
        assert answer.error()["message"]
        [booked] = await bench.settled()
        assert (booked.outcome, booked.cost, booked.prompt_tokens) == ("upstream_failed", 0, 0)

    run(test)


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_a_stream_that_never_began_is_an_error_with_a_status(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [BROKEN_STREAMS[name]]
        answer = await bench.stream("mock/one")
        assert answer.status in (429, 500, 502, 503, 504)
        assert answer.error()["message"]

    run(test)


@pytest.mark.parametrize("name", AFTER_THE_FIRST)
def test_a_stream_that_breaks_after_its_first_event_ends_with_one_error_chunk(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [AFTER_THE_FIRST[name]]
        check_error_end(await bench.stream(), EVENTS[0])
        assert bench.second.connections == 0
        [booked] = await bench.settled()
        assert (booked.outcome, booked.is_estimated) == ("broken_off", True)

    run(test)


def test_a_stream_cut_off_anywhere_before_its_finish_is_never_a_clean_end(run: Run) -> None:
    whole = STREAM_HEAD + chunk(content("a")) + chunk(content("b")) + chunk(FINISH)

    async def test(bench: Bench) -> None:
        ends = range(len(STREAM_HEAD), len(whole) - len(chunk(FINISH)) + 20)
        bench.first.scripts = [says(whole[:end], then="close") for end in ends]
        for end in ends:
            answer = await bench.stream("mock/one")
            if answer.status == 200:
                before = answer.body.partition(b'data: {"id":"gen-7","object":"chat.completion.chunk","created":1700000000,"model":"mock')[0]
                assert before in (content("a"), content("a") + content("b")), f"cut at {end}"
                check_error_end(answer, before)
            else:
                assert answer.error()["code"] == "upstream_truncated", f"cut at {end}"

    run(test)


def test_an_error_in_a_stream_is_told_in_the_upstreams_words(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(stream_answer(EVENTS[0], ERROR_EVENT))]
        error = check_error_end(await bench.stream(), EVENTS[0])
        assert (error["message"], error["code"]) == ("the model fell over", "model_down")

    run(test)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_callers_own_mistake_is_told_as_it_is_and_tried_nowhere_else(run: Run, status: int) -> None:
    told = b'{"error":{"message":"temperature out of range","type":"invalid_request_error","code":"bad_temperature"}}'

    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(told, b"%d No" % status))]
        answer = await bench.call()
        assert (answer.status, answer.error()["message"]) == (status, "temperature out of range")
        assert answer.error()["code"] == "bad_temperature"
        assert bench.second.connections == 0

    run(test)


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_upstream_that_leads_back_here_is_told_as_a_loop(run: Run, is_stream: bool) -> None:
    async def test(bench: Bench) -> None:
        bench.use_first(bench.port)
        answer = await bench.call(asking("mock/one", stream=is_stream))
        assert (answer.status, answer.error()["code"]) == (508, "loop_detected")
        assert bench.first.received == []

    run(test)


@pytest.mark.parametrize(("body", "status"), [(b'{"error":{"message":"m","code":"loop_detected"}}', 508), (b'{"error":{"message":"m"}}', 502)])
def test_another_gateways_loop_is_passed_on_and_any_other_508_is_not(run: Run, body: bytes, status: int) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(body, b"508 Loop Detected"))]
        assert (await bench.call(b'{"model":"mock/one"}')).status == status

    run(test)


def test_how_long_to_wait_is_passed_on(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(b"{}", b"429 Slow Down", b"Retry-After: 17\r\n"))]
        answer = await bench.call(b'{"model":"mock/one"}')
        assert (answer.status, answer.headers["retry-after"]) == (429, "17")

    run(test)


def test_what_a_provider_thinks_of_our_credential_is_not_shown(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(b'{"error":{"message":"bad key sk-one of Alice"}}', b"401 X"))]
        answer = await bench.call(b'{"model":"mock/one"}')
        assert answer.status == 502
        assert b"sk-one" not in answer.body

    run(test)


def test_an_upstream_that_cannot_be_connected_to_is_passed_over(run: Run) -> None:
    async def test(bench: Bench) -> None:
        await bench.first.stop()
        answer = await bench.call()
        assert answer.json()["provider"] == "two"

    run(test)


def test_an_endpoint_that_failed_stands_behind_the_others_for_a_while(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [refuses(b"500 X"), says(JSON)]
        providers = [(await bench.call()).json()["provider"] for _ in range(2)]
        bench.clock.now += 11
        providers.append((await bench.call()).json()["provider"])
        assert providers == ["two", "two", "one"]

    run(test)


def test_every_failed_attempt_and_the_failure_are_reported_once(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = bench.second.scripts = [refuses(b"500 X")]
        await bench.call()
        assert [event for event, _ in bench.reported] == ["attempt.failed", "request.failed"]
        assert [facts["provider"] for _, facts in bench.reported] == ["one", "two"]

    run(test)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("status", [b"200 OK", b"400 X", b"500 X"])
def test_an_upstream_that_quotes_the_prompt_as_a_code_is_not_quoted_in_the_log(run: Run, status: bytes, is_stream: bool) -> None:
    async def test(bench: Bench) -> None:
        told = json_answer(b'{"error":{"message":"s3cret words","code":"s3cret words","type":"s3cret words"}}', status)
        bench.first.scripts = bench.second.scripts = [says(told)]
        answer = await bench.call(asking(stream=is_stream))
        assert answer.error()["code"] == "upstream_error"
        assert bench.reported
        assert "s3cret" not in str(bench.reported)

    run(test)


def test_an_answer_longer_than_it_said_is_whole_and_its_connection_not_used_again(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(JSON + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")]
        assert [(await bench.call()).json()["usage"]["cost"] for _ in range(2)] == [0.000029, 0.000029]
        assert bench.first.connections == 2

    run(test)


async def stale(peer: Peer) -> None:
    """Answers once; the next request finds the connection closed."""
    await peer.request()
    await peer.say(JSON)
    await peer.request()


def test_a_request_on_a_connection_the_upstream_just_closed_is_sent_again_once(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [stale, says(JSON)]
        assert [(await bench.call()).json()["provider"] for _ in range(2)] == ["one", "one"]
        assert (bench.first.connections, bench.second.connections) == (2, 0)
        assert [each.attempts for each in await bench.settled(2)] == [1, 1]

    run(test)


def test_the_second_connection_lost_in_the_same_way_is_a_failure(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [stale, says(b"", then="close")]
        assert [(await bench.call()).json()["provider"] for _ in range(2)] == ["one", "two"]
        assert bench.first.connections == 2

    run(test)


def test_bytes_on_an_idle_connection_end_it(run: Run) -> None:
    async def chatty(peer: Peer) -> None:
        await peer.request()
        await peer.say(JSON, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", pause_s=0.02)
        await peer.hold()

    async def test(bench: Bench) -> None:
        bench.first.scripts = [chatty, says(JSON)]
        await bench.call()
        await bench.first.hung_up.wait()
        assert (await bench.call()).json()["usage"]["cost"] == 0.000029

    run(test)


def test_after_the_end_of_a_stream_nothing_is_added(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM.removesuffix(LAST_CHUNK), then="hold")]
        caller = await bench.send(request(asking(stream=True)))
        await caller.until(b"[DONE]\n\n\r\n")
        bench.pass_time(61)
        answer_rest = await caller.until(b"0\r\n\r\n")
        assert b"error" not in answer_rest

    run(test)


def test_a_request_an_upstream_has_worked_on_is_not_sent_to_it_again(run: Run) -> None:
    async def test(bench: Bench) -> None:
        breaks_down = asyncio.Event()

        async def late(peer: Peer) -> None:
            await peer.request()
            await peer.say(JSON)
            await peer.request()
            await breaks_down.wait()

        bench.first.scripts = [late, says(JSON)]
        await bench.call()
        caller = await bench.send(request(asking("mock/one")))
        await bench.asked(bench.first, 2)
        bench.clock.now += 2
        breaks_down.set()
        assert (await caller.answer()).status == 502
        assert len(bench.first.received) == 2

    run(test)


async def hasty(peer: Peer) -> None:
    """Answers before it has taken the request, and reads no more of it."""
    await peer.reader.readuntil(b"\r\n\r\n")
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await peer.say(json_answer(b'{"error":{"message":"too large"}}', b"413 Payload Too Large"))
    await asyncio.Event().wait()


def test_a_connection_with_an_unsent_request_is_not_used_again(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [hasty, says(JSON)]
        assert (await bench.call(asking("mock/one", padding="x" * 20_000_000))).status == 413
        assert (await bench.call(asking("mock/one"))).status == 200
        assert bench.first.connections == 2

    run(test)


@pytest.mark.parametrize(("value", "told"), [(b"7", "7"), (b"Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT"), (b"5\nSet-Cookie: a=b", None)])
def test_what_an_upstream_says_of_waiting_is_no_way_into_our_head(run: Run, value: bytes, told: str | None) -> None:
    async def test(bench: Bench) -> None:
        refusal = json_answer(b'{"error":{"message":"no"}}', b"429 Too Many Requests", b"Retry-After: %b\r\n" % value)
        bench.first.scripts = [says(refusal)]
        answer = await bench.call(asking("mock/one"))
        assert answer.status == 429 and "set-cookie" not in answer.headers
        assert answer.headers.get("retry-after") in (told, "5")

    run(test)


def test_another_success_than_200_is_told_as_what_it_is(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(b"{}", b"201 Created"))]
        answer = await bench.call(asking("mock/one"))
        assert answer.status == 502 and "201; 200 was expected" in answer.error()["message"]

    run(test)


def test_an_answer_with_an_endless_id_is_booked_and_ends(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(b'{"id":"%b","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}' % (b"i" * 9_000_000)))]
        assert (await bench.call(asking("mock/one"))).status == 200
        [booked] = await bench.settled()
        assert (booked.completion_tokens, len(booked.upstream_id)) == (6, 200)

    run(test)
