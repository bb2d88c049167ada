"""Whatever is in the file, it is settings or a ConfigurationError, and settings are usable."""

import copy
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.node import config as example

from kilo_gateway import config
from kilo_gateway.catalog.files import snapshot_bytes
from kilo_gateway.catalog.overlay import load_overlay
from kilo_gateway.catalog.prices import PriceBook, price_table
from kilo_gateway.configuration.fields import SETTINGS
from kilo_gateway.core.settings import ConfigurationError, Settings
from kilo_gateway.upstreams.assemble import Served, Sources, assemble
from kilo_gateway.upstreams.compile import compile_snapshot
from kilo_gateway.upstreams.registry import providers

SOURCES = Sources(load_overlay(), PriceBook(price_table()), providers())
UPSTREAM = '[[upstreams]]\nname = "x"\nbase_url = "http://127.0.0.1:1/v1"\n'


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("KILO") or name.endswith(("_API_KEY", "_BASE_URL", "_PROXY", "_proxy")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def load(directory: Path, text: str | bytes) -> Settings:
    """The settings, and what is made of them: both must do."""
    path = directory / "c.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = config.load(path, directory)
    catalogue = assemble(found, [Served(each) for each in found.upstreams], SOURCES, has_local=False, version=1, now_s=0)
    upstreams = {each.name: each for each in found.upstreams}
    snapshot_bytes(compile_snapshot(catalogue, found, upstreams, [], version=1, hop="h", local_key=""))
    return found


def is_refused(directory: Path, text: str | bytes) -> bool:
    try:
        load(directory, text)
    except ConfigurationError as error:
        assert str(error)
        return True
    return False


def test_the_shape_of_the_documentation_is_understood(tmp_path: Path) -> None:
    found = load(tmp_path, example(9100))
    [upstream] = found.upstreams
    assert (upstream.name, upstream.origin.port, upstream.path, upstream.api_key.reveal()) == ("mock", 9100, "/v1", "sk-upstream")
    assert upstream.models[0].price is not None
    assert (upstream.models[0].price.input, upstream.models[0].price.output) == (1_000_000, 2_000_000)


def test_without_a_file_everything_has_a_default() -> None:
    found = config.load()
    assert (found.server.host, found.server.port, found.upstreams) == ("127.0.0.1", 3000, ())


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.toml").write_text("[server]\nport = 1\nhost = '127.0.0.1'\nworkers = 1\n")
    monkeypatch.setenv("KILO_GATEWAY_SERVER__PORT", "2")
    monkeypatch.setenv("KILO_GATEWAY_SERVER__WORKERS", "2")
    found = config.load(tmp_path / "c.toml", flags={"server.workers": 3})
    assert (found.server.port, found.server.workers) == (2, 3)


def test_a_secret_may_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("sk-file\n")
    monkeypatch.setenv("MY_KEY", "sk-env")
    for source, value in ((f'file = "{tmp_path}/key"', "sk-file"), ('env = "MY_KEY"', "sk-env")):
        assert load(tmp_path, UPSTREAM + f"api_key = {{ {source} }}\n").upstreams[0].api_key.reveal() == value


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_has_help_and_a_variable(setting: Any) -> None:
    assert setting.help
    assert setting.variable == f"KILO_GATEWAY_{setting.name.upper().replace('.', '__')}"


def test_the_betas_that_travel_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    assert [name for names in config.load().betas.values() for name in names if f"`{name}`" not in text] == []


def test_the_fingerprint_changes_with_what_the_snapshot_is_made_of(tmp_path: Path) -> None:
    one = load(tmp_path, UPSTREAM).fingerprint
    assert load(tmp_path, UPSTREAM).fingerprint == one
    assert load(tmp_path, UPSTREAM + 'api_key = "sk-other"\n').fingerprint != one


def test_the_fingerprint_does_not_change_with_the_line_at_which_an_upstream_stands(tmp_path: Path) -> None:
    one, other = load(tmp_path, UPSTREAM), load(tmp_path, "# moved\n\n" + UPSTREAM)
    assert one.upstreams[0].source != other.upstreams[0].source
    assert one.fingerprint == other.fingerprint


WRONG: dict[str, str | bytes] = {
    "a number for a text": '[server]\nhost = 5\n',
    "a text for a number": '[server]\nport = "many"\n',
    "a truth for a number": "[server]\nport = true\n",
    "not a number of seconds": "[server]\ndrain_s = nan\n",
    "endless seconds": "[server]\ndrain_s = inf\n",
    "a network that is none": '[server]\ntrusted_proxies = ["nonsense"]\n',
    "a table for a value": "[server.port]\nx = 1\n",
    "a value for a table": "server = 5\n",
    "upstreams as one table": "[upstreams]\nname = 'x'\n",
    "upstreams as texts": "upstreams = ['x']\n",
    "an upstream without a name": "[[upstreams]]\nbase_url = 'http://h'\n",
    "an upstream without a place": "[[upstreams]]\nname = 'x'\n",
    "a name twice": UPSTREAM + UPSTREAM,
    "a dialect nobody speaks": UPSTREAM + "dialect = 'klingon'\n",
    "a kind of list that nobody has": UPSTREAM + "listing = 'klingon'\n",
    "a kind of list that is no text": UPSTREAM + "listing = 5\n",
    "an unclosed address": UPSTREAM.replace("127.0.0.1", "[::1"),
    "an address that is none": UPSTREAM.replace("127.0.0.1", "[zz]"),
    "a port that is none": UPSTREAM.replace(":1/", ":x/"),
    "a port beyond counting": UPSTREAM.replace(":1/", ":99999/"),
    "a query": UPSTREAM.replace("/v1", "/v1?x=1"),
    "models as a text": UPSTREAM + "models = 'a'\n",
    "a model as a text": UPSTREAM + "models = ['a']\n",
    "a model without an id": UPSTREAM + "models = [{}]\n",
    "one price of two": UPSTREAM + "models = [{ id = 'a', input_usd_per_mtok = 1 }]\n",
    "a negative price": UPSTREAM + "models = [{ id = 'a', input_usd_per_mtok = -1, output_usd_per_mtok = 1 }]\n",
    "a price that is no number": UPSTREAM + "models = [{ id = 'a', input_usd_per_mtok = nan, output_usd_per_mtok = 1 }]\n",
    "an endless price": UPSTREAM + "models = [{ id = 'a', input_usd_per_mtok = inf, output_usd_per_mtok = 1 }]\n",
    "a price beyond all money": UPSTREAM + "models = [{ id = 'a', input_usd_per_mtok = 1e30, output_usd_per_mtok = 1 }]\n",
    "a price beyond all numbers": UPSTREAM + "models = [{ id = 'a', input_usd_per_mtok = 1e999999, output_usd_per_mtok = 1 }]\n",
    "a price too fine": UPSTREAM + "models = [{ id = 'a', input_usd_per_mtok = 1e-9, output_usd_per_mtok = 1 }]\n",
    "a context beyond counting": UPSTREAM + f"models = [{{ id = 'a', context = {10**30} }}]\n",
    "patience that is no number": UPSTREAM + "timeouts = { idle_s = nan }\n",
    "patience that is none": UPSTREAM + "timeouts = { idle_s = 0 }\n",
    "patience nobody knows": UPSTREAM + "timeouts = { idel_s = 1 }\n",
    "a key as a number": UPSTREAM + "api_key = 5\n",
    "a key from nowhere": UPSTREAM + "api_key = { vault = 'x' }\n",
    "a key from two places": UPSTREAM + "api_key = { env = 'A', file = 'B' }\n",
    "a key from a file that is not there": UPSTREAM + "api_key = { file = '/nonexistent' }\n",
    "a key from a file of nobody's": UPSTREAM + "api_key = { file = '~nobody-at-all/key' }\n",
    "a key from a file without a name": UPSTREAM + 'api_key = { file = "a\\u0000b" }\n',
    "a key of two lines": UPSTREAM + 'api_key = "sk-1\\r\\nX-Evil: 1"\n',
    "a path with a space": UPSTREAM.replace("/v1", "/v 1"),
    "a number of too many digits": "[server]\nport = " + "1" * 5000 + "\n",
    "a port of nobody": UPSTREAM.replace(":1/", ":0/"),
    "a host with an empty label": UPSTREAM.replace("127.0.0.1", "a..b"),
    "a host with a label beyond DNS": UPSTREAM.replace("127.0.0.1", "a" * 70 + ".example"),
    "a key from an empty file": UPSTREAM + "api_key = { file = '/dev/null' }\n",
    "a kind of input that there is not": UPSTREAM + "models = [{ id = 'a', input_modalities = ['txt'] }]\n",
    "a kind of output that there is not": UPSTREAM + "models = [{ id = 'a', output_modalities = ['text', 'video'] }]\n",
    "a default that leads to itself": "[auto]\ndefault = 'kilo/auto'\n" + UPSTREAM,
    "a default that leads to a tier": "[auto]\ndefault = 'kilo-auto/small'\n" + UPSTREAM,
    "no UTF-8": b"[server]\nhost = '\xff'\n",
    "too many brackets": "x = " + "[" * 5000 + "]" * 5000 + "\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_with_a_reason(tmp_path: Path, name: str) -> None:
    assert is_refused(tmp_path, WRONG[name])


@pytest.mark.parametrize(
    ("origin", "meant"),
    [
        ("https://app.example/", "https://app.example"), ("https://app.example/page?x", "https://app.example"),
        ("https://App.Example", "https://app.example"), ("https://app.example:443", "https://app.example"),
        ("http://[::1]:80", "http://[::1]"), ("https://u:p@app.example:444", "https://app.example:444"),
        ("app.example", "https://app.example"), ("https://", "*"), ("https://app.example:x", "*"), ("", "*"),
    ],
)  # fmt: skip
def test_an_origin_that_no_browser_sends_is_refused_with_the_one_meant(tmp_path: Path, origin: str, meant: str) -> None:
    (tmp_path / "c.toml").write_text(f"[server]\ncors_origins = ['http://localhost:8080', {origin!r}]\n")
    with pytest.raises(ConfigurationError, match=re.escape(f"'{meant}'")) as told:
        config.load(tmp_path / "c.toml")
    assert "c.toml:2: server.cors_origins" in str(told.value)


@pytest.mark.parametrize("origin", ["*", "null", "https://app.example", "http://[::1]:8080", "chrome-extension://abcdef", "capacitor://localhost"])
def test_an_origin_as_browsers_send_it_is_taken(tmp_path: Path, origin: str) -> None:
    (tmp_path / "c.toml").write_text(f"[server]\ncors_origins = [{origin!r}]\n")
    assert config.load(tmp_path / "c.toml").server.cors_origins == (origin,)


def test_hosts_that_images_are_fetched_from_may_name_a_port(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[media]\nfetch = true\ntrusted_hosts = ['Media.lan.', '10.0.0.5:9000', '[fd00::1]:81']\n")
    media = config.load(tmp_path / "c.toml").media
    assert media.fetch
    assert media.trusted == {("media.lan", 80), ("media.lan", 443), ("10.0.0.5", 9000), ("fd00::1", 81)}
    (tmp_path / "c.toml").write_text("")
    assert (config.load(tmp_path / "c.toml").media.fetch, config.load(tmp_path / "c.toml").media.trusted) == (False, frozenset())


@pytest.mark.parametrize(
    "host", ["", "*", "http://media.lan", "media.lan/a", "u@media.lan", "media.lan:0", "media.lan:x", "a b", "169.254.169.254", "[fd00:ec2::254]:80", "10.0.0.0/8"]
)  # fmt: skip
def test_what_is_no_host_to_fetch_from_is_refused(tmp_path: Path, host: str) -> None:
    (tmp_path / "c.toml").write_text(f"[media]\ntrusted_hosts = [{host!r}]\n")
    with pytest.raises(ConfigurationError, match=r"c\.toml:2: media\.trusted_hosts"):
        config.load(tmp_path / "c.toml")


@pytest.mark.parametrize("text", ["[data]\ndir = '~nobody-at-all/x'\n", "[local]\npath = '~nobody-at-all/x.gguf'\n", '[data]\ndir = "a\\u0000b"\n'])
def test_what_cannot_be_a_path_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigurationError):
        config.load(tmp_path / "c.toml")


@pytest.mark.parametrize(
    ("url", "port"), [("http://proxy", 80), ("proxy", 80), ("http://proxy/", 80), ("http://u:p@proxy:3128", 3128), ("proxy:8080", 8080)]
)
def test_a_proxy_without_a_port_is_at_that_of_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, port: int) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8, *.Example.org:8443")
    (tmp_path / "c.toml").write_text("")
    proxy = config.load(tmp_path / "c.toml").proxy
    assert proxy is not None
    assert (proxy.origin.host, proxy.origin.port, proxy.spared) == ("proxy", port, ("10.0.0.0/8", "example.org:8443"))


@pytest.mark.parametrize("url", ["http://[::1", "nonsense", "http://", "http://u:p@h", "http://[zz]:1/", "http://h:x"])
@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "HTTPS_PROXY"])
def test_a_wrong_url_in_the_environment_is_refused_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, variable: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv(variable, url)
    if variable == "HTTPS_PROXY" and url in ("nonsense", "http://u:p@h"):
        assert not is_refused(tmp_path, "")  # a proxy may be a bare name, and may carry a credential
    else:
        assert is_refused(tmp_path, "")


