"""Whatever an upstream answers: rows that can be used, or one of two errors."""

import json
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.upstreams.lists.rows import ANTHROPIC, GEMINI, GROQ, LM_STUDIO, MISTRAL, OLLAMA, OPENROUTER, TOGETHER, VLLM

from kilo_gateway.core.errors import UpstreamError
from kilo_gateway.core.types import MAX_CONTEXT, Origin
from kilo_gateway.upstreams.lists.asking import first_path, next_path
from kilo_gateway.upstreams.lists.kinds import read
from kilo_gateway.upstreams.lists.listing import KINDS, MAX_NOTES, Kind, Row

kinds = st.sampled_from(KINDS)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20),
    st.sampled_from(["-1", "0", "1e-6", "NaN", "\0", "2026-01-01", "models/", "kilo/auto", 10**30, 4096.0]),
)  # fmt: skip
KEYS = sorted({key for row in (OPENROUTER, MISTRAL, ANTHROPIC, GEMINI, OLLAMA) for key in row} | {"data", "models", "next", "overrides", "prompt"})
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
ROWS: dict[Kind, list[dict[str, object]]] = {
    "openai": [OPENROUTER, GROQ, MISTRAL, VLLM, TOGETHER, LM_STUDIO], "anthropic": [ANTHROPIC], "gemini": [GEMINI], "ollama": [OLLAMA],
}  # fmt: skip


def check(kind: Kind, body: bytes) -> int:
    """How many rows were read. Any other exception than UpstreamError fails the test."""
    try:
        listing = read(kind, body)
    except UpstreamError:
        return 0
    assert len({row.listed_id for row in listing.rows}) == len(listing.rows) > 0
    assert len(listing.notes) <= MAX_NOTES
    for row in listing.rows:
        assert row.listed_id.isprintable() and row.listed_id.strip() and len(row.listed_id) <= 200
        assert row.facts.context is None or 0 < row.facts.context <= MAX_CONTEXT
        assert row.facts.price is None or row.facts.price.input >= 0
    packed = msgspec.msgpack.encode(listing.rows)  # as it goes into a file
    assert msgspec.msgpack.decode(packed, type=tuple[Row, ...]) == listing.rows
    if listing.next is not None:
        path = next_path(kind, ORIGIN, first_path(kind, "/v1"), listing.next)
        assert path is None or (path.isascii() and path.isprintable() and " " not in path and path.startswith("/"))
    return len(listing.rows)


ORIGIN = Origin("api.example.com", 443, is_tls=True)


@given(kinds, st.binary(max_size=200))
@example("openai", b"[" * 5000)
@example("openai", b'[{"id":"a","pricing":' + b"[" * 5000)
def test_bytes_at_random(kind: Kind, body: bytes) -> None:
    check(kind, body)


@settings(max_examples=400)
@given(kinds, VALUES)
def test_any_json_at_all(kind: Kind, value: object) -> None:
    check(kind, json.dumps(value).encode())


@settings(max_examples=400)
@given(kinds, st.lists(VALUES, max_size=5))
def test_any_json_where_rows_are_expected(kind: Kind, rows: list[object]) -> None:
    check(kind, json.dumps({"data": rows, "models": rows, "links": {"next": "/x"}}).encode())


def places_of(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in places_of(each, (*at, key)))]


@settings(max_examples=600)
@given(st.data())
def test_a_list_changed_at_random_places_keeps_the_row_that_was_not_changed(data: st.DataObject) -> None:
    kind = data.draw(kinds)
    key, id = ("models", "name") if kind in ("gemini", "ollama") else ("data", "id")
    changed = json.loads(json.dumps(ROWS[kind]))
    for _ in range(data.draw(st.integers(1, 4))):
        *above, last = data.draw(st.sampled_from([place for place in places_of(changed) if place]))
        parent = changed
        for step in above:
            parent = parent[step]
        parent[last] = data.draw(VALUES)
    body = json.dumps({key: [*changed, {id: "untouched"}], "has_more": False}).encode()
    assert check(kind, body) >= 1
    assert "untouched" in {row.listed_id for row in read(kind, body).rows}


@given(kinds, st.data())
def test_a_list_with_bytes_changed(kind: Kind, data: st.DataObject) -> None:
    body = bytearray(json.dumps({"data": ROWS[kind], "models": ROWS[kind]}).encode())
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    check(kind, bytes(body))


@given(kinds, st.data())
def test_a_list_that_breaks_off(kind: Kind, data: st.DataObject) -> None:
    body = json.dumps({"data": ROWS[kind], "models": ROWS[kind]}).encode()
    assert check(kind, body[: data.draw(st.integers(0, len(body) - 1))]) == 0


@settings(max_examples=150)
@given(kinds, st.lists(VALUES, max_size=6))
def test_reading_what_was_read_changes_nothing(kind: Kind, rows: list[object]) -> None:
    body = json.dumps({"data": [*rows, *ROWS[kind]], "models": [*rows, *ROWS[kind]]}).encode()
    twice = json.dumps({"data": [*rows, *ROWS[kind]] * 2, "models": [*rows, *ROWS[kind]] * 2}).encode()
    assert read(kind, twice).rows == read(kind, body).rows
