"""What a request may cost, held before it is sent, and settled when it is over.

Metered mode: without a hard limit on the key's path nothing is held, nothing is refused, and cost is only added up. A
request may bring a ceiling of its own.
"""

from kilo_gateway.core.money import Nanos
from kilo_gateway.core.types import Call, Decision, Key
from kilo_gateway.ledger import ceiling


class MeteredLeases:
    """`settled` is what this worker has booked since it started."""

    def __init__(self) -> None:
        self.settled: Nanos = 0

    fitted = staticmethod(ceiling.fitted)
    output_cap = staticmethod(ceiling.output_cap)

    def hold(self, key: Key, call: Call, decision: Decision) -> Nanos:
        return 0

    def settle(self, key: Key, held: Nanos, cost: Nanos) -> None:
        self.settled += cost
