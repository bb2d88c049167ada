"""Images, documents, videos and sounds as blocks of Converse, which takes bytes and no addresses.

s3:// is no way out: Bedrock would read it with the rights of the gateway's own account.
"""

import base64
import re
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from kilo_gateway.dialects.hub.asked import Audio, File, Image, Video
from kilo_gateway.dialects.hub.notes import Notes

Json = dict[str, object]

_DATA = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE).match
_UNFIT = re.compile(r"[^0-9A-Za-z ()\[\]-]+")  # for the name of a document
_SPACES = re.compile(r" {2,}")
_MAX_NAME = 200
_MAX_TOLD = 200  # characters of an address in the text that stands in its place

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf", "text/csv": "csv", "application/msword": "doc", "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx", "text/html": "html",
    "text/markdown": "md", "application/json": "txt", "application/xml": "txt",
}  # fmt: skip
_EXTENSIONS = frozenset({"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"})
_VIDEOS = {
    "video/mp4": "mp4", "video/webm": "webm", "video/quicktime": "mov", "video/x-matroska": "mkv", "video/x-flv": "flv",
    "video/mpeg": "mpeg", "video/mpg": "mpg", "video/x-ms-wmv": "wmv", "video/3gpp": "three_gp",
}  # fmt: skip
_SOUNDS = frozenset({"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "m4a", "mpeg", "mpga", "pcm", "webm"})


class Data(Struct, frozen=True):
    """`base64` is passed on as it came."""

    kind: str
    base64: str


def data_of(url: str) -> Data | None:
    """What a data: URL holds; None for any other address."""
    found = _DATA(url)
    if found is None:
        return None
    rest = url[found.end() :]
    if ";base64" not in found[2].lower():
        rest = base64.b64encode(unquote_to_bytes(rest)).decode()
    return Data(found[1].strip().lower(), rest)


class Media:
    """Of one request: names of documents must differ within it."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._names: set[str] = set()

    def image(self, image: Image) -> Json:
        data = data_of(image.url)
        if data is None:
            return self._without("image.url", f"image at {image.url[:_MAX_TOLD]}")
        form = _IMAGES.get(data.kind)
        if form is None or not data.base64:
            return self._without("image", f"image of type {data.kind}")
        return {"image": {"format": form, "source": {"bytes": data.base64}}}

    def file(self, file: File) -> Json:
        data = data_of(file.url)
        if data is None:
            where = file.url[:_MAX_TOLD] or file.id
            return self._without("file.url" if file.url else "file.id", f"file {file.name or 'at'} {where}")
        if data.kind in _IMAGES:
            return self.image(Image(file.url))
        form = _document_form(data.kind, file.name)
        if form is None or not data.base64:
            return self._without("file", f"file {file.name} of type {data.kind}")
        return {"document": {"format": form, "name": self._name(file.name), "source": {"bytes": data.base64}}}

    def video(self, video: Video) -> Json:
        data = data_of(video.url)
        if data is None:
            return self._without("video.url", f"video at {video.url[:_MAX_TOLD]}")
        form = _VIDEOS.get(data.kind)
        if form is None or not data.base64:
            return self._without("video", f"video of type {data.kind}")
        return {"video": {"format": form, "source": {"bytes": data.base64}}}

    def audio(self, audio: Audio) -> Json:
        if audio.format not in _SOUNDS or not audio.data:
            return self._without("audio", f"audio of type {audio.format}")
        return {"audio": {"format": audio.format, "source": {"bytes": audio.data}}}

    def _without(self, field: str, what: str) -> Json:
        self._notes.drop(field)
        return {"text": f"[{what.strip()}: left out]"}

    def _name(self, name: str) -> str:
        """Letters, digits, single spaces, hyphens, brackets. The same conversation gives the same names each time."""
        fit = _SPACES.sub(" ", _UNFIT.sub(" ", name)).strip()[: _MAX_NAME - 6].strip() or "Document"
        number, given = 1, fit
        while given in self._names:
            number += 1
            given = f"{fit} {number}"
        self._names.add(given)
        return given


def _document_form(kind: str, name: str) -> str | None:
    """The name decides where the type says little."""
    if kind in _DOCUMENTS:
        return _DOCUMENTS[kind]
    extension = name.rpartition(".")[2].lower()
    if extension in _EXTENSIONS and kind in ("", "application/octet-stream", "text/plain"):
        return extension
    return "txt" if kind.startswith("text/") else None
