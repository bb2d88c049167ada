"""What is asked of models besides chat, through the gateway: embeddings made one at a time, and transcriptions."""

import json

from tests.bench import Bench, Run
from tests.caller import Answer, request
from tests.chaos import Peer, chunk, json_answer, says, silent, stream_answer

from kilo_gateway.dialects.transcription.form import Part, parts_of, written

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


def hearing(audio: bytes = b"sound", model: str = "mock/model", lines: bytes = b"", **fields: str) -> bytes:
    body, content_type = written([("model", model), *fields.items()], Part("file", memoryview(audio), "a.mp3"), "b")
    return request(body, b"Content-Type: %b\r\n%b" % (content_type, lines), path=b"/v1/audio/transcriptions")


HEARD = b'{"text":"hi","usage":{"type":"tokens","input_tokens":30,"output_tokens":2,"total_tokens":32}}'
DELTA = b'data: {"type":"transcript.text.delta","delta":"hi"}\n\n'
DONE = b'data: {"type":"transcript.text.done","text":"hi","usage":{"input_tokens":30,"output_tokens":2}}\n\n'


def test_a_recording_travels_as_a_form_and_what_it_cost_is_booked(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(b"{}", b"500 Internal Server Error"))]
        bench.second.scripts = [says(json_answer(HEARD))]
        audio = bytes(range(256)) * 4096 * 20
        answer = await embedded(bench, hearing(audio))
        assert (answer.status, answer.json()["text"], answer.headers["x-kilo-cost-usd"]) == (200, "hi", "0.000034")
        for chaos in (bench.first, bench.second):
            (received,) = chaos.received
            model, file = parts_of(received.body)
            assert (model.text(), bytes(file.data) == audio, file.filename) == ("upstreams-own-name", True, "a.mp3")
            assert received.head.startswith(b"POST /v1/audio/transcriptions HTTP/1.1\r\n") and received.head.count(b"Content-Type:") == 1
        (booked,) = await bench.settled()
        assert (booked.prompt_tokens, booked.completion_tokens, booked.cost, booked.provider) == (30, 2, 34_000, "two")
        assert [line.prompt_tokens for line in bench.started()] == [len(audio) // 800] * 2, "not a token for each four bytes"

    run(test)


def test_subtitles_keep_their_kind(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(b"HTTP/1.1 200 OK\r\nContent-Type: text/vtt; charset=utf-8\r\nContent-Length: 7\r\n\r\nWEBVTT\n")]
        answer = await embedded(bench, hearing(response_format="vtt"))
        assert (answer.body, answer.headers["content-type"]) == (b"WEBVTT\n", "text/vtt; charset=utf-8")

    run(test)


def test_a_transcript_streams_whether_the_upstream_streams_or_not(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(stream_answer(DELTA, DONE)), says(json_answer(HEARD))]
        for _ in range(2):
            answer = await embedded(bench, hearing(stream="true", lines=b"Connection: close\r\n"))
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.body.startswith(DELTA) and b'"cost":0.000034' in answer.body and answer.body.endswith(b"}\n\n")
            bench.gateway.pool.close()
        assert [line.cost for line in await bench.settled(2)] == [34_000, 34_000]

    run(test)


def test_a_transcript_that_is_cut_ends_with_one_error(run: Run) -> None:
    async def test(bench: Bench) -> None:
        cut = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(DELTA)
        bench.first.scripts = [says(cut, then="close")]
        answer = await embedded(bench, hearing(stream="true"))
        *_, last = answer.body.strip().split(b"\n\n")
        told = json.loads(last.removeprefix(b"data: "))
        assert answer.is_whole and answer.body.startswith(DELTA) and (told["type"], told["error"]["code"]) == ("error", "upstream_truncated")
        (booked,) = await bench.settled()
        assert booked.outcome == "broken_off" and booked.is_estimated

    run(test)


def test_a_limit_on_cost_counts_the_longest_that_a_recording_can_be(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(HEARD))]
        audio = b"\xff" * 750_000  # at most 1,000 seconds: 40,000 tokens, and 21,000 of text
        assert (await embedded(bench, hearing(audio, max_cost_usd="0.08"))).status == 402
        assert (await embedded(bench, hearing(audio, max_cost_usd="0.1"))).status == 200

    run(test)


def test_without_a_key_what_is_open_may_be_asked(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(json_answer(HEARD))]
        for model, status in (("mock/open", 200), ("mock/model", 401)):
            data = hearing(model=model)
            begin = data.index(b"Authorization")
            answer = await embedded(bench, data[:begin] + data[data.index(b"\r\n", begin) + 2 :])
            assert answer.status == status

    run(test)


def test_a_caller_who_leaves_before_the_transcript_pays_for_the_length_of_his_recording(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [silent]
        caller = await bench.send(hearing(b"x" * 80_000))
        await bench.asked(bench.first)
        caller.hang_up()
        (booked,) = await bench.settled()
        assert (booked.prompt_tokens, booked.audio_ms, booked.is_estimated, booked.cost) == (100, 10_000, True, 100_000)

    run(test)
