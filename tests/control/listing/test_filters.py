"""Every filter of GET models, what it leaves, and what it says of a wrong value."""

import pytest
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import NOW_S, catalogue, entry, place, small
from tests.control.listing.watched import Watched, three

from kilo_gateway.catalog.catalogue import Provider
from kilo_gateway.catalog.facts import DataPolicy, Facts
from kilo_gateway.core.price import Price

TEXT_ROWS = 10


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("output_modalities=embeddings", ["delta/embed", "delta/embed-unknown"]),
        ("output_modalities=speech,transcription", ["delta/hear", "delta/say"]),
        ("output_modalities=image", ["delta/paint"]),
        ("input_modalities=image", ["kilo/auto", "kilo-auto/free", "alpha/whole"]),
        ("input_modalities=image,text", ["kilo/auto", "kilo-auto/free", "alpha/whole"]),
        ("input_modalities=audio&output_modalities=all", ["delta/hear"]),
        ("supported_parameters=tools,tool_choice", ["alpha/whole"]),
        ("supported_parameters=tools&supported_parameters=max_tokens", ["alpha/whole"]),
        ("q=WHOLE", ["alpha/whole"]),
        ("q=three+parts", ["gamma/a/b"]),
        ("q=20260901", ["alpha/whole"]),
        ("q=three+whole", []),
        ("context=200000", ["kilo/auto", "kilo-auto/free", "alpha/whole"]),
        ("context=200001", ["kilo/auto", "kilo-auto/free"]),
        ("min_price=3&max_price=3", ["alpha/whole"]),
        ("min_price=0.1&max_price=2.9", ["beta/cheap"]),
        ("max_price=0", ["kilo-auto/free", "beta/gratis", "ollama/llama3.2:latest"]),
        ("min_output_price=0.4&max_output_price=15", ["alpha/whole", "beta/cheap"]),
        ("max_output_price=.4&min_output_price=4e-1", ["beta/cheap"]),
        ("arch=llama", ["beta/cheap", "beta/gratis"]),
        ("arch=Llama3", ["beta/cheap"]),
        ("arch=Claude,Llama3", ["alpha/whole", "beta/cheap"]),
        ("model_authors=Alpha,gamma", ["alpha/whole", "gamma/a/b", "~gamma/a-latest"]),
        ("providers=second", ["alpha/whole"]),
        ("zdr=true", ["alpha/whole"]),
        ("region=eu", ["alpha/whole"]),
        ("region=eu&providers=second", []),
        ("distillable=true", []),
        ("min_age_days=100", ["beta/cheap"]),
        ("max_age_days=10", ["alpha/whole", "beta/gratis"]),
        ("min_age_days=1&max_age_days=1", ["beta/gratis"]),
        ("min_intelligence_index=60", ["alpha/whole"]),
        ("max_intelligence_index=60", []),
        ("min_coding_index=50&max_coding_index=50", ["alpha/whole"]),
        ("min_agentic_index=0.5", ["gamma/a/b"]),
        ("max_agentic_index=1", ["gamma/a/b"]),
        ("category=programming", ["alpha/whole", "gamma/a/b"]),
        ("category=Marketing/SEO", ["alpha/whole"]),
        ("category=marketing", []),
        ("min_tool_success_rate=0", []),
    ],
)  # fmt: skip
def test_a_filter_leaves_the_rows_that_are_known_to_fit(listing: Listing, query: str, left: list[str]) -> None:
    told = listing.get(f"/v1/models?{query}")
    assert (told.status, told.ids, told.json["total_count"], told.ignored) == (200, left, len(left), None)


@pytest.mark.parametrize("query", ["", "distillable=false", "zdr=false", "unheard_of=1", "q=", "limit=&min_price=", "output_modalities=text"])
def test_what_asks_for_nothing_leaves_all_rows_with_text(listing: Listing, query: str) -> None:
    assert len(listing.get(f"/v1/models?{query}").ids) == TEXT_ROWS


def test_a_row_of_unknown_modalities_counts_as_text_and_all_means_all(listing: Listing) -> None:
    assert "beta/bare" in listing.get("/v1/models").ids
    assert listing.get("/v1/models?output_modalities=all").ids == list(small().entries)


def test_that_there_are_no_chats_to_link_to_is_told(listing: Listing) -> None:
    told = listing.get("/v1/models?use_rss_chat_links=true")
    assert (len(told.ids), told.ignored) == (TEXT_ROWS, "use_rss_chat_links")


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("min_tool_success_rate=0.95", ["a/fast"]), ("min_tool_success_rate=0.96", []), ("max_tool_success_rate=0.9", []),
        ("max_tool_success_rate=1&category=legal", []),
    ],
)  # fmt: skip
def test_tools_succeed_as_far_as_a_weeks_requests_to_all_places_are_enough_to_say(query: str, left: list[str]) -> None:
    told = Listing(three(), Watched()).get(f"/v1/models?{query}")
    assert (told.ids, told.ignored) == (left, None)


