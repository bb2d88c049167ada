"""Events put together to a whole answer."""

from collections.abc import Iterable
from typing import Literal

from msgspec.structs import replace

from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub.answered import (
    Answer,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Drawn,
    Event,
    Failed,
    Finished,
    RefusalDelta,
    Spoken,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.asked import Text, Thought, ToolCall


def fold(events: Iterable[Event]) -> Answer:
    """Pieces put together."""
    folding = _Folding()
    for event in events:
        folding.add(event)
    return folding.answer()


class _Folding:
    def __init__(self) -> None:
        self._begun = Begun()
        self._blocks: list[_Block] = []
        self._thoughts: dict[int, _Block] = {}
        self._calls: dict[int, _Block] = {}
        self._cited: list[Cited] = []
        self._refusal: list[str] = []
        self._spoken: list[Spoken] = []
        self._finished: Finished | None = None
        self._usage: Usage | None = None
        self._failed: Failed | None = None

    def add(self, event: Event) -> None:
        match event:
            case TextDelta(text=text):
                self._text().pieces.append(text)
            case ThoughtDelta():
                self._of(self._thoughts, event.index, "thought").take(event)
            case CallBegun():
                self._of(self._calls, event.index, "call").take(event)
            case CallDelta(index, arguments):
                self._of(self._calls, index, "call").pieces.append(arguments)
            case Drawn():
                self._blocks.append(_Block("drawn", drawn=event))
            case RefusalDelta(text):
                self._refusal.append(text)
            case _:
                self._add_beside(event)

    def _add_beside(self, event: Event) -> None:
        match event:
            case Begun():
                self._begun = event
            case Cited():
                self._cited.append(event)
            case Spoken():
                self._spoken.append(event)
            case Told(usage):
                self._usage = usage
            case Finished():
                self._finished = event
            case Failed():
                self._failed = event

    def answer(self) -> Answer:
        spoken = None
        if self._spoken:
            spoken = Spoken(
                "".join(each.data for each in self._spoken), "".join(each.transcript for each in self._spoken),
                next((each.format for each in self._spoken if each.format), ""),
                next((each.id for each in self._spoken if each.id), ""),
            )  # fmt: skip
        return Answer(
            begun=self._begun, blocks=tuple(block.whole() for block in self._blocks), refusal="".join(self._refusal),
            cited=tuple(self._cited), spoken=spoken, finished=self._finished, usage=self._usage, failed=self._failed,
        )  # fmt: skip

    def _text(self) -> "_Block":
        """Text that is not interrupted is one block."""
        if not self._blocks or self._blocks[-1].kind != "text":
            self._blocks.append(_Block("text"))
        return self._blocks[-1]

    def _of(self, known: dict[int, "_Block"], index: int, kind: Literal["thought", "call"]) -> "_Block":
        if index not in known:
            known[index] = _Block(kind)
            self._blocks.append(known[index])
        return known[index]


class _Block:
    def __init__(self, kind: Literal["text", "thought", "call", "drawn"], drawn: Drawn | None = None) -> None:
        self.kind = kind
        self.pieces: list[str] = []  # of text, or of arguments
        self._drawn = drawn
        self._summary: list[str] = []
        self._known: dict[str, str] = {}

    def take(self, event: ThoughtDelta | CallBegun) -> None:
        if isinstance(event, ThoughtDelta):
            self.pieces.append(event.text)
            self._summary.append(event.summary)
        names = [name for name in event.__struct_fields__ if name not in ("index", "text", "summary")]
        self._known |= {name: value for name in names if (value := getattr(event, name))}

    def whole(self) -> Text | Thought | ToolCall | Drawn:
        pieces = "".join(self.pieces)
        if self._drawn is not None:
            return self._drawn
        if self.kind == "thought":
            return Thought(pieces, "".join(self._summary), **self._known)  # type: ignore[arg-type]  # each is of the field's type
        if self.kind == "call":
            known = self._known
            made = ToolCall(known.get("id", ""), known.get("name", ""), pieces or "{}", known.get("signature", ""))
            return replace(made, origin=known["origin"]) if "origin" in known else made
        return Text(pieces)
