"""Rules from one spelling of a model id to another, as data/models.toml writes them.

    "claude-*-#-#-<date>" = "anthropic/claude-*-#.#"

`*` is some text without a slash, `#` a number of one or two digits, `<date>` a day as 20250929 or 2025-09-29. On the
right, `*` and `#` stand for what they met on the left, in their order.
"""

import re
from collections.abc import Callable, Iterator, Mapping

_SIGN = re.compile(r"\*|#|<date>")
_MEETS = {"*": r"(?P<s{}>[^/]+)", "#": r"(?P<n{}>\d{{1,2}})", "<date>": r"(?:20\d{{6}}|20\d\d-\d\d-\d\d)"}

Rule = Callable[[str], str | None]


class Rules:
    """Whole ids come first, then patterns in their order. Raises ValueError for a right side that asks for more."""

    def __init__(self, table: Mapping[str, str]) -> None:
        rules = {left: rule(left, right) for left, right in table.items()}
        self._exact = {left: right for left, right in table.items() if not is_pattern(left)}
        self._patterns = [each for left, each in rules.items() if is_pattern(left)]

    def find(self, name: str) -> str | None:
        if name in self._exact:
            return self._exact[name]
        return next((found for each in self._patterns if (found := each(name)) is not None), None)


def rule(left: str, right: str) -> Rule:
    """What `right` says of a name that `left` meets; None for others."""
    for sign in "*#":
        if right.count(sign) > left.count(sign):
            raise ValueError(f"{right!r} has more {sign!r} than {left!r}")
    if "<date>" in right:
        raise ValueError(f"{right!r}: a date is left out, or met by '*'")
    match, template = pattern(left), list(_signs(right))
    return lambda name: None if (found := match(name)) is None else "".join(_filled(template, found.groupdict()))


def is_pattern(text: str) -> bool:
    return _SIGN.search(text) is not None


def pattern(text: str) -> Callable[[str], re.Match[str] | None]:
    """Matches whole names."""
    parts = (_MEETS[part].format(number) if number is not None else re.escape(part) for part, number in _signs(text))
    return re.compile("".join(parts)).fullmatch


def _signs(text: str) -> Iterator[tuple[str, int | None]]:
    """Plain parts with None, signs with their number among those of their kind."""
    at, met = 0, dict.fromkeys(_MEETS, 0)
    for sign in _SIGN.finditer(text):
        yield text[at : sign.start()], None
        yield sign[0], met[sign[0]]
        met[sign[0]] += 1
        at = sign.end()
    yield text[at:], None


def _filled(template: list[tuple[str, int | None]], found: Mapping[str, str]) -> Iterator[str]:
    for part, number in template:
        yield part if number is None else found[f"{'s' if part == '*' else 'n'}{number}"]
