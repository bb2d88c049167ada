"""What has to be known of a model on Bedrock to ask it, read from its id: us.anthropic.claude-sonnet-4-5-20250929-v1:0."""

import re
from typing import Literal

from msgspec import Struct

_CLAUDE = re.compile(r"claude-(?:[a-z]+-)*(\d+)(?:-(\d{1,2}))?(?!\d)").search


class Model(Struct, frozen=True):
    """`version`: of Claude; (0, 0): unknown."""

    family: Literal["anthropic", "nova", "nova-2", "other"]
    version: tuple[int, int] = (0, 0)

    @property
    def has_cache(self) -> bool:
        """https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html"""
        return self.family != "other"

    @property
    def thinks_adaptively(self) -> bool:
        """These refuse a budget: https://docs.claude.com/en/docs/build-with-claude/adaptive-thinking"""
        return self.version >= (4, 7)

    @property
    def takes_one_of_temperature_and_top_p(self) -> bool:
        return self.version >= (4, 5)


def known_by(name: str) -> Model:
    if "anthropic." in name or "claude" in name:
        found = _CLAUDE(name)
        return Model("anthropic", (int(found[1]), int(found[2] or 0)) if found else (0, 0))
    if "amazon.nova-" in name:
        return Model("nova-2" if "nova-2" in name else "nova")
    return Model("other")
