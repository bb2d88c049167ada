"""The journal as an admin resource: its handler and its route."""

from starlette.requests import Request
from starlette.responses import Response

from kilo_gateway.control.handlers import json_response
from kilo_gateway.control.routes import Access, Entry
from kilo_gateway.control.service import Service


async def replay(request: Request) -> Response:
    service: Service = request.app.state.service
    return json_response(await service.replay_journal())


ENTRIES = (Entry("/api/admin/journal/replay", ("POST",), replay, Access.OWNER),)
