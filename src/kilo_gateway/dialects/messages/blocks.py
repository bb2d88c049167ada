"""The hub's messages as turns: user and assistant by turns, results of tools first in what follows their calls."""

from collections.abc import Iterable, Iterator
from itertools import takewhile

import msgspec
from msgspec import Raw

from kilo_gateway.dialects.hub.asked import (
    File,
    Image,
    Message,
    Part,
    Request,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from kilo_gateway.dialects.hub.notes import Notes
from kilo_gateway.dialects.messages.caching import marked
from kilo_gateway.dialects.messages.claude import Claude
from kilo_gateway.dialects.messages.media import document, image
from kilo_gateway.dialects.messages.signatures import OWN, UNKNOWN

Json = dict[str, object]
_THOUGHTS = ("thinking", "redacted_thinking")


class Turn(msgspec.Struct):
    """`results`: of tools; `others`: what else is said."""

    role: str
    results: list[Json] = []
    others: list[Json] = []

    @property
    def content(self) -> list[Json]:
        return self.results + self.others


class Conversation:
    def __init__(self, request: Request, model: Claude, notes: Notes) -> None:
        self._model = model
        self._notes = notes
        self.system: list[Json] = []
        self.turns: list[Turn] = []
        leading = list(takewhile(lambda message: message.role == "system", request.messages))
        rest = request.messages[len(leading) :]
        for message in leading:
            self.system += self._blocks(self._texts(message.parts))
        for message in rest:
            self._add(message)
        if any(turn.role == "system" for turn in self.turns):
            self._settle()
        self._mend()

    @property
    def lacks_thought(self) -> bool:
        """Whether calls are being answered that were made without a thought of Claude's, who then refuses to think."""
        if not self._model.is_claude:
            return False
        is_answering = False
        for turn in reversed(self.turns):
            if turn.role == "user":
                if not turn.results:
                    break
                is_answering = True
            elif any(block["type"] in _THOUGHTS for block in turn.others):
                return False
        return is_answering and bool(self.turns[-1].results)

    def _add(self, message: Message) -> None:
        parts: Iterable[Part] = message.parts
        if message.role == "system":
            parts = self._texts(parts)
        elif message.role == "assistant":
            parts = self._undrawn(parts)
        turn = Turn("user" if message.role == "tool" else message.role)
        for block in self._blocks(parts):
            (turn.results if block["type"] == "tool_result" else turn.others).append(block)
        if turn.content:
            _append(self.turns, turn)

    def _settle(self) -> None:
        """What the system says amid them may stand behind a user's turn and ahead of an assistant's, or last.

        https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
        """
        turns: list[Turn] = []
        after = [*(turn.role for turn in self.turns[1:]), "assistant"]
        for turn, following in zip(self.turns, after, strict=True):
            is_placed = bool(turns) and turns[-1].role == "user" and following == "assistant"
            if turn.role == "system" and not (is_placed and self._model.takes_system_amid):
                self._notes.change("messages: what the system says amid them is said by the user, as <system>")
                turn.role = "user"
                for block in turn.others:
                    block["text"] = f"<system>\n{block['text']}\n</system>"
            _append(turns, turn)
        self.turns = turns

    def _mend(self) -> None:
        """What the API demands of the first turn and of the last."""
        if not self.turns and self.system:
            self._notes.change("messages: what the system says is said by the user, for there is nothing else")
            self.turns, self.system = [Turn("user", others=self.system)], []
        if self.turns and self.turns[0].role == "assistant":
            self._notes.change("messages: a user's is put ahead of the first, which is the assistant's")
            self.turns.insert(0, Turn("user", others=[{"type": "text", "text": "(The conversation goes on.)"}]))
        if self.turns and self.turns[-1].role == "assistant":
            last = self.turns[-1].others[-1]
            text = last.get("text")
            if isinstance(text, str) and text != text.rstrip():
                last["text"] = text.rstrip()
                self._notes.change("messages: space at the end of the last left out")

    def _texts(self, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            if isinstance(part, Text):
                yield part
            else:
                self._notes.drop(type(part).__name__.lower())

    def _undrawn(self, parts: Iterable[Part]) -> Iterator[Part]:
        """An assistant of this dialect draws nothing."""
        for part in parts:
            if isinstance(part, Image | File):
                self._notes.drop(type(part).__name__.lower())
            else:
                yield part

    def _blocks(self, parts: Iterable[Part]) -> Iterator[Json]:
        for part in parts:
            block = self._block(part)
            if block is not None:
                yield block

    def _block(self, part: Part) -> Json | None:
        match part:
            case Text():
                return self._text(part)
            case ToolCall():
                return marked(self._call(part), part.cache)
            case ToolResult():
                return marked(self._result(part), part.cache)
            case Image():
                if part.detail not in (None, "auto"):
                    self._notes.drop("detail")
                return marked(image(part), part.cache)
            case File():
                return marked(document(part), part.cache)
            case Thought():
                return self._thought(part)
            case _:
                self._notes.drop(type(part).__name__.lower())
                return None

    def _text(self, part: Text) -> Json | None:
        """The API refuses texts in which nothing stands."""
        if not part.text or part.text.isspace():
            self._notes.change("messages: empty texts left out")
            return None
        return marked({"type": "text", "text": part.text}, part.cache)

    def _thought(self, part: Thought) -> Json | None:
        own = OWN if self._model.is_claude else UNKNOWN
        if part.format == own and part.signature:
            return {"type": "thinking", "thinking": part.text or part.summary, "signature": part.signature}
        if part.format == OWN and part.encrypted and self._model.is_claude:
            return {"type": "redacted_thinking", "data": part.encrypted}
        self._notes.change("messages: reasoning of another provider left out")
        return None

    def _call(self, part: ToolCall) -> Json:
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": Raw(part.arguments.encode())}

    def _result(self, part: ToolResult) -> Json:
        block: Json = {"type": "tool_result", "tool_use_id": part.id}
        if content := list(self._blocks(part.parts)):
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return block


def _append(turns: list[Turn], turn: Turn) -> None:
    """Turns of one role are one."""
    if turns and turns[-1].role == turn.role:
        turns[-1].results += turn.results
        turns[-1].others += turn.others
    else:
        turns.append(turn)
