"""Where each value of a TOML file stands, so that an error can name its line. Knows no setting.

tomllib has read the text before: what is met here is TOML, so this only has to know where things begin and end.
"""

import re
import tomllib
from bisect import bisect_right
from contextlib import suppress
from pathlib import Path

Key = tuple[str | int, ...]  # ("upstreams", 0, "models", 2, "id"): names in tables, numbers in arrays

_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_BRACKET = re.compile(rf"{_STRING.pattern}|#[^\n]*|[\[\]{{}}]", re.DOTALL)
_DEPTH = 100
_LONG_NUMBER = re.compile(r"[0-9_]{4000,}")
_SCALAR = re.compile(r"[^,\]}#\n]+")  # numbers, dates, true and false


def line_of(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """The line of a syntax error, and the error without it. Until Python 3.14 it stands only in the message."""
    found = re.fullmatch(r"(.*) \(at line (\d+), (column \d+)\)", str(error), re.DOTALL)
    if found is None:  # "at end of document"
        return len(text.splitlines()) or 1, str(error)
    return int(found[2]), f"{found[1]} ({found[3]})"


def line_of_depth(text: str) -> int:
    """Where brackets stand in each other deeper than anybody writes them; in texts and comments they may."""
    depth = 0
    for match in _BRACKET.finditer(text):
        depth += (match[0] in ("[", "{")) - (match[0] in ("]", "}"))
        if depth > _DEPTH:
            return text.count("\n", 0, match.start()) + 1
    return 1


def line_of_long_number(text: str) -> int:
    found = _LONG_NUMBER.search(text)
    return text.count("\n", 0, found.start()) + 1 if found is not None else 1


class Places:
    """`path` is None where there is no file."""

    def __init__(self, path: Path | None, text: str) -> None:
        self._path = path
        self._lines = _Scan(text).lines

    def of(self, *key: str | int) -> str:
        """`file:line` of this value, or of the nearest table around it."""
        if self._path is None:
            return "configuration"
        while key and key not in self._lines:
            key = key[:-1]
        return f"{self._path}:{self._lines.get(key, 1)}"


class _Scan:
    """Walks through the text once. `lines`: the line at which each key, or each item of an array, begins."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self._text = text.replace("\r\n", "\n")
        self._starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        self._at = 0
        self._tables: dict[Key, int] = {}  # arrays of tables, and how many each has so far
        with suppress(ValueError):
            self._walk()

    def _walk(self) -> None:
        table: Key = ()
        while not self._is_over():
            if self._takes("[["):
                table = self._header(is_array=True)
            elif self._takes("["):
                table = self._header(is_array=False)
            else:
                self._pair(table)

    def _header(self, *, is_array: bool) -> Key:
        """A name in it that is an array of tables means the last of them."""
        start, names = self._at, self._names()
        self._takes("]]" if is_array else "]")
        key: Key = ()
        for number, name in enumerate(names, 1):
            key = (*key, name)
            if is_array and number == len(names):
                self._tables[key] = self._tables.get(key, 0) + 1
            self._note(key, start)
            if key in self._tables:
                key = (*key, self._tables[key] - 1)
        self._note(key, start)
        return key

    def _pair(self, table: Key) -> None:
        start, key = self._at, table
        for name in self._names():
            key = (*key, name)
            self._note(key, start)
        self._takes("=")
        self._value(key)

    def _value(self, key: Key) -> None:
        if self._takes("["):
            number = 0
            while not self._takes("]"):
                self._note((*key, number), self._at)
                self._value((*key, number))
                self._takes(",")
                number += 1
        elif self._takes("{"):
            while not self._takes("}"):
                self._pair(key)
                self._takes(",")
        else:
            self._match(_STRING if self._is_quoted() else _SCALAR)

    def _names(self) -> list[str]:
        names = [self._name()]
        while self._takes("."):
            names.append(self._name())
        return names

    def _name(self) -> str:
        if not self._is_quoted():
            return self._match(_BARE_KEY)
        return str(tomllib.loads(f"name = {self._match(_STRING)}")["name"])

    def _note(self, key: Key, at: int) -> None:
        """The first time counts: a table may be named again, on the way to one inside it."""
        self.lines.setdefault(key, bisect_right(self._starts, at))

    # The text

    def _is_over(self) -> bool:
        self._pass_blank()
        return self._at >= len(self._text)

    def _is_quoted(self) -> bool:
        return self._text[self._at : self._at + 1] in ('"', "'")

    def _takes(self, sign: str) -> bool:
        """Whether it comes next; then it is passed, and the blank around it."""
        self._pass_blank()
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        self._pass_blank()
        return True

    def _match(self, pattern: re.Pattern[str]) -> str:
        """Raises ValueError where there is no such thing: then the walk ends, and what was found so far has to do."""
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"not TOML at character {self._at}")
        self._at = match.end()
        return match[0]

    def _pass_blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match is not None else self._at
