"""Answers on their way back to a caller who speaks the upstream's dialect. `feed(bytes) -> bytes`, `finish() -> bytes`.

A stream leaves in whole events, however it arrived: so an error event can be added at any moment, and a truncated event
never reaches a caller. Every event passes byte for byte but the last one with usage, which is held until it is known to
be the last, and gets cost, provider and model.
"""

import re
from itertools import pairwise

from msgspec import Raw

from kilo_gateway.core.errors import BadAnswer, EmptyAnswer, GatewayError, Truncated, UpstreamError
from kilo_gateway.core.money import Nanos
from kilo_gateway.core.pipeline import cost_of
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects import finishing, openai_chat
from kilo_gateway.dialects.chat import silence
from kilo_gateway.dialects.gathered import Gathered
from kilo_gateway.dialects.openai_chat import Event
from kilo_gateway.dialects.sse import BYTE_ORDER_MARK
from kilo_gateway.dialects.troubles import opened, told_inside
from kilo_gateway.dialects.usages import usage_told

EVENT_END = b"\n\n"
MAX_EVENT_BYTES = 16 * 1024 * 1024
MAX_TAIL_BYTES = 64 * 1024
SAMPLE_BYTES = 4096
MAX_SAMPLES = 4
_DONE_LINE = re.compile(rb"^data:[ ]?\[DONE\]", re.MULTILINE).search
_NO_EVENT = frozenset({b"", b":", b"\n", b"\r"})  # how nothing, a comment and an empty line begin
_EVENTS = re.compile(rb".*?(?:\n\r?\n|\Z)", re.DOTALL).findall
_ENDS = re.compile(rb"\n\r?\n").finditer
_DATA = re.compile(rb"^data:[ ]?(.*?)\r?$", re.MULTILINE).findall


class RelayBody:
    """One JSON answer: kept until whole, so that a broken one can still be tried elsewhere."""

    is_done = False

    def __init__(self, call: Call, endpoint: Endpoint) -> None:
        self._call = call
        self._endpoint = endpoint
        self._gathered = Gathered(endpoint)
        self.feed = self._gathered.feed
        self._usage: Usage | None = None
        self._choices: Raw | bytes = b""
        self.cost: Nanos | None = None
        self.upstream_id = ""

    def finish(self) -> bytes:
        endpoint = self._endpoint
        fields = opened(endpoint, self._gathered.whole())
        self.upstream_id = openai_chat.id_of(fields["id"]) if "id" in fields else ""
        told = openai_chat.read_usage(fields["usage"], endpoint) if "usage" in fields else None
        if told is None or told.is_estimated:
            told = _estimated(told, self._call, endpoint, openai_chat.estimated_tokens(fields))
        self._usage = usage = openai_chat.with_images(told, self._call, endpoint)
        self._choices = fields.get("choices", b"")
        if not self._call.service and "choices" in fields and silence.is_empty(fields["choices"]):
            raise _empty(endpoint)
        self.cost = cost = cost_of(usage, endpoint, self._call.at_ms)
        return openai_chat.stamped(fields, usage, cost, endpoint)

    def held(self) -> bytes:
        return b""

    def failure(self, error: GatewayError) -> bytes:
        return b""

    def used(self) -> Usage:
        return self._usage or openai_chat.with_images(
            _estimated(None, self._call, self._endpoint, self.estimated_output_tokens()), self._call, self._endpoint
        )

    def finish_reason(self) -> tuple[str, str]:
        return finishing.in_choices(self._choices)

    def estimated_output_tokens(self) -> int:
        return self._gathered.size // 4


