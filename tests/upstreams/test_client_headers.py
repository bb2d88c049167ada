"""Which upstream is told what of callers' clients, and whose words."""

from pathlib import Path

import pytest

from kilo_gateway import config
from kilo_gateway.catalog.catalogue import Place
from kilo_gateway.catalog.facts import Facts, Origin, Said, merge
from kilo_gateway.core.client import ClientHeaders, lines_of
from kilo_gateway.core.pipeline import introduced
from kilo_gateway.core.settings import ConfigurationError, UpstreamSettings
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.upstreams.compile import endpoint_of
from kilo_gateway.upstreams.signing import sign

PLACE = Place("x", "own-name", merge([Said(Facts(), Origin("test", 0))]))
DECLARED = '[[upstreams]]\nname = "mine"\nbase_url = "https://{}/v1"\n'


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENROUTER_REFERER", "OPENROUTER_TITLE", "KILO_GATEWAY_REFERER", "KILO_GATEWAY_TITLE", "KILO_GATEWAY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


def upstream(directory: Path, host: str, more: str = "", before: str = "") -> UpstreamSettings:
    (directory / "c.toml").write_text(before + DECLARED.format(host) + more)
    return config.load(directory / "c.toml", directory).upstreams[0]


def told(upstream: UpstreamSettings) -> tuple[tuple[str, ...], list[str]]:
    """What an endpoint of it is told in the client's words, and the lines in the operator's."""
    endpoint = endpoint_of(upstream, "a/b", PLACE, "hop")
    names = ("HTTP-Referer", "X-Title", "X-OpenRouter-Title")
    return endpoint.client_headers, [line for line in endpoint.head.decode().split("\r\n") if line.startswith(names)]


@pytest.mark.parametrize(("host", "more", "wanted"), [
    ("openrouter.ai", "", ("referer", "title")),
    ("api.kilo.ai", "", ("referer", "title")),
    ("api.openai.com", "", ()),
    ("openrouter.ai.evil.example", "", ()),
    ("openrouter.ai", "client_headers = []", ()),
    ("llm.example", 'client_headers = ["session", "mode", "session"]', ("session", "mode")),
])  # fmt: skip
def test_the_providers_host_decides_unless_the_operator_does(tmp_path: Path, host: str, more: str, wanted: tuple[str, ...]) -> None:
    assert told(upstream(tmp_path, host, more)) == (wanted, [])


def test_the_operators_own_words_stand_in_the_head_for_all_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = '[attribution]\nreferer = "https://file.example"\ntitle = "File"\n'
    file = ["HTTP-Referer: https://file.example", "X-OpenRouter-Title: File", "X-Title: File"]
    assert told(upstream(tmp_path, "openrouter.ai", before=before)) == ((), file)
    monkeypatch.setenv("KILO_GATEWAY_TITLE", "Short")
    assert told(upstream(tmp_path, "api.kilo.ai", before=before))[1][1:] == ["X-OpenRouter-Title: Short", "X-Title: Short"]
    monkeypatch.setenv("OPENROUTER_TITLE", "Of OpenRouter")
    assert told(upstream(tmp_path, "openrouter.ai", before=before))[1][-1] == "X-Title: Of OpenRouter"
    assert told(upstream(tmp_path, "api.kilo.ai", before=before))[1][-1] == "X-Title: Short"
    assert told(upstream(tmp_path, "llm.example", before=before)) == ((), [])
    assert told(upstream(tmp_path, "llm.example", 'client_headers = ["title", "task"]', before))[0] == ("task",)


def test_an_empty_variable_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_TITLE", " ")
    monkeypatch.setenv("KILO_GATEWAY_TITLE", "")
    assert told(upstream(tmp_path, "openrouter.ai")) == (("referer", "title"), [])


@pytest.mark.parametrize("before", [
    '[attribution]\ntitle = "a\\r\\nX-Evil: 1"\n', '[attribution]\ntitle = "Größe"\n', f'[attribution]\nreferer = "{"x" * 300}"\n',
    '[betas]\nanthropic = ["a b"]\n', '[betas]\nanthropic = ["a*b"]\n', '[betas]\nopenai = "responses=*"\n',
])  # fmt: skip
def test_what_could_be_no_header_stops_the_start(tmp_path: Path, before: str) -> None:
    with pytest.raises(ConfigurationError):
        upstream(tmp_path, "openrouter.ai", before=before)


@pytest.mark.parametrize("more", ['client_headers = "title"', 'client_headers = ["cookie"]', "client_headers = [1, [], {}]", "client_headers = true"])
def test_words_that_there_are_not_are_refused(tmp_path: Path, more: str) -> None:
    with pytest.raises(ConfigurationError, match="client_headers must be a list of referer"):
        upstream(tmp_path, "openrouter.ai", more)


def test_a_signed_head_is_whole_whatever_a_title_says(tmp_path: Path) -> None:
    more = 'dialect = "bedrock-converse"\napi_key = "A:S"\nregion = "us-east-1"\nclient_headers = ["title", "session"]\n'
    before = '[attribution]\ntitle = "Content-Length: 1"\n'
    endpoint = endpoint_of(upstream(tmp_path, "llm.example", more, before), "a/b", PLACE, "hop")
    signed = sign(endpoint, endpoint.head, b"{}", 1_700_000_000_000)
    client = ClientHeaders(lines=(("session", lines_of("session", "Content-Length: 2").encode()),))
    lines = introduced(signed, client, call(), endpoint).decode().split("\r\n")
    assert [line.split(": ")[0] for line in lines[-4:]] == ["authorization", "x-session-id", "x-kilo-session", "Content-Length"]
    assert lines[-1] == "Content-Length: "
    assert sum(line.startswith("authorization") for line in lines) == 1
    assert "X-Title: Content-Length: 1" in lines


def call() -> Call:
    return Call("openai-chat", "a/b", False, 2, {})


def test_an_endpoint_that_is_told_nothing_keeps_its_head(tmp_path: Path) -> None:
    endpoint: Endpoint = endpoint_of(upstream(tmp_path, "llm.example"), "a/b", PLACE, "hop")
    client = ClientHeaders(lines=(("title", b"X-Title: t\r\n"),))
    assert introduced(endpoint.head, client, call(), endpoint) is endpoint.head
