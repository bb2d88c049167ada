"""reasoning_details, both ways. https://openrouter.ai/docs/use-cases/reasoning-tokens"""

from collections.abc import Iterable, Sequence
from typing import get_args

from kilo_gateway.dialects.chat.shapes import Detail
from kilo_gateway.dialects.hub.asked import Format, Thought, ToolCall

Json = dict[str, object]
_FORMATS: tuple[Format, ...] = get_args(Format)
_GEMINI: Format = "google-gemini-v1"


class Details:
    """Of one answer. Each detail has a number of its own, in the order in which they begin; a piece has its detail's."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int | str, str], int] = {}

    def of(self, thought: Thought, index: int) -> list[Json]:
        """One for each kind of what is known of thought number `index`; clients send them back as they are."""
        details: list[Json] = []
        if thought.summary:
            details.append(self._made(thought, index, "summary", {"summary": thought.summary}))
        if thought.text or thought.signature:
            signature: Json = {"signature": thought.signature} if thought.signature else {}
            details.append(self._made(thought, index, "text", {"text": thought.text} | signature))
        if thought.encrypted:
            details.append(self._made(thought, index, "encrypted", {"data": thought.encrypted}))
        return details

    def of_call(self, call: ToolCall) -> list[Json]:
        """Gemini's signature of a call, for clients that keep details and nothing else: by the call's id."""
        if not call.signature:
            return []
        thought = Thought(encrypted=call.signature, format=_GEMINI, id=call.id)
        return [self._made(thought, call.id, "encrypted", {"data": call.signature})]

    def _made(self, thought: Thought, index: int | str, kind: str, said: Json) -> Json:
        number = self._numbers.setdefault((index, kind), len(self._numbers))
        common: Json = {"format": thought.format or "unknown", "index": number} | ({"id": thought.id} if thought.id else {})
        return {"type": f"reasoning.{kind}"} | said | common


def thoughts_of(details: Iterable[Detail]) -> Sequence[Thought]:
    """What belongs together is one: pieces of an index, and details of an id."""
    found: list[Thought] = []
    last: int | None = None
    for detail in details:
        made = Thought(
            detail.text or "", detail.summary or "", detail.signature or "", detail.data or "",
            format_of(detail), detail.id or "",
        )  # fmt: skip
        is_piece = last is not None and detail.index == last
        if found and _continues(found[-1], made, is_piece=is_piece):
            found[-1] = _joined(found[-1], made, "" if is_piece else "\n\n")
        else:
            found.append(made)
        last = detail.index
    return found


def format_of(detail: Detail) -> Format:
    return next((known for known in _FORMATS if known and known == detail.format), "unknown")


def _continues(before: Thought, made: Thought, *, is_piece: bool) -> bool:
    if before.format != made.format or (before.id and made.id and before.id != made.id):
        return False
    if (before.encrypted and made.encrypted) or (before.signature and (made.text or made.signature)):
        return False
    return is_piece or bool(made.id and made.id == before.id)


def _joined(before: Thought, made: Thought, gap: str) -> Thought:
    return Thought(
        (gap if before.text and made.text else "").join((before.text, made.text)),
        (gap if before.summary and made.summary else "").join((before.summary, made.summary)),
        before.signature or made.signature, before.encrypted or made.encrypted, made.format, before.id or made.id,
    )  # fmt: skip
