"""The catalogue's paths: HTTP in, one view of the catalogue, HTTP out."""

import asyncio
import re
from collections.abc import Callable

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from kilo_gateway.catalog.catalogue import Catalogue, Entry
from kilo_gateway.control.listing import anthropic, feed
from kilo_gateway.control.listing import providers as upstreams
from kilo_gateway.control.listing.answers import Answer, json_answer, respond
from kilo_gateway.control.listing.embeddings import embedding_models as embedding_models_view
from kilo_gateway.control.listing.endpoints import endpoints_of, zero_retention
from kilo_gateway.control.listing.pages import next_link
from kilo_gateway.control.listing.query import Query, read
from kilo_gateway.control.listing.rows import row, with_origins
from kilo_gateway.control.listing.selection import select
from kilo_gateway.control.listing.shelf import Shelf
from kilo_gateway.control.listing.traffic import Traffic
from kilo_gateway.control.listing.transcription import transcription_models as transcription_models_view
from kilo_gateway.control.listing.validation import validated
from kilo_gateway.control.views import View
from kilo_gateway.core.errors import BadRequest

MAX_VALIDATED = 100
_ANTHROPIC = "anthropic-version"
_HOST = re.compile(r"[\w.\-\[\]:]{1,255}", re.ASCII)


class Wanted(Struct):
    models: list[str]


def install(app: Starlette, catalogue: Callable[[], Catalogue], traffic: Traffic, now_s: Callable[[], float]) -> None:
    """What the handlers work with. `catalogue` gives the current one; `now_s` the time, Unix seconds."""
    app.state.catalogue, app.state.traffic, app.state.now_s, app.state.shelf = catalogue, traffic, now_s, Shelf()


async def models(request: Request) -> Response:
    if _ANTHROPIC in request.headers:
        entries = select(_catalogue(request), Query(), _traffic(request), _now_s(request)).entries
        return respond(request, json_answer(anthropic.page(entries, request.query_params)))
    return respond(request, _listed(request, "models", read(request.query_params)))


async def count(request: Request) -> Response:
    query = replace(read(request.query_params), page=None, sort=None)
    found = select(_catalogue(request), query, _traffic(request), _now_s(request))
    return respond(request, json_answer({"data": {"count": found.total}}, found.ignored))


async def models_of_user(request: Request) -> Response:
    """All that can be asked now: no key is held to some models yet."""
    query = read(request.query_params, default_outputs=None)
    return respond(request, _listed(request, "user", query, lambda entry: not entry.reason), is_private=True)


async def embeddings(request: Request) -> Response:
    query = replace(read(request.query_params), outputs=frozenset({"embeddings"}))
    return respond(request, _listed(request, "embeddings", query))


async def model(request: Request) -> Response:
    """OpenRouter's single model, with the origin of each fact."""
    entry = _entry(request)
    return respond(request, json_answer({"data": with_origins(row(entry, _catalogue(request)), entry)}))


async def model_row(request: Request) -> Response:
    """The bare row, as OpenAI's SDK retrieves it; Anthropic's object for Anthropic's."""
    entry, catalogue = _entry(request), _catalogue(request)
    if _ANTHROPIC in request.headers:
        return respond(request, json_answer(anthropic.model(entry)))
    view = row(entry, catalogue)
    return respond(request, json_answer(with_origins(view, entry) if read(request.query_params).has_origins else view))


async def endpoints(request: Request) -> Response:
    return respond(request, json_answer({"data": endpoints_of(_entry(request), _catalogue(request), _traffic(request))}))


async def zdr_endpoints(request: Request) -> Response:
    found = json_answer({"data": zero_retention(_catalogue(request), _traffic(request))})
    return respond(request, found, is_private=True)


async def providers(request: Request) -> Response:
    return respond(request, _kept(request, "providers", lambda catalogue: {"data": upstreams.providers(catalogue)}))


async def models_by_provider(request: Request) -> Response:
    return respond(request, _kept(request, "by-provider", lambda catalogue: {"data": upstreams.by_provider(catalogue)}))


async def embedding_models(request: Request) -> Response:
    return respond(request, _kept(request, "embedding-models", embedding_models_view))


async def transcription_models(request: Request) -> Response:
    view = _kept(request, "transcription", lambda catalogue: {"data": transcription_models_view(catalogue)})
    return respond(request, view)


async def validate(request: Request) -> Response:
    """`?model=ID`, once or more often."""
    return await _validated(request, request.query_params.getlist("model"))


async def validate_posted(request: Request) -> Response:
    try:
        wanted = msgspec.json.decode(await request.body(), type=Wanted)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(f'Send {{"models": ["author/name", ...]}}: {error}.') from error
    return await _validated(request, wanted.models)


async def _validated(request: Request, asked: list[str]) -> Response:
    if not 1 <= len(asked) <= MAX_VALIDATED:
        raise BadRequest(f"Name from 1 to {MAX_VALIDATED} models, not {len(asked)}.", {"parameter": "model"})
    catalogue = _catalogue(request)
    views: list[View] = []
    for each in asked:
        views.append(validated(each, catalogue))
        await asyncio.sleep(0)  # to look for names that are alike takes long
    return respond(request, json_answer({"data": views}))


def _listed(request: Request, kind: str, query: Query, is_wanted: Callable[[Entry], bool] | None = None) -> Answer:
    """From the shelf, unless it depends on more than the catalogue and the query."""
    catalogue = _catalogue(request)
    path, base = request.url.path if query.page else "", _base(request) if query.is_feed else ""

    def render() -> Answer:
        found = select(catalogue, query, _traffic(request), _now_s(request), is_wanted)
        if query.is_feed:
            return Answer(feed.rss(found.entries, base), found.ignored, feed.MEDIA_TYPE)
        rows = [_row(request, catalogue, query, entry) for entry in found.entries]
        links = {"next": next_link(path, query.page, found.total)}
        return json_answer({"object": "list", "data": rows, "links": links, "total_count": found.total}, found.ignored)

    return _shelf(request).answer(catalogue, (kind, path, base, query), render) if query.is_lasting else render()


def _row(request: Request, catalogue: Catalogue, query: Query, entry: Entry) -> object:
    if query.has_origins:
        return with_origins(row(entry, catalogue), entry)
    return _shelf(request).row(catalogue, entry)


def _kept(request: Request, kind: str, view: Callable[[Catalogue], object]) -> Answer:
    catalogue = _catalogue(request)
    return _shelf(request).answer(catalogue, kind, lambda: json_answer(view(catalogue)))


def _entry(request: Request) -> Entry:
    return _catalogue(request).find(request.path_params["id"])


def _base(request: Request) -> str:
    """Scheme and host as the caller named them."""
    host = request.headers.get("host", "")
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"


def _catalogue(request: Request) -> Catalogue:
    found: Catalogue = request.app.state.catalogue()
    return found


def _traffic(request: Request) -> Traffic:
    found: Traffic = request.app.state.traffic
    return found


def _now_s(request: Request) -> float:
    now_s: float = request.app.state.now_s()
    return now_s


def _shelf(request: Request) -> Shelf:
    found: Shelf = request.app.state.shelf
    return found
