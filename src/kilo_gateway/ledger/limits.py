"""Requests in flight, by key. No key has a limit yet; what is counted here is what a drain waits for."""

from kilo_gateway.core.types import Key


class Counter:
    """One key's, and what an admission is: the exchange counts itself in and out."""

    __slots__ = ("in_flight",)

    def __init__(self) -> None:
        self.in_flight = 0


class Limits:
    def __init__(self) -> None:
        self._keys: dict[str, Counter] = {}

    def admit(self, key: Key, now: float) -> Counter:
        counter = self._keys.get(key.id)
        if counter is None:
            counter = self._keys[key.id] = Counter()
        return counter

    def in_flight(self) -> int:
        return sum(counter.in_flight for counter in self._keys.values())