def test_an_answer_on_tools_changes_with_the_traffic() -> None:
    watched = Watched()
    listing = Listing(three(), watched)
    assert listing.get("/v1/models?min_tool_success_rate=0.9").ids == ["a/fast"]
    watched.seen.clear()
    assert listing.get("/v1/models?min_tool_success_rate=0.9").ids == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("category=cooking", "category"), ("output_modalities=smell", "output_modalities"), ("input_modalities=text,smell", "input_modalities"),
        ("sort=best", "sort"), ("use_rss=perhaps", "use_rss"), ("use_rss_chat_links=x", "use_rss_chat_links"), ("context=0", "context"),
        ("context=many", "context"), ("min_price=-1", "min_price"), ("max_price=nan", "max_price"), ("min_output_price=inf", "min_output_price"),
        ("max_output_price=1e999", "max_output_price"), ("distillable=maybe", "distillable"), ("zdr=2", "zdr"), ("region=mars", "region"),
        ("min_age_days=1.5", "min_age_days"), ("max_age_days=-1", "max_age_days"), ("min_intelligence_index=x", "min_intelligence_index"),
        ("max_intelligence_index=x", "max_intelligence_index"), ("min_coding_index=x", "min_coding_index"), ("max_coding_index=x", "max_coding_index"),
        ("min_agentic_index=x", "min_agentic_index"), ("max_agentic_index=x", "max_agentic_index"), ("min_tool_success_rate=1.1", "min_tool_success_rate"),
        ("max_tool_success_rate=x", "max_tool_success_rate"), ("offset=-1", "offset"), ("offset=%D9%A3", "offset"), ("limit=0", "limit"),
        ("limit=1001", "limit"), ("limit=9999999999999999999999", "limit"), ("origins=x", "origins"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_and_the_parameter_named(listing: Listing, query: str, parameter: str) -> None:
    for path in ("/v1/models", "/v1/models/count", "/v1/models/user", "/v1/embeddings/models"):
        told = listing.get(f"{path}?{query}")
        assert (told.status, told.json["error"]["metadata"]["parameter"]) == (400, parameter)
        assert told.json["error"]["message"].startswith(f"{parameter} is ")


def test_a_place_has_to_meet_all_that_is_asked_of_places() -> None:
    kept = Facts(regions=("us",), policy=DataPolicy(retains=False))
    listing = Listing(catalogue(entry("a/split", kept, Facts(regions=("EU",)))))
    assert listing.get("/v1/models?zdr=true").ids == listing.get("/v1/models?region=eu").ids == ["a/split"]
    assert listing.get("/v1/models?zdr=true&region=eu").ids == []


def test_what_runs_on_the_operators_own_machine_retains_nothing() -> None:
    made = entry("ollama/x", Facts())
    local = catalogue(type(made)(made.id, "local", made.card, (place("ollama", "x", Facts(), is_private=True),)))
    assert Listing(local).get("/v1/models?zdr=true").ids == ["ollama/x"]


def test_a_provider_is_asked_for_by_its_name_too() -> None:
    made = catalogue(entry("a/b", Facts(), upstreams=["fast"]), entry("a/c", Facts()), providers=(Provider("fast", "Fast Inc."),))
    assert Listing(made).get("/v1/models?providers=fast%20inc.,none").ids == ["a/b"]


def test_prices_are_compared_without_rounding() -> None:
    listing = Listing(catalogue(entry("a/b", Facts(price=Price(100_001, 0)))))
    assert listing.get("/v1/models?max_price=0.1").ids == []
    assert listing.get("/v1/models?max_price=0.100001").ids == ["a/b"]


def test_a_creation_date_of_zero_is_no_date() -> None:
    assert Listing(catalogue(entry("a/b", Facts(created=0)))).get("/v1/models?min_age_days=1").ids == []
    assert Listing(catalogue(entry("a/b", Facts(created=NOW_S)))).get("/v1/models?max_age_days=0").ids == ["a/b"]


def test_the_count_follows_the_same_filters(listing: Listing) -> None:
    for query in ("", "output_modalities=all", "q=whole", "providers=second&limit=1"):
        assert listing.get(f"/v1/models/count?{query}").json == {"data": {"count": listing.get(f"/v1/models?{query}").json["total_count"]}}


def test_a_user_sees_what_can_be_asked_now_of_every_kind(listing: Listing) -> None:
    told = listing.get("/v1/models/user")
    assert set(told.ids) == set(small().entries) - {"beta/bare"}
    assert listing.get("/v1/models/user?output_modalities=speech").ids == ["delta/say"]
