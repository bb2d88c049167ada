"""One exchange's way out and back: send, fail over, relay, break off. Steps 8 and 9 of the pipeline.

    send_to_next -> _send -> on_head -> on_payload* -> on_end
         ^------------- on_lost, while the caller has seen no payload

The answer's head goes out with the first bytes the translator lets out. If those are also the last, it carries a length;
else the answer is streamed. Until then every failure can still become another attempt or a proper status. A streaming
caller who waits long gets head and comments earlier (http/patience.py says when): failover stays possible, a status not.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from kilo_gateway.core.errors import (
    Defect,
    Draining,
    GatewayError,
    Refusal,
    Truncated,
    Unreachable,
    UpstreamError,
    UpstreamRefused,
)
from kilo_gateway.core.exchange import ENDED, HEADERS, HELD, RELAYING, SENT, Exchange
from kilo_gateway.core.money import usd_text
from kilo_gateway.core.pipeline import Pipeline
from kilo_gateway.core.ports import Again, CallerDialect
from kilo_gateway.core.types import Call, Endpoint, Outcome
from kilo_gateway.http import answers, wire
from kilo_gateway.http.patience import ANSWER, COMMENT, CONNECT, IDLE, Phase, Wait, first_look_s, next_step
from kilo_gateway.http.upstream import Pool, UpstreamConnection, defect
from kilo_gateway.http.wire import Head

MAX_REFUSAL_BYTES = 64 * 1024
BOOT_RETRY_S = 0.1
STALE_S = 1.0  # an idle connection that was closed is told within a round trip; later, the upstream was at work
REFUSAL_S = 5.0  # for the text of an upstream's error
_COLON = ord(":")


class Client(Protocol):
    """The caller's side, and what the sweep of deadlines looks at. `head_lines` go into every answer's head."""

    is_fresh: bool
    patience_s: float
    head_lines: bytes
    is_chunking: bool

    def write(self, data: bytes) -> None: ...
    def answered(self) -> None: ...
    def is_taking(self) -> bool: ...
    def abort(self) -> None: ...
    def report(self, event: str, **facts: object) -> None: ...


class Forward:
    __slots__ = (
        "_boot_timer", "_client", "_comments", "_connection", "_dial", "_dialect", "_endpoint", "_exchange", "_feed",
        "_has_begun", "_has_head", "_head", "_head_lines", "_is_booting", "_is_chunking", "_is_gathering", "_is_paused",
        "_is_pooled", "_local_trouble", "_phase", "_pipeline", "_pool", "_refusal", "_sent_at", "_was_cut", "_write",
    )  # fmt: skip

    def __init__(
        self, exchange: Exchange, dialect: CallerDialect, pipeline: Pipeline, pool: Pool, client: Client,
        local_trouble: Callable[[], str],
    ) -> None:  # fmt: skip
        self._exchange = exchange
        self._dialect = dialect
        self._pipeline = pipeline
        self._pool = pool
        self._client = client
        self._local_trouble = local_trouble
        self._write = client.write
        self._is_chunking = client.is_chunking
        self._is_gathering = not exchange.call.is_stream
        self._connection: UpstreamConnection | None = None
        self._dial: asyncio.Task[None] | None = None
        self._boot_timer: asyncio.TimerHandle | None = None
        self._has_begun = False  # the caller has payload
        self._has_head = False  # the caller has the answer's head, perhaps only comments after it
        self._is_paused = self._is_pooled = self._is_booting = self._was_cut = False
        self._endpoint: Endpoint
        self._phase: Phase = CONNECT
        self._comments = 0  # sent during this wait
        self._feed: Callable[[bytes], bytes]
        self._head: Head
        self._refusal = self._head_lines = b""
        self._sent_at = 0.0  # on a pooled connection

    # What the caller's side tells

    def abandon(self) -> None:
        """The caller is gone."""
        self._stop_waiting()
        self._close("client_gone")
        if self._connection is not None:
            self._connection.abort()

    def pause(self) -> None:
        self._is_paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        self._is_paused = False
        self._client.is_fresh = True
        if self._connection is not None:
            self._connection.resume()

    def progress(self) -> None:
        """Called at each sweep that found the caller fresh."""
        exchange = self._exchange
        if exchange.state is not RELAYING:
            return
        if exchange.translator is None or not exchange.translator.is_done:
            self._pipeline.progress(exchange)
        elif self._connection is not None:
            self._connection.abort()
            self.on_end()  # it has said all, and had until now to end its answer: then it would have been used again

    def cut(self) -> None:
        """The process ends and cannot wait for this one any longer."""
        self._stop_waiting()
        if self._connection is not None:
            self._connection.abort()
        self._fail(Draining("The gateway is restarting; send the request again."))

    def silent(self, seconds: float) -> None:
        """Nothing has moved for too long: the upstream is silent, or the caller does not read."""
        if self._is_paused:
            if self._client.is_taking():
                self._client.is_fresh = True
            elif seconds > self._endpoint.patience.idle_s:
                self._client.abort()
            return
        connection = self._connection
        is_stream = self._exchange.call.is_stream
        wait = Wait(self._phase, self._endpoint, is_stream, is_stream and not self._has_begun, self._comments)
        step = next_step(wait, seconds, is_unsent=connection is not None and connection.has_unsent())
        self._client.patience_s = step.patience_s
        if step.is_comment_due:
            self._comment()
        if step.failure is not None:
            self._stop_waiting()
            if connection is not None:
                connection.abort()
            self.on_lost(step.failure)

    # What the upstream's side tells (upstream.Receiver)

    def on_connected(self, connection: UpstreamConnection) -> None:
        self._dial = None
        if self._exchange.state is ENDED:
            self._pool.give_back(connection)  # somebody else will want it
        else:
            self._send(connection)

    def on_head(self, head: Head, lines: bytes) -> None:
        exchange = self._exchange
        exchange.state = HEADERS
        head.refuse_encoding()
        self._head = head
        if head.status == 200:
            if exchange.call.service:
                exchange.call.answer_lines = lines
            translator = self._pipeline.dialects.translator(exchange.call, self._endpoint, head.content_type)
            exchange.translator = translator
            self._feed = translator.feed
        else:
            self._feed = self._keep_refusal
            self._head_lines = lines
            asyncio.get_running_loop().call_later(REFUSAL_S, self._is_refusal_enough, self._connection)
        if self._is_gathering:
            self._wait(IDLE)

    def on_payload(self, payload: bytes) -> None:
        out = self._feed(payload)
        if self._has_begun:
            if out:
                if out[0] != _COLON or b"\ndata" in out:  # a comment is no sign of progress
                    self._client.is_fresh = True
                self._write(b"%x\r\n%b\r\n" % (len(out), out) if self._is_chunking else out)
        elif out:
            self._begin(out)
        elif self._is_gathering:
            self._client.is_fresh = True

    def on_end(self) -> None:
        exchange = self._exchange
        translator = exchange.translator
        try:
            if translator is None:
                raise self._refused()
            rest = translator.finish()
        except UpstreamError as error:
            self._fall(error)
            return
        except Again as more:
            self._ask_again(more)
            return
        except Exception as error:  # the door of an answer: whatever it was, the caller is told
            self._fall(defect(error))
            return
        self._connection = None
        self._close("ok")
        if self._has_head:
            self._write(self._framed(rest) + self._last_frame())
        else:
            cost = translator.cost
            told = b"" if cost is None else b"x-kilo-cost-usd: %b\r\n" % usd_text(cost).encode()
            self._write(b"%b%bContent-Length: %d\r\n\r\n%b" % (self._answer_head(), told, len(rest), rest))
        self._client.answered()

    def on_lost(self, error: UpstreamError) -> None:
        self._connection = self._dial = None
        exchange = self._exchange
        if exchange.state is ENDED:
            return
        if exchange.translator is not None and exchange.translator.is_done:
            self.on_end()  # the answer was whole; how its connection ends is nobody's business
        else:
            self._fall(error)

    def _fall(self, error: UpstreamError) -> None:
        """This attempt came to nothing, or to half of an answer."""
        self._connection = None
        exchange = self._exchange
        if self._has_begun and exchange.translator is not None:
            error.before += exchange.translator.held()
        if error.before:
            self._relay_before(error)
        if self._has_begun:
            self._fail(error)
        elif self._is_pooled and exchange.state is SENT and isinstance(error, Truncated) and self._was_just_sent():
            self._connect()  # the upstream had closed the idle connection; it has not seen this request
        elif self._is_loading(error):
            self._wait(ANSWER)
            self._is_booting = True
            self._boot_timer = asyncio.get_running_loop().call_later(BOOT_RETRY_S, self._connect)
        else:
            error = self._explained(error)
            self._pipeline.attempt_failed(exchange, error)
            if error.is_retryable and exchange.has_next():
                self._report("attempt.failed", error)
                self.send_to_next()
            else:
                self._fail(error)

    # Steps

    def send_to_next(self) -> None:
        """There is one: a decision has at least one endpoint, and `on_lost` asks before."""
        endpoint = self._exchange.next_endpoint()
        assert endpoint is not None
        self._endpoint = endpoint
        call = self._exchange.call
        if call.service and (answer := self._pipeline.dialects.at_once(call, endpoint)):
            self._answer_at_once(answer)
        else:
            self._ask()

    def _ask(self) -> None:
        connection = self._pool.take(self._endpoint.origin)
        if connection is None:
            self._connect()
        else:
            self._is_pooled = True
            self._send(connection)

    def _answer_at_once(self, answer: bytes) -> None:
        """Nothing is sent, so nothing is used."""
        self._close("ok")
        self._write(b"%bContent-Length: %d\r\n\r\n%b" % (self._answer_head(b"application/json"), len(answer), answer))
        self._client.answered()

    def _ask_again(self, more: Again) -> None:
        """The same endpoint, for the next part of what it takes in parts."""
        exchange = self._exchange
        exchange.spent, exchange.translator, exchange.state = more.used, None, HELD
        self._connection = None
        self._ask()

    def _connect(self) -> None:
        self._is_pooled = False
        self._boot_timer = None
        self._wait(CONNECT)
        self._dial = self._pool.dial(self._endpoint.origin, self)

    def _send(self, connection: UpstreamConnection) -> None:
        """Shapes anew for every attempt, rather than keep a second copy of a body that may be large."""
        exchange = self._exchange
        try:
            head, body = self._pipeline.shape(exchange, self._endpoint)
        except Refusal as error:
            self._pool.give_back(connection)
            self._end_with(error, "refused")
            return
        self._connection = connection
        exchange.state = SENT
        self._refusal = b""
        self._wait(ANSWER)
        if self._is_pooled:
            self._sent_at = self._pipeline.clock()
        connection.send(self, head, body)
        if exchange.overhead_us < 0:
            exchange.overhead_us = int((self._pipeline.clock() - exchange.started) * 1e6)
        if self._is_paused:
            connection.pause()

    def _begin(self, out: bytes) -> None:
        exchange = self._exchange
        self._has_begun = True
        exchange.state = RELAYING
        exchange.first_us = int((self._pipeline.clock() - exchange.started) * 1e6)
        self._wait(IDLE)
        if self._has_head:
            self._write(self._framed(out))
        else:
            self._has_head = True
            self._write(self._stream_head() + self._framed(out))

    def _comment(self) -> None:
        self._comments += 1
        if not self._has_head:
            self._has_head = True
            head = self._answer_head(b"text/event-stream; charset=utf-8", is_known=False)
            self._write(head + (b"Transfer-Encoding: chunked\r\n\r\n" if self._is_chunking else b"\r\n"))
        self._write(self._framed(COMMENT))

    def _relay_before(self, error: UpstreamError) -> None:
        out, error.before = error.before, b""
        if self._has_begun:
            self._write(self._framed(out))
        else:
            self._begin(out)

    def _was_just_sent(self) -> bool:
        return self._pipeline.clock() - self._sent_at < STALE_S

    def _is_loading(self, error: UpstreamError) -> bool:
        """The local model is a child of our own that takes a moment to load; requests wait for it, unless it cannot run.

        Cut before it has said anything, it was killed and comes again. That is believed once: it may die of this request.
        """
        if not self._endpoint.is_local or self._local_trouble():
            return False
        is_loading = isinstance(error, Unreachable) or (isinstance(error, UpstreamRefused) and error.upstream_status == 503)
        if isinstance(error, Truncated) and self._exchange.state is SENT and not self._was_cut:
            is_loading = self._was_cut = True
        age_s = self._pipeline.clock() - self._exchange.started
        return is_loading and age_s < self._endpoint.patience.first_event_s

    def _explained(self, error: UpstreamError) -> UpstreamError:
        """That a socket of ours is not there says little; why the local model does not run says more."""
        trouble = self._local_trouble() if self._endpoint.is_local and isinstance(error, Unreachable) else ""
        if trouble:
            error = Unreachable(f"The local model does not run: {trouble}. {self._endpoint.cure}".rstrip())
            error.status = 503
        return error

    def _wait(self, phase: Phase) -> None:
        """While a local model loads, all attempts to reach it are one wait."""
        patience = self._endpoint.patience
        client = self._client
        if phase is IDLE:
            client.patience_s = patience.idle_s
        elif self._is_booting:
            return
        else:
            client.patience_s = first_look_s(phase, patience, is_stream=not self._is_gathering)
        client.is_fresh = True
        self._phase, self._comments = phase, 0

    def _keep_refusal(self, data: bytes) -> bytes:
        if len(self._refusal) < MAX_REFUSAL_BYTES:
            self._refusal += data
        return b""

    def _is_refusal_enough(self, connection: UpstreamConnection | None) -> None:
        """An error's text may drip for ever. What is there by now is the error."""
        if connection is not None and self._connection is connection and self._feed == self._keep_refusal:
            connection.abort()
            self.on_end()

    def _refused(self) -> Exception:
        retry_after = wire.header(self._head_lines, b"retry-after")
        return self._pipeline.dialects.refused(self._endpoint, self._head.status, self._refusal, retry_after)

    # What the caller gets

    def _framed(self, out: bytes) -> bytes:
        if not self._is_chunking or not out:
            return out
        return b"%x\r\n%b\r\n" % (len(out), out)

    def _last_frame(self) -> bytes:
        return b"0\r\n\r\n" if self._is_chunking else b""

    def _stream_head(self) -> bytes:
        return self._answer_head() + (b"Transfer-Encoding: chunked\r\n\r\n" if self._is_chunking else b"\r\n")

    def _answer_head(self, content_type: bytes = b"", *, is_known: bool = True) -> bytes:
        """All but the framing line. `is_known`: which endpoint it will be; else what was done for the one that was asked."""
        exchange, id = self._exchange, self._exchange.id.encode()
        capped = b"" if exchange.output_cap is None else b"x-kilo-max-tokens: %d\r\n" % exchange.output_cap
        call = exchange.call
        if (call.dropped or call.changed or call.mended) and exchange.state is not HELD:
            capped += _told_lines(call)
        return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nx-generation-id: %b\r\n%b%b%bx-kilo-overhead-us: %d\r\n" % (
            content_type or self._content_type(), id, self._client.head_lines or b"x-request-id: %b\r\n" % id,
            self._endpoint.answer_head if is_known else b"", capped, exchange.overhead_us,
        )  # fmt: skip

    def _content_type(self) -> bytes:
        """The upstream's own, unless the answer was put into another dialect."""
        if self._exchange.call.crossing is None:
            return self._head.content_type
        return b"application/json" if self._is_gathering else b"text/event-stream; charset=utf-8"

    def _fail(self, error: GatewayError) -> None:
        self._end_with(error, "broken_off" if self._has_begun else "upstream_failed")

    def _end_with(self, error: GatewayError, outcome: Outcome) -> None:
        exchange = self._exchange
        if exchange.state is ENDED:
            return
        translator = exchange.translator
        upstream_id = translator.upstream_id if translator is not None else ""
        self._close(outcome)
        self._report("request.failed", error, outcome=outcome)
        if self._has_head:
            created = exchange.at_ms // 1000
            events = translator.failure(error) if translator is not None and self._has_begun else b""
            if not events:
                events = self._dialect.error_events(error, upstream_id or exchange.id, exchange.decision.model, created)
            self._write(self._framed(events) + self._last_frame())
        else:
            id = exchange.id.encode()
            lines = b"x-generation-id: %b\r\n%b" % (id, self._client.head_lines or b"x-request-id: %b\r\n" % id)
            self._write(answers.refusal(error, lines, dialect=self._dialect))
        self._client.answered()

    def _close(self, outcome: Outcome) -> None:
        """Whatever goes wrong with the books, the caller is not left waiting; the journal's start is booked as recovered."""
        try:
            self._exchange.close(outcome)
        except Exception as error:  # a door, and a defect of ours
            self._report("request.not_booked", defect(error), outcome=outcome)

    def _report(self, event: str, error: GatewayError, **facts: object) -> None:
        if isinstance(error, Defect):
            facts["where"] = error.where
        provider = self._exchange.attempts[-1].endpoint.provider if self._exchange.attempts else ""
        self._client.report(
            event, id=self._exchange.id, model=self._exchange.decision.model, provider=provider,
            status=error.status, code=error.code, attempt=len(self._exchange.attempts), **facts,
        )  # fmt: skip

    def _stop_waiting(self) -> None:
        if self._dial is not None:
            self._dial.cancel()
        if self._boot_timer is not None:
            self._boot_timer.cancel()


def _told_lines(call: Call) -> bytes:
    """What did not reach the upstream as the caller wrote it."""
    repairs = [f"{kind}={count}" for kind, count in (call.mended or {}).items()]
    told = (
        ("x-kilo-dropped-fields", call.dropped), ("x-kilo-changed-fields", call.changed),
        ("x-kilo-warnings", call.clamped), ("x-kilo-repairs", repairs),
    )  # fmt: skip
    return b"".join(f"{name}: {_plain(', '.join(each))}\r\n".encode() for name, each in told if each)


def _plain(text: str) -> str:
    """What may stand in a header, and no more of it than a header bears."""
    return "".join(character if " " <= character < "\x7f" else "?" for character in text)[:2000]
