"""Every way to sort."""

import pytest
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import catalogue, entry
from tests.control.listing.watched import Watched, three

from kilo_gateway.catalog.facts import Facts
from kilo_gateway.control.listing.query import SORTS


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("newest", ["fast", "slow", "mute"]), ("pricing-low-to-high", ["fast", "slow", "mute"]), ("pricing-high-to-low", ["slow", "fast", "mute"]),
        ("context-high-to-low", ["fast", "slow", "mute"]), ("throughput-high-to-low", ["fast", "slow", "mute"]),
        ("latency-low-to-high", ["fast", "slow", "mute"]), ("most-popular", ["slow", "fast", "mute"]), ("top-weekly", ["fast", "slow", "mute"]),
        ("intelligence-high-to-low", ["fast", "slow", "mute"]), ("coding-high-to-low", ["slow", "fast", "mute"]),
        ("agentic-high-to-low", ["fast", "slow", "mute"]), ("design-arena-elo-high-to-low", ["fast", "slow", "mute"]),
    ],
)  # fmt: skip
def test_rows_are_sorted_by_what_is_known_and_the_rest_comes_last(sort: str, order: list[str]) -> None:
    told = Listing(three(), Watched()).get(f"/v1/models?sort={sort}")
    assert told.ids == [f"a/{name}" for name in order]
    assert told.ignored is None


@pytest.mark.parametrize("sort", SORTS)
def test_where_nothing_is_known_of_any_row_the_order_stays_and_the_answer_says_so(sort: str) -> None:
    told = Listing(catalogue(entry("b/b", Facts()), entry("a/a", Facts()))).get(f"/v1/models?sort={sort}")
    assert (told.ids, told.ignored) == (["b/b", "a/a"], "sort")


def test_equal_rows_keep_the_order_of_the_catalogue() -> None:
    made = catalogue(*(entry(f"a/{name}", Facts(context=7)) for name in "zyx"))
    assert Listing(made).get("/v1/models?sort=context-high-to-low").ids == ["a/z", "a/y", "a/x"]


def test_an_empty_list_is_in_every_order() -> None:
    assert Listing(catalogue()).get("/v1/models?sort=newest").ignored is None


def test_a_page_is_cut_after_sorting() -> None:
    assert Listing(three()).get("/v1/models?sort=newest&limit=1&offset=1").ids == ["a/slow"]
