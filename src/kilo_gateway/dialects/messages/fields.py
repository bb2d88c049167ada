"""A caller's fields, decoded one by one; what is wrong with one is told with its place."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from kilo_gateway.core import surrogates
from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.messages import shapes

_T = TypeVar("_T")
_EXPECTED = re.compile(r"Expected `(.+?)`, got `(.+?)`(?: - at `\$(.*)`)?").fullmatch
_MISSING = re.compile(r"Object missing required field `(.+?)`(?: - at `\$(.*)`)?").fullmatch
_WORDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
          "object": "an object", "null": ""}  # fmt: skip
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_block: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shapes.Block)


class Fields:
    def __init__(self, fields: Mapping[str, Raw]) -> None:
        self._fields = fields

    def __call__(
        self, name: str, decoder: msgspec.json.Decoder[_T], item: msgspec.json.Decoder[Any] = _block
    ) -> _T | None:
        """`item`: decodes one element of a field that is a list, to find out which is wrong."""
        raw = self._fields.get(name)
        if raw is None:
            return None
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise BadRequest(_blame(str(error), raw, name, item)) from error
        except RecursionError as error:
            raise BadRequest(f"{name} nests too deep.") from error
        except msgspec.MsgspecError as error:
            whole = surrogates.mended(bytes(raw))
            if whole is None:
                raise BadRequest(f"{name} cannot be read: {error}.") from error
            return Fields({name: Raw(whole)})(name, decoder, item)


def _blame(told: str, raw: Raw, place: str, item: msgspec.json.Decoder[Any]) -> str:
    """The decoder says `[...]` for an element; which one it is, is found by decoding each."""
    found = _EXPECTED(told) or _MISSING(told)
    path = (found[found.re.groups] if found is not None else None) or ""
    head, bracket, _ = path.partition("[...]")
    if not bracket:
        return _words(told, place)
    for member in head.split(".")[1:]:
        raw = _decode_object(raw)[member]
    for at, each in enumerate(_decode_list(raw)):
        try:
            item.decode(each)
        except msgspec.ValidationError as error:
            return _blame(str(error), each, f"{place}{head}[{at}]", _block)
    return _words(told, place)


def _words(told: str, place: str) -> str:
    if found := _EXPECTED(told):
        where = place + (found[3] or "")
        meant = " or ".join(word for kind in found[1].split(" | ") if (word := _WORDS.get(kind, kind)))
        if where.endswith("content"):
            meant = meant.replace("a list", "a list of parts").replace(" or an object", "")
        return f"{where} must be {meant}."
    if found := _MISSING(told):
        return f"{place}{found[2] or ''}.{found[1]} is missing."
    return f"{place} cannot be read: {told}."
