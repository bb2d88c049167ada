"""How deep a JSON text nests, asked of every request body, so it must cost nothing for honest ones.

The worker runs under a recursion limit below MAX_DEPTH, which the JSON decoder obeys on Python 3.11: a body that decodes is
shallow enough, and only one that does not is measured here. From 3.12 on the decoder does not obey it; there a body with
few brackets is shallow, and others are measured.
"""

import re
import sys

MAX_DEPTH = 512
RECURSION_LIMIT = MAX_DEPTH - 32  # some more are taken by the worker's own frames: it errs on the side of measuring
_DECODER_OBEYS = sys.version_info < (3, 12)
_MEASURED_BYTES = 4 * 1024 * 1024
# Atomic, and a text without end is one token: otherwise it would be read anew from each of its quotes.
_TOKENS = re.compile(rb'"(?>[^"\\]+|\\.)*+"?|[\[\]{}]', re.DOTALL)


def may_be_deep(body: bytes) -> bool:
    """Whether a body that decoded without RecursionError still has to be measured."""
    return not _DECODER_OBEYS and len(body) > 2 * MAX_DEPTH and body.count(b"[") + body.count(b"{") > MAX_DEPTH


def is_too_deep(body: bytes) -> bool:
    """Exact up to 4 MiB; a larger body that could not be decoded plainly counts as too deep, for measuring takes long."""
    if len(body) > _MEASURED_BYTES:
        return True
    depth = 0
    for token in _TOKENS.finditer(body):
        first = body[token.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif first in b"]}":
            depth -= 1
    return False
