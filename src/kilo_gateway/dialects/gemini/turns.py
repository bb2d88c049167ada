"""Messages as turns, in the order that Gemini demands.

Turns of user and model alternate, the first is the user's, and a turn with calls is followed by one turn with all their
results. https://ai.google.dev/gemini-api/docs/function-calling
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from kilo_gateway.dialects.gemini import signatures
from kilo_gateway.dialects.gemini.models import Model
from kilo_gateway.dialects.gemini.parts import Answered, Called, Content, Media, Part, media
from kilo_gateway.dialects.hub.asked import Message, Text, Thought, ToolCall, ToolResult
from kilo_gateway.dialects.hub.asked import Part as Asked
from kilo_gateway.dialects.hub.notes import Notes

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode
_NOTHING = Raw(b"{}")
_MISSING = Raw(b'{"error":"The call was not carried out."}')


class Turns:
    """`system`: texts of the system, from wherever they stood."""

    def __init__(self, messages: Sequence[Message], model: Model, notes: Notes) -> None:
        self.system: list[Part] = []
        self.contents: list[Content] = []
        self._model, self._notes = model, notes
        self._results, self._orphans = matched(messages)
        self._unanswered: list[Called] = []
        self._read = 0  # results
        for message in messages:
            self._add(message)
        if self._unanswered:
            self._turn("user")
        self._bound()

    def _add(self, message: Message) -> None:
        match message.role:
            case "system":
                if self.contents:
                    self._notes.change("messages: a system text from between turns put in front")
                self.system += self._given(message.parts)
            case "user":
                if given := self._given(message.parts):
                    self._turn("user").extend(given)
            case "assistant":
                if said := self._said(message.parts):
                    self._turn("model").extend(said)
            case "tool":
                turn = self._turn("user")
                for part in message.parts:
                    if isinstance(part, ToolResult):
                        turn += [self._orphan(part)] if self._read in self._orphans else []
                        self._read += 1

    def _turn(self, role: str) -> list[Part]:
        """The turn that runs, or the next one. One of the user's begins with the results of all calls before it."""
        if not self.contents or self.contents[-1].role != role:
            self.contents.append(Content(role, []))
        parts = self.contents[-1].parts
        if role == "user" and self._unanswered:
            calls, self._unanswered = self._unanswered, []
            beside: list[Part] = []
            parts += [self._answered(call, beside) for call in calls]
            parts += beside
        return parts

    def _bound(self) -> None:
        self.contents = [turn for turn in self.contents if turn.parts]
        if not self.contents and self.system:
            self._notes.change("messages: the system's text sent as the user's, as there is no other")
            self.contents, self.system = [Content("user", self.system)], []
        elif self.contents and self.contents[0].role == "model":
            self._notes.change("messages: an empty turn of the user's put in front")
            self.contents.insert(0, Content("user", [Part(" ")]))
        if self._model.is_strict and self.contents and self.contents[-1].role == "model":
            self._notes.change("messages: a turn of the user's put behind, as this model does not go on with its own")
            self.contents.append(Content("user", [Part("Go on.")]))

    def _given(self, parts: Sequence[Asked]) -> list[Part]:
        """What system or user say."""
        made: list[Part] = []
        for part in parts:
            if isinstance(part, Text):
                if part.text:
                    made.append(Part(part.text))
            elif not isinstance(part, Thought | ToolCall | ToolResult) and (one := media(part, self._notes)):
                made.append(one)
        return made

    def _said(self, parts: Sequence[Asked]) -> list[Part]:
        """What the model has said."""
        calls = {part.id for part in parts if isinstance(part, ToolCall) and part.id}
        by_call = {part.id: part for part in parts if isinstance(part, Thought) and part.id in calls}
        made: list[Part] = []
        for part in parts:
            if isinstance(part, ToolCall):
                made.append(self._called(part, by_call.get(part.id)))
            elif isinstance(part, Thought):
                if part.id not in calls and (thought := self._thought(part)):
                    made.append(thought)
            else:
                made += self._given((part,))
        made = signatures.placed(made, self._model.is_third)
        if self._model.is_third:
            self._sign(made)
        return made

    def _sign(self, parts: list[Part]) -> None:
        """Of parallel calls the first one bears the signature."""
        first = next((part for part in parts if part.function_call), None)
        if first is not None and not first.thought_signature:
            first.thought_signature = signatures.SKIP
            self._notes.change("messages: a call without a thought signature marked as such")

    def _called(self, call: ToolCall, thought: Thought | None) -> Part:
        made = Called(call.name, Raw(call.arguments.encode()), call.id if self._model.knows_ids else "")
        self._unanswered.append(made)
        signature = signatures.valid(call.signature, self._notes) if call.signature else ""
        if not signature and thought is not None:
            signature = self._signature_of(thought)
        return Part(function_call=made, thought_signature=signature)

    def _thought(self, thought: Thought) -> Part | None:
        """None: there is nothing of it that Gemini could read again."""
        signature = self._signature_of(thought)
        return Part(thought.text, bool(thought.text), thought_signature=signature) if signature else None

    def _signature_of(self, thought: Thought) -> str:
        if thought.format != signatures.FORMAT:
            self._notes.change("reasoning of another provider left out")
            return ""
        told = thought.signature or thought.encrypted
        if not told:
            self._notes.change("reasoning without a signature left out")
        return signatures.valid(told, self._notes)

    def _answered(self, call: Called, beside: list[Part]) -> Part:
        """`beside`: gets what cannot be in the result itself. Media in results came with Gemini 3."""
        result = self._results.pop(0)
        if result is None:
            self._notes.change("messages: a result added for a call that has none")
            return Part(function_response=Answered(call.name, _MISSING, call.id))
        shown = [one for part in result.parts if isinstance(part, Media) and (one := media(part, self._notes))]
        text = texts_of(result)
        response = response_of(text, result.is_error) if text or result.is_error or not shown else _NOTHING
        if shown and not self._model.is_third:
            self._notes.change("messages: images and files of results put behind them")
            beside += shown
            shown = []
        return Part(function_response=Answered(call.name, response, call.id, tuple(shown)))

    def _orphan(self, result: ToolResult) -> Part:
        self._notes.change("messages: a result without its call sent as text")
        return Part(f"Result of the tool {result.name or result.id}:\n{texts_of(result)}")


