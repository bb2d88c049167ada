"""Where an upstream of each dialect takes requests, and how they are signed. The dialects themselves: dialects/table.py."""

from urllib.parse import quote

from msgspec import Struct


class Door(Struct, frozen=True):
    """Paths stand behind the base URL; {model} is the upstream's own name of it. `stream_path`: where streams have another.

    `key_line`: what the credential stands behind; `lines`: more of the head.
    """

    path: str
    stream_path: str = ""
    key_line: str = "Authorization: Bearer "
    lines: str = ""

    def paths(self, base: str, model: str) -> tuple[str, str]:
        """Of answers and of streams; the latter empty where both are the same."""
        name = quote(model.removeprefix("models/"), safe="")
        return base + self.path.format(model=name), base + self.stream_path.format(model=name) if self.stream_path else ""

    def credential_lines(self, credential: str) -> str:
        return (f"{self.key_line}{credential}\r\n" if credential else "") + self.lines


DOORS = {
    "openai-chat": Door("/chat/completions"),
    "openai-responses": Door("/responses"),
    "anthropic-messages": Door("/messages", key_line="x-api-key: ", lines="anthropic-version: 2023-06-01\r\n"),
    "gemini": Door(
        "/models/{model}:generateContent", "/models/{model}:streamGenerateContent?alt=sse", key_line="x-goog-api-key: "
    ),
    "cohere": Door("/chat"),
    "bedrock-converse": Door("/model/{model}/converse", "/model/{model}/converse-stream"),
}
