"""Rules of spelling: what a sign meets, and what it stands for."""

import pytest

from kilo_gateway.catalog.spelling import Rules, is_pattern, rule


@pytest.mark.parametrize(
    ("left", "right", "name", "spelled"),
    [
        ("gpt-4o", "openai/gpt-4o", "gpt-4o", "openai/gpt-4o"),
        ("*", "openai/*", "ft:gpt-4o:me::1", "openai/ft:gpt-4o:me::1"),
        ("*", "openai/*", "author/name", None),
        ("claude-*-#-#", "a/claude-*-#.#", "claude-opus-4-5", "a/claude-opus-4.5"),
        ("claude-*-#-#", "a/claude-*-#.#", "claude-opus-4-20250514", None),
        ("claude-*-<date>", "a/claude-*", "claude-opus-4-20250514", "a/claude-opus-4"),
        ("claude-*-<date>", "a/claude-*", "claude-opus-4-2025-05-14", "a/claude-opus-4"),
        ("claude-*-#.#", "claude-#.#-*", "claude-opus-4.5", "claude-4.5-opus"),
        ("*-#-*", "*.#.*", "a-1-b", "a.1.b"),
        ("a.b", "c", "axb", None),
        ("a-*", "b-*", "a-", None),
        ("*", "b-*", "line\nline", "b-line\nline"),
    ],
)
def test_a_rule_spells_what_it_meets(left: str, right: str, name: str, spelled: str | None) -> None:
    assert rule(left, right)(name) == spelled


def test_whole_names_come_before_patterns_and_patterns_in_their_order() -> None:
    rules = Rules({"*": "any/*", "b-*": "never/*", "a": "whole/a"})
    assert [rules.find(name) for name in ("a", "b-c", "x/y")] == ["whole/a", "any/b-c", None]


@pytest.mark.parametrize(("left", "right"), [("a-#", "a-#.#"), ("a", "a-*"), ("a-<date>", "a-<date>")])
def test_a_right_side_that_asks_for_more_than_was_met_is_refused(left: str, right: str) -> None:
    with pytest.raises(ValueError, match="a-"):
        rule(left, right)


def test_signs_make_a_pattern() -> None:
    assert [is_pattern(text) for text in ("a", "a-*", "a-#", "a-<date>")] == [False, True, True, True]