SCALARS = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(), st.booleans(), st.text(max_size=12), st.datetimes(),
    st.sampled_from(["http://127.0.0.1:1", "http://[::1", "localhost", "~x", "http://a:b@c", "\u0000", "openai-chat", ""]),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3))
START: dict[str, Any] = tomllib.loads(example(1)) | {"auto": {"default": "mock/model"}, "data": {"dir": "/tmp/x"}}
START["upstreams"][0] |= {"timeouts": {"idle_s": 5}, "private": True, "prefix": "p/", "dialect": "openai-chat"}


def places_of(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in places_of(each, (*at, key)))]


def toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value if not 0xD800 <= ord(letter) < 0xE000) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(each)}" for key, each in value.items()) + "}"
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


@settings(max_examples=300)
@given(st.data())
def test_a_file_changed_at_random_places_is_settings_or_a_configuration_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    changed = copy.deepcopy(START)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from([place for place in places_of(changed) if place]))
        holder: Any = changed
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = data.draw(VALUES)
    is_refused(tmp_path_factory.getbasetemp(), "".join(f"{key} = {toml(value)}\n" for key, value in changed.items()))


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=100), st.text(alphabet='[]{}="\'.#\n\\ aserv13_-', max_size=80).map(str.encode)))
def test_random_bytes_are_settings_or_a_configuration_error(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    is_refused(tmp_path_factory.getbasetemp(), text)


SYNTAX_ERRORS = {
    "[server]\nport 3000\n": 2,
    "\ufeff[server]\r\nport = 1\r\nport = 2\r\n": 3,
    "[server]\nhost = 'a": 2,
    "[server": 1,
    "a = 1\n\n\nb = [1,\n": 4,
}
UNREADABLE: dict[str, tuple[str | bytes, str]] = {
    "a byte of Latin-1": ("[server]\nhost = 'caf\u00e9'\n".encode("latin-1"), "2: this is not UTF-8 (byte 0xe9); save it so."),
    "UTF-16": ("[server]\n".encode("utf-16"), "1: this is not UTF-8 (byte 0xff); save it so."),
    "a number without end": ("[server]\nport = " + "1" * 5000 + "\n", "2: this number is too long."),
    "brackets in brackets": ("# [[\n\nx = " + "[" * 5000 + "]" * 5000 + "\n", "3: too many brackets in each other."),
}


@pytest.mark.parametrize("text", SYNTAX_ERRORS)
def test_what_is_not_toml_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'c.toml'}:{SYNTAX_ERRORS[text]}: this is not TOML: ")
    assert "at line" not in str(caught.value)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    text, told = UNREADABLE[name]
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'c.toml'}:{told}"


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff[server]\nport = 4000\n").server.port == 4000
    with pytest.raises(ConfigurationError, match=r"c\.toml:2: server.port must be"):
        load(tmp_path, "\ufeff[server]\nport = 'x'\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [("[server]\ndrain_s = nan\n", "not nan."), ("[server]\nport = 1.5\n", "not 1.5."), ("[server]\ncors_origins = [1.5]\n", "not [1.5]."),
     (UPSTREAM + "models = [ -inf ]\n", "not -inf"), (UPSTREAM + "idle_s = nan\n", "not nan."),
     ("[server]\nport = true\n", "not true."), ("[server]\nport = 2020-01-01\n", "not 2020-01-01."),
     ("[server]\nport = [false, { a = 07:32:00 }]\n", "not [false, { a = 07:32:00 }].")],
)  # fmt: skip
def test_a_wrong_value_is_shown_as_it_was_written(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert told in str(caught.value)
    assert "Decimal" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"), [("[[upstreams]]\nbase_url = 'http://h'\n", ":1: name is missing."), ("[[upstreams]]\nname = 'x'\n", ":1: base_url is missing."),
                       (UPSTREAM + "models = [\n  {}\n]\n", ":5: id is missing."), ("[[upstreams]]\nname = ''\n", ":2: name must be a text")],
)  # fmt: skip
def test_what_is_missing_is_told_as_missing(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"c.toml{told}")):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "suffix", "path"),
    [
        ("ANTHROPIC", "", "/v1"), ("ANTHROPIC", "/", "/v1"), ("ANTHROPIC", "/v1/", "/v1"), ("ANTHROPIC", "/claude", "/claude/v1"),
        ("GEMINI", "", "/v1beta"), ("GEMINI", "/v1beta", "/v1beta"), ("GEMINI", "/v1", "/v1"), ("OPENAI", "/house", "/house"),
    ],
)  # fmt: skip
def test_an_address_in_the_environment_may_be_meant_as_the_providers_clients_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str, path: str
) -> None:
    monkeypatch.setenv(f"{name}_API_KEY", "k")
    monkeypatch.setenv(f"{name}_BASE_URL", f"https://relay.example{suffix}")
    assert load(tmp_path, "").upstreams[0].path == path


