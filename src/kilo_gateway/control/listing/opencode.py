"""Kilo's `opencode` member: which kind of API a client should speak to a model, and its ways to think."""

from kilo_gateway.catalog.facts import Facts, Reasoning
from kilo_gateway.control.views import View

SPOKEN = frozenset({"openai-compatible", "openrouter"})  # a client changes its protocol by this word
_USUAL_EFFORTS = ("high", "medium", "low")  # where every effort is accepted


def opencode(facts: Facts) -> View:
    view: View = {}
    if facts.ai_sdk_provider in SPOKEN:
        view["ai_sdk_provider"] = facts.ai_sdk_provider
    if facts.family is not None:
        view["family"] = facts.family
    return view | {"variants": {} if facts.reasoning is None else _variants(facts.reasoning)}


def _variants(reasoning: Reasoning) -> View:
    """From the least thinking to the most."""
    efforts = [effort for effort in reversed(reasoning.efforts or _USUAL_EFFORTS) if effort != "none"]
    none: View = {} if reasoning.mandatory else {"none": {"reasoning": {"enabled": False, "effort": "none"}}}
    return none | {effort: {"reasoning": {"enabled": True, "effort": effort}} for effort in efforts}
