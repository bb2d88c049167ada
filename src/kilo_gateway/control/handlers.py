"""HTTP in, service call, HTTP out. One function a route."""

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from kilo_gateway.control.metrics import Meters
from kilo_gateway.control.service import Service
from kilo_gateway.core.brand import DISCLAIMER, PRODUCT, VERSION
from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.types import Key


class NewKey(Struct, forbid_unknown_fields=True):
    name: str


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")


async def about(request: Request) -> Response:
    return json_response({"name": PRODUCT, "version": VERSION, "models": "/v1/models", "note": DISCLAIMER})


async def generation(request: Request) -> Response:
    id = request.query_params.get("id")
    if not id:
        raise BadRequest("The parameter 'id' is missing: a generation id or the upstream's own.")
    key = _key(request)
    return json_response(await _service(request).generation(id, None if key is None or key.role == "owner" else key.id))


async def metrics(request: Request) -> Response:
    meters: Meters = request.app.state.meters
    return Response(meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def list_keys(request: Request) -> Response:
    return json_response(await _service(request).list_keys())


async def create_key(request: Request) -> Response:
    try:
        new = msgspec.json.decode(await request.body(), type=NewKey)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(f'Send {{"name": "..."}}: {error}.') from error
    return json_response(await _service(request).create_key(new.name), 201)


async def revoke_key(request: Request) -> Response:
    return json_response(await _service(request).revoke_key(request.path_params["id"]))


async def usage(request: Request) -> Response:
    limit = request.query_params.get("limit", "100")
    if not limit.isdigit():
        raise BadRequest("limit must be a whole number.")
    return json_response(await _service(request).usage(int(limit)))


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _key(request: Request) -> Key | None:
    """None for the control socket itself."""
    key: Key | None = request.state.key
    return key
