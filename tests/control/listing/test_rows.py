"""A row of the list: every member, and what stands where nothing is known."""

import msgspec
import pytest
from msgspec.structs import replace
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import NOW_S, WHOLE, bundled, catalogue, entry, small

from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.catalog.facts import Battle, Facts, Reasoning
from kilo_gateway.control.listing.rows import details_path, row
from kilo_gateway.control.views import View
from kilo_gateway.core.price import Price
from kilo_gateway.http.paths import normal


def row_of(facts: Facts, *, is_demo: bool = False) -> View:
    made = entry("a/b", facts, is_demo=is_demo)
    return as_told(row(made, catalogue(made)))


def as_told(view: View) -> View:
    told: View = msgspec.json.decode(msgspec.json.encode(view))
    return told


@pytest.fixture
def rows() -> dict[str, View]:
    return {each.id: as_told(row(each, made)) for made in [small()] for each in made.entries.values()}


def test_a_row_of_which_nothing_is_known_has_every_member_clients_insist_on(rows: dict[str, View]) -> None:
    assert rows["beta/bare"] == {
        "id": "beta/bare", "canonical_slug": "beta/bare", "object": "model", "hugging_face_id": None, "name": "beta/bare",
        "created": 0, "owned_by": "beta", "description": "", "context_length": 32_768, "max_completion_tokens": None,
        "architecture": {
            "modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": "-1", "completion": "-1"},
        "top_provider": {"context_length": 32_768, "max_completion_tokens": None, "is_moderated": False},
        "per_request_limits": None, "supported_parameters": [], "default_parameters": {}, "supported_voices": None,
        "knowledge_cutoff": None, "expiration_date": None, "links": {"details": "/api/v1/models/beta/bare/endpoints"},
        "providers": ["first"], "isFree": False, "mayTrainOnYourPrompts": False, "hasUserByokAvailable": False,
        "opencode": {"variants": {}},
    }  # fmt: skip


def test_a_row_of_which_all_is_known_tells_it(rows: dict[str, View]) -> None:
    told = rows["alpha/whole"]
    assert told["canonical_slug"] == "alpha/whole-20260901"
    assert told["hugging_face_id"] == "whole/one"
    assert told["context_length"] == 200_000
    assert told["max_completion_tokens"] == 64_000
    assert told["top_provider"] == {"context_length": 200_000, "max_completion_tokens": 64_000, "is_moderated": True}
    assert told["architecture"] == {
        "modality": "text+image->text", "input_modalities": ["text", "image"], "output_modalities": ["text"],
        "tokenizer": "Claude", "instruct_type": "claude",
    }  # fmt: skip
    assert (told["knowledge_cutoff"], told["expiration_date"]) == ("2026-01-31", "2027-01-31")
    assert told["mayTrainOnYourPrompts"] is True
    assert told["providers"] == ["first", "second"]


def test_benchmarks_name_the_indices_and_the_battles_of_which_all_is_known(rows: dict[str, View]) -> None:
    indices = {"intelligence_index": 60.5, "coding_index": 50.0, "agentic_index": None}
    battle = {"arena": "models", "category": "website", "elo": 1200.5, "rank": 7, "win_rate": 51.0}
    assert rows["alpha/whole"]["benchmarks"] == {"artificial_analysis": indices, "design_arena": [battle]}


def test_battles_alone_are_benchmarks() -> None:
    benchmarks = row_of(Facts(battles=(Battle("models", "svg", 1.0),)))["benchmarks"]
    assert benchmarks == {"design_arena": []}


def test_reasoning_is_told_as_openrouter_words_it(rows: dict[str, View]) -> None:
    assert rows["alpha/whole"]["reasoning"] == {
        "mandatory": False, "supported_efforts": ["high", "medium", "low"], "default_enabled": True,
        "default_effort": "medium", "supports_max_tokens": True,
    }  # fmt: skip
    assert rows["gamma/a/b"]["reasoning"] == {"mandatory": True, "supported_efforts": None}


