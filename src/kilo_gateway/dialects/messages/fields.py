"""A caller's fields, decoded one by one; what is wrong with one is told with its place."""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw

from kilo_gateway.core import surrogates
from kilo_gateway.core.errors import BadRequest

_T = TypeVar("_T")
_EXPECTED = re.compile(r"Expected `(.+?)`, got `(.+?)`(?: - at `\$(.*)`)?").fullmatch
_MISSING = re.compile(r"Object missing required field `(.+?)`(?: - at `\$(.*)`)?").fullmatch
_WORDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
          "object": "an object", "null": ""}  # fmt: skip


class Fields:
    def __init__(self, fields: Mapping[str, Raw]) -> None:
        self._fields = fields

    def __call__(self, name: str, decoder: msgspec.json.Decoder[_T]) -> _T | None:
        """None where there is none. Raises BadRequest."""
        raw = self._fields.get(name)
        if raw is None:
            return None
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise BadRequest(_words(str(error), name)) from error
        except RecursionError as error:
            raise BadRequest(f"{name} nests too deep.") from error
        except msgspec.MsgspecError as error:
            whole = surrogates.mended(bytes(raw))
            if whole is None:
                raise BadRequest(f"{name} cannot be read: {error}.") from error
            return Fields({name: Raw(whole)})(name, decoder)


def _words(told: str, name: str) -> str:
    if found := _EXPECTED(told):
        where = name + (found[3] or "")
        meant = " or ".join(word for kind in found[1].split(" | ") if (word := _WORDS.get(kind, kind)))
        if where.endswith("content"):
            meant = meant.replace("a list", "a list of parts").replace(" or an object", "")
        return f"{where} must be {meant}."
    if found := _MISSING(told):
        return f"{name}{found[2] or ''}.{found[1]} is missing."
    return f"{name} cannot be read: {told}."
