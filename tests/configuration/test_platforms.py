"""Upstreams on Azure and Vertex AI: what is declared, where requests go by it, and what is told of mistakes."""

import re
from pathlib import Path

import pytest
from tests.configuration.test_config import SOURCES
from tests.upstreams.accounts import PEM, ROBOT, account

from kilo_gateway import config
from kilo_gateway.catalog.snapshot import Snapshot
from kilo_gateway.core.errors import NotServed
from kilo_gateway.core.settings import ConfigurationError, Settings, UpstreamSettings
from kilo_gateway.core.types import Endpoint, SnapshotData
from kilo_gateway.upstreams.assemble import Served, assemble
from kilo_gateway.upstreams.compile import compile_snapshot
from kilo_gateway.upstreams.doors import readdressed

AZURE = 'name = "x"\nplatform = "azure"\nbase_url = "https://lab.openai.azure.com/"\napi_key = "sk-canary"\n'
VERTEX = 'name = "x"\nplatform = "vertex"\nregion = "europe-west4"\n'
GIVEN = VERTEX + 'project = "lab"\napi_key = "ya29.canary"\n'
GPT, GEMINI = ('openai/gpt-4o', 'prod gpt'), ('google/gemini-2.5-pro', 'gemini-2.5-pro')
CLAUDE = ('anthropic/claude-sonnet-4.5', 'claude-sonnet-4-5@20250929')
AT = "/v1/projects/lab/locations/europe-west4"


@pytest.fixture(autouse=True)
def no_clouds_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def load(directory: Path, text: str, model: tuple[str, str] = GPT) -> Settings:
    path = directory / "c.toml"
    path.write_text(f'[[upstreams]]\n{text}models = [ {{ id = "{model[0]}", upstream_id = "{model[1]}" }} ]\n')
    return config.load(path, directory)


def upstream(directory: Path, text: str, model: tuple[str, str] = GPT) -> UpstreamSettings:
    return next(each for each in load(directory, text, model).upstreams if each.name == "x")


def compiled(found: Settings, tokens: dict[str, str] | None = None) -> SnapshotData:
    catalogue = assemble(found, [Served(each) for each in found.upstreams], SOURCES, has_local=False, version=1, now_s=1_790_000_000)
    upstreams = {each.name: each for each in found.upstreams}
    return compile_snapshot(catalogue, found, upstreams, [], version=1, hop="h", local_key="", tokens=tokens)


def endpoint(directory: Path, text: str, model: tuple[str, str] = GPT, tokens: dict[str, str] | None = None) -> Endpoint:
    data = compiled(load(directory, text, model), tokens)
    return next(each for row in data.models for each in row.endpoints if each.provider == "x")


def line(head: bytes) -> str:
    return head.split(b"\r\n")[0].decode().removeprefix("POST ").removesuffix(" HTTP/1.1")


def credentials(head: bytes) -> list[str]:
    return re.findall(r"(?im)^((?:authorization|x-api-key|x-goog-api-key|api-key): .*?)\r$", head.decode())


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ('api_version = "2024-10-21"\n', "/openai/deployments/prod%20gpt/chat/completions?api-version=2024-10-21"),
        ('api_version = "2025-03-01-preview"\ndialect = "openai-responses"\n', "/openai/responses?api-version=2025-03-01-preview"),
        ("", "/openai/v1/chat/completions"),
        ('dialect = "openai-responses"\n', "/openai/v1/responses"),
        ('dialect = "openai-responses"\napi_version = "preview"\n', "/openai/v1/responses?api-version=preview"),
    ],
)
@pytest.mark.parametrize("end", ["/", "", "/openai", "/openai/v1/"])
def test_azure_by_deployment_and_by_the_v1_api(tmp_path: Path, more: str, path: str, end: str) -> None:
    made = endpoint(tmp_path, AZURE.replace(".com/", f".com{end}") + more)
    assert (line(made.head), credentials(made.head), made.stream_head) == (path, ["api-key: sk-canary"], b"")
    assert made.cap_field == "max_completion_tokens"


def test_claude_at_azure(tmp_path: Path) -> None:
    made = endpoint(tmp_path, AZURE + 'dialect = "anthropic-messages"\n', CLAUDE)
    assert (line(made.head), credentials(made.head)) == ("/anthropic/v1/messages", ["x-api-key: sk-canary"])