def test_an_alias_names_the_model_it_leads_to(rows: dict[str, View]) -> None:
    assert rows["~gamma/a-latest"]["alias_target"] == {"slug": "gamma/a/b", "name": "Three parts"}
    assert rows["~gamma/a-latest"]["owned_by"] == "gamma"
    assert row_of(Facts(alias_target="no/where"))["alias_target"] == {"slug": "no/where", "name": "no/where"}


def test_voices_are_a_list_where_there_are_any(rows: dict[str, View]) -> None:
    assert rows["delta/say"]["supported_voices"] == ["ann", "bob"]


def test_auto_models_tell_their_routes_their_place_and_no_price(rows: dict[str, View]) -> None:
    auto = rows["kilo/auto"]
    assert (auto["autoRouting"], auto["preferredIndex"]) == ({"models": ["alpha/whole"]}, 0)
    assert auto["pricing"] == {"prompt": "-1", "completion": "-1"}
    assert (auto["context_length"], auto["max_completion_tokens"], auto["isFree"]) == (1_000_000, 128_000, False)


def test_the_free_tier_costs_nothing_and_says_so(rows: dict[str, View]) -> None:
    free = rows["kilo-auto/free"]
    assert (free["pricing"], free["isFree"]) == ({"prompt": "0", "completion": "0"}, True)


def test_a_row_that_routes_shows_its_own_price_and_not_that_of_a_place() -> None:
    made = replace(entry("a/b", WHOLE, routes=("c/d",)), card=bundled("a/b", Facts()).card)
    assert as_told(row(made, catalogue(made)))["pricing"] == {"prompt": "-1", "completion": "-1"}


def test_others_have_neither_routes_nor_place(rows: dict[str, View]) -> None:
    assert not {"autoRouting", "preferredIndex", "alias_target", "reasoning", "benchmarks", "kilo"} & set(rows["beta/bare"])


def test_only_a_protocol_that_is_spoken_here_is_named() -> None:
    """Kilo's client would switch to it."""
    assert "ai_sdk_provider" not in row_of(replace(WHOLE, ai_sdk_provider="anthropic"))["opencode"]
    assert row_of(replace(WHOLE, ai_sdk_provider="openrouter"))["opencode"]["ai_sdk_provider"] == "openrouter"


def test_variants_follow_the_efforts_from_the_least_to_the_most() -> None:
    opencode = row_of(replace(WHOLE, reasoning=Reasoning(efforts=("xhigh", "low", "none"))))["opencode"]
    assert opencode == {
        "family": "claude",
        "variants": {
            "none": {"reasoning": {"enabled": False, "effort": "none"}},
            "low": {"reasoning": {"enabled": True, "effort": "low"}},
            "xhigh": {"reasoning": {"enabled": True, "effort": "xhigh"}},
        },
    }  # fmt: skip


def test_thinking_that_is_mandatory_cannot_be_turned_off(rows: dict[str, View]) -> None:
    opencode = rows["gamma/a/b"]["opencode"]
    assert isinstance(opencode, dict)
    assert list(opencode["variants"]) == ["low", "medium", "high"]


def test_the_demo_model_is_called_one() -> None:
    assert row_of(Facts(name="Tiny"), is_demo=True)["name"] == "Tiny (demo model)"
    assert row_of(Facts(name="The demo"), is_demo=True)["name"] == "The demo"


def test_a_model_with_a_dear_first_place_is_not_free_for_its_second() -> None:
    made = entry("a/b", Facts(price=Price(1, 1)), Facts(price=Price(0, 0)))
    assert row(made, catalogue(made))["isFree"] is False


def test_details_are_a_path_whatever_stands_in_the_id() -> None:
    made = entry("a/b c?#%:free", Facts())
    assert row(made, catalogue(made))["links"] == {"details": "/api/v1/models/a/b%20c%3F%23%25:free/endpoints"}


