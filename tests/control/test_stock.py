"""What of lists, servers and dates comes into the catalogue."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from tests.bench import InLoop
from tests.control.test_service import service_in

from kilo_gateway import config
from kilo_gateway.catalog.facts import Facts
from kilo_gateway.catalog.overlay import load_overlay
from kilo_gateway.catalog.prices import OPENROUTER, PriceBook, price_table
from kilo_gateway.control.changes import Diary
from kilo_gateway.control.lists import Lists, place_of
from kilo_gateway.control.local_servers import Found, Silent
from kilo_gateway.control.neighbours import Neighbours
from kilo_gateway.control.stock import Stock
from kilo_gateway.core.settings import Settings
from kilo_gateway.core.types import Origin
from kilo_gateway.upstreams.assemble import Sources
from kilo_gateway.upstreams.lists.listing import Row
from kilo_gateway.upstreams.registry import providers

ROWS = (Row("m/one", Facts()), Row("m/two", Facts()))
DISCOVERED = '[[upstreams]]\nname = "house"\nbase_url = "http://127.0.0.1:%d/v1"\n'
DECLARED = DISCOVERED + 'models = [ { id = "m/one" } ]\n'
TABLE = price_table()
OVERLAY = load_overlay(TABLE.ids(OPENROUTER))


def settings_of(root: Path, text: str) -> Settings:
    (root / "c.toml").write_text("[local]\nenabled = false\n" + text)
    return config.load(root / "c.toml", root)


async def nobody() -> None: ...


def stock_of(root: Path, settings: Settings, now_s: Callable[[], int] = lambda: 1_795_600_000) -> Stock:
    sources = Sources(OVERLAY, PriceBook(TABLE, OVERLAY.authors), providers())
    return Stock(settings, Lists(root / "lists", nobody), sources, Diary(root / "changes"), now_s)


def ids(stock: Stock) -> list[str]:
    return [id for id, entry in stock.current.entries.items() if entry.source != "bundle"]


def test_a_list_counts_only_for_the_place_it_was_fetched_from_and_while_it_is_wanted(in_loop: InLoop, tmp_path: Path) -> None:
    async def test() -> None:
        before = settings_of(tmp_path, DISCOVERED % 4100)
        await Lists(tmp_path / "lists", nobody).take("house", ROWS, 5, place_of(before.upstreams[0]))
        assert ids(stock_of(tmp_path, before)) == ["m/one", "m/two"]
        assert ids(stock_of(tmp_path, settings_of(tmp_path, DISCOVERED % 4101))) == []
        assert ids(stock_of(tmp_path, settings_of(tmp_path, DECLARED % 4100))) == ["m/one"]

    in_loop(test)


def test_a_new_day_makes_a_catalogue_outdated(tmp_path: Path) -> None:
    now = [1_795_600_000]
    stock = stock_of(tmp_path, settings_of(tmp_path, ""), lambda: now[0])
    assert not stock.is_outdated()
    now[0] += 86_400
    assert stock.is_outdated()


def test_a_server_that_is_configured_under_another_name_of_this_machine_is_not_found_again(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, DISCOVERED.replace("127.0.0.1", "localhost") % 11434)
    stock = stock_of(tmp_path, settings)
    server = replace(settings.upstreams[0], name="ollama", origin=Origin("127.0.0.1", 11434, is_trusted=True))
    assert not stock.find([server])
    assert stock.find([replace(server, origin=Origin("127.0.0.1", 11435, is_trusted=True))])


def test_models_of_a_server_in_trouble_stay_and_it_is_told(in_loop: InLoop, tmp_path: Path) -> None:
    server = Found("ollama", Origin("127.0.0.1", 9, is_trusted=True), "ollama", "/v1", ROWS)
    seen: list[list[Found | Silent]] = [[server], [Silent("ollama", "busy")], []]
    said: list[tuple[str, object]] = []

    async def find(known: Collection[str]) -> list[Found | Silent]:
        return seen.pop(0)

    async def test() -> None:
        async with service_in(tmp_path) as (service, _, _):
            neighbours = Neighbours(
                find, service.stock, service.lists, service.renewal, lambda event, **facts: said.append((event, facts.get("models"))),
                lambda line: None, lambda: 5,
            )  # fmt: skip
            await neighbours.look()
            await neighbours.look()
            assert ids(service.stock) == ["m/one", "m/two"]
            await neighbours.look()
            assert ids(service.stock) == []

    in_loop(test)
    assert said == [("local_server.found", 2), ("local_server.silent", 2), ("local_server.gone", 2)]
