"""Connections to upstreams: one protocol class and the pool of those that are idle.

A connection carries one answer at a time to its receiver and knows nothing of requests, money or callers.
"""

import asyncio
import fcntl
import select
import sys
import termios
from collections import defaultdict, deque
from contextlib import suppress
from typing import Protocol, cast

from kilo_gateway.core.errors import BadAnswer, Defect, Truncated, UpstreamError
from kilo_gateway.core.types import Origin
from kilo_gateway.http.wire import Body, Head, body_of, read_head

HIGH_WATER_BYTES = 256 * 1024
COPY_LIMIT_BYTES = 64 * 1024  # above this two buffers are handed over instead of one copy made
MAX_IDLE = 1024  # connections kept for each origin
MAX_INTERIM_HEADS = 64  # of what came at once: each costs as much as an answer's
IDLE_ROUNDS = 3  # sweeps of the pool an idle connection outlives


class Receiver(Protocol):
    """What becomes of an answer. After on_end or on_lost the connection says no more."""

    def on_connected(self, connection: "UpstreamConnection") -> None: ...
    def on_head(self, head: Head, lines: bytes) -> None: ...
    def on_payload(self, payload: bytes) -> None: ...
    def on_end(self) -> None: ...
    def on_lost(self, error: UpstreamError) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    __slots__ = ("_body", "_early", "_head", "_is_paused", "_receiver", "idle", "idle_round", "origin", "pool", "transport")

    transport: asyncio.Transport

    def __init__(self, pool: "Pool", origin: Origin) -> None:
        self.pool = pool
        self.origin = origin
        self.idle = pool.idle_at(origin)  # where it rests
        self.idle_round = -1  # never pooled yet
        self._receiver: Receiver | None = None
        self._head: Head | None = None
        self._body: Body | None = None
        self._early = b""
        self._is_paused = False

    def send(self, receiver: Receiver, head: bytes, body: bytes) -> None:
        self._receiver = receiver
        if len(body) > COPY_LIMIT_BYTES:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head + body)

    def has_unsent(self) -> bool:
        """Whether the upstream has not taken the whole request yet."""
        return self.transport.get_write_buffer_size() > 0

    def abort(self) -> None:
        """Nobody wants the rest."""
        self._receiver = None
        self.transport.abort()

    def pause(self) -> None:
        self._is_paused = True
        self.transport.pause_reading()

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has the methods but not the base class
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:  # an idle connection has nothing to say
            self.transport.abort()
            return
        try:
            body = self._body
            if body is None:
                found = self._read_head(data)
                if found is not None:
                    self._begin(receiver, *found)
                return
            if data:
                try:
                    payload = body.feed(data)
                except UpstreamError as error:
                    self._deliver_before(error, receiver)
                    raise
                if payload:
                    receiver.on_payload(payload)
            if body.is_done and self._receiver is receiver:
                self._finish(receiver)
        except UpstreamError as error:
            self._fail(error)
        except Exception as error:  # the door of an answer: whatever it was, the caller is told
            self._fail(defect(error))

    def connection_lost(self, exc: Exception | None) -> None:
        receiver = self._receiver
        if receiver is None:
            self.pool.forget(self)
            return
        self._receiver = None
        ends_by_closing = self._head is not None and self._head.content_length is None and not self._head.is_chunked
        if ends_by_closing and exc is None:
            receiver.on_end()
        else:
            receiver.on_lost(Truncated("the upstream closed the connection before its answer was complete"))

    def _read_head(self, data: bytes) -> tuple[Head, bytes, bytes] | None:
        """The final head, once it is there, its lines and the first body bytes. 1xx heads are passed over."""
        if self._early:
            data = self._early + data
        for _ in range(MAX_INTERIM_HEADS):
            found = read_head(data)
            if found is None:
                self._early = data
                return None
            if found[0].status >= 200:
                self._early = b""
                self._head = found[0]
                return found
            data = found[2]
        raise BadAnswer("the upstream says again and again that its answer will come")

    def _begin(self, receiver: Receiver, head: Head, lines: bytes, data: bytes) -> None:
        receiver.on_head(head, lines)
        if head.content_length == len(data) and data and not head.is_chunked:  # whole: nothing to count
            receiver.on_payload(data)
            if self._receiver is receiver:
                self._finish(receiver)
        else:
            self._body = body_of(head)
            self.data_received(data)

    def _deliver_before(self, error: UpstreamError, receiver: Receiver) -> None:
        """What was whole before the framing broke."""
        payload, error.before = error.before, b""
        if payload:
            receiver.on_payload(payload)

    def _finish(self, receiver: Receiver) -> None:
        is_dirty = self._body is not None and self._body.is_dirty
        keeps_alive = self._head is not None and self._head.keeps_alive and not is_dirty and not self.has_unsent()
        self._receiver = self._head = self._body = None
        if keeps_alive:
            if self._is_paused:
                self.resume()  # this caller was slow; the next one is another
            self.pool.give_back(self)
        else:
            self.transport.close()
        receiver.on_end()

    def _fail(self, error: UpstreamError) -> None:
        receiver = self._receiver
        self.abort()
        if receiver is not None:
            receiver.on_lost(error)


def defect(error: Exception) -> Defect:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    told = Defect("The gateway failed while it read the answer.")
    told.where = f"{type(error).__name__} at {where}"  # not in its own words, which may quote the answer
    return told


def unsent_bytes(transport: asyncio.WriteTransport) -> int:
    """Of what was written: in our buffer; and, while there is any, in the kernel's, as far as it tells."""
    unsent = transport.get_write_buffer_size()
    if not unsent:
        return 0
    with suppress(OSError):
        queued = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        unsent += int.from_bytes(queued, sys.byteorder)
    return unsent


def hung_up(transport: asyncio.WriteTransport) -> bool:
    """Whether the other side has, though what it sent before has not been read. Only Linux tells."""
    if not hasattr(select, "POLLRDHUP"):
        return False
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


class Dialer(Protocol):
    """Makes connections; knows of guards, proxies and TLS."""

    def dial(self, pool: "Pool", origin: Origin, receiver: Receiver) -> asyncio.Task[None]: ...
    def on_first_rest(self, connection: UpstreamConnection) -> None: ...


class Pool:
    """Idle connections by origin, last used first: the rest grow cold and are closed."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._idle: defaultdict[Origin, deque[UpstreamConnection]] = defaultdict(deque)
        self._round = 0

    def idle_at(self, origin: Origin) -> "deque[UpstreamConnection]":
        return self._idle[origin]

    def take(self, origin: Origin) -> UpstreamConnection | None:
        idle = self._idle[origin]
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def give_back(self, connection: UpstreamConnection) -> None:
        idle = connection.idle
        if len(idle) >= MAX_IDLE:
            connection.transport.close()
            return
        if connection.idle_round < 0 and connection.origin.is_tls:
            self._dialer.on_first_rest(connection)
        connection.idle_round = self._round
        idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        if connection in connection.idle:
            connection.idle.remove(connection)

    def dial(self, origin: Origin, receiver: Receiver) -> asyncio.Task[None]:
        """Connects and tells the receiver, once. Cancelling the task is how a receiver stops waiting."""
        return self._dialer.dial(self, origin, receiver)

    def sweep(self) -> None:
        """Closes what has been idle for IDLE_ROUNDS sweeps."""
        self._round += 1
        for idle in self._idle.values():
            while idle and idle[0].idle_round < self._round - IDLE_ROUNDS:
                idle.popleft().transport.close()

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop().transport.close()
