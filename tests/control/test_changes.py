"""What a refresh has changed."""

from pathlib import Path

from kilo_gateway.catalog.catalogue import Catalogue, Entry, Place
from kilo_gateway.catalog.facts import Card, Facts
from kilo_gateway.catalog.names import Names
from kilo_gateway.control.changes import Changes, Diary, PriceChange, between
from kilo_gateway.core.price import Price

CHEAP, DEAR = Price(1, 2), Price(3, 4)


def catalogue(at: int = 5, **prices: Price | None) -> Catalogue:
    entries = {
        id: Entry(id, "discovery", Card(Facts(), {}), (Place("up", id, Card(Facts(price=price), {})),)) for id, price in prices.items()
    }
    entries["kilo/auto"] = Entry("kilo/auto", "bundle", Card(Facts(), {}), reason="" if prices else "nothing is served")
    return Catalogue(1, at, entries, Names(entries, {}))


def test_new_gone_and_other_prices_are_told() -> None:
    changes = between(catalogue(a=CHEAP, b=CHEAP, c=None), catalogue(9, b=DEAR, c=None, d=CHEAP))
    assert changes == {"up": Changes(9, ("d",), ("a",), (PriceChange("b", "up", CHEAP, DEAR),))}


def test_a_price_that_becomes_known_is_a_change() -> None:
    assert between(catalogue(a=None), catalogue(a=CHEAP))["up"].price == (PriceChange("a", "up", None, CHEAP),)


def test_nothing_has_changed_between_alike_ones() -> None:
    assert not between(catalogue(a=CHEAP), catalogue(7, a=CHEAP))


def test_the_last_changes_outlive_a_restart_and_a_refresh_that_changes_nothing(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "changes")
    diary.note(changes := between(catalogue(), catalogue(a=CHEAP)))
    diary.note(between(catalogue(a=CHEAP), catalogue(a=CHEAP)))
    assert Diary(tmp_path / "changes").last == changes["up"]


def test_lists_that_come_one_after_the_other_are_told_together(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "changes")
    for name, id in (("one", "a"), ("two", "b"), ("one", "c")):
        diary.note({name: Changes(5, (id, "both"))})
    assert diary.last == Changes(5, ("c", "both", "b"))


def test_a_file_that_cannot_be_read_is_no_changes(tmp_path: Path) -> None:
    (tmp_path / "changes").write_bytes(b"garbage")
    assert Diary(tmp_path / "changes").last == Changes()
