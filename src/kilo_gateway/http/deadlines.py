"""One sweep for every wait, instead of a timer for each.

A waiter is a caller's connection, watched from its first to its last moment. It shows two fields, which whoever works for
it sets: `patience_s`, and `is_fresh`, True at any sign of life. The hot path never asks for the time: the sweep does, so
a wait ends up to one period late and never early. A waiter that is told of its silence may set a longer patience instead
of ending.
"""

from collections.abc import Callable
from typing import Protocol

SWEEP_S = 0.25


class Waiter(Protocol):
    is_fresh: bool
    patience_s: float

    def silent(self, seconds: float) -> None: ...
    def is_gone(self) -> bool: ...
    def abort(self) -> None: ...
    def progress(self) -> None: ...
    def close_if_idle(self) -> None: ...
    def cut(self) -> None: ...


class Deadlines:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[Waiter, float] = {}
        self._unread: set[Waiter] = set()

    def watch(self, waiter: Waiter) -> None:
        self._since[waiter] = 0.0
        waiter.is_fresh = True

    def forget(self, waiter: Waiter) -> None:
        self._since.pop(waiter, None)
        self._unread.discard(waiter)

    def look_after(self, waiter: Waiter) -> None:
        """Nobody reads from it for now, so nobody hears when it goes."""
        self._unread.add(waiter)

    def look_no_more(self, waiter: Waiter) -> None:
        self._unread.discard(waiter)

    def watched(self) -> list[Waiter]:
        return list(self._since)

    def count(self) -> int:
        return len(self._since)

    def sweep(self) -> None:
        for waiter in [each for each in self._unread if each.is_gone()]:
            waiter.abort()
        now = self._clock()
        for waiter, since in list(self._since.items()):
            if waiter.is_fresh:
                waiter.is_fresh = False
                self._since[waiter] = now
                waiter.progress()
            elif now - since > waiter.patience_s:
                waiter.silent(now - since)
