"""What was repaired of a request, and an answer that says nothing, from the wire to the wire."""

import json

import pytest
from tests.bench import Bench, Run
from tests.caller import asking
from tests.chaos import JSON, STREAM, json_answer, says, stream_answer

SILENT = stream_answer(b'data: {"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n")
SILENT_JSON = json_answer(b'{"choices":[{"message":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":0}}')


def test_a_repair_is_told_booked_and_counted(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(JSON)]
        answer = await bench.call(asking(tools=[], max_tokens=7, max_completion_tokens=5))
        assert answer.headers["x-kilo-repairs"] == "empty_tools=1, cap_field=1"
        sent = json.loads(bench.first.received[0].body)
        assert sent["max_tokens"] == 5 and not {"tools", "max_completion_tokens"} & sent.keys()
        [booked] = await bench.settled()
        assert booked.repairs == "empty_tools=1 cap_field=1"
        assert {name: n for name, n in bench.meters.values().items() if "repairs" in name} == {
            "repairs:kind=empty_tools": 1, "repairs:kind=cap_field": 1,
        }  # fmt: skip

    run(test)


def test_where_nothing_is_repaired_nothing_is_told(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(JSON)]
        answer = await bench.call()
        [booked] = await bench.settled()
        assert booked.repairs == "" and not any("repair" in name or "warning" in name for name in answer.headers)

    run(test)


@pytest.mark.parametrize(("is_stream", "silent", "answer"), [(False, SILENT_JSON, JSON), (True, SILENT, STREAM)])
def test_of_an_empty_answer_the_next_endpoint_is_asked(run: Run, is_stream: bool, silent: bytes, answer: bytes) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts, bench.second.scripts = [says(silent)], [says(answer)]
        told = await bench.call(asking(stream=is_stream))
        [booked] = await bench.settled()
        assert (told.status, booked.attempts, booked.outcome) == (200, 2, "ok")

    run(test)


def test_an_empty_answer_is_no_success(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(SILENT_JSON)]
        told = await bench.call(asking("mock/one"))
        assert (told.status, told.error()["code"]) == (502, "upstream_empty_answer")
        [booked] = await bench.settled()
        assert booked.outcome == "upstream_failed"

    run(test)
