"""What is read of each shape of list, as it is documented."""

import json

import pytest
from tests.upstreams.lists.rows import (
    ANTHROPIC,
    GEMINI,
    GROQ,
    LM_STUDIO,
    MISTRAL,
    OLLAMA,
    OPENROUTER,
    TOGETHER,
    VLLM,
    named_list,
    openai_list,
)

from kilo_gateway.catalog.facts import Battle, DataPolicy, Facts, Reasoning
from kilo_gateway.core.price import Override, Price
from kilo_gateway.upstreams.lists.kinds import read
from kilo_gateway.upstreams.lists.listing import Row


def facts_of(row: dict[str, object]) -> Facts:
    return read("openai", openai_list(row)).rows[0].facts


def test_a_row_of_openai_says_its_id_and_its_age() -> None:
    listing = read("openai", openai_list({"id": "plain", "object": "model", "created": 1_700_000_000, "owned_by": "openai"}))
    assert listing.rows == (Row("plain", Facts(created=1_700_000_000)),)
    assert (listing.dropped, listing.notes, listing.next) == (0, (), None)


def test_a_row_of_openrouter_or_kilo_says_everything() -> None:
    assert facts_of(OPENROUTER) == Facts(
        name="Maker: Thinker", description="Thinks.\nSlowly.", created=1_770_000_000, context=200_000, max_output=64_000,
        input_modalities=("text", "image", "file"), output_modalities=("text",), parameters=("tools", "reasoning"),
        price=Price(
            3_000_000, 15_000_000, cache_read=300_000, cache_write=3_750_000, cache_write_1h=6_000_000, input_audio=10_000_000,
            cache_audio=1_000_000, input_image=4_000_000, output_audio=20_000_000, output_image=30_000_000,
            image=4_800_000_000, web_search=10_000_000_000, overrides=(Override(200_001, None, 6_000_000, 22_500_000),),
        ),
        discount=0.25, tokenizer="Other", reasoning=Reasoning(True, True, "medium", ("high", "low"), True),
        knowledge_cutoff="2026-01-31", expires="2027-06-30", hugging_face_id="maker/thinker-hf",
        canonical_slug="maker/thinker-2026", is_moderated=True, policy=DataPolicy(may_train=False), family="claude",
        ai_sdk_provider="anthropic", benchmarks={"intelligence": 61.5, "agentic": 40.0},
        battles=(Battle("models", "website", 1175.0, 57, 41.5),),
    )  # fmt: skip


def test_of_battles_each_counts_once_and_what_has_no_rating_is_none() -> None:
    def battles(told: object) -> object:
        return facts_of({"id": "a", "benchmarks": {"design_arena": told}}).battles

    good = {"arena": "models", "category": "svg", "elo": 1100}
    odd: list[object] = [
        None, 7, {}, {"arena": "models", "category": "svg"}, good | {"elo": "1100"}, good | {"elo": -3}, good | {"elo": 1e300},
        good | {"arena": ["models"]}, good | {"category": ""},
    ]  # fmt: skip
    assert battles([*odd, good, good | {"elo": 1400}, good | {"arena": "agents", "rank": "x", "win_rate": 101}]) == (
        Battle("models", "svg", 1100.0), Battle("agents", "svg", 1100.0),
    )  # fmt: skip
    assert [battles(told) for told in (odd, [], "models", None, {"elo": 5})] == [None] * 5
    assert len(battles([good | {"category": f"c{n}"} for n in range(1000)])) == 50  # type: ignore[arg-type]


def test_a_row_of_groq_says_its_limits() -> None:
    found = facts_of(GROQ)
    assert (found.context, found.max_output) == (131_072, 32_768)


def test_a_row_of_mistral_says_whether_it_sees_and_what_else_it_is_called() -> None:
    [row] = read("openai", openai_list(MISTRAL)).rows
    assert row.aliases == ("big-2601",)
    assert (row.facts.context, row.facts.input_modalities) == (131_072, ("text", "image"))


def test_a_row_of_vllm_says_its_context() -> None:
    assert facts_of(VLLM).context == 32_768


def test_a_row_of_lm_studio_says_how_it_is_stored() -> None:
    found = facts_of(LM_STUDIO)
    assert (found.context, found.quantization, found.input_modalities) == (32_768, "int4", ("text", "image"))


