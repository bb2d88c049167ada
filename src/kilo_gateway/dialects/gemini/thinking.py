"""How much is to be thought: a budget of tokens for Gemini 2.5, a level for Gemini 3.

https://ai.google.dev/gemini-api/docs/thinking
"""

from kilo_gateway.dialects.gemini.models import Model
from kilo_gateway.dialects.hub.asked import Effort, Request, Target
from kilo_gateway.dialects.hub.notes import Notes

_SHARES: dict[Effort, int] = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}  # % of the cap
_BUDGETS = {"pro": (128, 32768), "flash": (1, 24576), "flash-lite": (512, 24576)}
_CAP = 65536  # of Gemini 2.5 and 3, where nobody says another
_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")


def config(request: Request, target: Target, model: Model, notes: Notes) -> dict[str, object] | None:
    """The thinkingConfig; None: none is sent."""
    asked = request.thinking
    if asked is None:
        return None
    is_off = asked.effort == "none" or asked.is_enabled is False
    is_able = model.generation >= (2, 5) and not model.makes_media
    if not target.knows("reasoning") or not is_able:
        if not is_off:
            notes.drop("reasoning")
        return None
    if is_off:
        return _least(model, notes)
    made: dict[str, object] = {}
    effort = asked.effort or ("medium" if asked.is_enabled and asked.max_tokens is None else None)
    cap = request.max_tokens or target.max_output or _CAP
    if effort is not None or asked.max_tokens is not None:
        by = _by_level if model.is_third else _by_budget
        made = by(effort, asked.max_tokens or 0, cap, model, notes)
    if not asked.is_excluded:
        made["includeThoughts"] = True
    return made or None


def _least(model: Model, notes: Notes) -> dict[str, object]:
    """Where thinking cannot be switched off, as little of it as can be."""
    if model.is_third:
        level = _levels(model)[0]
        notes.change(f"reasoning: this model always thinks; level {level}")
        return {"thinkingLevel": level}
    if model.kind == "pro":
        notes.change(f"reasoning: this model always thinks; {_BUDGETS['pro'][0]} tokens")
        return {"thinkingBudget": _BUDGETS["pro"][0]}
    return {"thinkingBudget": 0}


def _by_budget(effort: Effort | None, tokens: int, cap: int, model: Model, notes: Notes) -> dict[str, object]:
    least, most = _BUDGETS.get(model.kind, _BUDGETS["flash-lite"])
    wanted = cap * _SHARES[effort] // 100 if effort is not None else tokens
    budget = min(max(wanted, least), most)
    if effort is None and budget != wanted:
        notes.change(f"reasoning.max_tokens: {budget}, as {least} to {most} are taken")
    return {"thinkingBudget": budget}


def _by_level(effort: Effort | None, tokens: int, cap: int, model: Model, notes: Notes) -> dict[str, object]:
    wanted = effort if effort is not None else min(_SHARES, key=lambda each: abs(_SHARES[each] - 100 * tokens / cap))
    least = "HIGH" if wanted in ("xhigh", "max") else wanted.upper()
    able = _levels(model)
    level = next((each for each in _LEVELS[_LEVELS.index(least) :] if each in able), able[-1])
    if effort is None:
        notes.change(f"reasoning.max_tokens: sent as level {level}")
    elif level.lower() != effort:
        notes.change(f"reasoning.effort: {effort} sent as level {level}")
    return {"thinkingLevel": level}


def _levels(model: Model) -> tuple[str, ...]:
    """MINIMAL was taken by Flash up to 3.6 and by Flash-Lite, MEDIUM by all but the first Pro."""
    if model.kind == "pro" and model.generation == (3, 0):
        return ("LOW", "HIGH")
    if model.kind == "flash-lite" or (model.kind == "flash" and model.generation < (3, 7)):
        return _LEVELS
    return _LEVELS[1:]
