"""Servers of models on this machine are known by what they answer; whatever else listens there is passed over."""

import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from tests.bench import InLoop
from tests.chaos import json_answer, running, says, silent
from tests.control.listed import HOP, answers, new_pool
from tests.upstreams.lists.rows import LM_STUDIO, OLLAMA, OPENROUTER, VLLM

from kilo_gateway.control.local_servers import Found, Silent, find
from kilo_gateway.core.types import Origin

Pages = dict[str, object]
NOTHING: Pages = {}
OLLAMA_PAGES: Pages = {"/api/tags": {"models": [OLLAMA]}}
LM_STUDIO_PAGES: Pages = {"/api/v0/models": {"data": [LM_STUDIO]}}
VLLM_PAGES: Pages = {"/v1/models": {"object": "list", "data": [VLLM]}}
ORGANIZED = {"id": "looker-7b", "object": "model", "owned_by": "organization_owner"}


async def found_with(pages: Pages) -> list[Found]:
    """All three ports are one server's."""

    def answer(path: str) -> bytes:
        return json_answer(json.dumps(pages[path]).encode()) if path in pages else json_answer(b"{}", b"404 Not Found")

    pool = new_pool()
    async with running(answers(answer)) as chaos:
        try:
            seen = await find(pool, HOP, ollama_port=chaos.port, lm_studio_port=chaos.port, vllm_port=chaos.port)
        finally:
            pool.close()
        found = [each for each in seen if isinstance(each, Found)]
        assert found == seen and all(each.origin == Origin("127.0.0.1", chaos.port, is_trusted=True) for each in found)
        return found


def in_one(in_loop: InLoop, pages: Pages, look: Callable[[list[Found]], None]) -> None:
    async def test() -> None:
        look(await found_with(pages))

    in_loop(test)


@pytest.mark.parametrize(
    ("pages", "product", "listing", "ids"),
    [
        (OLLAMA_PAGES, "ollama", "ollama", ["camel:latest"]),
        ({"/api/tags": {"models": []}, "/api/version": {"version": "0.14.1"}}, "ollama", "ollama", []),
        (LM_STUDIO_PAGES, "lmstudio", "openai", ["looker-7b"]),
        ({"/v1/models": {"data": [ORGANIZED]}}, "lmstudio", "openai", ["looker-7b"]),
        (VLLM_PAGES, "vllm", "openai", ["Team/Small"]),
    ],
)
def test_a_product_is_known_by_its_answer(in_loop: InLoop, pages: Pages, product: str, listing: str, ids: list[str]) -> None:
    def look(found: list[Found]) -> None:
        [server] = found
        assert (server.product, server.listing, server.path) == (product, listing, "/v1")
        assert [row.listed_id for row in server.rows] == ids

    in_one(in_loop, pages, look)


def test_rows_say_what_a_product_says(in_loop: InLoop) -> None:
    def look(found: list[Found]) -> None:
        assert [row.facts.context for server in found for row in server.rows] == [None, 32_768, 32_768]
        assert [server.product for server in found] == ["ollama", "lmstudio", "vllm"]

    in_one(in_loop, OLLAMA_PAGES | LM_STUDIO_PAGES | VLLM_PAGES, look)


@pytest.mark.parametrize(
    "pages",
    [
        NOTHING,
        {"/v1/models": {"data": [{"id": "a", "object": "model", "owned_by": "someone"}]}, "/api/tags": {"models": [{"name": "a"}]}},
        {"/v1/models": {"data": [VLLM, {"id": "b", "owned_by": "someone"}]}},
        {"/v1/models": {"data": [VLLM | {"pricing": OPENROUTER["pricing"]}]}},
        {"/v1/models": {"data": [ORGANIZED | {"canonical_slug": "x"}]}},
        {"/v1/models": {"data": []}, "/api/tags": {"models": []}, "/api/v0/models": {"data": []}},
        {"/v1/models": {"data": [{"owned_by": "vllm"}]}, "/api/tags": {"models": [{"digest": "x"}]}, "/api/v0/models": [5]},
        {"/api/tags": {"models": []}, "/api/version": {"version": ""}}, {"/api/tags": {"models": []}, "/api/version": 5},
        {"/v1/models": "hello", "/api/tags": [], "/api/v0/models": {"error": "Unexpected endpoint or method."}},
    ],
)  # fmt: skip
def test_another_server_is_passed_over(in_loop: InLoop, pages: Pages) -> None:
    def look(found: list[Found]) -> None:
        assert found == []

    in_one(in_loop, pages, look)