def test_a_list_without_an_object_around_it_is_read_and_prices_for_millions_are_not() -> None:
    [row] = read("openai", json.dumps([TOGETHER]).encode()).rows
    assert row.listed_id == "maker/embedder"
    assert row.facts == Facts(name="Maker Embedder", context=512, output_modalities=("embeddings",))


def test_rows_of_all_kinds_may_stand_in_one_list() -> None:
    rows = read("openai", openai_list(OPENROUTER, GROQ, MISTRAL, VLLM, TOGETHER, LM_STUDIO, {"id": "plain"})).rows
    assert [row.facts.context for row in rows] == [200_000, 131_072, 131_072, 32_768, 512, 32_768, None]


@pytest.mark.parametrize("target", [{"slug": "maker/thinker", "name": "Thinker"}, "maker/thinker"])
def test_an_alias_says_what_it_leads_to(target: object) -> None:
    assert facts_of({"id": "~maker/thinker-latest", "alias_target": target}).alias_target == "maker/thinker"


def test_modalities_are_read_of_the_short_form_where_there_is_no_other() -> None:
    found = facts_of({"id": "a", "architecture": {"modality": "text+audio+smell->speech"}})
    assert (found.input_modalities, found.output_modalities) == (("text", "audio"), ("speech",))


def test_a_row_of_anthropic_says_what_it_can_do() -> None:
    listing = read("anthropic", json.dumps({"data": [ANTHROPIC], "has_more": False, "last_id": "poet-5"}).encode())
    facts = Facts(
        name="Poet 5", created=1_770_163_200, context=1_000_000, max_output=128_000, input_modalities=("text", "image", "file"),
        reasoning=Reasoning(efforts=("high", "low"), supports_max_tokens=True), expires="2027-01-05",
    )  # fmt: skip
    assert (listing.rows, listing.next) == ((Row("poet-5", facts),), None)


def test_a_row_of_anthropic_may_say_its_name_only() -> None:
    body = openai_list({"type": "model", "id": "poet-1", "display_name": "Poet 1", "created_at": "1970-01-01T00:00:00Z"})
    assert read("anthropic", body).rows == (Row("poet-1", Facts(name="Poet 1")),)


def test_what_anthropic_has_retired_is_passed_over() -> None:
    listing = read("anthropic", openai_list({"id": "gone", "lifecycle": "retired"}, {"id": "here", "lifecycle": "active"}))
    assert ([row.listed_id for row in listing.rows], listing.dropped) == (["here"], 0)


def test_a_row_of_gemini_loses_what_stands_before_every_name() -> None:
    facts = Facts(
        name="Twin 4", description="Sees both.", context=1_048_576, max_output=65_536, reasoning=Reasoning(supports_max_tokens=True)
    )
    assert read("gemini", named_list(GEMINI)).rows == (Row("twin-4", facts),)


def test_a_model_of_gemini_that_only_embeds_says_so() -> None:
    body = named_list({"name": "models/embedder", "supportedGenerationMethods": ["embedContent"]})
    assert read("gemini", body).rows[0].facts.output_modalities == ("embeddings",)


def test_a_row_of_ollama_says_how_it_is_stored() -> None:
    facts = Facts(description="llama, 3.2B parameters, Q4_K_M", created=1_790_939_655, quantization="int4", family="llama")
    assert read("ollama", named_list(OLLAMA)).rows == (Row("camel:latest", facts),)


@pytest.mark.parametrize(
    ("written", "word"),
    [("Q8_0", "int8"), ("F16", "fp16"), ("BF16", "bf16"), ("MXFP4", "mxfp4"), ("IQ4_XS", "int4"), ("Q6_K", "unknown"), ("fp8", "fp8")],
)
def test_what_weights_are_stored_as_has_openrouters_words(written: str, word: str) -> None:
    assert facts_of({"id": "a", "quantization": written}).quantization == word


def test_each_kind_says_where_it_goes_on() -> None:
    assert read("openai", openai_list({"id": "a"}, links={"next": "/v1/models?offset=1"})).next == "/v1/models?offset=1"
    assert read("openai", openai_list({"id": "a"}, links={"next": None})).next is None
    assert read("anthropic", openai_list({"id": "a"}, has_more=True, last_id="a")).next == "a"
    assert read("anthropic", openai_list({"id": "a"}, has_more=True)).next is None
    assert read("gemini", named_list(GEMINI, nextPageToken="x/y=")).next == "x/y="
    assert read("gemini", named_list(GEMINI, nextPageToken="")).next is None
