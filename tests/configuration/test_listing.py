"""How an upstream's list of models is read: as its dialect has it, unless the operator says otherwise."""

from pathlib import Path

import pytest

from kilo_gateway import config

UPSTREAM = '[[upstreams]]\nname = "x"\nbase_url = "http://127.0.0.1:1/v1"\n'


@pytest.mark.parametrize(
    ("lines", "listing"),
    [
        ("", "openai"), ('dialect = "openai-chat"', "openai"), ('dialect = "anthropic-messages"', "anthropic"),
        ('dialect = "gemini"', "gemini"), ('listing = "ollama"', "ollama"), ('dialect = "gemini"\nlisting = "openai"', "openai"),
    ],
)  # fmt: skip
def test_a_list_is_read_as_declared(tmp_path: Path, lines: str, listing: str) -> None:
    (tmp_path / "c.toml").write_text(UPSTREAM + lines)
    assert config.load(tmp_path / "c.toml", tmp_path).upstreams[0].listing == listing


def test_a_providers_list_is_read_as_its_dialect_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILOCODE_API_KEY", "sk")
    (tmp_path / "c.toml").write_text("")
    assert config.load(tmp_path / "c.toml", tmp_path).upstreams[0].listing == "openai"
