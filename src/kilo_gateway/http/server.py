"""The caller's side: frames requests and hands them on. Decides nothing about them.

A caller is answered in order. While a request is on its way, further ones (pipelining) wait, and no more is read.

A head is parsed by httptools, and nothing but a head; when it comes again on its connection, it is compared. Where a body
ends is counted here (http/incoming.py), so that nothing of it is ever taken for a head.
"""

import asyncio
import re
from collections import deque
from typing import cast

import httptools

from kilo_gateway.core.errors import (
    BadRequest,
    GatewayError,
    HeadersTooLarge,
    MethodNotAllowed,
    Refusal,
    RequestTimedOut,
    TooLarge,
    UriTooLong,
)  # fmt: skip
from kilo_gateway.core.exchange import Caller
from kilo_gateway.core.ports import CallerDialect
from kilo_gateway.dialects import openai_chat
from kilo_gateway.http import answers, heads, incoming, paths, seldom
from kilo_gateway.http.active import Active
from kilo_gateway.http.fetching import way_of
from kilo_gateway.http.forward import Forward
from kilo_gateway.http.gateway import Gateway
from kilo_gateway.http.heads import Doubtful, KnownHead
from kilo_gateway.http.incoming import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_TARGET_BYTES,
    ChunkedBody,
    IncomingBody,
    Request,
    SizedBody,
)  # fmt: skip
from kilo_gateway.http.passage import Passage
from kilo_gateway.http.unpack import PATIENCE_S, Unpacking, UnsupportedEncoding
from kilo_gateway.http.upstream import HIGH_WATER_BYTES, hung_up, unsent_bytes

MAX_WAITING_BYTES = 1024 * 1024  # of pipelined requests
WAITING_REQUEST_BYTES = 1024
LINGER_S = 2.0  # what still comes after a refusal is read and dropped: a reset would overtake the answer
BODY_SIGN_BYTES = 10 * 1024  # of a request body in `body_s` are a sign of life
_MUCH = 1 << 62
_KEY = re.compile(r"kilo_[0-9A-Za-z]+").sub
_METHODS = "GET, HEAD, POST, OPTIONS"
_INFERENCE_METHODS = "POST, OPTIONS"
_BODY_IS_IGNORED = (b"GET", b"HEAD")


