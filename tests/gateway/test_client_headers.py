"""What callers' clients say of themselves: on record, and told to upstreams that are to know."""

import json

import pytest
from tests.bench import HOP, Bench, Run
from tests.caller import asking, request
from tests.chaos import Received, json_answer, says

LINES = b"HTTP-Referer: https://app.example\r\nX-Title: An App\r\nx-kilocode-mode: code\r\nx-session-id: s1\r\n"
SAID = {"referer": "https://app.example", "title": "An App", "session": "s1", "mode": "code"}
ANSWER = json_answer(
    json.dumps({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 25, "output_tokens": 2},
    }).encode()
)  # fmt: skip


def told(received: Received) -> dict[str, str]:
    lines = received.head.decode("latin-1").split("\r\n")[1:-2]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def test_it_is_on_record_and_told_each_time_its_head_comes_again(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.caller()
        for lines in (LINES, LINES, LINES, LINES.replace(b"s1", b"s2"), b""):
            caller.send(request(asking("mock/told"), lines))
            assert (await caller.answer()).status == 200
        sessions = [told(each).get("x-session-id") for each in bench.first.received]
        assert sessions == ["s1", "s1", "s1", "s2", None]
        for received in bench.first.received[:4]:
            assert told(received)["http-referer"] == "https://app.example"
            assert told(received)["x-title"] == told(received)["x-openrouter-title"] == "An App"
            assert "x-kilocode-mode" not in told(received)
        records = [json.loads(line.client or "{}") for line in await bench.settled(5)]
        assert records == [SAID, SAID, SAID, SAID | {"session": "s2"}, {}]
        assert [json.loads(line.client or "{}") for line in bench.started()] == records

    run(test)


def test_an_upstream_that_is_not_to_know_is_told_nothing(run: Run) -> None:
    async def test(bench: Bench) -> None:
        assert (await bench.call(asking("mock/one"), LINES)).status == 200
        assert not {"http-referer", "x-title", "x-session-id"} & set(told(bench.first.received[0]))
        assert json.loads((await bench.settled())[0].client) == SAID

    run(test)


def test_words_of_heads_in_a_title_are_no_heads(run: Run) -> None:
    async def test(bench: Bench) -> None:
        title = b"Content-Length: 9 x-kilo-hop: 1 Content-Type: application/json"
        lines = b"X-Title: %b\r\nx-kilo-hop: other\r\n" % title
        assert (await bench.call(asking("mock/told"), lines)).status == 200
        head = told(bench.first.received[0])
        assert head["x-title"] == title.decode()
        assert head["x-kilo-hop"] == f"other, {HOP}"
        assert head["content-length"] == str(len(bench.first.received[0].body))

    run(test)


@pytest.mark.parametrize("lines", [
    b"anthropic-beta: thinking-1,made-up\r\nAnthropic-Version: 2023-06-01\r\n",
    b"anthropic-beta: thinking-1\r\nanthropic-beta: made-up\r\n",
])  # fmt: skip
def test_betas_travel_within_their_dialect_and_what_does_not_is_told(run: Run, lines: bytes) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(ANSWER)]
        body = asking("mock/messages", max_tokens=9)
        caller = await bench.caller()
        for _ in range(2):
            caller.send(request(body, lines, path=b"/v1/messages?beta=true"))
            answer = await caller.answer()
            assert answer.status == 200
            assert answer.headers["x-kilo-dropped-fields"] == "anthropic-beta: made-up"
        assert [told(each)["anthropic-beta"] for each in bench.first.received] == ["thinking-1", "thinking-1"]
        answer = await bench.call(body, lines)  # chat completions
        assert answer.headers["x-kilo-dropped-fields"].endswith("anthropic-beta")
        assert "anthropic-beta" not in told(bench.first.received[2])

    run(test)
