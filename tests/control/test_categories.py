"""What models are used for is asked of OpenRouter's list, category by category, and of nobody who does not know."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.bench import InLoop
from tests.chaos import json_answer
from tests.control.listed import NOW, Field, field_in, listed

from kilo_gateway.catalog.facts import CATEGORIES
from kilo_gateway.control.asking import Asking
from kilo_gateway.control.categories import PAUSE_S, PERIOD_S, RETRY_S, Categories
from kilo_gateway.control.lists import Lists
from kilo_gateway.core.settings import UpstreamSettings

IDS = [f"maker/model-{number}" for number in range(9)]
USED = {"maker/model-0": ("programming", "legal"), "maker/model-2": ("programming",)}
Test = Callable[["Categorised"], Awaitable[None]]


class Categorised:
    """An OpenRouter whose whole list has been taken. `told`: what it answers for a category."""

    def __init__(self, field: Field, name: str = "openrouter") -> None:
        self.field = field
        self.told: Callable[[str], bytes] = lambda category: listed(*(id for id in USED if category in USED[id]), "else/where")
        field.answer = self._answer
        self.upstream: UpstreamSettings = field.upstream(name=name)
        self.categories = self.anew()

    def anew(self) -> Categories:
        """As after a restart."""
        field = self.field
        say = lambda event, **facts: field.said.append((event, facts))  # noqa: E731
        asking = Asking(field.pool, "0123456789abcdef", field.limit_s)
        return Categories(asking, field.lists, say, lambda: field.now, field._pause)

    async def renew(self) -> int:
        """How many categories were asked for."""
        await self.field.discovery().refresh(self.upstream)
        self.field.chaos.received.clear()
        await self.categories.renew(self.upstream)
        return len(self.field.paths())

    @property
    def known(self) -> object:
        found = self.field.lists.find(self.upstream.name)
        return None if found is None else (found.categories, found.categorised_at)

    def _answer(self, path: str) -> bytes:
        query = parse_qs(urlsplit(path).query)
        return self.told(query["category"][0]) if "category" in query else listed(*IDS)


@pytest.fixture
def with_openrouter(in_loop: InLoop, tmp_path: Path) -> Callable[[Test], None]:
    def run_it(test: Test) -> None:
        async def main() -> None:
            async with field_in(tmp_path, 0.5) as field:
                await test(Categorised(field))

        in_loop(main)

    return run_it


def test_each_category_is_asked_for_once_a_day_one_after_the_other(with_openrouter: Callable[[Test], None]) -> None:
    async def test(it: Categorised) -> None:
        assert await it.renew() == len(CATEGORIES) == 12
        assert it.field.paths()[:4] == [
            f"/v1/models?output_modalities=all&category={name}"
            for name in ("programming", "roleplay", "marketing", "marketing%2Fseo")
        ]
        assert all(b"\r\nAuthorization: Bearer sk-1\r\n" in head for head in it.field.heads())
        assert (it.known, it.field.pauses) == ((USED, NOW), [PAUSE_S] * 11)
        assert it.field.said[-1] == ("discovery.categories", {"upstream": "openrouter", "models": 2})
        it.field.now += PERIOD_S - 1
        assert (await it.renew(), it.known) == (0, (USED, NOW))
        it.categories = it.anew()
        assert await it.renew() == 0
        it.field.now += 1
        assert (await it.renew(), it.known) == (12, (USED, NOW + PERIOD_S))
        assert it.field.changes == 2

    with_openrouter(test)


@pytest.mark.parametrize("answer", [listed(*IDS), listed(*IDS[1:], *(f"new/{n}" for n in range(90))), json_answer(b"", b"400 Bad Request")])
def test_who_gives_all_it_has_for_a_category_says_nothing_and_is_not_asked_on(
    with_openrouter: Callable[[Test], None], answer: bytes
) -> None:
    async def test(it: Categorised) -> None:
        it.told = lambda category: answer
        if b"new/" in answer:
            it.told = lambda category: listed(*IDS, "new/1")
        assert (await it.renew(), it.known) == (1, ({}, 0))
        assert it.field.said[-1][0] == "discovery.no_categories"
        it.field.now += RETRY_S
        assert await it.renew() == 0

    with_openrouter(test)


def test_one_category_that_is_not_known_costs_no_other(with_openrouter: Callable[[Test], None]) -> None:
    async def test(it: Categorised) -> None:
        given = it.told
        odd = {"roleplay": listed(*IDS), "science": json_answer(b"{}", b"422 What"), "trivia": listed()}
        it.told = lambda category: odd.get(category) or given(category)
        assert (await it.renew(), it.known) == (12, (USED, NOW))

    with_openrouter(test)


@pytest.mark.parametrize("answer", [json_answer(b"", b"500 Oops"), json_answer(b"", b"429 Slowly"), json_answer(b"garbage"), json_answer(b"{}")])
def test_what_was_told_before_holds_until_all_is_told_anew(with_openrouter: Callable[[Test], None], answer: bytes) -> None:
    async def test(it: Categorised) -> None:
        await it.renew()
        given = it.told
        it.told = lambda category: answer if category == "legal" else listed("maker/model-5")
        it.field.now += PERIOD_S
        assert (await it.renew(), it.known) == (8, (USED, NOW))
        event, facts = it.field.said[-1]
        assert (event, bool(facts["reason"]), facts["models_in_force"]) == ("discovery.categories_failed", True, 2)
        it.field.now += RETRY_S - 1
        assert await it.renew() == 0
        it.field.now += 1
        it.told = given
        assert (await it.renew(), it.known) == (12, (USED, it.field.now))

    with_openrouter(test)


@pytest.mark.parametrize("name", ["kilocode", "far", "openai"])
def test_others_are_not_asked(with_openrouter: Callable[[Test], None], name: str) -> None:
    async def test(it: Categorised) -> None:
        it.upstream = it.field.upstream(name=name)
        assert (await it.renew(), it.known) == (0, ({}, 0))

    with_openrouter(test)


def test_categories_outlive_a_restart_and_the_next_list_and_not_a_move(with_openrouter: Callable[[Test], None]) -> None:
    async def test(it: Categorised) -> None:
        await it.renew()
        await it.field.discovery().refresh(it.upstream)
        it.field.lists = Lists(it.field.path, it.field._changed)
        assert it.known == (USED, NOW)
        await it.field.discovery().refresh(it.field.upstream(name="openrouter", path="/v2"))
        assert it.known == ({}, 0)

    with_openrouter(test)
