"""Limits, sampling and thinking. What models have of their own goes into additionalModelRequestFields."""

import re

import msgspec

from kilo_gateway.dialects.converse.media import Json
from kilo_gateway.dialects.converse.models import Model
from kilo_gateway.dialects.hub.asked import Effort, Request, Target, Thinking
from kilo_gateway.dialects.hub.effort import nearest, tokens_of
from kilo_gateway.dialects.hub.notes import Notes

_EFFORTS: tuple[Effort, ...] = ("max", "high", "medium", "low")
_UNKNOWN_MAX = 32_000  # every Claude that thinks gives so much
_LEAST_BUDGET = 1024
_TIERS = {"default": "default", "standard": "default", "flex": "flex", "priority": "priority"}
_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}").fullmatch
_MAX_LABELS = 16


class Settings:
    """`config`: inferenceConfig. `own`: of the model. `forces_tool` and `lacks_thoughts`: Claude cannot think then."""

    def __init__(
        self, request: Request, target: Target, model: Model, notes: Notes, *, forces_tool: bool, lacks_thoughts: bool
    ) -> None:
        self.config: Json = {}
        self.own: Json = {}
        self._target = target
        self._model = model
        self._notes = notes
        self._add_max_tokens(request.max_tokens)
        self._is_thinking = self._thinks(request.thinking, forces_tool, lacks_thoughts)
        self._add_temperature(request)
        self._add_top_k(request.top_k)
        self._add_stop(request.stop)

    def _add_max_tokens(self, tokens: int | None) -> None:
        if tokens is not None:
            self.config["maxTokens"] = self._notes.answer_cap(tokens, self._target.max_output)

    def _thinks(self, thinking: Thinking | None, forces_tool: bool, lacks_thoughts: bool) -> bool:
        if thinking is None or thinking.is_enabled is False or thinking.effort == "none":
            return False
        if thinking.is_enabled is None and thinking.effort is None and thinking.max_tokens is None:
            return False
        if thinking.summary is not None:
            self._notes.drop("reasoning.summary")
        if not self._target.knows("reasoning") or (0, 0) < self._model.version < (3, 7):
            self._notes.drop("reasoning")
            return False
        if self._model.family == "nova-2":
            return self._add_nova_effort(thinking)
        if self._model.family != "anthropic":
            self._notes.drop("reasoning")
            return False
        if forces_tool:
            self._notes.change("reasoning: off, for a tool must be called")
            return False
        if self._model.thinks_adaptively:
            self.own |= {"thinking": {"type": "adaptive"}, "output_config": {"effort": self._effort(thinking)}}
            return True
        if lacks_thoughts:
            self._notes.change("reasoning: off, for the calls of this turn came without it")
            return False
        return self._add_budget(thinking)

    def _max(self) -> int:
        given = self.config.get("maxTokens")
        return given if isinstance(given, int) else self._target.max_output or _UNKNOWN_MAX

    def _effort(self, thinking: Thinking) -> str:
        if thinking.effort is not None:
            return "low" if thinking.effort == "minimal" else thinking.effort
        return "medium" if thinking.max_tokens is None else nearest(thinking.max_tokens, self._max(), _EFFORTS)

    def _add_budget(self, thinking: Thinking) -> bool:
        """At least 1024 tokens, and fewer than may be answered."""
        most = self._max()
        if most <= _LEAST_BUDGET:
            self._notes.change(f"reasoning: off, for it takes more than {_LEAST_BUDGET} max_tokens")
            return False
        budget = thinking.max_tokens
        if budget is None:
            budget = max(tokens_of(thinking.effort or "medium", most), _LEAST_BUDGET)
        fit = min(max(budget, _LEAST_BUDGET), most - 1 if most < 2 * _LEAST_BUDGET else int(most * 0.95))
        if fit != budget and thinking.max_tokens is not None:
            self._notes.change(f"reasoning.max_tokens: {fit}")
        if "maxTokens" not in self.config:
            self.config["maxTokens"] = most
            self._notes.change(f"max_tokens: {most}, for reasoning must be less")
        self.own["thinking"] = {"type": "enabled", "budget_tokens": fit}
        return True

    def _add_nova_effort(self, thinking: Thinking) -> bool:
        """High effort is for requests without a limit: https://docs.aws.amazon.com/nova/latest/nova2-userguide/"""
        effort = self._effort(thinking)
        effort = "high" if effort in ("xhigh", "max") else effort
        if effort == "high" and "maxTokens" in self.config:
            effort = "medium"
            self._notes.change("reasoning.effort: medium, for high goes without max_tokens")
        self.own["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}
        return effort == "high"

    def _add_temperature(self, request: Request) -> None:
        """Between 0 and 1; thinking goes with neither."""
        for field, name in (("temperature", "temperature"), ("top_p", "topP")):
            value: float | None = getattr(request, field)
            if value is None:
                continue
            if not self._target.knows(field):
                self._notes.drop(field)
            elif self._is_thinking:
                if value != 1:
                    self._notes.change(f"{field}: left out for reasoning")
            elif name == "topP" and self._model.takes_one_of_temperature_and_top_p and "temperature" in self.config:
                if value != 1:
                    self._notes.drop(field)
            else:
                self.config[name] = self._notes.within(field, value, 0.0, 1.0)

    def _add_top_k(self, top_k: int | None) -> None:
        if top_k is None:
            return
        if self._is_thinking and self._target.knows("top_k"):
            self._notes.change("top_k: left out for reasoning")
        elif self._model.family == "anthropic" and self._target.knows("top_k"):
            self.own["top_k"] = top_k
        elif self._model.family in ("nova", "nova-2") and self._target.knows("top_k"):
            self.own["inferenceConfig"] = {"topK": top_k}
        else:
            self._notes.drop("top_k")

    def _add_stop(self, stop: tuple[str, ...]) -> None:
        if stop and not self._target.knows("stop"):
            self._notes.drop("stop")
            return
        fit = [each for each in stop if each.strip()]
        if len(fit) != len(stop):
            self._notes.change("stop: blank ones left out")
        if fit:
            self.config["stopSequences"] = fit


def add_labels(body: Json, request: Request, notes: Notes) -> None:
    """Metadata as what Bedrock logs with a request, where it fits in there."""
    if request.metadata is not None:
        labels = _labels(request.metadata)
        if labels:
            body["requestMetadata"] = labels
        else:
            notes.drop("metadata")
    tier = request.service_tier
    if tier in _TIERS:
        body["serviceTier"] = {"type": _TIERS[tier]}
    elif tier not in (None, "auto"):
        notes.drop("service_tier")


def _labels(metadata: msgspec.Raw) -> dict[str, str]:
    try:
        labels = msgspec.json.decode(metadata, type=dict[str, str])
    except msgspec.MsgspecError:
        return {}
    is_fit = len(labels) <= _MAX_LABELS and all(_LABEL(name) and _LABEL(value) for name, value in labels.items())
    return labels if is_fit else {}
