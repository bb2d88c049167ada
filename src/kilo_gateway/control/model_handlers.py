"""Models as an admin resource: what there is, one with all that is known of it, refreshing, and what has changed."""

from starlette.requests import Request
from starlette.responses import Response

from kilo_gateway.control.handlers import json_response
from kilo_gateway.control.routes import Access, Entry
from kilo_gateway.control.service import Service
from kilo_gateway.core.errors import BadRequest


async def every(request: Request) -> Response:
    provider = request.query_params.get("provider")
    return json_response(_service(request).models(provider, is_free=_flag(request, "free")))


async def one(request: Request) -> Response:
    return json_response(_service(request).model(request.path_params["id"]))


async def refresh(request: Request) -> Response:
    return json_response(await _service(request).refresh_models(force=_flag(request, "force")))


async def changes(request: Request) -> Response:
    return json_response(_service(request).model_changes())


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise BadRequest(f"{name} must be true or false.")
    return value == "true"


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ENTRIES = (
    Entry("/api/admin/models", ("GET",), every, Access.OWNER),
    Entry("/api/admin/models/refresh", ("POST",), refresh, Access.OWNER),
    Entry("/api/admin/models/changes", ("GET",), changes, Access.OWNER),
    Entry("/api/admin/models/{id:path}", ("GET",), one, Access.OWNER),
)
