"""Keys and models as a worker knows them, and the file they come from."""

import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kilo_gateway.catalog.files import read_snapshot, snapshot_bytes, snapshot_of, write_privately
from kilo_gateway.catalog.snapshot import Snapshot, digest
from kilo_gateway.core.errors import InvalidKey, NotServed, UnknownModel
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import ANONYMOUS, Endpoint, Key, Model, Origin, SnapshotData

PEPPER = b"p" * 32
TEXT = "kilo_" + "aB3" * 10 + "zz"
KEY = Key("k1", "alice", "member")


def data(*models: Model, routes: dict[str, Model] | None = None) -> SnapshotData:
    return SnapshotData(7, "f", ((digest(PEPPER, TEXT.encode()), KEY),), models, routes or {})


def snapshot(*models: Model, routes: dict[str, Model] | None = None) -> Snapshot:
    return Snapshot(data(*models, routes=routes), PEPPER)


@given(st.sampled_from(["", "Bearer ", "bearer\t", "http://h:1:", "Bearer https://h/api/v1:"]), st.sampled_from(["", " ", "\t "]))
def test_a_key_is_recognised_in_every_form(before: str, after: str) -> None:
    assert snapshot().authenticate((before + TEXT + after).encode()) == KEY


@given(st.binary(max_size=80))
def test_whatever_is_no_key_is_refused(credential: bytes) -> None:
    with pytest.raises(InvalidKey):
        snapshot().authenticate(credential)


def test_a_key_of_another_installation_is_refused() -> None:
    with pytest.raises(InvalidKey):
        Snapshot(data(), b"q" * 32).authenticate(TEXT.encode())


def test_who_has_no_key_is_nobody_where_a_model_is_open() -> None:
    assert snapshot(Model("m", (PAID, replace(GIFT, is_open=True)))).authenticate(b"") is ANONYMOUS
    with pytest.raises(InvalidKey):
        snapshot(Model("m", ())).authenticate(b"")


def test_many_wrong_keys_take_no_room() -> None:
    found = snapshot()
    for n in range(20_000):
        with pytest.raises(InvalidKey):
            found.authenticate(b"Bearer kilo_%032d" % n)
    assert len(found._seen) <= 10_000


def endpoint(provider: str, price: Price | None) -> Endpoint:
    return Endpoint(provider, "m", Origin("h", 1), "openai-chat", b"", b"", b"", b"", b"", price)


PAID, GIFT = endpoint("paid", Price(1, 1)), endpoint("gift", Price(0, 0))


def test_auto_leads_to_the_model_it_is_routed_to() -> None:
    found = snapshot(Model("m", (PAID,)), Model("kilo-auto/free", (), reason="nothing is free"), routes={"kilo/auto": Model("m", (PAID,))})
    assert found.resolve("kilo/auto").id == found.resolve("kilocode/kilo/auto").id == "m"


def test_a_row_that_nobody_serves_says_why() -> None:
    with pytest.raises(NotServed, match="nothing is free"):
        snapshot(Model("m", (PAID,)), Model("kilo-auto/free", (), reason="nothing is free")).resolve("kilo-auto/free")


def test_free_is_served_by_endpoints_that_cost_nothing_alone() -> None:
    found = snapshot(Model("m", (PAID, GIFT, endpoint("unknown", None))), Model("p", (PAID,)))
    assert found.resolve("m:free").endpoints == (GIFT,)
    assert found.resolve("m:nitro").endpoints == found.resolve("m").endpoints
    with pytest.raises(UnknownModel):
        found.resolve("p:free")


@given(st.text(max_size=300))
def test_an_unknown_model_is_always_a_clear_refusal(name: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        snapshot(Model("author/model", (PAID,)), Model("author/other", (PAID,))).resolve("?" + name)
    assert len(caught.value.metadata["closest"]) == 2  # type: ignore[arg-type]


def test_without_any_model_the_cure_is_told() -> None:
    with pytest.raises(UnknownModel, match="OPENAI_API_KEY"):
        snapshot().resolve("m")


def test_a_snapshot_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_privately(tmp_path / "s", snapshot_bytes(data(Model("m", ()))))
    assert read_snapshot(tmp_path / "s", "f") == data(Model("m", ()))
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"garbage", snapshot_bytes(data())[:-3]])
def test_a_snapshot_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    assert read_snapshot(tmp_path / "s", "f") is None


def test_a_snapshot_of_another_configuration_is_none(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(snapshot_bytes(data()))
    assert read_snapshot(tmp_path / "s", "g") is None
    assert read_snapshot(tmp_path / "missing", "f") is None


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(b"old")

    def dies(point: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_privately(path, b"new" * 1000, dies)
    assert path.read_bytes() == b"old"


@given(st.binary(max_size=100))
def test_garbage_is_no_snapshot(content: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        snapshot_of(content)
