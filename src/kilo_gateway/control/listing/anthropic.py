"""The list as Anthropic words it: pages that go by ids."""

from collections.abc import Sequence

from starlette.datastructures import QueryParams

from kilo_gateway.catalog.catalogue import Entry
from kilo_gateway.control.listing.rows import iso_time, name
from kilo_gateway.control.views import View
from kilo_gateway.core.errors import BadRequest

DEFAULT_LIMIT, MAX_LIMIT = 20, 1000


def model(entry: Entry) -> View:
    """An unknown date is the epoch, as Anthropic has it."""
    facts = entry.facts
    return {
        "type": "model", "id": entry.id, "display_name": name(entry), "created_at": iso_time(facts.created or 0),
        "max_input_tokens": facts.context, "max_tokens": facts.max_output,
        "lifecycle": "active" if facts.expires is None else "deprecated",
    }  # fmt: skip


def page(entries: Sequence[Entry], params: QueryParams) -> View:
    """Raises BadRequest."""
    limit = _limit(params.get("limit", ""))
    after, before = params.get("after_id"), params.get("before_id")
    if after and before:
        raise BadRequest("Send after_id or before_id, not both.", {"parameter": "before_id"})
    if before:
        rest = entries[: _index(entries, "before_id", before)]
        part, has_more = rest[-limit:], len(rest) > limit
    else:
        rest = entries[_index(entries, "after_id", after) + 1 :] if after else entries
        part, has_more = rest[:limit], len(rest) > limit
    return {
        "data": [model(entry) for entry in part], "has_more": has_more, "first_id": part[0].id if part else None,
        "last_id": part[-1].id if part else None,
    }  # fmt: skip


def _limit(value: str) -> int:
    if not value:
        return DEFAULT_LIMIT
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and 1 <= int(value) <= MAX_LIMIT):
        raise BadRequest(f"limit is a whole number from 1 to {MAX_LIMIT}, not {value[:100]!r}.", {"parameter": "limit"})
    return int(value)


def _index(entries: Sequence[Entry], parameter: str, id: str) -> int:
    for index, entry in enumerate(entries):
        if entry.id == id:
            return index
    raise BadRequest(f"{parameter} is the id of a model in this list, not {id[:100]!r}.", {"parameter": parameter})
