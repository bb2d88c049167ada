"""Answers on their way back to a caller who speaks the upstream's dialect, where its events have names: Messages, Responses.

Every event passes byte for byte but the first, which gets the catalogue's model id, and the one that tells usage last,
which gets its cost. Only events with a mark in them are looked into: those are few, and the rest are text. (Chat
completions, which have no names, have relay.py.)
"""

import re
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core import surrogates
from kilo_gateway.core.errors import BadAnswer, EmptyAnswer, GatewayError, Truncated, UpstreamError
from kilo_gateway.core.money import Nanos, usd_text
from kilo_gateway.core.pipeline import cost_of
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects import sse, top_level
from kilo_gateway.dialects.gathered import Gathered
from kilo_gateway.dialects.hub.answered import AnswerHead, Event, Failed
from kilo_gateway.dialects.messages.sending import VERTEX_VERSION
from kilo_gateway.dialects.openai_chat import Problem
from kilo_gateway.dialects.sides import UpstreamSide
from kilo_gateway.dialects.top_level import Rules
from kilo_gateway.dialects.translated import Accounts
from kilo_gateway.dialects.troubles import told_inside

_EVENTS = re.compile(rb".*?(?:\n\r?\n|\Z)", re.DOTALL).findall
_FRAME_BYTES = 100  # of an event, about, that are not text
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


class Relay(Struct, frozen=True):
    """How a dialect is relayed.

    Of answers, `marks`: one is in every event that matters. `firsts`: names of those in whose member `head` the model is.
    `lasts`: of the one with the last usage, which stands in its member `within`. `failure`: how a stream is ended by an
    error, where that depends on what was relayed last. `reasons`: what the upstream's own word for an end means, where a
    reader who has not seen all takes it for another. `usage`: its members, where the upstream has told none.
    Of requests, `rules`: what of them is refused; the first cap is how long an answer may be. `cleaned`: the fields, for an
    endpoint, as they may leave, and what was changed that the caller should know; None: they may leave as they are.
    """

    marks: tuple[bytes, ...]
    firsts: frozenset[bytes]
    head: str
    lasts: frozenset[bytes]
    within: str
    rules: Rules
    usage: Callable[[Usage, float | None], Mapping[str, object]]
    failure: Callable[[bytes, GatewayError, AnswerHead], bytes] | None = None
    cleaned: Callable[[Mapping[str, Raw], Endpoint], tuple[dict[str, Raw], tuple[str, ...]] | None] | None = None
    reasons: Mapping[str, str] = {}


def splice(call: Call, endpoint: Endpoint, relay: Relay, output_cap: int | None) -> bytes:
    """The caller's own body with the upstream's model name, without what is `call.dropped`. Sets `call.changed`."""
    fields = top_level.mended(call, endpoint, relay.rules)
    cleaned = None if relay.cleaned is None else relay.cleaned(fields, endpoint)
    if cleaned is not None:
        fields, call.changed = cleaned
    if endpoint.platform == "vertex":
        del fields["model"]
        fields["anthropic_version"] = Raw(VERTEX_VERSION)
    else:
        fields["model"] = Raw(endpoint.model_json)
    if output_cap is not None:
        fields = {**fields, relay.rules.caps[0]: Raw(b"%d" % output_cap)}
    return _encode(fields)


class NamedBody:
    """One JSON answer, kept until whole."""

    is_done = False

    def __init__(self, call: Call, endpoint: Endpoint, upstream: UpstreamSide, relay: Relay) -> None:
        self._call = call
        self._endpoint = endpoint
        self._upstream = upstream
        self._relay = relay
        self._accounts = Accounts(call, endpoint)
        self._gathered = Gathered(endpoint)
        self.feed = self._gathered.feed
        self.cost: Nanos | None = None
        self.upstream_id = ""

    def finish(self) -> bytes:
        body = self._gathered.whole()
        for event in self._upstream.read_answer(body, self._endpoint):
            if isinstance(event, Failed):
                raise told_inside(self._endpoint, Problem(event.message, event.code, event.status))
            self._accounts.note(event)
        self._accounts.check_end()
        self.upstream_id = self._accounts.begun.id
        usage = self.used()
        self.cost = cost_of(usage, self._endpoint, self._call.at_ms)
        return _stamped(_decode(body), usage, self.cost, self._endpoint, self._relay)

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