class ClientConnection(asyncio.Protocol):
    __slots__ = (
        "_active", "_body", "_gateway", "_head_bytes", "_headers", "_is_choked", "_is_in_head", "_is_looping",
        "_is_over", "_known", "_last_bytes", "_line_ends", "_parser", "_request", "_served", "_transport", "_unsent",
        "_waiting", "_waiting_bytes", "head_lines", "is_chunking", "is_fresh", "patience_s", "write",
    )  # fmt: skip

    _parser: httptools.HttpRequestParser  # of the head that comes in

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._active: Active | None = None
        self._waiting: deque[Request] = deque()
        self._is_choked = self._is_over = self._is_in_head = self._is_looping = False
        self._head_bytes = self._line_ends = self._waiting_bytes = 0
        self._unsent = _MUCH  # bytes written that had not left when it was last asked
        self._last_bytes = b""  # of a head that is not whole: its end may have been cut
        self._known: KnownHead | None = None  # the last that was parsed, if it may come again
        self._body: IncomingBody | None = None  # the one that comes in
        self._request = self._served = Request()  # the one that comes in, the one that is answered
        self._headers: dict[bytes, bytes] = {}
        self.head_lines = b""  # for the head of the answer
        self.is_chunking = True
        self.is_fresh = True
        self.patience_s = gateway.times.idle_s

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods but not the base class
        self.write = self._transport.write
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._gateway.deadlines.watch(self)

    def data_received(self, data: bytes) -> None:
        while data and not self._is_over:
            if self._body is not None:
                data = self._take_body(self._body, data)
            elif self._is_in_head or (rest := self._compare_head(data)) is None:
                data = self._parse_head(data)
            else:
                data = rest

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.deadlines.forget(self)
        self._waiting.clear()
        active, self._active = self._active, None
        if active is not None:
            active.abandon()

    def pause_writing(self) -> None:
        self._is_choked = True
        self._unsent = _MUCH
        if self._active is not None:
            self._active.pause()

    def resume_writing(self) -> None:
        self._is_choked = False
        if self._active is not None:
            self._active.resume()
        else:
            self._serve_next()

    # Reading: each takes from the beginning of `data` what is its own, and gives the rest

    def _compare_head(self, data: bytes) -> bytes | None:
        """A head like the last one, and what is there of its body; None: it is another one."""
        known = self._known
        if known is None or not data.startswith(known.before):
            return None
        at, length = known.body_at(data)
        if at < 0 or length > MAX_BODY_BYTES:
            return None
        self._request = request = Request(b"", known.target, b"POST", known.dialect, known.client)
        try:
            request.caller = self._gateway.pipeline.enter(known.credential)
        except Refusal as error:
            request.refusal = error
        end = at + length
        if end > len(data):
            self._await_body(SizedBody(request, length))
            return data[at:]
        request.parts = [data[at:end]]
        request.size = length
        self._complete(request)
        return data[end:]

    def _parse_head(self, data: bytes) -> bytes:
        is_begun = self._is_in_head
        if not is_begun:
            self._begin_head()
        end = heads.end_of(self._last_bytes, data)
        head = data[:end]
        self._head_bytes += len(head)
        self._line_ends += head.count(b"\n")
        self._last_bytes = (self._last_bytes + head[-3:])[-3:]
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # an offer to speak something else (curl --http2), which need not be taken
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None  # a defect of ours, not the caller's
        except httptools.HttpParserInvalidMethodError:
            self._refuse_and_close(MethodNotAllowed("This method is not served here.", _METHODS))
        except httptools.HttpParserError as error:
            self._refuse_and_close(BadRequest(f"This is not HTTP/1.1: {error}."))
        if self._is_in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_and_close(incoming.head_too_large())
        elif not (self._is_in_head or is_begun or self._is_over) and self._request.is_plain:
            self._remember_head(head)
        return data[end:]

    def _take_body(self, body: IncomingBody, data: bytes) -> bytes:
        request = self._request
        try:
            rest = body.take(data)
        except Refusal as error:
            self._refuse_and_close(request.refusal or error)
            return b""
        if body.is_done:
            self._body = None
            self._complete(request)
        elif request.size - request.seen >= BODY_SIGN_BYTES and self._active is None:
            request.seen = request.size
            self.is_fresh = True
        return rest

    def _begin_head(self) -> None:
        self._request = Request()
        self._parser = httptools.HttpRequestParser(self)
        self._headers.clear()
        self._is_in_head = True
        self._head_bytes, self._line_ends, self._last_bytes = 0, 0, b""
        self._wait_for_caller(self._gateway.times.head_s)

    def _await_body(self, body: IncomingBody) -> None:
        self._body = body
        self._wait_for_caller(self._gateway.times.body_s)

    def _wait_for_caller(self, patience_s: float) -> None:
        if self._active is None:
            self.is_fresh = True
            self.patience_s = patience_s

    def _remember_head(self, head: bytes) -> None:
        request, layouts = self._request, self._gateway.layouts
        if request.dialect is None or request.caller is None or not request.keeps_alive:
            return
        credential = heads.credential_of(self._headers, layouts[tuple(self._headers)])
        known = heads.known_head(head, request.target, request.dialect, credential, request.client)
        self._known = None if known is None else layouts.shared(known)

    def _complete(self, request: Request) -> None:
        if self._active is not None or self._waiting or self._is_choked:
            self._wait(request)
        else:
            self._serve(request)

    # httptools

    def on_url(self, url: bytes) -> None:
        self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        if name not in headers and len(name) not in heads.JOINED_LENGTHS:
            headers[name] = value
        elif (plain := name.lower()) in heads.JOINED:
            headers[plain] = headers[plain] + b"," + value if plain in headers else value
            if plain == heads.FORWARDED:
                self._request.forwarded = headers[plain]
        elif name not in headers:
            headers[name] = value
        elif plain in heads.SINGLE:
            headers[name + heads.AGAIN] = value
        elif plain in heads.LISTS:
            headers[name] += b"," + value

    def on_headers_complete(self) -> None:
        request = self._request
        if not self._is_in_head:  # two in one: our idea of where a head ends is not the parser's
            self._refuse_and_close(BadRequest("The head's end is in doubt."))
            return
        self._is_in_head = False
        request.dialect = self._gateway.routes.get(request.target)
        request.method = self._parser.get_method()
        try:
            body = self._read_head(request)
        except (Doubtful, HeadersTooLarge, UriTooLong, TooLarge) as error:
            self._refuse_and_close(error)
            return
        if self._is_over:
            return
        if body is not None:
            self._await_body(body)
        else:
            self._complete(request)

    def on_body(self, data: bytes) -> None:
        self._refuse_and_close(BadRequest("The head's end is in doubt."))

    # Heads

    def _read_head(self, request: Request) -> IncomingBody | None:
        """The body that is to come, if any."""
        parser, headers = self._parser, self._headers
        version = parser.get_http_version()
        if self._head_bytes > MAX_HEAD_BYTES or self._line_ends > MAX_HEADERS + 2:  # the first line, and the empty one
            raise incoming.head_too_large()
        layout = self._gateway.layouts[tuple(headers)]
        length = int(headers.get(layout.length, b"0"))
        if length > MAX_BODY_BYTES:
            raise incoming.body_too_large()
        body: IncomingBody | None = SizedBody(request, length) if length else None
        if b"transfer-encoding" in layout.notable:
            heads.check_coding(headers[layout.notable[b"transfer-encoding"]], version)
            body = ChunkedBody(request)
        request.is_chunking = version != "1.0"
        request.keeps_alive = request.is_chunking and parser.should_keep_alive()
        try:
            self._look_into(request, layout, version)
        except Doubtful:
            raise
        except Refusal as error:
            request.refusal = error
            if request.expects:  # its body waits for a word that will not come
                self._refuse_and_close(error)
        else:
            if request.expects and body is not None and self._active is None and not self._waiting:
                self._invite(request)
        return body

    def _invite(self, request: Request) -> None:
        request.expects = False
        self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _look_into(self, request: Request, layout: heads.Layout, version: str) -> None:
        if version not in ("1.0", "1.1"):
            raise BadRequest(f"HTTP/{version} is not spoken here; use HTTP/1.1.")
        if layout.client:
            request.client = self._gateway.clients.of(layout.client, self._headers)
        if layout.notable:
            seldom.note(request, layout, self._headers, self._gateway)
        else:
            request.is_plain = version == "1.1"
        if not layout.has_host and version != "1.0":
            raise BadRequest("The Host header is missing.")
        if request.dialect is None or request.method != b"POST":
            self._find(request)
        if request.dialect is not None:
            request.caller = self._gateway.pipeline.enter(heads.credential_of(self._headers, layout))

    def _find(self, request: Request) -> None:
        """Paths that are spelled oddly, or are not inference."""
        if request.method == b"CONNECT":
            raise MethodNotAllowed("CONNECT is not served here.", _INFERENCE_METHODS)
        if len(request.target) > MAX_TARGET_BYTES:
            raise incoming.target_too_long()
        path, query = paths.normal(request.target)
        request.dialect = self._gateway.routes.get(path)
        request.target = path + query
        if request.dialect is None:
            request.headers = self._headers.copy()
        elif request.method == b"OPTIONS":
            request.dialect = None
            request.headers = {}
        elif request.method != b"POST":
            raise MethodNotAllowed(f"{path.decode('latin-1')} takes POST.", _INFERENCE_METHODS)

    # One request after the other

    def _serve(self, request: Request) -> None:
        self._served = request
        self.is_chunking = request.is_chunking
        self.head_lines = request.head_lines
        if not request.keeps_alive or self._gateway.is_draining:
            self.head_lines += b"Connection: close\r\n"
        if request.refusal is not None:
            self._refuse(request.refusal)
            return
        parts = request.parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        request.parts = []
        if request.dialect is None or request.caller is None:
            self._serve_elsewhere(request, body)
        elif request.encoding:
            self.is_fresh, self.patience_s = True, PATIENCE_S
            self._active = Unpacking(self._gateway.unpackers, body, request.encoding, MAX_BODY_BYTES, self._unpacked)
        else:
            self._forward(request, request.caller, request.dialect, body)

    def _forward(self, request: Request, caller: Caller, dialect: CallerDialect, body: bytes) -> None:
        gateway = self._gateway
        try:
            exchange = gateway.pipeline.begin(caller, dialect, body, request.ceiling)
        except Refusal as error:
            self._refuse(error)
            return
        if request.client is not None:
            exchange.call.client = request.client
        way = Forward if gateway.fetcher is None else way_of(gateway.fetcher, gateway.pipeline.dialects, exchange)
        self._active = forward = way(exchange, dialect, gateway.pipeline, gateway.pool, self, gateway.local_trouble)
        forward.send_to_next()

    def _serve_elsewhere(self, request: Request, body: bytes) -> None:
        local = self._gateway.local_answer(request.method, request.target, self.head_lines)
        if local is not None:
            self.write(local)
            self.answered()
        elif request.method == b"OPTIONS":
            self.write(answers.no_content(request.head_lines))
            self.answered()
        elif request.encoding and body and request.method not in _BODY_IS_IGNORED:
            self._refuse(UnsupportedEncoding("Only requests to models may be compressed."))
        else:
            self._active = passage = Passage(self._gateway.control, self._gateway.pool, self)
            passage.start(request.method, request.target, request.headers or {}, body, self._client_ip())

    def _unpacked(self, body: bytes | Refusal) -> None:
        request, self._active = self._served, None
        if isinstance(body, Refusal):
            self._refuse(body)
        elif request.dialect is not None and request.caller is not None:
            self._forward(request, request.caller, request.dialect, body)

    def _refuse(self, error: GatewayError) -> None:
        request = self._served
        if not request.id:
            pipeline = self._gateway.pipeline
            request.id = pipeline.new_id(pipeline.wall_ms()).replace("gen-", "req-", 1).encode()
            self.head_lines += b"x-request-id: %b\r\n" % request.id
        self.report("request.refused", status=error.status, code=error.code)
        has_body = request.method != b"HEAD"
        self.write(answers.refusal(error, self.head_lines, has_body=has_body, dialect=request.dialect or openai_chat))
        self.answered()

    def _wait(self, request: Request) -> None:
        """Reading goes on for a while: who does not read does not hear that the caller has gone, and has to look for it."""
        self._waiting.append(request)
        self._waiting_bytes += WAITING_REQUEST_BYTES + request.size
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._transport.pause_reading()
            self._gateway.deadlines.look_after(self)

    def _serve_next(self) -> None:
        if self._is_looping:  # an answer made at once leads back here: the loop goes on, it does not nest
            return
        self._is_looping = True
        while self._waiting and not self._is_choked and self._active is None:
            request = self._waiting.popleft()
            if not self._waiting:
                self._waiting_bytes = 0
                if not self._is_over:
                    self._transport.resume_reading()
                    self._gateway.deadlines.look_no_more(self)
            self._serve(request)
        self._is_looping = False

    def _refuse_and_close(self, error: Refusal) -> None:
        """The framing is in doubt or too much is coming: nothing after this can be trusted."""
        if self._is_over:
            return
        self._is_over = True
        self._is_in_head = False
        self._body = None
        request = self._request
        request.refusal, request.keeps_alive, request.parts = error, False, []
        if self._active is not None or self._waiting:
            self._wait(request)
        else:
            self._serve(request)

    def _client_ip(self) -> str:
        peer = self._transport.get_extra_info("peername")
        return self._gateway.client_ip(str(peer[0]) if peer else "", self._served.forwarded)

    # forward.Client and deadlines.Waiter

    def answered(self) -> None:
        self._active = None
        self._unsent = _MUCH
        self.is_fresh = True
        self.patience_s = self._gateway.times.idle_s
        if self._is_over and not self._waiting:
            self.patience_s = LINGER_S
            self._transport.resume_reading()
            self._transport.write_eof()
        elif not self._served.keeps_alive or self._gateway.is_draining:
            self._is_over = True
            self._transport.close()
        elif self._waiting:
            self._serve_next()
        elif self._body is not None and self._request.expects:
            self._invite(self._request)

    def is_gone(self) -> bool:
        return hung_up(self._transport)

    def is_taking(self) -> bool:
        """Whether some of what was written has left since this was last asked, or since it began to wait."""
        unsent = unsent_bytes(self._transport)
        is_less = 0 < unsent < self._unsent
        self._unsent = unsent
        return is_less

    def abort(self) -> None:
        self._transport.abort()

    def report(self, event: str, **facts: object) -> None:
        path = _KEY("kilo_...", self._served.target.partition(b"?")[0].decode("latin-1"))[:200]
        if self._served.id:
            facts["request"] = self._served.id.decode("latin-1")
        self._gateway.report(event, client=self._client_ip(), path=path, **facts)

    def progress(self) -> None:
        if self._active is not None:
            self._active.progress()

    def silent(self, seconds: float) -> None:
        if self._active is not None:
            self._active.silent(seconds)
        elif self._is_in_head or self._body is not None:
            self._refuse_and_close(RequestTimedOut("The request did not arrive in time."))
        elif self.is_taking():
            self.is_fresh = True
        else:
            self._transport.abort()  # between requests; or what it has not taken of the last answer it will not take

    def close_if_idle(self) -> None:
        """The process drains: a connection that is between requests is of no more use."""
        if self._active is None and self._body is None and not (self._is_in_head or self._waiting):
            self._transport.close()

    def cut(self) -> None:
        if self._active is not None:
            self._active.cut()
        self._transport.close()
