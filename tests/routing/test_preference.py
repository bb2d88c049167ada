"""The order in which endpoints are tried."""

import pytest

from kilo_gateway.core.errors import NoEndpoint
from kilo_gateway.core.types import Call, Endpoint, Model, Origin
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.routing.preference import Preference

CALL = Call("openai-chat", "m", False, 1, {})


def endpoint(name: str, dialect: str = "openai-chat") -> Endpoint:
    return Endpoint(name, "m", Origin("h", 1), dialect, b"", b"", b"", b"", b"", None)


def order(router: Preference, model: Model, now: float) -> list[str]:
    return [each.provider for each in router.choose(CALL, model, now).order]


def test_endpoints_are_tried_as_configured() -> None:
    assert order(Preference(Bridge()), Model("m", (endpoint("a"), endpoint("b"))), 0) == ["a", "b"]


def test_who_failed_lately_stands_behind_the_others_and_is_not_left_out() -> None:
    router, model = Preference(Bridge()), Model("m", (endpoint("a"), endpoint("b"), endpoint("c")))
    router.rest(model.endpoints[0], 0)
    router.rest(model.endpoints[1], 5)
    assert [order(router, model, now) for now in (6, 11, 16)] == [["c", "a", "b"], ["a", "c", "b"], ["a", "b", "c"]]


def test_who_cannot_take_the_call_is_left_out_with_the_reason() -> None:
    model = Model("m", (endpoint("a", "klingon"), endpoint("b")))
    decision = Preference(Bridge()).choose(CALL, model, 0)
    assert [each.provider for each in decision.order] == ["b"]
    assert "klingon" in dict(decision.excluded)["a"]


def test_when_nobody_can_the_reasons_are_told() -> None:
    with pytest.raises(NoEndpoint, match="klingon"):
        Preference(Bridge()).choose(CALL, Model("m", (endpoint("a", "klingon"),)), 0)
