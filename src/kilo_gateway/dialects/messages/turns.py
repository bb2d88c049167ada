"""A caller's messages as the hub's."""

import base64
from collections.abc import Iterable, Iterator

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.hub.asked import Cache, File, Image, Message, Part, Role, Text, Thought, ToolCall, ToolResult
from kilo_gateway.dialects.messages import shapes
from kilo_gateway.dialects.messages.signatures import GEMINI, unseal

# Blocks that only the provider's own tools make, and that nobody else can read.
_PROVIDERS = frozenset({
    "server_tool_use", "mcp_tool_use", "container_upload", "tool_addition", "tool_removal", "browser_state",
})  # fmt: skip
_OF_ROLES = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking"})


class Turns:
    """`lost`: what had to be left out, in the order of coming."""

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}

    def read(self, messages: Iterable[shapes.Message]) -> Iterator[Message]:
        """A user's message with results of tools becomes several: the hub keeps results apart."""
        for at, message in enumerate(messages):
            place = f"messages[{at}]"
            if message.role not in ("user", "assistant", "system"):
                raise BadRequest(f"{place}.role is user, assistant or system, not {message.role[:40]!r}.")
            if isinstance(message.content, str):
                text = (Text(message.content),) if message.content else ()
                yield Message(_role(message.role), text)
                continue
            parts = [part for part in self._parts(message.content, message.role, place)]
            if parts or not message.content:
                yield from _apart(_role(message.role), parts)

    def system(self, blocks: str | list[shapes.Block]) -> Message:
        if isinstance(blocks, str):
            return Message("system", (Text(blocks),) if blocks else ())
        return Message("system", tuple(self._parts(blocks, "system", "system")))

    def _parts(self, blocks: Iterable[shapes.Block], role: str, place: str) -> Iterator[Part]:
        inside = place if place == "system" else f"{place}.content"
        for at, block in enumerate(blocks):
            inner = f"{inside}[{at}]"
            parts = self._of_any(block, inner)
            yield from self._of_role(block, role, inner) if parts is None else parts

    def _of_any(self, block: shapes.Block, place: str) -> Iterable[Part] | None:
        """None for what stands in messages of one role alone."""
        kind = block.type
        if kind == "text":
            self._note_citations(block)
            return [Text(_needed(block.text, f"{place}.text"), mark(block.cache_control))]
        if kind in _OF_ROLES:
            return None
        if kind in _PROVIDERS or kind.endswith("_tool_result"):
            self.lost[f"messages[].content[type={kind[:60]}]"] = None
            return []
        if kind == "compaction":  # a summary of what came before
            return [Text(block.content)] if isinstance(block.content, str) and block.content else []
        return None

    def _of_role(self, block: shapes.Block, role: str, place: str) -> Iterable[Part]:
        kind = block.type
        if role == "assistant":
            if kind in ("thinking", "redacted_thinking"):
                return _thought(block)
            if kind == "tool_use":
                return [_call(block, place)]
            if kind == "image":
                return self._media(block, place)
        elif role == "user":
            if kind == "tool_result":
                return [self._result(block, place)]
            if kind in _MEDIA:
                return self._media(block, place)
        raise BadRequest(f"{place} is of type {kind[:40]!r}, which a message of the role {role} cannot have.")

    def _media(self, block: shapes.Block, place: str) -> Iterable[Part]:
        if block.type == "search_result":
            return [_search_result(block)]
        source = block.source
        if not isinstance(source, shapes.Source):
            raise BadRequest(f"{place}.source must be an object.")
        cache = mark(block.cache_control)
        if block.type == "image":
            if source.type == "file":
                return [File(id=_needed(source.file_id, f"{place}.source.file_id"), cache=cache, is_image=True)]
            return [Image(_url(source, place), cache=cache)]
        return self._document(block, source, cache, place)

    def _document(self, block: shapes.Block, source: shapes.Source, cache: Cache | None, place: str) -> Iterable[Part]:
        self._note_citations(block)
        if block.context:
            self.lost["messages[].content[].context"] = None
        name = block.title or ""
        if source.type == "file":
            return [File(id=_needed(source.file_id, f"{place}.source.file_id"), name=name, cache=cache)]
        if source.type == "content":
            title = [Text(name)] if name else []
            return [*title, *self._inner(source.content, f"{place}.source.content")]
        if source.type == "text":
            text = _needed(source.data, f"{place}.source.data")
            return [File(f"data:text/plain;base64,{base64.b64encode(text.encode()).decode()}", name=name, cache=cache)]
        return [File(_url(source, place), name=name, cache=cache)]

    def _result(self, block: shapes.Block, place: str) -> ToolResult:
        parts = tuple(self._inner(block.content, f"{place}.content"))
        id = _needed(block.tool_use_id, f"{place}.tool_use_id")
        return ToolResult(id, parts, bool(block.is_error), cache=mark(block.cache_control))

    def _inner(self, content: object, place: str) -> Iterator[Part]:
        """What a tool gave, or what a document is made of."""
        if isinstance(content, str):
            if content:
                yield Text(content)
            return
        if isinstance(content, shapes.Anything):
            raise BadRequest(f"{place} must be a text or a list of parts.")
        for at, block in enumerate(content if isinstance(content, list) else ()):
            if block.type == "tool_reference":  # names a tool that was found; across dialects all tools are there
                yield Text(block.tool_name or "")
                continue
            parts = self._of_any(block, f"{place}[{at}]")
            if parts is None:
                if block.type not in _MEDIA:
                    raise BadRequest(f"{place}[{at}] is of type {block.type[:40]!r}, which cannot stand there.")
                parts = self._media(block, f"{place}[{at}]")
            yield from parts

    def _note_citations(self, block: shapes.Block) -> None:
        told = block.citations
        if told.enabled if isinstance(told, shapes.Citations) else told:
            self.lost["messages[].content[].citations"] = None


