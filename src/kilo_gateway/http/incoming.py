"""One request as it comes in, and how much of it may come. Knows no connection and no parser."""

from msgspec import Struct

from kilo_gateway.core.errors import GatewayError, HeadersTooLarge, TooLarge, UriTooLong
from kilo_gateway.core.exchange import Caller
from kilo_gateway.core.ports import CallerDialect

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
MAX_TARGET_BYTES = 8 * 1024


class Request(Struct):
    id: bytes = b""  # the caller's own
    target: bytes = b""
    method: bytes = b""
    dialect: CallerDialect | None = None
    caller: Caller | None = None
    refusal: GatewayError | None = None
    parts: list[bytes] = []
    size: int = 0
    unseen: int = 0  # body bytes since the last sign of life
    headers: dict[bytes, bytes] | None = None  # only of what is passed on to control
    head_lines: bytes = b""  # for the answer
    encoding: bytes = b""
    hops: bytes = b""
    expects: bool = False
    offers_upgrade: bool = False
    keeps_alive: bool = True
    is_chunking: bool = True


def body_too_large() -> TooLarge:
    return TooLarge(f"A request body may have at most {MAX_BODY_BYTES} bytes.")


def head_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"A request may have {MAX_HEADERS} headers and {MAX_HEAD_BYTES} bytes of them.")


def target_too_long() -> UriTooLong:
    return UriTooLong(f"A path may have at most {MAX_TARGET_BYTES} bytes.")
