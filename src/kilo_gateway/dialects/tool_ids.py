"""What ids of tool calls an upstream takes, and how those of others become such.

What an id becomes depends on nothing but itself: a call and its result still meet, and a prompt that comes again is the
same one, so that it is found in the provider's cache.
"""

import re
from base64 import b32encode
from hashlib import sha256

from msgspec import Struct

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_HASH_CHARACTERS = 9


class Form(Struct, frozen=True):
    """`taken`: an id of this form, whole. `most`: its characters. `odd`: finds a result's id of another form in JSON, which

    is searched rather than read.
    """

    taken: re.Pattern[str]
    most: int
    odd: re.Pattern[bytes]

    def fits(self, id: str) -> bool:
        return self.taken.fullmatch(id) is not None

    def fit(self, id: str) -> str:
        """Its beginning, and what tells it from others that begin so."""
        hashed = b32encode(sha256(id.encode("utf-8", "surrogatepass")).digest())[:_HASH_CHARACTERS].decode().lower()
        begin = _UNFIT.sub("_", id)[: max(self.most - _HASH_CHARACTERS - 1, 0)]
        return f"{begin}_{hashed}" if begin else hashed


def _form(taken: str, most: int) -> Form:
    odd = rf'"tool_call_id"\s*:\s*"(?!{taken}")'.encode()
    return Form(re.compile(taken), most, re.compile(odd))


# By the names that they have in upstreams/registry.toml and in a declared upstream's `tool_ids`.
FORMS = {
    "40": _form(r'[^"]{1,40}', 40),
    "64": _form(r'[^"]{1,64}', 64),
    "64-plain": _form(r"[a-zA-Z0-9_-]{1,64}", 64),
    "9-alphanumeric": _form(r"[a-zA-Z0-9]{9}", 9),
}
