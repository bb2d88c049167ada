"""The service as callers see it. https://platform.openai.com/docs/api-reference/embeddings"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.ports import Translator
from kilo_gateway.core.types import Call, Endpoint, Extent
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.embeddings.sides import Side
from kilo_gateway.dialects.services import lacks

NAME = "embeddings"
_FORMATS = (b'"float"', b'"base64"', b"null")


class _Part(Struct):
    type: str = ""


class _Shown(Struct):
    content: list[_Part] = []


_decode_shown = msgspec.json.Decoder(list[_Shown]).decode
_decode_input = msgspec.json.Decoder(str | list[str | int | list[int] | dict[str, Raw]]).decode


class Embeddings:
    """`sides`: of each dialect of upstreams, how it is asked."""

    name = NAME
    makes_streams = False
    error_body, error_events = staticmethod(openai_chat.error_body), staticmethod(openai_chat.error_events)

    def __init__(self, sides: Mapping[str, Side]) -> None:
        self._sides = sides

    def open_body(self, body: bytes) -> Call:
        call = openai_chat.open_call(NAME, body)
        call.service, call.is_stream = NAME, False
        _check(call.fields)
        return call

    def extent(self, call: Call) -> Extent:
        kinds = _kinds(call.fields["input"])
        unbounded = next((f"a part of type {kind}" for kind in kinds if kind not in ("text", "image_url")), "")
        return Extent(kinds.count("image_url"), choices=1, cap=0, unbounded=unbounded)

    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        side = self._sides.get(endpoint.dialect)
        if side is None or endpoint.is_local:
            return f"{endpoint.provider} makes no embeddings"
        return lacks(NAME, endpoint) or side.obstacle(call, endpoint)

    def at_once(self, call: Call, endpoint: Endpoint) -> bytes:
        return b""

    def shape(self, call: Call, endpoint: Endpoint) -> bytes:
        return self._sides[endpoint.dialect].shape(call, endpoint)

    def translator(self, call: Call, endpoint: Endpoint, content_type: bytes) -> Translator:
        return self._sides[endpoint.dialect].translator(call, endpoint)


def _kinds(given: Raw) -> list[str]:
    """Of the parts that are embedded, where it is parts and not texts or tokens."""
    try:
        return [part.type for shown in _decode_shown(given) for part in shown.content]
    except msgspec.MsgspecError:
        return []


def _check(fields: Mapping[str, Raw]) -> None:
    """What every upstream would refuse, each in words of its own."""
    given = bytes(fields.get("input", b"null"))
    if given in (b"null", b"[]"):
        raise BadRequest("The field 'input' is missing: a text, a list of texts, or tokens.")
    try:
        _decode_input(given)
    except msgspec.MsgspecError as error:
        raise BadRequest("The field 'input' must be a text, a list of texts, or tokens.") from error
    dimensions = bytes(fields.get("dimensions", b"null"))
    if dimensions != b"null" and not (dimensions.isdigit() and int(dimensions) > 0):
        raise BadRequest("The field 'dimensions' must be a whole number above 0.")
    if bytes(fields.get("encoding_format", b"null")) not in _FORMATS:
        raise BadRequest("The field 'encoding_format' must be \"float\" or \"base64\".")
