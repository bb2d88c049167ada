"""A relayed request without reasoning that an upstream would look up by its id, and not find: nothing is stored.

All else stays byte for byte.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core.types import Endpoint
from kilo_gateway.dialects.responses import envelope

_MARK = b'"reasoning"'  # in a text its last quote would be escaped
_TOLD = ("input: reasoning without its encrypted part left out",)


class _Thought(Struct):
    type: str = ""
    id: str | None = None
    content: list[Raw] | None = None
    encrypted_content: str | None = None
    signature: str | None = None


_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_thought = msgspec.json.Decoder(_Thought).decode
_encode = msgspec.json.Encoder().encode


def without_dangling(fields: Mapping[str, Raw], endpoint: Endpoint) -> tuple[dict[str, Raw], tuple[str, ...]] | None:
    """The request's fields anew, and what was changed in them; None: there is nothing to change, or it cannot be read."""
    given = bytes(fields.get("input", b""))
    if _MARK not in given:
        return None
    try:
        items = _decode_list(given)
        kept = [each for each in items if not (_MARK in bytes(each) and _dangles(each, endpoint))]
    except (msgspec.MsgspecError, RecursionError):
        return None  # it is the upstream's to say what is wrong with it
    return None if len(kept) == len(items) else ({**fields, "input": Raw(_encode(kept))}, _TOLD)


def _dangles(raw: Raw, endpoint: Endpoint) -> bool:
    """Servers of open models, which are not strict, give thoughts as plain text, and take their own back."""
    try:
        thought = _decode_thought(raw)
    except msgspec.ValidationError:
        return False  # an item of another type, or none
    if thought.type != "reasoning" or thought.encrypted_content or thought.signature:
        return False
    return endpoint.is_strict or not thought.content or (thought.id or "").startswith(envelope.OWN_ID)
