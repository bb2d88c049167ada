"""Nonsense costs a member, then its row, and never the list."""

import json
from collections.abc import Callable

import pytest
from tests.upstreams.lists.rows import OPENROUTER, named_list, openai_list

from kilo_gateway.catalog.facts import Facts
from kilo_gateway.core.errors import BadAnswer, UpstreamError
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import MAX_CONTEXT
from kilo_gateway.upstreams.lists.kinds import page, read
from kilo_gateway.upstreams.lists.listing import KINDS, MAX_NOTES, Kind, joined


def ids(body: bytes, kind: Kind = "openai") -> list[str]:
    return [row.listed_id for row in read(kind, body).rows]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"{}", b"5", b"null", b'"models"', b"\xff", b'{"data":{},"models":{}}', b'{"data":null}', b'{"data":[', b"<html>", b'[{"id":"a","x":NaN}]']
)  # fmt: skip
def test_what_is_no_list_is_a_bad_answer(kind: Kind, body: bytes) -> None:
    with pytest.raises(BadAnswer, match="not a list of models"):
        read(kind, body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [[], [5], [{"id": "", "name": ""}], [{"id": "kilo/auto", "name": "kilo/auto"}]])
def test_a_list_without_a_row_that_can_be_used_is_told_as_empty(kind: Kind, rows: list[object]) -> None:
    with pytest.raises(UpstreamError, match="its list of models is empty"):
        read(kind, json.dumps({"data": rows, "models": rows}).encode())


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (5, "row 1: this is not an object"), (None, "row 1: this is not an object"), ([], "row 1: this is not an object"),
        ({}, "row 1: its id is missing, or not a text"), ({"id": 7}, "row 1: its id is missing, or not a text"),
        ({"id": "  "}, "row 1: its id is blank"), ({"id": "a\nb"}, "row 1: its id has characters that cannot be printed"),
        ({"id": "x" * 201}, "row 1: its id is longer than 200 characters"), ({"id": "\0"}, "row 1: its id has characters that cannot be printed"),
        ({"id": "good"}, "good: it is listed twice"),
    ],
)  # fmt: skip
def test_a_bad_row_is_left_out_and_said_why(row: object, told: str) -> None:
    listing = read("openai", openai_list({"id": "good"}, row, {"id": "fine"}))
    assert [each.listed_id for each in listing.rows] == ["good", "fine"]
    assert (listing.dropped, listing.notes) == (1, (told,))


def test_of_rows_with_one_id_the_first_that_is_valid_wins() -> None:
    listing = read("openai", b'{"data":[{"id":"a","id":5},{"id":"a","context_length":1},{"id":"a","context_length":2}]}')
    assert [row.facts.context for row in listing.rows] == [1]
    assert listing.dropped == 2


def test_reasons_are_bounded_and_rows_are_counted() -> None:
    listing = read("openai", openai_list({"id": "a"}, *[None] * 1000))
    assert (listing.dropped, len(listing.notes)) == (1000, MAX_NOTES)


def test_ids_that_mean_a_choice_made_here_are_left_out_without_a_word() -> None:
    body = openai_list(*({"id": id} for id in ("kilo/auto", "kilo-auto/free", "kilo-auto/x/y", "openrouter/auto", "openrouter/auto-beta")))
    listing = read("openai", body)
    assert ([row.listed_id for row in listing.rows], listing.dropped) == (["openrouter/auto-beta"], 0)


NONSENSE: tuple[object, ...] = (None, 5, -1, 1.5, True, "", "\0", "x" * 100_000, [], [None], [[]], {}, {"a": {"b": []}}, 10**30)


@pytest.mark.parametrize("key", [key for key in OPENROUTER if key != "id"])
def test_a_member_that_is_nonsense_costs_no_other(key: str) -> None:
    whole = read("openai", openai_list(OPENROUTER)).rows[0].facts
    unlike = {"architecture", "top_provider", "opencode", "benchmarks", "mayTrainOnYourPrompts", "pricing", "description", "name", "created"}
    for nonsense in NONSENSE:
        [row] = read("openai", openai_list(OPENROUTER | {key: nonsense})).rows
        assert row.listed_id == "maker/thinker"
        differing = [name for name in Facts.__struct_fields__ if getattr(row.facts, name) != getattr(whole, name)]
        assert len(differing) <= (4 if key in unlike else 1)


@pytest.mark.parametrize("written", [b'"\xff"', b"1e999", b"9" * 5000, b"[" * 900 + b"]" * 900])
def test_what_is_no_text_and_no_number_at_all_costs_one_member(written: bytes) -> None:
    body = b'{"data":[{"id":"a","description":%b,"context_length":%b,"created":7},{"id":"b"}]}' % (written, written)
    [first, _] = read("openai", body).rows
    assert first.facts == Facts(created=7)


