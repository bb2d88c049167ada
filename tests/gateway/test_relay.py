"""Streams come out as they went in, however they were cut on the way."""

import json

import pytest
from tests.bench import Bench, Run
from tests.chaos import (
    BODY,
    EVENTS,
    JSON,
    LAST_CHUNK,
    STREAM,
    STREAM_HEAD,
    UNFRAMED_STREAM_HEAD,
    Chaos,
    Script,
    chunk,
    json_answer,
    says,
    stream_answer,
)
from tests.streams import FINISH, STREAMS, Stream, content, usage

PAUSE_S = 0.0005


def in_two(data: bytes) -> list[Script]:
    """A script for each place at which `data` can be cut in two, one connection each."""
    return [says(data[:cut], data[cut:], pause_s=PAUSE_S, then="close") for cut in range(1, len(data))]


async def relays_each(bench: Bench, chaos: Chaos, data: bytes, stream: Stream) -> None:
    chaos.scripts = in_two(data)
    for cut, _ in enumerate(chaos.scripts, 1):
        answer = await bench.stream()
        assert (answer.status, answer.is_whole) == (200, True), f"cut at {cut}"
        stream.check(answer.body)


@pytest.mark.parametrize("name", ["plain", "carriage returns", "comments", "usage in the middle", "no [DONE]"])
def test_a_stream_cut_anywhere_is_relayed_byte_for_byte(run: Run, name: str) -> None:
    stream = STREAMS[name]

    async def test(bench: Bench) -> None:
        await relays_each(bench, bench.first, stream_answer(*stream.events), stream)
        assert bench.second.connections == 0

    run(test)


def test_a_stream_that_ends_with_its_connection_may_be_cut_anywhere(run: Run) -> None:
    stream = STREAMS["plain"]

    async def test(bench: Bench) -> None:
        await relays_each(bench, bench.first, UNFRAMED_STREAM_HEAD + stream.sent, stream)

    run(test)


@pytest.mark.parametrize("name", STREAMS)
def test_every_kind_of_stream_is_relayed(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(stream_answer(*STREAMS[name].events))]
        answer = await bench.stream()
        assert answer.headers["content-type"] == "text/event-stream"
        STREAMS[name].check(answer.body)
        assert (await bench.settled())[0].outcome == "ok"

    run(test)


@pytest.mark.parametrize("name", STREAMS)
def test_every_kind_of_stream_may_drip_in_byte_by_byte(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        data = stream_answer(*STREAMS[name].events)
        bench.first.scripts = [says(*(data[n : n + 1] for n in range(len(data))))]
        STREAMS[name].check((await bench.stream()).body)

    run(test)


def test_a_stream_with_a_length_is_relayed(run: Run) -> None:
    sent = STREAMS["plain"].sent
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(sent)

    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(head + sent)]
        STREAMS["plain"].check((await bench.stream()).body)

    run(test)


def test_only_the_last_usage_event_is_changed_and_its_cost_is_exact(run: Run) -> None:
    async def test(bench: Bench) -> None:
        stream = STREAMS["two usage events"]
        bench.first.scripts = [says(stream_answer(*stream.events))]
        event = stream.check((await bench.stream()).body)
        counts = {"prompt_tokens": 25, "completion_tokens": 7, "total_tokens": 32}
        assert event["usage"] == counts | {"cost": 0.000039}
        assert event["provider"] == "one"
        assert (await bench.settled())[0].cost == 39_000

    run(test)


def test_members_the_gateway_does_not_know_stay_in_the_usage_event(run: Run) -> None:
    async def test(bench: Bench) -> None:
        odd = usage(more=',"prompt_tokens_details":{"cached_tokens":3}')
        bench.first.scripts = [says(stream_answer(content("a"), FINISH, odd, EVENTS[-1]))]
        body = (await bench.stream()).body
        event = Stream((content("a"), FINISH, odd, EVENTS[-1]), 2).check(body)
        assert event["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}  # type: ignore[index]

    run(test)


def test_usage_that_no_upstream_told_is_estimated_and_says_so(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(stream_answer(*STREAMS["no usage"].events))]
        event = STREAMS["no usage"].check((await bench.stream()).body)
        told = event["usage"]
        assert isinstance(told, dict)
        assert told["estimated"] is True
        [booked] = await bench.settled()
        assert (booked.prompt_tokens, booked.completion_tokens) == (told["prompt_tokens"], told["completion_tokens"])
        assert booked.is_estimated

    run(test)


def test_usage_is_asked_of_the_upstream_whether_the_caller_did_or_not(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM)]
        await bench.stream()
        await bench.call(b'{"model":"mock/model","stream":true,"stream_options":{"include_usage":false,"x":1}}')
        asked = [json.loads(each.body)["stream_options"] for each in bench.first.received]
        assert asked == [{"include_usage": True}, {"include_usage": True, "x": 1}]

    run(test)


