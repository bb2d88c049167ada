"""Azure OpenAI and Google's Vertex AI: dialects of others behind other paths, other credentials, and names of one's own."""

import re
from urllib.parse import quote

from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.upstreams.doors import DOORS, Door

AZURE_DIALECTS = ("openai-chat", "openai-responses", "anthropic-messages")
VERTEX_DIALECTS = ("gemini", "anthropic-messages", "openai-chat")
_BEARER = "Authorization: Bearer "
_of_a_date = re.compile(r"\d{4}-").match


def door_of(upstream: UpstreamSettings) -> Door:
    """Where it takes requests, behind its base URL. Without a platform: where its dialect does."""
    match upstream.platform:
        case "azure":
            return _azure(upstream)
        case "vertex":
            return _vertex(upstream)
        case "":
            return DOORS[upstream.dialect]


def services_of(upstream: UpstreamSettings, found: dict[str, str] | None, upstream_id: str) -> dict[str, str] | None:
    """What is no chat, with the paths that are unusual. `found`: what its model does, as far as somebody said."""
    if upstream.platform == "vertex" and upstream.dialect == "gemini":
        path = f"{upstream.path}{_root(upstream)}/publishers/google/models/{quote(upstream_id, safe='@')}:predict"
        return {"embeddings": path} if found is None or "embeddings" in found else {}
    if upstream.platform == "vertex":
        is_claude = upstream.dialect == "anthropic-messages"
        path = f"{upstream.path}{_root(upstream)}/publishers/anthropic/models/count-tokens:rawPredict"
        return {"count_tokens": path} if is_claude else {}
    if upstream.platform == "azure" and upstream.dialect == "openai-responses" and _of_a_date(upstream.api_version):
        return {}  # its path names no deployment
    return found


def sold_as(upstream: UpstreamSettings, id: str, upstream_id: str) -> tuple[str, str]:
    """Under which provider and name the book of prices has a platform's model; nothing where it has not.

    A deployment's name says nothing of the model in it: the operator says that, by the id he gives it. Claude costs more in
    one region than everywhere, and the book does not tell these apart.
    """
    if upstream.platform == "azure":
        return "azure", id.rpartition("/")[2]
    if upstream.platform == "vertex" and (upstream.dialect != "anthropic-messages" or upstream.region == "global"):
        return "google", upstream_id.removeprefix("google/")
    return "", ""


def _azure(upstream: UpstreamSettings) -> Door:
    """Versions are dates, and deployments stand in the path; or the v1 API, which needs none and is told them in the body.

    https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
    """
    version, is_token = upstream.api_version, upstream.tokens is not None
    query = f"?api-version={version}" if version else ""
    if upstream.dialect == "anthropic-messages":
        lines = DOORS["anthropic-messages"].lines
        return Door("/anthropic/v1/messages", key_line=_BEARER if is_token else "x-api-key: ", lines=lines)
    key_line = _BEARER if is_token else "api-key: "
    plain = DOORS[upstream.dialect]
    if not _of_a_date(version):
        root = "/openai/v1"
    else:
        root = "/openai" if upstream.dialect == "openai-responses" else "/openai/deployments/{model}"
    return Door(f"{root}{plain.path}{query}", key_line=key_line)


def _vertex(upstream: UpstreamSettings) -> Door:
    """With a project: by access token. Without one: in express mode, by API key.

    https://cloud.google.com/vertex-ai/docs/reference/rest
    """
    root = _root(upstream)
    key_line = _BEARER if upstream.project else "x-goog-api-key: "
    if upstream.dialect == "openai-chat":
        return Door(f"{root}/endpoints/openapi/chat/completions", key_line=key_line)
    if upstream.dialect == "anthropic-messages":
        model = root + "/publishers/anthropic/models/{model}"
        return Door(f"{model}:rawPredict", f"{model}:streamRawPredict", key_line=key_line)
    model = root + "/publishers/google/models/{model}"
    return Door(f"{model}:generateContent", f"{model}:streamGenerateContent?alt=sse", key_line=key_line)


def _root(upstream: UpstreamSettings) -> str:
    return f"/v1/projects/{upstream.project}/locations/{upstream.region}" if upstream.project else "/v1"
