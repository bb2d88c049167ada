"""Every list fits what is published of it and what its clients demand, also where facts are missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.control.listing import schemas
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import WHOLE, catalogue, entry, small
from tests.control.listing.schemas import Schema, check
from tests.control.listing.watched import Watched, three

from kilo_gateway.catalog.facts import Facts

LIST_SCHEMAS = [schemas.MODELS, schemas.KILO_MODELS, schemas.OPENCLAW_MODELS, schemas.OPENAI_MODELS]
FIELDS = tuple(Facts.__struct_fields__)


@pytest.mark.parametrize("schema", LIST_SCHEMAS)
@pytest.mark.parametrize("query", ["output_modalities=all", "origins=true", "offset=0&limit=500", "sort=newest"])
def test_the_list_fits(listing: Listing, query: str, schema: Schema) -> None:
    check(listing.get(f"/v1/models?{query}").json, schema)


@given(st.sets(st.sampled_from(FIELDS)))
def test_a_row_fits_whichever_facts_are_missing(missing: set[str]) -> None:
    facts = Facts(**{name: getattr(WHOLE, name) for name in FIELDS if name not in missing})
    told = Listing(catalogue(entry("a/b", facts))).get("/v1/models?output_modalities=all").json
    for schema in LIST_SCHEMAS:
        check(told, schema)


@pytest.mark.parametrize("id", small().entries)
def test_the_endpoints_of_every_row_fit(listing: Listing, id: str) -> None:
    told = listing.get(f"/v1/models/{id}/endpoints").json
    check(told, schemas.ENDPOINTS)
    check(told, schemas.KILO_ENDPOINTS)


def test_measured_endpoints_fit() -> None:
    check(Listing(three(), Watched()).get("/v1/models/a/fast/endpoints").json, schemas.ENDPOINTS)


@pytest.mark.parametrize("id", small().entries)
def test_every_single_model_fits(listing: Listing, id: str) -> None:
    check(listing.get(f"/v1/model/{id}").json["data"], schemas.MODEL)
    check(listing.get(f"/v1/models/{id}", {"anthropic-version": "1"}).json, schemas.ANTHROPIC_MODEL)


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/v1/models/user", schemas.MODELS), ("/v1/embeddings/models", schemas.MODELS), ("/v1/models/count", schemas.COUNT),
        ("/v1/providers", schemas.PROVIDERS), ("/v1/endpoints/zdr", schemas.ZDR_ENDPOINTS),
    ],
)  # fmt: skip
def test_the_other_lists_fit(listing: Listing, path: str, schema: Schema) -> None:
    check(listing.get(path).json, schema)


def test_anthropics_list_fits(listing: Listing) -> None:
    check(listing.get("/v1/models", {"anthropic-version": "2023-06-01"}).json, schemas.ANTHROPIC_MODELS)


def test_the_schemas_refuse_what_breaks_a_client() -> None:
    row = Listing(small()).get("/v1/model/beta/bare").json["data"]
    for broken in ({**row, "context_length": "many"}, {**row, "pricing": {"prompt": 0.1, "completion": "0"}}, {**row, "links": {}}):
        with pytest.raises(AssertionError):
            check(broken, schemas.MODEL)