_MEDIA = ("image", "document", "search_result")


def mark(control: shapes.CacheControl | None) -> Cache | None:
    return None if control is None else Cache(control.ttl or "")


def _role(role: str) -> Role:
    return "user" if role == "user" else "assistant" if role == "assistant" else "system"


def _apart(role: Role, parts: list[Part]) -> Iterator[Message]:
    """Runs of results, and what stands between."""
    results = sum(isinstance(part, ToolResult) for part in parts)
    if results in (0, len(parts)):
        yield _run(role, parts)
        return
    run: list[Part] = []
    for part in parts:
        if run and isinstance(part, ToolResult) != isinstance(run[0], ToolResult):
            yield _run(role, run)
            run = []
        run.append(part)
    yield _run(role, run)


def _run(role: Role, parts: list[Part]) -> Message:
    return Message("tool" if parts and isinstance(parts[0], ToolResult) else role, tuple(parts))


def _needed(value: str | None, place: str) -> str:
    if value is None:
        raise BadRequest(f"{place} is missing; it is a text.")
    return value


def _url(source: shapes.Source, place: str) -> str:
    if source.type == "base64":
        kind, data = (_needed(getattr(source, name), f"{place}.source.{name}") for name in ("media_type", "data"))
        return f"data:{kind};base64,{data}"
    if source.type == "url":
        return _needed(source.url, f"{place}.source.url")
    raise BadRequest(f"{place}.source.type is base64, url, file, text or content, not {source.type[:40]!r}.")


def _search_result(block: shapes.Block) -> Text:
    """In words: nobody else has such a part."""
    found = block.content if isinstance(block.content, list) else []
    texts = "\n\n".join(each.text for each in found if each.text)
    head = "\n".join(each for each in (block.title, block.source) if isinstance(each, str) and each)
    return Text(f"{head}\n\n{texts}", mark(block.cache_control))


def _thought(block: shapes.Block) -> list[Part]:
    if block.type == "redacted_thinking":
        return [unseal(block.data or "", is_redacted=True)] if block.data else []
    proof, text = unseal(block.signature or ""), block.thinking or ""
    if proof.encrypted:  # whoever encrypts his thoughts shows a summary
        return [Thought(summary=text, encrypted=proof.encrypted, format=proof.format, id=proof.id, origin=proof.origin)]
    if not text and not proof.signature:
        return []
    return [Thought(text, signature=proof.signature, format=proof.format, id=proof.id, origin=proof.origin)]


def _call(block: shapes.Block, place: str) -> ToolCall:
    arguments = bytes(block.input)
    proof = unseal(block.thought_signature or block.camel_signature or "", GEMINI)
    return ToolCall(
        _needed(block.id, f"{place}.id"), _needed(block.name, f"{place}.name"),
        "{}" if arguments == b"null" else arguments.decode(), proof.signature, mark(block.cache_control), proof.origin,
    )  # fmt: skip
