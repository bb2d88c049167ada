"""How many tokens a prompt has, where nobody tells: counted by a tokenizer, set right by what the model is known to count.

A sample of the prompt is counted, so that a long one costs no more than a short one. What upstreams tell of other prompts
of the same model is compared with what was counted of those, once in a while, and the ratio of both is kept.
"""

import re

from msgspec import Struct

from kilo_gateway.catalog.tokenizer import Tokenizer
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint

SLICES, SLICE_BYTES = 4, 4096  # of a sample
BYTES_PER_TOKEN = 4
BLOB_TOKENS = 1_000  # of what travels as base64: an image, mostly
LEARN_MS = 10_000  # between two lessons of a model
LESSON = 0.2  # what a later one weighs
MIN_BYTES = 2_000  # in a shorter prompt, what providers add themselves is most of it
RATIOS = (0.2, 5.0)  # what is beyond them is no matter of words
MAX_MODELS = 10_000
_BLOB = re.compile(rb"[A-Za-z0-9+/=]{1000,}")


class _Model(Struct):
    """Tokens told, for each one counted: by the tokenizer, and by bytes alone. None: not known."""

    next_ms: int
    by_tokens: float | None = None
    by_bytes: float | None = None


class Estimates:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._models: dict[str, _Model] = {}

    def prompt_tokens(self, call: Call, endpoint: Endpoint) -> int:
        """No more than the model can hold."""
        text, blobs = _text_of(call)
        model = self._models.get(endpoint.model)
        counted = self._counted(text)
        if counted is not None and (model is None or model.by_tokens is not None or model.by_bytes is None):
            tokens = counted * ((model.by_tokens if model is not None else None) or 1.0)
        else:
            tokens = len(text) / BYTES_PER_TOKEN * ((model.by_bytes if model is not None else None) or 1.0)
        found = max(int(tokens), 1) + blobs * BLOB_TOKENS
        return found if endpoint.context is None else min(found, endpoint.context)

    def learn(self, call: Call, endpoint: Endpoint, usage: Usage) -> None:
        """From what an upstream has told of this very request."""
        model = self._models.get(endpoint.model)
        if model is not None and call.at_ms < model.next_ms:
            return
        if usage.is_estimated or call.service or not usage.prompt_tokens:
            return
        if model is None:
            if len(self._models) >= MAX_MODELS:
                self._models.clear()
            model = self._models[endpoint.model] = _Model(0)
        model.next_ms = call.at_ms + LEARN_MS
        text, blobs = _text_of(call)
        if blobs or len(text) < MIN_BYTES:
            return
        model.by_bytes = _weighed(model.by_bytes, usage.prompt_tokens / (len(text) / BYTES_PER_TOKEN))
        if self._tokenizer.is_loaded and (counted := self._counted(text)):
            model.by_tokens = _weighed(model.by_tokens, usage.prompt_tokens / counted)

    def _counted(self, text: bytes) -> float | None:
        """From a sample spread over all of it."""
        if len(text) <= SLICES * SLICE_BYTES:
            sample = text
        else:
            step = (len(text) - SLICE_BYTES) // (SLICES - 1)
            sample = b"".join(text[at : at + SLICE_BYTES] for at in range(0, len(text) - SLICE_BYTES + 1, step))
        counted = self._tokenizer.count(sample.decode(errors="replace"))
        return None if counted is None or not sample else counted * len(text) / len(sample)


def _text_of(call: Call) -> tuple[bytes, int]:
    """What is said in a request, and how many blobs are in it. Escapes and brackets count: providers add about as much."""
    text = b"".join(bytes(value) for name, value in call.fields.items() if name != "model")
    if len(text) < BLOB_TOKENS:
        return text, 0
    return _BLOB.subn(b"", text)


def _weighed(known: float | None, ratio: float) -> float:
    ratio = min(max(ratio, RATIOS[0]), RATIOS[1])
    return ratio if known is None else known + (ratio - known) * LESSON
