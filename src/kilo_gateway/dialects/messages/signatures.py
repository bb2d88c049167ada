"""Thoughts of other providers inside blocks that clients bring back unread.

Claude's own signatures go as they are. Another's is put as
`KILO_SEALED_THOUGHT:<format>[@origin]:<what>:<length of the id>:<id><value>`; base64, which Claude's are, has no colon.
"""

import re
from typing import get_args

from kilo_gateway.dialects.hub.asked import Format, Thought

OWN: Format = "anthropic-claude-v1"
GEMINI: Format = "google-gemini-v1"
UNKNOWN: Format = "unknown"  # of other makers' models behind this dialect: what they sign, Claude would refuse
_FORMATS: dict[str, Format] = {format: format for format in get_args(Format)}
# Long, and of letters that texts seldom have: so it is quickly not found in a large request (foreign.py).
MARK = "KILO_SEALED_THOUGHT:"
_sealed = re.compile(rf"{MARK}([a-z0-9-]*)(?:@([0-9a-f]+))?:(signature|encrypted):(\d{{1,3}}):(.*)", re.DOTALL).fullmatch


def seal(thought: Thought) -> str:
    """What proves a thought, in one text. Where nothing does it is marked all the same: Claude would refuse it."""
    value = thought.encrypted or thought.signature
    if thought.format == OWN and value and not thought.origin:
        return thought.signature or thought.encrypted
    what = "encrypted" if thought.encrypted else "signature"
    id = thought.id if len(thought.id) < 1000 else ""
    origin = f"@{thought.origin}" if thought.origin else ""
    return f"{MARK}{thought.format or (UNKNOWN if value else '')}{origin}:{what}:{len(id)}:{id}{value}"


def unseal(text: str, own: Format = OWN, *, is_redacted: bool = False) -> Thought:
    """The thought without its text. `own`: of what is not put so. `is_redacted`: it stood where what is encrypted does."""
    if not text:
        return Thought()
    found = _sealed(text) if text.startswith(MARK) else None
    format = _FORMATS.get(found[1]) if found else None
    if found is None or format is None:
        return Thought(encrypted=text, format=own) if is_redacted else Thought(signature=text, format=own)
    length = int(found[4])
    id, value = found[5][:length], found[5][length:]
    if found[3] == "encrypted":
        return Thought(encrypted=value, format=format, id=id, origin=found[2] or "")
    return Thought(signature=value, format=format, id=id, origin=found[2] or "")
