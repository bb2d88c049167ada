"""multipart/form-data, read from callers and written for upstreams. https://datatracker.ietf.org/doc/html/rfc7578

What is read is bounded: so many parts, heads of so many bytes. Each byte is looked at once. Knows nothing of audio.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

from kilo_gateway.core.errors import BadRequest

MAX_PARTS = 128
MAX_HEAD_BYTES = 8 * 1024
MAX_TEXT_BYTES = 256 * 1024
_FIRST = re.compile(rb"(?:\r\n)*--([0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])[ \t]*\r\n")
_BEHIND = re.compile(rb"(--)|[ \t]*\r\n")  # a boundary: the end, or the next part
_PARAMETER = re.compile(r""";\s*([!#-'*+.^-`|~0-9A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"\s]*)""")
_ESCAPED = re.compile(r'\\(["\\])')
_PLAIN_TYPE = re.compile(r"[0-9A-Za-z!#$&^_.+;=/ -]{1,100}").fullmatch
_UNTYPED = "application/octet-stream"


class Part(NamedTuple):
    """`filename` None: a field and no file."""

    name: str
    data: memoryview
    filename: str | None = None
    content_type: str = _UNTYPED

    def text(self) -> str:
        """Of a field. Raises BadRequest."""
        if len(self.data) > MAX_TEXT_BYTES:
            raise BadRequest(f"The field {self.name!r} of the form has more than {MAX_TEXT_BYTES} bytes.")
        try:
            return str(self.data, "utf-8")
        except UnicodeDecodeError as error:
            raise BadRequest(f"The field {self.name!r} of the form is not UTF-8.") from error


def is_form(body: bytes) -> bool:
    """By how it begins: no JSON begins so."""
    return body.startswith((b"--", b"\r\n--"))


def parts_of(body: bytes) -> list[Part]:
    """The boundary is the first line. Raises BadRequest."""
    found = list(_parts(body))
    names = [part.name for part in found if not part.name.endswith("[]")]
    if len(names) != len(set(names)):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"The field {twice!r} is in the form more than once.")
    return found


def _parts(body: bytes) -> Iterator[Part]:
    first = _FIRST.match(body)
    if first is None:
        raise BadRequest("The form does not begin with its boundary.")
    view, at = memoryview(body), first.end()
    boundary = b"\r\n--" + first[1]
    for _ in range(MAX_PARTS):
        head_end = body.find(b"\r\n\r\n", at, at + MAX_HEAD_BYTES)
        if head_end < 0:
            raise BadRequest(f"A part of the form has no head, or one of more than {MAX_HEAD_BYTES} bytes.")
        end, behind = _end_of_part(body, boundary, head_end + 4)
        yield _part(body[at:head_end], view[head_end + 4 : end])
        if behind[1] is not None:
            return
        at = behind.end()
    raise BadRequest(f"The form has more than {MAX_PARTS} parts.")


def _end_of_part(body: bytes, boundary: bytes, at: int) -> tuple[int, re.Match[bytes]]:
    """Where its data end, and what stands behind the boundary."""
    while (end := body.find(boundary, at)) >= 0:
        behind = _BEHIND.match(body, end + len(boundary))
        if behind is not None:
            return end, behind
        at = end + 1  # a longer line that only begins so
    raise BadRequest("The form ends before its last boundary.")


def _part(head: bytes, data: memoryview) -> Part:
    lines = [line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n")]
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    told = headers.get("content-disposition", "")
    parameters = {name.lower(): _unquoted(value) for name, value in _PARAMETER.findall(told)}
    name = parameters.get("name", "")
    if not told.lower().startswith("form-data") or not name:
        raise BadRequest("A part of the form has no name: Content-Disposition: form-data; name=\"...\" is missing.")
    return Part(name, data, parameters.get("filename"), headers.get("content-type") or _UNTYPED)


def _unquoted(value: str) -> str:
    """Browsers write a quote in a name as %22, others with a backslash; a lone backslash belongs to a path of Windows."""
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def written(fields: Iterable[tuple[str, str]], file: Part, boundary: str) -> tuple[bytes, bytes]:
    """A form and its content type. `boundary` is made longer until it is in none of the parts."""
    texts = [(name, value.encode()) for name, value in fields]
    mark, whole = b"\r\n--" + boundary.encode(), cast(bytes, file.data.obj)  # which is searched faster than a view
    while any(mark in value for _, value in texts) or mark in whole:
        mark += b"x"
    begin = mark[2:]
    out: list[bytes | memoryview] = []
    for name, value in texts:
        out.append(b'%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (begin, _quotable(name), value))
    content_type = file.content_type if _PLAIN_TYPE(file.content_type) else _UNTYPED
    out.append(
        b'%b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\nContent-Type: %b\r\n\r\n'
        % (begin, _quotable(file.name), _quotable(file.filename or "file"), content_type.encode())
    )  # fmt: skip
    out += [file.data, mark, b"--\r\n"]
    return b"".join(out), b"multipart/form-data; boundary=" + mark[4:]


def _quotable(text: str) -> bytes:
    """https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data"""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").encode()