class RelayStream:
    __slots__ = (
        "_before_tail", "_call", "_created", "_endpoint", "_finished", "_frame", "_has_bare_returns", "_has_choice",
        "_has_payload", "_has_said", "_is_careful", "_is_final", "_kept", "_later", "_lead", "_lines", "_partial",
        "_passed", "_reason", "_tail", "_usage", "_wanted", "cost", "is_done", "upstream_id",
    )  # fmt: skip

    def __init__(self, call: Call, endpoint: Endpoint) -> None:
        self._call = call
        self._endpoint = endpoint
        self._partial = b""  # an event that has not ended yet
        self._lead = b""  # comments before the first payload event: until then another endpoint may be tried
        self._kept = b""  # the usage event that may be the last
        self._later: list[bytes] = []  # what came after it
        self._is_final = False  # the kept event says the answer is over
        self._is_careful = True  # each event has to be looked at
        self._has_payload = self.is_done = False
        self._has_choice = False
        self._has_said = bool(call.service)  # anything, or why there is nothing; code may need nothing put into it
        self._has_bare_returns = False  # as ends of lines, which SSE allows; they leave as line feeds
        self._wanted = openai_chat.wanted(call)  # choices; of several, one that has finished says nothing of the others
        self._finished: set[bytes] = set()  # of several: their indexes
        self._tail = self._before_tail = b""
        self._passed = self._lines = 0  # bytes and lines of events that say something
        self._frame = 0  # bytes of the first event that are not text
        self._created = 0
        self._reason = finishing.UNKNOWN
        self._usage: Usage | None = None  # as it was told last
        self.cost: Nanos | None = None
        self.upstream_id = ""

    def feed(self, data: bytes) -> bytes:
        if self._partial:
            data = self._partial + data
            self._partial = b""
        if not data.endswith(EVENT_END):
            data = self._keep_partial_event(data)
        find = data.find  # half the price of `in`
        is_special = find(b'"error"') >= 0 or find(b"[DONE]") >= 0 or (find(b'"usage"') >= 0 and _may_tell_usage(data))
        if self._is_careful or is_special:
            data = self._look_at_each(data)
        else:
            size = len(data)
            self._passed += size
            self._lines += data.count(b"\n") if size <= SAMPLE_BYTES else _about_lines(data)
        if data[:1] not in _NO_EVENT or b"\ndata" in data:  # comments may stand before events in one read
            self._before_tail = self._tail
            self._tail = data
        return data

    def finish(self) -> bytes:
        if self._partial.strip():
            # The blank line after the last event may be missing when the stream is otherwise whole.
            rest, self._partial = self._partial.rstrip(b"\r\n") + EVENT_END, b""
            if not self.is_done and self._is_whole(rest):
                return self.feed(rest) + self.finish()
            if not self.is_done:
                raise Truncated(f"{self._endpoint.provider}'s stream stopped inside an event.")
        if self.is_done or _DONE_LINE(self._tail):  # the latter: in the middle of a read, before something else
            return b""
        is_final = bool(self._kept) and self._is_final
        if not is_final and not self._has_finished():
            raise Truncated(f"{self._endpoint.provider}'s stream stopped before its end.")
        return self._end(openai_chat.DONE)

    def held(self) -> bytes:
        return b"" if self.is_done or not self._has_payload else self._let_go()

    def failure(self, error: GatewayError) -> bytes:
        return b""

    def used(self) -> Usage:
        if self._usage is not None and self.is_done:
            return self._usage
        return self._used(is_whole=self._is_final or self._has_finished())

    def _used(self, *, is_whole: bool) -> Usage:
        """Usage that runs along with the text is final in a whole answer alone."""
        usage = self._usage
        if usage is None or usage.is_estimated or not is_whole:
            usage = _estimated(usage, self._call, self._endpoint, self.estimated_output_tokens())
        return openai_chat.with_images(usage, self._call, self._endpoint)

    def finish_reason(self) -> tuple[str, str]:
        return self._reason

    def estimated_output_tokens(self) -> int:
        """One for each event; more where there is more text in them: a quarter of their bytes beyond what frames it.

        Reading each would cost as much as all else, so the frames of the last few are taken for typical.
        """
        parts = (self._before_tail, self._tail)
        last = [event for part in parts for event in _last_events(part[-SAMPLE_BYTES:])]
        lines = sum(event.count(b"\n") for event in last) / len(last) if last else 2
        events = int(self._lines / lines)
        chunks = [(event, _chunk_of(event)) for event in last]
        frames = [(_frame_of(event, chunk), len(event)) for event, chunk in chunks if chunk is not None]
        frame = max((frame for frame, size in frames if frame < size), default=self._frame)  # where there is text in it
        return max(events, (self._passed - events * frame) // 4)

    def _keep_partial_event(self, data: bytes) -> bytes:
        if data.endswith(b"\n\r\n"):
            return data
        if not self._has_payload and b"\r\r" in data and b"\n" not in data:
            self._has_bare_returns = True
        if self._has_bare_returns:
            data = data.replace(b"\r", b"\n")
        end = max(data.rfind(EVENT_END) + 2, data.rfind(b"\n\r\n") + 3)
        if end < 3:  # neither was found
            end = 0
        self._partial = data[end:]
        if len(self._partial) > MAX_EVENT_BYTES:
            raise BadAnswer(f"{self._endpoint.provider} sent an event without end.")
        return data[:end]

    def _look_at_each(self, data: bytes) -> bytes:
        """The events of `data` that may leave."""
        out: list[bytes] = []
        has_begun = self._has_payload
        if not has_begun:
            data = data.removeprefix(BYTE_ORDER_MARK)
        for event in _EVENTS(data):
            if not event or self.is_done:
                break
            try:
                self._look_at(event, out)
            except UpstreamError as error:
                # Of an empty answer nothing has to be seen: then another endpoint may give one.
                error.before = b"" if isinstance(error, EmptyAnswer) and not has_begun else b"".join(out)
                raise
        self._is_careful = not self._has_said or bool(self._kept) or self.is_done or self._wanted > 1
        return b"".join(out)

    def _look_at(self, event: bytes, out: list[bytes]) -> None:
        payload = _payload_of(event)
        if not payload:
            self._pass_comment(event, out)
        elif payload.strip() == b"[DONE]":
            if any(out):
                self._before_tail, self._tail = self._tail, b"".join(out)
            out.append(self._end(event))
        elif self._can_pass_unread(event):
            self._count(event)
            out.append(event)
        else:
            self._look_into(event, openai_chat.read_event(payload), out)

    def _can_pass_unread(self, event: bytes) -> bool:
        if not self._has_said or self._kept or self._wanted > 1:
            return False
        return b'"usage"' not in event and b'"error"' not in event

    def _look_into(self, event: bytes, chunk: Event | None, out: list[bytes]) -> None:
        if chunk is not None and (problem := openai_chat.error_of(chunk.error)) is not None:
            out.append(self._let_go())
            raise told_inside(self._endpoint, problem)
        if not self._has_payload:
            if chunk is None:
                raise BadAnswer(f"{self._endpoint.provider} began its stream with something that is not a chunk.")
            if not chunk.choices and bytes(chunk.usage) == b"null":
                self._pass_comment(event, out)  # Azure's first: what its filters found in the prompt
                return
            self._has_payload = True
            self.upstream_id, self._created = openai_chat.id_of(chunk.id), openai_chat.created_of(chunk.created)
            self._frame = _frame_of(event, chunk)
            out.append(self._lead)
        if chunk is not None and any(choice.says_something() for choice in chunk.choices or ()):
            self._count(event)
        if chunk is not None and self._wanted > 1:
            self._finished |= {bytes(choice.index) for choice in chunk.choices or () if choice.finish_reason}
        if not self._has_said:
            self._has_said = _says_anything(event, chunk)
            self._has_choice = self._has_choice or (chunk is not None and bool(chunk.choices))
        usage = openai_chat.read_usage(_usage_of(chunk), self._endpoint) if chunk is not None else None
        if usage is not None and chunk is not None:
            out.append(self._let_go())
            self._usage = usage
            self._kept = event
            ends = any(choice.finish_reason for choice in chunk.choices or ())
            self._is_final = not chunk.choices or (ends and (self._wanted == 1 or self._has_finished()))
        elif self._kept:
            self._later.append(event)
            if self._keeps_talking(chunk):
                out.append(self._let_go())
        else:
            out.append(event)

    def _keeps_talking(self, chunk: Event | None) -> bool:
        """Whether the answer goes on after its usage, so that holding the rest back would stall it."""
        if not self._is_final or sum(map(len, self._later)) > MAX_TAIL_BYTES:
            return True
        return chunk is not None and any(choice.says_something() for choice in chunk.choices or ())

    def _pass_comment(self, event: bytes, out: list[bytes]) -> None:
        """What says nothing commits to nothing."""
        if not self._has_payload:
            self._lead += event
            if len(self._lead) > MAX_EVENT_BYTES:
                raise BadAnswer(f"{self._endpoint.provider} sends nothing but comments.")
        elif self._kept:
            self._later.append(event)
        else:
            out.append(event)

    def _let_go(self) -> bytes:
        """The kept event was not the last with usage: it passes as it came."""
        kept = self._kept + b"".join(self._later)
        self._kept = b""
        self._later = []
        return kept

    def _end(self, done: bytes) -> bytes:
        """The last event with usage, stamped, or one made up; then what came after it."""
        if not self._has_payload:
            raise Truncated(f"{self._endpoint.provider}'s stream ended without an event.")
        self._reason = finishing.in_events(self._kept, self._tail, self._before_tail)
        if self._has_choice and not self._has_said:
            raise _empty(self._endpoint)
        self._usage = usage = self._used(is_whole=True)
        self.is_done = True
        self.cost = cost = cost_of(usage, self._endpoint, self._call.at_ms)
        if not self._kept:
            told = openai_chat.usage_event(self.upstream_id, self._created, usage, cost, self._endpoint)
            return told + done
        payload = _payload_of(self._kept)
        fields = openai_chat.open_answer(payload)
        assert fields is not None  # it was read before
        told = b"data: " + openai_chat.stamped(fields, usage, cost, self._endpoint)
        ending = b"\r\n\r\n" if self._kept.endswith(b"\r\n") else EVENT_END
        later = b"".join(self._later)
        self._kept = b""
        return told + ending + later + done

    def _count(self, event: bytes) -> None:
        self._passed += len(event)
        self._lines += event.count(b"\n")

    def _is_whole(self, event: bytes) -> bool:
        payload = _payload_of(event).strip()
        return payload == b"[DONE]" or openai_chat.read_event(payload) is not None

    def _has_finished(self) -> bool:
        """Whether one of the last events that passed says so. Asked at the end only, and only where [DONE] is missing."""
        if self._wanted > 1:
            return len(self._finished) >= self._wanted
        chunks = [_chunk_of(event) for event in _EVENTS(self._before_tail + self._tail)]
        return any(choice.finish_reason for chunk in chunks if chunk is not None for choice in chunk.choices or ())


def _empty(endpoint: Endpoint) -> EmptyAnswer:
    return EmptyAnswer(f"{endpoint.provider} gave an empty answer.")


def _says_anything(event: bytes, chunk: Event | None) -> bool:
    """Or why there is nothing."""
    choices = chunk.choices or () if chunk is not None else ()
    if any(choice.says_something() or not silence.is_end(choice.finish_reason) for choice in choices):
        return True
    return silence.says_anything(_payload_of(event))


def _estimated(told: Usage | None, call: Call, endpoint: Endpoint, completion_tokens: int) -> Usage:
    """`told`: usage that is silent on the completion, or not final, if any."""
    return (told or Usage(call.estimated_prompt_tokens(endpoint))).at_least(completion_tokens)


def _may_tell_usage(data: bytes) -> bool:
    """OpenAI puts `"usage":null` into each chunk that says something."""
    return data.count(b'"usage"') != data.count(b'"usage":null') or b'"choices":[]' in data


def _about_lines(data: bytes) -> int:
    """As if all of it were like the lines at its beginning: counting all would slow bursts."""
    end = data.rfind(b"\n", 0, SAMPLE_BYTES) + 1
    return data.count(b"\n", 0, end) * len(data) // end if end else data.count(b"\n")


def _last_events(data: bytes) -> list[bytes]:
    """At most MAX_SAMPLES whole ones. Only their ends are searched: this is asked four times a second of each stream."""
    ends = [0, *(found.end() for found in _ENDS(data))]
    return [data[begin:end] for begin, end in pairwise(ends[-MAX_SAMPLES - 1 :])]


def _payload_of(event: bytes) -> bytes:
    """What stands behind `data:`. Mostly that is one line, and then no pattern is needed."""
    end = event.find(b"\n")
    if event.startswith(b"data:") and not event[end:].strip(b"\r\n"):
        line = event[5 : end if end >= 0 else len(event)].removesuffix(b"\r")
        return line.removeprefix(b" ")
    return b"\n".join(_DATA(event))


def _frame_of(event: bytes, chunk: Event) -> int:
    """Bytes of an event that are not text."""
    return len(event) - sum(choice.text_bytes() for choice in chunk.choices or ())


def _usage_of(chunk: Event) -> Raw:
    return usage_told(chunk.usage, chunk.x_groq, (choice.usage for choice in chunk.choices or ()))


def _chunk_of(event: bytes) -> Event | None:
    return openai_chat.read_event(_payload_of(event))
