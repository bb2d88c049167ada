"""The places of a model, and of all models those that retain nothing."""

import pytest
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import small
from tests.control.listing.watched import Watched, same, three

from kilo_gateway.control.listing.entries import ENTRIES
from kilo_gateway.control.listing.traffic import Measured
from kilo_gateway.control.routes import Access
from kilo_gateway.http.paths import PREFIXES


class Busy:
    def of(self, model: str, upstream: str) -> Measured | None:
        return Measured(100.0, 99.5, 98.25, same(100), same(50), 7, 1000) if (model, upstream) == ("alpha/whole", "first") else None


def test_a_place_of_which_all_is_known_tells_it() -> None:
    told = Listing(small(), Busy()).get("/v1/models/alpha/whole/endpoints").json["data"]["endpoints"][0]
    assert told.pop("pricing")["prompt"] == "0.000003"
    assert told == {
        "name": "First Inc. | alpha/whole", "model_id": "alpha/whole", "model_name": "Whole One", "provider_name": "first",
        "tag": "first", "status": 0, "context_length": 200_000, "max_completion_tokens": 64_000, "max_prompt_tokens": None,
        "quantization": "fp8", "supported_parameters": ["tools", "tool_choice", "reasoning", "max_tokens"],
        "supports_implicit_caching": True, "supports_tool_choice": {"auto": True, "function": True, "none": True, "required": True},
        "supports_diarization": False, "supports_voice_cloning": False, "native_tools": {}, "service_tier": None,
        "uptime_last_5m": 100.0, "uptime_last_30m": 99.5, "uptime_last_1d": 98.25,
        "latency_last_30m": {"p50": 100.0, "p75": 101.0, "p90": 102.0, "p99": 103.0},
        "throughput_last_30m": {"p50": 50.0, "p75": 51.0, "p90": 52.0, "p99": 53.0},
    }  # fmt: skip


def test_each_place_has_its_own_price_and_what_is_not_known_is_null() -> None:
    told = Listing(small(), Busy()).get("/v1/models/alpha/whole/endpoints").json["data"]["endpoints"][1]
    assert told["pricing"] == {"prompt": "0.000000000001", "completion": "0.000000000001"}
    assert told["context_length"] == 200_000  # the model's, where the place says nothing
    for name in ("quantization", "max_completion_tokens", "uptime_last_5m", "uptime_last_30m", "uptime_last_1d", "latency_last_30m", "throughput_last_30m"):
        assert told[name] is None


def test_a_model_without_places_has_an_empty_list_of_them(listing: Listing) -> None:
    told = listing.get("/v1/models/kilo/auto/endpoints").json["data"]
    assert told["endpoints"] == []
    assert (told["id"], told["name"], told["created"], told["description"]) == ("kilo/auto", "Kilo Auto", 0, "")


def test_what_was_measured_is_told_at_once() -> None:
    changing = Watched()
    listing = Listing(three(), changing)
    before = listing.get("/v1/models/a/mute/endpoints")
    changing.seen = {("a/mute", "first"): Measured(uptime_5m=50.0)}
    after = listing.get("/v1/models/a/mute/endpoints")
    assert after.json["data"]["endpoints"][0]["uptime_last_5m"] == 50.0
    assert before.headers["etag"] != after.headers["etag"]


@pytest.mark.parametrize("base", [*PREFIXES, "/api"])
def test_endpoints_are_served_under_every_prefix(listing: Listing, base: str) -> None:
    assert listing.get(f"{base}/models/gamma%2Fa%2Fb/endpoints").json["data"]["endpoints"][0]["tag"] == "first"


def test_zero_retention_lists_the_places_that_keep_nothing(listing: Listing) -> None:
    told = listing.get("/v1/endpoints/zdr").json["data"]
    assert [(row["model_id"], row["tag"]) for row in told] == [("alpha/whole", "first")]


def test_two_paths_need_a_key_and_the_others_do_not() -> None:
    needing = {entry.path for entry in ENTRIES if entry.access is Access.KEY}
    assert needing == {f"{base}{path}" for base in PREFIXES for path in ("/models/user", "/endpoints/zdr")} | {"/api/models/user"}
    assert {entry.access for entry in ENTRIES} == {Access.KEY, Access.PUBLIC}
