"""The shipped overlay keeps its rules, and the overlay answers as it says."""

import re
import tomllib
from datetime import date
from importlib import resources

import pytest

from kilo_gateway.catalog.catalogue import Provider
from kilo_gateway.catalog.facts import Facts, merge
from kilo_gateway.catalog.overlay import Overlay, load_overlay
from kilo_gateway.catalog.prices import OPENROUTER, PriceBook, price_table
from kilo_gateway.core.price import Price
from kilo_gateway.upstreams.registry import providers

TODAY = date(2026, 11, 26)
CANONICAL = re.compile(r"[a-z0-9-]+/[a-z0-9._-]+(?::[a-z]+)?")
ORIGIN = 'source = "https://s"\ndate = 2026-01-02\n'
# What is written in guides and configurations of clients: each has to lead somewhere.
ASKED_FOR = (
    "minimax/minimax-m2.1:free", "anthropic/claude-3-5-sonnet", "openai/gpt-4o", "openai/gpt-4o-mini", "google/gemini-flash-1.5",
    "meta-llama/llama-3.1-70b-instruct", "meta-llama/llama-3.1-70b", "anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4-6",
    "openai/gpt-5.4", "openai/gpt-5.5", "google/gemini-3-pro-preview", "kilo/auto",
)  # fmt: skip


@pytest.fixture(scope="module")
def shipped() -> Overlay:
    return load_overlay(price_table().ids(OPENROUTER))


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads(resources.files("kilo_gateway.catalog").joinpath("data", "models.toml").read_text())


# What is shipped


def test_every_id_that_guides_name_is_known_or_has_a_successor(shipped: Overlay) -> None:
    ids = {shipped.names.get(id, id) for id in ASKED_FOR}
    assert ids - shipped.known - shipped.successors(TODAY).keys() == set()


def test_of_those_that_are_gone_each_names_one_that_is_known(shipped: Overlay) -> None:
    successors = shipped.successors(TODAY)
    gone = {id for id in ASKED_FOR if shipped.names.get(id, id) in successors}
    assert gone == {
        "minimax/minimax-m2.1:free", "anthropic/claude-3-5-sonnet", "google/gemini-flash-1.5", "anthropic/claude-sonnet-4",
        "google/gemini-3-pro-preview",
    }  # fmt: skip


def test_a_successor_is_known_and_is_not_retired_itself(shipped: Overlay) -> None:
    successors = shipped.successors(date.max)
    assert set(successors.values()) - shipped.known == set()
    assert set(successors.values()) & successors.keys() == set()


def test_every_alias_leads_to_an_id(tables: dict[str, dict[str, dict[str, str]]]) -> None:
    targets = [target for rules in tables["aliases"].values() for target in rules.values()]
    filled = [target.replace("*", "x").replace("#", "1") for target in targets]
    assert [target for target in filled if not CANONICAL.fullmatch(target)] == []


def test_no_name_leads_on_to_another_name(shipped: Overlay) -> None:
    assert shipped.names.keys() & set(shipped.names.values()) == set()
    assert [id for id in shipped.names.values() if not CANONICAL.fullmatch(id)] == []
    assert [id for id in shipped.names.values() if id not in shipped.known] == []


def test_latest_names_lead_to_known_ids(shipped: Overlay) -> None:
    assert [name for name in shipped.latest if not re.fullmatch(r"~[a-z-]+/[a-z0-9-]+-latest", name)] == []
    assert {id for ids in shipped.latest.values() for id in ids} - shipped.known == set()
    assert set(shipped.preferred) - shipped.known - shipped.latest.keys() == set()


def test_every_row_has_a_source_and_a_date_that_has_come(shipped: Overlay) -> None:
    said = [each for id in shipped.known for each in shipped.facts(id)]
    assert len({each.origin.source for each in said}) > 20
    assert {each.origin.source.startswith("overlay: https://") for each in said} == {True}
    assert min(each.origin.at for each in said) > 1_700_000_000


def test_many_models_have_modalities_and_parameters(shipped: Overlay) -> None:
    cards = {id: merge(shipped.facts(id)).facts for id in shipped.known}
    described = [id for id, facts in cards.items() if facts.input_modalities and facts.output_modalities and facts.parameters]
    assert len(described) > 120


def test_modalities_and_parameters_are_words_clients_know(shipped: Overlay) -> None:
    cards = [merge(shipped.facts(id)).facts for id in shipped.known] + [row.facts for row in shipped.bundle]
    inputs = {word for facts in cards for word in facts.input_modalities or ()}
    outputs = {word for facts in cards for word in facts.output_modalities or ()}
    efforts = [facts.reasoning.efforts for facts in cards if facts.reasoning is not None]
    assert inputs == {"text", "image", "file", "audio", "video"}
    assert outputs == {"text", "image", "audio", "embeddings", "transcription"}
    order = ("max", "xhigh", "high", "medium", "low", "minimal", "none")
    assert [each for each in efforts if list(each) != [word for word in order if word in each]] == []