@pytest.mark.parametrize("id", ["a//b", "a/b/", "/a/b", "a///b", "https://h/m", "a/b"])
def test_details_lead_to_the_model_though_doubled_slashes_of_a_path_are_one(id: str) -> None:
    made = catalogue(entry(id, Facts()))
    path, _ = normal(details_path(id).encode())
    assert Listing(made).get(path.decode()).json["data"]["id"] == id


# Over HTTP


def test_the_list_tells_no_origins_unless_asked(listing: Listing) -> None:
    assert all("kilo" not in each for each in listing.get("/v1/models").json["data"])
    told = {each["id"]: each["kilo"] for each in listing.get("/v1/models?origins=true").json["data"]}
    assert told["beta/cheap"]["origins"]["price"] == {"source": "discovery", "date": "2026-09-21T14:13:20Z"}
    assert told["kilo/auto"]["origins"]["name"] == {"source": "bundle", "date": None}
    assert told["beta/bare"] == {"source": "discovery", "origins": {}, "reason": "No upstream serves it: set BETA_API_KEY."}


def test_a_single_model_tells_the_origin_of_each_fact(listing: Listing) -> None:
    told = listing.get("/api/v1/model/beta/cheap").json["data"]
    assert set(told["kilo"]["origins"]) == {"price", "context", "created", "tokenizer"}
    assert told["kilo"]["source"] == "discovery"


@pytest.mark.parametrize("asked", ["alpha/whole", "alpha%2Fwhole", "kilocode/alpha/whole", "whole", "alpha/whole:nitro", "kilo/whole"])
def test_a_single_model_is_found_by_any_of_its_names(listing: Listing, asked: str) -> None:
    assert listing.get(f"/v1/model/{asked}").json["data"]["id"] == "alpha/whole"
    assert listing.get(f"/v1/models/{asked}").json["id"] == "alpha/whole"
    assert listing.get(f"/v1/models/{asked}/endpoints").json["data"]["id"] == "alpha/whole"


@pytest.mark.parametrize("asked", ["ollama/llama3.2:latest", "gamma/a/b", "gamma%2Fa%2Fb", "~gamma/a-latest", "%7Egamma%2Fa-latest"])
def test_ids_with_colons_tildes_and_more_slashes_are_found(listing: Listing, asked: str) -> None:
    for path in (f"/v1/model/{asked}", f"/v1/models/{asked}", f"/api/models/{asked}/endpoints"):
        assert listing.get(path).status == 200


@pytest.mark.parametrize("path", ["/v1/model/no/such", "/v1/models/no/such", "/v1/models/no/such/endpoints", "/v1/models/alpha/whole:free"])
def test_an_unknown_model_is_not_found_and_the_closest_are_named(listing: Listing, path: str) -> None:
    told = listing.get(path)
    assert (told.status, told.json["error"]["code"]) == (404, "model_not_found")
    assert told.json["error"]["metadata"]["closest"]


def test_a_retired_model_names_its_successor(listing: Listing) -> None:
    told = listing.get("/v1/models/old/model")
    assert (told.status, told.json["error"]["metadata"]) == (404, {"successor": "alpha/whole"})


def test_the_bare_row_is_what_the_openai_sdk_retrieves(listing: Listing) -> None:
    told = listing.get("/v1/models/beta/cheap").json
    assert (told["object"], told["created"], told["owned_by"]) == ("model", NOW_S - 400 * 86_400, "beta")
    assert "kilo" not in told
    assert "kilo" in listing.get("/v1/models/beta/cheap?origins=1").json


def test_an_empty_catalogue_is_an_empty_list() -> None:
    empty: Catalogue = catalogue()
    told = Listing(empty).get("/v1/models").json
    assert told == {"object": "list", "data": [], "links": {"next": None}, "total_count": 0}
