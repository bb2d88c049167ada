"""What an exchange waits for, and what is due after so many seconds of silence. Pure; the sweep brings the seconds.

    CONNECT  the connection                          connect_s
    ANSWER   the request taken, then the first sign  write_s, then first_event_s (stream) or first_byte_s
    IDLE     the next sign                           idle_s

A streaming caller who sees nothing for COMMENT_S gets a comment, and one more every COMMENT_S: proxies and clients between
would otherwise give up.
"""

from enum import Enum, auto

from msgspec import Struct

from kilo_gateway.core.errors import TimedOut
from kilo_gateway.core.types import Endpoint, Patience

COMMENT = b": KILO PROCESSING\n\n"
COMMENT_S = 10.0


class Phase(Enum):
    CONNECT = auto()
    ANSWER = auto()
    IDLE = auto()


CONNECT, ANSWER, IDLE = Phase  # asked for by name, an enum's member is ten times as dear on Python 3.11


class Step(Struct):
    """`patience_s`: the silence at which to ask again."""

    patience_s: float
    is_comment_due: bool = False
    failure: TimedOut | None = None


class Wait(Struct, frozen=True):
    """Made when a silence is looked into, not for each request."""

    phase: Phase
    endpoint: Endpoint
    is_stream: bool
    can_comment: bool
    comments: int  # sent so far


def first_look_s(phase: Phase, patience: Patience, *, is_stream: bool) -> float:
    """The silence at which something may first be due, on a connection or an answer."""
    if phase is CONNECT:
        return patience.connect_s
    first = patience.first_event_s if is_stream else patience.first_byte_s
    look = patience.write_s if patience.write_s < first else first
    return COMMENT_S if is_stream and look > COMMENT_S else look


def next_step(wait: Wait, silent_s: float, *, is_unsent: bool) -> Step:
    """What a silence of `silent_s` means. `is_unsent`: the upstream has not taken all of the request."""
    patience, name = wait.endpoint.patience, wait.endpoint.provider
    if wait.phase is CONNECT:
        return Step(patience.connect_s, failure=TimedOut(f"{name} could not be connected to in {patience.connect_s:g} s."))
    if wait.phase is IDLE:
        return Step(patience.idle_s, failure=TimedOut(f"{name} was silent for {patience.idle_s:g} s."))
    if is_unsent and silent_s >= patience.write_s:
        return Step(patience.write_s, failure=TimedOut(f"{name} did not take the request in {patience.write_s:g} s."))
    end_s = patience.first_event_s if wait.is_stream else patience.first_byte_s
    if silent_s >= end_s:
        return Step(end_s, failure=TimedOut(f"{name} did not answer in {end_s:g} s."))
    is_due = wait.can_comment and silent_s >= COMMENT_S * (wait.comments + 1)
    looks = [end_s]
    if is_unsent:
        looks.append(patience.write_s)
    if wait.can_comment:
        looks.append(COMMENT_S * (wait.comments + (2 if is_due else 1)))
    return Step(min(looks), is_comment_due=is_due)
