"""Output items on their way to a caller. Each says which events it takes; the writer numbers them."""

from typing import ClassVar

import msgspec

from kilo_gateway.dialects.hub.answered import Cited
from kilo_gateway.dialects.hub.asked import Thought
from kilo_gateway.dialects.responses import envelope

Json = dict[str, object]
Said = tuple[str, Json]  # the kind of an event, and its members
_encode = msgspec.json.Encoder().encode


class Item:
    """`id` and `at` never change. `open` and `close` give the events of its begin and end."""

    kind: ClassVar[str]

    def __init__(self, id: str, at: int) -> None:
        self.id = id
        self.at = at
        self.is_closed = False
        self.status = "incomplete"  # until it is closed

    def whole(self, status: str) -> Json:
        raise NotImplementedError

    def _ends(self, status: str) -> list[Said]:
        """Events before output_item.done."""
        raise NotImplementedError

    def open(self) -> list[Said]:
        return [("response.output_item.added", {"output_index": self.at, "item": self.whole("in_progress")})]

    def close(self, status: str) -> list[Said]:
        self.is_closed, self.status = True, status
        ends = self._ends(status)
        return [*ends, ("response.output_item.done", {"output_index": self.at, "item": self.whole(status)})]

    def said(self, kind: str, **members: object) -> Said:
        return f"response.{kind}", {"item_id": self.id, "output_index": self.at} | members


class Strand:
    """A text that comes in pieces. `before`: what stands before each in its event."""

    def __init__(self, item: Item, kind: str, **members: object) -> None:
        self.pieces: list[str] = []
        self.members = members
        extra: Json = {"logprobs": []} if kind == "output_text" else {}
        name = f"response.{kind}.delta"
        said = _encode({"type": name, "item_id": item.id, "output_index": item.at} | members | extra)
        self.before = b'event: %b\ndata: %b,"delta":' % (name.encode(), said[:-1])

    def whole(self) -> str:
        return "".join(self.pieces)


class Message(Item):
    """Texts and refusals are parts; citations belong to the text that is open, or was last."""

    kind = "message"

    def __init__(self, id: str, at: int, begin: int) -> None:
        super().__init__(id, at)
        self._begin = begin  # where its text begins in the whole one
        self._parts: list[tuple[str, Strand, list[Json]]] = []
        self._is_part_open = False

    def strand(self, kind: str) -> tuple[Strand, list[Said]]:
        """kind: output_text or refusal. The strand to write on, and the events it takes to get there."""
        if self._is_part_open and self._parts[-1][0] == kind:
            return self._parts[-1][1], []
        events = self._end_part()
        strand = Strand(self, kind, content_index=len(self._parts))
        self._parts.append((kind, strand, []))
        self._is_part_open = True
        return strand, [*events, self._part("content_part.added")]

    def cite(self, cited: Cited) -> list[Said]:
        """No events where its end is over already: then it stands in the whole response alone."""
        kind, strand, notes = self._parts[-1]
        if kind != "output_text":
            return []
        base = self._begin + sum(len(other.whole()) for name, other, _ in self._parts[:-1] if name == "output_text")
        begin, end = (max(cited.begin - base, 0), max(cited.end - base, 0)) if cited.begin >= 0 else (0, 0)
        note: Json = {"type": "url_citation", "url": cited.url, "title": cited.title, "start_index": begin, "end_index": end}
        notes.append(note)
        if self.is_closed or not self._is_part_open:
            return []
        return [self.said(
            "output_text.annotation.added", **strand.members, annotation_index=len(notes) - 1, annotation=note
        )]  # fmt: skip

    def whole(self, status: str) -> Json:
        content = [_part(kind, strand.whole(), notes) for kind, strand, notes in self._parts]
        return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _ends(self, status: str) -> list[Said]:
        return self._end_part()

    def _end_part(self) -> list[Said]:
        if not self._is_part_open:
            return []
        kind, strand, _ = self._parts[-1]
        self._is_part_open = False
        whole: Json = {"text": strand.whole(), "logprobs": []} if kind == "output_text" else {"refusal": strand.whole()}
        return [self.said(f"{kind}.done", **strand.members, **whole), self._part("content_part.done")]

    def _part(self, kind: str) -> Said:
        name, strand, notes = self._parts[-1]
        return self.said(kind, **strand.members, part=_part(name, strand.whole(), notes))


def _part(kind: str, text: str, notes: list[Json]) -> Json:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": list(notes), "logprobs": []}


