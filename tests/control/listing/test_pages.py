"""Pages by offset and limit."""

from hypothesis import given
from hypothesis import strategies as st
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import catalogue, entry, large

from kilo_gateway.catalog.facts import Facts
from kilo_gateway.http.paths import PREFIXES

MANY = Listing(large(70))


def test_without_offset_and_limit_the_whole_list_comes() -> None:
    told = MANY.get("/v1/models").json
    assert (len(told["data"]), told["links"], told["total_count"]) == (70, {"next": None}, 70)


def test_the_link_leads_to_the_next_page_under_the_same_path_and_query() -> None:
    for base in (*PREFIXES, "/api"):
        told = MANY.get(f"{base}/models?q=Model&limit=10&supported_parameters=tools%2Ctool_choice&x=1").json
        assert told["links"]["next"] == f"{base}/models?q=Model&supported_parameters=tools%2Ctool_choice&offset=10&limit=10"


def test_an_offset_alone_has_the_default_limit() -> None:
    listing = Listing(catalogue(*(entry(f"a/{at}", Facts()) for at in range(510))))
    told = listing.get("/v1/models?offset=0").json
    assert (len(told["data"]), told["links"]["next"]) == (500, "/v1/models?offset=500&limit=500")


def test_beyond_the_end_a_page_is_empty_and_the_last() -> None:
    told = MANY.get("/v1/models?offset=999999999").json
    assert (told["data"], told["links"]["next"], told["total_count"]) == ([], None, 70)


@given(limit=st.integers(1, 80), path=st.sampled_from(["/v1/models", "/v1/models/user", "/api/models"]), query=st.sampled_from(["", "&q=model-1", "&sort=newest"]))
def test_pages_give_every_row_exactly_once(limit: int, path: str, query: str) -> None:
    whole = MANY.get(f"{path}?{query}").ids
    seen: list[str] = []
    target: str | None = f"{path}?limit={limit}{query}"
    for _ in range(len(whole) // limit + 2):
        if target is None:
            break
        told = MANY.get(target)
        seen += told.ids
        target = told.json["links"]["next"]
    assert (target, seen) == (None, whole)
