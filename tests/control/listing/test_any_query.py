"""No query breaks anything."""

from urllib.parse import quote, urlencode

from hypothesis import given
from hypothesis import strategies as st
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import small

from kilo_gateway.control.listing.query import CATEGORIES, INPUTS, OUTPUTS, SORTS

LISTING = Listing(small())
NAMES = (
    "category", "supported_parameters", "output_modalities", "input_modalities", "sort", "use_rss", "use_rss_chat_links", "q", "context",
    "min_price", "max_price", "min_output_price", "max_output_price", "arch", "model_authors", "providers", "distillable", "zdr", "region",
    "min_age_days", "max_age_days", "min_intelligence_index", "max_intelligence_index", "min_coding_index", "max_coding_index",
    "min_agentic_index", "max_agentic_index", "min_tool_success_rate", "max_tool_success_rate", "offset", "limit", "origins",
    "before_id", "after_id", "model",
)  # fmt: skip
WORDS = (*SORTS, *CATEGORIES, *INPUTS, *OUTPUTS, "all", "true", "false", "eu", "", "0", "1", "-1", "0.5", "1e9", "1e-99", "9" * 40, "nan", "alpha/whole", ",", "NULL")
PATHS = ("/v1/models", "/v1/models/count", "/v1/models/user", "/api/models", "/v1/embeddings/models", "/v1/models/validate", "/v1/models/alpha/whole")
values = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers().map(str), st.floats().map(str))
headers = st.sampled_from([{}, {"anthropic-version": "1"}, {"accept-encoding": "gzip"}])


@given(st.sampled_from(PATHS), st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=6), headers)
def test_no_value_of_any_parameter_is_a_server_error(path: str, query: list[tuple[str, str]], sent: dict[str, str]) -> None:
    assert LISTING.get(f"{path}?{urlencode(query)}", sent).status in (200, 400)


@given(st.sampled_from(PATHS), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60), headers)
def test_no_query_string_is_a_server_error(path: str, query: str, sent: dict[str, str]) -> None:
    assert LISTING.get(f"{path}?{query}", sent).status in (200, 400)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.sampled_from(["/v1/model/{}", "/v1/models/{}", "/v1/models/{}/endpoints", "/api/models/{}/endpoints"]))
def test_no_id_is_a_server_error(id: str, path: str) -> None:
    assert LISTING.get(path.format(quote(id, safe=""))).status in (200, 404)