def test_a_blank_key_in_the_environment_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    assert load(tmp_path, "").upstreams == ()


@pytest.mark.parametrize(
    ("dialect", "host", "more", "refuses"),
    [
        ("openai-chat", "api.openai.com", "", ("max_completion_tokens", True, "40")), ("openai-responses", "api.openai.com", "", ("", True, "")),
        ("openai-chat", "api.mistral.ai", "", ("max_tokens", False, "9-alphanumeric")), ("anthropic-messages", "api.anthropic.com", "", ("", True, "")),
        ("openai-chat", "api.anthropic.com", "", ("", False, "")), ("openai-chat", "house.example", "", ("", False, "")),
        ("openai-chat", "api.openai.com", "strict = false", ("max_completion_tokens", False, "40")),
        ("openai-chat", "house.example", 'strict = true\ntool_ids = "64"\ncap_field = "max_tokens"', ("max_tokens", True, "64")),
    ],
)  # fmt: skip
def test_what_an_upstream_refuses_is_said_or_known_of_its_host(
    tmp_path: Path, dialect: str, host: str, more: str, refuses: tuple[str, bool, str]
) -> None:
    [found] = load(tmp_path, f'[[upstreams]]\nname = "x"\ndialect = "{dialect}"\nbase_url = "https://{host}/v1"\n{more}\n').upstreams
    assert (found.cap_field, found.is_strict, found.tool_ids) == refuses


@pytest.mark.parametrize("line", ['cap_field = "tokens"', 'tool_ids = "ten"', 'strict = "yes"', "tool_ids = 9"])
def test_what_nobody_refuses_is_refused(tmp_path: Path, line: str) -> None:
    assert is_refused(tmp_path, UPSTREAM + line)
