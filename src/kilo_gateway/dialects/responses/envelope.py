"""What another provider signed or encrypted, put into `encrypted_content`: the one place that every client sends back.

OpenAI's own blobs stand there as they are; they never begin like an envelope.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from msgspec import Struct

from kilo_gateway.dialects.hub.asked import Format, Thought

FAMILY: Format = "openai-responses-v1"
MARK = "kilo:"
OWN_ID = "rs_kilo"  # of an item whose thought has none, and is sent to nobody


class Sealed(Struct, frozen=True, omit_defaults=True):
    """`text`: what the signature is of, for some clients send no text back. `call`: the signature is of this call.

    `origin`: who gave it, where the format does not tell it.
    """

    format: Format = ""
    signature: str = ""
    encrypted: str = ""
    text: str = ""
    id: str = ""
    call: str = ""
    origin: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Sealed).decode


def seal(sealed: Sealed) -> str:
    return MARK + urlsafe_b64encode(_encode(sealed)).rstrip(b"=").decode()


def unseal(content: str) -> Sealed | None:
    """None for what is no envelope, or was changed on its way."""
    if not content.startswith(MARK):
        return None
    text = content[len(MARK) :]
    try:
        return _decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None


def content_of(thought: Thought) -> str | None:
    """What `encrypted_content` says of a thought; None where there is nothing to keep."""
    if thought.format == FAMILY and not thought.signature and not thought.origin:
        return thought.encrypted or None
    if not (thought.signature or thought.encrypted or thought.format):
        return None
    text = thought.text if thought.signature else ""
    return seal(Sealed(thought.format, thought.signature, thought.encrypted, text, thought.id, origin=thought.origin))
