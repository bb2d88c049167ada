"""Counted by the provider where he counts, else estimated here, which the answer says.

https://docs.anthropic.com/en/api/messages-count-tokens
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadAnswer, BadRequest, GatewayError
from kilo_gateway.core.ports import Translator
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint, Extent
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.gathered import Unspoken
from kilo_gateway.dialects.hub.answered import AnswerHead
from kilo_gateway.dialects.messages import writing
from kilo_gateway.dialects.messages.sending import VERTEX_VERSION

NAME = "count_tokens"
COUNTS = "anthropic-messages"  # the dialect of upstreams that do
_encode = msgspec.json.Encoder().encode
_is_list = msgspec.json.Decoder(list[Raw]).decode


class Counting:
    name = NAME
    makes_streams = False
    error_body = staticmethod(writing.error_body)

    def error_events(self, error: GatewayError, answer_id: str, model: str, created: int) -> bytes:
        return writing.error_events(error, AnswerHead(answer_id, created, model, ""))

    def open_body(self, body: bytes) -> Call:
        call = openai_chat.open_call(NAME, body)
        call.service, call.is_stream = NAME, False
        _check(call.fields)
        return call

    def extent(self, call: Call) -> Extent:
        return Extent(images=0, choices=0, cap=0)

    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        return ""

    def at_once(self, call: Call, endpoint: Endpoint) -> bytes:
        """An estimate, where the upstream is not asked; else nothing."""
        if endpoint.dialect == COUNTS:
            return b""
        return _encode({"input_tokens": call.estimated_prompt_tokens(endpoint), "estimated": True})

    def shape(self, call: Call, endpoint: Endpoint) -> bytes:
        fields = {name: value for name, value in call.fields.items() if name != "stream"}
        version = {"anthropic_version": Raw(VERTEX_VERSION)} if endpoint.platform == "vertex" else {}
        return _encode({**fields, "model": Raw(endpoint.model_json), **version})

    def translator(self, call: Call, endpoint: Endpoint, content_type: bytes) -> Translator:
        return _Count(endpoint)


class _Count(Unspoken):
    """The provider's answer, as it is. It costs nothing."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.cost = 0

    def finish(self) -> bytes:
        body = self._gathered.whole()
        fields = openai_chat.open_answer(body)
        if fields is None or not bytes(fields.get("input_tokens", b"")).isdigit():
            raise BadAnswer(f"{self._endpoint.provider} answered without a count.")
        return body

    def used(self) -> Usage:
        return Usage()


def _check(fields: Mapping[str, Raw]) -> None:
    try:
        messages = _is_list(fields.get("messages", b"null"))
    except msgspec.MsgspecError as error:
        raise BadRequest("The field 'messages' must be a list.") from error
    if not messages:
        raise BadRequest("The field 'messages' has no message in it.")
