"""How deep a JSON text nests, asked of every request body, so it must cost nothing for honest ones.

The worker runs under a recursion limit below MAX_DEPTH, which the JSON decoder obeys on Python 3.11: a body that decodes is
shallow enough, and only one that does not is measured here. From 3.12 on the decoder does not obey it; there a body with
few brackets is shallow, and others are measured.
"""

import re
import sys
from itertools import accumulate

MAX_DEPTH = 512
RECURSION_LIMIT = MAX_DEPTH - 32  # some more are taken by the worker's own frames: it errs on the side of measuring
_DECODER_OBEYS = sys.version_info < (3, 12)
_MAX_MEASURED = 4 * 1024 * 1024  # quotes beside brackets, and brackets that nest: more of them are nobody's request
_ROUND = bytes.maketrans(b"[{]}", b"(())")
_OTHERS = bytes(byte for byte in range(256) if byte not in b'[{]}"')
_WITHOUT_TEXTS = re.compile(rb'"[^"]*+(?:"|\Z)').sub
_STEP = {ord("("): 1, ord(")"): -1}


def may_be_deep(body: bytes) -> bool:
    """Whether a body that decoded without RecursionError still has to be measured."""
    return not _DECODER_OBEYS and len(body) > 2 * MAX_DEPTH and body.count(b"[") + body.count(b"{") > MAX_DEPTH


def is_too_deep(body: bytes) -> bool:
    """Exact for JSON, in time linear to it; but more than _MAX_MEASURED of what takes long to measure counts as too deep."""
    signs = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ROUND, _OTHERS)
    signs = signs.replace(b'""', b"")  # two quotes side by side change nothing of what stands within quotes
    if signs.count(b'"') > _MAX_MEASURED:
        return True
    brackets, before, levels = _WITHOUT_TEXTS(b"", signs), len(signs) * 2, 0
    while brackets and len(brackets) * 2 <= before:  # most pairs are innermost ones, and those off are one level off
        before, levels = len(brackets), levels + 1
        brackets = brackets.replace(b"()", b"")
    if len(brackets) > _MAX_MEASURED:
        return True
    return levels + max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH
