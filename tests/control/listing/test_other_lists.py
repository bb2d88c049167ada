"""Providers, embedding and transcription models, and whether a name leads to a model."""

import pytest
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import catalogue
from tests.control.listing.schemas import EMBEDDING_MODELS, check

from kilo_gateway.http.paths import PREFIXES


def test_providers_are_those_that_are_configured(listing: Listing) -> None:
    told = listing.get("/v1/providers").json["data"]
    assert [each["slug"] for each in told] == ["first", "idle"]
    assert told[0] == {
        "name": "First Inc.", "displayName": "First Inc.", "slug": "first", "privacy_policy_url": "https://first.example/privacy",
        "terms_of_service_url": None, "status_page_url": None, "headquarters": "FR", "datacenters": ["FR"],
        "dataPolicy": {"training": False, "retainsPrompts": None, "canPublish": None},
    }  # fmt: skip


def test_models_are_grouped_by_the_upstream_that_serves_them(listing: Listing) -> None:
    told = {each["slug"]: each for each in listing.get("/v1/models-by-provider").json["data"]}
    assert list(told) == ["first", "idle", "second"]
    assert (told["first"]["name"], len(told["first"]["models"]), told["idle"]["models"]) == ("First Inc.", 12, [])
    assert told["second"]["models"] == [{
        "id": "alpha/whole", "name": "Whole One", "provider_model_id": "whole", "context_length": 200_000,
        "max_completion_tokens": None, "pricing": {"prompt": "0.000000000001", "completion": "0.000000000001"},
    }]  # fmt: skip


def test_embedding_models_are_those_with_known_dimensions_as_kilo_lists_them(listing: Listing) -> None:
    told = listing.get("/v1/embedding-models").json
    assert told == {
        "defaultModel": "delta/embed", "models": [{"id": "delta/embed", "name": "Embed", "dimension": 1536, "scoreThreshold": 0.5}],
        "aliases": {"embed": "delta/embed"},
    }  # fmt: skip
    check(told, EMBEDDING_MODELS)


def test_without_embedding_models_there_is_no_default() -> None:
    told = Listing(catalogue()).get("/v1/embedding-models").json
    assert told == {"defaultModel": "", "models": [], "aliases": {}}
    check(told, EMBEDDING_MODELS)


def test_openrouters_list_of_embedding_models_has_all_of_them_whatever_else_is_asked(listing: Listing) -> None:
    for query in ("", "?output_modalities=all", "?offset=0&limit=500"):
        assert listing.get(f"/v1/embeddings/models{query}").ids == ["delta/embed", "delta/embed-unknown"]


def test_transcription_models_are_listed_by_id_and_name(listing: Listing) -> None:
    assert listing.get("/v1/transcription-models").json == {"data": [{"id": "delta/hear", "name": "Hear"}]}


@pytest.mark.parametrize(
    "path", ["models", "models/count", "models/user", "models/validate?model=x", "model/alpha/whole", "models-by-provider", "providers",
             "embedding-models", "embeddings/models", "transcription-models", "endpoints/zdr", "models/alpha/whole"],
)  # fmt: skip
def test_every_path_is_served_under_every_prefix_and_for_head(listing: Listing, path: str) -> None:
    for prefix in PREFIXES:
        assert listing.get(f"{prefix}/{path}").status == listing.ask("HEAD", f"{prefix}/{path}").status == 200


def test_the_lists_of_models_are_served_under_api_too(listing: Listing) -> None:
    for path in ("", "/count", "/user", "/validate?model=x", "/beta/bare", "/beta/bare/endpoints"):
        assert listing.get(f"/api/models{path}").status == 200


# Validation


def test_a_name_that_leads_to_a_model_is_valid(listing: Listing) -> None:
    told = listing.get("/v1/models/validate?model=kilocode/whole&model=beta/gratis:free").json["data"]
    assert told == [
        {"model": "kilocode/whole", "valid": True, "id": "alpha/whole", "variant": None},
        {"model": "beta/gratis:free", "valid": True, "id": "beta/gratis", "variant": "free"},
    ]


def test_a_name_that_leads_nowhere_gets_the_reason_and_what_is_close(listing: Listing) -> None:
    told = listing.post("/v1/models/validate", {"models": ["alpha/whoel", "old/model"]}).json["data"]
    assert (told[0]["valid"], told[0]["id"], told[0]["closest"][0]) == (False, None, "alpha/whole")
    assert (told[1]["valid"], told[1]["successor"], told[1]["closest"]) == (False, "alpha/whole", [])


def test_a_model_that_cannot_be_asked_now_is_found_but_not_valid(listing: Listing) -> None:
    told = listing.get("/v1/models/validate?model=beta/bare").json["data"]
    assert told == [{
        "model": "beta/bare", "valid": False, "id": "beta/bare", "variant": None, "closest": [],
        "reason": "No upstream serves it: set BETA_API_KEY.",
    }]  # fmt: skip


@pytest.mark.parametrize("sent", [{"models": []}, {"models": ["x"] * 101}, {"models": "x"}, {"models": [1]}, {}, [], None])
def test_a_wrong_body_is_refused(listing: Listing, sent: object) -> None:
    assert listing.post("/v1/models/validate", sent).status == 400


def test_without_a_model_there_is_nothing_to_validate(listing: Listing) -> None:
    assert listing.get("/v1/models/validate").status == 400
    assert listing.ask("POST", "/v1/models/validate", body=b"\xff{").status == 400
