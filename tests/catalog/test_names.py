"""From what a caller writes to a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.catalog.names import VARIANTS, Named, Names
from kilo_gateway.core.errors import ModelRetired, UnknownModel

IDS = ("openai/gpt", "openai/gpt:free", "ollama/llama:latest", "vendor/thinker:thinking", "kilo/auto", "plain", "vendor/gift")
NAMES = Names(
    IDS, {"openai/old-spelling": "openai/gpt", "dangling": "gone/model"}, {"openai/retired": "openai/gpt", "a/b": "not/here"},
    free={"openai/gpt:free", "vendor/gift"}, known={"gone/model", "world/known"},
)  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "kilocode/", "kilo/"])
@pytest.mark.parametrize(("name", "id"), [(id, id) for id in IDS if id != "kilo/auto"] + [("openai/old-spelling", "openai/gpt")])
def test_a_row_is_found_with_each_prefix(prefix: str, name: str, id: str) -> None:
    assert NAMES.find(prefix + name) == Named(id)


def test_what_is_there_exactly_is_not_stripped() -> None:
    assert NAMES.find("kilo/auto") == NAMES.find("kilocode/kilo/auto") == Named("kilo/auto")


def test_one_prefix_is_taken_off_and_no_more() -> None:
    with pytest.raises(UnknownModel):
        NAMES.find("kilocode/kilocode/openai/gpt")


@pytest.mark.parametrize("variant", [each for each in VARIANTS if each != "free"])
def test_a_variant_of_a_row_is_that_row(variant: str) -> None:
    assert NAMES.find(f"kilocode/openai/gpt:{variant}") == Named("openai/gpt", variant)


def test_a_colon_that_is_no_variant_belongs_to_the_name() -> None:
    for name in ("openai/gpt:batch", "openai/gpt:latest", "ollama/llama:newest"):
        with pytest.raises(UnknownModel):
            NAMES.find(name)


def test_free_is_a_row_of_its_own_or_an_endpoint_that_costs_nothing() -> None:
    assert NAMES.find("openai/gpt:free") == Named("openai/gpt:free")
    assert NAMES.find("vendor/gift:free") == Named("vendor/gift", "free")
    with pytest.raises(UnknownModel, match="no endpoint that is free"):
        NAMES.find("plain:free")


@pytest.mark.parametrize("name", ["openai/retired", "kilocode/openai/retired", "openai/retired:nitro"])
def test_a_retired_id_names_its_successor(name: str) -> None:
    with pytest.raises(ModelRetired) as caught:
        NAMES.find(name)
    assert caught.value.metadata["successor"] == "openai/gpt"


def test_a_retired_free_variant_names_the_successor_of_its_own() -> None:
    names = Names(("v/m", "v/next:free"), {"v/other": "v/m:free"}, {"v/m:free": "v/next:free"})
    for name in ("v/m:free", "kilocode/v/m:free", "v/other"):
        with pytest.raises(ModelRetired, match="v/next:free"):
            names.find(name)
    assert names.find("v/m") == Named("v/m")


def test_a_successor_that_is_not_served_is_told_as_such() -> None:
    with pytest.raises(ModelRetired, match="No upstream here serves"):
        NAMES.find("a/b")


@pytest.mark.parametrize("name", ["world/known", "dangling", "kilo/world/known:nitro"])
def test_a_model_that_exists_elsewhere_is_told_from_one_that_does_not(name: str) -> None:
    with pytest.raises(UnknownModel, match="No upstream here serves"):
        NAMES.find(name)


def test_the_nearest_names_are_told() -> None:
    with pytest.raises(UnknownModel) as caught:
        NAMES.find("openai/gtp")
    assert caught.value.metadata["closest"][0] == "openai/gpt"  # type: ignore[index]


@given(st.text(max_size=300))
def test_any_name_is_found_or_refused(name: str) -> None:
    try:
        assert NAMES.find(name).id in IDS
    except UnknownModel as error:
        assert str(error)
