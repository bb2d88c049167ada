"""Puts a model's endpoints in order: as configured, those that failed lately last, those that cannot take the call out."""

from kilo_gateway.core.errors import NoEndpoint
from kilo_gateway.core.ports import Dialects
from kilo_gateway.core.types import Call, Decision, Endpoint, Model


class Preference:
    """`rest_s`: how long an endpoint that failed stands behind the others. It is never left out: it may be the last."""

    def __init__(self, dialects: Dialects, rest_s: float = 10.0) -> None:
        self._obstacle = dialects.obstacle
        self._rest_s = rest_s
        self._resting: dict[tuple[str, str], float] = {}  # (provider, model) -> until when

    def choose(self, call: Call, model: Model, now: float) -> Decision:
        order: list[Endpoint] = []
        excluded: list[tuple[str, str]] = []
        for endpoint in model.endpoints:
            obstacle = self._obstacle(call, endpoint)
            if obstacle:
                excluded.append((endpoint.provider, obstacle))
            else:
                order.append(endpoint)
        if not order:
            raise NoEndpoint(model.id, excluded)
        if self._resting and len(order) > 1:
            order.sort(key=lambda endpoint: self._resting.get((endpoint.provider, endpoint.model), now) > now)
        return Decision(call.model, model.id, order, excluded)

    def rest(self, endpoint: Endpoint, now: float) -> None:
        self._resting[endpoint.provider, endpoint.model] = now + self._rest_s