def around(in_loop: InLoop, test: Callable[[AsyncExitStack], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            await test(stack)

    in_loop(main)


def test_one_that_never_answers_holds_nobody_up(in_loop: InLoop) -> None:
    async def test(stack: AsyncExitStack) -> None:
        pool = new_pool()
        stack.callback(pool.close)
        quiet = await stack.enter_async_context(running(silent))
        dripping = await stack.enter_async_context(running(says(b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 1000, pause_s=0.01)))
        vllm = await stack.enter_async_context(running(says(json_answer(json.dumps({"data": [VLLM]}).encode()))))
        began = time.monotonic()
        found = await find(pool, HOP, ollama_port=quiet.port, lm_studio_port=dripping.port, vllm_port=vllm.port, limit_s=0.1)
        assert time.monotonic() - began < 1
        assert [server.product for server in found] == ["vllm"]

    around(in_loop, test)


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"\0" * 100_000, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html", json_answer(b"\xff[" * 5000),
     json_answer(b"", b"302 Found", b"Location: http://127.0.0.1:1/\r\n"), json_answer(b"", b"401 Unauthorized")],
)  # fmt: skip
def test_garbage_is_passed_over(in_loop: InLoop, answer: bytes) -> None:
    async def test(stack: AsyncExitStack) -> None:
        pool = new_pool()
        stack.callback(pool.close)
        chaos = await stack.enter_async_context(running(says(answer, then="close")))
        assert await find(pool, HOP, ollama_port=chaos.port, lm_studio_port=chaos.port, vllm_port=chaos.port, limit_s=0.3) == []

    around(in_loop, test)


def test_ports_where_nobody_listens_and_no_port_at_all_are_nothing(in_loop: InLoop) -> None:
    async def test(stack: AsyncExitStack) -> None:
        pool = new_pool()
        stack.callback(pool.close)
        async with running(silent) as gone:
            port = gone.port
        assert await find(pool, HOP, ollama_port=port, lm_studio_port=0, vllm_port=0) == []

    around(in_loop, test)


def test_no_credential_is_sent_and_the_gateway_says_that_it_is_one(in_loop: InLoop) -> None:
    async def test(stack: AsyncExitStack) -> None:
        pool = new_pool()
        stack.callback(pool.close)
        chaos = await stack.enter_async_context(running(says(json_answer(b"{}"))))
        await find(pool, HOP, ollama_port=chaos.port, lm_studio_port=0, vllm_port=0)
        head = chaos.received[0].head
        assert b"authorization" not in head.lower() and HOP.encode() in head

    around(in_loop, test)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"", "did not answer within 0.2 s"), (json_answer(b"no", b"500 Internal Server Error"), "status 500"), (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "")],
)
def test_one_that_is_known_and_in_trouble_is_silent_and_not_gone(in_loop: InLoop, answer: bytes, reason: str) -> None:
    async def test(stack: AsyncExitStack) -> None:
        pool = new_pool()
        stack.callback(pool.close)
        chaos = await stack.enter_async_context(running(says(answer, then="close") if answer else silent))
        [found] = await find(pool, HOP, ["ollama"], ollama_port=chaos.port, lm_studio_port=0, vllm_port=0, limit_s=0.2)
        assert isinstance(found, Silent) and reason in found.reason
        assert await find(pool, HOP, ["vllm"], ollama_port=chaos.port, lm_studio_port=0, vllm_port=0, limit_s=0.2) == []

    around(in_loop, test)


def test_one_that_is_known_and_has_ended_or_given_way_is_gone(in_loop: InLoop) -> None:
    async def test(stack: AsyncExitStack) -> None:
        pool = new_pool()
        stack.callback(pool.close)
        other = await stack.enter_async_context(running(says(json_answer(b"{}", b"404 Not Found"))))
        async with running(silent) as gone:
            port = gone.port
        assert await find(pool, HOP, ["ollama", "vllm"], ollama_port=port, lm_studio_port=0, vllm_port=other.port) == []

    around(in_loop, test)
