"""How much is to be thought: a level for Gemini 3, a budget of tokens for Gemini 2.5 and where nothing is known.

What the catalogue says of a model's efforts counts before its name. https://ai.google.dev/gemini-api/docs/thinking
"""

from kilo_gateway.dialects.gemini.models import UNKNOWN, Model, never_thinks
from kilo_gateway.dialects.hub.asked import Effort, Request, Target
from kilo_gateway.dialects.hub.effort import nearest, tokens_of
from kilo_gateway.dialects.hub.notes import Notes

_BUDGETS = {"pro": (128, 32768), "flash": (1, 24576), "flash-lite": (512, 24576)}
_CAP = 65536  # of Gemini 2.5 and 3, where nobody says another
_EFFORTS: tuple[Effort, ...] = ("high", "medium", "low", "minimal")
_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")


def config(request: Request, target: Target, model: Model, notes: Notes) -> dict[str, object] | None:
    """The thinkingConfig; None: none is sent."""
    asked = request.thinking
    if asked is None:
        return None
    is_off = asked.effort == "none" or asked.is_enabled is False
    if not _is_able(target, model):
        if not is_off:
            notes.drop("reasoning")
        return None
    levels = _levels(target, model)
    if is_off:
        return _least(levels, model, notes)
    made: dict[str, object] = {}
    effort = asked.effort or ("medium" if asked.is_enabled and asked.max_tokens is None else None)
    cap = request.max_tokens or target.max_output or _CAP
    if effort is not None or asked.max_tokens is not None:
        tokens = asked.max_tokens or 0
        made = _by_level(effort, tokens, cap, levels, notes) if levels else _by_budget(effort, tokens, cap, model, notes)
    if not asked.is_excluded:
        made["includeThoughts"] = True
    return made or None


def _is_able(target: Target, model: Model) -> bool:
    if model.makes_media or not target.knows("reasoning"):
        return False
    if target.parameters is None and never_thinks(target.model):
        return False
    return target.parameters is not None or model.generation == UNKNOWN or model.generation >= (2, 5)


def _least(levels: tuple[str, ...], model: Model, notes: Notes) -> dict[str, object]:
    """Where thinking cannot be switched off, as little of it as can be."""
    if levels:
        notes.change(f"reasoning: this model always thinks; level {levels[0]}")
        return {"thinkingLevel": levels[0]}
    if model.kind == "pro":
        notes.change(f"reasoning: this model always thinks; {_BUDGETS['pro'][0]} tokens")
        return {"thinkingBudget": _BUDGETS["pro"][0]}
    return {"thinkingBudget": 0}


def _by_budget(effort: Effort | None, tokens: int, cap: int, model: Model, notes: Notes) -> dict[str, object]:
    least, most = _BUDGETS.get(model.kind, _BUDGETS["flash-lite"])
    wanted = tokens_of(effort, cap) if effort is not None else tokens
    budget = min(max(wanted, least), most)
    if effort is None and budget != wanted:
        notes.change(f"reasoning.max_tokens: {budget}, as {least} to {most} are taken")
    return {"thinkingBudget": budget}


def _by_level(effort: Effort | None, tokens: int, cap: int, able: tuple[str, ...], notes: Notes) -> dict[str, object]:
    wanted = effort if effort is not None else nearest(tokens, cap, _EFFORTS)
    least = "HIGH" if wanted in ("xhigh", "max") else wanted.upper()
    level = next((each for each in _LEVELS[_LEVELS.index(least) :] if each in able), able[-1])
    if effort is None:
        notes.change(f"reasoning.max_tokens: sent as level {level}")
    elif level.lower() != effort:
        notes.change(f"reasoning.effort: {effort} sent as level {level}")
    return {"thinkingLevel": level}


def _levels(target: Target, model: Model) -> tuple[str, ...]:
    """From the lowest; empty: it is told a budget. MINIMAL was taken by Flash up to 3.6 and by Flash-Lite, MEDIUM by all

    but the first Pro.
    """
    if told := tuple(each for each in _LEVELS if each.lower() in target.efforts):
        return told
    if not model.is_third:
        return ()
    if model.kind == "pro" and model.generation == (3, 0):
        return ("LOW", "HIGH")
    if model.kind == "flash-lite" or (model.kind == "flash" and model.generation < (3, 7)):
        return _LEVELS
    return _LEVELS[1:]
