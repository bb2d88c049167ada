"""The dialects that callers speak, as the pipeline and the server use them. core.ports.CallerDialect."""

from collections.abc import Callable, Mapping

from msgspec import Raw

from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.types import Call, Extent
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.hub.answered import AnswerHead
from kilo_gateway.dialects.hub.asked import File, Image, Request, Video
from kilo_gateway.dialects.media import all_parts


class Caller:
    """One whose bodies are opened one level, and read whole only where they cross into another dialect.

    `check`: of what is refused even where nothing crosses.
    """

    def __init__(
        self, name: str, read_request: Callable[[Mapping[str, Raw]], Request], error_body: Callable[[GatewayError], bytes],
        error_events: Callable[[GatewayError, AnswerHead], bytes],
        check: Callable[[Mapping[str, Raw]], None] = lambda fields: None,
    ) -> None:  # fmt: skip
        self.name = name
        self._read_request = read_request
        self.error_body = error_body
        self._error_events = error_events
        self._check = check

    def open_body(self, body: bytes) -> Call:
        call = openai_chat.open_call(self.name, body)
        self._check(call.fields)
        return call

    def extent(self, call: Call) -> Extent:
        """Raises BadRequest for a body that cannot be read."""
        request = self._read_request(call.fields)
        parts = list(all_parts(request))
        unbounded = [f"a {type(part).__name__.lower()}" for part in parts if isinstance(part, File | Video)]
        unbounded += [name for name in request.lost if name.startswith("tools")]
        images = sum(isinstance(part, Image) for part in parts)
        return Extent(images, request.choices, request.max_tokens, unbounded[0] if unbounded else "")

    def error_events(self, error: GatewayError, answer_id: str, model: str, created: int) -> bytes:
        return self._error_events(error, AnswerHead(answer_id, created, model, ""))