class Reasoning(Item):
    kind = "reasoning"

    def __init__(self, id: str, at: int) -> None:
        super().__init__(id, at)
        self.thought = Thought()
        self._strands: dict[str, Strand] = {}

    def strand(self, kind: str) -> tuple[Strand, list[Said]]:
        """kind: reasoning_summary_text or reasoning_text."""
        if kind in self._strands:
            return self._strands[kind], []
        place = {"summary_index": 0} if kind == "reasoning_summary_text" else {"content_index": 0}
        strand = self._strands[kind] = Strand(self, kind, **place)
        return strand, [self._part(kind, "added")]

    def whole(self, status: str) -> Json:
        texts = {kind: strand.whole() for kind, strand in self._strands.items()}
        made: Json = {"id": self.id, "type": "reasoning", "summary": []}
        if "reasoning_summary_text" in texts:
            made["summary"] = [{"type": "summary_text", "text": texts["reasoning_summary_text"]}]
        if "reasoning_text" in texts:
            made["content"] = [{"type": "reasoning_text", "text": texts["reasoning_text"]}]
        thought = self.thought
        text, summary = texts.get("reasoning_text", ""), texts.get("reasoning_summary_text", "")
        if status == "in_progress":
            return made
        known = Thought(text, summary, thought.signature, thought.encrypted, thought.format, thought.id, thought.origin)
        if (content := envelope.content_of(known)) is not None:
            made["encrypted_content"] = content
        return made

    def _ends(self, status: str) -> list[Said]:
        events: list[Said] = []
        for kind, strand in self._strands.items():
            events += [self.said(f"{kind}.done", **strand.members, text=strand.whole()), self._part(kind, "done")]
        return events

    def _part(self, kind: str, end: str) -> Said:
        strand = self._strands[kind]
        part, name = "content_part", kind
        if kind == "reasoning_summary_text":
            part, name = "reasoning_summary_part", "summary_text"
        return self.said(f"{part}.{end}", **strand.members, part={"type": name, "text": strand.whole()})


class SignedCall(Item):
    """The signature of a call, in an item of its own before it: that is what every client sends back."""

    kind = "reasoning"

    def __init__(self, id: str, at: int, call: str, signature: str, origin: str) -> None:
        super().__init__(id, at)
        self._content = envelope.seal(envelope.Sealed("google-gemini-v1", signature, call=call, origin=origin))

    def whole(self, status: str) -> Json:
        made: Json = {"id": self.id, "type": "reasoning", "summary": []}
        return made if status == "in_progress" else made | {"encrypted_content": self._content}

    def _ends(self, status: str) -> list[Said]:
        return []


class Call(Item):
    kind = "function_call"

    def __init__(self, id: str, at: int, call: str, name: str, namespace: str = "") -> None:
        super().__init__(id, at)
        self._call = call
        self._name = name
        self._within: Json = {"namespace": namespace} if namespace else {}
        self.strand = Strand(self, "function_call_arguments")

    def whole(self, status: str) -> Json:
        return {
            "id": self.id, "type": "function_call", "status": status, "arguments": self.strand.whole(),
            "call_id": self._call, "name": self._name,
        } | self._within  # fmt: skip

    def _ends(self, status: str) -> list[Said]:
        events: list[Said] = []
        if not self.strand.pieces:
            self.strand.pieces.append("{}")
            events.append(self.said("function_call_arguments.delta", delta="{}"))
        return [*events, self.said("function_call_arguments.done", name=self._name, arguments=self.strand.whole())]


class FreeformCall(Call):
    """Its one argument, as plain text: whole, for only whole JSON can be read."""

    kind = "custom_tool_call"

    def whole(self, status: str) -> Json:
        input = "" if status == "in_progress" else self._input()
        return {
            "id": self.id, "type": "custom_tool_call", "status": status, "call_id": self._call, "name": self._name,
            "input": input,
        } | self._within  # fmt: skip

    def _ends(self, status: str) -> list[Said]:
        input = self._input()
        return [
            self.said("custom_tool_call_input.delta", delta=input),
            self.said("custom_tool_call_input.done", input=input),
        ]

    def _input(self) -> str:
        arguments = self.strand.whole()
        try:
            return msgspec.json.decode(arguments, type=_Freeform).input
        except (msgspec.MsgspecError, RecursionError):
            return arguments  # the model said it as it wanted


class _Freeform(msgspec.Struct):
    input: str


class Drawing(Item):
    """Base64, out of a data: URL."""

    kind = "image_generation_call"

    def __init__(self, id: str, at: int, url: str) -> None:
        super().__init__(id, at)
        kind, _, self._data = url.removeprefix("data:").partition(";base64,")
        self._format = kind.removeprefix("image/")

    def whole(self, status: str) -> Json:
        made: Json = {"id": self.id, "type": "image_generation_call", "status": status, "result": None}
        return made if status == "in_progress" else made | {"result": self._data, "output_format": self._format}

    def _ends(self, status: str) -> list[Said]:
        return []
