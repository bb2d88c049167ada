"""Where an upstream of each dialect takes requests, and how they are signed. The dialects themselves: dialects/table.py."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from msgspec import Struct

from kilo_gateway.core.types import Endpoint

_JSON = b"Content-Type: application/json\r\n"
_decode_name = msgspec.json.Decoder(str).decode


class Door(Struct, frozen=True):
    """Paths stand behind the base URL; {model} is the upstream's own name of it. `stream_path`: where streams have another.

    `key_line`: what the credential stands behind; `lines`: more of the head; `services`: paths of what is no chat.
    """

    path: str
    stream_path: str = ""
    key_line: str = "Authorization: Bearer "
    lines: str = ""
    services: Mapping[str, str] = {}

    def paths(self, base: str, model: str) -> tuple[str, str]:
        """Of answers and of streams; the latter empty where both are the same."""
        return base + _filled(self.path, model), base + _filled(self.stream_path, model) if self.stream_path else ""

    def credential_lines(self, credential: str) -> str:
        return (f"{self.key_line}{credential}\r\n" if credential else "") + self.lines


DOORS = {
    "openai-chat": Door(
        "/chat/completions",
        services={
            "embeddings": "/embeddings", "fim": "/fim/completions", "edit": "/edit/completions",
            "transcription": "/audio/transcriptions",
        },
    ),
    "openai-responses": Door("/responses", services={"embeddings": "/embeddings", "transcription": "/audio/transcriptions"}),
    "anthropic-messages": Door(
        "/messages", key_line="x-api-key: ", lines="anthropic-version: 2023-06-01\r\n",
        services={"count_tokens": "/messages/count_tokens"},
    ),
    "gemini": Door(
        "/models/{model}:generateContent", "/models/{model}:streamGenerateContent?alt=sse", key_line="x-goog-api-key: ",
        services={"embeddings": "/models/{model}:batchEmbedContents"},
    ),
    "cohere": Door("/chat", services={"embeddings": "/embed"}),
    "bedrock-converse": Door(
        "/model/{model}/converse", "/model/{model}/converse-stream", services={"embeddings": "/model/{model}/invoke"}
    ),
}


def readdressed(endpoint: Endpoint, service: str, content_type: bytes) -> bytes:
    """The head of a request to an endpoint for something else than chat.

    Made when it is needed: few requests are such, and a second head for every model would double what the snapshot weighs.
    """
    door, name = DOORS[endpoint.dialect], _decode_name(endpoint.model_json)
    line, rest = endpoint.head.split(b"\r\n", 1)
    own = (endpoint.services or {}).get(service)
    if own:
        before, wanted, after = b"POST ", own.encode(), b" HTTP/1.1"
    else:
        chat, wanted = (_filled(path, name).encode() for path in (door.path, door.services[service]))
        before, _, after = line.rpartition(chat)
    if content_type:
        rest = rest.replace(_JSON, b"Content-Type: %b\r\n" % content_type)
    return before + wanted + after + b"\r\n" + rest


def _filled(path: str, model: str) -> str:
    return path.format(model=quote(model.removeprefix("models/"), safe="@"))  # Vertex: claude-x@20260101
