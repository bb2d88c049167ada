"""Every wait has an end. The clock is turned by hand."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.bench import Bench, Run, Wishes
from tests.caller import Answer, Caller, asking, request
from tests.chaos import EVENTS, JSON, STREAM, STREAM_HEAD, Peer, chunk, deaf, json_answer, says, silent, stream_answer
from tests.gateway.test_failures import check_error_end

from kilo_gateway.core.types import Patience
from kilo_gateway.http import forward

COMMENT = b": KILO PROCESSING\n\n"
STREAMING = request(asking(stream=True))
LARGE = asking("mock/model", padding="x" * 30_000_000)


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port on which connecting neither succeeds nor fails: its queue is full."""
    with ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            caller = held.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def answers_after(bench: Bench, caller: Caller, seconds: float) -> Answer:
    """Nothing happens just before that time, and the answer is there just after it."""
    bench.pass_time(seconds - 1)
    assert bench.second.connections == 0
    bench.pass_time(1.5)
    return await caller.answer()


@pytest.mark.parametrize(("is_stream", "seconds"), [(False, 600), (True, 300)])
def test_an_upstream_that_says_nothing_is_given_up(run: Run, is_stream: bool, seconds: float) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent]
        bench.second.scripts = [says(STREAM if is_stream else JSON)]
        caller = await bench.send(request(asking(stream=is_stream)))
        await bench.asked(bench.first)
        answer = await answers_after(bench, caller, seconds)
        assert answer.status == 200
        assert (await bench.settled())[0].provider == "two"

    run(test)


def test_a_json_answer_that_stops_in_the_middle_is_given_up(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(JSON[:-9], then="hold")]
        caller = await bench.send(request())
        await bench.asked(bench.first)
        await bench.until(lambda: bench.gateway.deadlines.watched()[0].patience_s == 60)
        answer = await answers_after(bench, caller, 60)
        assert answer.json()["provider"] == "two"

    run(test)


def test_a_stream_that_falls_silent_ends_with_one_error_chunk(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM_HEAD + chunk(EVENTS[0]), then="hold")]
        caller = await bench.send(STREAMING)
        head = await caller.until(EVENTS[0])
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        bench.pass_time(59)
        assert bench.ended() == []
        bench.pass_time(2)
        rest = await caller.until(b"0\r\n\r\n")
        assert rest.count(b'"finish_reason":"error"') == 1
        assert b'"code":"upstream_timeout"' in rest

    run(test)


def test_comments_are_no_sign_of_progress(run: Run) -> None:
    async def pings(peer: Peer) -> None:
        await peer.request()
        await peer.say(STREAM_HEAD + chunk(EVENTS[0]))
        while True:
            await peer.say(chunk(b": ping\n\n"), pause_s=0.001)

    async def test(bench: Bench) -> None:
        bench.first.scripts = [pings]
        caller = await bench.send(STREAMING)
        await caller.until(EVENTS[0])
        bench.gateway.deadlines.sweep()
        for _ in range(7):
            await caller.until(b": ping\n\n")
            bench.clock.now += 10
            bench.gateway.deadlines.sweep()
        assert b'"finish_reason":"error"' in await caller.until(b"0\r\n\r\n")

    run(test)


def test_an_upstream_that_takes_too_long_to_connect_is_given_up(run: Run) -> None:
    async def test(bench: Bench) -> None:
        with full_backlog() as port:
            bench.use_first(port)
            caller = await bench.send(request())
            await bench.until(lambda: bench.limits.in_flight() == 1)
            assert (await answers_after(bench, caller, 5)).json()["provider"] == "two"

    run(test)