def test_what_is_no_chat_is_asked_for_beside_it(tmp_path: Path) -> None:
    made = endpoint(tmp_path, AZURE + 'api_version = "2024-10-21"\n')
    path = "/openai/deployments/prod%20gpt/embeddings?api-version=2024-10-21"
    assert line(readdressed(made, "embeddings", b"")) == path


@pytest.mark.parametrize(
    ("text", "model", "path", "stream_path"),
    [
        (GIVEN, GEMINI, "/publishers/google/models/gemini-2.5-pro:generateContent", "/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        (GIVEN + 'dialect = "anthropic-messages"\n', CLAUDE, f"/publishers/anthropic/models/{CLAUDE[1]}:rawPredict", f"/publishers/anthropic/models/{CLAUDE[1]}:streamRawPredict"),
        (GIVEN + 'dialect = "openai-chat"\n', ("m/l", "meta/llama"), "/endpoints/openapi/chat/completions", ""),
    ],
)  # fmt: skip
def test_vertex(tmp_path: Path, text: str, model: tuple[str, str], path: str, stream_path: str) -> None:
    made = endpoint(tmp_path, text, model)
    assert (line(made.head), line(made.stream_head)) == (AT + path, AT + stream_path if stream_path else "")
    assert credentials(made.head) == ["Authorization: Bearer ya29.canary"]
    assert made.services is not None and "embeddings" not in made.services


def test_claude_on_vertex_counts_tokens_at_a_place_of_its_own(tmp_path: Path) -> None:
    made = endpoint(tmp_path, GIVEN + 'dialect = "anthropic-messages"\n', CLAUDE)
    assert line(readdressed(made, "count_tokens", b"")) == f"{AT}/publishers/anthropic/models/count-tokens:rawPredict"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"), ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"), ("us", "aiplatform.us.rep.googleapis.com"),
    ],
)  # fmt: skip
def test_where_vertex_is(tmp_path: Path, region: str, host: str) -> None:
    assert upstream(tmp_path, GIVEN.replace("europe-west4", region), GEMINI).origin.host == host


def test_vertex_in_express_mode(tmp_path: Path) -> None:
    made = endpoint(tmp_path, 'name = "x"\nplatform = "vertex"\napi_key = "AIzaCanary"\n', GEMINI)
    assert line(made.head) == "/v1/publishers/google/models/gemini-2.5-pro:generateContent"
    assert credentials(made.head) == ["x-goog-api-key: AIzaCanary"]
    assert made.origin.host == "aiplatform.googleapis.com"


# Tokens


