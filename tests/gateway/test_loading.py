"""The local model is a child that takes a moment to load: requests for it wait."""

import json

import pytest
from tests.bench import Bench, Run
from tests.caller import asking, request
from tests.chaos import JSON, json_answer, says

LOADING = json_answer(b'{"error":{"message":"Loading model"}}', b"503 No")


def test_requests_wait_while_the_local_model_is_not_there_yet(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(asking("mock/demo")))
        await bench.until(lambda: bench.limits.in_flight() == 1)
        await bench.serve(bench.demo_socket)
        assert (await caller.answer()).status == 200
        assert [each.attempts for each in await bench.settled()] == [1]

    run(test)


def test_requests_wait_while_the_local_model_says_that_it_is_loading(run: Run) -> None:
    async def test(bench: Bench) -> None:
        model = await bench.serve(bench.demo_socket, says(LOADING, then="close"), says(JSON))
        assert (await bench.call(asking("mock/demo"))).status == 200
        assert model.connections == 2

    run(test)


def test_a_caller_who_leaves_while_the_model_loads_is_settled(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(asking("mock/demo")))
        await bench.until(lambda: bench.limits.in_flight() == 1)
        caller.hang_up()
        assert (await bench.settled())[0].outcome == "client_gone"

    run(test)


def test_a_model_that_never_comes_is_an_error_in_the_end(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(asking("mock/demo")))
        await bench.until(lambda: bench.limits.in_flight() == 1)
        bench.clock.now += 301
        assert (await caller.answer()).status == 502

    run(test)


def test_a_streaming_caller_who_waits_for_the_model_gets_comments(run: Run) -> None:
    async def test(bench: Bench) -> None:
        model = await bench.serve(bench.demo_socket, says(LOADING, then="close"))
        caller = await bench.send(request(asking("mock/demo", stream=True)))
        await bench.asked(model, 2)
        for _ in range(20):
            bench.clock.now += 1
            bench.gateway.deadlines.sweep()
            seen = len(model.received)
            await bench.asked(model, seen + 1)
        assert b"text/event-stream" in await caller.until(b"\r\n\r\n")
        await caller.until(b": KILO PROCESSING\n\n")

    run(test)


def test_a_request_whose_model_is_killed_waits_for_the_next_one(run: Run) -> None:
    async def test(bench: Bench) -> None:
        await bench.serve(bench.demo_socket, says(b"", then="close"), says(JSON))
        assert (await bench.call(asking("mock/demo"))).status == 200

    run(test)


def test_a_request_that_kills_the_model_every_time_is_not_repeated_for_ever(run: Run) -> None:
    async def test(bench: Bench) -> None:
        model = await bench.serve(bench.demo_socket, *[says(b"", then="close")] * 9)
        answer = await bench.call(asking("mock/demo"))
        assert (answer.status, answer.error()["code"], len(model.received)) == (502, "upstream_truncated", 2)

    run(test)


def test_nobody_waits_for_a_model_that_cannot_run(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(asking("mock/demo")))
        await bench.until(lambda: bench.limits.in_flight() == 1)
        bench.local_trouble = "it cannot be loaded"
        answer = await caller.answer()
        assert answer.status == 503
        assert answer.error()["message"] == "The local model does not run: it cannot be loaded. Configure a real one."

    run(test)


def test_tools_are_refused_with_the_cure(run: Run) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.call(asking("mock/demo", tools=[{"type": "function", "function": {"name": "f"}}]))
        assert (answer.status, answer.error()["code"]) == (400, "no_endpoint")
        assert "Configure a real one." in answer.error()["message"]

    run(test)


@pytest.mark.parametrize("part", [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}, {"type": "input_audio"}], ids=str)
def test_what_is_no_text_is_refused_with_the_cure(run: Run, part: dict[str, object]) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.call(asking("mock/demo", messages=[{"role": "user", "content": [part]}]))
        assert (answer.status, answer.error()["code"]) == (400, "no_endpoint")
        assert answer.error()["message"].endswith("Configure a real one.")

    run(test)


def test_a_text_about_images_is_a_text(run: Run) -> None:
    async def test(bench: Bench) -> None:
        await bench.serve(bench.demo_socket)
        text = 'What does {"type": "image_url"} mean?'
        assert (await bench.call(asking("mock/demo", messages=[{"role": "user", "content": text}]))).status == 200

    run(test)


def test_a_mistake_of_the_caller_is_not_told_as_a_limit_of_the_model(run: Run) -> None:
    async def test(bench: Bench) -> None:
        told = json.dumps({"error": {"message": "temperature must be a number", "code": 400}}).encode()
        await bench.serve(bench.demo_socket, says(json_answer(told, b"400 Bad Request")))
        assert (await bench.call(asking("mock/demo"))).error()["message"] == "temperature must be a number"

    run(test)


def test_an_empty_list_of_tools_is_no_question(run: Run) -> None:
    async def test(bench: Bench) -> None:
        await bench.serve(bench.demo_socket)
        assert (await bench.call(asking("mock/demo", tools=[]))).status == 200

    run(test)


def test_what_is_longer_than_the_model_can_hold_is_refused_with_the_cure(run: Run) -> None:
    async def test(bench: Bench) -> None:
        told = json.dumps({"error": {"message": "the request exceeds the available context size", "code": 400}}).encode()
        await bench.serve(bench.demo_socket, says(json_answer(told, b"400 Bad Request")))
        answer = await bench.call(asking("mock/demo"))
        assert answer.status == 400
        assert answer.error()["message"].endswith("Configure a real one.")

    run(test)
