"""AWS event streams split into events; botocore's own splitter is the oracle."""

import struct
import zlib

import msgspec
import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.errors import BadAnswer, Truncated
from kilo_gateway.dialects.eventstream import MAX_EVENT_BYTES, MAX_HEADER_BYTES, Splitter

Header = tuple[str, int, bytes]  # name, kind, its value with the length where the kind has one


def text(name: str, value: str) -> Header:
    return name, 7, struct.pack("!H", len(value.encode())) + value.encode()


def frame(headers: list[Header], payload: bytes) -> bytes:
    lines = b"".join(bytes([len(name.encode())]) + name.encode() + bytes([kind]) + value for name, kind, value in headers)
    prelude = struct.pack("!II", 16 + len(lines) + len(payload), len(lines))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + lines + payload
    return message + struct.pack("!I", zlib.crc32(message))


def event(name: str, payload: bytes) -> bytes:
    return frame([text(":event-type", name), text(":content-type", "application/json"), text(":message-type", "event")], payload)


STREAM = b"".join([
    event("messageStart", b'{"role":"assistant"}'), event("contentBlockDelta", b'{"delta":{"text":"ol\xc3\xa9"}}'),
    event("contentBlockDelta", b""), frame([text(":message-type", "exception"), text(":exception-type", "throttlingException")], b"{}"),
])  # fmt: skip
EVENTS = [
    (b"messageStart", b'{"role":"assistant"}'), (b"contentBlockDelta", b'{"delta":{"text":"ol\xc3\xa9"}}'),
    (b"contentBlockDelta", b""), (b":exception:throttlingException", b"{}"),
]  # fmt: skip


def split(*pieces: bytes) -> list[tuple[bytes, bytes]]:
    splitter = Splitter()
    return [found for piece in pieces for found in splitter.feed(piece)] + splitter.rest()


def test_a_stream_gives_its_events_wherever_it_is_cut() -> None:
    assert split(STREAM) == EVENTS
    for at in range(len(STREAM) + 1):
        assert split(STREAM[:at], STREAM[at:]) == EVENTS
    assert split(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS


kinds = st.one_of(
    st.tuples(st.sampled_from([0, 1]), st.just(b"")),
    *(st.tuples(st.just(kind), st.binary(min_size=size, max_size=size)) for kind, size in {2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}.items()),
    st.tuples(st.just(6), st.binary(max_size=40).map(lambda value: struct.pack("!H", len(value)) + value)),
)
others = st.lists(st.tuples(st.text("abc:-", min_size=1, max_size=9), kinds).map(lambda each: (f"x{each[0]}", *each[1])), max_size=4, unique_by=lambda each: each[0])


@given(st.lists(st.tuples(st.text(max_size=12), others, st.binary(max_size=60)), max_size=4), st.data())
def test_any_headers_and_payloads_are_split_as_botocore_splits_them(found: list[tuple[str, list[Header], bytes]], data: st.DataObject) -> None:
    stream = b"".join(frame([*more, text(":event-type", name), text(":message-type", "event")], payload) for name, more, payload in found)
    oracle = EventStreamBuffer()
    oracle.add_data(stream)
    expected = [(message.headers[":event-type"].encode(), message.payload) for message in oracle]
    at = data.draw(st.integers(0, len(stream)))
    assert split(stream[:at], stream[at:]) == expected == [(name.encode(), payload) for name, _, payload in found]


def test_an_error_gives_its_code_and_its_message() -> None:
    headers = [text(":message-type", "error"), text(":error-code", "InternalFailure"), text(":error-message", 'it "broke"')]
    ((name, payload),) = split(frame(headers, b""))
    assert name == b":exception:InternalFailure"
    assert msgspec.json.decode(payload) == {"message": 'it "broke"'}


def test_the_payloads_of_two_events_with_the_same_headers_are_their_own() -> None:
    assert split(event("a", b"1"), event("a", b"2"), event("b", b"3")) == [(b"a", b"1"), (b"a", b"2"), (b"b", b"3")]


def test_a_changed_byte_anywhere_is_never_an_event() -> None:
    whole = event("contentBlockDelta", b'{"delta":{}}')
    for at in range(len(whole)):
        broken = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(BadAnswer):
            split(broken)


def test_events_ahead_of_a_broken_one_are_given_however_the_stream_was_cut() -> None:
    stream = event("a", b"1") + event("b", b"2")[:-1] + b"\0"
    for at in range(len(stream) + 1):
        splitter = Splitter()
        found: list[tuple[bytes, bytes]] = []
        with pytest.raises(BadAnswer):
            for piece in (stream[:at], stream[at:], b""):
                found += splitter.feed(piece)
        assert found == [(b"a", b"1")]
        with pytest.raises(BadAnswer):
            splitter.feed(event("c", b"3"))


def test_a_frame_that_is_cut_off_is_no_event() -> None:
    splitter = Splitter()
    assert splitter.feed(STREAM[:-1]) == EVENTS[:-1]
    with pytest.raises(Truncated):
        splitter.rest()


@pytest.mark.parametrize(("size", "width"), [(15, 0), (16, 1), (MAX_EVENT_BYTES + 1, 0), (2**32 - 1, 8), (MAX_HEADER_BYTES + 20, MAX_HEADER_BYTES + 1)])
def test_lengths_that_cannot_be_are_refused_before_anything_is_kept(size: int, width: int) -> None:
    prelude = struct.pack("!II", size, width)
    with pytest.raises(BadAnswer, match="bytes with"):
        Splitter().feed(prelude + struct.pack("!I", zlib.crc32(prelude)))


@pytest.mark.parametrize("headers", [[("a", 10, b"")], [("a", 7, b"\xff\xff")], [("a", 5, b"1")], [("a", 7, b"\0")]])
def test_headers_that_cannot_be_read_are_refused(headers: list[Header]) -> None:
    with pytest.raises(BadAnswer, match="headers"):
        split(frame(headers, b"{}"))


def test_an_event_without_a_type_has_an_empty_one() -> None:
    assert split(frame([], b"x")) == [(b"", b"x")]
