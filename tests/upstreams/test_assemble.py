"""The catalogue put together: who makes rows, who fills facts, and which is believed."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_struct

from kilo_gateway import config
from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.catalog.facts import LISTED, Facts, Origin, Said, join, merge
from kilo_gateway.catalog.overlay import load_overlay
from kilo_gateway.catalog.prices import OPENROUTER, PriceBook, price_table
from kilo_gateway.core.errors import UnknownModel
from kilo_gateway.core.price import Price
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import LocalSettings, ModelSettings, ServerSettings, Settings, UpstreamSettings
from kilo_gateway.core.types import Origin as Place
from kilo_gateway.core.types import Patience
from kilo_gateway.upstreams.assemble import Served, Sources, assemble
from kilo_gateway.upstreams.lists.listing import Row
from kilo_gateway.upstreams.registry import providers

TABLE = price_table()
OVERLAY = load_overlay(TABLE.ids(OPENROUTER))
SOURCES = Sources(OVERLAY, PriceBook(TABLE, OVERLAY.authors), providers())
NOW_S = 1_795_600_000
LISTED_AT = NOW_S - 60
ONE, TWO = Price(1_000, 2_000), Price(3_000, 4_000)
SEEDS = (
    "kilo/auto", "minimax/minimax-m2.1:free", "anthropic/claude-3-5-sonnet", "anthropic/claude-sonnet-4",
    "anthropic/claude-sonnet-4-6", "openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-5.4", "openai/gpt-5.5",
    "google/gemini-flash-1.5", "google/gemini-3-pro-preview", "meta-llama/llama-3.1-70b-instruct", "meta-llama/llama-3.1-70b",
)  # fmt: skip


def upstream(name: str, *models: ModelSettings, dialect: str = "openai-chat", is_free: bool = False, prefix: str = "") -> UpstreamSettings:
    return UpstreamSettings(
        name, dialect, Place("h", 443, True), "/v1", Secret("k"), models, Patience(), prefix, False, "test", discovers=True,
        is_free=is_free,
    )  # fmt: skip


def listed(name: str, *ids: str, **facts: object) -> Served:
    return Served(upstream(name), tuple(Row(id, Facts(**facts)) for id in ids), LISTED_AT)  # type: ignore[arg-type]


def settings(*upstreams: UpstreamSettings, auto_default: str = "") -> Settings:
    local = LocalSettings(True, Path("/nowhere"), True, 8192)
    server = ServerSettings("127.0.0.1", 1, 1, (), (), 1, 1, False)
    return Settings(Path("/nowhere"), server, local, auto_default, 600, upstreams, None, None, None, "", "f")


def catalogue(*served: Served, auto_default: str = "", has_local: bool = False, sources: Sources = SOURCES) -> Catalogue:
    found = settings(*(each.upstream for each in served if not each.is_found), auto_default=auto_default)
    return assemble(found, served, sources, has_local=has_local, version=1, now_s=NOW_S)


def ids(found: Catalogue) -> list[str]:
    return [id for id, entry in found.entries.items() if entry.source != "bundle"]


# Rows


def test_without_any_upstream_there_is_the_bundle_and_each_row_says_why_it_cannot_be_asked() -> None:
    found = catalogue()
    assert ids(found) == []
    assert {"kilo/auto", "kilo-auto/free", "kilo-auto/balanced"} <= set(found.entries)
    assert all(entry.reason for entry in found.entries.values())
    auto = found.entries["kilo/auto"].facts
    assert (auto.name, auto.context, auto.max_output, auto.input_modalities) == ("Kilo Auto", 1_000_000, 128_000, ("text", "image"))
    assert "reasoning" in (auto.parameters or ())


@pytest.mark.parametrize(
    ("name", "listed_id", "id"),
    [
        ("openai", "gpt-4o", "openai/gpt-4o"), ("house", "my-model", "house/my-model"), ("house", "a/b", "a/b"),
        ("ollama", "llama3.2:latest", "ollama/llama3.2:latest"), ("house", "accounts/x/models/y", "house/accounts/x/models/y"),
        ("openrouter", "minimax/minimax-m2.1:free", "minimax/minimax-m2.1:free"),
    ],
)  # fmt: skip
def test_a_listed_id_becomes_the_catalogues(name: str, listed_id: str, id: str) -> None:
    assert ids(catalogue(listed(name, listed_id))) == [id]


def test_a_providers_key_in_the_environment_leaves_ids_to_that_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "k")
    found = next(each for each in config.load(None, tmp_path).upstreams if each.name == "groq")
    rows = tuple(Row(id, Facts()) for id in ("openai/gpt-oss-120b", "llama-3.3-70b-versatile", "new-one"))
    listed = catalogue(Served(found, rows, LISTED_AT))
    assert ids(listed) == ["openai/gpt-oss-120b", "meta-llama/llama-3.3-70b-instruct", "groq/new-one"]


def test_a_prefix_that_the_operator_wrote_is_put_before_all() -> None:
    served = Served(upstream("house", prefix="team/"), (Row("a/b", Facts()), Row("team/c", Facts())), LISTED_AT)
    assert ids(catalogue(served)) == ["team/a/b", "team/c"]


def test_the_same_model_at_two_upstreams_is_one_row_with_two_places() -> None:
    found = catalogue(listed("openai", "gpt-4o", price=ONE), listed("openrouter", "openai/gpt-4o", price=TWO))
    assert [(place.upstream, place.upstream_id) for place in found.entries["openai/gpt-4o"].places] == [
        ("openai", "gpt-4o"), ("openrouter", "openai/gpt-4o"),
    ]  # fmt: skip


def test_two_names_of_a_model_at_one_upstream_are_one_place() -> None:
    found = catalogue(listed("openai", "gpt-4o", "gpt-4o", price=ONE))
    assert len(found.entries["openai/gpt-4o"].places) == 1


def test_tables_of_prices_and_abilities_make_no_rows() -> None:
    assert len(ids(catalogue(listed("openrouter", "a/b")))) == 1


# Facts


def test_configuration_is_believed_before_a_list_and_a_list_before_the_overlay_fact_by_fact() -> None:
    declared = ModelSettings("openai/gpt-4o", "gpt-4o", ONE, None, False, name="Ours")
    served = Served(upstream("openai", declared), (Row("gpt-4o", Facts(name="Theirs", price=TWO, context=77)),), LISTED_AT)
    entry = catalogue(served).entries["openai/gpt-4o"]
    assert (entry.facts.name, entry.facts.price, entry.facts.context) == ("Ours", ONE, 77)
    origins = entry.card.origins
    assert (origins["name"].source, origins["context"]) == ("configuration", Origin("list of openai", LISTED_AT, LISTED))
    assert origins["input_modalities"].source.startswith("overlay: ")
    assert entry.source == "configuration"


def test_categories_have_an_origin_of_their_own() -> None:
    served = replace_struct(listed("openrouter", "a/b", "a/c"), categories={"a/b": ("legal",), "gone": ("trivia",)}, categorised_at=5)
    found = catalogue(served, listed("other", "a/c"))
    assert [found.entries[id].facts.categories for id in ("a/b", "a/c")] == [("legal",), None]
    assert found.entries["a/b"].card.origins["categories"] == Origin("categories of openrouter", 5, LISTED)


def test_a_price_that_nobody_tells_comes_from_the_book_of_the_seller() -> None:
    entry = catalogue(listed("openai", "gpt-4o")).entries["openai/gpt-4o"]
    assert entry.facts.price is not None and entry.facts.price.input > 0
    assert entry.card.origins["price"].source.startswith("genai-prices")


def test_the_price_of_another_seller_is_not_taken() -> None:
    entry = catalogue(listed("house", "openai/gpt-4o")).entries["openai/gpt-4o"]
    assert entry.facts.price is None and entry.facts.context is not None


def test_what_is_declared_free_costs_nothing_whatever_its_list_says() -> None:
    served = replace_upstream(listed("house", "m", price=ONE), is_free=True)
    assert catalogue(served).entries["house/m"].has_free


def test_a_price_that_the_operator_wrote_stands_before_that() -> None:
    declared = ModelSettings("m", "m", TWO, None, False)
    assert catalogue(Served(upstream("house", declared, is_free=True))).entries["m"].facts.price == TWO


def replace_upstream(served: Served, **changes: object) -> Served:
    return Served(replace(served.upstream, **changes), served.rows, served.listed_at, served.is_found)  # type: ignore[arg-type]


VALUES = {"name": st.text(min_size=1, max_size=5), "context": st.integers(1, 9), "max_output": st.integers(1, 9)}
FACTS = st.fixed_dictionaries({}, optional=VALUES).map(lambda values: Facts(**values))


@given(st.lists(FACTS, max_size=5))
def test_of_those_who_say_a_fact_the_first_is_believed_and_told(said: list[Facts]) -> None:
    card = merge([Said(facts, Origin(str(number), number)) for number, facts in enumerate(said)])
    for name in VALUES:
        first = next((number for number, facts in enumerate(said) if getattr(facts, name) is not None), None)
        assert getattr(card.facts, name) == (None if first is None else getattr(said[first], name))
        assert card.origins.get(name) == (None if first is None else Origin(str(first), first))


@given(st.lists(FACTS, max_size=5))
def test_merging_again_changes_nothing(said: list[Facts]) -> None:
    card = merge([Said(facts, Origin("s", 1)) for facts in said])
    assert merge([Said(card.facts, Origin("s", 1))]) == card
    assert join([card, card]) == card


# What kilo/auto leads to


def test_auto_leads_to_the_first_model_that_gives_text() -> None:
    image = listed("one", "draws", output_modalities=("image",))
    found = catalogue(image, listed("two", "talks"))
    assert found.entries["kilo/auto"].routes == ("two/talks",)


def test_auto_leads_to_the_demo_model_only_while_nothing_else_is_configured() -> None:
    demo = "local/smollm2-135m-instruct"
    assert catalogue(has_local=True).entries["kilo/auto"].routes == (demo,)
    waiting = catalogue(listed("house"), has_local=True).entries["kilo/auto"]
    assert waiting.routes == () and "configured upstream" in waiting.reason


def test_a_server_that_was_found_is_behind_auto_only_when_it_is_named() -> None:
    server = Served(upstream("ollama", is_free=True), (Row("llama3.2:latest", Facts()),), LISTED_AT, is_found=True)
    assert catalogue(server).entries["kilo/auto"].reason
    assert catalogue(server).entries["kilo-auto/free"].reason
    named = catalogue(server, auto_default="ollama/llama3.2:latest").entries["kilo/auto"]
    assert named.routes == ("ollama/llama3.2:latest",)


def test_the_free_tier_leads_to_what_costs_nothing_or_nowhere() -> None:
    paid, gift = listed("one", "paid", price=ONE), listed("two", "gift", price=Price(0, 0))
    assert catalogue(paid, gift).entries["kilo-auto/free"].routes == ("two/gift",)
    assert "free" in catalogue(paid).entries["kilo-auto/free"].reason


def test_the_free_tier_never_goes_through_a_place_that_is_paid_for() -> None:
    found = catalogue(listed("one", "a/m", price=ONE), listed("two", "a/m", price=Price(0, 0)))
    assert found.entries["kilo-auto/free"].through == ("two",)
    server = Served(upstream("lmstudio", is_free=True), (Row("a/m", Facts()),), LISTED_AT, is_found=True)
    with_server = catalogue(listed("one", "a/m", price=ONE), server)
    assert with_server.entries["kilo-auto/free"].reason
    assert with_server.entries["kilo/auto"].through == ("one",)
    assert catalogue(listed("one", "a/m", price=ONE), server, auto_default="a/m").entries["kilo/auto"].through == ("one", "lmstudio")


def test_the_variant_of_a_default_holds() -> None:
    found = catalogue(listed("one", "a/m", price=ONE), listed("two", "a/m", price=Price(0, 0)), auto_default="a/m:free")
    assert (found.entries["kilo/auto"].routes, found.entries["kilo/auto"].through) == (("a/m",), ("two",))


def test_auto_prefers_what_is_known_to_give_text() -> None:
    found = catalogue(listed("openai", "omni-moderation-latest", "sora-2", "gpt-5"))
    assert found.entries["kilo/auto"].routes == ("openai/gpt-5",)
    assert catalogue(listed("house", "odd", "even")).entries["kilo/auto"].routes == ("house/odd",)


def test_of_two_places_the_source_that_is_believed_more_tells_each_fact() -> None:
    declared = ModelSettings("openai/gpt-4o", "mine", None, 222, False, name="Operator", max_output=5)
    live = Served(upstream("router"), (Row("openai/gpt-4o", Facts(name="Live", context=111, max_output=7)),), LISTED_AT)
    served = [listed("openai", "gpt-4o"), live]
    entry = catalogue(*served, Served(upstream("cfg", declared))).entries["openai/gpt-4o"]
    assert (entry.facts.name, entry.facts.context, entry.facts.max_output, entry.source) == ("Operator", 222, 5, "configuration")
    assert catalogue(*served).entries["openai/gpt-4o"].facts.name == "Live"


def test_no_upstream_takes_the_name_of_the_router() -> None:
    found = catalogue(listed("kilo", "auto", "bb"))
    assert found.entries["kilo/auto"].routes == ("kilo/bb",)


def test_a_key_is_needed_where_the_operator_has_not_opened_a_place() -> None:
    opened = ModelSettings("o/open", "o/open", Price(0, 0), None, True)
    entry = catalogue(listed("router", "o/open", price=TWO), Served(upstream("cfg", opened))).entries["o/open"]
    assert [(place.upstream, place.is_open) for place in entry.places] == [("router", False), ("cfg", True)]


def test_a_default_that_nobody_serves_is_told() -> None:
    assert "'gone/model'" in catalogue(listed("one", "m"), auto_default="gone/model").entries["kilo/auto"].reason


# Names


@pytest.mark.parametrize("prefix", ["", "kilocode/", "kilo/"])
@pytest.mark.parametrize("id", SEEDS)
def test_every_id_that_old_documents_name_is_found_or_names_its_successor(id: str, prefix: str) -> None:
    current = [each for each in TABLE.ids(OPENROUTER) if "/" in each and not each.startswith("~")]
    found = catalogue(listed("openrouter", *current, price=ONE))
    try:
        assert found.find(prefix + id).id
    except UnknownModel as error:
        successor = error.metadata.get("successor")
        assert isinstance(successor, str) and found.find(successor)


def test_the_newest_of_a_family_is_found_among_those_served() -> None:
    alias, candidates = next((alias, each) for alias, each in OVERLAY.latest.items() if len(each) > 1)
    assert catalogue(listed("openrouter", *candidates)).find(alias).id == candidates[0]
    assert catalogue(listed("openrouter", candidates[-1])).find(alias).id == candidates[-1]


def test_an_upstreams_own_aliases_lead_to_its_row() -> None:
    served = Served(upstream("house"), (Row("m-2411", Facts(), ("m-latest",)),), LISTED_AT)
    assert catalogue(served).find("house/m-latest").id == "house/m-2411"


def test_configured_prices_reach_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "c.toml").write_text(
        '[[upstreams]]\nname = "h"\nbase_url = "http://127.0.0.1:1/v1"\nmodels = [ { id = "t/m", input_usd_per_mtok = 1.5,'
        ' output_usd_per_mtok = 2, cache_read_usd_per_mtok = 0.15, request_usd = 0.001, max_output = 99, parameters = ["tools"] } ]\n'
    )
    found = config.load(tmp_path / "c.toml", tmp_path)
    entry = assemble(found, [Served(each) for each in found.upstreams], SOURCES, has_local=False, version=1, now_s=NOW_S).entries["t/m"]
    assert entry.facts.price == Price(1_500_000, 2_000_000, 150_000, request=int(Decimal("0.001") * 10**12))
    assert (entry.facts.max_output, entry.facts.parameters) == (99, ("tools",))
