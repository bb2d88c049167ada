"""A Claude is known by its name, however it is spelled."""

import pytest

from kilo_gateway.dialects.messages.claude import claude


@pytest.mark.parametrize(
    ("model", "family", "version"),
    [
        ("claude-3-haiku-20240307", "haiku", (3, 0)), ("claude-3-7-sonnet-20250219", "sonnet", (3, 7)), ("claude-sonnet-4-20250514", "sonnet", (4, 0)),
        ("claude-opus-4-1@20250805", "opus", (4, 1)), ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "sonnet", (4, 5)),
        ("anthropic/claude-opus-4.6", "opus", (4, 6)), ("claude-4.7-opus", "opus", (4, 7)), ("claude-opus-4-6-v1", "opus", (4, 6)),
        ("claude-sonnet-5", "sonnet", (5, 0)), ("claude-fable-5-2", "fable", (5, 2)), ("claude-mythos-preview", "mythos", (4, 6)),
        ("claude-2.1", "claude", (2, 1)), ("claude-next", "claude", (0, 0)), ("glm-4.6", "", (0, 0)), ("", "", (0, 0)),
    ],
)  # fmt: skip
def test_family_and_version(model: str, family: str, version: tuple[int, int]) -> None:
    found = claude(model)
    assert (found.family, found.version, found.is_claude) == (family, version, bool(family))
