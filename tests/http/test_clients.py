"""What is read of a client from a head: short, printable, without keys; and betas by their list."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.client import HEADERS, ClientHeaders
from kilo_gateway.http import clients
from kilo_gateway.http.clients import Clients, spelled

KEY = b"kilo_0123456789abcdefABCDEFghijKLMNop"
MESSAGES = ("anthropic-messages", "anthropic-messages")
NAMES = [name.encode() for names in HEADERS.values() for name in names] + [b"Anthropic-Beta", b"openai-beta"]
VALUES = st.one_of(st.binary(max_size=600), st.text(max_size=300).map(str.encode), st.just(b"a, b-1,*" * 200))


def read(headers: dict[bytes, bytes], *betas: str) -> ClientHeaders:
    found = spelled({name.lower(): name for name in headers})
    return Clients({"anthropic-beta": betas}).of(found, headers)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_whatever_came_a_line_is_one_line_and_the_record_is_short(headers: dict[bytes, bytes]) -> None:
    client = read(headers, "a*", "*")
    lines, _ = client.told(tuple(HEADERS), *MESSAGES)
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b": ")
        assert name.lower() in {each.lower() for each in NAMES}
        assert value
        assert all(32 <= byte < 127 for byte in value)
    kept = json.loads(client.record or "{}")
    assert all(text.isprintable() and 0 < len(text) <= clients.MAX_VALUE for text in kept.values())
    assert sum(map(len, kept.values())) <= clients.MAX_VALUES
    assert len(client.record) < 4000  # the column


def test_a_title_in_umlauts_is_recorded_and_does_not_travel() -> None:
    client = read({b"X-Title": "Größe".encode()})
    assert (json.loads(client.record), client.lines) == ({"title": "Größe"}, ())


@pytest.mark.parametrize("value", [b"x" * 255 + KEY, b"", b"  ", b"caf\xe9", b"a\tb", "\u202eevil".encode(), b"http://x/?key=" + KEY])
def test_what_cannot_be_shown_is_left_out(value: bytes) -> None:
    client = read({b"HTTP-Referer": value, b"x-kilocode-mode": b"code"})
    assert json.loads(client.record) == {"mode": "code"}


def test_what_is_long_is_cut_and_its_end_not_looked_at() -> None:
    for value in (b"x" * 60_000, b"x" * 1000 + b"\xff", b"x" * 294 + "ß".encode() * 2000):
        assert json.loads(read({b"X-Title": value}).record) == {"title": "x" * clients.MAX_VALUE}
    assert json.loads(read({b"X-Title": "😀".encode() * 2000}).record) == {"title": "😀" * clients.MAX_VALUE}


def test_the_newer_name_of_a_title_wins_and_both_are_sent() -> None:
    lines, _ = read({b"x-title": b"old", b"x-openrouter-title": b"new"}).told(("title",), "a", "b")
    assert lines == b"X-OpenRouter-Title: new\r\nX-Title: new\r\n"


def test_an_upstream_is_told_what_it_is_to_know_and_no_more() -> None:
    client = read({b"X-Title": b"t", b"x-session-id": b"s"})
    assert client.told((), "a", "b") == (b"", ())
    assert client.told(("session",), "a", "b")[0] == b"x-session-id: s\r\nx-kilo-session: s\r\n"


def test_betas_travel_by_the_list_and_the_others_are_told() -> None:
    client = read({b"anthropic-beta": b"thinking-1, exact-2,exact-1,, b\xe4d, thinking-1"}, "thinking-*", "exact-1")
    assert client.told((), *MESSAGES) == (
        b"anthropic-beta: thinking-1,exact-1\r\n", ("anthropic-beta: exact-2", "anthropic-beta: (not a name)")
    )  # fmt: skip
    assert client.told((), "anthropic-messages", "gemini") == (b"", ("anthropic-beta",))
    assert client.told((), "openai-chat", "anthropic-messages") == (b"", ("anthropic-beta",))


def test_more_betas_than_a_head_should_have_are_told() -> None:
    lines, unsent = read({b"anthropic-beta": b",".join(b"b%d" % n for n in range(99))}, "*").told((), *MESSAGES)
    assert lines.count(b",") == clients.MAX_BETAS - 1
    assert unsent == (f"anthropic-beta: (more than {clients.MAX_BETAS})",)


def test_the_same_words_under_other_names_are_not_confused() -> None:
    known = Clients()
    for header, word in ((b"X-Title", "title"), (b"x-kilocode-mode", "mode"), (b"X-Title", "title")):
        found = known.of(spelled({header.lower(): header}), {header: b"same"})
        assert json.loads(found.record) == {word: "same"}


def test_what_is_remembered_has_a_bound() -> None:
    known = Clients()
    for number in range(3000):
        known.of(spelled({b"x-title": b"X-Title"}), {b"X-Title": b"%d" % number})
    assert len(known._known) <= 1000
