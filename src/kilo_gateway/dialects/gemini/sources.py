"""Where an answer comes from: groundingMetadata and citationMetadata as Cited.

https://ai.google.dev/api/generate-content#GroundingMetadata
"""

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.dialects.hub.answered import Cited


class _Page(Struct, rename="camel"):
    uri: str | None = None
    title: str | None = None
    text: str | None = None
    source_uri: str | None = None  # of an image's page


class _Chunk(Struct, rename="camel"):
    web: _Page | None = None
    retrieved_context: _Page | None = None
    maps: _Page | None = None
    image: _Page | None = None


class _Segment(Struct, rename="camel"):
    part_index: int = 0
    start_index: int = 0
    end_index: int = 0
    text: str = ""


class _Support(Struct, rename="camel"):
    segment: _Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class _Grounding(Struct, rename="camel"):
    grounding_chunks: list[_Chunk] | None = None
    grounding_supports: list[_Support] | None = None


class _Citation(Struct, rename="camel"):
    uri: str | None = None
    title: str | None = None
    start_index: int = 0
    end_index: int = 0


class _Citations(Struct, rename="camel"):
    """Vertex says `citations`."""

    citation_sources: list[_Citation] | None = None
    citations: list[_Citation] | None = None


_decode_grounding = msgspec.json.Decoder(_Grounding | None).decode
_decode_citations = msgspec.json.Decoder(_Citations | None).decode


class Said(Struct):
    """The text so far. `starts`: for each part of the answer the byte where it begins in the text; None: it is no text."""

    pieces: list[str] = []
    starts: list[int | None] = []
    size: int = 0


def grounded(raw: Raw, said: Said) -> list[Cited]:
    """Sources with their places, or where no places are told, all sources."""
    try:
        told = _decode_grounding(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
    pages = [_page(chunk) for chunk in (told.grounding_chunks if told else None) or ()]
    supports = [each for each in (told.grounding_supports if told else None) or () if each.segment is not None]
    if not supports:
        return [Cited(page.uri, page.title or "", page.text or "") for page in pages if page is not None and page.uri]
    whole = "".join(said.pieces).encode(errors="replace")
    cited = []
    for support in supports:
        begin, end = _place(support.segment or _Segment(), whole, said.starts)
        for index in support.grounding_chunk_indices or ():
            page = pages[index] if 0 <= index < len(pages) else None
            if page is not None and page.uri:
                cited.append(Cited(page.uri, page.title or "", page.text or "", begin, end))
    return cited


def quoted(raw: Raw, said: Said) -> list[Cited]:
    """What is recited from somewhere."""
    try:
        told = _decode_citations(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
    whole = "".join(said.pieces).encode(errors="replace")
    cited = []
    for each in ((told.citation_sources or told.citations) if told else None) or ():
        if each.uri:
            begin, end = _place(_Segment(0, each.start_index, each.end_index), whole, said.starts)
            cited.append(Cited(each.uri, each.title or "", "", begin, end))
    return cited


def _page(chunk: _Chunk) -> _Page | None:
    page = chunk.web or chunk.retrieved_context or chunk.maps
    if page is None and chunk.image is not None:
        return _Page(chunk.image.source_uri or chunk.image.uri, chunk.image.title)
    return page


def _place(segment: _Segment, whole: bytes, starts: list[int | None]) -> tuple[int, int]:
    """In characters of the whole text. Offsets are bytes of a part; which part is often not told, so the words decide."""
    words = segment.text.encode(errors="replace")
    told = starts[segment.part_index] if 0 <= segment.part_index < len(starts) else None
    for start in dict.fromkeys((told or 0, 0, *(each for each in starts if each is not None))):
        begin, end = start + segment.start_index, start + segment.end_index
        if 0 <= begin <= end <= len(whole) and (whole[begin:end] == words or not words):
            return _characters(whole, begin), _characters(whole, end)
    if words and (found := whole.find(words)) >= 0:
        return _characters(whole, found), _characters(whole, found + len(words))
    return -1, -1


def _characters(whole: bytes, count: int) -> int:
    return len(whole[:count].decode(errors="ignore"))
