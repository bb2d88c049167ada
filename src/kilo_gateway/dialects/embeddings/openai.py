"""Embeddings of upstreams that have OpenAI's: the request is spliced, the answer gets its model, provider and cost."""

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.pipeline import cost_of
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.embeddings import asked
from kilo_gateway.dialects.gathered import Unspoken
from kilo_gateway.dialects.troubles import opened

_encode = msgspec.json.Encoder().encode
# Meant for routers such as OpenRouter, which tell what they charged; others refuse what they do not know.
_OF_ROUTERS = ("provider", "session_id", "trace")


class _Row(Struct):
    embedding: Raw
    index: Raw = Raw(b"0")


_decode_rows = msgspec.json.Decoder(list[_Row]).decode


class OpenAISide:
    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        return ""

    def shape(self, call: Call, endpoint: Endpoint) -> bytes:
        fields = call.fields
        if not endpoint.is_cost_reported:
            call.dropped = tuple(name for name in _OF_ROUTERS if name in fields)
            fields = {name: value for name, value in fields.items() if name not in call.dropped}
        return _encode({**fields, "model": Raw(endpoint.model_json)})

    def translator(self, call: Call, endpoint: Endpoint) -> "Body":
        return Body(call, endpoint)


class Body(Unspoken):
    """One JSON answer, kept until whole. Vectors are not looked into."""

    def __init__(self, call: Call, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._call = call
        self._usage: Usage | None = None

    def finish(self) -> bytes:
        endpoint = self._endpoint
        fields = opened(endpoint, self._gathered.whole())
        if bytes(fields.get("data", b"null")) in (b"[]", b"null"):
            raise BadAnswer(f"{endpoint.provider} answered without an embedding.")
        if asked.wants_base64(self._call.fields):
            fields["data"] = self._packed(fields["data"])
        self.upstream_id = openai_chat.id_of(fields["id"]) if "id" in fields else ""
        self._usage = usage = openai_chat.read_usage(fields["usage"], endpoint) if "usage" in fields else None
        usage = self.used()
        self.cost = cost_of(usage, endpoint, self._call.at_ms)
        return openai_chat.stamped(fields, usage, self.cost, endpoint)

    def _packed(self, data: Raw) -> Raw:
        """Some upstreams answer with numbers, whatever they are asked for."""
        try:
            rows = _decode_rows(data)
        except msgspec.MsgspecError as error:
            raise BadAnswer(f"{self._endpoint.provider} answered with something that is no embeddings.") from error
        if not any(asked.is_list(row.embedding) for row in rows):
            return data
        return Raw(_encode([
            {"object": "embedding", "index": row.index, "embedding": asked.packed(row.embedding, self._endpoint)}
            for row in rows
        ]))  # fmt: skip

    def used(self) -> Usage:
        usage = self._usage
        if usage is None:
            return Usage(self._call.estimated_prompt_tokens(self._endpoint), 0, is_estimated=True)
        return usage
