"""An application with nothing but the catalogue's routes, and a caller who asks it without a network."""

import asyncio
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message
from tests.control.listing.catalogues import NOW_S

from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.control.listing.entries import ENTRIES
from kilo_gateway.control.listing.handlers import install
from kilo_gateway.control.listing.traffic import Measured, Traffic
from kilo_gateway.core.errors import GatewayError
from kilo_gateway.dialects.openai_chat import error_body


@dataclass(frozen=True, repr=False)
class Told:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # whatever was told: tests look into it
        return json.loads(self.text)

    @property
    def text(self) -> str:
        return (gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body).decode()

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.json["data"]]

    @property
    def ignored(self) -> str | None:
        return self.headers.get("x-kilo-ignored-filters")


class NoTraffic:
    def of(self, model: str, upstream: str) -> Measured | None:
        return None


class Listing:
    """`catalogue` may be replaced."""

    def __init__(self, catalogue: Catalogue, traffic: Traffic | None = None) -> None:
        self.catalogue = catalogue
        routes = [Route(entry.path, entry.handler, methods=list(entry.methods)) for entry in ENTRIES]
        self.app = Starlette(routes=routes, exception_handlers={GatewayError: _refused})
        self.app.router.redirect_slashes = False
        install(self.app, lambda: self.catalogue, traffic or NoTraffic(), lambda: NOW_S)

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Told:
        return self.ask("GET", target, headers)

    def post(self, target: str, value: object) -> Told:
        return self.ask("POST", target, body=json.dumps(value).encode())

    def ask(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Told:
        return asyncio.run(self._ask(method, target, headers or {}, body))

    async def _ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Told:
        path, _, query = target.partition("?")
        scope = {
            "type": "http", "method": method, "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()], "http_version": "1.1",
            "scheme": "http", "server": ("test", 80), "client": ("127.0.0.1", 1), "root_path": "",
        }  # fmt: skip
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Told(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return Response(error_body(error), error.status, media_type="application/json")
