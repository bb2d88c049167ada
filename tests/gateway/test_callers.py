"""Callers who leave, callers who are slow, and callers who send ahead."""

import asyncio

import pytest
from tests.bench import Bench, Run
from tests.caller import asking, request
from tests.chaos import EVENTS, JSON, STREAM, STREAM_HEAD, Peer, chunk, json_answer, says, silent

from kilo_gateway.core.types import Progressed

STREAMING = request(asking(stream=True))
NOISE = b'data: {"choices":[{"delta":{"content":"' + b"x" * 50_000 + b'"}}]}\n\n'


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_caller_who_leaves_before_the_first_byte_ends_the_upstreams_work_at_once(run: Run, is_stream: bool) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent]
        caller = await bench.send(request(asking(stream=is_stream)))
        await bench.asked(bench.first)
        caller.hang_up()
        await asyncio.wait_for(bench.first.hung_up.wait(), 0.25)
        [booked] = await bench.settled()
        assert (booked.outcome, booked.completion_tokens, booked.is_estimated) == ("client_gone", 0, True)
        assert booked.prompt_tokens > 0
        assert bench.second.connections == 0

    run(test)


def test_a_caller_who_leaves_in_the_middle_pays_for_what_was_sent(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM_HEAD + chunk(EVENTS[0]), then="hold")]
        caller = await bench.send(STREAMING)
        await caller.until(b"one")
        caller.hang_up()
        await asyncio.wait_for(bench.first.hung_up.wait(), 0.25)
        [booked] = await bench.settled()
        assert (booked.outcome, booked.completion_tokens, booked.is_estimated) == ("client_gone", 1, True)
        assert bench.leases.settled == booked.cost

    run(test)


def test_a_caller_who_leaves_after_the_usage_pays_for_what_it_says(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM_HEAD + b"".join(map(chunk, EVENTS[:-1])), then="hold")]
        caller = await bench.send(STREAMING)
        await caller.until(b"two")
        caller.hang_up()
        [booked] = await bench.settled()
        assert (booked.outcome, booked.completion_tokens, booked.is_estimated) == ("client_gone", 2, False)
        assert booked.cost and bench.leases.settled == booked.cost

    run(test)


def test_what_a_running_stream_has_relayed_is_noted_as_it_goes(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM_HEAD + chunk(EVENTS[0]), then="hold")]
        caller = await bench.send(STREAMING)
        await caller.until(b"one")
        bench.gateway.deadlines.sweep()
        noted = [line for line in bench.lines() if isinstance(line, Progressed)]
        assert [line.completion_tokens for line in noted] == [1]

    run(test)


