"""Messages as Converse wants them: user and assistant by turns, the first a user's, results ahead of all else in a turn."""

import base64
from collections.abc import Iterable
from typing import Final

from msgspec import Raw

from kilo_gateway.dialects.converse.media import Json, Media
from kilo_gateway.dialects.converse.models import Model
from kilo_gateway.dialects.hub.asked import (
    Audio,
    Cache,
    File,
    Image,
    Message,
    Part,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Video,
)
from kilo_gateway.dialects.hub.notes import Notes

FORMAT: Final = "anthropic-claude-v1"
_MAX_MARKS = 4  # https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html


class _Turn:
    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[Json] = []
        self.others: list[Json] = []

    @property
    def content(self) -> list[Json]:
        return self.results + self.others


class Turns:
    """`called`: names of the tools that were called before, in their order."""

    def __init__(self, messages: Iterable[Message], model: Model, notes: Notes) -> None:
        self.system: list[Json] = []
        self.called: dict[str, None] = {}
        self._model = model
        self._notes = notes
        self._media = Media(notes)
        self._turns: list[_Turn] = []
        for message in messages:
            if message.role == "system":
                self._add_system(message)
            elif message.role == "assistant":
                self._add_assistant(message)
            else:
                self._add_user(message)
        self._finish()
        self.messages: list[Json] = [{"role": turn.role, "content": turn.content} for turn in self._turns]

    @property
    def lacks_thoughts(self) -> bool:
        """Whether the turn that goes on now was begun without thinking: Claude refuses to think on in its middle."""
        is_calling = False
        for turn in reversed(self._turns):
            if turn.role == "user" and not turn.results:
                break
            if turn.role == "assistant":
                is_calling = True
                if any("reasoningContent" in block for block in turn.others):
                    return False
        return is_calling and self._turns[-1].role == "user"

    def mark_end(self, cache: Cache) -> None:
        """The whole prompt may be kept."""
        if self._turns:
            content = self.messages[-1]["content"]
            assert isinstance(content, list)
            self._mark(content, cache)

    def limit_marks(self, tools: list[Json]) -> None:
        """The latest ones stay: what they keep begins with what the earlier ones would have kept."""
        places = [content for each in self.messages if isinstance(content := each["content"], list)]
        places += [self.system, tools]
        excess = sum("cachePoint" in block for place in places for block in place) - _MAX_MARKS
        for place in places:
            for block in list(place):
                if excess > 0 and "cachePoint" in block:
                    place.remove(block)
                    excess -= 1
                    self._notes.change(f"cache_control: the last {_MAX_MARKS} of more")

    def _add_system(self, message: Message) -> None:
        if self._turns:
            self._notes.change("messages: a later system message put in front")
        for part in message.parts:
            if isinstance(part, Text):
                self._add_text(self.system, part)

    def _add_user(self, message: Message) -> None:
        turn = self._turn("user")
        for part in message.parts:
            if isinstance(part, ToolResult):
                turn.results.append(self._result(part))
                self._mark(turn.results, part.cache)
            elif isinstance(part, Text):
                self._add_text(turn.others, part)
            elif (block := self._seen(part)) is not None:
                turn.others.append(block)
                self._mark(turn.others, getattr(part, "cache", None))

    def _add_assistant(self, message: Message) -> None:
        turn = self._turn("assistant")
        for part in message.parts:
            if isinstance(part, Text):
                self._add_text(turn.others, part)
            elif isinstance(part, Thought):
                self._add_thought(turn.others, part)
            elif isinstance(part, ToolCall):
                self.called[part.name] = None
                use = {"toolUseId": part.id, "name": part.name, "input": Raw(part.arguments.encode())}
                turn.others.append({"toolUse": use})
                self._mark(turn.others, part.cache)
            else:
                self._notes.drop("messages[].image of the assistant")

    def _turn(self, role: str) -> _Turn:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _add_text(self, content: list[Json], text: Text) -> None:
        if text.text.strip():  # a blank block is a 400
            content.append({"text": text.text})
        self._mark(content, text.cache)

    def _add_thought(self, content: list[Json], thought: Thought) -> None:
        if self._model.family != "anthropic" or thought.format != FORMAT:
            self._notes.change("reasoning of another provider left out")
        elif thought.encrypted:
            data = base64.b64encode(thought.encrypted.encode()).decode()
            content.append({"reasoningContent": {"redactedContent": data}})
        elif thought.signature:
            said = {"text": thought.text, "signature": thought.signature}
            content.append({"reasoningContent": {"reasoningText": said}})
        else:
            self._notes.change("reasoning without a signature left out")

    def _seen(self, part: Part) -> Json | None:
        match part:
            case Image():
                return self._media.image(part)
            case File():
                return self._media.file(part)
            case Video():
                return self._media.video(part)
            case Audio():
                return self._media.audio(part)
        return None

    def _result(self, result: ToolResult) -> Json:
        content: list[Json] = []
        for part in result.parts:
            if isinstance(part, Text):
                content += [{"text": part.text}] if part.text.strip() else []
            elif (block := self._seen(part)) is not None:
                content.append(block)
        made: Json = {"toolUseId": result.id, "content": content or [{"text": "(nothing)"}]}
        if result.is_error:
            if self._model.family == "other":  # status is for Claude and Nova alone
                self._notes.drop("is_error")
            else:
                made["status"] = "error"
        return {"toolResult": made}

    def _mark(self, content: list[Json], cache: Cache | None) -> None:
        if cache is None:
            return
        if not self._model.has_cache:
            self._notes.drop("cache_control")
            return
        if not content or not content[-1].keys().isdisjoint(("cachePoint", "reasoningContent")):
            return
        if not content[-1].keys().isdisjoint(("document", "video")):
            content.append({"text": "(end of the file)"})  # right behind a file a mark is a 400
        content.append(mark(cache, self._model))

    def _finish(self) -> None:
        """No turn is empty, thinks only, or shows a document without a word."""
        kept: list[_Turn] = []
        for turn in self._turns:
            while turn.others and "reasoningContent" in turn.others[-1]:
                turn.others.pop()
            if not turn.content:
                self._notes.change("messages: an empty one left out")
            elif kept and kept[-1].role == turn.role:
                kept[-1].results += turn.results
                kept[-1].others += turn.others
            else:
                kept.append(turn)
        if not kept or kept[0].role == "assistant":
            first = _Turn("user")
            first.others.append({"text": "."})
            kept.insert(0, first)
            self._notes.change("messages: a user's put first")
        for turn in kept:
            has_document = any("document" in block for block in turn.others)
            if has_document and not any("text" in block for block in turn.others):
                turn.others.insert(0, {"text": "See the file."})
        last = kept[-1].others[-1] if kept[-1].others else {}
        if kept[-1].role == "assistant" and isinstance(text := last.get("text"), str):
            last["text"] = text.rstrip()  # white space at the end of a begun answer is a 400
        self._turns = kept


def mark(cache: Cache, model: Model) -> Json:
    """An hour is for Claude alone."""
    ttl = {"ttl": cache.ttl} if cache.ttl == "1h" and model.family == "anthropic" else {}
    return {"cachePoint": {"type": "default"} | ttl}
