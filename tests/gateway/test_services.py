"""What is asked of models besides chat, through the gateway: embeddings that an upstream makes one at a time."""

import json

from tests.bench import Bench, Run
from tests.caller import Answer, request
from tests.chaos import Peer, json_answer

TEXTS = ["a", "b", "c"]


def asking(model: str = "mock/titan", **more: object) -> bytes:
    return request(json.dumps({"model": model, "input": TEXTS, **more}).encode(), path=b"/v1/embeddings")


def vector(number: int) -> bytes:
    return json_answer(json.dumps({"embedding": [number], "inputTextTokenCount": 10}).encode())


async def embedded(bench: Bench, data: bytes) -> Answer:
    caller = await bench.send(data)
    return await caller.answer()


async def one_vector_each(peer: Peer) -> None:
    for number in range(3):
        await peer.request()
        await peer.say(vector(number))


def test_texts_an_upstream_takes_one_by_one_are_sent_one_by_one(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [one_vector_each]
        told = (await embedded(bench, asking())).json()
        assert [row["embedding"] for row in told["data"]] == [[0], [1], [2]]
        assert told["usage"] == {"prompt_tokens": 30, "total_tokens": 30, "cost": 0.00003}
        assert [json.loads(each.body)["inputText"] for each in bench.first.received] == TEXTS
        assert bench.first.received[0].head.startswith(b"POST /v1/model/amazon.titan-embed-text-v2%3A0/invoke HTTP/1.1\r\n")
        (booked,) = await bench.settled()
        assert (booked.prompt_tokens, booked.cost, booked.attempts, booked.outcome) == (30, 30_000, 1, "ok")

    run(test)


def test_a_failure_in_the_middle_is_an_error_and_what_was_used_is_booked(run: Run) -> None:
    async def test(bench: Bench) -> None:
        async def one_and_no_more(peer: Peer) -> None:
            await peer.request()
            await peer.say(vector(1))
            await peer.request()
            await peer.say(json_answer(b'{"message":"slow down"}', b"429 Too Many Requests"))

        bench.first.scripts = [one_and_no_more]
        answer = await embedded(bench, asking())
        assert (answer.status, answer.error()["message"]) == (429, "slow down")
        (booked,) = await bench.settled()
        assert (booked.prompt_tokens, booked.cost, booked.outcome) == (10, 10_000, "upstream_failed")
        assert bench.second.received == []

    run(test)


def test_before_the_first_part_another_endpoint_may_do(run: Run) -> None:
    async def test(bench: Bench) -> None:
        async def fails(peer: Peer) -> None:
            await peer.request()
            await peer.say(json_answer(b"{}", b"500 Internal Server Error"))

        bench.first.scripts, bench.second.scripts = [fails], [one_vector_each]
        told = (await embedded(bench, asking())).json()
        assert len(told["data"]) == 3 and told["provider"] == "two"

    run(test)


def test_a_connection_that_ends_between_parts_is_no_failure(run: Run) -> None:
    async def test(bench: Bench) -> None:
        async def one_and_closed(peer: Peer) -> None:
            await peer.request()
            await peer.say(vector(7))

        bench.first.scripts = [one_and_closed]
        told = (await embedded(bench, asking())).json()
        assert [row["embedding"] for row in told["data"]] == [[7]] * 3

    run(test)


def test_a_caller_who_leaves_in_the_middle_pays_for_what_was_made(run: Run) -> None:
    async def test(bench: Bench) -> None:
        async def one_and_silence(peer: Peer) -> None:
            await peer.request()
            await peer.say(vector(1))
            await peer.request()
            await peer.hold()

        bench.first.scripts = [one_and_silence]
        caller = await bench.send(asking())
        await bench.asked(bench.first, 2)
        caller.hang_up()
        (booked,) = await bench.settled()
        assert booked.outcome == "client_gone" and booked.prompt_tokens >= 10 and booked.is_estimated

    run(test)
