"""A head that comes again is compared, not parsed: nothing may come of that but speed."""

import pytest
from tests.bench import Bench, Run
from tests.caller import KEY, Caller, asking, request
from tests.gateway.test_framing import BODY, DOUBTFUL, LENGTH, ODD, raw

PLAIN = raw(LENGTH, BODY)
LONGER = asking("mock/one", user="x" * 5000)
ANOTHER = raw(b"Content-Length: %d\r\n" % len(LONGER), LONGER)


async def acquainted(bench: Bench) -> Caller:
    """A caller whose plain head is known, and two requests booked: one that was parsed and one that was compared."""
    caller = await bench.caller()
    for _ in range(2):
        caller.send(PLAIN)
        assert (await caller.answer()).status == 200
    assert len(bench.first.received) == 2
    return caller


@pytest.mark.parametrize("name", DOUBTFUL)
def test_doubtful_framing_is_refused_behind_a_known_head(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        caller = await acquainted(bench)
        caller.send(DOUBTFUL[name])
        answer = await caller.answer()
        assert 400 <= answer.status < 500
        assert answer.headers["connection"] == "close"
        assert await caller.is_closed()
        assert len(bench.first.received) == 2

    run(test)


@pytest.mark.parametrize("name", ODD)
def test_odd_but_right_requests_are_served_behind_a_known_head(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        caller = await acquainted(bench)
        for data in (ODD[name], PLAIN, ODD[name], ODD[name]):
            caller.send(data)
            assert (await caller.answer()).status == 200

    run(test)


@pytest.mark.parametrize("cut", [1, 10, 80, len(ANOTHER) - len(LONGER) - 1, len(ANOTHER) - len(LONGER), len(ANOTHER) - 1])
def test_a_known_head_and_its_body_may_come_in_pieces(run: Run, cut: int) -> None:
    async def test(bench: Bench) -> None:
        caller = await acquainted(bench)
        for _ in range(3):
            caller.send(ANOTHER[:cut])
            await caller.writer.drain()
            bench.pass_time(0.3)
            caller.send(ANOTHER[cut:])
            assert (await caller.answer()).status == 200
        assert [len(received.body) > 5000 for received in bench.first.received] == [False, False, True, True, True]

    run(test)


def test_what_follows_a_known_heads_body_in_the_same_read_is_another_request(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await acquainted(bench)
        caller.send(PLAIN, ANOTHER, PLAIN)
        assert [(await caller.answer()).status for _ in range(3)] == [200, 200, 200]
        caller.send(ANOTHER[:200])
        await caller.writer.drain()
        caller.send(ANOTHER[200:], PLAIN, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [(await caller.answer()).status for _ in range(3)] == [200, 200, 200]
        assert len(bench.first.received) == 7

    run(test)


def test_a_known_head_without_its_body_is_waited_for_and_then_refused(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await acquainted(bench)
        caller.send(ANOTHER[:300])
        await bench.until(lambda: any(waiter.patience_s == 10 for waiter in bench.gateway.deadlines.watched()))
        bench.pass_time(11)
        assert (await caller.answer()).status == 408
        assert await caller.is_closed()

    run(test)


def test_a_key_that_was_revoked_is_refused_behind_a_known_head(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await acquainted(bench)
        bench.forget_keys()
        for data in (PLAIN, ANOTHER[:150], ANOTHER[150:]):
            caller.send(data)
        assert [(await caller.answer()).status for _ in range(2)] == [401, 401]
        assert len(bench.first.received) == 2

    run(test)


@pytest.mark.parametrize("wrong", [KEY[:-1] + b"0", KEY + b"0", KEY.swapcase()])
def test_another_key_is_another_head(run: Run, wrong: bytes) -> None:
    async def test(bench: Bench) -> None:
        caller = await acquainted(bench)
        caller.send(PLAIN.replace(KEY, wrong))
        assert (await caller.answer()).status == 401

    run(test)


def test_a_head_is_not_taken_for_that_of_the_request_before_it_in_the_same_read(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(b"{", credential=b"x-api-key: nobody\r\n") + PLAIN)
        assert [(await caller.answer()).status for _ in range(2)] == [401, 200]
        caller.send(request(b"{", credential=b"x-api-key: nobody\r\n"))
        assert (await caller.answer()).status == 401

    run(test)
