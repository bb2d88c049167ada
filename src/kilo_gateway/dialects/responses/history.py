"""The items of a conversation as messages. What a provider executed is left out, and named in `lost`."""

from collections.abc import Iterable
from typing import TypeVar, get_args

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.hub.asked import (
    Audio,
    Cache,
    File,
    Format,
    Image,
    Message,
    Part,
    Role,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from kilo_gateway.dialects.responses import envelope, shapes
from kilo_gateway.dialects.responses.namespaces import Names

_T = TypeVar("_T")
_FORMATS: tuple[Format, ...] = get_args(Format)
_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_PROVIDERS_OWN = frozenset({
    "web_search_call", "file_search_call", "code_interpreter_call", "computer_call", "computer_call_output",
    "mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response",
    "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output",
    "apply_patch_call", "apply_patch_call_output", "tool_search_call", "tool_search_output",
    "compaction", "compaction_summary", "compaction_trigger", "context_compaction", "program", "program_output",
    "configuration_update", "ghost_snapshot",
})  # fmt: skip
_PARTS = frozenset({
    "input_text", "output_text", "text", "summary_text", "refusal", "input_image", "input_file", "input_audio",
})  # fmt: skip
_content: msgspec.json.Decoder[str | list[shapes.Part] | None] = msgspec.json.Decoder(str | list[shapes.Part] | None)
_summary: msgspec.json.Decoder[list[shapes.Part] | None] = msgspec.json.Decoder(list[shapes.Part] | None)
_text: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)
_encode = msgspec.json.Encoder().encode