def matched(messages: Sequence[Message]) -> tuple[list[ToolResult | None], set[int]]:
    """For each call in its order the result, which may stand anywhere behind it; and the numbers of results without a call.

    Ids may come again in later turns: the first result of an id belongs to the first call of it that has none.
    """
    results: list[ToolResult | None] = []
    waiting: dict[str, list[int]] = {}
    orphans: set[int] = set()
    read = 0
    for message in messages:
        if message.role == "assistant":
            for part in message.parts:
                if isinstance(part, ToolCall):
                    waiting.setdefault(part.id, []).append(len(results))
                    results.append(None)
        elif message.role == "tool":
            for part in message.parts:
                if isinstance(part, ToolResult):
                    if places := waiting.get(part.id):
                        results[places.pop(0)] = part
                    else:
                        orphans.add(read)
                    read += 1
    return results, orphans


def response_of(text: str, is_error: bool) -> Raw | dict[str, str]:
    """A JSON object as it is, anything else as a member of one.

    `$ref` in a response refers to media beside it (https://ai.google.dev/gemini-api/docs/function-calling#multimodal), so an
    object that has it, as schemas do, goes as text.
    """
    whole = object_of(text)
    if whole is None or b'"$ref"' in bytes(whole):
        return {"error" if is_error else "result": text}
    return Raw(b'{"error":%b}' % bytes(whole)) if is_error and "error" not in _decode_object(whole) else whole


def texts_of(result: ToolResult) -> str:
    return "\n".join(part.text for part in result.parts if isinstance(part, Text))


def object_of(text: str) -> Raw | None:
    """None where it is no JSON object."""
    if text.lstrip()[:1] != "{":
        return None
    try:
        _decode_object(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None
    return Raw(text.encode())