class NamedStream:
    def __init__(self, call: Call, endpoint: Endpoint, upstream: UpstreamSide, relay: Relay) -> None:
        self._call = call
        self._endpoint = endpoint
        self._relay = relay
        self._reader = upstream.reader(endpoint)
        self._accounts = Accounts(call, endpoint)
        self._partial = b""
        self._passed = self._events = 0
        self._has_failed = False
        self._has_bare_returns = False  # as ends of lines, which SSE allows; they leave as line feeds
        self._last = b""  # relayed, with an event in it
        self.cost: Nanos | None = None
        self.upstream_id = ""

    @property
    def is_done(self) -> bool:
        return self._reader.is_done and not self._has_failed

    def feed(self, data: bytes) -> bytes:
        if self._partial:
            data = self._partial + data
            self._partial = b""
        if not data.endswith(b"\n\n"):
            data = self._keep_partial_event(data)
        return self._pass(data) if data else b""

    def finish(self) -> bytes:
        last, self._partial = self._partial.strip(b"\r\n"), b""
        out = self._pass(last + b"\n\n") if _is_whole(last) else b""
        if not self._reader.is_done:
            error = Truncated(f"{self._endpoint.provider}'s stream stopped before its end.")
            error.before = out
            raise error
        self._check_end()
        if self.cost is None:
            self.cost = cost_of(self.used(), self._endpoint, self._call.at_ms)
        return out

    def held(self) -> bytes:
        return b""

    def failure(self, error: GatewayError) -> bytes:
        made = self._relay.failure
        return b"" if made is None else made(self._last, error, self._accounts.head())

    def used(self) -> Usage:
        self._accounts.estimate = self.estimated_output_tokens()
        return self._accounts.used()

    def finish_reason(self) -> tuple[str, str]:
        reason, native = self._accounts.finish_reason()
        return self._relay.reasons.get(native, reason), native

    def estimated_output_tokens(self) -> int:
        return max(self._events, (self._passed - self._events * _FRAME_BYTES) // 4)

    def _keep_partial_event(self, data: bytes) -> bytes:
        if not self._last and b"\r\r" in data and b"\n" not in data:
            self._has_bare_returns = True
        if self._has_bare_returns:
            data = data.replace(b"\r", b"\n")
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\n\r\n") + 3)
        if end < 3:  # neither was found
            end = 0
        self._partial = data[end:]
        if len(self._partial) > sse.MAX_EVENT_BYTES:
            raise BadAnswer(f"{self._endpoint.provider} sent an event without end.")
        return data[:end]

    def _is_marked(self, data: bytes) -> bool:
        for mark in self._relay.marks:  # noqa: SIM110  # half the price of `any`
            if data.find(mark) >= 0:
                return True
        return False

    def _pass(self, data: bytes) -> bytes:
        if not self._accounts.has_said:
            return self._pass_each(data)
        if not self._is_marked(data):
            events = data.count(b"\ndata:")
            if events:
                self._last = data
            self._passed += len(data)
            self._events += events or 1
            return data
        return self._pass_each(data)

    def _pass_each(self, data: bytes) -> bytes:
        out: list[bytes] = []
        has_begun = bool(self._last)
        if not has_begun:
            data = data.removeprefix(sse.BYTE_ORDER_MARK)
        for raw in _EVENTS(data):
            told = raw
            if self._is_marked(raw):
                try:
                    told = self._look_into(raw)
                except UpstreamError as error:
                    # Of an empty answer nothing has to be seen: then another endpoint may give one.
                    error.before = b"" if isinstance(error, EmptyAnswer) and not has_begun else b"".join(out)
                    raise
            else:
                self._pass_other(raw)
            out.append(told)
            if b"data:" in told:
                self._last = told
        return b"".join(out)

    def _pass_other(self, raw: bytes) -> None:
        """An event without a mark: counted, and read until one has said something."""
        if b"data:" not in raw:
            return
        self._passed += len(raw)
        self._events += 1
        found = None if self._accounts.has_said else sse.event_of(raw.strip(b"\r\n"))
        if found is None:
            return
        try:
            for event in self._reader.read(*found):
                self._accounts.note(event)
        except UpstreamError:  # what cannot be read may say something all the same
            self._accounts.has_said = True

    def _check_end(self) -> None:
        try:
            self._accounts.check_end()
        except EmptyAnswer:
            self._has_failed = True
            raise

    def _look_into(self, raw: bytes) -> bytes:
        found = sse.event_of(raw.strip(b"\r\n"))
        if found is None:
            return raw
        name, data = found
        for event in self._reader.read(name, data):
            self._note(event)
        if name in self._relay.firsts:
            return self._with_model(name, data) or raw
        if name not in self._relay.lasts:
            return raw
        self._check_end()
        usage = self.used()
        self.cost = cost_of(usage, self._endpoint, self._call.at_ms)
        fields = _decode(data)
        if self._relay.within:
            whole = _stamped(_decode(fields[self._relay.within]), usage, self.cost, self._endpoint, self._relay)
            fields[self._relay.within] = Raw(whole)
            stamped = _encode(fields)
        else:
            stamped = _stamped(fields, usage, self.cost, self._endpoint, self._relay)
        return b"event: %b\ndata: %b\n\n" % (name, stamped)

    def _with_model(self, name: bytes, data: bytes) -> bytes:
        """Empty for an event without that member."""
        fields = _decode(data)
        try:
            head = _decode(fields.get(self._relay.head, b""))
        except msgspec.MsgspecError:
            return b""
        head["model"], head["provider"] = Raw(self._endpoint.model_id_json), Raw(self._endpoint.label_json)
        fields[self._relay.head] = Raw(_encode(head))
        return b"event: %b\ndata: %b\n\n" % (name, _encode(fields))

    def _note(self, event: Event) -> None:
        if isinstance(event, Failed):
            self._has_failed = True
            raise told_inside(self._endpoint, Problem(event.message, event.code, event.status))
        self._accounts.note(event)
        self.upstream_id = self._accounts.begun.id


def _decode(data: bytes | Raw) -> dict[str, Raw]:
    try:
        return _decode_fields(data)
    except msgspec.MsgspecError:
        if (whole := surrogates.mended(bytes(data))) is not None:
            return _decode_fields(whole)
        raise


def _is_whole(event: bytes) -> bool:
    """Of what came last, without the blank line that ends an event: whether only that was missing."""
    found = sse.event_of(event)
    if found is None:
        return False
    try:
        _decode(found[1])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return found[1] == b"[DONE]"
    return True


def _stamped(fields: dict[str, Raw], usage: Usage, cost: Nanos | None, endpoint: Endpoint, relay: Relay) -> bytes:
    """With the catalogue's model id, the provider, and the usage with its cost."""
    fields["model"], fields["provider"] = Raw(endpoint.model_id_json), Raw(endpoint.label_json)
    told: dict[str, Raw] = {}
    if usage.is_estimated:
        told = {name: Raw(_encode(value)) for name, value in relay.usage(usage, None).items()}
    elif bytes(fields.get("usage", b"null")) != b"null":
        told = _decode(fields["usage"])
    told["cost"] = Raw(b"null" if cost is None else usd_text(cost).encode())
    fields["usage"] = Raw(_encode(told))
    return _encode(fields)
