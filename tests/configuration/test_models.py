"""What is wrong with an upstream or one of its models is told with its own line."""

from pathlib import Path

import pytest

from kilo_gateway import config
from kilo_gateway.core.price import Price
from kilo_gateway.core.settings import ConfigurationError

UPSTREAM = '[[upstreams]]\nname = "x"\nbase_url = "http://127.0.0.1:1/v1"\n'
INLINE = UPSTREAM + 'models = [\n  { id = "a", context = 5 },\n  { id = "b", %s },\n  { id = "c", context = 7 },\n]\n'
TABLES = UPSTREAM + '[[upstreams.models]]\nid = "a"\ncontext = 5\n[[upstreams.models]]\n%s\nid = "b"\n[[upstreams.models]]\nid = "c"\n'
OTHER = '[[upstreams]]\nname = "y"\nbase_url = "http://127.0.0.1:2/v1"\n'


def problem(directory: Path, text: str) -> str:
    """What the operator reads, without the directory."""
    (directory / "c.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        config.load(directory / "c.toml", directory)
    return str(caught.value).removeprefix(f"{directory}/")


@pytest.mark.parametrize("shape", [INLINE, TABLES], ids=["inline", "tables"])
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("context = 0", "context must be a whole number of tokens, not 0."),
        ("anonymous = 1", "anonymous must be true or false, not 1."),
        ("contxt = 1", "unknown setting 'contxt'. Did you mean 'context'?"),
        ("input_usd_per_mtok = 1", "input_usd_per_mtok is given without output_usd_per_mtok: give both prices or none."),
        ("output_usd_per_mtok = 1", "output_usd_per_mtok is given without input_usd_per_mtok: give both prices or none."),
        ("upstream_id = 3", "upstream_id must be a text without line breaks, not 3."),
    ],
)
def test_an_error_in_a_model_names_the_line_of_that_model(tmp_path: Path, shape: str, wrong: str, told: str) -> None:
    line = {INLINE: 6, TABLES: 8}[shape]
    assert problem(tmp_path, shape % wrong) == f"c.toml:{line}: {told}"
    assert problem(tmp_path, OTHER + shape % wrong) == f"c.toml:{line + 3}: {told}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (UPSTREAM + 'models = [\n  "a",\n]\n', "c.toml:5: a model is a table such as { id = \"author/model\" }, not 'a'."),
        (UPSTREAM + "models = [\n  { id = 'a' },\n  {},\n]\n", "c.toml:6: id is missing."),
        (UPSTREAM + OTHER + "idle_s = 0\n", "c.toml:7: idle_s must be a number of seconds, more than 0 and at most 86400, not 0."),
        (UPSTREAM + OTHER.replace('name = "y"', 'name = "x"'), "c.toml:5: name must be a name of its own; another upstream has it, not 'x'."),
        ("upstreams = [\n  'x']\n", "c.toml:2: an upstream is a table: write [[upstreams]], not 'x'."),
    ],
)
def test_an_error_names_the_line_of_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    assert problem(tmp_path, text) == told


@pytest.mark.parametrize("shape", [INLINE, TABLES], ids=["inline", "tables"])
def test_a_model_declared_twice_by_one_upstream_is_refused(tmp_path: Path, shape: str) -> None:
    text = shape.replace('"c"', '"a"') % "context = 1"
    line = {INLINE: 7, TABLES: 11}[shape]
    assert problem(tmp_path, text) == f"c.toml:{line}: id must be an id of its own; another model of this upstream has it, not 'a'."


def test_two_upstreams_may_serve_one_model(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(UPSTREAM + 'models = [{ id = "a" }]\n' + OTHER + 'models = [{ id = "a" }]\n')
    assert len(config.load(tmp_path / "c.toml", tmp_path).upstreams) == 2


@pytest.mark.parametrize("id", ["kilo/auto", "kilo-auto/balanced"])
def test_the_ids_of_the_default_model_are_reserved(tmp_path: Path, id: str) -> None:
    told = problem(tmp_path, UPSTREAM + f'models = [\n  {{ id = "b" }},\n  {{ id = "{id}" }},\n]\n')
    assert told == f"c.toml:6: id must be another id; this one is reserved for the model of auto.default, not '{id}'."


def test_an_hour_of_audio_has_a_price_alone_or_beside_those_of_tokens(tmp_path: Path) -> None:
    tokens = "input_usd_per_mtok = 1, output_usd_per_mtok = 2"
    for given, price in (("", Price(0, 0, audio_hour=360_000_000_000)), (f"{tokens}, ", Price(1_000_000, 2_000_000, audio_hour=360_000_000_000))):
        (tmp_path / "c.toml").write_text(INLINE % f"{given}audio_usd_per_hour = 0.36")
        assert config.load(tmp_path / "c.toml", tmp_path).upstreams[0].models[1].price == price
    assert "audio_usd_per_hour" in problem(tmp_path, INLINE % 'audio_usd_per_hour = "x"')
