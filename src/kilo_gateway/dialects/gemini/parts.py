"""Parts of a turn as Gemini writes them, and those that carry media."""

import base64
from urllib.parse import unquote_to_bytes

from msgspec import Raw, Struct

from kilo_gateway.dialects.hub.asked import Audio, File, Image, Video
from kilo_gateway.dialects.hub.notes import Notes

_FILES = "https://generativelanguage.googleapis.com/v1beta/"
_TYPES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif",
    "heic": "image/heic", "heif": "image/heif", "bmp": "image/bmp",
    "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html",
    "htm": "text/html", "xml": "text/xml", "css": "text/css", "rtf": "text/rtf", "json": "application/json",
    "js": "text/javascript", "py": "text/x-python",
    "wav": "audio/wav", "mp3": "audio/mp3", "m4a": "audio/m4a", "flac": "audio/flac", "ogg": "audio/ogg",
    "aac": "audio/aac", "aiff": "audio/aiff", "opus": "audio/opus",
    "mp4": "video/mp4", "mpeg": "video/mpeg", "mpg": "video/mpeg", "mov": "video/quicktime", "avi": "video/x-msvideo",
    "flv": "video/x-flv", "webm": "video/webm", "wmv": "video/x-ms-wmv", "3gp": "video/3gpp", "mkv": "video/x-matroska",
}  # fmt: skip
_SOUNDS = {"pcm16": "audio/pcm", "pcm": "audio/pcm", "mpeg": "audio/mp3"}
_RENAMED = {"image/jpg": "image/jpeg", "audio/x-wav": "audio/wav", "audio/x-m4a": "audio/m4a"}
_UNTOLD = ("", "application/octet-stream", "binary/octet-stream")

Media = Image | File | Audio | Video


class Blob(Struct, frozen=True, rename="camel"):
    mime_type: str
    data: str


class Kept(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Bytes that Google fetches, or has."""

    file_uri: str
    mime_type: str = ""


class Called(Struct, frozen=True, omit_defaults=True):
    name: str
    args: Raw
    id: str = ""


class Part(Struct, rename="camel", omit_defaults=True):
    text: str | None = None
    thought: bool = False
    inline_data: Blob | None = None
    file_data: Kept | None = None
    function_call: Called | None = None
    function_response: "Answered | None" = None
    thought_signature: str = ""


class Answered(Struct, frozen=True, omit_defaults=True):
    name: str
    response: Raw | dict[str, str]
    id: str = ""
    parts: tuple[Part, ...] = ()


class Content(Struct, frozen=True):
    role: str
    parts: list[Part]


def media(of: Media, notes: Notes) -> Part | None:
    """None: nothing of it can be sent."""
    match of:
        case Image():
            return _by_url(of.url, "image/jpeg")
        case Audio():
            sound = of.format.lower()
            return Part(inline_data=Blob(_SOUNDS.get(sound) or _TYPES.get(sound) or f"audio/{sound}", of.data))
        case Video():
            return _by_url(of.url, "video/mp4")
        case File(url="", id=id):
            return _by_id(id, notes)
        case File():
            return _by_url(of.url, _type_of(of.name) or "application/pdf")


def _by_id(id: str, notes: Notes) -> Part | None:
    if id.startswith("files/"):
        return Part(file_data=Kept(_FILES + id))
    if id.startswith(("https://", "gs://")):
        return Part(file_data=Kept(id, _type_of(id)))
    notes.drop("file.id")  # it is another provider's
    return None


def _by_url(url: str, otherwise: str) -> Part:
    """`otherwise`: the type where the URL does not tell it."""
    if url[:5].lower() == "data:":
        head, _, data = url[5:].partition(",")
        kind, *parameters = head.split(";")
        if "base64" not in parameters:
            data = base64.b64encode(unquote_to_bytes(data)).decode()
        return Part(inline_data=Blob(otherwise if kind in _UNTOLD else _RENAMED.get(kind, kind), data))
    if url.startswith(_FILES):
        return Part(file_data=Kept(url, _type_of(url)))  # Google knows the type
    return Part(file_data=Kept(url, _type_of(url) or otherwise))


def _type_of(name: str) -> str:
    """By the extension of a file's name or URL; empty where there is none."""
    path = name.split("?", 1)[0].split("#", 1)[0].rsplit("/", 1)[-1]
    return _TYPES.get(path.rpartition(".")[2].lower(), "")
