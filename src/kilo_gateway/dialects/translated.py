"""Answers on their way to a caller who speaks another dialect than the upstream. core.ports.Translator.

What is let out begins with the first event that says something: until then another endpoint may be tried. The end waits
for the end of the upstream's stream, for usage may come after the finish.
"""


from kilo_gateway.core.errors import BadAnswer, EmptyAnswer, GatewayError, Truncated
from kilo_gateway.core.money import Nanos, usd
from kilo_gateway.core.pipeline import cost_of
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.finishing import MAX_NATIVE, UNKNOWN
from kilo_gateway.dialects.gathered import Gathered
from kilo_gateway.dialects.hub.answered import (
    Acted,
    AnswerHead,
    Begun,
    CallBegun,
    CallDelta,
    Event,
    Failed,
    Finished,
    StreamWriter,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.asked import Request
from kilo_gateway.dialects.hub.first_answer import FirstAnswer
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.openai_chat import Problem
from kilo_gateway.dialects.sides import CallerSide, UpstreamSide
from kilo_gateway.dialects.troubles import told_inside

_SILENT = (Begun, Told, Acted, Finished)


class Accounts:
    """What an answer used, as far as it is told, and what it said, to estimate the rest."""

    def __init__(self, call: Call, endpoint: Endpoint) -> None:
        self._call = call
        self._endpoint = endpoint
        self.begun = Begun()
        self.finished: Finished | None = None
        self.has_said = False
        self.acted: dict[str, int] = {}  # what tools of the provider's own did, and how often
        self.estimate = 0  # tokens, by who sees more than is noted here
        self._usage: Usage | None = None
        self._is_whole = False
        self._said = 0  # bytes, about

    def note(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._said += _bytes(event.text)
        elif isinstance(event, ThoughtDelta):
            self._said += _bytes(event.text) + _bytes(event.summary)
        elif isinstance(event, CallDelta):
            self._said += _bytes(event.arguments)
        elif isinstance(event, CallBegun):
            self._said += len(event.name)
        elif isinstance(event, Begun):
            self.begun = event
        elif isinstance(event, Told):
            self._usage = event.usage
        elif isinstance(event, Finished):
            self.finished = event
        elif isinstance(event, Acted):
            self.acted[event.kind] = self.acted.get(event.kind, 0) + 1
        self.has_said = self.has_said or not isinstance(event, _SILENT)

    def estimated_output_tokens(self) -> int:
        return max(self.estimate, -(-self._said // 4))

    def used(self) -> Usage:
        """What was told before the end tells no more than the prompt, and what had been written by then."""
        usage = self._usage
        if usage is None:
            usage = Usage(self._call.estimated_prompt_tokens(self._endpoint), is_estimated=True)
        if usage.is_estimated or not (self._is_whole or self.finished is not None):
            usage = usage.at_least(self.estimated_output_tokens())
        return openai_chat.with_images(usage, self._call, self._endpoint)

    def finish_reason(self) -> tuple[str, str]:
        return UNKNOWN if self.finished is None else (self.finished.reason, self.finished.native[:MAX_NATIVE])

    def head(self) -> AnswerHead:
        begun, endpoint = self.begun, self._endpoint
        created = begun.created or self._call.at_ms // 1000
        asked = self._call.crossing
        tools = asked.tools if isinstance(asked, Request) else ()
        freeform = frozenset(tool.name for tool in tools if tool.is_freeform)
        namespaces = {tool.name: (tool.namespace, tool.own_name) for tool in tools if tool.namespace}
        return AnswerHead(begun.id or self._call.id, created, endpoint.model, endpoint.provider, freeform, namespaces)

    def check_end(self, *, tells_failures: bool = True) -> None:
        """Raises EmptyAnswer for one that says nothing, does nothing, and calls that an end.

        BadAnswer for one that ends with an error, where nothing was said or the caller's dialect has no word for that.
        """
        finished = self.finished
        if not (self.has_said or self.acted) and (finished is None or finished.reason == "stop"):
            raise EmptyAnswer(f"{self._endpoint.provider} gave an empty answer.")
        self._is_whole = True
        if finished is not None and finished.reason == "error" and not (tells_failures and self.has_said):
            raise BadAnswer(f"{self._endpoint.provider} ended its answer with an error: {finished.native[:MAX_NATIVE]}.")

    def lost(self) -> tuple[str, ...]:
        """What tools of the provider's own did, for the header that names what was lost in crossing."""
        return tuple(f"answer.{kind} ({times})" for kind, times in self.acted.items())


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


class TranslatedBody:
    """One JSON answer, kept until whole."""

    is_done = False

    def __init__(
        self, call: Call, endpoint: Endpoint, caller: CallerSide, upstream: UpstreamSide, answer: FirstAnswer | None = None
    ) -> None:
        self._call = call
        self._endpoint = endpoint
        self._caller = caller
        self._upstream = upstream
        self._answer = answer
        self._accounts = Accounts(call, endpoint)
        self._gathered = Gathered(endpoint)
        self.feed = self._gathered.feed
        self.cost: Nanos | None = None
        self.upstream_id = ""

    def finish(self) -> bytes:
        events = self._upstream.read_answer(self._gathered.whole(), self._endpoint)
        for event in events:
            if isinstance(event, Failed):
                raise told_inside(self._endpoint, Problem(event.message, event.code, event.status))
            self._accounts.note(event)
        self._accounts.check_end(tells_failures=self._caller.tells_failures)
        self._call.dropped += self._accounts.lost()
        if self._answer is not None:
            events = self._answer.whole(events)
        self.upstream_id = self._accounts.begun.id
        usage = self.used()
        self.cost = cost_of(usage, self._endpoint, self._call.at_ms)
        told = None if self.cost is None else usd(self.cost)
        if hides_thoughts(self._call):
            events = [event for event in events if not isinstance(event, ThoughtDelta)]
        return self._caller.write_answer(fold(events), self._accounts.head(), usage, told)

    def held(self) -> bytes:
        return b""

    def failure(self, error: GatewayError) -> bytes:
        return b""

    def used(self) -> Usage:
        return self._accounts.used()

    def finish_reason(self) -> tuple[str, str]:
        return self._accounts.finish_reason()

    def estimated_output_tokens(self) -> int:
        return self._accounts.estimated_output_tokens()


class TranslatedStream:
    def __init__(
        self, call: Call, endpoint: Endpoint, caller: CallerSide, upstream: UpstreamSide, answer: FirstAnswer | None = None
    ) -> None:
        self._call = call
        self._endpoint = endpoint
        self._caller = caller
        self._splitter = upstream.splitter()
        self._reader = upstream.reader(endpoint)
        self._answer = answer
        self._has_last = upstream.has_last
        self._accounts = Accounts(call, endpoint)
        self._writer: StreamWriter | None = None
        self._hides_thoughts = hides_thoughts(call)
        self._waiting: list[Event] = []  # until something is said
        self._has_ended = self._has_failed = False
        self.cost: Nanos | None = None
        self.upstream_id = ""

    @property
    def is_done(self) -> bool:
        return self._has_ended or (self._reader.is_done and not self._has_failed)

    def feed(self, data: bytes) -> bytes:
        if self._has_ended:
            return b""
        return self._take(self._splitter.feed(data))

    def finish(self) -> bytes:
        out = b"" if self._reader.is_done else self._take(self._splitter.rest())
        if not self._reader.is_done and (self._has_last or self._accounts.finished is None):
            error = Truncated(f"{self._endpoint.provider}'s stream stopped before its end.")
            error.before = out
            raise error
        try:
            self._accounts.check_end(tells_failures=self._caller.tells_failures)
        except BadAnswer as error:
            error.before = out
            raise
        usage = self.used()
        self.cost = cost_of(usage, self._endpoint, self._call.at_ms)
        self._has_ended = True
        writer = self._writer or self._begin()
        out += writer.write(self._waiting)
        return out + writer.end(usage, None if self.cost is None else usd(self.cost))

    def held(self) -> bytes:
        return b""

    def used(self) -> Usage:
        return self._accounts.used()

    def finish_reason(self) -> tuple[str, str]:
        return self._accounts.finish_reason()

    def estimated_output_tokens(self) -> int:
        return self._accounts.estimated_output_tokens()

    def failure(self, error: GatewayError) -> bytes:
        return b"" if self._writer is None else self._writer.fail(error)

    def _take(self, events: list[tuple[bytes, bytes]]) -> bytes:
        out: list[bytes] = []
        for name, data in events:
            for event in self._reader.read(name, data):
                if isinstance(event, Failed):
                    self._has_failed = True
                    error = told_inside(self._endpoint, Problem(event.message, event.code, event.status))
                    error.before = b"".join(out)
                    raise error
                self._accounts.note(event)
                if type(event) is Told or (self._hides_thoughts and isinstance(event, ThoughtDelta)):
                    continue
                if self._answer is None:
                    self._waiting.append(event)
                else:
                    self._waiting += self._answer.take(event)
            if self._waiting and self._accounts.has_said:
                out.append((self._writer or self._begin()).write(self._waiting))
                self._waiting = []
        return b"".join(out)

    def _begin(self) -> StreamWriter:
        self.upstream_id = self._accounts.begun.id
        self._writer = self._caller.writer(self._accounts.head())
        return self._writer


def hides_thoughts(call: Call) -> bool:
    """Whether the caller wants them thought and not shown."""
    asked = call.crossing
    return isinstance(asked, Request) and asked.thinking is not None and asked.thinking.is_excluded
