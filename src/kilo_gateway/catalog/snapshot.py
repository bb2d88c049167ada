"""What this worker knows of keys and models: one immutable value, replaced whole when control pushes a new one."""

import hmac
import re

from kilo_gateway.catalog.names import Named, Names
from kilo_gateway.core.errors import InvalidKey, ModelRetired, NotServed, UnknownModel
from kilo_gateway.core.types import ANONYMOUS, Key, Model, SnapshotData

_REMEMBERED_CREDENTIALS = 10_000
_REMEMBERED_BYTES = 256  # of each
_KEY = re.compile(rb"(?:bearer[ \t]+)?(?:https?://\S+?:)?(kilo_[0-9A-Za-z]{32})[ \t]*", re.IGNORECASE)
_NO_MODEL = "No model is configured yet. Set a provider's key such as OPENAI_API_KEY, or declare [[upstreams]]."
_NO_CREDENTIAL = frozenset({b"", b"bearer", b"bearer anonymous", b"anonymous"})


def names_nobody(credential: bytes) -> bool:
    return credential.strip().lower() in _NO_CREDENTIAL


def digest(pepper: bytes, key: bytes) -> bytes:
    return hmac.digest(pepper, key, "sha256")


class Snapshot:
    def __init__(self, data: SnapshotData, pepper: bytes) -> None:
        self.version = data.version
        self._pepper = pepper
        self._keys = dict(data.keys)
        self._models = models = {model.id: model for model in data.models}
        models |= data.routes
        self._free = {model.id: free for model in data.models if (free := _free_part(model)) is not None}
        self.names = Names(models, data.aliases, data.successors, self._free, frozenset(data.known))
        self.has_models = any(model.endpoints for model in data.models)
        self._has_open_models = any(model.is_open for model in data.models)
        # An HMAC costs 1.6 us, a sixth of a request. Dies with the snapshot, so a revoked key is forgotten in time.
        self._seen: dict[bytes, Key] = {}

    def authenticate(self, credential: bytes) -> Key:
        """`credential` is the header's value as it came: Bearer or bare, the key alone or after a base URL."""
        key = self._seen.get(credential)
        if key is None:
            key = self._recognise(credential)
            if len(self._seen) < _REMEMBERED_CREDENTIALS and len(credential) <= _REMEMBERED_BYTES:
                self._seen[credential] = key
        return key

    def resolve(self, model: str) -> Model:
        """Raises UnknownModel; NotServed for one that is listed and has no endpoint."""
        found = self._models.get(model)
        if found is None:
            named = self._named(model)
            found = self._free[named.id] if named.variant == "free" else self._models[named.id]
        if found.reason:
            raise NotServed(f"{found.id} cannot be asked at the moment: {found.reason}", {"model": found.id})
        return found

    def _named(self, model: str) -> Named:
        try:
            return self.names.find(model)
        except UnknownModel as error:
            if self.has_models or isinstance(error, ModelRetired):
                raise
            raise UnknownModel(_NO_MODEL) from None

    def _recognise(self, credential: bytes) -> Key:
        if names_nobody(credential):
            if self._has_open_models:
                return ANONYMOUS
            raise InvalidKey("No key was sent. Send one as 'Authorization: Bearer kilo_...'.")
        match = _KEY.fullmatch(credential.strip())
        key = self._keys.get(digest(self._pepper, match[1])) if match else None
        if key is None:
            raise InvalidKey("This key is not known here. Send a valid one as 'Authorization: Bearer kilo_...'.")
        return key


def _free_part(model: Model) -> Model | None:
    """With the endpoints that cost nothing alone; None when there is none."""
    endpoints = tuple(each for each in model.endpoints if each.price is not None and each.price.is_free)
    if len(endpoints) == len(model.endpoints):
        return model if endpoints else None
    return Model(model.id, endpoints) if endpoints else None


class Snapshots:
    """Holds the current snapshot. `current` is read once per step and never cached."""

    def __init__(self, first: Snapshot) -> None:
        self.current = first
