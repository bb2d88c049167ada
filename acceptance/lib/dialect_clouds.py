"""Fake clouds: Azure OpenAI and Vertex AI, as strict about path, version, headers and tokens as they are; behind the door a Speaker.

`Issuer` is their token endpoint: Google's (a signed assertion) and Entra ID's (a client's secret).
"""

import base64
import json
import re
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from catalogue_upstreams import Asked, Fake
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from dialect_upstreams import Speaker

AZURE_KEY, VERSION, DEPLOYMENT = "azure-key-of-the-lab", "2024-10-21", "prod gpt"
PROJECT, REGION = "lab-project", "europe-west4"
TENANT, CLIENT, SECRET = "11112222-lab", "33334444-lab", "entra~secret.canary"
ROBOT, KEY_ID = "robot@lab-project.iam.gserviceaccount.com", "0123abc"
FILTERS = {"hate": {"filtered": False, "severity": "safe"}}
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = _KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()  # fmt: skip


class Issuer(Fake):
    """`life_s` of what it gives; `mode`: good, 500, silent, denied. `given`: all tokens, the newest last."""

    def __init__(self, life_s: int = 3600) -> None:
        super().__init__("openai", [])
        self.life_s = life_s
        self.given: list[tuple[str, float]] = []
        self.faults: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    def account(self) -> dict:
        """The file of a service account."""
        return {"type": "service_account", "project_id": PROJECT, "private_key_id": KEY_ID, "private_key": PEM, "client_email": ROBOT,
                "client_id": "1", "token_uri": self.url, "universe_domain": "googleapis.com"}  # fmt: skip

    def knows(self, token: str) -> bool:
        return any(token == value and time.time() < until for value, until in self.given)

    async def _answer(self, asked: Asked, reader, writer) -> bool:
        if self.mode == "silent":
            await reader.read()
            return False
        if self.mode == "500":
            return await self._say(writer, 500, {"error": "internal_failure"})
        why = "access is denied" if self.mode == "denied" else self._fault(asked)
        if why:
            self.faults.append(why)
            return await self._say(writer, 400, {"error": "invalid_grant", "error_description": why})
        token = f"ya29.lab-{len(self.given)}-{time.time_ns()}"
        self.given.append((token, time.time() + self.life_s))
        return await self._say(writer, 200, {"access_token": token, "expires_in": self.life_s, "token_type": "Bearer"})

    def _fault(self, asked: Asked) -> str:
        if asked.method != "POST" or not asked.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return "a form is to be posted"
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        if asked.path == f"/{TENANT}/oauth2/v2.0/token":
            wanted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET,
                      "scope": "https://cognitiveservices.azure.com/.default"}  # fmt: skip
            return "" if form == wanted else f"form of {sorted(form)}"
        if asked.path != "/token" or form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return f"no such grant at {asked.path}"
        return self._assertion_fault(form.get("assertion", ""))

    def _assertion_fault(self, assertion: str) -> str:
        said, _, signature = assertion.rpartition(".")
        try:
            _KEY.public_key().verify(_bytes(signature), said.encode(), padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            return "Invalid JWT Signature."
        header, claims = (json.loads(_bytes(part)) for part in said.split("."))
        if header != {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}:
            return f"header {header}"
        if claims["iss"] != ROBOT or claims["aud"] != self.url or claims["scope"] != "https://www.googleapis.com/auth/cloud-platform":
            return f"claims {claims}"
        is_now = abs(claims["iat"] - time.time()) < 60 and 0 < claims["exp"] - claims["iat"] <= 3600
        return "" if is_now else f"times {claims}"

    async def _say(self, writer, status: int, body: dict) -> bool:
        data = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        await writer.drain()
        return True


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Arrived:
    """A request at the door, as it came."""

    path: str
    query: dict
    headers: dict[str, str]
    body: dict
    fault: str = ""


@dataclass
class Door:
    """`path`: a pattern of the whole path, with `id` and `verb` where these stand in it; `plain`: as the Speaker has it."""

    path: str
    plain: str
    query: dict = field(default_factory=dict)
    credential: str = "authorization"  # the one header


def azure(dialect: str, *, dated: bool, credential: str = "api-key") -> Door:
    plain = {"chat": "/chat/completions", "responses": "/responses"}[dialect]
    if not dated:
        return Door(f"/openai/v1{plain}", f"/v1{plain}", {}, credential)
    root = "/openai" if dialect == "responses" else "/openai/deployments/(?P<id>[^/]+)"
    return Door(f"{root}{plain}", f"/v1{plain}", {"api-version": [VERSION]}, credential)


def vertex(dialect: str) -> Door:
    root = f"/v1/projects/{PROJECT}/locations/{REGION}"
    if dialect == "chat":
        return Door(f"{root}/endpoints/openapi/chat/completions", "/v1/chat/completions")
    if dialect == "messages":
        return Door(f"{root}/publishers/anthropic/models/(?P<id>[^/:]+):(?P<verb>rawPredict|streamRawPredict)", "/v1/messages")
    return Door(f"{root}/publishers/google/models/(?P<id>[^/:]+):(?P<verb>generateContent|streamGenerateContent)", "/v1beta/models/{id}:{verb}")


def express() -> Door:
    door = vertex("gemini")
    return Door(door.path.replace(f"/projects/{PROJECT}/locations/{REGION}", ""), door.plain, {}, "x-goog-api-key")


class Cloud(Speaker):
    """`arrived`: what came, as it came. `issuer`: whose tokens let in; else `key` does."""

    def __init__(self, dialect: str, door: Door, *, issuer: Issuer | None = None, key: str = "", is_azure: bool = False) -> None:
        super().__init__(dialect, [], key=key)
        self.door, self.issuer, self.is_azure = door, issuer, is_azure
        self.arrived: list[Arrived] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _answer(self, asked: Asked, reader, writer) -> bool:
        came = Arrived(asked.path, asked.query, dict(asked.headers), json.loads(asked.body) if asked.body else {})
        self.arrived.append(came)
        refused = self._turned_away(asked, came)
        if refused:
            came.fault = refused[1]
            return await self._send(writer, refused[0], self._error(*refused))
        return await super()._answer(asked, reader, writer)

    def _turned_away(self, asked: Asked, came: Arrived) -> tuple[int, str] | None:
        """Else the request is what the Speaker knows: model in the body, path of the plain API."""
        counts = self.dialect == "messages" and asked.path.endswith("/publishers/anthropic/models/count-tokens:rawPredict")
        if counts and not self._no_key(asked.headers):
            is_known = came.body.get("anthropic_version") == "vertex-2023-10-16" and came.body.get("model")
            asked.path = "/v1/messages/count_tokens"
            return None if is_known else (400, "anthropic_version and model are needed")
        found = re.fullmatch(self.door.path, unquote(asked.path))
        if asked.method != "POST" or not found:
            return 404, f"no such path: {asked.method} {asked.path}"
        verb = found.groupdict().get("verb") or ""
        wanted = {"alt": ["sse"]} if verb == "streamGenerateContent" else self.door.query
        if asked.query != wanted:
            return 404, f"Resource not found: query {asked.query}, not {wanted}"
        if refused := self._no_key(asked.headers):
            return 401, refused
        body = dict(came.body)
        if self.dialect == "messages":
            if body.pop("anthropic_version", None) != "vertex-2023-10-16" or "model" in body:
                return 400, f"anthropic_version: Field required; model: Extra inputs are not permitted: {sorted(came.body)}"
            if bool(body.get("stream")) != (verb == "streamRawPredict"):
                return 400, f"stream at {verb}"
            body["model"] = found["id"]
        if self.dialect == "gemini" and re.search(r'"function(Call|Response)": ?\{[^{}]*"id":', json.dumps(body)):
            return 400, "Invalid JSON payload received. Unknown name \"id\" at 'contents[1].parts[0].function_call': Cannot find field."
        if self.is_azure and found.groupdict().get("id") not in (None, DEPLOYMENT):
            return 404, "The API deployment for this resource does not exist."
        asked.path = self.door.plain.format(**found.groupdict())
        asked.body = json.dumps(body).encode()
        return None

    def _no_key(self, headers: dict[str, str]) -> str:
        present = {"authorization", "x-api-key", "x-goog-api-key", "api-key"} & set(headers)
        if present != {self.door.credential}:
            return f"credentials in {sorted(present)}, not {self.door.credential}"
        told = headers[self.door.credential]
        if self.issuer is not None:
            return "" if self.issuer.knows(told.removeprefix("Bearer ")) else "the token is unknown or has expired"
        return "" if told.removeprefix("Bearer ") == self.key else "Access denied due to invalid subscription key"

    def _credential_fault(self, asked: Asked) -> str:
        return ""  # the door has looked

    def _error(self, status: int, message: str) -> dict:
        if not self.is_azure or status != 400 or "content management policy" not in message:
            return super()._error(status, message)
        found = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"jailbreak": {"filtered": True, "detected": True}}}
        return {"error": {"message": message, "type": None, "param": "prompt", "code": "content_filter", "status": 400, "innererror": found}}

    async def _send(self, writer, status: int, body, headers=None) -> bool:
        if self.is_azure and status == 200 and isinstance(body, dict) and "choices" in body:
            body = {**body, "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERS}]}
            body["choices"] = [{**each, "content_filter_results": FILTERS} for each in body["choices"]]
        return await super()._send(writer, status, body, headers)

    async def _stream(self, talk, reply, events, writer) -> bool:
        if self.is_azure and self.dialect == "chat":
            first = {"choices": [], "created": 0, "id": "", "model": "", "object": "",
                     "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERS}]}  # fmt: skip
            events = [first, *events]
        return await super()._stream(talk, reply, events, writer)
