"""How much is thought, both ways. https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking

A model thinks by a budget of tokens, or adaptively by effort; what it does not take is turned into what it does.
"""

from typing import get_args

from msgspec import Struct

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.hub.asked import Effort, Request, Target, Thinking
from kilo_gateway.dialects.hub.effort import nearest, tokens_of
from kilo_gateway.dialects.hub.notes import Notes
from kilo_gateway.dialects.messages import shapes
from kilo_gateway.dialects.messages.claude import Claude, thinks

MIN_BUDGET = 1024
_ROOM = 4096  # for the answer, where the budget alone was asked for
_ADAPTIVE: tuple[Effort, ...] = ("xhigh", "high", "medium", "low")
EFFORTS: tuple[Effort, ...] = get_args(Effort)


def read_thinking(asked: shapes.Thinking | None, effort: str | None) -> tuple[Thinking | None, str | None]:
    """Thinking and verbosity: effort that does not say how much is thought says how much is written."""
    level = next((known for known in EFFORTS if known == effort), None)
    if level is None and effort is not None:
        raise BadRequest(f"output_config.effort is low, medium, high, xhigh or max, not {effort[:40]!r}.")
    if asked is None:
        return (None if level is None else Thinking(effort=level)), None
    if asked.type == "disabled":
        return Thinking(is_enabled=False), effort
    is_excluded, summary = asked.display == "omitted", "auto" if asked.display == "summarized" else None
    if asked.type == "enabled":
        if asked.budget_tokens is None:
            raise BadRequest("thinking.budget_tokens is missing; it is a whole number from 1024 on.")
        return Thinking(True, None, asked.budget_tokens, is_excluded, summary), effort
    if asked.type in ("adaptive", "between_tools"):
        return Thinking(True, level, None, is_excluded, summary), None
    raise BadRequest(f"thinking.type is enabled, adaptive or disabled, not {asked.type[:40]!r}.")


class Plan(Struct, frozen=True):
    """`member`: what is sent as thinking. `effort`: of output_config."""

    max_tokens: int
    member: dict[str, object] | None = None
    effort: str | None = None

    @property
    def is_on(self) -> bool:
        return self.member is not None and self.member["type"] != "disabled"


class Planner:
    """`obstacle`: why there can be no thinking; `lacks_thought`: the calls being answered carry none."""

    def __init__(self, target: Target, model: Claude, notes: Notes) -> None:
        self._target = target
        self._model = model
        self._notes = notes

    def plan(self, request: Request, max_tokens: int, obstacle: str, lacks_thought: bool) -> Plan:
        asked = request.thinking
        plain = Plan(max_tokens)
        if asked is None:
            return plain
        is_off = asked.is_enabled is False or asked.effort == "none"
        if not thinks(self._target, self._model):
            if not is_off:
                self._notes.drop("reasoning")
            return plain
        if is_off:
            return Plan(max_tokens, {"type": "disabled"})
        if asked.is_enabled is None and asked.max_tokens is None:
            if asked.effort is None:
                return plain
            if self._model.takes_effort:  # asked for without a word on thinking
                return Plan(max_tokens, None, self.level(asked.effort))
        if obstacle:
            return self._off(max_tokens, obstacle)
        if self._model.is_adaptive and (asked.max_tokens is None or not self._model.takes_budget):
            return self._adaptive(asked, max_tokens)
        if lacks_thought:
            return self._off(max_tokens, "the calls being answered carry no thought of this provider's")
        return self._budget(asked, max_tokens, request.max_tokens is None)

    def level(self, effort: str) -> str:
        """The nearest that the model has."""
        if effort == "minimal":
            level = "low"
        elif effort == "xhigh" and self._model.version < (4, 7):
            level = "max" if self._model.is_adaptive else "high"
        elif effort == "max" and not self._model.is_adaptive:
            level = "high"
        else:
            return effort
        self._notes.change(f"effort: {level}, for {effort} is not among the model's")
        return level

    def _off(self, max_tokens: int, why: str) -> Plan:
        self._notes.change(f"reasoning: off, for {why}")
        return Plan(max_tokens, {"type": "disabled"})

    def _adaptive(self, asked: Thinking, max_tokens: int) -> Plan:
        member: dict[str, object] = {"type": "adaptive"} | self._display(asked)
        if asked.max_tokens is None:
            return Plan(max_tokens, member, None if asked.effort is None else self.level(asked.effort))
        effort = nearest(asked.max_tokens, max_tokens, _ADAPTIVE)
        self._notes.change(f"reasoning: effort {effort} in the place of {asked.max_tokens} tokens")
        return Plan(max_tokens, member, effort)

    def _budget(self, asked: Thinking, max_tokens: int, is_free: bool) -> Plan:
        """`is_free`: the caller set no limit, so one is set that leaves room for an answer."""
        wanted = asked.max_tokens
        if wanted is None:
            wanted = tokens_of(asked.effort or "medium", max_tokens)
        elif is_free and wanted >= max_tokens:
            max_tokens = min(wanted + _ROOM, self._target.max_output or wanted + _ROOM)
        if max_tokens <= MIN_BUDGET:
            return self._off(max_tokens, f"max_tokens {max_tokens} leaves no room for {MIN_BUDGET} tokens")
        budget = max(MIN_BUDGET, min(wanted, max_tokens - 1))
        if budget != asked.max_tokens and asked.max_tokens is not None:
            self._notes.change(f"reasoning.max_tokens: {budget}, between {MIN_BUDGET} and max_tokens")
        return Plan(max_tokens, {"type": "enabled", "budget_tokens": budget} | self._display(asked))

    def _display(self, asked: Thinking) -> dict[str, object]:
        """Later models keep their thoughts to themselves unless asked."""
        if not self._model.is_claude:
            return {}
        if asked.is_excluded:
            return {"display": "omitted"}
        return {"display": "summarized"} if asked.summary or not self._model.takes_budget else {}
