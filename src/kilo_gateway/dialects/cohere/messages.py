"""Messages as Cohere has them: one for each result, images beside text, text files as documents."""

import base64
import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from kilo_gateway.dialects.hub.asked import File, Image, Message, Part, Text, Thought, ToolCall, ToolResult
from kilo_gateway.dialects.hub.notes import Notes

Json = dict[str, object]

_DATA = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE).match
_TEXTUAL = re.compile(r"text/|application/(?:json|xml|yaml|x-yaml|x-ndjson|javascript)$").match
_PLAIN = ("", "unknown")  # formats of reasoning that nobody in particular made
_MAX_TOLD = 200  # characters of an address in the text that stands in its place


class Messages:
    """`documents`: of text files, where they may be; else these stand in the text."""

    def __init__(self, messages: Iterable[Message], *, has_documents: bool, notes: Notes) -> None:
        self.made: list[Json] = []
        self.documents: list[Json] = []
        self._has_documents = has_documents
        self._notes = notes
        for message in messages:
            match message.role:
                case "tool":
                    self._add_results(message.parts)
                case "assistant":
                    self._add_assistant(message.parts)
                case "system":
                    self._add("system", [{"type": "text", "text": self._text(part)} for part in message.parts])
                case _:
                    self._add("user", self._shown(message.parts))

    def instruct(self, words: str) -> None:
        """Behind what the caller's system says in front."""
        at = next((n for n, message in enumerate(self.made) if message["role"] != "system"), len(self.made))
        self.made.insert(at, {"role": "system", "content": words})

    def _add(self, role: str, content: list[Json]) -> None:
        """A text where there is one and nothing else."""
        content = [part for part in content if part.get("text") != ""]
        if not content:
            self._notes.change("messages: an empty one left out")
        else:
            is_text = len(content) == 1 and content[0]["type"] == "text"
            self.made.append({"role": role, "content": content[0]["text"] if is_text else content})

    def _add_assistant(self, parts: Iterable[Part]) -> None:
        texts, calls, plan = [], [], []
        for part in parts:
            if isinstance(part, Text):
                texts.append(self._text(part))
            elif isinstance(part, ToolCall):
                self._note_mark(part)
                function = {"name": part.name, "arguments": part.arguments or "{}"}
                calls.append({"id": part.id, "type": "function", "function": function})
            elif isinstance(part, Thought):
                plan.append(part)
            else:
                self._notes.drop("messages[].image of the assistant")
        message: Json = {"role": "assistant"}
        if text := "".join(texts):
            message["content"] = text
        if calls:
            message["tool_calls"] = calls
        if said := self._plan(plan, has_calls=bool(calls)):
            message["tool_plan"] = said
        if len(message) > 1:
            self.made.append(message)
        else:
            self._notes.change("messages: an empty one left out")

    def _plan(self, thoughts: list[Thought], *, has_calls: bool) -> str:
        """What was thought ahead of calls is their plan. Without calls nobody needs it again."""
        plain = [each for each in thoughts if each.format in _PLAIN and not each.signature and not each.encrypted]
        if len(plain) < len(thoughts):
            self._notes.change("reasoning of another provider left out")
        if plain and not has_calls:
            self._notes.change("reasoning of an answer without calls left out")
            return ""
        return "".join(each.text or each.summary for each in plain)

    def _add_results(self, parts: Iterable[Part]) -> None:
        """A result has text alone: what it shows follows as a user's message."""
        shown: list[Part] = []
        for part in parts:
            if not isinstance(part, ToolResult):
                continue
            self._note_mark(part)
            if part.is_error:
                self._notes.drop("is_error")
            text = "".join(self._text(each) for each in part.parts if isinstance(each, Text))
            self.made.append({"role": "tool", "tool_call_id": part.id, "content": text or "(nothing)"})
            shown += [each for each in part.parts if not isinstance(each, Text)]
        if shown:
            self._add("user", self._shown(shown))

    def _shown(self, parts: Iterable[Part]) -> list[Json]:
        content: list[Json] = []
        for part in parts:
            if isinstance(part, Text):
                content.append({"type": "text", "text": self._text(part)})
            elif isinstance(part, Image):
                self._note_mark(part)
                content.append(_image(part.url, part.detail))
            elif isinstance(part, File):
                self._note_mark(part)
                content.append(self._file(part))
            else:
                content.append(self._without(type(part).__name__.lower(), type(part).__name__.lower()))
        return content

    def _file(self, file: File) -> Json:
        found = _DATA(file.url)
        if found is None:
            where = file.url[:_MAX_TOLD] or file.id
            return self._without("file.url" if file.url else "file.id", f"file {file.name or 'at'} {where}")
        kind = found[1].strip().lower()
        if kind.startswith("image/"):
            return _image(file.url, None)
        text = _text_in(file.url[found.end() :], ";base64" in found[2].lower()) if _TEXTUAL(kind) else None
        if text is None:
            return self._without("file", f"file {file.name} of type {kind}")
        name = file.name or f"document {len(self.documents) + 1}"
        if not self._has_documents:
            return {"type": "text", "text": f"{name}:\n\n{text}"}
        self.documents.append({"data": {"title": name, "text": text}})
        return {"type": "text", "text": f"[{name}: see the documents]"}

    def _without(self, field: str, what: str) -> Json:
        self._notes.drop(field)
        return {"type": "text", "text": f"[{what.strip()}: left out]"}

    def _text(self, part: Part) -> str:
        self._note_mark(part)
        return part.text if isinstance(part, Text) else ""

    def _note_mark(self, part: Part) -> None:
        if getattr(part, "cache", None) is not None:
            self._notes.drop("cache_control")  # Cohere keeps prompts of its own accord


def _image(url: str, detail: str | None) -> Json:
    told: Json = {"url": url}
    if detail in ("auto", "low", "high"):
        told["detail"] = detail
    return {"type": "image_url", "image_url": told}


def _text_in(data: str, is_base64: bool) -> str | None:
    try:
        return (base64.b64decode(data) if is_base64 else unquote_to_bytes(data)).decode()
    except ValueError:
        return None
