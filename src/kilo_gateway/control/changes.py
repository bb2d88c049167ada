"""What a refresh has changed: models that are new, gone, or have another price. Kept until the next change."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from kilo_gateway.catalog.catalogue import Catalogue, Entry
from kilo_gateway.catalog.files import write_privately
from kilo_gateway.core.price import Price


class PriceChange(Struct, frozen=True):
    """Of one place of a model. None: unknown."""

    id: str
    upstream: str
    before: Price | None
    after: Price | None


class Changes(Struct, frozen=True):
    """`at`: Unix seconds, 0 when nothing has changed yet."""

    at: int = 0
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    price: tuple[PriceChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.price)


def between(before: Catalogue, after: Catalogue) -> Changes:
    """Rows of the bundle are always there and do not count."""
    old, new = _rows(before), _rows(after)
    prices = [
        PriceChange(id, upstream, was, price)
        for id, entry in new.items()
        if id in old
        for upstream, price in _prices(entry).items()
        if (was := _prices(old[id]).get(upstream, price)) != price
    ]
    added, removed = [id for id in new if id not in old], [id for id in old if id not in new]
    return Changes(after.built_at, tuple(added), tuple(removed), tuple(prices))


class Diary:
    """The last changes, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.last = msgspec.msgpack.decode(path.read_bytes(), type=Changes)
        except (OSError, msgspec.MsgspecError):
            self.last = Changes()

    def note(self, changes: Changes) -> None:
        if changes:
            self.last = changes
            write_privately(self._path, msgspec.msgpack.encode(changes))


def _rows(catalogue: Catalogue) -> Mapping[str, Entry]:
    return {id: entry for id, entry in catalogue.entries.items() if entry.source != "bundle"}


def _prices(entry: Entry) -> dict[str, Price | None]:
    return {place.upstream: place.facts.price for place in entry.places}
