"""The feed."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import catalogue, entry

from kilo_gateway.catalog.facts import Facts
from kilo_gateway.control.listing.feed import rss


def test_the_newest_models_come_first_in_a_feed(listing: Listing) -> None:
    told = listing.get("/v1/models?use_rss=true", {"Host": "gateway.example:8080"})
    assert told.headers["content-type"].startswith("application/rss+xml")
    root = ElementTree.fromstring(told.text)
    assert (root.tag, root.attrib) == ("rss", {"version": "2.0"})
    items = root.findall("channel/item")
    assert [item.findtext("guid") for item in items][:3] == ["beta/gratis", "alpha/whole", "beta/cheap"]
    assert items[1].findtext("description") == 'Knows <everything> & "more"'
    assert items[1].findtext("pubDate") == "Fri, 11 Sep 2026 14:13:20 GMT"
    assert items[1].findtext("link") == "http://gateway.example:8080/api/v1/model/alpha/whole"
    assert items[3].find("pubDate") is None


def test_a_feed_follows_filters_sorts_and_pages(listing: Listing) -> None:
    told = listing.get("/v1/models?use_rss=1&sort=pricing-high-to-low&limit=2")
    assert [item.findtext("guid") for item in ElementTree.fromstring(told.text).iter("item")] == ["alpha/whole", "beta/cheap"]


def test_links_follow_the_scheme_the_caller_used(listing: Listing) -> None:
    told = listing.get("/v1/models?use_rss=1", {"Host": "a.example", "X-Forwarded-Proto": "https"})
    assert "<link>https://a.example/</link>" in told.text


def test_a_host_that_is_none_is_not_repeated(listing: Listing) -> None:
    assert "<link>http://localhost/</link>" in listing.get("/v1/models?use_rss=1", {"Host": 'a"><x>'}).text


@given(st.text(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(-(1 << 60), 1 << 60))
def test_any_model_leaves_the_feed_well_formed(name: str, id: str, created: int) -> None:
    made = catalogue(entry(id, Facts(name=name, description=name, created=created)))
    assert len(ElementTree.fromstring(rss(made.entries.values(), "http://x")).findall("channel/item")) == 1
