"""The ASGI application: access before anything else, errors in one shape, and the nearest path for a wrong one."""

import time
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kilo_gateway.catalog.snapshot import names_nobody
from kilo_gateway.control import journal_handlers, model_handlers, routes
from kilo_gateway.control.handlers import json_response
from kilo_gateway.control.listing import entries
from kilo_gateway.control.listing.handlers import install
from kilo_gateway.control.metrics import Meters
from kilo_gateway.control.routes import Access, Entry, Handler
from kilo_gateway.control.service import Service
from kilo_gateway.core.errors import Forbidden, GatewayError, InvalidKey, MethodNotAllowed, UnknownPath
from kilo_gateway.core.types import ANONYMOUS, Key
from kilo_gateway.dialects.openai_chat import error_body
from kilo_gateway.http import paths
from kilo_gateway.http.gateway import Report
from kilo_gateway.http.passage import CLIENT_IP_HEADER

_CLIENT_IP = CLIENT_IP_HEADER.decode()
ENTRIES = (*routes.ENTRIES, *journal_handlers.ENTRIES, *model_handlers.ENTRIES, *entries.ENTRIES)


def build(
    service: Service, meters: Meters, inference: Iterable[bytes], report: Report, *, metrics_public: bool
) -> Starlette:
    """`inference`: the paths that workers serve themselves, to name them when somebody nearly asked for one."""
    served = sorted({entry.path.replace(":path}", "}") for entry in ENTRIES} | {"/health", "/ready"})
    served += [path.decode() for path in inference]

    async def wrong_path(request: Request, _: Exception) -> Response:
        near = paths.nearest(request.url.path, served)
        error = UnknownPath(f"Nothing is served at {request.url.path[:300]}. Nearest: {near}.", {"nearest": near})
        return _error_response(request, error)

    async def wrong_method(request: Request, error: Exception) -> Response:
        allowed = _allowed(request.url.path)
        return _error_response(request, MethodNotAllowed(f"{request.url.path[:300]} takes {allowed}.", allowed))

    app = Starlette(
        routes=[Route(entry.path, _guarded(entry), methods=list(entry.methods)) for entry in ENTRIES],
        exception_handlers={404: wrong_path, 405: wrong_method, GatewayError: _gateway_error, HTTPException: _gateway_error,
                            Exception: _defect},
    )
    app.router.redirect_slashes = False
    app.state.service, app.state.meters, app.state.metrics_public = service, meters, metrics_public
    app.state.report = report
    install(app, service.catalogue, service.traffic, time.time)
    return app


def _guarded(entry: Entry) -> Handler:
    async def handler(request: Request) -> Response:
        request.state.key = _admit(request, entry.access)
        return await entry.handler(request)

    return handler


def _admit(request: Request, access: Access) -> Key | None:
    """The caller's key. None for public paths, and for who came through the control socket: the operator himself."""
    client = request.headers.get(_CLIENT_IP)  # set by workers on everything they pass on
    if client is None or access is Access.PUBLIC:
        return None
    if access is Access.LOOPBACK:
        if request.app.state.metrics_public or _is_loopback(client):
            return None
        raise Forbidden("This path is for callers on the gateway's own machine; see server.metrics_public.")
    service: Service = request.app.state.service
    credential = request.headers.get("authorization", "").encode("latin-1")
    if names_nobody(credential):  # as for inference
        credential = request.headers.get("x-api-key", "").encode("latin-1") or credential
    key = service.publisher.current.authenticate(credential)
    if key is ANONYMOUS:
        raise InvalidKey("This path needs a key: send 'Authorization: Bearer kilo_...'.")
    if access is Access.OWNER and key.role != "owner":
        raise Forbidden("This path needs the owner's key.")
    return key


def _is_loopback(client: str) -> bool:
    try:
        return ip_address(client).is_loopback
    except ValueError:
        return False


def _allowed(path: str) -> str:
    methods = {method for entry in ENTRIES if _matches(entry.path, path) for method in entry.methods}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set()) | {"OPTIONS"}))


def _matches(pattern: str, path: str) -> bool:
    fixed, brace, _ = pattern.partition("{")
    return path.startswith(fixed) if brace else path == pattern


async def _gateway_error(request: Request, error: Exception) -> Response:
    if isinstance(error, GatewayError):
        return _error_response(request, error)
    assert isinstance(error, HTTPException)
    facts = {"message": error.detail, "type": "invalid_request_error", "code": "bad_request"}
    return json_response({"error": facts}, error.status_code)


async def _defect(request: Request, error: Exception) -> Response:
    """Starlette raises it on after this answer, so the log has it (processes/log.py)."""
    return json_response({"error": {
        "message": "Something went wrong inside the gateway; its log says where.",
        "type": GatewayError.kind, "code": GatewayError.code,
    }}, GatewayError.status)  # fmt: skip


def _error_response(request: Request, error: GatewayError) -> Response:
    """With its line in the log."""
    facts = {"client": request.headers.get(_CLIENT_IP, "control.sock"), "path": request.url.path[:200]}
    if id := request.headers.get("x-request-id"):
        facts["request"] = id[:128]
    request.app.state.report("request.refused", status=error.status, code=error.code, **facts)
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allowed
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return Response(error_body(error), error.status, headers, "application/json")
