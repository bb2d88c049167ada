"""From the bytes of an answer to the rows of the list in it, unread. Knows no shape of a row."""

import re

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.upstreams.lists.fields import Fields

_MAX_DEPTH = 32  # no list of models nests deeper than some six
_MAX_CUT_BYTES = 4 << 20  # what is larger and nests too deeply is not worth the time
_LIST = dict[str, Raw] | list[Raw]
# The end of a text is optional, and nothing is tried twice: one that never ends must not take quadratic time.
_TOKENS = re.compile(rb'"(?>[^"\\]+|\\.)*+"?|[\[\]{}]', re.DOTALL)

# Texts that were cut in the middle of an emoji have one half of a pair of surrogates: [1].
_ESCAPES = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)


def opened(body: bytes, key: str) -> tuple[list[Raw], Fields]:
    """The rows of the list that is `key` of an object, or all there is; and that object. Raises BadAnswer without one."""
    try:
        whole = _opened(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadAnswer(f"its answer is not a list of models: {error}") from error
    except RecursionError:
        raise BadAnswer("its answer is not a list of models: it nests too deeply") from None
    if isinstance(whole, list):
        return whole, Fields({})
    fields = Fields(whole)
    rows = fields.rows(key)
    if rows is None:
        raise BadAnswer("its answer is not a list of models")
    return rows, fields


def _opened(body: bytes) -> dict[str, Raw] | list[Raw]:
    """What the decoder gives up on because of one row is mended, and tried once more."""
    try:
        return _decode(body)
    except RecursionError:
        if len(body) > _MAX_CUT_BYTES:
            raise
        body = _cut(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        if b"\\u" not in body:
            raise
    return _decode(_ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], body))


def _decode(body: bytes) -> dict[str, Raw] | list[Raw]:
    whole: dict[str, Raw] | list[Raw] = msgspec.json.decode(body, type=_LIST)
    return whole


def _cut(body: bytes) -> bytes:
    """The same with null for what nests deeper than _MAX_DEPTH."""
    kept: list[bytes] = []
    depth = begin = 0
    for token in _TOKENS.finditer(body):
        first = body[token.start()]
        if first in b"[{":
            depth += 1
            if depth == _MAX_DEPTH + 1:
                kept += (body[begin : token.start()], b"null")
        elif first in b"]}":
            if depth == _MAX_DEPTH + 1:
                begin = token.end()
            depth -= 1
    return b"".join((*kept, body[begin:])) if depth <= _MAX_DEPTH else b""
