"""How many tokens a text is, by OpenAI's o200k_base: near enough for other makers' models to estimate with.

The vocabulary is in data/o200k_base.bin (scripts/vocabulary); nothing is fetched. It takes 0.2 s to load and some 55 MB, so
it is loaded when it is first asked for, on a thread of its own.
"""

import zlib
from importlib import resources
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

# What may become one token, as tiktoken has it: https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
PATTERN = "|".join((
    f"{_BEFORE}{_UPPER}*{_LOWER}+{_ENDINGS}", f"{_BEFORE}{_UPPER}+{_LOWER}*{_ENDINGS}", r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
))  # fmt: skip


class Tokenizer:
    def __init__(self) -> None:
        self._encoding: Encoding | None = None
        self._loading: Thread | None = None

    @property
    def is_loaded(self) -> bool:
        return self._encoding is not None

    def load(self) -> Thread:
        """Begins to, once. Who wants to wait joins what it returns."""
        if self._loading is None:
            self._loading = Thread(target=self._load, name="tokenizer", daemon=True)
            self._loading.start()
        return self._loading

    def count(self, text: str) -> int | None:
        """None while it is not loaded, which this begins. Some 60 ns a byte."""
        if self._encoding is None:
            self.load()
            return None
        return len(self._encoding.encode_ordinary(text))

    def _load(self) -> None:
        from tiktoken import Encoding

        encoding = Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=ranks(), special_tokens={})
        encoding._mergeable_ranks = {}  # it has made a table of its own: this one is half of the memory
        self._encoding = encoding


def ranks() -> dict[bytes, int]:
    """Every token with its rank."""
    packed = resources.files("kilo_gateway.catalog").joinpath("data", "o200k_base.bin").read_bytes()
    data = zlib.decompress(packed)
    found: dict[bytes, int] = {}
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        found[data[at + 1 : end]] = len(found)
        at = end
    return found
