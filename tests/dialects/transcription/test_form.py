"""multipart/form-data as callers send it, and as it is sent on."""

import re
import time
from contextlib import suppress
from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.transcription.form import MAX_PARTS, Part, is_form, parts_of, written

NAMES = st.text(st.characters(codec="utf-8", exclude_characters='\\"%\r\n\0', exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)


def part(head: str, data: bytes = b"x") -> bytes:
    return b"--b\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


FIELD = part('Content-Disposition: form-data; name="model"', b"m")


@given(st.lists(st.tuples(NAMES, st.text(st.characters(codec="utf-8")))), NAMES, st.binary())
def test_what_is_written_is_read_again(fields: list[tuple[str, str]], filename: str, data: bytes) -> None:
    texts = [(f"{at}{name.strip()}", value) for at, (name, value) in enumerate(fields)]
    body, content_type = written(texts, Part("file", memoryview(data), filename, "audio/wav"), "b")
    *found, file = parts_of(body)
    assert [(each.name, each.text()) for each in found] == texts
    assert (bytes(file.data), file.filename, file.content_type) == (data, filename, "audio/wav")
    assert content_type.startswith(b"multipart/form-data; boundary=b")


def test_other_readers_read_what_is_written() -> None:
    data = bytes(range(256)) + b"\r\n--kilo\r\n"
    body, content_type = written([("a", "é\r\n--kilox")], Part("file", memoryview(data), 'a "b"\r\n.wav', "not\ra type"), "kilo")
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type + b"\r\n\r\n" + body)
    field, file = message.iter_parts()
    assert field.get_payload(decode=True) == "é\r\n--kilox".encode()
    assert (file.get_payload(decode=True), file.get_filename(), file.get_content_type()) == (data, "a %22b%22%0D%0A.wav", "application/octet-stream")


@pytest.mark.parametrize(
    ("told", "filename"),
    [('"a.wav"', "a.wav"), ("a.wav", "a.wav"), ('"a \\"b\\".wav"', 'a "b".wav'), ('"C:\\sound\\a.wav"', "C:\\sound\\a.wav"), ('"a;b=c.wav"', "a;b=c.wav")],
)
def test_names_of_files_are_read_however_they_are_quoted(told: str, filename: str) -> None:
    head = f"content-type: audio/wav\r\nCONTENT-DISPOSITION:form-data ;name=file; filename={told}"
    (file,) = parts_of(part(head) + b"--b--")
    assert (file.name, file.filename, file.content_type) == ("file", filename, "audio/wav")


def test_a_line_that_only_begins_as_a_boundary_belongs_to_the_data() -> None:
    data = b"1\r\n--bc\r\n2\r\n--b-\r\n3"
    (found,) = parts_of(part('Content-Disposition: form-data; name="a"', data) + b"--b--\r\nwhatever stands behind")
    assert bytes(found.data) == data


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"--b--\r\n", "last boundary|head"), (b"--b", "begin"), (b"--" + b"b" * 99 + b"\r\n", "begin"), (FIELD, "last boundary"), (FIELD[:-2] + b"\r\n--b-", "last boundary"),
        (part("Content-Type: a/b") + b"--b--", "name"), (part('Content-Disposition: attachment; name="a"') + b"--b--", "name"),
        (part("x: " + "y" * 9000) + b"--b--", "head"), (FIELD + FIELD + b"--b--", "more than once"),
        (part('Content-Disposition: form-data; name="a[]"') * (MAX_PARTS + 1) + b"--b--", "parts"),
    ],
)  # fmt: skip
def test_a_form_that_is_broken_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    assert is_form(body)
    with pytest.raises(BadRequest) as refused:
        parts_of(body)
    assert re.search(reason, str(refused.value))


@pytest.mark.parametrize("data", [b"\r\n--b" * 400_000, b"\r\n--bc" * 400_000, b"\r" * 2_000_000, b"-" * 2_000_000])
def test_a_hostile_body_takes_no_longer_than_another(data: bytes) -> None:
    begun = time.process_time()
    with suppress(BadRequest):
        parts_of(part('Content-Disposition: form-data; name="a"', data + b"!") + b"--b--")
    assert time.process_time() - begun < 2


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(BadRequest):
        parts_of(FIELD + b"--b\r\n" + data)
