"""Both are answered as chats are, so the answer is relayed as one; what is asked has paths of its own.

https://docs.mistral.ai/api/#tag/fim  https://docs.inceptionlabs.ai (next edits)
"""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.ports import Translator
from kilo_gateway.core.types import Call, Endpoint, Extent
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.relay import RelayBody, RelayStream

FIM, EDIT = "fim", "edit"
MAX_TOKENS = 1_000
_SENT = frozenset({
    "prompt", "suffix", "messages", "max_tokens", "min_tokens", "stop", "stream", "temperature", "top_p", "random_seed",
    "presence_penalty", "frequency_penalty", "metadata",
})  # fmt: skip
_encode = msgspec.json.Encoder().encode
_count: msgspec.json.Decoder[int | None] = msgspec.json.Decoder(int | None)
_decode_text = msgspec.json.Decoder(str | None).decode


class _Message(msgspec.Struct):
    role: str
    content: Raw


_decode_messages = msgspec.json.Decoder(list[_Message]).decode


class Completing:
    """`check`: of a request's own fields; raises BadRequest."""

    makes_streams = False
    error_body, error_events = staticmethod(openai_chat.error_body), staticmethod(openai_chat.error_events)

    def __init__(self, name: str, check: Callable[[Mapping[str, Raw]], None]) -> None:
        self.name = name
        self._check = check

    def open_body(self, body: bytes) -> Call:
        call = openai_chat.open_call(self.name, body)
        call.service = self.name
        self._check(call.fields)
        call.fields["max_tokens"] = Raw(b"%d" % _most(call.fields))
        if "random_seed" not in call.fields and "seed" in call.fields:
            call.fields["random_seed"] = call.fields["seed"]
        return call

    def extent(self, call: Call) -> Extent:
        return Extent(images=0, choices=1, cap=_most(call.fields))

    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        if endpoint.dialect == openai_chat.NAME and endpoint.services and self.name in endpoint.services:
            return ""
        return f"{endpoint.model} has no {self.name}/completions there"

    def at_once(self, call: Call, endpoint: Endpoint) -> bytes:
        return b""

    def shape(self, call: Call, endpoint: Endpoint) -> bytes:
        """Upstreams refuse what they do not know, so no more than that is sent."""
        sent = {name: value for name, value in call.fields.items() if name in _SENT}
        call.dropped = tuple(name for name in call.fields if name not in _SENT and name not in ("model", "seed"))
        return _encode({"model": Raw(endpoint.model_json), **sent})

    def translator(self, call: Call, endpoint: Endpoint, content_type: bytes) -> Translator:
        return RelayBody(call, endpoint) if b"json" in content_type or not call.is_stream else RelayStream(call, endpoint)


def check_fim(fields: Mapping[str, Raw]) -> None:
    for name in ("prompt", "suffix"):
        try:
            text = _decode_text(fields.get(name, b"null"))
        except msgspec.MsgspecError as error:
            raise BadRequest(f"The field {name!r} must be a text.") from error
        if text is None and name == "prompt":
            raise BadRequest("The field 'prompt' is missing: the code before the place to fill.")


def check_edit(fields: Mapping[str, Raw]) -> None:
    if bytes(fields.get("stream", b"null")) not in (b"null", b"false"):
        raise BadRequest("An edit is not streamed; leave out 'stream'.")
    try:
        messages = _decode_messages(fields.get("messages", b"null"))
    except msgspec.MsgspecError as error:
        raise BadRequest("The field 'messages' must be a list of one message of the user.") from error
    if len(messages) != 1 or messages[0].role != "user":
        raise BadRequest("An edit takes exactly one message, and that of the user.")


def _most(fields: Mapping[str, Raw]) -> int:
    """Tokens of the answer. Raises BadRequest."""
    try:
        found = _count.decode(fields.get("max_tokens", b"null"))
    except msgspec.MsgspecError:
        found = 0
    if found is None:
        return MAX_TOKENS
    if not 0 < found <= MAX_TOKENS:
        raise BadRequest(f"The field 'max_tokens' must be a whole number from 1 to {MAX_TOKENS}.")
    return found
