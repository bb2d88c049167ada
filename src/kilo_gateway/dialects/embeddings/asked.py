"""What is to be embedded, read for upstreams whose embeddings are not OpenAI's, and how much of it has come back."""

import struct
from base64 import b64encode
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core.errors import BadAnswer, BadRequest
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint

MAX_TEXTS = 2048  # as OpenAI has it; some upstreams take one at a time
_decode_input = msgspec.json.Decoder(str | list[str]).decode
_decode_name = msgspec.json.Decoder(str | None).decode
_decode_count = msgspec.json.Decoder(int | None).decode
_decode_floats = msgspec.json.Decoder(list[float]).decode
_BRACKET = ord("[")
_ABSENT = Raw(b"null")


class Asked(Struct):
    """`vectors`: of the first of `texts`, as far as they have come; `usage`: of those."""

    texts: Sequence[str]
    input_type: str | None
    dimensions: int | None
    is_base64: bool
    vectors: list[Raw] = []
    usage: Usage = Usage()

    def part(self, most: int) -> Sequence[str]:
        """The texts to ask for next."""
        begin = len(self.vectors)
        return self.texts[begin : begin + most]


def asked_of(call: Call) -> Asked:
    """Read once for each call. Raises BadRequest."""
    if not isinstance(call.payload, Asked):
        call.payload = _read(call.fields)
    return call.payload


def is_text(fields: Mapping[str, Raw]) -> bool:
    """Not tokens, which are those of one model alone, and not parts."""
    try:
        _decode_input(fields["input"])
    except msgspec.MsgspecError:
        return False
    return True


def wants_base64(fields: Mapping[str, Raw]) -> bool:
    return bytes(fields.get("encoding_format", b"null")) == b'"base64"'


def is_list(vector: Raw) -> bool:
    """Of numbers, if it is one at all: that is looked into only where it has to be packed."""
    return memoryview(vector)[0] == _BRACKET


def packed(vector: Raw, endpoint: Endpoint) -> Raw:
    """In base64, as 32-bit floats, little end first."""
    try:
        floats = _decode_floats(vector)
        data = struct.pack(f"<{len(floats)}f", *floats)
    except (msgspec.MsgspecError, struct.error, OverflowError) as error:
        raise BadAnswer(f"{endpoint.provider} answered with a vector that is none.") from error
    return Raw(b'"%b"' % b64encode(data))


def estimated(texts: Sequence[str]) -> int:
    """A token for each four bytes."""
    return sum(-(-len(text.encode()) // 4) for text in texts)


def _read(fields: Mapping[str, Raw]) -> Asked:
    try:
        given = _decode_input(fields["input"])
        input_type = _decode_name(fields.get("input_type", _ABSENT))
        dimensions = _decode_count(fields.get("dimensions", _ABSENT))
    except msgspec.MsgspecError as error:
        raise BadRequest(f"A field of this request for embeddings has the wrong type: {error}.") from error
    texts = [given] if isinstance(given, str) else given
    if len(texts) > MAX_TEXTS:
        raise BadRequest(f"The field 'input' may have {MAX_TEXTS} texts, not {len(texts)}.")
    return Asked(texts, input_type, dimensions, wants_base64(fields))