def test_the_upstream_is_asked_for_its_own_model_with_its_own_key(run: Run) -> None:
    async def test(bench: Bench) -> None:
        await bench.call()
        [received] = bench.first.received
        assert json.loads(received.body)["model"] == "upstreams-own-name"
        assert b"\r\nAuthorization: Bearer sk-one\r\n" in received.head
        assert b"\r\nAccept-Encoding: identity\r\n" in received.head
        assert b"kilo_" not in received.head + received.body

    run(test)


def test_a_json_answer_is_stamped_with_cost_provider_and_model(run: Run) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.call()
        told = answer.json()
        assert (told["model"], told["provider"]) == ("mock/model", "one")
        assert told["usage"] == {"prompt_tokens": 25, "completion_tokens": 2, "total_tokens": 27, "cost": 0.000029}
        assert answer.headers["x-kilo-cost-usd"] == "0.000029"
        assert told["choices"] == json.loads(BODY)["choices"]

    run(test)


def test_a_json_answer_cut_anywhere_is_answered_whole(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = in_two(JSON)
        for _ in bench.first.scripts:
            answer = await bench.call()
            assert (answer.status, answer.json()["usage"]["cost"]) == (200, 0.000029)

    run(test)


def test_without_a_price_the_cost_is_null(run: Run) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.call(b'{"model":"mock/free"}')
        assert answer.json()["usage"]["cost"] is None
        assert "x-kilo-cost-usd" not in answer.headers
        assert (await bench.settled())[0].cost is None

    run(test)


def test_what_a_provider_says_it_charged_is_the_cost_where_it_is_believed(run: Run) -> None:
    body = BODY.replace(b'"total_tokens":27', b'"total_tokens":27,"cost":0.0123456789')

    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(body))]
        assert (await bench.call(b'{"model":"mock/charged"}')).json()["usage"]["cost"] == 0.012345679
        assert (await bench.call(b'{"model":"mock/one"}')).json()["usage"]["cost"] == 0.000029

    run(test)


@pytest.mark.parametrize("usage_member", [b'"usage":null', b'"usage":{}', b'"usage":[]', b'"usage":{"prompt_tokens":-1}', b'"x":1'])
def test_a_json_answer_without_usage_gets_an_estimate(run: Run, usage_member: bytes) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(b'{"id":"x","choices":[],%b}' % usage_member))]
        told = (await bench.call()).json()["usage"]
        assert told["estimated"] is True
        assert told["prompt_tokens"] > 0

    run(test)


def test_the_generation_id_is_in_the_head_and_in_the_books(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(JSON, STREAM)]
        answer = await bench.call()
        [booked] = await bench.settled()
        assert answer.headers["x-generation-id"] == booked.id
        assert booked.upstream_id == "up-1"

    run(test)


def test_each_request_is_noted_before_it_leaves_and_when_it_is_over(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM)]
        await bench.stream()
        [ended] = await bench.settled()
        [started] = bench.started()
        assert started.id == ended.id
        assert (ended.outcome, ended.prompt_tokens, ended.completion_tokens, ended.cost) == ("ok", 25, 2, 29_000)

    run(test)


def test_interim_answers_are_passed_over(run: Run) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"

    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(hints[:20], hints[20:50], hints[50:] + STREAM_HEAD, chunk(b"".join(EVENTS)) + LAST_CHUNK)]
        assert (await bench.stream()).body.startswith(EVENTS[0])

    run(test)


def test_an_answer_with_connection_close_is_relayed_and_its_connection_not_used_again(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(lines=b"Connection: close\r\n"))]
        assert [(await bench.call()).status for _ in range(3)] == [200, 200, 200]
        assert bench.first.connections == 3

    run(test)


def test_connections_to_an_upstream_are_used_again(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM)]
        for _ in range(5):
            assert (await bench.stream()).status == 200
        assert bench.first.connections == 1

    run(test)


def test_a_stream_that_is_whole_stays_so_when_the_last_chunk_is_missing(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM.removesuffix(LAST_CHUNK), then="close")]
        answer = await bench.stream()
        assert b'"finish_reason":"error"' not in answer.body
        assert answer.body.count(b"[DONE]") == 1

    run(test)