def test_a_service_account_says_its_project_and_where_tokens_are(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(account())
    found = upstream(tmp_path, VERTEX + f'api_key = {{ file = "{tmp_path}/a.json" }}\n', GEMINI)
    tokens = found.tokens
    assert tokens is not None and found.project == "lab"
    assert (tokens.grant, tokens.client, tokens.url, tokens.key_id) == ("service-account", ROBOT, "https://oauth2.googleapis.com/token", "k1")
    assert (tokens.origin.host, tokens.path, tokens.secret.reveal()) == ("oauth2.googleapis.com", "/token", PEM)
    assert PEM[30:60] not in repr(found)


def test_credentials_of_the_environment_serve_what_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = '{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}'
    (tmp_path / "adc.json").write_text(user)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://env.openai.azure.com")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "env-key")
    assert config.load(None, tmp_path).upstreams == ()
    tokens = upstream(tmp_path, VERTEX + 'project = "lab"\n', GEMINI).tokens
    assert tokens is not None and (tokens.grant, tokens.refresh_token.reveal()) == ("refresh", "r")
    azure = upstream(tmp_path, 'name = "x"\nplatform = "azure"\n')
    assert (azure.origin.host, azure.api_key.reveal()) == ("env.openai.azure.com", "env-key")
    elsewhere = upstream(tmp_path, 'name = "x"\nplatform = "azure"\nbase_url = "https://other.example"\n')
    assert not elsewhere.api_key  # a key goes where it belongs


@pytest.mark.parametrize(
    ("host", "url", "scope"),
    [
        ("lab.openai.azure.com", "https://login.microsoftonline.com/t-1/oauth2/v2.0/token", "https://cognitiveservices.azure.com/.default"),
        ("lab.openai.azure.us", "https://login.microsoftonline.us/t-1/oauth2/v2.0/token", "https://cognitiveservices.azure.us/.default"),
    ],
)
def test_entra_id(tmp_path: Path, host: str, url: str, scope: str) -> None:
    text = AZURE.replace("lab.openai.azure.com", host) + 'tenant = "t-1"\nclient_id = "c-1"\n'
    tokens = upstream(tmp_path, text).tokens
    assert tokens is not None and (tokens.grant, tokens.url, tokens.scope, tokens.client) == ("client", url, scope, "c-1")
    made = endpoint(tmp_path, text, tokens={"x": "tok"})
    assert credentials(made.head) == ["Authorization: Bearer tok"]
    assert b"canary" not in made.head


def test_without_a_token_a_model_is_not_served_and_the_reason_is_told(tmp_path: Path) -> None:
    data = compiled(load(tmp_path, AZURE + 'tenant = "t-1"\nclient_id = "c-1"\n'), {})
    with pytest.raises(NotServed, match=r"^openai/gpt-4o cannot be asked at the moment: the gateway has no access token for x\.$"):
        Snapshot(data, b"p").resolve("openai/gpt-4o")


# Prices


def test_a_deployment_has_the_price_of_the_model_it_is_said_to_be(tmp_path: Path) -> None:
    price = endpoint(tmp_path, AZURE).price
    assert price is not None and (price.input, price.output) == (2_500_000, 10_000_000)
    assert endpoint(tmp_path, AZURE, ("team/mine", "gpt-4o")).price is None  # a deployment's name says nothing


def test_claude_has_a_price_where_there_is_one_for_everywhere(tmp_path: Path) -> None:
    text = GIVEN + 'dialect = "anthropic-messages"\n'
    assert endpoint(tmp_path, text, CLAUDE).price is None
    price = endpoint(tmp_path, text.replace("europe-west4", "global"), CLAUDE).price
    assert price is not None and (price.input, price.output) == (3_000_000, 15_000_000)


# Mistakes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (AZURE.replace('"azure"', '"aws"'), "platform must be one of azure, vertex"),
        (AZURE.replace('platform = "azure"\n', 'api_version = "1"\n'), 'api_version is of platform = "azure" alone'),
        (AZURE + 'project = "p"\n', 'project is of platform = "vertex" alone'),
        (AZURE + 'dialect = "gemini"\n', "dialect must be one of openai-chat, openai-responses, anthropic-messages at azure"),
        (AZURE + "discover = true\n", "discover must be false"),
        (AZURE + 'api_version = "a&b"\n', "api_version must be one word"),
        (AZURE + 'tenant = "t"\n', "client_id is missing"),
        (AZURE + 'token_url = "https://x/y"\n', "token_url is for upstreams whose requests carry tokens"),
        (AZURE.replace("api_key", "#") + 'tenant = "t"\nclient_id = "c"\n', "api_key is missing"),
        (AZURE + 'tenant = "t"\nclient_id = "c"\ntoken_url = "https://u:p@x/y"\n', "token_url must not carry a credential"),
        (AZURE + 'tenant = "t"\nclient_id = "c"\ntoken_url = "http://169.254.169.254/"\n', "token_url: 169.254.169.254 is a metadata"),
        (VERTEX, "api_key is missing"),
        (GIVEN.replace("europe-west4", "eu.evil.example/"), "region must be one word"),
        (GIVEN.replace('project = "lab"\n', 'dialect = "openai-chat"\n'), "project is missing"),
        (VERTEX + "api_key = '{\"type\": \"external_account\"}'\n", "its type is 'external_account'"),
        (VERTEX + "api_key = '{\"type\": \"service_account\", \"client_email\": \"e\"}'\n", "private_key is missing in it"),
        (VERTEX + "api_key = '{\"type\": 5}'\n", "it is not JSON as Google writes it"),
    ],
)  # fmt: skip
def test_mistakes_are_told(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(reason)) as caught:
        load(tmp_path, text)
    assert "canary" not in str(caught.value)


def test_models_have_to_be_declared(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(f"[[upstreams]]\n{AZURE}")
    with pytest.raises(ConfigurationError, match="what azure serves you has to be declared"):
        config.load(tmp_path / "c.toml", tmp_path)
