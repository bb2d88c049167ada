"""Which dialect meets which. The only file that knows them all."""

import re

import msgspec

from kilo_gateway.core.errors import BadAnswer, LoopDetected, UpstreamError
from kilo_gateway.core.ports import Translator
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.openai_chat import Problem
from kilo_gateway.dialects.relay import RelayBody, RelayStream
from kilo_gateway.dialects.troubles import told_by

_RETRY_AFTER = re.compile(r"[0-9A-Za-z ,:.+-]{1,64}").fullmatch
_of_its_limits = re.compile(r"context|image|audio|tool", re.IGNORECASE).search
_STREAM = b"text/event-stream"


class Bridge:
    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        """Why this endpoint cannot take the call, with the cure, or nothing."""
        if endpoint.dialect != call.dialect:
            return f"{call.dialect} requests cannot be sent to a {endpoint.dialect} upstream"
        if endpoint.is_demo and openai_chat.asks_for_tools(call):
            return f"the local demo model cannot call tools. {endpoint.cure}"
        if endpoint.is_local and _shows_something(call):
            return f"the local model takes text alone, no images and no audio. {endpoint.cure}".rstrip()
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
        if status < 400:
            cure = "redirects are never followed" if status >= 300 else "200 was expected"
            return BadAnswer(f"{endpoint.provider} answered {status}; {cure}.")
        problem = _read_error(body, status)
        if endpoint.is_demo and status == 400 and _of_its_limits(problem.message):
            problem = problem._replace(message=f"{problem.message.rstrip('.')}. {endpoint.cure}")
        refused = told_by(endpoint, status, problem, _sane(retry_after))
        if (status, problem.code) == (LoopDetected.status, LoopDetected.code):
            refused.status = status  # another gateway that met itself: the caller is told so, however many are between
        return refused


def _shows_something(call: Call) -> bool:
    """In a text these words would stand without their last quote: it would be escaped."""
    messages = bytes(call.fields.get("messages", b""))
    return b'"image_url"' in messages or b'"input_audio"' in messages


def _sane(retry_after: str) -> str:
    """Seconds or a date; anything else is not passed on."""
    return retry_after if _RETRY_AFTER(retry_after) else ""


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
    return Problem(message, openai_chat.NO_CODE)
