"""A limit on the cost of one request, from the wire to the wire."""

import json

import pytest
from tests.bench import Bench, Run
from tests.caller import asking, request
from tests.chaos import JSON, STREAM, json_answer, says


def sent(bench: Bench, nth: int = 0) -> dict[str, object]:
    body: dict[str, object] = json.loads(bench.first.received[nth].body)
    return body


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_request_that_fits_is_capped_and_told_so(run: Run, is_stream: bool) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM if is_stream else JSON)]
        answer = await bench.call(asking(stream=is_stream, max_cost_usd=0.01), b"X-Kilo-Max-Cost-Usd: 5\r\n")
        assert answer.status == 200
        cap = int(answer.headers["x-kilo-max-tokens"])
        assert 256 <= cap < 5000
        assert sent(bench)["max_tokens"] == cap and "max_cost_usd" not in sent(bench)
        [booked] = await bench.settled()
        assert booked.cost is not None and booked.cost <= 10_000_000

    run(test)


def test_without_a_limit_nothing_is_added(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(JSON)]
        answer = await bench.call()
        assert "x-kilo-max-tokens" not in answer.headers and "max_tokens" not in sent(bench)

    run(test)


@pytest.mark.parametrize(("model", "reason"), [("mock/model", "max_cost"), ("mock/free", "price_unknown")])
def test_what_does_not_fit_is_a_402_and_nothing_is_sent_or_booked(run: Run, model: str, reason: str) -> None:
    async def test(bench: Bench) -> None:
        for answer in (
            await bench.call(asking(model, max_cost_usd=0.0001)),
            await bench.call(asking(model, max_cost_usd=5), b"x-kilo-max-cost-usd: 0.0001\r\n"),
        ):
            error = answer.error()
            assert (answer.status, error["code"], error["metadata"]["reason"]) == (402, "insufficient_funds", reason)
        assert bench.first.connections == bench.second.connections == 0
        assert bench.lines() == []

    run(test)


@pytest.mark.parametrize("value", [b"", b"much", b"-1", b"nan", b"1_0", b"\xff"])
def test_a_limit_that_is_none_is_a_400(run: Run, value: bytes) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.call(lines=b"X-Kilo-Max-Cost-Usd: %b\r\n" % value)
        assert answer.status == 400 and "x-kilo-max-cost-usd" in answer.error()["message"]

    run(test)


def test_two_limits_are_in_doubt(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(asking(), b"X-Kilo-Max-Cost-Usd: 0.0001\r\nx-kilo-max-cost-usd: 5\r\n"))
        assert (await caller.answer()).status == 400
        assert bench.first.connections == 0

    run(test)


def test_the_next_endpoint_is_capped_anew(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts, bench.second.scripts = [says(json_answer(b"{}", b"500 Internal Server Error"))], [says(JSON)]
        answer = await bench.call(asking(max_cost_usd=0.01))
        assert (answer.status, answer.headers["x-kilo-provider"]) == (200, "two")
        assert json.loads(bench.second.received[0].body)["max_tokens"] == int(answer.headers["x-kilo-max-tokens"])

    run(test)
