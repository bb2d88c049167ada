"""Images and documents as this dialect has them."""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from kilo_gateway.dialects.hub.asked import File, Image

Json = dict[str, object]
_data_url = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE).match
_TEXTS = ("text/", "application/json", "application/xml", "application/x-yaml")


def image(part: Image) -> Json:
    return {"type": "image", "source": _source(part.url)}


def document(part: File) -> Json:
    """Texts go as texts: of what is encoded, the API reads PDF alone."""
    kind = "image" if part.is_image else "document"
    if part.id and not part.url:
        return {"type": kind, "source": {"type": "file", "file_id": part.id}} | _title(part)
    source = _source(part.url)
    media_type = str(source.get("media_type", ""))
    if media_type.startswith("image/"):
        return {"type": "image", "source": source}
    if media_type.startswith(_TEXTS) and (text := _decoded(str(source["data"]))) is not None:
        source = {"type": "text", "media_type": "text/plain", "data": text}
    return {"type": kind, "source": source} | _title(part)


def _title(part: File) -> Json:
    return {"title": part.name} if part.name and not part.is_image else {}


def _source(url: str) -> Json:
    head = _data_url(url)
    if head is None:
        return {"type": "url", "url": url}
    data = url[head.end() :]
    if not head[2].lower().endswith(";base64"):
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return {"type": "base64", "media_type": head[1].lower() or "text/plain", "data": data}


def _decoded(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
