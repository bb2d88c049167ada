"""What a refresh has changed: models that are new, gone, or have another price. Kept until the next change."""

from collections.abc import Iterable, Mapping
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


def between(before: Catalogue, after: Catalogue) -> dict[str, Changes]:
    """By the upstream whose list brought them. Rows of the bundle are always there and do not count."""
    old, new = _rows(before), _rows(after)
    names = {place.upstream for entry in (*old.values(), *new.values()) for place in entry.places}
    found = {name: _of_one(name, old, new, after.built_at) for name in sorted(names)}
    return {name: changes for name, changes in found.items() if changes}


def _of_one(upstream: str, old: Mapping[str, Entry], new: Mapping[str, Entry], at: int) -> Changes:
    prices = [
        PriceChange(id, upstream, was[upstream], now[upstream])
        for id, entry in new.items()
        if id in old
        and upstream in (now := _prices(entry))
        and upstream in (was := _prices(old[id]))
        and was[upstream] != now[upstream]
    ]
    added = [id for id, entry in new.items() if id not in old and upstream in _prices(entry)]
    removed = [id for id, entry in old.items() if id not in new and upstream in _prices(entry)]
    return Changes(at, tuple(added), tuple(removed), tuple(prices))


class Diary:
    """The last changes of each upstream's list, in a file: lists come one by one, and each is its own refresh."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._of = msgspec.msgpack.decode(path.read_bytes(), type=dict[str, Changes])
        except (OSError, msgspec.MsgspecError):
            self._of = {}

    @property
    def last(self) -> Changes:
        """Of all of them together."""
        told = self._of.values()
        return Changes(
            max((each.at for each in told), default=0), _once(each.new for each in told), _once(each.gone for each in told),
            tuple(price for each in told for price in each.price),
        )  # fmt: skip

    def note(self, changes: Mapping[str, Changes]) -> None:
        if changes:
            self._of |= changes
            write_privately(self._path, msgspec.msgpack.encode(self._of))


def _once(ids: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id for each in ids for id in each))


def _rows(catalogue: Catalogue) -> Mapping[str, Entry]:
    return {id: entry for id, entry in catalogue.entries.items() if entry.source != "bundle"}


def _prices(entry: Entry) -> dict[str, Price | None]:
    return {place.upstream: place.facts.price for place in entry.places}
