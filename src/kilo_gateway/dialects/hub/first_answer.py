"""JSON that a model gives by calling a tool: the first such call is the answer, and what it says beside it is none of it."""

from collections.abc import Iterable, Iterator

from kilo_gateway.dialects.hub.answered import CallBegun, Cited, Event, Finished, TextDelta

_MOST_HELD = 1 << 20
_NONE = -1  # TextDelta.answer of what is no answer


class FirstAnswer:
    """Text is held until it is known whether the answer comes: a tool of the caller's that is called before it, the end,

    or too much text say that it does not. Then the text is let out, and what would still come as an answer is not.
    """

    def __init__(self) -> None:
        self._held: list[Event] = []
        self._size = 0
        self._is_known = False
        self._answer = _NONE

    def take(self, event: Event) -> Iterator[Event]:
        if isinstance(event, TextDelta) and event.answer != _NONE:
            yield from self._answered(event)
        elif isinstance(event, TextDelta | Cited):
            yield from self._said(event)
        else:
            if isinstance(event, CallBegun | Finished):
                yield from self._let_out()
            yield event

    def whole(self, events: Iterable[Event]) -> list[Event]:
        found = [kept for event in events for kept in self.take(event)]
        return [*found, *self._let_out()]

    def _answered(self, event: TextDelta) -> Iterator[Event]:
        if not self._is_known:
            self._is_known, self._answer, self._held = True, event.answer, []
        if event.answer == self._answer:
            yield event

    def _said(self, event: TextDelta | Cited) -> Iterator[Event]:
        if self._is_known:
            if self._answer == _NONE:
                yield event
            return
        self._held.append(event)
        self._size += len(event.text)
        if self._size > _MOST_HELD:
            yield from self._let_out()

    def _let_out(self) -> Iterator[Event]:
        self._is_known = True
        held, self._held = self._held, []
        yield from held