class Flood:
    """Sends without end until it is held up, and counts."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.sent = 0

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        await peer.say(STREAM_HEAD)
        for _ in range(self.events):
            await peer.say(chunk(NOISE))
            self.sent += 1
        await peer.say(*map(chunk, EVENTS[1:]), b"0\r\n\r\n")

    async def comes_to_rest(self) -> None:
        """It has begun, and goes on no more."""
        before = 0
        while before == 0 or before != self.sent:
            before = self.sent
            await asyncio.sleep(0.1)  # nothing tells that nothing happens


def test_a_caller_who_does_not_read_holds_the_upstream_up_and_still_gets_everything(run: Run) -> None:
    async def test(bench: Bench) -> None:
        flood = Flood(2400)
        bench.first.scripts = [flood, says(JSON)]
        caller = await bench.caller()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]  # uvloop's transports have it
        caller.send(STREAMING)
        await flood.comes_to_rest()
        assert 0 < flood.sent < 1800  # of 2400, 50 KB each: the buffers of two sockets hold up to 36 MB each
        caller.writer.transport.resume_reading()  # type: ignore[attr-defined]
        answer = await caller.answer()
        assert answer.body.count(NOISE) == 2400
        assert b"error" not in answer.body
        assert (await bench.call()).status == 200

    run(test)


def test_an_upstream_that_does_not_read_holds_up_nobody_else(run: Run) -> None:
    async def deaf_once(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async def test(bench: Bench) -> None:
        bench.first.scripts = [deaf_once, says(JSON)]
        await bench.send(request(asking(padding="x" * 20_000_000)))
        await bench.until(lambda: len(bench.started()) == 1)
        assert (await bench.call()).status == 200

    run(test)


def test_a_caller_who_never_reads_is_cut_off(run: Run) -> None:
    async def test(bench: Bench) -> None:
        flood = Flood(1200)
        bench.first.scripts = [flood]
        caller = await bench.caller()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        caller.send(STREAMING)
        await flood.comes_to_rest()
        bench.pass_time(61)
        bench.pass_time(61)
        [booked] = await bench.settled()
        assert booked.outcome == "client_gone"
        assert bench.gateway.deadlines.count() == 0

    run(test)


def test_a_caller_who_never_reads_the_end_of_a_finished_answer_is_cut_off(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(b'{"id":"x","choices":[],"text":"%b"}' % (b"y" * 30_000_000)))]
        caller = await bench.caller()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        caller.send(request())
        await bench.settled()
        for _ in range(3):
            bench.pass_time(76)
        await bench.until(lambda: bench.gateway.deadlines.count() == 0)

    run(test)


def test_requests_sent_ahead_are_answered_in_order(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM), says(STREAM)]
        caller = await bench.send(STREAMING + request(asking("no/such")) + request(path=b"/nowhere", method=b"PUT") + STREAMING)
        bench.control.scripts = [says(json_answer(b"{}", b"404 Not Found"))]
        assert [(await caller.answer()).status for _ in range(4)] == [200, 404, 404, 200]

    run(test)


def test_a_hundred_requests_sent_ahead_are_all_answered(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(b"".join(request(asking("mock/one", n=n)) for n in range(100)))
        assert [(await caller.answer()).status for _ in range(100)] == [200] * 100
        assert len(await bench.settled(100)) == 100

    run(test)


def test_a_thousand_refusals_sent_ahead_are_all_answered(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request() + request(asking("no/such")) * 1000 + request())
        statuses = [(await caller.answer()).status for _ in range(1002)]
        assert statuses == [200, *[404] * 1000, 200]

    run(test)


def test_a_large_body_does_not_count_as_head_of_the_request_behind_it(run: Run) -> None:
    async def test(bench: Bench) -> None:
        second = request(lines=b"X-Long: " + b"y" * 1000 + b"\r\n")
        caller = await bench.caller()
        caller.send(request(asking(padding="x" * 200_000)), second[:60])
        assert (await caller.answer()).status == 200
        caller.send(second[60:])
        assert (await caller.answer()).status == 200

    run(test)


def test_a_caller_who_leaves_while_requests_wait_leaves_nothing_behind(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent]
        caller = await bench.send(STREAMING * 5)
        await bench.asked(bench.first)
        caller.hang_up()
        assert len(await bench.settled()) == 1
        await bench.until(lambda: bench.gateway.deadlines.count() == 0)
        assert bench.first.connections == 1

    run(test)


def test_a_caller_who_reads_slowly_gets_a_finished_answer_to_its_end(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(b'{"id":"x","choices":[],"text":"%b"}' % (b"y" * 30_000_000)))]
        caller = await bench.send(request())
        reader, got = caller.reader, 0
        await bench.settled()
        while got < 30_000_000:
            got += len(await reader.readexactly(min(2_000_000, 30_000_000 - got)))
            await asyncio.sleep(0.05)  # what was read makes room for more
            bench.pass_time(76)

    run(test)


def test_a_caller_who_leaves_is_noticed_though_more_waits_behind_his_request_than_is_read(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent]
        caller = await bench.send(request(asking(model="mock/one")))
        await bench.asked(bench.first)
        caller.send(request(asking(padding="x" * 5_000_000)), b"and more")
        await asyncio.sleep(0.1)
        bench.gateway.deadlines.sweep()
        assert not bench.first.hung_up.is_set()
        caller.hang_up()
        await asyncio.sleep(0.1)
        bench.gateway.deadlines.sweep()
        await asyncio.wait_for(bench.first.hung_up.wait(), 2)

    run(test)


def test_a_caller_who_waits_to_be_asked_for_his_body_is_asked_when_his_turn_comes(run: Run) -> None:
    async def test(bench: Bench) -> None:
        body = asking()
        caller = await bench.send(request())
        caller.send(request(body, b"Expect: 100-continue\r\n").removesuffix(body))
        assert (await caller.answer()).status == 200
        await caller.until(b"HTTP/1.1 100 Continue\r\n\r\n")
        caller.send(body)
        assert (await caller.answer()).status == 200

    run(test)
