"""What this worker knows of keys and models: one immutable value, replaced whole when control pushes a new one."""

import difflib
import hmac
import re

from kilo_gateway.core.errors import InvalidKey, UnknownModel
from kilo_gateway.core.types import ANONYMOUS, Key, Model, SnapshotData

_REMEMBERED_CREDENTIALS = 10_000
_KEY = re.compile(rb"(?:bearer[ \t]+)?(?:https?://\S+?:)?(kilo_[0-9A-Za-z]{32})[ \t]*", re.IGNORECASE)
_NO_CREDENTIAL = frozenset({b"", b"bearer", b"bearer anonymous", b"anonymous"})
_STRIPPED_PREFIXES = ("kilocode/", "kilo/")


def digest(pepper: bytes, key: bytes) -> bytes:
    return hmac.digest(pepper, key, "sha256")


class Snapshot:
    def __init__(self, data: SnapshotData, pepper: bytes) -> None:
        self.version = data.version
        self._pepper = pepper
        self._keys = dict(data.keys)
        self._models = {model.id: model for model in data.models}
        self._dangling: dict[str, str] = {}  # aliases of models that are not there
        for alias, id in data.aliases.items():
            if id in self._models:
                self._models.setdefault(alias, self._models[id])
            else:
                self._dangling[alias] = id
        self.has_models = bool(self._models)
        self._has_open_models = any(model.is_open for model in data.models)
        # An HMAC costs 1.6 us, a sixth of a request. Dies with the snapshot, so a revoked key is forgotten in time.
        self._seen: dict[bytes, Key] = {}

    def authenticate(self, credential: bytes) -> Key:
        """`credential` is the header's value as it came: Bearer or bare, the key alone or after a base URL."""
        key = self._seen.get(credential)
        if key is None:
            key = self._recognise(credential)
            if len(self._seen) < _REMEMBERED_CREDENTIALS:
                self._seen[credential] = key
        return key

    def resolve(self, model: str) -> Model:
        found = self._models.get(model)
        if found is not None:
            return found
        for prefix in _STRIPPED_PREFIXES:
            if model.startswith(prefix) and (found := self._models.get(model.removeprefix(prefix))):
                return found
        raise self._unknown(model)

    def _recognise(self, credential: bytes) -> Key:
        if credential.strip().lower() in _NO_CREDENTIAL:
            if self._has_open_models:
                return ANONYMOUS
            raise InvalidKey("No key was sent. Send one as 'Authorization: Bearer kilo_...'.")
        match = _KEY.fullmatch(credential.strip())
        key = self._keys.get(digest(self._pepper, match[1])) if match else None
        if key is None:
            raise InvalidKey("This key is not known here. Send a valid one as 'Authorization: Bearer kilo_...'.")
        return key

    def _unknown(self, model: str) -> UnknownModel:
        if not self._models:
            return UnknownModel(
                "No model is configured yet. Set a provider's key such as OPENAI_API_KEY, or declare [[upstreams]]."
            )
        if model in self._dangling:
            wanted = self._dangling[model]
            return UnknownModel(f"{model} leads to {wanted!r} (auto.default), which no upstream serves at the moment.")
        near = difflib.get_close_matches(model[:200], self._models, n=3, cutoff=0.0)
        return UnknownModel(f"There is no model {model[:200]!r}. Closest: {', '.join(near)}.", {"closest": near})


class Snapshots:
    """Holds the current snapshot. `current` is read once per step and never cached."""

    def __init__(self, first: Snapshot) -> None:
        self.current = first
