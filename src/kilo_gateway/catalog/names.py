"""From what a caller writes to the id of a row: prefixes, variants, aliases, successors, and the nearest names for errors.

The same for workers and for control, so that a model that is listed can be asked for, and the other way round.
"""

import difflib
import heapq
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from kilo_gateway.core.errors import ModelRetired, UnknownModel

VARIANTS = ("free", "nitro", "floor", "exacto", "online", "thinking", "extended")
PREFIXES = ("kilocode/", "kilo/")
AUTO = "kilo/auto"
TIER_PREFIX = "kilo-auto/"
RESERVED = (AUTO, "openrouter/auto")
_SHOWN = 200
_COMPARED = 24


def is_reserved(id: str) -> bool:
    """Whether the gateway's own router has this name."""
    return id in RESERVED or id.startswith(TIER_PREFIX)


class Named(Struct, frozen=True):
    """A row's id, and the variant that was asked for, if the row is not that variant itself."""

    id: str
    variant: str = ""


class Names:
    """`free`: ids of rows with an endpoint that costs nothing. `aliases` may lead to ids that are not there.

    `successors`: ids that are retired, with what took their place. `known`: ids that exist in the world, whether
    or not an upstream here serves them.
    """

    def __init__(
        self, ids: Collection[str], aliases: Mapping[str, str], successors: Mapping[str, str] | None = None,
        free: Collection[str] = (), known: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.ids = ids
        self.aliases = aliases
        self.successors = successors or {}
        self._free = free
        self.known = known

    def find(self, name: str) -> Named:
        """Exactly, else without one leading `kilocode/` or `kilo/`. Raises UnknownModel and ModelRetired."""
        found = self._look(name)
        if found is not None:
            return found
        for prefix in PREFIXES:
            if name.startswith(prefix) and (found := self._look(name.removeprefix(prefix))) is not None:
                return found
        raise self._missing(name)

    def near(self, name: str, count: int = 3) -> list[str]:
        """Ids that are spelled alike, the nearest first. Some ms for thousands: those that share letters are compared."""
        wanted = name[:_SHOWN].lower()
        pieces = {wanted[at : at + 3] for at in range(max(len(wanted) - 2, 1))}

        def shares(id: str) -> float:
            return sum(piece in id for piece in pieces) / (len(id) + len(pieces))

        alike = heapq.nlargest(_COMPARED, self.ids, key=shares)
        return difflib.get_close_matches(wanted, alike, n=count, cutoff=0.0)

    def _look(self, name: str) -> Named | None:
        if (id := self._row(name)) is not None:
            return Named(id)
        base, colon, variant = name.rpartition(":")
        if not colon or variant not in VARIANTS or (id := self._row(base)) is None:
            return None
        if variant == "free" and id not in self._free:
            if (retired := self._retired(name)) is not None:
                raise retired
            raise UnknownModel(
                f"{id} has no endpoint that is free. Ask for {id} to pay for it.", {"closest": [id], "variant": variant}
            )
        return Named(id, variant)

    def _row(self, name: str) -> str | None:
        if name in self.ids:
            return name
        id = self.aliases.get(name)
        return id if id is not None and id in self.ids else None

    def _missing(self, name: str) -> UnknownModel:
        plain = self._without_prefix(name)
        base = plain.rpartition(":")[0] if plain.rpartition(":")[2] in VARIANTS else plain
        if (retired := self._retired(plain) or self._retired(base)) is not None:
            return retired
        near = self.near(plain)
        closest = f" Closest: {', '.join(near)}." if near else ""
        facts: dict[str, Sequence[str]] = {"closest": near}
        if base in self.known or self.aliases.get(base) in self.known:
            return UnknownModel(f"No upstream here serves {plain[:_SHOWN]}. Add one that does.{closest}", facts)
        return UnknownModel(f"There is no model {name[:_SHOWN]!r}.{closest}", facts)

    def _retired(self, name: str) -> ModelRetired | None:
        successor = self.successors.get(self.aliases.get(name, name))
        if successor is None:
            return None
        where = "" if self._row(successor) else " No upstream here serves that one."
        return ModelRetired(f"{name} is no longer served. Its successor is {successor}.{where}", {"successor": successor})

    @staticmethod
    def _without_prefix(name: str) -> str:
        for prefix in PREFIXES:
            if name.startswith(prefix):
                return name.removeprefix(prefix)
        return name
