"""The list as Anthropic's clients ask for it."""

import pytest
from tests.control.listing.asking import Listing, Told
from tests.control.listing.catalogues import catalogue, entry, large

from kilo_gateway.catalog.facts import Facts

MANY = Listing(large(50))
HEADER = {"anthropic-version": "2023-06-01"}


def asked(query: str = "", listing: Listing = MANY) -> Told:
    return listing.get(f"/v1/models?{query}", HEADER)


def test_a_model_is_worded_as_anthropics(listing: Listing) -> None:
    told = listing.get("/v1/models/kilocode/alpha/whole", HEADER).json
    assert told == {
        "type": "model", "id": "alpha/whole", "display_name": "Whole One", "created_at": "2026-09-11T14:13:20Z",
        "max_input_tokens": 200_000, "max_tokens": 64_000, "lifecycle": "deprecated",
    }  # fmt: skip


def test_an_unknown_date_is_the_epoch(listing: Listing) -> None:
    told = listing.get("/v1/models/beta/bare", HEADER).json
    assert (told["created_at"], told["lifecycle"]) == ("1970-01-01T00:00:00Z", "active")
    assert Listing(catalogue(entry("a/b", Facts(created=1 << 60)))).get("/v1/models/a/b", HEADER).json["created_at"] == "1970-01-01T00:00:00Z"


def test_a_page_has_twenty_models_unless_more_are_asked_for() -> None:
    told = asked().json
    assert (len(told["data"]), told["has_more"]) == (20, True)
    assert (told["first_id"], told["last_id"]) == (told["data"][0]["id"], told["data"][-1]["id"])
    whole = asked("limit=1000").json
    assert (len(whole["data"]), whole["has_more"]) == (50, False)


def test_the_list_goes_on_after_an_id_until_there_is_no_more() -> None:
    seen: list[str] = []
    query = "limit=7"
    for _ in range(8):
        told = asked(query).json
        seen += [row["id"] for row in told["data"]]
        query = f"limit=7&after_id={told['last_id']}"
    assert not told["has_more"]
    assert seen == MANY.get("/v1/models").ids


def test_before_an_id_come_those_right_before_it() -> None:
    ids = MANY.get("/v1/models").ids
    told = asked(f"limit=5&before_id={ids[10]}").json
    assert ([row["id"] for row in told["data"]], told["has_more"]) == (ids[5:10], True)
    first = asked(f"limit=5&before_id={ids[3]}").json
    assert ([row["id"] for row in first["data"]], first["has_more"]) == (ids[:3], False)


def test_an_empty_page_has_no_ids() -> None:
    told = asked(f"after_id={MANY.get('/v1/models').ids[-1]}").json
    assert told == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit=%C2%B2", "after_id=no/such", "before_id=no/such", "after_id=a&before_id=b"])
def test_wrong_values_are_refused(query: str) -> None:
    assert asked(query).status == 400


def test_without_the_header_the_list_is_openrouters(listing: Listing) -> None:
    assert listing.get("/v1/models").json["object"] == "list"
