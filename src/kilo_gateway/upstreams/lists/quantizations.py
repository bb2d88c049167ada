"""How weights are stored, in the words of OpenRouter's list, of what servers on one's own machine call it."""

import re

_WORDS = (
    "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown",
)  # fmt: skip
_SAME = {"f16": "fp16", "f32": "fp32", "4bit": "int4", "8bit": "int8"}
_GGUF = re.compile(r"i?q([48])(?:_.*)?")  # q4_k_m, iq4_xs, q8_0


def quantization_of(written: str | None) -> str | None:
    """`unknown` where there is no word for it; None where nothing was said."""
    if written is None:
        return None
    name = written.lower()
    if found := _GGUF.fullmatch(name):
        return f"int{found[1]}"
    return name if name in _WORDS else _SAME.get(name, "unknown")
