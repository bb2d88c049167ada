"""Framing of upstreams' answers, cut at every byte."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.errors import BadAnswer, UpstreamError
from kilo_gateway.http.wire import BodyUntilClose, ChunkedBody, LengthBody, body_of, header, read_head

CHUNKED = b"5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n"
PAYLOAD = b"helloabcdefghijklmnopqrstuvwxyz!"
CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places) if a < b]


def encode(chunks: list[bytes], style: int) -> bytes:
    """Chunked coding in one of several spellings."""
    sizes = ("%x", "%X", "%04x", '%x ;a="b"')
    body = b"".join((sizes[style] % len(chunk)).encode() + b"\r\n" + chunk + b"\r\n" for chunk in chunks)
    return body + (b"0\r\n\r\n" if style % 2 else b"0\r\nA: b\r\nC: d\r\n\r\n")


@given(CHUNKS, CUTS, st.integers(0, 3))
def test_chunks_are_unframed_however_they_are_cut(chunks: list[bytes], cuts: list[int], style: int) -> None:
    body = ChunkedBody()
    pieces = in_pieces(encode(chunks, style), cuts)
    payload = b""
    for piece in pieces:
        assert not body.is_done
        payload += body.feed(piece)
    assert body.is_done
    assert payload == b"".join(chunks)


@pytest.mark.parametrize("cut", range(len(CHUNKED) + 1))
def test_chunks_may_be_cut_anywhere(cut: int) -> None:
    body = ChunkedBody()
    assert b"".join(body.feed(part) for part in (CHUNKED[:cut], CHUNKED[cut:]) if part) == PAYLOAD
    assert body.is_done


def test_chunks_may_arrive_byte_by_byte() -> None:
    body = ChunkedBody()
    assert b"".join(body.feed(CHUNKED[n : n + 1]) for n in range(len(CHUNKED))) == PAYLOAD
    assert body.is_done


@pytest.mark.parametrize("bad", [b"zz\r\n", b"-5\r\nhello\r\n", b"\r\n", b"5" * 5000, b"hello\r\n", b";x\r\n", b"5 5\r\nhello\r\n"])
def test_bad_chunking_is_an_error(bad: bytes) -> None:
    with pytest.raises(UpstreamError):
        ChunkedBody().feed(bad)


@pytest.mark.parametrize("size", [b"0x5", b"0X5", b"+5", b"0_5", b" 5", b"5 ", b"\t5", b"5\n", b"05" * 10, b"5;\x00"])
def test_a_chunk_size_is_hexadecimal_digits_and_nothing_else(size: bytes) -> None:
    for whole in (size + b"\r\nhello\r\n", b"1\r\n!\r\n" + size + b"\r\nhello\r\n"):
        with pytest.raises(BadAnswer):
            ChunkedBody().feed(whole)


@pytest.mark.parametrize("end", [b"XY", b"\rX", b"X\n", b"\n\r", b"\n1", b"3\r\nabc\r\n"])
@pytest.mark.parametrize("before", [b"", b"1\r\n!\r\n"])
def test_a_chunk_is_followed_by_a_line_end_however_it_is_cut(before: bytes, end: bytes) -> None:
    data = before + b"5\r\nhello" + end + b"1\r\na\r\n0\r\n\r\n"
    for cut in range(len(data) + 1):
        body = ChunkedBody()
        with pytest.raises(BadAnswer):
            for part in (data[:cut], data[cut:]):
                body.feed(part)


def test_what_was_whole_before_the_framing_broke_is_told() -> None:
    with pytest.raises(BadAnswer) as told:
        ChunkedBody().feed(b"1\r\na\r\n2\r\nbc\r\n2\r\ndeXY")
    assert told.value.before == b"abc"


@given(st.binary(max_size=200), CUTS)
def test_garbage_is_an_error_or_a_body_and_never_anything_else(data: bytes, cuts: list[int]) -> None:
    body = ChunkedBody()
    try:
        for piece in in_pieces(data, cuts):
            body.feed(piece)
            if body.is_done:
                break
    except UpstreamError:
        pass


@given(st.binary(max_size=100), CUTS)
def test_a_body_with_a_length_ends_there(data: bytes, cuts: list[int]) -> None:
    body = LengthBody(len(data))
    assert b"".join(body.feed(piece) for piece in in_pieces(data, cuts)) == data
    assert body.is_done


def test_bytes_after_the_end_are_cut_off_and_told() -> None:
    body = LengthBody(3)
    assert (body.feed(b"abcde"), body.is_done, body.is_dirty) == (b"abc", True, True)
    chunked = ChunkedBody()
    assert (chunked.feed(b"1\r\na\r\n0\r\n\r\nmore"), chunked.is_done, chunked.is_dirty) == (b"a", True, True)


def test_a_head_is_read_whatever_the_case() -> None:
    found = read_head(b"HTTP/1.1 200 OK\r\nCONTENT-length:  5 \r\nX: y\r\nconnection: Close\r\n\r\nhello")
    assert found is not None
    head, lines, rest = found
    assert lines.endswith(b"connection: Close\r\n")
    assert (head.status, head.content_length, head.keeps_alive, rest) == (200, 5, False, b"hello")


@pytest.mark.parametrize(
    ("lines", "keeps_alive"),
    [
        (b"", True), (b"Connection: keep-alive\r\nConnection: Keep-Alive, foo\r\n", True), (b"Connection: foo, Close\r\n", False),
        (b"Connection: keep-alive\r\nConnection: close\r\n", False), (b"Connection: closed\r\n", True),
    ],
)  # fmt: skip
def test_what_is_said_of_the_connection_is_a_list(lines: bytes, keeps_alive: bool) -> None:
    found = read_head(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n%b\r\n" % lines)
    assert found is not None
    assert (found[0].keeps_alive, found[0].content_length) == (keeps_alive, 5)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (b"Content-Length: 5", LengthBody), (b"Transfer-Encoding: chunked", ChunkedBody), (b"X: y", BodyUntilClose),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", ChunkedBody),
    ],
)  # fmt: skip
def test_how_an_answer_ends_is_told_by_its_head(lines: bytes, kind: type) -> None:
    found = read_head(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\n")
    assert found is not None
    assert isinstance(body_of(found[0]), kind)


def test_a_head_without_end_is_not_kept_for_ever() -> None:
    assert read_head(b"HTTP/1.1 200 OK\r\nContent-") is None
    with pytest.raises(BadAnswer):
        read_head(b"x" * 100_000)


@pytest.mark.parametrize("bad", [b"HTTP/1.1 2x0 OK\r\n\r\n", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_a_head_that_cannot_be_read_is_an_error(bad: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_head(bad)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_an_error(data: bytes) -> None:
    with contextlib.suppress(BadAnswer):
        read_head(b"HTTP/1.1 " + data + b"\r\n\r\n")


def test_a_seldom_header_is_found() -> None:
    found = read_head(b"HTTP/1.1 429 No\r\nRETRY-AFTER:  7 \r\n\r\n")
    assert found is not None
    assert (header(found[1], b"retry-after"), header(found[1], b"x-other")) == ("7", "")


@pytest.mark.parametrize("lines", [b"Content-Length: -5", b"Content-Length: 5\r\nContent-Length: 7"])
def test_lengths_that_cannot_be_are_an_error(lines: bytes) -> None:
    with pytest.raises(BadAnswer):
        found = read_head(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\n")
        assert found is not None
        body_of(found[0]).feed(b"x" * 10)


def test_a_bare_line_feed_adds_no_header_to_what_the_caller_gets() -> None:
    found = read_head(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\nSet-Cookie: a=b\r\n\r\n")
    assert found is not None
    assert b"\n" not in found[0].content_type


@pytest.mark.parametrize("size", [b"0x5", b"+5", b"-5", b" 5", b"5_0", b"", b"g", b"5" * 17])
def test_a_size_that_is_not_plain_hexadecimal_is_refused(size: bytes) -> None:
    with pytest.raises(BadAnswer):
        ChunkedBody().feed(size + b"\r\nabcde\r\n0\r\n\r\n")


@pytest.mark.parametrize("cut", range(1, 22))
@pytest.mark.parametrize("after", [b"XY", b"\rX", b"X\n", b"\n\r"])
def test_what_stands_where_a_chunk_ends_is_not_swallowed(after: bytes, cut: int) -> None:
    data = b"5\r\nabcde" + after + b"5\r\nfghij\r\n0\r\n\r\n"
    body = ChunkedBody()
    with pytest.raises(BadAnswer):
        body.feed(data[:cut])
        body.feed(data[cut:])