def test_half_an_emoji_costs_no_more_than_itself() -> None:
    body = rb'{"data":[{"id":"a","description":"cut \ud83d"},{"id":"b","description":"whole \ud83d\ude00 \\ud83d"}]}'
    assert [row.facts.description for row in read("openai", body).rows] == ["cut \ufffd", "whole \U0001f600 \\ud83d"]


def test_an_id_that_is_no_text_at_all_costs_its_row() -> None:
    assert ids(b'{"data":[{"id":"\xff"},{"id":"\\ud800"},{"id":"a"}]}') == ["a"]


def deep(depth: int) -> bytes:
    return b'{"data":[{"id":"a"},{"id":"b","x":%b%b},{"id":"c"}]}' % (b'[{"y":' * depth + b'"]"', b"}]" * depth)


@pytest.mark.parametrize("depth", [10, 100, 1000, 100_000])
def test_a_row_that_nests_without_end_costs_no_row(depth: int) -> None:
    assert ids(deep(depth)) == ["a", "b", "c"]


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"[" * 2000 + b'"' + b'\\"' * 1_000_000])
def test_nesting_without_end_is_no_list_and_takes_no_time(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        read("openai", body)


@pytest.mark.parametrize(
    ("written", "context"),
    [(4096, 4096), (4096.0, 4096), ("4096", 4096), (" 4096 ", 4096), (MAX_CONTEXT, MAX_CONTEXT), (0, None), (-1, None), (4096.5, None),
     (MAX_CONTEXT + 1, None), ("4k", None), (True, None), ([4096], None), ("٤٠", None), ("1" * 5000, None)],
)  # fmt: skip
def test_a_context_is_a_whole_number_of_tokens_however_it_is_written(written: object, context: int | None) -> None:
    assert read("openai", openai_list({"id": "a", "context_length": written})).rows[0].facts.context == context


def test_a_context_that_cannot_be_is_looked_for_at_the_next_place() -> None:
    row = {"id": "a", "context_length": -1, "top_provider": {"context_length": 8192}}
    assert read("openai", openai_list(row)).rows[0].facts.context == 8192


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\0b", "\u202eleft", "   "])
def test_a_name_that_a_terminal_would_obey_is_none(text: str) -> None:
    assert read("openai", openai_list({"id": "a", "name": text})).rows[0].facts.name is None


def test_a_description_keeps_its_lines_and_loses_control_characters() -> None:
    assert read("openai", openai_list({"id": "a", "description": " one\n\x1b[31mtwo\0 "})).rows[0].facts.description == "one\n[31mtwo"


@pytest.mark.parametrize(
    ("written", "day"), [("2027-01-31", "2027-01-31"), ("2027-01-31T10:00:00Z", "2027-01-31"), ("2027-13-01", None), ("soon", None), (5, None)]
)  # fmt: skip
def test_a_day_is_a_day(written: object, day: str | None) -> None:
    assert read("openai", openai_list({"id": "a", "expiration_date": written})).rows[0].facts.expires == day


def test_a_byte_order_mark_is_no_harm() -> None:
    assert ids(b"\xef\xbb\xbf" + openai_list({"id": "a"})) == ["a"]


def test_a_name_of_ollama_is_used_where_there_is_no_model() -> None:
    assert ids(named_list({"name": "camel"}, {"model": "ox", "name": "another"}), "ollama") == ["camel", "ox"]


def test_pages_are_one_list_and_an_empty_page_is_no_harm() -> None:
    pages: list[Callable[[], bytes]] = [lambda: openai_list({"id": "a"}, 5), lambda: openai_list(), lambda: openai_list({"id": "a"}, {"id": "b"})]
    whole = joined(page("openai", each()) for each in pages)
    assert ([row.listed_id for row in whole.rows], whole.dropped) == (["a", "b"], 2)


def test_a_row_whose_price_cannot_be_read_gives_way_to_a_later_one_that_is_whole() -> None:
    whole = {"id": "a/m", "pricing": {"prompt": "0.000001", "completion": "0.000002"}}
    for odd in ("garbage", 5, [], {"prompt": "x", "completion": "y"}):
        listing = read("openai", json.dumps({"data": [{"id": "a/m", "pricing": odd}, whole, whole]}).encode())
        [row] = listing.rows
        assert row.facts.price == Price(1_000_000, 2_000_000)
        assert (listing.unpriced, listing.dropped) == (0, 1)
