"""Who may run a request: everybody, as long as it can be written down what it costs. No key has a limit yet.

Requests in flight are counted by key; a drain waits for them.
"""

from kilo_gateway.core.errors import JournalFull
from kilo_gateway.core.types import Key
from kilo_gateway.ledger.journal import Journal


class Counter:
    """One key's, and what an admission is: the exchange counts itself in and out."""

    __slots__ = ("in_flight",)

    def __init__(self) -> None:
        self.in_flight = 0


class Limits:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._keys: dict[str, Counter] = {}

    def admit(self, key: Key, now: float) -> Counter:
        if self._journal.is_full:
            raise JournalFull("The gateway cannot write down what requests cost: its disk is full. Try again later.")
        counter = self._keys.get(key.id)
        if counter is None:
            counter = self._keys[key.id] = Counter()
        return counter

    def in_flight(self) -> int:
        return sum(counter.in_flight for counter in self._keys.values())
