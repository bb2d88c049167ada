"""Who gave what is signed, where its format does not tell it: an upstream that passes on what many providers make."""

import zlib

from kilo_gateway.core.types import Endpoint


def origin_of(endpoint: Endpoint) -> str:
    """Eight digits, the same for all models of one author at one upstream: he can read again what he gave."""
    author = endpoint.model.partition("/")[0]
    return f"{zlib.crc32(f'{endpoint.provider}/{author}'.encode()):08x}"
