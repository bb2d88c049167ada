"""Effort and tokens of thinking, turned into each other. https://openrouter.ai/docs/use-cases/reasoning-tokens"""

from collections.abc import Mapping, Sequence

from kilo_gateway.dialects.hub.asked import Effort

SHARES: Mapping[str, int] = {"max": 95, "xhigh": 95, "high": 80, "medium": 50, "low": 20, "minimal": 10}  # % of the cap


def tokens_of(effort: Effort, cap: int) -> int:
    """`cap`: tokens of the whole answer."""
    return cap * SHARES[effort] // 100


def nearest(tokens: int, cap: int, among: Sequence[Effort]) -> Effort:
    """`among`: from the highest to the lowest; half way between two it is the higher."""
    return min(among, key=lambda effort: abs(SHARES[effort] * cap - 100 * tokens))
