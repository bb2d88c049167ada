"""What an upstream's dialect has to offer to make embeddings."""

from typing import Protocol

from kilo_gateway.core.ports import Translator
from kilo_gateway.core.types import Call, Endpoint


class Side(Protocol):
    def obstacle(self, call: Call, endpoint: Endpoint) -> str: ...
    def shape(self, call: Call, endpoint: Endpoint) -> bytes: ...
    def translator(self, call: Call, endpoint: Endpoint) -> Translator: ...
