"""The caller's side: frames requests and hands them on. Decides nothing about them.

A caller is answered in order. While a request is on its way, further ones (pipelining) wait, and no more is read.

A connection is read in one of two ways. Plainly: httptools puts headers into a dict, with no Python in between. A header
that is repeated leaves no trace there, but its head has a line too many, and lines are counted. Carefully: each header is
looked at. What is not one plain request in a read is read anew and carefully, and so is all that follows it.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from kilo_gateway.core.brand import HOP_HEADER
from kilo_gateway.core.errors import (
    BadRequest,
    GatewayError,
    HeadersTooLarge,
    LoopDetected,
    MethodNotAllowed,
    Refusal,
    RequestTimedOut,
    TooLarge,
    UriTooLong,
)  # fmt: skip
from kilo_gateway.core.exchange import Caller
from kilo_gateway.core.ports import CallerDialect
from kilo_gateway.http import answers, heads, incoming, paths, unpack
from kilo_gateway.http.careful import CarefulParser, ReadAnew
from kilo_gateway.http.forward import Forward
from kilo_gateway.http.gateway import Gateway
from kilo_gateway.http.heads import Doubtful
from kilo_gateway.http.incoming import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES, Chunks, Request
from kilo_gateway.http.passage import Passage
from kilo_gateway.http.unpack import Unpacking
from kilo_gateway.http.upstream import HIGH_WATER_BYTES

MAX_WAITING_BYTES = 1024 * 1024  # of pipelined requests
WAITING_REQUEST_BYTES = 1024
LINGER_S = 2.0  # what still comes after a refusal is read and dropped: a reset would overtake the answer
BODY_SIGN_BYTES = 10 * 1024  # of a request body in `body_s` are a sign of life
_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)
_INFERENCE_METHODS = "POST, OPTIONS"
_LINE_FEED = ord("\n")


class Active(Protocol):
    """What works for the caller's current request."""

    def abandon(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def progress(self) -> None: ...
    def cut(self) -> None: ...
    def silent(self, seconds: float) -> None: ...


class ClientConnection(asyncio.Protocol):
    __slots__ = (
        "_active", "_data", "_gateway", "_head_bytes", "_headers", "_is_careful", "_is_choked", "_is_in_head",
        "_is_looping", "_is_new", "_is_old", "_is_over", "_is_receiving", "_parser", "_piece", "_request", "_served",
        "_transport", "_waiting", "_waiting_bytes", "head_lines", "is_chunked", "is_chunking", "is_fresh",
        "on_header", "patience_s", "write",
    )  # fmt: skip

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._active: Active | None = None
        self._waiting: deque[Request] = deque()
        self._is_choked = self._is_over = self._is_receiving = self._is_in_head = self._is_looping = False
        self._is_new = False  # there is a request whose head has not been looked into
        self._piece = 0  # bytes of the last piece of body
        self._data = b""  # of the read that is looked into
        self._head_bytes = self._waiting_bytes = 0
        self._is_old: bool | None = None  # HTTP/1.0: the connection's first request says it
        self._request = self._served = Request()  # the one that comes in, the one that is answered
        self._headers: dict[bytes, bytes] = {}
        self._is_careful = False
        self.on_header: Callable[[bytes, bytes], object] = self._headers.setdefault  # for httptools: the first stays
        self._parser: httptools.HttpRequestParser | CarefulParser = httptools.HttpRequestParser(self)
        self.head_lines = b""  # for the head of the answer
        self.is_chunking = True
        self.is_chunked = False  # a request's body was
        self.is_fresh = True
        self.patience_s = gateway.times.idle_s

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods but not the base class
        self.write = self._transport.write
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._gateway.deadlines.watch(self)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._data = data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._pass_over_upgrade(data)
            return
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, ReadAnew):
                raise error.__context__ or error from None  # a defect of ours, not the caller's
            self._read_carefully(data[error.__context__.at :])
            return
        except httptools.HttpParserError as error:
            self._refuse_and_close(BadRequest(f"This is not HTTP/1.1: {error}."))
        if self._is_new:
            self._goes_on(data)
        self._data = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.deadlines.forget(self)
        self._waiting.clear()
        active, self._active = self._active, None
        if active is not None:
            active.abandon()

    def pause_writing(self) -> None:
        self._is_choked = True
        if self._active is not None:
            self._active.pause()

    def resume_writing(self) -> None:
        self._is_choked = False
        if self._active is not None:
            self._active.resume()
        else:
            self._serve_next()

    # httptools

    def on_message_begin(self) -> None:
        self._request = Request()
        self._headers.clear()
        self._is_receiving = self._is_in_head = self._is_new = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._request.target += url

    def on_headers_complete(self) -> None:
        request = self._request
        if self._is_careful:
            self._check_head_size()
            if self._is_over:
                return
        self._is_in_head = False
        request.dialect = self._gateway.routes.get(request.target)
        request.method = self._parser.get_method()
        try:
            self._read_head(request)
        except (Doubtful, HeadersTooLarge, UriTooLong, TooLarge) as error:
            self._refuse_and_close(error)
        except Refusal as error:
            request.refusal = error
            if request.expects:  # its body waits for a word that will not come
                self._refuse_and_close(error)

    def on_body(self, data: bytes) -> None:
        request = self._request
        request.size += len(data)
        if request.size > MAX_BODY_BYTES:
            self._refuse_and_close(incoming.body_too_large())
        elif request.refusal is None:
            request.parts.append(data)
        if not self._is_new:
            self._piece = len(data)
            request.unseen += len(data)
            if request.unseen >= BODY_SIGN_BYTES and self._active is None:
                request.unseen = 0
                self.is_fresh = True

    def on_message_complete(self) -> None:
        self._is_receiving = False
        request = self._request
        if self._is_over or (request.offers_upgrade and self._parser.should_upgrade()):
            self._is_new = False
            return
        ends_at = 0  # in this read
        if not self._is_careful:
            if not self._is_new:
                ends_at = self._piece
            elif not self._is_plain():
                raise ReadAnew(0)
        self._is_new = False
        if self._is_old:
            request.is_chunking = request.keeps_alive = False
        else:
            request.keeps_alive = self._parser.should_keep_alive()
        if self._active is not None or self._waiting or self._is_choked:
            self._wait(request)
        else:
            self._serve(request)
        if ends_at and ends_at < len(self._data):
            raise ReadAnew(ends_at)

    # Reading

    def _goes_on(self, data: bytes) -> None:
        """A request that was begun does not end with this read."""
        if not self._is_careful and (self._is_in_head or not self._is_plain()):
            self._read_carefully(data)
        elif self._is_in_head:
            if self._head_bytes == 0:
                self._wait_for_caller(self._gateway.times.head_s)
            self._head_bytes += len(data)
            self._check_head_size()
        elif self._length() > MAX_BODY_BYTES:
            self._refuse_and_close(incoming.body_too_large())
        else:
            self._is_new = False
            self._wait_for_caller(self._gateway.times.body_s)

    def _wait_for_caller(self, patience_s: float) -> None:
        if self._active is None:
            self.is_fresh = True
            self.patience_s = patience_s

    def _is_plain(self) -> bool:
        """Whether this read was one head, each of its headers another, and then only body."""
        data = self._data
        end = len(data) - self._request.size
        lines = len(self._headers) + 2
        return end <= MAX_HEAD_BYTES and data.count(b"\n", 0, end) == lines and data[end - 1] == _LINE_FEED

    def _read_carefully(self, data: bytes) -> None:
        """From here on. `data` begins a request."""
        self._is_careful = True
        self.on_header = self._add_header
        self._parser = CarefulParser(self)
        self.data_received(data)

    def on_piece(self, size: int) -> bool:
        """Called by the careful parser."""
        request = self._request
        is_in_body = self._is_receiving and not self._is_in_head
        if is_in_body and request.chunks is not None and not request.chunks.take(request, size):
            self._refuse_and_close(request.refusal or incoming.framing_too_large())
        return not self._is_over

    # Heads

    def _read_head(self, request: Request) -> None:
        gateway, headers = self._gateway, self._headers
        if self._is_old is None:
            version = self._parser.get_http_version()
            self._is_old = version == "1.0"
            if version not in ("1.0", "1.1"):
                raise BadRequest(f"HTTP/{version} is not spoken here; use HTTP/1.1.")
        layout = gateway.layouts[tuple(headers)]
        if layout.notable:
            self._note(request, layout)
        if not layout.has_host and self._parser.get_http_version() != "1.0":
            raise BadRequest("The Host header is missing.")
        if layout.count > MAX_HEADERS:
            raise incoming.head_too_large()
        if request.dialect is None or request.method != b"POST":
            self._find(request)
        if request.dialect is not None:
            request.caller = gateway.pipeline.enter(headers.get(layout.credential, b""))
        if request.expects:
            if self._length() > MAX_BODY_BYTES:
                raise incoming.body_too_large()
            if self._active is None and not self._waiting:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _note(self, request: Request, layout: heads.Layout) -> None:
        """The headers that are seldom there."""
        value = {name: self._headers[spelled] for name, spelled in layout.notable.items()}
        if b"transfer-encoding" in value:
            heads.check_coding(value[b"transfer-encoding"], self._parser.get_http_version())
            request.chunks, self.is_chunked = Chunks(), True
        if not self._is_careful and not heads.ODD.isdisjoint(value):
            raise ReadAnew(0)
        if heads.AGAIN in value:
            name = layout.notable[heads.AGAIN].decode("latin-1").strip()
            raise Doubtful(f"The header {name} may be sent once only.")
        request.expects = b"expect" in value
        request.offers_upgrade = b"upgrade" in value
        id = value.get(b"x-request-id", b"")
        if heads.sane_id(id):
            request.id = id
            request.head_lines = b"x-request-id: %b\r\n" % id
        request.head_lines += self._gateway.cors_lines(value.get(b"origin"))
        request.encoding = unpack.known(value.get(b"content-encoding", b""))
        if (hops := value.get(HOP_HEADER.encode(), b"")) and self._gateway.hop in (hop.strip() for hop in hops.split(b",")):
            raise LoopDetected("This request has been here before: an upstream leads back to this gateway.")
        request.hops = hops[:1024]

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
            request.dialect = None
            raise MethodNotAllowed(f"{path.decode('latin-1')} takes POST.", _INFERENCE_METHODS)

    def _pass_over_upgrade(self, data: bytes) -> None:
        """An offer to speak something else (curl --http2): the parser would take the body for that, so it is read anew."""
        plain, count = _UPGRADE.subn(b"\r\nx-not-upgraded:", data, count=1)
        if count:
            self._parser = CarefulParser(self) if self._is_careful else httptools.HttpRequestParser(self)
            self.data_received(plain)
        else:
            self._refuse_and_close(BadRequest("Upgrade is not served here."))

    def _length(self) -> int:
        """As announced; 0 of a chunked body."""
        layout = self._gateway.layouts[tuple(self._headers)]
        return int(self._headers.get(layout.length, b"0"))

    def _check_head_size(self) -> None:
        """Looked into when what has been read is large; it may be the body, or other requests before this one."""
        if self._head_bytes + len(self._data) > MAX_HEAD_BYTES or len(self._headers) > MAX_HEADERS:
            size = len(self._request.target) + sum(len(name) + len(value) + 4 for name, value in self._headers.items())
            is_endless = self._head_bytes > 2 * MAX_HEAD_BYTES + len(self._data)  # one header that does not end
            if size > MAX_HEAD_BYTES or len(self._headers) > MAX_HEADERS or is_endless:
                self._refuse_and_close(incoming.head_too_large())

    def _add_header(self, name: bytes, value: bytes) -> None:
        """What the careful way calls for each header. Trailers are passed over."""
        headers, plain = self._headers, name.lower()
        if not self._is_in_head:
            return
        if plain == heads.FORWARDED:
            headers[plain] = headers[plain] + b"," + value if plain in headers else value
        elif name not in headers:
            headers[name] = value
        elif plain in heads.SINGLE:
            headers[name + heads.AGAIN] = value

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
        if request.encoding:
            self._active = Unpacking(body, request.encoding, MAX_BODY_BYTES, self._unpacked)
        elif request.dialect is None or request.caller is None:
            self._serve_elsewhere(request, body)
        else:
            self._forward(request, request.caller, request.dialect, body)

    def _forward(self, request: Request, caller: Caller, dialect: CallerDialect, body: bytes) -> None:
        gateway = self._gateway
        try:
            exchange = gateway.pipeline.begin(caller, dialect, body)
        except Refusal as error:
            self._refuse(error)
            return
        if request.hops:
            exchange.call.hops = request.hops
        self._active = forward = Forward(exchange, gateway.pipeline, gateway.pool, self)
        forward.send_to_next()

    def _serve_elsewhere(self, request: Request, body: bytes) -> None:
        local = self._gateway.local_answer(request.method, request.target)
        if local is not None:
            self.write(local)
            self.answered()
        elif request.method == b"OPTIONS":
            self.write(answers.no_content(request.head_lines))
            self.answered()
        else:
            self._active = passage = Passage(self._gateway.control, self._gateway.pool, self)
            passage.start(request.method, request.target, request.headers or {}, body, self._client_ip())

    def _unpacked(self, body: bytes | Refusal) -> None:
        request, self._active = self._served, None
        if isinstance(body, Refusal):
            self._refuse(body)
        elif request.dialect is None or request.caller is None:
            self._serve_elsewhere(request, body)
        else:
            self._forward(request, request.caller, request.dialect, body)

    def _refuse(self, error: GatewayError) -> None:
        request = self._served
        if not request.id:
            pipeline = self._gateway.pipeline
            request.id = pipeline.new_id(pipeline.wall_ms()).replace("gen-", "req-", 1).encode()
            self.head_lines += b"x-request-id: %b\r\n" % request.id
        self.report("request.refused", status=error.status, code=error.code)
        self.write(answers.refusal(error, self.head_lines, has_body=request.method != b"HEAD"))
        self.answered()

    def _wait(self, request: Request) -> None:
        """Reading goes on for a while: a pause would also hide that the caller has gone."""
        self._waiting.append(request)
        self._waiting_bytes += WAITING_REQUEST_BYTES + request.size
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._transport.pause_reading()

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
            self._serve(request)
        self._is_looping = False

    def _refuse_and_close(self, error: Refusal) -> None:
        """The framing is in doubt or too much is coming: nothing after this can be trusted."""
        if self._is_over:
            return
        self._is_over = True
        self._is_receiving = self._is_in_head = self._is_new = False
        request = self._request
        request.refusal, request.keeps_alive, request.parts = error, False, []
        if self._active is not None or self._waiting:
            self._wait(request)
        else:
            self._serve(request)

    def _client_ip(self) -> str:
        peer = self._transport.get_extra_info("peername")
        forwarded = next((value for name, value in self._headers.items() if name.lower() == heads.FORWARDED), b"")
        return self._gateway.client_ip(str(peer[0]) if peer else "", forwarded)

    # forward.Client and deadlines.Waiter

    def answered(self) -> None:
        self._active = None
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

    def abort(self) -> None:
        self._transport.abort()

    def report(self, event: str, **facts: object) -> None:
        path = self._served.target.partition(b"?")[0][:200].decode("latin-1")
        if self._served.id:
            facts["request"] = self._served.id.decode("latin-1")
        self._gateway.report(event, client=self._client_ip(), path=path, **facts)

    def progress(self) -> None:
        if self._active is not None:
            self._active.progress()

    def silent(self, seconds: float) -> None:
        if self._active is not None:
            self._active.silent(seconds)
        elif self._is_receiving:
            self._refuse_and_close(RequestTimedOut("The request did not arrive in time."))
        else:
            self._transport.abort()  # what it has not taken of the last answer by now it will not take

    def close_if_idle(self) -> None:
        """The process drains: a connection that is between requests is of no more use."""
        if self._active is None and not self._is_receiving and not self._waiting:
            self._transport.close()

    def cut(self) -> None:
        if self._active is not None:
            self._active.cut()
        self._transport.close()
