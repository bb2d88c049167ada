"""Generation ids."""

from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.ids import GenerationIds

SEEDS = st.integers(0, (1 << 45) - 1)


@given(SEEDS, st.lists(st.integers(0, 1 << 41), min_size=1, max_size=50).map(sorted))
def test_ids_are_unique_and_sort_by_time(seed: int, times: list[int]) -> None:
    new_id = GenerationIds(seed).new
    ids = [new_id(at_ms) for at_ms in times for _ in range(3)]
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)


def test_thousands_in_one_millisecond_are_unique_and_sorted() -> None:
    new_id = GenerationIds(7).new
    ids = [new_id(1_700_000_000_000) for _ in range(5000)]
    assert ids == sorted(set(ids))


@given(SEEDS, SEEDS)
def test_two_processes_never_make_the_same(one: int, other: int) -> None:
    assert (GenerationIds(one).new(5) == GenerationIds(other).new(5)) == (one == other)


@given(SEEDS, st.integers(0, 1 << 45))
def test_every_id_has_the_same_shape(seed: int, at_ms: int) -> None:
    id = GenerationIds(seed).new(at_ms)
    assert len(id) == 30
    assert id.startswith("gen-")
    assert set(id[4:]) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
