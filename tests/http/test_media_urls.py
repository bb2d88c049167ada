"""Where a URL that a caller names would lead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.types import Origin
from kilo_gateway.http.media_urls import NotFetched, Place, place_of, redirected

TRUSTED = frozenset({("media.lan", 8080), ("fd00::1", 80)})


def refusal(url: str) -> NotFetched:
    with pytest.raises(NotFetched) as caught:
        place_of(url, TRUSTED)
    return caught.value


@pytest.mark.parametrize(
    ("url", "origin", "authority", "target"),
    [
        ("https://example.com/a.png", Origin("example.com", 443, True), "example.com", "/a.png"),
        ("HTTP://Example.COM.", Origin("example.com", 80), "example.com", "/"),
        ("http://example.com:80/a?b=c d#e", Origin("example.com", 80), "example.com", "/a?b=c%20d"),
        ("https://example.com/%41/é?x=%20&y=é", Origin("example.com", 443, True), "example.com", "/%41/%C3%A9?x=%20&y=%C3%A9"),
        ("https://bücher.example/", Origin("xn--bcher-kva.example", 443, True), "xn--bcher-kva.example", "/"),
        ("http://media.lan:8080/a", Origin("media.lan", 8080, is_trusted=True), "media.lan:8080", "/a"),
        ("http://MEDIA.lan.:8080/a", Origin("media.lan", 8080, is_trusted=True), "media.lan:8080", "/a"),
        ("http://media.lan/a", Origin("media.lan", 80), "media.lan", "/a"),
        ("http://[fd00:0::1]/a", Origin("fd00::1", 80, is_trusted=True), "[fd00::1]", "/a"),
        ("http://[::ffff:127.0.0.1]/", Origin("::ffff:7f00:1", 80), "[::ffff:7f00:1]", "/"),
    ],
)  # fmt: skip
def test_a_url_leads_to_its_host_and_port(url: str, origin: Origin, authority: str, target: str) -> None:
    assert place_of(url, TRUSTED) == Place(url, origin, authority, target)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a", "file:///etc/passwd", "http:///a", "http://", "https:example.com", "http://user@example.com/", "http://:@example.com/",
        "http://user:word@example.com/", "http://@example.com/", "http://example.com:22/", "http://example.com:443/", "https://example.com:80/",
        "http://example.com:0/", "http://example.com:x/", "http://example.com:99999/", "http://exa mple.com/", "http://example.com\r\nX: y/",
        "http://example.com/a\nHost: b", "http://exam\tple.com/", "http://good.example\\@127.0.0.1/", "http://[::1%25lo]/", "http://[::1", "http://a..b/",
        "http://-a.example/", "http://a_b!.example/", "http://\x00/", "http://" + "a" * 64 + ".example/", "http://media.lan:8081/", "http://[fd00::1]:81/",
        "https://example.com/" + "a" * 8200, "http://ex℀mple.com/", "http://example.com/\ud800",
    ],
)  # fmt: skip
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    assert refusal(url).reason == "url"


def test_a_credential_in_a_url_is_not_repeated() -> None:
    assert "word" not in str(refusal("http://user:word@example.com/"))


@given(st.text(max_size=60).map(lambda rest: f"http://{rest}"))
def test_whatever_is_written_is_a_place_or_refused(url: str) -> None:
    try:
        place = place_of(url, TRUSTED)
    except NotFetched:
        return
    assert f"{place.target}{place.authority}".isprintable()
    assert f"{place.target}{place.authority}".isascii()
    assert " " not in place.target + place.authority


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [("/b", "https://example.com/b"), ("c?d", "https://example.com/a/c?d"), ("//other.example/", "https://other.example/"), ("https://e.example", "https://e.example")],
)  # fmt: skip
def test_a_redirect_is_read_from_where_it_was_met(location: str, leads_to: str) -> None:
    assert redirected(place_of("https://example.com/a/b", TRUSTED), location, TRUSTED).url == leads_to


@pytest.mark.parametrize("location", ["http://example.com/", "https://u:p@example.com/", "ftp://example.com/", "https://example.com:8443/", "http://media.lan:8080/"])
def test_a_redirect_is_guarded_as_the_first_url_was(location: str) -> None:
    with pytest.raises(NotFetched):
        redirected(place_of("https://example.com/", TRUSTED), location, TRUSTED)