def test_no_model_can_answer_more_than_it_can_hold(shipped: Overlay) -> None:
    book = PriceBook(price_table(), shipped.authors)
    for id in shipped.known:
        facts, about = merge(shipped.facts(id)).facts, book.about(id)
        context = facts.context or (about and about.context)
        assert context is None or facts.max_output is None or facts.max_output <= context, id


def test_the_bundle_is_kilo_auto_and_its_tiers(shipped: Overlay) -> None:
    rows = {row.id: row for row in shipped.bundle}
    tiers = ["frontier", "balanced", "efficient", "free", "small", "org"]
    assert list(rows) == ["kilo/auto", *(f"kilo-auto/{tier}" for tier in tiers)]
    auto, free = rows["kilo/auto"].said().facts, rows["kilo-auto/free"].said().facts
    assert (auto.name, auto.context, auto.max_output, auto.price) == ("Kilo Auto", 1_000_000, 128_000, None)
    assert auto.input_modalities == ("text", "image") and auto.output_modalities == ("text",)
    assert {"tools", "reasoning", "include_reasoning", "max_tokens", "temperature"} <= set(auto.parameters or ())
    assert free.price == Price(0, 0)


def test_an_embedding_default_and_aliases_are_among_the_models(shipped: Overlay) -> None:
    found = shipped.embeddings
    ids = {row.id for row in found.models}
    assert found.default in ids and set(found.aliases.values()) <= ids
    assert all(row.dimension > 0 and 0 < row.score_threshold < 1 for row in found.models)
    assert merge(shipped.facts(found.default)).facts.output_modalities == ("embeddings",)
    assert len(shipped.transcriptions) > 0


def test_the_names_of_price_tables_exist(shipped: Overlay) -> None:
    known = PriceBook(price_table()).providers
    assert set(shipped.authors.values()) - known == set()
    named = {row.prices for row in providers().values()} | {shipped.prices_at(row.base_url) for row in providers().values()}
    assert named - known == {""}


def test_a_provider_of_the_registry_has_the_same_prices_by_name_and_by_place(shipped: Overlay) -> None:
    assert [name for name, row in providers().items() if shipped.prices_at(row.base_url) != row.prices] == []


def test_every_provider_of_the_registry_is_described(shipped: Overlay) -> None:
    assert providers().keys() - shipped.providers.keys() == set()


# How it answers


@pytest.mark.parametrize(
    ("upstream", "listed", "id"),
    [
        ("openai", "gpt-4o", "openai/gpt-4o"),
        ("openai", "gpt-5.2-chat-latest", "openai/gpt-5.2-chat"),
        ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"),
        ("anthropic", "claude-3-5-sonnet-20241022", "anthropic/claude-3.5-sonnet"),
        ("anthropic", "claude-3-5-haiku-latest", "anthropic/claude-3.5-haiku"),
        ("anthropic", "claude-opus-4-20250514", "anthropic/claude-opus-4"),
        ("anthropic", "claude-opus-4-0", "anthropic/claude-opus-4"),
        ("anthropic", "claude-3-haiku-20240307", "anthropic/claude-3-haiku"),
        ("anthropic", "claude-opus-5", "anthropic/claude-opus-5"),
        ("google", "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("google", "gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("groq", "llama-3.3-70b-versatile", "meta-llama/llama-3.3-70b-instruct"),
        ("groq", "openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("groq", "compound-beta", "groq/compound-beta"),
        ("mistral", "mistral-medium-2508", "mistralai/mistral-medium-3.1"),
        ("deepseek", "deepseek-chat", "deepseek/deepseek-chat"),
        ("xai", "grok-4-0709", "x-ai/grok-4"),
        ("minimax", "MiniMax-M2.1", "minimax/minimax-m2.1"),
        ("openrouter", "z-ai/glm-4.6", "z-ai/glm-4.6"),
        ("ollama", "llama3.2:latest", "ollama/llama3.2:latest"),
        ("ollama", "hf.co/someone/model:Q4", "ollama/hf.co/someone/model:Q4"),
        ("mine", "/model", "mine//model"),
        ("mine", "model/", "mine/model/"),
        ("mine", "gpt-4o", "mine/gpt-4o"),
    ],
)
def test_what_an_upstream_lists_has_one_id(shipped: Overlay, upstream: str, listed: str, id: str) -> None:
    assert shipped.canonical(upstream, listed) == id


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("anthropic/claude-sonnet-4-6", "anthropic/claude-sonnet-4.6"),
        ("anthropic/claude-4.5-sonnet", "anthropic/claude-sonnet-4.5"),
        ("anthropic/claude-3-5-sonnet", "anthropic/claude-3.5-sonnet"),
        ("anthropic/claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"),
        ("meta-llama/llama-3.1-70b", "meta-llama/llama-3.1-70b-instruct"),
        ("openai/gpt-4o-2024-11-20", "openai/gpt-4o"),
    ],
)
def test_other_spellings_are_names(shipped: Overlay, name: str, id: str) -> None:
    assert shipped.names[name] == id


