"""What an upstream on Azure or Vertex AI is declared with, besides or instead of what others are."""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from kilo_gateway.configuration.addresses import origin_of
from kilo_gateway.configuration.rows import Row
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import ConfigurationError, TokenSettings
from kilo_gateway.core.types import Origin, Platform
from kilo_gateway.upstreams.platforms import AZURE_DIALECTS, VERTEX_DIALECTS

_SETTINGS = {"azure": ("api_version", "tenant", "client_id"), "vertex": ("project",)}
_DIALECTS = {"azure": AZURE_DIALECTS, "vertex": VERTEX_DIALECTS}
_PREFIXES = {"azure": ("/openai/v1", "/openai", "/anthropic/v1", "/anthropic"), "vertex": ("/v1",)}
_word = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,99}").fullmatch
_GOOGLE_HOSTS = {
    "global": "aiplatform.googleapis.com", "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}  # fmt: skip
_GOOGLE_TOKENS, _GOOGLE_SCOPE = "https://oauth2.googleapis.com/token", "https://www.googleapis.com/auth/cloud-platform"
# Of each of Azure's clouds: how its hosts end, who gives tokens, and how the services are called that they are for.
_AZURE_CLOUDS = (
    (".azure.us", "https://login.microsoftonline.us", "https://cognitiveservices.azure.us/.default"),
    (".azure.cn", "https://login.partner.microsoftonline.cn", "https://cognitiveservices.azure.cn/.default"),
    ("", "https://login.microsoftonline.com", "https://cognitiveservices.azure.com/.default"),
)
_FOUNDRY_SCOPE = "https://ai.azure.com/.default"  # of models that are not OpenAI's


class _Account(Struct):
    """Google's files of credentials, of the two kinds that are understood."""

    type: str = ""
    project_id: str = ""
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    token_uri: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""


_NEEDED = {
    "service_account": ("client_email", "private_key"), "authorized_user": ("client_id", "client_secret", "refresh_token"),
}  # fmt: skip
_decode_account = msgspec.json.Decoder(_Account).decode


def platform_of(row: Row, environment: Mapping[str, str]) -> Platform:
    """Fills in what is not given and follows from the platform. Raises ConfigurationError for settings of another."""
    name = row.text("platform")
    if name not in ("", *_SETTINGS):
        raise row.wrong("platform", f"one of {', '.join(_SETTINGS)}")
    for owner, keys in _SETTINGS.items():
        for key in keys if name != owner else ():
            if row.has(key):
                raise ConfigurationError(f'{row.place(key)}: {key} is of platform = "{owner}" alone.')
    if name:
        _check_words(row)
    if name == "azure":
        _fill_azure(row, environment)
        return "azure"
    if name == "vertex":
        _fill_vertex(row, environment)
        return "vertex"
    return ""


def check(row: Row, platform: Platform, dialect: str) -> None:
    """What makes a platform's upstream unusable. Of others: nothing."""
    if platform == "":
        return
    if dialect not in _DIALECTS[platform]:
        raise row.wrong("dialect", f"one of {', '.join(_DIALECTS[platform])} at {platform}")
    if not row.values["models"]:
        raise ConfigurationError(f"{row.place()}: models are missing: what {platform} serves you has to be declared.")
    if row.values["discover"]:
        raise row.wrong("discover", f"false: {platform} has no list of what it serves you")
    _check_words(row)
    if platform == "vertex" and not row.text("project") and dialect != "gemini":
        raise ConfigurationError(f"{row.place()}: project is missing: without one Vertex takes Gemini alone, by an API key.")


def path_of(path: str, platform: Platform) -> str:
    """A base URL's path, without what the dialects' paths begin with."""
    own = next((end for end in _PREFIXES.get(platform, ()) if path.endswith(end)), "")
    return path.removesuffix(own)


def is_account(platform: Platform, secret: str) -> bool:
    """Whether it is Google's file of credentials, and so no credential by itself."""
    return platform == "vertex" and secret.lstrip().startswith("{")


def tokens_of(row: Row, platform: Platform, dialect: str, secret: Secret, origin: Origin) -> TokenSettings | None:
    """None where `secret` is what requests carry. A project that a file of credentials names is filled in."""
    if platform == "vertex" and is_account(platform, secret.reveal()):
        return _google(row, secret)
    if platform == "vertex" and not secret:
        raise ConfigurationError(
            f"{row.place()}: api_key is missing: an access token, an API key, or the file of a service account."
        )
    if platform == "azure" and (row.has("tenant") or row.has("client_id")):
        return _entra(row, dialect, secret, origin)
    if row.has("token_url"):
        raise ConfigurationError(f"{row.place('token_url')}: token_url is for upstreams whose requests carry tokens.")
    return None


def _check_words(row: Row) -> None:
    for key in ("api_version", "tenant", "client_id", "project", "region"):
        if row.text(key) and not _word(row.text(key)):
            raise row.wrong(key, "one word of letters, digits, dots and hyphens")


def _fill_azure(row: Row, environment: Mapping[str, str]) -> None:
    """A key of the environment goes to the address of the environment alone."""
    if not row.has("base_url") and environment.get("AZURE_OPENAI_ENDPOINT"):
        row.fill("base_url", environment["AZURE_OPENAI_ENDPOINT"])
        if environment.get("AZURE_OPENAI_API_KEY"):
            row.fill("api_key", {"env": "AZURE_OPENAI_API_KEY"})
        if environment.get("OPENAI_API_VERSION"):
            row.fill("api_version", environment["OPENAI_API_VERSION"])
    row.fill("cap_field", "max_completion_tokens")


def _fill_vertex(row: Row, environment: Mapping[str, str]) -> None:
    row.fill("dialect", "gemini")
    row.fill("region", "global")
    region = row.text("region")
    row.fill("base_url", f"https://{_GOOGLE_HOSTS.get(region) or f'{region}-aiplatform.googleapis.com'}")
    if environment.get("GOOGLE_APPLICATION_CREDENTIALS"):
        row.fill("api_key", {"file": environment["GOOGLE_APPLICATION_CREDENTIALS"]})


def _google(row: Row, secret: Secret) -> TokenSettings:
    try:
        account = _decode_account(secret.reveal())
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise _no_account(row, "it is not JSON as Google writes it") from None
    if account.type not in _NEEDED:
        raise _no_account(row, f"its type is {account.type!r}, and {' or '.join(_NEEDED)} is understood")
    missing = [name for name in _NEEDED[account.type] if not getattr(account, name)]
    if missing:
        raise _no_account(row, f"{missing[0]} is missing in it")
    if account.project_id:
        row.fill("project", account.project_id)
    if not row.text("project"):
        raise ConfigurationError(f"{row.place()}: project is missing.")
    is_service = account.type == "service_account"
    url, origin, path = _token_url(row, (account.token_uri if is_service else "") or _GOOGLE_TOKENS)
    if is_service:
        return TokenSettings(
            "service-account", url, origin, path, account.client_email, Secret(account.private_key), _GOOGLE_SCOPE,
            account.private_key_id,
        )  # fmt: skip
    return TokenSettings(
        "refresh", url, origin, path, account.client_id, Secret(account.client_secret),
        refresh_token=Secret(account.refresh_token),
    )  # fmt: skip


def _entra(row: Row, dialect: str, secret: Secret, origin: Origin) -> TokenSettings:
    tenant, client = row.text("tenant", is_needed=True), row.text("client_id", is_needed=True)
    if not secret:
        raise ConfigurationError(f"{row.place()}: api_key is missing: the client's secret.")
    authority, scope = next((login, scope) for end, login, scope in _AZURE_CLOUDS if origin.host.lower().endswith(end))
    url, at, path = _token_url(row, f"{authority}/{tenant}/oauth2/v2.0/token")
    scope = _FOUNDRY_SCOPE if dialect == "anthropic-messages" else scope
    return TokenSettings("client", url, at, path, client, secret, scope)


def _token_url(row: Row, default: str) -> tuple[str, Origin, str]:
    url = row.text("token_url") or default
    place = row.place("token_url" if row.has("token_url") else "api_key")
    origin, path = origin_of(url, is_trusted=row.flag("private"), place=place, name="token_url")
    return url, origin, path or "/"


def _no_account(row: Row, why: str) -> ConfigurationError:
    return ConfigurationError(f"{row.place('api_key')}: api_key is no service account's file: {why}.")
