"""Marks up to which a prompt may be kept. https://platform.claude.com/docs/en/build-with-claude/prompt-caching"""

from collections.abc import Iterable

from kilo_gateway.dialects.hub.asked import Cache
from kilo_gateway.dialects.hub.notes import Notes

Json = dict[str, object]
MAX_MARKS = 4
_HOUR = "1h"


def marked(block: Json, cache: Cache | None) -> Json:
    if cache is not None:
        block["cache_control"] = control(cache)
    return block


def control(cache: Cache) -> Json:
    return {"type": "ephemeral", "ttl": cache.ttl} if cache.ttl else {"type": "ephemeral"}


def limit(blocks: Iterable[Json], allowed: int, notes: Notes) -> int:
    """How many marks are left. `blocks`: in the order of the prompt. The last marks keep the most, so they stay."""
    found = [each for each in _within(blocks) if "cache_control" in each]
    surplus = len(found) - allowed
    if surplus > 0:
        notes.change(f"cache: the first {surplus} of {len(found)} marks left out, for {MAX_MARKS} may be")
        for block in found[:surplus]:
            del block["cache_control"]
        found = found[surplus:]
    is_short = False
    for block in found:
        is_hour = block["cache_control"] == {"type": "ephemeral", "ttl": _HOUR}
        if is_hour and is_short:  # the API refuses a longer time behind a shorter
            block["cache_control"] = {"type": "ephemeral"}
            notes.change("cache: 1h behind 5m shortened to 5m")
        is_short = is_short or not is_hour
    return len(found)


def _within(blocks: Iterable[Json]) -> Iterable[Json]:
    for block in blocks:
        content = block.get("content")
        if isinstance(content, list):
            yield from content
        yield block
