"""Requests that show something by URL to an upstream that wants bytes."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable

import pytest
from tests.bench import Bench, Run, Wishes
from tests.caller import Answer, request
from tests.chaos import JSON, Chaos, Script, json_answer, running, says, silent

from kilo_gateway.http.dialer import GuardedDialer
from kilo_gateway.http.media import Bounds, Fetcher
from kilo_gateway.http.tls import upstream_context

PNG = b"\x89PNG\r\n\x1a\n" + b"picture " * 20
IMAGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PNG), PNG)
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
CONVERSE = json_answer(
    json.dumps({
        "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 25, "outputTokens": 2, "totalTokens": 27},
    }).encode()
)  # fmt: skip
BUSY = json_answer(b'{"message":"busy"}', b"503 Service Unavailable")

Test = Callable[[Bench, Chaos], Awaitable[None]]


def showing(chaos: Chaos, model: str = "mock/bytes", **more: object) -> bytes:
    content = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{chaos.port}/a.png"}}]
    return json.dumps({"model": model, "messages": [{"role": "user", "content": content}], **more}).encode()


def fetch(run: Run, test: Test, *scripts: Script, bounds: Bounds | None = None) -> None:
    async def main(bench: Bench) -> None:
        async with running(*(scripts or (says(IMAGE),))) as media:
            dialer = GuardedDialer(asyncio.get_running_loop(), lambda: upstream_context(None), None)
            fetcher = bench.gateway.fetcher = Fetcher(dialer, frozenset({("127.0.0.1", media.port)}), bounds)
            bench.first.scripts, bench.second.scripts = [says(CONVERSE)], [says(JSON)]
            await test(bench, media)
            await bench.until(lambda: (fetcher.held_bytes, fetcher.requests) == (0, 0))

    run(main, Wishes(fetches=True))


def is_not_fetched(answer: Answer) -> None:
    error = answer.error()
    assert (answer.status, error["code"], error["metadata"]["host"]) == (400, "media_not_fetched", "127.0.0.1")
    assert "127.0.0.1" in error["message"]


def shown(chaos: Chaos) -> str:
    """What the Converse upstream saw."""
    content = json.loads(chaos.received[-1].body)["messages"][0]["content"]
    return str(content[1]["image"]["source"]["bytes"])


def test_an_upstream_that_wants_bytes_gets_them(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        answer = await bench.call(showing(media))
        assert answer.status == 200, answer
        assert shown(bench.first) == base64.b64encode(PNG).decode()
        assert (len(media.received), (await bench.settled())[0].outcome) == (1, "ok")

    fetch(run, test)


def test_results_of_tools_are_looked_into(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        image = {"type": "image", "source": {"type": "url", "url": f"http://127.0.0.1:{media.port}/a.png"}}
        messages = [
            {"role": "user", "content": "hi"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [image]}]},
        ]  # fmt: skip
        body = json.dumps({"model": "mock/bytes", "max_tokens": 9, "messages": messages}).encode()
        caller = await bench.send(request(body, path=b"/v1/messages"))
        assert (await caller.answer()).status == 200
        assert base64.b64encode(PNG) in bench.first.received[0].body

    fetch(run, test)


@pytest.mark.parametrize("is_stream", [False, True])
def test_what_cannot_be_fetched_is_a_400_and_costs_nothing(run: Run, is_stream: bool) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        is_not_fetched(await bench.call(showing(media, stream=is_stream)))
        [ended] = await bench.settled()
        assert (ended.outcome, ended.cost, ended.attempts, bench.first.connections) == ("refused", 0, 0, 0)
        assert bench.started() == []
        [told] = [facts for event, facts in bench.reported if event == "media.not_fetched"]
        assert (told["host"], told["reason"]) == ("127.0.0.1", "status")

    fetch(run, test, says(MISSING))


def test_the_caller_is_told_in_his_own_dialect(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        image = {"type": "image", "source": {"type": "url", "url": f"http://127.0.0.1:{media.port}/a.png"}}
        body = json.dumps({"model": "mock/bytes", "max_tokens": 9, "messages": [{"role": "user", "content": [image]}]}).encode()
        answer = await (await bench.send(request(body, path=b"/v1/messages"))).answer()
        assert (answer.status, answer.json()["type"], answer.json()["error"]["type"]) == (400, "error", "invalid_request_error")

    fetch(run, test, says(MISSING))


def test_an_endpoint_that_takes_urls_gets_the_url(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        bench.first.scripts = [says(JSON)]
        assert (await bench.call(showing(media, "mock/bytes-last"))).status == 200
        assert media.connections == 0
        assert b"/a.png" in bench.first.received[0].body

    fetch(run, test)


def test_it_is_fetched_when_the_next_endpoint_needs_it(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        bench.first.scripts, bench.second.scripts = [says(BUSY)], [says(CONVERSE)]
        assert (await bench.call(showing(media, "mock/bytes-last"))).status == 200
        assert shown(bench.second) == base64.b64encode(PNG).decode()
        assert (await bench.settled())[0].attempts == 2

    fetch(run, test)


def test_where_the_next_endpoint_cannot_be_helped_the_first_failure_is_told(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        bench.first.scripts = [says(BUSY)]
        answer = await bench.call(showing(media, "mock/bytes-last"))
        assert (answer.status, answer.headers["x-generation-id"] != "", bench.second.connections) == (503, True, 0)
        assert [(each.outcome, each.cost, each.attempts) for each in await bench.settled()] == [("upstream_failed", 0, 1)]

    fetch(run, test, says(MISSING))


def test_where_it_cannot_be_fetched_an_endpoint_that_takes_urls_is_asked(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        assert (await bench.call(showing(media, "mock/bytes-first"))).status == 200
        assert (bench.first.connections, [each.attempts for each in await bench.settled()]) == (0, [1])
        assert b"/a.png" in bench.second.received[0].body

    fetch(run, test, says(MISSING))


def test_what_was_fetched_once_serves_all_attempts(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        bench.first.scripts = [says(BUSY)]
        assert (await bench.call(showing(media, "mock/bytes-first"))).status == 200
        assert media.connections == 1

    fetch(run, test)


def test_a_caller_who_leaves_ends_the_fetch(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        caller = await bench.send(request(showing(media)))
        await bench.asked(media)
        caller.hang_up()
        await asyncio.wait_for(media.hung_up.wait(), 5)
        assert [(each.outcome, each.cost) for each in await bench.settled()] == [("client_gone", 0)]

    fetch(run, test, silent)


def test_a_slow_image_is_a_400_and_no_silence_of_the_upstream(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        caller = await bench.send(request(showing(media, stream=True)))
        await bench.asked(media)
        bench.pass_time(1000)
        is_not_fetched(await caller.answer())
        assert [each.outcome for each in await bench.settled()] == ["refused"]

    fetch(run, test, silent, bounds=Bounds(seconds=0.3))


def test_a_fetch_is_cut_when_the_process_ends(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        caller = await bench.send(request(showing(media)))
        await bench.asked(media)
        bench.gateway.is_draining = True
        bench.gateway.cut_all()
        answer = await caller.answer()
        assert (answer.status, answer.error()["code"]) == (503, "server_restarting")
        await asyncio.wait_for(media.hung_up.wait(), 5)

    fetch(run, test, silent)


def test_too_many_at_once_are_told_to_come_again(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        first = await bench.send(request(showing(media)))
        await bench.asked(media)
        answer = await bench.call(showing(media))
        assert (answer.status, answer.error()["code"], answer.headers["retry-after"]) == (503, "overloaded", "1")
        first.hang_up()
        await bench.settled(2)

    fetch(run, test, silent, bounds=Bounds(requests=1))


def test_an_image_in_a_result_of_a_tool_counts_for_the_limit_on_cost(run: Run) -> None:
    async def test(bench: Bench, media: Chaos) -> None:
        image = {"type": "image", "source": {"type": "url", "url": f"http://127.0.0.1:{media.port}/a.png"}}
        result = {"type": "tool_result", "tool_use_id": "t1", "content": [image]}
        asked: list[object] = [
            {"role": "user", "content": "hi"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
            {"role": "user", "content": [result]},
        ]  # fmt: skip
        body = json.dumps({"model": "mock/bytes", "max_tokens": 9, "messages": asked}).encode()
        answer = await (await bench.send(request(body, b"X-Kilo-Max-Cost-Usd: 0.04\r\n", path=b"/v1/messages"))).answer()
        assert (answer.status, media.connections) == (402, 0)

    fetch(run, test)


def test_by_default_nothing_is_fetched(run: Run) -> None:
    async def test(bench: Bench) -> None:
        async with running(says(IMAGE)) as media:
            answer = await bench.call(showing(media))
            assert (answer.status, answer.error()["code"], media.connections) == (400, "no_endpoint", 0)

    run(test)
