"""What a worker and control tell each other over their socket: length, then MessagePack."""

import msgspec
from msgspec import Struct

LENGTH_BYTES = 4


class Hello(Struct, frozen=True, tag="hello"):
    """A worker: which slot it fills, and which snapshot it has."""

    slot: int
    pid: int
    version: int


class Ack(Struct, frozen=True, tag="ack"):
    version: int


class Stats(Struct, frozen=True, tag="stats"):
    """A worker's meters, once a second: name and labels -> value, counted since it started."""

    values: dict[str, int]


class Heard(Struct, frozen=True, tag="heard"):
    """Control, to each Stats: it lives. `trouble`: what it cannot do at the moment, in words that anybody may read."""

    trouble: str = ""


class Push(Struct, frozen=True, tag="push"):
    """Control: the newest snapshot (SnapshotData as MessagePack)."""

    snapshot: bytes


Message = Hello | Ack | Stats | Heard | Push

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def framed(message: Message) -> bytes:
    data = _encode(message)
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def read(data: bytes) -> Message:
    return _decoder.decode(data)
