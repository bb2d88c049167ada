"""The way of one request, from credential to recorded cost. Read this file first.

    authenticate -> admit -> open -> resolve -> choose -> hold -> shape -> (send) -> (relay + meter) -> settle -> record
    `----- enter -----'     `----------- begin ----------'     `shape'    http/forward.py              `---- _end ----'

Each step is one plain call on a port (core/ports.py), over memory: nothing here waits, nothing here knows a socket.
Refusals are raised (core/errors.py). From `hold` on an Exchange owns what is owed, and only its `close` leads to `_end`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Raw
from msgspec.structs import replace

from kilo_gateway.core.brand import HOP_HEADER
from kilo_gateway.core.client import ClientHeaders
from kilo_gateway.core.errors import KeyRequired, UpstreamError
from kilo_gateway.core.exchange import NOTHING, Caller, Exchange
from kilo_gateway.core.meters import Meters
from kilo_gateway.core.money import Nanos
from kilo_gateway.core.ports import CallerDialect, Dialects, Estimates, Journal, Leases, Limits, Router, Snapshots
from kilo_gateway.core.price import Usage, kinds
from kilo_gateway.core.types import ANONYMOUS, MAX_CONTEXT, Call, Ended, Endpoint, Model, Outcome, Progressed, Started

_NO_TOOLS = (Raw(b"[]"), Raw(b"null"))
_NO_CHOICE = (Raw(b'"none"'), Raw(b'{"type":"none"}'), Raw(b'{"type": "none"}'))
_HOP = b"\r\n%b: " % HOP_HEADER.encode()
_LENGTH = b"Content-Length: "


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`clock` gives monotonic seconds, `wall_ms` Unix milliseconds."""

    snapshots: Snapshots
    limits: Limits
    dialects: Dialects
    router: Router
    leases: Leases
    journal: Journal
    estimates: Estimates
    meters: Meters
    clock: Callable[[], float]
    wall_ms: Callable[[], int]
    new_id: Callable[[int], str]
    sign: Callable[[Endpoint, bytes, bytes, int], bytes]
    readdress: Callable[[Endpoint, str, bytes], bytes]

    def enter(self, credential: bytes) -> Caller:
        """Steps 1-2, done on the request head, before any of the body is kept."""
        key = self.snapshots.current.authenticate(credential)
        return Caller(key, self.limits.admit(key, self.clock()))

    def begin(self, caller: Caller, dialect: CallerDialect, body: bytes, ceiling: Nanos | None = None) -> Exchange:
        """Steps 3-6. What it returns must be closed; if it raises, nothing is held. `ceiling`: besides one in the body."""
        now, at_ms = self.clock(), self.wall_ms()
        call = dialect.open_body(body)
        call.at_ms, call.id, call.estimate = at_ms, self.new_id(at_ms), self.estimates.prompt_tokens
        model = self.snapshots.current.resolve(call.model)
        if caller.key is ANONYMOUS:
            model = opened(model)
        decision = self.router.choose(call, model, now)
        if ceiling is not None:
            call.ceiling = ceiling if call.ceiling is None else min(ceiling, call.ceiling)
        if call.ceiling is not None:
            call.extent = dialect.extent(call)
            decision = self.leases.fitted(call, decision)
        held = self.leases.hold(caller.key, call, decision)
        caller.admission.in_flight += 1
        return Exchange(call.id, caller, call, decision, held, now, at_ms, self._end)

    def shape(self, exchange: Exchange, endpoint: Endpoint) -> tuple[bytes, bytes]:
        """Step 7: head and body for this endpoint; noted in the journal before a byte leaves."""
        cap = None if exchange.call.ceiling is None else self.leases.output_cap(exchange.call, endpoint)
        exchange.output_cap = cap
        body = self.dialects.shape(exchange.call, endpoint, cap)
        price, client = endpoint.price, exchange.call.client
        self.journal.append(
            Started(
                exchange.id, exchange.at_ms, exchange.caller.key.id, endpoint.model, endpoint.provider,
                min(exchange.call.size // 4, endpoint.context or MAX_CONTEXT),
                None if price is None else price.plain, "" if client is None else client.record,
            )
        )  # fmt: skip
        head = endpoint.stream_head if endpoint.stream_head and exchange.call.is_stream else endpoint.head
        if exchange.call.service:
            head = self.readdress(endpoint, exchange.call.service, exchange.call.content_type)
        if endpoint.aws is not None:
            head = self.sign(endpoint, head, body, self.wall_ms())
        if client is not None:
            head = introduced(head, client, exchange.call, endpoint)
        return b"%b%d\r\n\r\n" % (head, len(body)), body

    def progress(self, exchange: Exchange) -> None:
        """Between 9 and 10, four times a second: what a running stream has relayed."""
        if exchange.translator is not None:
            self.journal.append(Progressed(exchange.id, exchange.translator.estimated_output_tokens()))

    def attempt_failed(self, exchange: Exchange, error: UpstreamError) -> None:
        """Between 8 and 8: the next endpoint may be tried, and later requests know."""
        exchange.attempt_failed(error)
        if error.is_retryable:
            self.router.rest(exchange.attempts[-1].endpoint, self.clock())

    def _end(self, exchange: Exchange, outcome: Outcome, usage: Usage) -> None:
        """Steps 10-11, called by Exchange.close and nobody else."""
        attempts = exchange.attempts
        endpoint = attempts[-1].endpoint if attempts else exchange.decision.order[0]
        caller, translator, client = exchange.caller, exchange.translator, exchange.call.client
        cost = 0 if usage is NOTHING else translator.cost if translator is not None else None
        if cost is None:
            cost = cost_of(usage, endpoint, exchange.at_ms)
        if not usage.is_estimated:
            self.estimates.learn(exchange.call, endpoint, usage)
        finish, native_finish = translator.finish_reason() if translator is not None else ("", "")
        self.leases.settle(caller.key, exchange.held, cost or 0)
        caller.admission.in_flight -= 1
        self.meters.ended(outcome, usage, cost)
        ended = Ended(
            exchange.id, translator.upstream_id if translator is not None else "", exchange.at_ms, caller.key.id,
            endpoint.model, endpoint.provider, outcome, usage.prompt_tokens, usage.completion_tokens,
            usage.is_estimated, cost, len(attempts), int((self.clock() - exchange.started) * 1e6), exchange.first_us,
            " ".join([attempt.endpoint.provider for attempt in attempts if attempt.is_down]), *kinds(usage),
            finish, native_finish, has_tools(exchange.call), "" if client is None else client.record, usage.audio_ms,
        )  # fmt: skip
        if mended := exchange.call.mended:
            self.meters.repaired(mended)
            ended = replace(ended, repairs=" ".join([f"{kind}={count}" for kind, count in mended.items()]))
        self.journal.append(ended)


def opened(model: Model) -> Model:
    """For a caller without a key: the endpoints that were opened to everybody, and no other."""
    endpoints = tuple([endpoint for endpoint in model.endpoints if endpoint.is_open])
    if not endpoints:
        raise KeyRequired(f"{model.id} needs a key: send 'Authorization: Bearer kilo_...'")
    return Model(model.id, endpoints)


def has_tools(call: Call) -> bool:
    """Whether it offers tools, and the model may choose to call one."""
    fields = call.fields
    return "tools" in fields and fields["tools"] not in _NO_TOOLS and fields.get("tool_choice") not in _NO_CHOICE


def introduced(head: bytes, client: ClientHeaders, call: Call, endpoint: Endpoint) -> bytes:
    """`head`, up to and including `Content-Length: `, with what this endpoint may know of the caller's client.

    Behind the signature, which is not over these lines. What of them should have travelled and may not is told.
    """
    if client.hops:
        head = head.replace(_HOP, b"%b%b, " % (_HOP, client.hops))
    lines, unsent = client.told(endpoint.client_headers, call.dialect, endpoint.dialect)
    if unsent:
        call.dropped += unsent
    return b"%b%b%b" % (head.removesuffix(_LENGTH), lines, _LENGTH) if lines else head


def cost_of(usage: Usage, endpoint: Endpoint, at_ms: int) -> int | None:
    """Nano-USD; None where no price is known. A provider's own word on its charge wins where it is taken."""
    if usage.reported_cost is not None:
        return usage.reported_cost
    if usage.billed is not None:
        prompt, completion = usage.billed
        usage = Usage(prompt, completion, images=usage.images)
    return None if endpoint.price is None else endpoint.price.of(usage, at_ms)
