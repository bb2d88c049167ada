"""The catalogue's routes. The order counts: what is fixed comes before what takes any id, and an id may hold slashes."""

from collections.abc import Iterator

from kilo_gateway.control.listing import handlers
from kilo_gateway.control.routes import Access, Entry
from kilo_gateway.http.paths import PREFIXES


def _models(base: str) -> Iterator[Entry]:
    yield Entry(f"{base}/models", ("GET",), handlers.models, Access.PUBLIC)
    yield Entry(f"{base}/models/count", ("GET",), handlers.count, Access.PUBLIC)
    yield Entry(f"{base}/models/user", ("GET",), handlers.models_of_user, Access.KEY)
    yield Entry(f"{base}/models/validate", ("GET",), handlers.validate, Access.PUBLIC)
    yield Entry(f"{base}/models/validate", ("POST",), handlers.validate_posted, Access.PUBLIC)
    yield Entry(f"{base}/models/{{id:path}}/endpoints", ("GET",), handlers.endpoints, Access.PUBLIC)
    yield Entry(f"{base}/models/{{id:path}}", ("GET",), handlers.model_row, Access.PUBLIC)


def _others(base: str) -> Iterator[Entry]:
    yield Entry(f"{base}/model/{{id:path}}", ("GET",), handlers.model, Access.PUBLIC)
    yield Entry(f"{base}/models-by-provider", ("GET",), handlers.models_by_provider, Access.PUBLIC)
    yield Entry(f"{base}/providers", ("GET",), handlers.providers, Access.PUBLIC)
    yield Entry(f"{base}/embedding-models", ("GET",), handlers.embedding_models, Access.PUBLIC)
    yield Entry(f"{base}/embeddings/models", ("GET",), handlers.embeddings, Access.PUBLIC)
    yield Entry(f"{base}/transcription-models", ("GET",), handlers.transcription_models, Access.PUBLIC)
    yield Entry(f"{base}/endpoints/zdr", ("GET",), handlers.zdr_endpoints, Access.KEY)


ENTRIES = (
    *(entry for base in (*PREFIXES, "/api") for entry in _models(base)),
    *(entry for prefix in PREFIXES for entry in _others(prefix)),
)
