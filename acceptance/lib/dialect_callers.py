"""The three callers: one conversation written as chat, Responses or Messages, from the same words. `Asking` builds bodies.

`dialect_answers` reads what comes back.
"""

import copy
import json
from dataclasses import dataclass, field

CALLERS = ("chat", "responses", "messages")
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PNG_URL = f"data:image/png;base64,{PNG}"
PDF = "JVBERi0xLjQKJcOkw7zDtsOfCnRyYWlsZXIgPDw+PgolJUVPRgo="
PDF_URL = f"data:application/pdf;base64,{PDF}"
TOOLS = {
    "get_weather": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "which"}, "unit": {"type": "string"}},
        "required": ["city"],
    },
    "get_time": {"type": "object", "properties": {"zone": {"type": "string"}, "hours": {"type": "array", "items": {"type": "number"}}}},
}
SCHEMA = {
    "type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer"}}, "required": ["city", "people"],
    "additionalProperties": False,
}  # fmt: skip


@dataclass
class Asking:
    """One conversation of one caller. `more` is put into the body as it stands, last."""

    caller: str
    model: str
    prompt: str
    system: str = ""
    tools: dict[str, dict] = field(default_factory=dict)
    choice: object = None  # auto none required, or ("tool", name)
    is_parallel: bool | None = None
    image: str = ""  # a data URL, or a URL
    pdf: str = ""
    schema: dict | None = None
    max_tokens: int | None = 4_000
    stop: list[str] = field(default_factory=list)
    temperature: float | None = None
    more: dict = field(default_factory=dict)
    script: str = ""
    history: list = field(default_factory=list)  # messages or items in the caller's own dialect, after the prompt

    def body(self, stream: bool = False) -> dict:
        body = {"chat": self._chat, "responses": self._responses, "messages": self._messages}[self.caller]()
        body |= {"stream": True} if stream else {}
        body |= {"temperature": self.temperature} if self.temperature is not None else {}
        return body | copy.deepcopy(self.more)

    def add(self, answer, *results: tuple[str, str]) -> "Asking":
        """The same conversation with an answer replayed as it came, and the results of its calls."""
        told = copy.copy(self)
        told.history = [*self.history, *answer.replay, *self.results(*results)]
        return told

    def results(self, *results: tuple[str, str]) -> list[dict]:
        if self.caller == "chat":
            return [{"role": "tool", "tool_call_id": id, "content": text} for id, text in results]
        if self.caller == "responses":
            return [{"type": "function_call_output", "call_id": id, "output": text} for id, text in results]
        blocks = [{"type": "tool_result", "tool_use_id": id, "content": text} for id, text in results]
        return [{"role": "user", "content": blocks}] if blocks else []

    def calls(self, *calls: tuple[str, str, str], text: str = "") -> list[dict]:
        """An assistant turn with calls (id, name, arguments as text), as the caller would have it in its history."""
        if self.caller == "chat":
            made = [{"id": id, "type": "function", "function": {"name": name, "arguments": arguments}} for id, name, arguments in calls]
            return [{"role": "assistant", "content": text or None, **({"tool_calls": made} if made else {})}]
        if self.caller == "responses":
            said = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]}] if text else []
            return said + [{"type": "function_call", "call_id": id, "name": name, "arguments": arguments} for id, name, arguments in calls]
        blocks = [{"type": "text", "text": text}] if text else []
        return [
            {"role": "assistant", "content": blocks + [{"type": "tool_use", "id": id, "name": name, "input": json.loads(a)} for id, name, a in calls]}
        ]

    def user(self, text: str) -> list[dict]:
        return [{"role": "user", "content": text}]

    # -- each dialect

    def _chat(self) -> dict:
        content: object = self.prompt
        if self.image or self.pdf:
            content = [{"type": "text", "text": self.prompt}]
            content += [{"type": "image_url", "image_url": {"url": self.image}}] if self.image else []
            content += [{"type": "file", "file": {"filename": "a.pdf", "file_data": self.pdf}}] if self.pdf else []
        system = [{"role": "system", "content": self.system}] if self.system else []
        body: dict = {"model": self.model, "messages": [*system, {"role": "user", "content": content}, *self.history]}
        if self.tools:
            body["tools"] = [
                {"type": "function", "function": {"name": n, "description": f"Tool {n}", "parameters": s}} for n, s in self.tools.items()
            ]
        if self.choice is not None:
            named = isinstance(self.choice, tuple)
            body["tool_choice"] = {"type": "function", "function": {"name": self.choice[1]}} if named else self.choice
        if self.schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": self.schema}}
        return body | self._common("max_tokens", "stop")

    def _responses(self) -> dict:
        content: object = self.prompt
        if self.image or self.pdf:
            content = [{"type": "input_text", "text": self.prompt}]
            content += [{"type": "input_image", "image_url": self.image, "detail": "auto"}] if self.image else []
            content += [{"type": "input_file", "filename": "a.pdf", "file_data": self.pdf}] if self.pdf else []
        body: dict = {"model": self.model, "input": [{"role": "user", "content": content}, *self.history], "store": False}
        body |= {"instructions": self.system} if self.system else {}
        if self.tools:
            body["tools"] = [
                {"type": "function", "name": n, "description": f"Tool {n}", "parameters": s, "strict": False} for n, s in self.tools.items()
            ]
        if self.choice is not None:
            body["tool_choice"] = {"type": "function", "name": self.choice[1]} if isinstance(self.choice, tuple) else self.choice
        if self.schema:
            body["text"] = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": self.schema}}
        return body | self._common("max_output_tokens", "")

    def _messages(self) -> dict:
        content: object = self.prompt
        if self.image or self.pdf:
            content = [{"type": "text", "text": self.prompt}]
            content += [{"type": "image", "source": _source(self.image)}] if self.image else []
            content += [{"type": "document", "source": _source(self.pdf)}] if self.pdf else []
        body: dict = {"model": self.model, "max_tokens": self.max_tokens or 4_000, "messages": [{"role": "user", "content": content}, *self.history]}
        body |= {"system": self.system} if self.system else {}
        if self.tools:
            body["tools"] = [{"name": n, "description": f"Tool {n}", "input_schema": s} for n, s in self.tools.items()]
        if self.choice is not None:
            plain = {"required": "any"}.get(self.choice, self.choice) if isinstance(self.choice, str) else ""
            body["tool_choice"] = {"type": plain} if plain else {"type": "tool", "name": self.choice[1]}
            body["tool_choice"] |= {"disable_parallel_tool_use": True} if self.is_parallel is False else {}
        if self.schema:
            body["output_config"] = {"format": {"type": "json_schema", "schema": self.schema}}
        return body | ({"stop_sequences": self.stop} if self.stop else {})

    def _common(self, cap: str, stop: str) -> dict:
        told = {cap: self.max_tokens} if self.max_tokens else {}
        told |= {stop: self.stop} if self.stop and stop else {}
        return told | ({"parallel_tool_calls": self.is_parallel} if self.is_parallel is not None else {})


def _source(url: str) -> dict:
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    return {"type": "base64", "media_type": kind, "data": data}
