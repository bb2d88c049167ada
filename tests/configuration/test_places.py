"""Every value of a file is found at its line, however it was written."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.configuration.places import Places

TEXT = '''# a comment with [a.table] and x = "y"
plain = 1
"quo\\u0074ed . key" = 1; dotted
[server] # server
  port = 3
dotted.deep."x y" = [1,
  2, # two ]
  [3,
   4]]
text = """
[not.a.table]
port = 9 \\""" "" """
literal = \'\'\'
[[upstreams]]
\'\'\'
when = 1979-05-27 07:32:00
[[upstreams]]
name = "a#b"

[[upstreams]]
models = [ { id = "a", more = {x = 1} },
  { id = "]", "in" = 2 },
]
  [[upstreams.models2]]
  id = 1
  [[upstreams.models2]]
  id = 2
  [upstreams.models2.inner]
  x = ""
[[ upstreams ]]
x = \'\'
'''.replace("; dotted", "")
LINES: dict[tuple[str | int, ...], int] = {
    ("plain",): 2, ("quoted . key",): 3, ("server",): 4, ("server", "port"): 5, ("server", "dotted"): 6, ("server", "dotted", "deep"): 6,
    ("server", "dotted", "deep", "x y"): 6, ("server", "dotted", "deep", "x y", 0): 6, ("server", "dotted", "deep", "x y", 1): 7,
    ("server", "dotted", "deep", "x y", 2): 8, ("server", "dotted", "deep", "x y", 2, 1): 9, ("server", "text"): 10,
    ("server", "literal"): 13, ("server", "when"): 16, ("upstreams",): 17, ("upstreams", 0): 17, ("upstreams", 0, "name"): 18,
    ("upstreams", 1): 20, ("upstreams", 1, "models"): 21, ("upstreams", 1, "models", 0, "id"): 21, ("upstreams", 1, "models", 0, "more", "x"): 21,
    ("upstreams", 1, "models", 1): 22, ("upstreams", 1, "models", 1, "in"): 22, ("upstreams", 1, "models2", 0): 24,
    ("upstreams", 1, "models2", 1): 26, ("upstreams", 1, "models2", 1, "id"): 27, ("upstreams", 1, "models2", 1, "inner", "x"): 29,
    ("upstreams", 2): 30, ("upstreams", 2, "x"): 31,
}  # fmt: skip


@pytest.mark.parametrize("key", LINES, ids=lambda key: ".".join(map(str, key)))
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_value_is_at_its_line(key: tuple[str | int, ...], newline: str) -> None:
    tomllib.loads(TEXT)
    assert Places(Path("c.toml"), TEXT.replace("\n", newline)).of(*key) == f"c.toml:{LINES[key]}"


def test_what_is_not_there_is_at_the_nearest_table_around_it() -> None:
    places = Places(Path("c.toml"), TEXT)
    assert places.of("upstreams", 1, "models", 1, "missing") == "c.toml:22"
    assert places.of("server", "missing") == "c.toml:4"
    assert places.of("missing") == "c.toml:1"
    assert Places(None, "").of("server") == "configuration"


SCALARS = st.one_of(st.integers(), st.booleans(), st.text(st.characters(codec="utf-8", exclude_categories=["C"])), st.datetimes())
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab-_ .'é#[", min_size=1), inner))


class Writer:
    """TOML with line breaks wherever they may be, and the line of each key."""

    def __init__(self, data: st.DataObject) -> None:
        self.text = ""
        self.lines: dict[tuple[str | int, ...], int] = {}
        self._data = data

    def pair(self, at: tuple[str | int, ...], key: str, value: object) -> None:
        self._note((*at, key))
        quoted = "'" if "'" not in key and self._data.draw(st.booleans()) else '"'
        self.text += f"{quoted}{key}{quoted} = "
        self.value((*at, key), value)

    def value(self, at: tuple[str | int, ...], value: object) -> None:
        if isinstance(value, list):
            self.text += "["
            for number, each in enumerate(value):
                self.text += self._data.draw(st.sampled_from(["", "\n", " # ] \n\n"]))
                self._note((*at, number))
                self.value((*at, number), each)
                self.text += ", "
            self.text += self._data.draw(st.sampled_from(["]", "\n]"]))
        elif isinstance(value, dict):
            self.text += "{ "
            for number, (key, each) in enumerate(value.items()):
                self.text += ", " if number else ""
                self.pair(at, key, each)
            self.text += " }"
        else:
            self.text += self._scalar(value)

    def _scalar(self, value: object) -> str:
        if not isinstance(value, str):
            return str(value).lower() if isinstance(value, bool) else str(value)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return self._data.draw(st.sampled_from([f'"{escaped}"', f'"""\n{escaped}"""', f'"""{escaped}\n\n"""']))

    def _note(self, at: tuple[str | int, ...]) -> None:
        self.lines[at] = self.text.count("\n") + 1


@given(st.dictionaries(st.text("ab-_ .'é#[", min_size=1), VALUES, min_size=1), st.data())
def test_any_value_is_at_its_line(table: dict[str, object], data: st.DataObject) -> None:
    writer = Writer(data)
    for key, value in table.items():
        writer.pair((), key, value)
        writer.text += "\n"
    tomllib.loads(writer.text)
    places = Places(Path("c.toml"), writer.text)
    assert {at: places.of(*at) for at in writer.lines} == {at: f"c.toml:{line}" for at, line in writer.lines.items()}


@given(st.text('[]{}="\'.#\n\\ ,a1'))
def test_what_is_no_toml_ends_the_walk_all_the_same(text: str) -> None:
    assert Places(Path("c.toml"), text).of("a").startswith("c.toml:")
