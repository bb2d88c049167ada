"""Which dialect meets which. The only file that knows them all."""

import msgspec

from kilo_gateway.core.errors import BadAnswer, LoopDetected, UpstreamError, UpstreamRefused
from kilo_gateway.core.ports import Translator
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.openai_chat import Problem
from kilo_gateway.dialects.relay import RelayBody, RelayStream

_OWN_STANDING = {
    401: "refused the gateway's credential",
    402: "wants payment from the gateway's account",
    403: "refused the gateway's credential",
}
_MAX_MESSAGE = 2_000
_STREAM = b"text/event-stream"


class Bridge:
    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        """Why this endpoint cannot take the call, with the cure, or nothing."""
        if endpoint.dialect != call.dialect:
            return f"{call.dialect} requests cannot be sent to a {endpoint.dialect} upstream"
        if endpoint.is_demo and openai_chat.asks_for_tools(call):
            return f"the local demo model cannot call tools. {endpoint.cure}"
        return ""

    shape = staticmethod(openai_chat.splice)

    def translator(self, call: Call, endpoint: Endpoint, content_type: bytes) -> Translator:
        """Raises BadAnswer when the answer is not of the kind that was asked for."""
        if not call.is_stream:
            if content_type.startswith(_STREAM):
                raise BadAnswer(f"{endpoint.provider} streamed an answer that was not to be streamed.")
            return RelayBody(call, endpoint)
        if b"json" in content_type:
            return _Unstreamed(call, endpoint)
        if b"html" in content_type:
            raise BadAnswer(f"{endpoint.provider} answered a streaming request with {content_type.decode('latin-1')}.")
        return RelayStream(call, endpoint)

    def refused(self, endpoint: Endpoint, status: int, body: bytes, retry_after: str) -> UpstreamError:
        """An error answer of an upstream. What it says of our own credential is not the caller's to read."""
        if status in _OWN_STANDING:
            return UpstreamRefused(endpoint.provider, status, f"{endpoint.provider} {_OWN_STANDING[status]} ({status}).")
        if status < 400:
            return BadAnswer(f"{endpoint.provider} answered {status}; redirects are never followed.")
        problem = _read_error(body, status)
        message = problem.message[:_MAX_MESSAGE]
        if endpoint.is_demo and status == 400:
            message = f"{message.rstrip('.')}. {endpoint.cure}"
        refused = UpstreamRefused(endpoint.provider, status, message, code=problem.code, retry_after=retry_after)
        if (status, problem.code) == (LoopDetected.status, LoopDetected.code):
            refused.status = status  # another gateway that met itself: the caller is told so, however many are between
        return refused


class _Unstreamed(RelayBody):
    """A JSON answer to a streaming request: of use only for the error that may be in it."""

    def finish(self) -> bytes:
        super().finish()
        raise BadAnswer(f"{self._endpoint.provider} answered a streaming request with one JSON body.")


def _read_error(body: bytes, status: int) -> Problem:
    """However it is worded: OpenAI's object, a message or detail at the top, or plain text."""
    event = openai_chat.read_event(body)
    if event is not None and (problem := openai_chat.error_of(event.error)) is not None:
        return problem
    try:
        loose = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        loose = {}
    message = loose.get("message") or loose.get("detail")
    if not isinstance(message, str):
        message = body[:500].decode("utf-8", "replace").strip() or f"status {status}"
    return Problem(message, "upstream_error")
