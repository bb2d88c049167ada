"""What a list of models comes to: rows of facts, what was left out and why, and where it goes on."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

from msgspec import Raw, Struct

from kilo_gateway.catalog.facts import Facts
from kilo_gateway.catalog.names import is_reserved
from kilo_gateway.upstreams.lists.fields import Fields

Kind = Literal["openai", "anthropic", "gemini", "ollama"]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_DIALECT: dict[str, Kind] = {"openai-chat": "openai", "anthropic-messages": "anthropic", "gemini": "gemini"}

MAX_NOTES = 20
MAX_ID = 200


class Row(Struct, frozen=True):
    """`listed_id`: what the upstream calls it, and wants to read in requests. `aliases`: what it says is the same."""

    listed_id: str
    facts: Facts
    aliases: tuple[str, ...] = ()


class Listing(Struct, frozen=True):
    """`dropped` rows are not among `rows`; `unpriced` are, without the price, which could not be read.

    `notes` says "id or position: reason" for the first of both. `next`: what asks for the next page; asking.py knows how.
    """

    rows: tuple[Row, ...]
    dropped: int = 0
    unpriced: int = 0
    notes: tuple[str, ...] = ()
    next: str | None = None


class Unpriced(Exception):
    """A price that is there and cannot be read. `row` is the row without it."""

    def __init__(self, row: Row, reason: str) -> None:
        super().__init__(reason)
        self.row = row


def collected(raws: Sequence[Raw], row_of: Callable[[Fields], Row | None], next: str | None = None) -> Listing:
    """Each id once, the first row that is valid. `row_of` gives None for what is to be passed over, and raises

    ValueError for a row that cannot be used, with the reason, and Unpriced.
    """
    found = _Collection()
    for position, raw in enumerate(raws):
        fields = Fields.of(raw)
        try:
            if fields is None:
                raise ValueError("this is not an object")
            row = row_of(fields)
        except Unpriced as error:
            found.add_unpriced(error.row, str(error))
        except ValueError as error:
            found.drop(f"row {position}: {error}")
        else:
            if row is not None:
                found.add(row)
    return Listing(tuple(found.rows.values()), found.dropped, len(found.unpriced), tuple(found.notes[:MAX_NOTES]), next)


class _Collection:
    """Rows by id. One whose price cannot be read gives way to a later one of its id that is whole."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.unpriced: set[str] = set()
        self.notes: list[str] = []
        self.dropped = 0

    def add(self, row: Row) -> None:
        id = row.listed_id
        if is_reserved(id):
            return
        if id in self.rows and id not in self.unpriced:
            self.drop(f"{id}: it is listed twice")
            return
        self.rows[id] = row
        self.unpriced.discard(id)

    def add_unpriced(self, row: Row, reason: str) -> None:
        id = row.listed_id
        if is_reserved(id):
            return
        if id in self.rows:
            self.drop(f"{id}: it is listed twice")
            return
        self.rows[id] = row
        self.unpriced.add(id)
        self.notes.append(f"{id}: {reason}")

    def drop(self, note: str) -> None:
        self.dropped += 1
        self.notes.append(note)


def joined(pages: Iterable[Listing]) -> Listing:
    """Of all pages: each id once, the first."""
    rows: dict[str, Row] = {}
    notes: list[str] = []
    dropped = unpriced = 0
    for page in pages:
        for row in page.rows:
            if rows.setdefault(row.listed_id, row) is not row:
                dropped += 1
                notes.append(f"{row.listed_id}: it is listed twice")
        dropped += page.dropped
        unpriced += page.unpriced
        notes += page.notes
    return Listing(tuple(rows.values()), dropped, unpriced, tuple(notes[:MAX_NOTES]))


def id_of(fields: Fields, key: str) -> str:
    """Raises ValueError, with the reason, for what cannot be an id."""
    id = fields.string(key)
    if id is None:
        raise ValueError(f"its {key} is missing, or not a text")
    if not id.strip():
        raise ValueError(f"its {key} is blank")
    if len(id) > MAX_ID:
        raise ValueError(f"its {key} is longer than {MAX_ID} characters")
    if not id.isprintable() or "\ufffd" in id:
        raise ValueError(f"its {key} has characters that cannot be printed")
    return id
