"""The small parts of the data plane: patience, deadlines, packing, paths, heads and answers."""

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.errors import (
    BadRequest,
    MethodNotAllowed,
    Overloaded,
    Refusal,
    TooLarge,
    UnknownModel,
    UpstreamRefused,
)
from kilo_gateway.http import answers, paths
from kilo_gateway.http.deadlines import Deadlines
from kilo_gateway.http.heads import Layouts, sane_id
from kilo_gateway.http.unpack import MAX_MEMBERS, known, unpack

LIMIT = 100_000


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Waiter:
    """A connection as the sweep sees it."""

    def __init__(self, patience_s: float) -> None:
        self.is_fresh = True
        self.patience_s = patience_s
        self.silences: list[float] = []
        self.signs = 0

    def silent(self, seconds: float) -> None:
        self.silences.append(seconds)

    def progress(self) -> None:
        self.signs += 1

    def close_if_idle(self) -> None: ...
    def cut(self) -> None: ...


@given(st.floats(0.5, 100), st.lists(st.tuples(st.floats(0.01, 5), st.booleans()), max_size=60))
def test_a_silence_is_never_noticed_early_and_one_sweep_late_at_most(patience_s: float, sweeps: list[tuple[float, bool]]) -> None:
    clock, waiter = Clock(), Waiter(patience_s)
    deadlines = Deadlines(clock)
    deadlines.watch(waiter)
    since = None
    for pause_s, is_sign in sweeps:
        clock.now += pause_s
        waiter.is_fresh = waiter.is_fresh or is_sign
        since = clock.now if waiter.is_fresh else since
        assert since is not None
        before = len(waiter.silences)
        deadlines.sweep()
        assert (len(waiter.silences) > before) == (clock.now - since > patience_s)


def test_who_is_forgotten_is_not_told() -> None:
    clock, waiter = Clock(), Waiter(1)
    deadlines = Deadlines(clock)
    deadlines.watch(waiter)
    deadlines.forget(waiter)
    clock.now = 100
    deadlines.sweep()
    deadlines.sweep()
    assert (waiter.silences, deadlines.count()) == ([], 0)


@given(st.binary(max_size=5000))
def test_what_was_packed_is_unpacked(body: bytes) -> None:
    assert unpack(gzip.compress(body), b"gzip", LIMIT) == body
    assert unpack(zstandard.ZstdCompressor().compress(body), b"zstd", LIMIT) == body


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, LIMIT * 100])
def test_unpacking_stops_at_the_limit(size: int) -> None:
    body = bytes(size)
    for encoding, packed in ((b"gzip", gzip.compress(body)), (b"zstd", zstandard.ZstdCompressor().compress(body))):
        if size > LIMIT:
            with pytest.raises(TooLarge):
                unpack(packed, encoding, LIMIT)
        else:
            assert unpack(packed, encoding, LIMIT) == body


@given(st.binary(max_size=200), st.sampled_from([b"gzip", b"zstd"]))
def test_what_cannot_be_unpacked_is_refused(body: bytes, encoding: bytes) -> None:
    try:
        unpack(body, encoding, LIMIT)
    except Refusal as error:
        assert error.status in (400, 413)


@pytest.mark.parametrize("name", [b"gzip", b"GZip", b" x-gzip "])
def test_gzip_has_several_names(name: bytes) -> None:
    assert known(name) == b"gzip"


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/v1/models", b"/v1/models", b""), (b"//v1//models/", b"/v1/models", b""), (b"/v1/models/?a=//b/", b"/v1/models", b"?a=//b/"),
        (b"/", b"/", b""), (b"", b"/", b""), (b"///", b"/", b""), (b"http://h:1/v1/models", b"/v1/models", b""),
        (b"HTTPS://h", b"/", b""), (b"/v1/models#x", b"/v1/models", b""), (b"http://h?x", b"/", b"?x"),
    ],
)  # fmt: skip
def test_paths_are_tolerant_of_slashes(target: bytes, path: bytes, query: bytes) -> None:
    assert paths.normal(target) == (path, query)


@given(st.binary(max_size=50))
def test_a_path_made_normal_stays_so(target: bytes) -> None:
    path, _ = paths.normal(target)
    assert path.startswith(b"/") or not target.startswith(b"/")
    assert b"//" not in path


def test_headers_are_found_however_they_are_spelled() -> None:
    layout = Layouts()[b"HOST", b"X-API-Key", b"eXpect"]
    assert (layout.credential, layout.has_host, layout.notable[b"expect"]) == (b"X-API-Key", True, b"eXpect")


def test_of_two_credentials_the_authorization_counts() -> None:
    assert Layouts()[b"x-api-key", b"Authorization"].credential == b"Authorization"


@pytest.mark.parametrize(("id", "is_sane"), [(b"abc-1", True), (b"", False), (b"a b", False), (b"a\r\n", False), (b"x" * 129, False)])
def test_only_sane_request_ids_are_given_back(id: bytes, is_sane: bool) -> None:
    assert sane_id(id) == is_sane


def test_a_refusal_says_what_would_help() -> None:
    assert b"\r\nAllow: POST\r\n" in answers.refusal(MethodNotAllowed("no", "POST"))
    assert b"\r\nRetry-After: 1\r\n" in answers.refusal(Overloaded("no"))
    assert b"\r\nRetry-After: 9\r\n" in answers.refusal(UpstreamRefused("p", 429, "no", retry_after="9"))


@given(st.text(max_size=30))
def test_a_refusals_length_is_that_of_its_body(message: str) -> None:
    head, _, body = answers.refusal(UnknownModel(message)).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize(("encoding", "member"), [(b"gzip", gzip.compress(b"")), (b"zstd", zstandard.ZstdCompressor().compress(b""))])
def test_a_body_of_very_many_members_is_refused_at_once(encoding: bytes, member: bytes) -> None:
    few = member * (MAX_MEMBERS - 1)
    assert unpack(few, encoding, LIMIT) == b""
    pieces = 0

    def count() -> None:
        nonlocal pieces
        pieces += 1

    with pytest.raises(BadRequest, match="more than"):
        unpack(member * 200_000, encoding, LIMIT, count)
    assert pieces <= MAX_MEMBERS


@pytest.mark.parametrize("encoding", [b"gzip", b"zstd"])
def test_unpacking_ends_when_nobody_waits_for_it(encoding: bytes) -> None:
    body = b"".join(b"%d " % n for n in range(500_000))
    packed = gzip.compress(body) if encoding == b"gzip" else zstandard.ZstdCompressor().compress(body)
    left = 3

    def leave() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise EOFError("gone")

    with pytest.raises(BadRequest, match="gone"):
        unpack(packed, encoding, 1 << 26, leave)
