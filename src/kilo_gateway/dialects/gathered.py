"""A JSON answer on its way in: kept until whole, so that a broken one can still be tried elsewhere."""

from kilo_gateway.core.errors import BadAnswer, GatewayError
from kilo_gateway.core.money import Nanos
from kilo_gateway.core.types import Endpoint
from kilo_gateway.dialects.finishing import UNKNOWN
from kilo_gateway.dialects.sse import BYTE_ORDER_MARK

MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Gathered:
    def __init__(self, endpoint: Endpoint) -> None:
        self._provider = endpoint.provider
        self._parts: list[bytes] = []
        self.size = 0

    def feed(self, data: bytes) -> bytes:
        """Nothing to let out. Raises BadAnswer when it is too much."""
        self._parts.append(data)
        self.size += len(data)
        if self.size > MAX_ANSWER_BYTES:
            self._parts.clear()
            raise BadAnswer(f"{self._provider}'s answer has more than {MAX_ANSWER_BYTES} bytes.")
        return b""

    def whole(self) -> bytes:
        """Without the mark of the byte order that some put in front of JSON."""
        return (self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)).removeprefix(BYTE_ORDER_MARK)


class Unspoken:
    """What those answers to services have alike that are one JSON body without words. Lacks `finish` and `used`."""

    is_done = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._gathered = Gathered(endpoint)
        self.feed = self._gathered.feed
        self.cost: Nanos | None = None
        self.upstream_id = ""

    def held(self) -> bytes:
        return b""

    def failure(self, error: GatewayError) -> bytes:
        return b""

    def finish_reason(self) -> tuple[str, str]:
        return UNKNOWN

    def estimated_output_tokens(self) -> int:
        return 0