def test_an_upstream_that_does_not_take_the_request_is_given_up(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [deaf]
        caller = await bench.send(request(LARGE))
        await bench.until(lambda: len(bench.started()) == 1)
        assert (await answers_after(bench, caller, 30)).json()["provider"] == "two"

    run(test)


def test_patience_is_each_upstreams_own(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent]
        caller = await bench.send(request())
        await bench.asked(bench.first)
        assert (await answers_after(bench, caller, 7)).json()["provider"] == "two"

    run(test, Wishes(patience=Patience(first_byte_s=7)))


# A caller who waits long


def test_after_ten_seconds_a_streaming_caller_gets_a_comment_and_one_more_every_ten(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent]
        caller = await bench.send(STREAMING)
        await bench.asked(bench.first)
        bench.pass_time(9.5)
        bench.pass_time(1)
        head = await caller.until(b"\r\n\r\n")
        assert b"text/event-stream" in head
        assert b"x-generation-id: gen-" in head
        await caller.until(COMMENT)
        for _ in range(3):
            bench.pass_time(10)
            await caller.until(COMMENT)

    run(test)


def test_a_caller_of_a_json_answer_gets_no_comment(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent, says(JSON)]
        caller = await bench.send(request())
        await bench.asked(bench.first)
        bench.pass_time(599)
        bench.pass_time(2)
        answer = await caller.answer()
        assert answer.json()["provider"] == "two"

    run(test)


async def after_a_comment(bench: Bench) -> Caller:
    caller = await bench.send(STREAMING)
    await bench.asked(bench.first)
    bench.pass_time(10.5)
    return caller


def test_what_was_done_to_the_request_is_told_before_its_endpoint_answers(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent]
        caller = await bench.send(request(asking(stream=True, tools=[])))
        await bench.asked(bench.first)
        bench.pass_time(10.5)
        head = await caller.until(b"\r\n\r\n")
        assert b"x-kilo-repairs: empty_tools=1" in head and b"x-kilo-provider" not in head

    run(test)


def test_failover_is_possible_after_a_comment(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent]
        bench.second.scripts = [says(STREAM)]
        caller = await after_a_comment(bench)
        bench.pass_time(290)
        answer = await caller.answer()
        assert answer.status == 200
        assert answer.body.replace(COMMENT, b"").startswith(EVENTS[0] + EVENTS[1])
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert (await bench.settled())[0].provider == "two"

    run(test)


def test_a_failure_after_a_comment_is_one_error_chunk(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = bench.second.scripts = [silent]
        caller = await after_a_comment(bench)
        bench.pass_time(290)
        await bench.asked(bench.second)
        bench.pass_time(301)
        answer = await caller.answer()
        comments = answer.body.count(COMMENT)
        error = check_error_end(answer, COMMENT * comments)
        assert error["code"] == "upstream_timeout"
        assert (await bench.settled())[0].outcome == "upstream_failed"

    run(test)


def test_an_upstreams_refusal_after_a_comment_is_one_error_chunk(run: Run) -> None:
    said = asyncio.Event()

    async def late(peer: Peer) -> None:
        await peer.request()
        await said.wait()
        await peer.say(json_answer(b'{"error":{"message":"too hot"}}', b"400 No"))

    async def test(bench: Bench) -> None:
        bench.first.scripts = [late]
        caller = await after_a_comment(bench)
        said.set()
        error = check_error_end(await caller.answer(), COMMENT)
        assert error["message"] == "too hot"

    run(test)


def test_an_upstreams_own_comments_do_not_prevent_failover(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM_HEAD + chunk(b": PROCESSING\n\n"), then="hold")]
        bench.second.scripts = [says(STREAM)]
        caller = await after_a_comment(bench)
        bench.pass_time(290)
        assert (await caller.answer()).body.replace(COMMENT, b"").startswith(EVENTS[0])

    run(test)


def test_an_upstreams_comments_come_with_its_first_event(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(stream_answer(b": PROCESSING\n\n", *EVENTS))]
        assert (await bench.stream()).body.startswith(b": PROCESSING\n\n" + EVENTS[0])

    run(test)


# Callers who are slow


def test_a_head_that_does_not_end_is_given_up_after_ten_seconds(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow:")
        await bench.until(lambda: bench.gateway.deadlines.watched()[0].patience_s == 10)
        bench.pass_time(5)
        caller.send(b"y")
        bench.pass_time(5.5)
        answer = await caller.answer()
        assert (answer.status, answer.error()["code"]) == (408, "request_timeout")
        assert await caller.is_closed()

    run(test)


def test_a_body_that_does_not_come_is_given_up_after_ten_seconds(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request()[:-5])
        await bench.until(lambda: bench.limits._keys != {})
        bench.pass_time(10.5)
        assert (await caller.answer()).status == 408
        assert await caller.is_closed()

    run(test)


def test_a_body_that_comes_slowly_but_surely_is_waited_for(run: Run) -> None:
    body = asking(padding="x" * 100_000)

    async def test(bench: Bench) -> None:
        data = request(body)
        caller = await bench.caller()
        for at in range(0, len(data), 20_000):
            caller.send(data[at : at + 20_000])
            await bench.until(lambda: all(each.is_fresh for each in bench.gateway.deadlines.watched()))
            bench.pass_time(9)
        assert (await caller.answer()).status == 200

    run(test)


def test_a_connection_between_requests_is_closed_after_75_seconds(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request())
        assert (await caller.answer()).status == 200
        bench.pass_time(74)
        caller.send(request())
        assert (await caller.answer()).status == 200
        bench.pass_time(76)
        assert await caller.is_closed()

    run(test)


STREAM_THAT_STAYS = (STREAM_HEAD, *map(chunk, EVENTS))


@pytest.mark.parametrize("parts", [STREAM_THAT_STAYS, (b"".join(STREAM_THAT_STAYS),)])
def test_an_answer_that_has_said_it_is_over_ends_though_its_connection_stays_open(run: Run, parts: tuple[bytes, ...]) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(*parts, then="hold")]
        caller = await bench.send(STREAMING)
        await caller.until(b"data: [DONE]\n\n\r\n")
        bench.gateway.deadlines.sweep()
        assert await caller.until(b"0\r\n\r\n") == b"0\r\n\r\n"
        await bench.first.hung_up.wait()
        assert (await bench.settled())[0].outcome == "ok"

    run(test)


def test_an_error_whose_text_does_not_end_is_an_error_all_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "REFUSAL_S", 0.05)

    async def test(bench: Bench) -> None:
        head = b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n"
        bench.first.scripts = [says(head, *[b"1\r\n \r\n"] * 3, then="hold")]
        bench.second.scripts = [says(JSON)]
        assert (await bench.call()).status == 200
        assert (await bench.settled())[0].provider == "two"

    run(test)
