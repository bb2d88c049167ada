"""Whoever ends a request, and however many see it end: it is settled once."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.errors import Unreachable
from kilo_gateway.core.exchange import HEADERS, HELD, MAX_ATTEMPTS, RELAYING, SENT, Caller, Exchange, State
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Decision, Endpoint, Key, Origin, Outcome
from kilo_gateway.ledger.limits import Counter

OUTCOMES: tuple[Outcome, ...] = ("ok", "client_gone", "upstream_failed", "broken_off", "refused")


def endpoint(name: str) -> Endpoint:
    return Endpoint(name, "m", Origin("h", 1), "openai-chat", b'"m"', b"", b"", b'"p"', b'"m"', None)


class Settled:
    def __init__(self) -> None:
        self.outcomes: list[tuple[Outcome, Usage]] = []

    def __call__(self, exchange: Exchange, outcome: Outcome, usage: Usage) -> None:
        self.outcomes.append((outcome, usage))


def exchange(settled: Settled, state: State = HELD, endpoints: int = 2) -> Exchange:
    order = [endpoint(str(n)) for n in range(endpoints)]
    call = Call("openai-chat", "m", True, 400, {})
    made = Exchange("gen-1", Caller(Key("k", "k", "member"), Counter()), call, Decision("m", "m", order), 0, 0.0, 0, settled)
    if state is not HELD:
        made.next_endpoint()
    made.state = state
    return made


@pytest.mark.parametrize("order", list(permutations(OUTCOMES, 3)))
def test_the_first_outcome_stands(order: tuple[Outcome, ...]) -> None:
    settled = Settled()
    one = exchange(settled, SENT)
    for outcome in order:
        one.close(outcome)
    assert [outcome for outcome, _ in settled.outcomes] == [order[0]]


@given(st.lists(st.sampled_from(["next", "fail", "sent", "headers", "relaying", *OUTCOMES]), max_size=30))
def test_whatever_happens_in_whatever_order_it_is_settled_at_most_once(steps: list[str]) -> None:
    settled = Settled()
    one = exchange(settled)
    states = {"sent": SENT, "headers": HEADERS, "relaying": RELAYING}
    for step in steps:
        if step == "next":
            one.next_endpoint()
        elif step == "fail" and one.attempts and one.state in states.values():
            one.attempt_failed(Unreachable("no"))
        elif step in states and one.attempts and one.state in (HELD, *states.values()):
            one.state = states[step]
        elif step in OUTCOMES:
            one.close(step)
    assert len(settled.outcomes) == any(step in OUTCOMES for step in steps)


def test_what_was_sent_and_not_answered_is_estimated() -> None:
    settled = Settled()
    exchange(settled, SENT).close("client_gone")
    assert settled.outcomes == [("client_gone", Usage(100, 0, is_estimated=True))]


def test_what_was_never_sent_costs_nothing() -> None:
    settled = Settled()
    exchange(settled).close("upstream_failed")
    assert settled.outcomes == [("upstream_failed", Usage())]


@pytest.mark.parametrize("endpoints", [1, 2, 3, 7])
def test_each_endpoint_is_tried_once_and_no_more_than_the_limit(endpoints: int) -> None:
    one = exchange(Settled(), endpoints=endpoints)
    tried = []
    while (found := one.next_endpoint()) is not None:
        tried.append(found.provider)
        one.attempt_failed(Unreachable("no"))
    assert tried == [str(n) for n in range(min(endpoints, MAX_ATTEMPTS))]