class History:
    """`add` each item in its order, then `whole`."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.lost: dict[str, None] = {}
        self.tools: list[tuple[str, Raw]] = []  # those that come in the midst of the conversation: where, and a list of them
        self._messages: list[Message] = []
        self._turn: list[Part] = []  # of the assistant
        self._results: list[Part] = []
        self._signatures: dict[str, envelope.Sealed] = {}  # of calls that are yet to come

    def system(self, text: str) -> None:
        self._messages.append(Message("system", (Text(text),)))

    def user(self, text: str) -> None:
        self._messages.append(Message("user", (Text(text),)))

    def add(self, item: shapes.Item, at: str) -> None:
        kind = item.type or ("message" if item.role is not None else "item_reference")
        if kind == "message":
            self._message(item, at)
        elif kind in ("function_call", "custom_tool_call"):
            self._call(item, at)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._result(item, at)
        elif kind == "reasoning":
            self._thought(item, at)
        elif kind == "image_generation_call":
            self._drawn(item, at)
        elif kind == "additional_tools":
            self.tools.append((f"{at}.tools", item.tools))
        elif kind == "item_reference":
            raise BadRequest(f"{at} refers to a stored item; nothing is stored here. Send the item itself.")
        elif kind in _PROVIDERS_OWN or kind.startswith("openrouter:"):
            self._lose(f"input[type={kind}]")
        else:
            raise BadRequest(f"{at} is of type {kind[:60]!r}, which is not known here.")

    def whole(self) -> tuple[Message, ...]:
        self._end_turn()
        self._end_results()
        return tuple(self._messages)

    def _lose(self, name: str) -> None:
        self.lost[name] = None

    def _end_turn(self) -> None:
        if self._turn:
            self._messages.append(Message("assistant", tuple(self._turn)))
            self._turn = []

    def _end_results(self) -> None:
        if self._results:
            self._messages.append(Message("tool", tuple(self._results)))
            self._results = []

    def _of_assistant(self, part: Part) -> None:
        self._end_results()
        self._turn.append(part)

    def _message(self, item: shapes.Item, at: str) -> None:
        role = _ROLES.get(item.role or "")
        if role is None:
            raise BadRequest(f"{at}.role must be user, assistant, system or developer, not {(item.role or '')[:40]!r}.")
        if bytes(item.phase) != b"null":
            self._lose("input[].phase")
        parts = list(_parts(item.content, f"{at}.content"))
        if role == "assistant":
            for part in parts:
                self._of_assistant(part)
            return
        self._end_turn()
        self._end_results()
        self._messages.append(Message(role, tuple(parts)))

    def _call(self, item: shapes.Item, at: str) -> None:
        if not item.name:
            raise BadRequest(f"{at}.name is missing: the function that was called.")
        if item.type == "custom_tool_call":
            given = read(_text, item.input, f"{at}.input", "a text")
            arguments = _encode({"input": given or ""}).decode()
        else:
            arguments = read(_text, item.arguments, f"{at}.arguments", "JSON as a text") or "{}"
        name = self._names.of(read(_text, item.namespace, f"{at}.namespace", "a text") or "", item.name)
        id = item.call_id or ""
        signed = self._signatures.pop(id, envelope.Sealed())
        self._of_assistant(ToolCall(id, name, arguments, signed.signature, origin=signed.origin))

    def _result(self, item: shapes.Item, at: str) -> None:
        if not item.call_id:
            raise BadRequest(f"{at}.call_id is missing: the call that this is the output of.")
        self._end_turn()
        self._results.append(ToolResult(item.call_id, tuple(_parts(item.output, f"{at}.output"))))

    def _thought(self, item: shapes.Item, at: str) -> None:
        summary = _joined(read(_summary, item.summary, f"{at}.summary", "a list of summary_text parts"))
        text = _joined(read(_summary, item.content, f"{at}.content", "a list of reasoning_text parts"))
        blob = item.encrypted_content or ""
        if not blob.startswith(envelope.MARK):
            thought = _plain_thought(item, text, summary)
            if text or summary or blob or thought.signature:
                self._of_assistant(thought)
            return
        sealed = envelope.unseal(blob)
        if sealed is None:
            self._lose("input[].encrypted_content")
            sealed = envelope.Sealed()
        if sealed.call:
            self._signatures[sealed.call] = sealed
        elif text or summary or sealed.signature or sealed.encrypted:
            self._of_assistant(
                Thought(
                    sealed.text or text, summary, sealed.signature, sealed.encrypted, sealed.format, sealed.id, sealed.origin
                )
            )  # fmt: skip

    def _drawn(self, item: shapes.Item, at: str) -> None:
        data = read(_text, item.result, f"{at}.result", "base64")
        if data:
            self._of_assistant(Image(f"data:image/{item.output_format or 'png'};base64,{data}"))


def _plain_thought(item: shapes.Item, text: str, summary: str) -> Thought:
    """An id without what is encrypted names nothing: it was never stored."""
    blob = item.encrypted_content or ""
    known: Format = next((each for each in _FORMATS if each == item.format), "")
    format: Format = known or (envelope.FAMILY if blob else "")
    id = item.id or ""
    is_theirs = bool(blob) and not id.startswith(envelope.OWN_ID)
    return Thought(text, summary, item.signature or "", blob, format, id if is_theirs else "")


def read(decoder: msgspec.json.Decoder[_T], raw: Raw, at: str, meant: str) -> _T:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        where = f" ({error})" if "`$" in str(error) and "- at `$`" not in str(error) else ""
        raise BadRequest(f"{at} must be {meant}{where.replace('`$', '`')}.") from error


def _joined(parts: list[shapes.Part] | None) -> str:
    return "\n\n".join(part.text for part in parts or () if part.text)


def _parts(raw: Raw, at: str) -> Iterable[Part]:
    content = read(_content, raw, at, "a text or a list of parts")
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for nth, part in enumerate(content or ()):
        yield _part(part, f"{at}[{nth}]")


def _part(part: shapes.Part, at: str) -> Part:
    cache = None if (mark := part.prompt_cache_breakpoint) is None else Cache("1h" if mark.ttl == "12h" else "")
    match part.type:
        case "input_text" | "output_text" | "text" | "summary_text" if part.text is not None:
            return Text(part.text, cache)
        case "refusal" if part.refusal is not None:
            return Text(part.refusal)
        case "input_image" if part.image_url:
            return Image(part.image_url, part.detail, cache)
        case "input_image" if part.file_id:
            raise BadRequest(f"{at} names an image that one provider keeps, by file_id. Send image_url.")
        case "input_file" if part.file_data or part.file_url or part.file_id:
            return File(_file_url(part), part.file_id or "", part.filename or "", cache)
        case "input_audio" if part.input_audio is not None:
            return Audio(part.input_audio.data, part.input_audio.format)
        case kind if kind in _PARTS:
            raise BadRequest(f"{at} is of type {part.type!r}, without what that is to carry.")
        case _:
            raise BadRequest(f"{at} is of type {part.type[:60]!r}, which is not known here.")


def _file_url(part: shapes.Part) -> str:
    """`file_data` is base64, with or without data: before it."""
    data = part.file_data
    if not data:
        return part.file_url or ""
    if data.startswith("data:"):
        return data
    kind = "text/plain" if (part.filename or "").lower().endswith((".txt", ".md")) else "application/pdf"
    return f"data:{kind};base64,{data}"
