"""Thought signatures: which may go back, and on which part. https://ai.google.dev/gemini-api/docs/thought-signatures"""

import binascii

from kilo_gateway.dialects.gemini.parts import Part
from kilo_gateway.dialects.hub.asked import Format
from kilo_gateway.dialects.hub.notes import Notes

FORMAT: Format = "google-gemini-v1"

# Gemini 3 refuses a step whose first call has no signature. For calls that another model made, or a program, Google names
# this value, which is not checked: https://ai.google.dev/gemini-api/docs/thought-signatures#faqs
# Without it no conversation could change over to Gemini 3 once a tool has been called.
SKIP = "skip_thought_signature_validator"

_STANDARD = bytes.maketrans(b"-_", b"+/")


def valid(signature: str, notes: Notes) -> str:
    """The signature, when it is base64 or base64url; else empty, and noted."""
    plain = b"".join(signature.encode(errors="replace").split()).translate(_STANDARD).rstrip(b"=")
    try:
        decoded = binascii.a2b_base64(plain + b"=" * (-len(plain) % 4), strict_mode=True)
        is_whole = binascii.b2a_base64(decoded, newline=False).rstrip(b"=") == plain
    except binascii.Error:
        is_whole = False
    if is_whole and plain:
        return signature
    if signature:
        notes.change("messages: a thought signature that is not base64 removed")
    return ""


def placed(parts: list[Part], is_third: bool) -> list[Part]:
    """A replayed thought stands by itself; its signature belongs on the part that it came with.

    That is the call that follows, when this has none of its own: callers' dialects have no place on a call. Else the text
    or image before it, else the text after it. A thought with words stays as it is, but before a call of Gemini 3: there
    the signature is always the call's.
    """
    if not any(_is_thought(part) for part in parts):
        return parts
    given: set[int] = set()
    kept: list[Part] = []
    after = 0  # of a run of thoughts; it only goes forward, or a long run would be walked again for each of them
    for at, part in enumerate(parts):
        if _is_thought(part):
            after = max(after, at + 1)
            while after < len(parts) and (_is_thought(parts[after]) or (after in given and parts[after].function_call)):
                after += 1
            if _gives(parts, at, after, given, is_third):
                continue
        kept.append(part)
    return kept


def _is_thought(part: Part) -> bool:
    return part.thought or (part.text == "" and bool(part.thought_signature))


def _gives(parts: list[Part], at: int, after: int, given: set[int], is_third: bool) -> bool:
    """Whether the signature of the thought at `at` found another part. `after`: the next one that might want it.

    `given`: parts that have got one this way.
    """
    is_bare = not parts[at].thought
    choice = [after] if after < len(parts) and parts[after].function_call and (is_bare or is_third) else []
    if is_bare:
        choice += [near for near in (at - 1, after) if 0 <= near < len(parts) and not parts[near].function_call]
    for near in choice:
        if not parts[near].thought_signature and not parts[near].thought:
            parts[near].thought_signature = parts[at].thought_signature
            given.add(near)
            return True
    return False
