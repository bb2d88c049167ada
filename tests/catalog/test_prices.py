"""The shipped table of prices and how it is asked; what it says is compared in test_price_oracle.py."""

import subprocess
import sys
from datetime import date
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from kilo_gateway.catalog.prices import Clause, PriceBook, PriceTable, Provider, Row, Span, price_table
from kilo_gateway.core.price import Override, Price, Usage

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 11, 26)


def book(*rows: Row, fallback: tuple[Row, ...] = (), authors: dict[str, str] | None = None) -> PriceBook:
    places = (Provider("p", rows, ("q",)), Provider("q", fallback), Provider("openrouter", ()))
    return PriceBook(PriceTable("x", "1", "MIT", DAY, places), authors)


def price(input: int) -> Price:
    return Price(input, input)


def test_the_file_is_what_the_script_makes_of_the_installed_package() -> None:
    made = subprocess.run([sys.executable, ROOT / "scripts" / "prices", "--print"], capture_output=True, check=True)
    shipped = resources.files("kilo_gateway.catalog").joinpath("data", "prices.json").read_bytes()
    assert shipped == made.stdout, "run scripts/prices and commit what it writes"


def test_the_notice_of_the_licence_is_shipped_with_it() -> None:
    assert "NOTICE.txt" in price_table().licence
    notice = resources.files("kilo_gateway.catalog").joinpath("data", "NOTICE.txt").read_text()
    assert "Permission is hereby granted" in notice and "Pydantic Services Inc." in notice


@pytest.mark.parametrize(
    ("clause", "matching", "other"),
    [
        (Clause(equals="A-b"), ["a-b", "A-B"], ["a-bc"]),
        (Clause(starts_with="A-"), ["a-b", "A-"], ["xa-b"]),
        (Clause(ends_with="-B"), ["a-b"], ["a-bc"]),
        (Clause(contains="-B-"), ["a-b-c"], ["a-b"]),
        (Clause(regex=r"^a-\d{2}$"), ["A-12"], ["a-123"]),
        (Clause(regex=r"^A"), [], ["A-12"]),  # the name is in lower case by then: the package's rule
        (Clause(any_of=(Clause(equals="a"), Clause(ends_with="z"))), ["a", "xyz"], ["b"]),
        (Clause(all_of=(Clause(starts_with="a"), Clause(ends_with="z"))), ["a-z"], ["a", "z"]),
    ],
)
def test_a_name_is_matched_by_every_kind_of_rule(clause: Clause, matching: list[str], other: list[str]) -> None:
    asked = book(Row("m", clause, context=5))
    assert [asked.facts("p", name, DAY) is not None for name in matching + other] == [True] * len(matching) + [False] * len(other)


def test_the_first_row_that_matches_counts_whether_by_name_or_by_pattern() -> None:
    asked = book(Row("a", Clause(starts_with="m-"), context=1), Row("m-1", context=2), Row("n", context=3))
    assert [facts and facts.context for name in ("m-1", "n") if (facts := asked.facts("p", name, DAY))] == [1, 3]
    asked = book(Row("m-1", context=2), Row("a", Clause(starts_with="m-"), context=1))
    assert [facts and facts.context for name in ("m-1", "m-2") if (facts := asked.facts("p", name, DAY))] == [2, 1]


def test_a_provider_sells_what_another_makes_unless_it_has_a_row_itself() -> None:
    asked = book(Row("a", context=1), fallback=(Row("a", context=2), Row("b", context=3)))
    assert [facts and facts.context for name in "abc" if (facts := asked.facts("p", name, DAY))] == [1, 3]


def test_the_price_of_the_day_is_told() -> None:
    spans = (Span(price(1)), Span(price(2), start=date(2026, 2, 1)), Span(price(3), start=date(2027, 1, 1)))
    asked = book(Row("m", prices=spans))
    days = (date(2026, 1, 31), date(2026, 2, 1), DAY, date(2027, 1, 1))
    assert [facts.price for day in days if (facts := asked.facts("p", "m", day))] == [price(1), price(2), price(2), price(3)]


def test_hours_of_the_day_become_overrides_and_a_later_price_ends_them() -> None:
    spans = (Span(price(1)), Span(price(2), utc_minutes=(60, 120)), Span(price(3), start=date(2027, 1, 1)))
    asked = book(Row("m", prices=spans))
    today, later = asked.facts("p", "m", DAY), asked.facts("p", "m", date(2027, 1, 1))
    assert today is not None and today.price is not None and later is not None
    assert today.price.overrides == (Override(utc_minutes=(60, 120), input=2, output=2),)
    assert later.price == price(3)


def test_a_row_without_prices_has_an_unknown_price() -> None:
    facts = book(Row("m", name="M")).facts("p", "m", DAY)
    assert facts is not None and facts.name == "M" and facts.price is None


def test_an_unknown_provider_or_model_is_none() -> None:
    asked = book(Row("m"))
    assert asked.facts("nobody", "m", DAY) is None and asked.facts("p", "n", DAY) is None and asked.facts("", "", DAY) is None


def test_of_an_authors_model_name_and_context_are_known_anywhere_but_never_a_price() -> None:
    asked = book(Row("m", name="M", context=7, prices=(Span(price(1)),)), authors={"author": "p"})
    facts = asked.about("author/m")
    assert facts is not None and (facts.name, facts.context, facts.price) == ("M", 7, None)
    assert asked.about("other/m") is None


def test_many_names_take_no_room() -> None:
    asked = book(Row("m"))
    for number in range(20_001):
        asked.facts("p", str(number), DAY)
    assert len(asked._found) <= 20_000


def test_the_shipped_table_is_read_whole() -> None:
    table = price_table()
    assert len(table.providers) > 40 and sum(len(provider.models) for provider in table.providers) > 2_000
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"id": "m", "prices": [{"price": {"input": 1, "output": 1}, "when": 3}]}, Row)


def test_cached_audio_without_a_price_for_the_cache_costs_what_audio_costs() -> None:
    usage = Usage(10, cache_read_tokens=4, input_audio_tokens=6, cache_audio_tokens=4)
    assert Price(1_000, 0, input_audio=5_000).of(usage, 0) == 4 * 1 + 6 * 5
