"""Validators, compression, and what is kept."""

import gzip
import time

import pytest
from msgspec.structs import replace
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import catalogue, entry, large, small
from tests.control.listing.watched import Watched, three

from kilo_gateway.catalog.facts import Facts
from kilo_gateway.control.listing import shelf
from kilo_gateway.control.listing.answers import Answer
from kilo_gateway.control.listing.traffic import Measured

GZIP = {"Accept-Encoding": "gzip"}


def test_an_answer_says_how_it_may_be_kept(listing: Listing) -> None:
    told = listing.get("/v1/models")
    assert told.headers["cache-control"] == "no-cache"
    assert told.headers["vary"] == "Accept-Encoding, anthropic-version"
    assert told.headers["etag"].startswith('"')
    assert listing.get("/v1/models/user").headers["cache-control"] == "private, no-cache"


def test_who_has_the_answer_is_told_that_nothing_changed(listing: Listing) -> None:
    tag = listing.get("/v1/models").headers["etag"]
    for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        told = listing.get("/v1/models", {"If-None-Match": known})
        assert (told.status, told.body, told.headers["etag"]) == (304, b"", tag)
    assert listing.get("/v1/models", {"If-None-Match": '"x"'}).status == 200


def test_the_tag_changes_with_the_rows_and_not_with_the_version_alone(listing: Listing) -> None:
    tag = listing.get("/v1/models").headers["etag"]
    listing.catalogue = replace(small(), version=2)
    assert listing.get("/v1/models").headers["etag"] == tag
    listing.catalogue = catalogue(entry("a/b", Facts()))
    told = listing.get("/v1/models", {"If-None-Match": tag})
    assert (told.status, told.ids) == (200, ["a/b"])


def test_each_query_and_each_encoding_has_a_tag_of_its_own(listing: Listing) -> None:
    tags = {listing.get(f"/v1/models?{query}", headers).headers["etag"] for query in ("", "q=whole", "limit=3") for headers in ({}, GZIP)}
    assert len(tags) == 6


@pytest.mark.parametrize("accept", ["gzip", "deflate, gzip;q=0.5", "*", "GZIP", "x-gzip", "br, *;q=0.1"])
def test_a_long_answer_is_compressed_for_who_takes_it(listing: Listing, accept: str) -> None:
    plain, told = listing.get("/v1/models"), listing.get("/v1/models", {"Accept-Encoding": accept})
    assert told.headers["content-encoding"] == "gzip"
    assert gzip.decompress(told.body) == plain.body


@pytest.mark.parametrize("accept", ["", "identity", "gzip;q=0", "gzip; q=0.0, *", "*;q=0", "br"])
def test_others_get_it_plain(listing: Listing, accept: str) -> None:
    assert "content-encoding" not in listing.get("/v1/models", {"Accept-Encoding": accept}).headers


def test_a_short_answer_is_not_compressed(listing: Listing) -> None:
    assert "content-encoding" not in listing.get("/v1/models/count", GZIP).headers


def test_what_depends_on_traffic_follows_it_at_once() -> None:
    watched = Watched()
    listing = Listing(three(), watched)
    assert listing.get("/v1/models?sort=most-popular").ids[0] == "a/slow"
    watched.seen = {("a/mute", "first"): Measured(requests_1w=1)}
    assert listing.get("/v1/models?sort=most-popular").ids[0] == "a/mute"


# The shelf


def test_an_answer_is_rendered_once_for_one_catalogue() -> None:
    kept, first, second = shelf.Shelf(), small(), small()
    rendered: list[int] = []

    def render() -> Answer:
        rendered.append(1)
        return Answer(b"x")

    for wanted in (first, first, second, second, first):
        kept.answer(wanted, "key", render)
    assert len(rendered) == 3


def test_the_shelf_has_room_for_so_many_answers_and_keeps_those_last_wanted() -> None:
    kept, made = shelf.Shelf(), small()
    for at in range(shelf.MAX_ANSWERS + 10):
        kept.answer(made, at, lambda: Answer(b"old"))
        kept.answer(made, 0, lambda: Answer(b"old"))
    assert kept.answer(made, 0, lambda: Answer(b"new")).body == b"old"
    assert kept.answer(made, 1, lambda: Answer(b"new")).body == b"new"
    assert len(kept._answers) == shelf.MAX_ANSWERS


def test_the_shelf_has_room_for_so_many_bytes() -> None:
    kept, made = shelf.Shelf(), small()
    half = bytes(shelf.MAX_BYTES // 2 + 1)
    for at in range(3):
        kept.answer(made, at, lambda: Answer(half))
    kept.answer(made, "huge", lambda: Answer(half + half))
    assert (list(kept._answers), kept._bytes) == ([2], len(half))


def test_parameters_nobody_knows_do_not_fill_the_shelf(listing: Listing) -> None:
    for at in range(5):
        listing.get(f"/v1/models?x={at}")
    assert len(listing.app.state.shelf._answers) == 1


def test_a_thousand_models_come_from_the_shelf_within_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    """5 ms is what is wanted; four times that is refused here, as the machine may be busy."""
    listing = Listing(large(1000))
    begun = time.perf_counter()
    first = listing.get("/v1/models", GZIP)
    rendered_s = time.perf_counter() - begun
    took_s: list[float] = []
    for _ in range(20):
        begun = time.perf_counter()
        told = listing.get("/v1/models", GZIP)
        took_s.append(time.perf_counter() - begun)
    with capsys.disabled():
        print(f"\n1,000 models: rendered and compressed in {rendered_s * 1e3:.1f} ms, from the shelf in {min(took_s) * 1e3:.2f} ms, {len(told.body)} bytes")
    assert told.body == first.body
    assert min(took_s) < 4 * 0.005
