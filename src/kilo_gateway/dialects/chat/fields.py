"""Members of a request, decoded one by one, so that an error names its field."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest

_T = TypeVar("_T")


class Fields:
    def __init__(self, fields: Mapping[str, Raw]) -> None:
        self._fields = fields

    def __call__(self, name: str, decoder: msgspec.json.Decoder[_T]) -> _T | None:
        raw = self._fields.get(name)
        if raw is None:
            return None
        try:
            return decoder.decode(raw)
        except (msgspec.MsgspecError, RecursionError) as error:
            where = str(error).replace("$", name, 1) if "`$" in str(error) else f"{name}: {error}"
            raise BadRequest(f"The field {name!r} cannot be read: {where}.") from error

    def raw(self, name: str) -> Raw | None:
        raw = self._fields.get(name)
        return None if raw is None or bytes(raw) in (b"null", b"{}") else raw
