"""Images and files that a request shows by their address: which there are, and the same request with their bytes.

Nothing is fetched here: see http/fetching.py.
"""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from kilo_gateway.dialects.hub.asked import File, Image, Message, Part, Request, ToolResult

IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})  # what every provider with eyes takes
DOCUMENTS = frozenset({"application/pdf"})


_MAGIC = {  # how their base64 begins
    "JVBERi0": "application/pdf", "iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif",
}  # fmt: skip


def data_url(file: str) -> str:
    """Of base64 that stands alone, where it tells what it is; anything else as it came."""
    kind = next((kind for magic, kind in _MAGIC.items() if file.startswith(magic)), "")
    return f"data:{kind};base64,{file}" if kind else file


def is_address(url: str) -> bool:
    return url[:8].lower().startswith(("http://", "https://"))


def all_parts(request: Request) -> Iterator[Part]:
    """Also what results of tools show."""
    for message in request.messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.parts


def needed(request: Request) -> dict[str, frozenset[str]]:
    """Each address once, with the media types that will do wherever it stands."""
    found: dict[str, frozenset[str]] = {}
    for part in all_parts(request):
        if isinstance(part, Image | File) and is_address(part.url):
            kinds = IMAGES if isinstance(part, Image) or part.is_image else IMAGES | DOCUMENTS
            found[part.url] = found.get(part.url, kinds) & kinds
    return found


def supplied(request: Request, fetched: Mapping[str, str]) -> Request:
    """`fetched`: data: URLs by address."""
    messages = tuple([Message(each.role, _supplied(each.parts, fetched)) for each in request.messages])
    return replace(request, messages=messages)


def _supplied(parts: tuple[Part, ...], fetched: Mapping[str, str]) -> tuple[Part, ...]:
    return tuple([_with_bytes(part, fetched) for part in parts])


def _with_bytes(part: Part, fetched: Mapping[str, str]) -> Part:
    if isinstance(part, ToolResult):
        return replace(part, parts=_supplied(part.parts, fetched))
    if isinstance(part, Image | File) and part.url in fetched:
        return replace(part, url=fetched[part.url])
    return part