def test_a_row_of_the_very_id_comes_before_patterns_and_earlier_rows_before_later() -> None:
    rows = [("a/*", 1), ("a/b", 2), ("a/b", 3), ("a/*", 4)]
    overlay = Overlay("".join(f'[[models]]\nmatch = "{match}"\ncontext = {context}\n{ORIGIN}' for match, context in rows))
    assert [said.facts.context for said in overlay.facts("a/b")] == [2, 3, 1, 4]
    assert [said.facts.context for said in overlay.facts("a/c")] == [1, 4]
    assert overlay.facts("b/c") == ()


def test_a_variant_has_the_facts_of_its_model_after_its_own() -> None:
    overlay = Overlay(
        f'[[models]]\nmatch = "a/*"\ncontext = 1\n{ORIGIN}[[models]]\nmatch = "a/b"\ncontext = 2\n{ORIGIN}'
        f'[[models]]\nmatch = "a/b:free"\ncontext = 3\n{ORIGIN}'
    )
    assert [said.facts.context for said in overlay.facts("a/b:free")] == [3, 2, 1]
    assert [said.facts.context for said in overlay.facts("a/b:8b")] == [1]


def test_a_fact_keeps_its_source_and_its_day() -> None:
    overlay = Overlay(f'[[models]]\nmatch = ["a/b"]\ncontext = 1\nuncertain = true\n{ORIGIN}')
    (said,) = overlay.facts("a/b")
    assert (said.origin.source, said.origin.at) == ("overlay: https://s (uncertain)", 1_767_312_000)


def test_short_forms_are_written_out() -> None:
    overlay = Overlay(
        '[sources]\ns = "https://long"\n[parameters]\nt = ["tools", "tool_choice"]\n'
        '[[models]]\nmatch = "a/b"\nparameters = ["@t", "seed"]\nsource = "s"\ndate = 2026-01-02\n'
    )
    (said,) = overlay.facts("a/b")
    assert said.facts == Facts(parameters=("tools", "tool_choice", "seed")) and said.origin.source == "overlay: https://long"


def test_a_model_is_retired_from_its_day_on() -> None:
    overlay = Overlay(f'[successors."a/old"]\nid = "a/new"\nretired = 2026-12-01\n{ORIGIN}')
    assert overlay.successors(date(2026, 11, 30)) == {}
    assert overlay.successors(date(2026, 12, 1)) == {"a/old": "a/new"}


def test_a_spelling_never_hides_an_id() -> None:
    text = '[spellings]\n"a/*-#.#" = ["a/*-#-#"]\n'
    assert Overlay(text, ["a/x-1.2", "a/y-1.2", "a/y-1-2"]).names == {"a/x-1-2": "a/x-1.2"}


@pytest.mark.parametrize(
    ("base_url", "prices"),
    [
        ("https://api.openai.com/v1/", "openai"),
        ("https://api.anthropic.com/v1", "anthropic"),
        ("https://API.Z.ai/api/paas/v4", "zai"),
        ("https://api.z.ai/api/coding/paas/v4", ""),  # a plan at a flat rate
        ("https://api.openai.com.example.org/v1", ""),
        ("http://127.0.0.1:8080/v1", ""),
        ("", ""),
    ],
)
def test_prices_belong_to_places(shipped: Overlay, base_url: str, prices: str) -> None:
    assert shipped.prices_at(base_url) == prices


def test_a_provider_is_told_as_the_catalogue_tells_it() -> None:
    overlay = Overlay(f'[providers.p]\nname = "P"\nheadquarters = "FR"\nmay_train = false\n{ORIGIN}')
    assert overlay.providers == {"p": Provider("p", "P", headquarters="FR", may_train=False)}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[[models]]\nmatch = "a/b"\ndate = 2026-01-02\n', r"models\[0\]: source ''"),
        (f'[[models]]\nmatch = "a/b"\n{ORIGIN}[[models]]\nmatch = "a/b"\nsource = "nowhere"\n', r"models\[1\]: source 'nowhere'"),
        ('[[models]]\nmatch = "a/b"\nsource = "https://s"\n', r"models\[0\]: .*date"),
        (f'[[models]]\nmatch = "a/b"\nmax_outputs = 3\n{ORIGIN}', r"models\[0\]: .*max_outputs"),
        (f'[[models]]\nmatch = "a/b"\nmax_output = "3"\n{ORIGIN}', r"models\[0\]: .*facts.max_output"),
        (f'[[models]]\nmatch = "a/b"\nprice = {{ input = 1, output = 1 }}\n{ORIGIN}', r"models\[0\]: no price"),
        (f'[[models]]\nmatch = "a/b"\nparameters = ["@none"]\n{ORIGIN}', r"models\[0\]: .*'@none'"),
        (f'[successors."a/b"]\nid = "a/c"\n{ORIGIN}', r"successors.a/b: .*retired"),
        ('[aliases.p]\n"a" = "b/*"\n', r"aliases.p: "),
        (f'[[bundle]]\nid = "a/b"\ncosts = "little"\n{ORIGIN}', r"bundle\[0\]: "),
        ('[names]\n"a" = 1\n', "names: "),
    ],
)
def test_a_wrong_row_is_named(text: str, place: str) -> None:
    with pytest.raises(ValueError, match=r"models.toml: " + place):
        Overlay(text)
