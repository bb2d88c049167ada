"""Lists of models are fetched from a real little server; the last good one stays whatever becomes of it."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.bench import InLoop
from tests.chaos import json_answer, running, says, silent
from tests.control.listed import NOW, Field, FieldTest, field_in, listed
from tests.upstreams.lists.rows import ANTHROPIC, GEMINI, OLLAMA

from kilo_gateway.control.asking import MAX_BYTES
from kilo_gateway.control.lists import Lists, Status

MANY = [f"maker/model-{number}" for number in range(2000)]
STAYS = "the last good list of 2026-09-21 14:13 UTC (2000 models) stays"
WithField = Callable[..., None]


@pytest.fixture
def with_field(in_loop: InLoop, tmp_path: Path) -> WithField:
    def run_it(test: FieldTest, limit_s: float = 5.0) -> None:
        async def main() -> None:
            async with field_in(tmp_path, limit_s) as field:
                await test(field)

        in_loop(main)

    return run_it


# The last good list stays


def test_after_2000_models_garbage_and_500_change_nothing(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        discovery, upstream = field.discovery(), field.upstream()
        field.answer = lambda path: listed(*MANY)
        assert (await discovery.refresh(upstream)).models == 2000
        field.now += 600
        for answer in (
            json_answer(b"\x1f\x8bgarbage"), json_answer(b"no", b"500 Oops"), listed(), json_answer(b"{}"), json_answer(b"[5]"),
            json_answer(b"", b"302 Found", b"Location: /elsewhere\r\n"), b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[", b"\0" * 70_000,
        ):  # fmt: skip
            field.answer = lambda path, answer=answer: answer  # type: ignore[misc]
            outcome = await discovery.refresh(upstream)
            assert (outcome.ok, outcome.taken, outcome.previous, bool(outcome.reason)) == (False, False, 2000, True)
            assert field.said[-1] == ("discovery.failed", {"upstream": "far", "reason": outcome.reason, "in_force": STAYS})
            assert field.ids() == MANY
            assert field.lists.status()["far"] == Status(2000, NOW, NOW + 600, outcome.reason)
            if b"\r\nContent-Length: 99" in answer:
                await field.chaos.stop()
                await field.chaos.start()
                upstream = field.upstream()
        assert field.changes == 1

    with_field(test, 0.5)


def test_without_a_list_yet_it_is_said_that_there_is_none(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: json_answer(b"{}", b"401 Unauthorized")
        outcome = await field.discovery().refresh(field.upstream())
        reason = "it answered with status 401"
        assert outcome.reason == reason
        assert field.said == [("discovery.failed", {"upstream": "far", "reason": reason, "in_force": "no list yet: only the bundle"})]
        assert field.lists.status() == {"far": Status(0, 0, NOW, reason)}

    with_field(test)


def test_an_upstream_that_says_nothing_is_waited_for_no_longer_than_the_limit(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.chaos.scripts = [silent]
        outcome = await field.discovery().refresh(field.upstream())
        assert outcome.reason == "it did not answer within 0.05 s"
        await asyncio.wait_for(field.chaos.hung_up.wait(), 5)

    with_field(test, 0.05)


def test_the_limit_holds_for_all_pages_together(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        ids = iter(range(1000))
        slow = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
        body = json.dumps({"data": [{"id": "a"}], "links": {"next": "/v1/models?page=%d"}})
        pages = [(body % next(ids)).encode() for _ in range(5)]
        scripts = [says(slow % len(page), page, then="close", pause_s=0.08) for page in pages]
        async with running(*scripts) as field.chaos:
            outcome = await field.discovery().refresh(field.upstream())
            assert outcome.reason == "it did not answer within 0.3 s"
            assert len(field.chaos.received) > 1

    with_field(test, 0.3)


def test_an_upstream_that_is_not_there_fails_and_is_told(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        upstream = field.upstream()
        await field.chaos.stop()
        assert "cannot be connected to" in (await field.discovery().refresh(upstream)).reason

    with_field(test)


def test_a_list_without_end_is_given_up(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: json_answer(b" " * (MAX_BYTES + 1))
        assert (await field.discovery().refresh(field.upstream())).reason == "the answer is too long"

    with_field(test)


# What is taken


def test_rows_that_are_left_out_are_told_once_with_the_first_reasons(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        rows: list[object] = [{"id": "a"}, {"id": "b", "pricing": {"prompt": "x", "completion": "1"}}, *[None] * 100]
        field.answer = lambda path: json_answer(json.dumps({"data": rows}).encode())
        outcome = await field.discovery().refresh(field.upstream())
        [(dropped, facts), done] = list(field.said)
        assert (dropped, facts["rows"], facts["unpriced"]) == ("discovery.dropped", 100, 1)
        assert facts["reasons"] == [
            "b: its price cannot be read: prompt is not a number: 'x'", *(f"row {n}: this is not an object" for n in range(2, 6))
        ]  # fmt: skip
        assert done == ("discovery.done", {"upstream": "far", "models": 2})
        field.answer = lambda path: json_answer(b"garbage")
        await field.discovery().refresh(field.upstream())
        assert (outcome.dropped, field.lists.status()["far"].dropped) == (100, 100)

    with_field(test)


def test_nobody_is_told_of_a_list_that_is_the_same(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        discovery = field.discovery()
        for seconds in range(3):
            field.now = NOW + seconds
            assert (await discovery.refresh(field.upstream())).taken
        assert field.changes == 1
        assert field.lists.status()["far"] == Status(1, NOW + 2, NOW + 2)

    with_field(test)


def test_lists_are_there_again_after_a_restart(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: json_answer(json.dumps({"models": [GEMINI]}).encode())
        await field.discovery().refresh(field.upstream("gemini"))
        again = Lists(field.path, field._changed)
        assert again.find("far") == field.lists.find("far") is not None
        assert again.status() == {"far": Status(1, NOW)}

    with_field(test)


@pytest.mark.parametrize("kept", [b"", b"nonsense", b"\x81\xa3far\xc0", b"\x81\xa3far\x90"])
def test_a_file_that_cannot_be_read_is_no_lists(with_field: WithField, kept: bytes) -> None:
    async def test(field: Field) -> None:
        field.path.write_bytes(kept)
        assert Lists(field.path, field._changed).status() == {}

    with_field(test)


def test_a_list_that_cannot_be_written_is_in_force_and_told(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.path.with_name("lists.new").mkdir()
        assert (await field.discovery().refresh(field.upstream())).taken
        assert ([event for event, _ in field.said], field.ids(), field.changes) == (["discovery.not_kept", "discovery.done"], ["a"], 1)

    with_field(test)


def test_who_could_not_be_told_is_told_with_the_next_list(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.breaks = True
        with pytest.raises(RuntimeError):
            await field.discovery().refresh(field.upstream())
        field.breaks = False
        await field.discovery().refresh(field.upstream())
        await field.discovery().refresh(field.upstream())
        assert field.changes == 2

    with_field(test)


# Most models must not disappear


def test_a_list_without_most_models_is_not_taken_unless_forced(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        discovery, upstream = field.discovery(), field.upstream()
        field.answer = lambda path: listed(*MANY)
        await discovery.refresh(upstream)
        field.answer = lambda path: listed(*MANY[:999], "maker/another")
        outcome = await discovery.refresh(upstream)
        assert (outcome.ok, outcome.taken, outcome.models, outcome.previous) == (True, False, 1000, 2000)
        event, facts = field.said[-1]
        assert (event, facts["present"], facts["offered"], facts["gone"], facts["in_force"]) == ("discovery.shrunk", 2000, 1000, 1001, STAYS)
        assert "`kilo-gateway models refresh --force` takes it" in outcome.reason
        assert (field.ids(), field.lists.status()["far"].error) == (MANY, outcome.reason)
        assert (await discovery.refresh(upstream, force=True)).taken
        assert field.ids() == [*MANY[:999], "maker/another"]

    with_field(test)


def test_a_list_without_half_of_the_models_is_taken(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: listed(*MANY)
        await field.discovery().refresh(field.upstream())
        field.answer = lambda path: listed(*MANY[1000:])
        assert (await field.discovery().refresh(field.upstream())).taken

    with_field(test)


def test_the_only_model_of_a_server_may_be_another_and_not_none(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        await field.discovery().refresh(field.upstream())
        field.answer = lambda path: listed("b")
        assert (await field.discovery().refresh(field.upstream())).taken
        field.answer = lambda path: listed()
        assert not (await field.discovery().refresh(field.upstream())).ok
        assert field.ids() == ["b"]

    with_field(test)


def test_an_upstream_that_was_moved_may_have_other_models(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: listed(*MANY)
        await field.discovery().refresh(field.upstream())
        field.answer = lambda path: listed("a")
        assert (await field.discovery().refresh(field.upstream(path="/v2"))).taken

    with_field(test)


def test_a_list_without_most_models_is_held_against_the_one_of_the_last_run(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: listed(*MANY)
        await field.discovery().refresh(field.upstream())
        field.lists = Lists(field.path, field._changed)
        field.answer = lambda path: listed("a")
        assert not (await field.discovery().refresh(field.upstream())).taken

    with_field(test)


# How it is asked


def test_a_list_of_openai_is_asked_for_with_the_key(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        await field.discovery().refresh(field.upstream())
        [head] = field.heads()
        assert head.startswith(b"GET /v1/models HTTP/1.1\r\n") and b"\r\nAuthorization: Bearer sk-1\r\n" in head

    with_field(test)


def test_kilo_is_asked_without_a_credential(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        await field.discovery().refresh(field.upstream(name="kilocode", path="/api/gateway"))
        [head] = field.heads()
        assert head.startswith(b"GET /api/gateway/models HTTP/1.1\r\n")
        assert b"sk-1" not in head and b"authorization" not in head.lower()

    with_field(test)


def test_pages_of_openrouter_are_followed(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        pages = {
            "/v1/models": listed("a", "b", links={"next": "/v1/models?offset=2"}),
            "/v1/models?offset=2": listed("b", "c", links={"next": f"http://127.0.0.1:{field.chaos.port}/v1/models?offset=4"}),
            "/v1/models?offset=4": listed(links={"next": None}),
        }
        field.answer = pages.__getitem__
        outcome = await field.discovery().refresh(field.upstream())
        assert (field.ids(), outcome.dropped, field.paths()) == (["a", "b", "c"], 1, list(pages))
        assert all(b"Bearer sk-1" in head for head in field.heads())

    with_field(test)


def test_a_page_somewhere_else_is_not_asked_for_and_told(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: listed("a", links={"next": "http://127.0.0.2/v1/models"})
        assert (await field.discovery().refresh(field.upstream())).taken
        event, facts = field.said[0]
        assert (event, facts["rows"], len(field.chaos.received)) == ("discovery.dropped", 0, 1)
        assert facts["reasons"] == ["what comes after page 1 is not read: too many pages, or at another upstream"]

    with_field(test)


def test_pages_without_end_are_followed_to_an_end(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: listed(path, links={"next": path + "?x"})
        assert (await field.discovery().refresh(field.upstream())).models == 20
        field.chaos.received.clear()
        field.answer = lambda path: listed("a", links={"next": "/v1/models"})
        await field.discovery().refresh(field.upstream(), force=True)
        assert field.paths() == ["/v1/models"]

    with_field(test)


def test_a_page_that_fails_fails_the_list(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: json_answer(b"", b"503 Busy") if "?" in path else listed("a", links={"next": "?page=2"})
        assert (await field.discovery().refresh(field.upstream())).reason == "it answered with status 503"
        assert field.ids() == []

    with_field(test)


def test_anthropic_is_asked_in_its_own_way(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        pages = {
            "/v1/models?limit=1000": json_answer(json.dumps({"data": [ANTHROPIC], "has_more": True, "last_id": "poet-5"}).encode()),
            "/v1/models?limit=1000&after_id=poet-5": listed("poet-4", has_more=False, last_id="poet-4"),
        }
        field.answer = pages.__getitem__
        await field.discovery().refresh(field.upstream("anthropic"))
        assert (field.ids(), field.paths()) == (["poet-5", "poet-4"], list(pages))
        for head in field.heads():
            assert b"\r\nx-api-key: sk-1\r\n" in head and b"\r\nanthropic-version: 2023-06-01\r\n" in head and b"Bearer" not in head

    with_field(test)


def test_gemini_is_asked_in_its_own_way(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        last = json_answer(b'{"models":[{"name":"models/twin-3"}]}')
        pages = {
            "/v1beta/models?pageSize=1000": json_answer(json.dumps({"models": [GEMINI], "nextPageToken": "a/b"}).encode()),
            "/v1beta/models?pageSize=1000&pageToken=a%2Fb": last,
        }
        field.answer = pages.__getitem__
        await field.discovery().refresh(field.upstream("gemini", path="/v1beta"))
        assert (field.ids(), field.paths()) == (["twin-4", "twin-3"], list(pages))
        assert all(b"\r\nx-goog-api-key: sk-1\r\n" in head and b"Bearer" not in head for head in field.heads())

    with_field(test)


def test_ollama_is_asked_at_the_root(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: json_answer(json.dumps({"models": [OLLAMA]}).encode())
        await field.discovery().refresh(field.upstream("ollama", key=""))
        assert (field.ids(), field.paths(), b"Authorization" in field.heads()[0]) == (["camel:latest"], ["/api/tags"], False)

    with_field(test)


# For ever


async def run_until(field: Field, is_so: Callable[[], bool]) -> None:
    task = asyncio.create_task(field.discovery().run(field.upstream()))
    async with asyncio.timeout(5):
        while not is_so():  # nothing tells when it has asked once more
            await asyncio.sleep(0.001)
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_it_asks_again_and_again_after_success_and_failure(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        turns = iter([listed("a"), json_answer(b"", b"500 Oops"), json_answer(b"garbage"), listed("a", "b")])
        field.answer = lambda path: next(turns, listed("a", "b"))
        await run_until(field, lambda: field.ids() == ["a", "b"] and len(field.said) > 5)
        assert [event.partition(".")[2] for event, _ in field.said][:5] == ["done", "failed", "failed", "done", "done"]

    with_field(test)


def test_it_goes_on_when_nobody_could_be_told(with_field: WithField) -> None:
    async def test(field: Field) -> None:
        field.breaks = True
        await run_until(field, lambda: len(field.said) > 2)
        assert field.said[0][0] == "discovery.failed" and "nobody to tell" in str(field.said[0][1]["reason"])

    with_field(test)


@pytest.mark.parametrize("failures", [1, 3, 12])
def test_pauses_double_after_failures_up_to_the_period(with_field: WithField, failures: int) -> None:
    async def test(field: Field) -> None:
        field.answer = lambda path: json_answer(b"", b"500 Oops") if len(field.chaos.received) <= failures else listed("a")
        await run_until(field, lambda: len(field.pauses) > failures)
        assert field.pauses[: failures + 1] == [*(min(10.0 * 2**n, 600.0) for n in range(failures)), 600.0]

    with_field(test)
