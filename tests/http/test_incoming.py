"""Where a request's body ends, however it is cut."""

import itertools

import pytest

from kilo_gateway.core.errors import Refusal
from kilo_gateway.http.heads import end_of
from kilo_gateway.http.incoming import ChunkedBody, IncomingBody, Request, SizedBody

NEXT = b"POST /next"
CHUNKS = b'5;a="b;c"\r\nhello\r\nA\r\n, \r\n0\r\n\r\n!\r\n000\r\nX-One: 1\r\nx-two:\t\xff\r\n\r\n'


def take(body: IncomingBody, pieces: list[bytes]) -> bytes:
    """What is left over."""
    for at, piece in enumerate(pieces):
        rest = body.take(piece)
        if body.is_done:
            return rest + b"".join(pieces[at + 1 :])
        assert rest == b""
    return b""


@pytest.mark.parametrize("cuts", [1, 2])
def test_a_chunked_body_is_the_same_however_it_is_cut(cuts: int) -> None:
    data = CHUNKS + NEXT
    for at in itertools.combinations(range(len(data) + 1), cuts):
        pieces = [data[one:other] for one, other in itertools.pairwise((0, *at, len(data)))]
        request = Request()
        assert take(ChunkedBody(request), pieces) == NEXT
        assert (b"".join(request.parts), request.size) == (b"hello, \r\n0\r\n\r\n!", 15)


def test_a_chunked_body_that_stops_anywhere_is_not_done() -> None:
    for end in range(len(CHUNKS)):
        body = ChunkedBody(Request())
        assert take(body, [CHUNKS[:end]]) == b""
        assert not body.is_done


@pytest.mark.parametrize(
    "data",
    [b"5\nhello\r\n", b"5\r\nhello\n", b"5\r\nhello!\r\n", b"5 \r\nhello\r\n", b" 5\r\nhello\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n",
     b"5_0\r\n", b"\r\n", b"-1\r\n", b"5;a\x00\r\n", b"5;a\rb\r\n", b"0\r\nno colon\r\n\r\n", b"0\r\n: no name\r\n\r\n", b"0\r\na\rb: c\r\n\r\n",
     b"0\r\na: b\n\r\n", b"0\r\n a: folded\r\n\r\n", b"11111111111111111\r\n", b"4000001\r\n"],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    for size in (1, 3, len(data)):
        with pytest.raises(Refusal):
            take(ChunkedBody(Request()), [data[at : at + size] for at in range(0, len(data), size)] + [b"0\r\n\r\n"])


def test_a_sized_body_takes_its_own() -> None:
    data = b"hello" + NEXT
    for at in range(len(data)):
        request = Request()
        assert take(SizedBody(request, 5), [data[:at], data[at:]]) == NEXT
        assert b"".join(request.parts) == b"hello"


def test_a_heads_end_is_found_wherever_it_is_cut() -> None:
    head = b"POST / HTTP/1.1\r\nA: b\r\n\r\n"
    data = head + b"body\r\n\r\n"
    for pieces in (1, 2, 3, 5, 100):
        seen, last = 0, b""
        for at in range(0, len(data), pieces):
            piece = data[at : at + pieces]
            end = end_of(last, piece)
            seen += end
            if (data[:seen])[-4:] == b"\r\n\r\n":
                break
            last = (last + piece)[-3:]
        assert data[:seen] == head
