"""What a Claude takes, by its name: the API refuses requests for what a model no longer, or not yet, knows.

https://platform.claude.com/docs/en/about-claude/models/overview and the pages on effort and adaptive thinking. Other
makers' models behind this dialect are of version (0, 0), and are asked as the first Claudes that thought were.
"""

import re

from msgspec import Struct

from kilo_gateway.dialects.hub.asked import Target

_NAME = re.compile(r"claude-(?:([a-z]+)-)?(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)(?:-([a-z]+))?").search


class Claude(Struct, frozen=True):
    family: str = ""
    version: tuple[int, int] = (0, 0)

    @property
    def is_claude(self) -> bool:
        return bool(self.family)

    @property
    def is_adaptive(self) -> bool:
        return self.version >= (4, 6)

    @property
    def takes_budget(self) -> bool:
        return self.version < (4, 7)

    @property
    def takes_effort(self) -> bool:
        return self.version >= (4, 6) or (self.family == "opus" and self.version == (4, 5))

    @property
    def takes_sampling(self) -> bool:
        return self.version < (4, 7)

    @property
    def takes_both_samplings(self) -> bool:
        """temperature beside top_p."""
        return self.version < (4, 1)

    @property
    def takes_schemas(self) -> bool:
        """Of answers, and strictly of tools. Of other makers' models nothing is known."""
        return self.version >= (4, 1) or not self.is_claude

    @property
    def takes_system_amid(self) -> bool:
        """Messages of the role system."""
        return self.version >= (4, 8) and (self.family, self.version) != ("sonnet", (5, 0))


def claude(model: str) -> Claude:
    """`model`: however the upstream spells it, as us.anthropic.claude-sonnet-4-5-20250929-v1:0 or claude-4.5-sonnet."""
    if "claude-mythos-preview" in model:
        return Claude("mythos", (4, 6))
    found = _NAME(model)
    if found is None:
        return Claude("claude") if "claude" in model else Claude()
    return Claude(found[1] or found[4] or "claude", (int(found[2]), int(found[3] or 0)))


def knows_schemas(target: Target) -> bool:
    """What is said of the model counts more than its name."""
    if target.parameters is None:
        return claude(target.model).takes_schemas
    return target.knows("structured_outputs") or target.knows("response_format")


def thinks(target: Target, model: Claude) -> bool:
    """The same; no Claude before 3.7 did."""
    if target.parameters is None:
        return not (0, 0) < model.version < (3, 7)
    return target.knows("reasoning")
