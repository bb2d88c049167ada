"""The official SDKs of OpenRouter, OpenAI and Anthropic read the lists from a running server; what they read is counted."""

from collections.abc import Awaitable, Iterator

import anthropic
import openai
import pytest
from openrouter import OpenRouter
from openrouter.operations import GetModelsResponse, ListModelsUserSecurity
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import NOW_S, catalogue, large, small
from tests.control.listing.serving import served
from tests.control.listing.watched import Watched

ROWS = 1200
TEXT_ROWS = ROWS + 10  # of the small one
KEY = "kilo_" + "x" * 32


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A large catalogue and the small one with its gaps, together."""
    made = small()
    both = catalogue(*made.entries.values(), *large(ROWS).entries.values(), providers=made.providers)
    with served(Listing(both, Watched())) as found:
        yield found


@pytest.fixture
def openrouter(url: str) -> Iterator[OpenRouter]:
    with OpenRouter(api_key=KEY, server_url=f"{url}/api/openrouter") as found:
        yield found


@pytest.mark.parametrize("limit", [500, 1000, 7 * 11])
def test_the_openrouter_sdk_reads_every_row_page_by_page(openrouter: OpenRouter, limit: int) -> None:
    ids: list[str] = []
    page: GetModelsResponse | None = openrouter.models.list(limit=limit)
    for _ in range(TEXT_ROWS // limit + 2):
        if page is None:
            break
        assert page.result.total_count == TEXT_ROWS
        ids += [row.id for row in page.result.data]
        following = page.next()
        assert not isinstance(following, Awaitable)
        page = following
    assert (page, len(ids), len(set(ids))) == (None, TEXT_ROWS, TEXT_ROWS)


def test_the_openrouter_sdk_reads_what_is_in_a_row(openrouter: OpenRouter) -> None:
    page = openrouter.models.list(output_modalities="all", limit=1000)
    assert page is not None
    rows = {row.id: row for row in page.result.data}
    whole, bare = rows["alpha/whole"], rows["beta/bare"]
    assert (whole.pricing.prompt, whole.pricing.completion, whole.context_length) == ("0.000003", "0.000015", 200_000)
    assert whole.reasoning is not None and whole.reasoning.supported_efforts == ["high", "medium", "low"]
    assert whole.pricing.overrides is not None and len(whole.pricing.overrides) == 2
    assert (bare.pricing.prompt, bare.context_length, bare.created) == ("-1", 32_768, 0)
    assert rows["delta/say"].supported_voices == ["ann", "bob"]


def test_the_openrouter_sdk_filters_and_sorts(openrouter: OpenRouter) -> None:
    asked = openrouter.models.list(q="model-", sort="context-high-to-low", min_price=1.0, supported_parameters="tools", zdr="true")
    assert asked is not None
    assert [row.id for row in asked.result.data[:2]] == [f"author{at % 40}/model-{at}" for at in (1199, 1198)]


def test_the_openrouter_sdk_reads_counts_single_models_and_endpoints(openrouter: OpenRouter) -> None:
    assert openrouter.models.count().data.count == TEXT_ROWS
    assert openrouter.models.get(author="alpha", slug="whole").data.id == "alpha/whole"
    for author, slug, places in (("alpha", "whole", 2), ("gamma", "a/b", 1), ("ollama", "llama3.2:latest", 1), ("kilo", "auto", 0)):
        assert len(openrouter.endpoints.list(author=author, slug=slug).data.endpoints) == places


def test_the_openrouter_sdk_reads_the_other_lists(openrouter: OpenRouter) -> None:
    assert [each.slug for each in openrouter.providers.list().data] == ["first", "idle"]
    assert {each.model_id for each in openrouter.endpoints.list_zdr_endpoints().data} >= {"alpha/whole"}
    user = openrouter.models.list_for_user(security=ListModelsUserSecurity(bearer=KEY), limit=1000)
    embeddings = openrouter.embeddings.list_models()
    assert user is not None and user.result.total_count == ROWS + 13
    assert embeddings is not None and [row.id for row in embeddings.result.data] == ["delta/embed", "delta/embed-unknown"]


@pytest.mark.parametrize("base", ["/v1", "/api/gateway", "/api/openrouter/v1"])
def test_the_openai_sdk_lists_and_retrieves(url: str, base: str) -> None:
    with openai.OpenAI(api_key=KEY, base_url=url + base, max_retries=0) as client:
        rows = list(client.models.list())
        assert len(rows) == len({row.id for row in rows}) == TEXT_ROWS
        assert all(row.object == "model" and row.owned_by for row in rows)
        assert client.models.retrieve("beta/cheap").created == NOW_S - 400 * 86_400
        assert client.models.retrieve("ollama/llama3.2:latest").id == "ollama/llama3.2:latest"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("no/such")


@pytest.mark.parametrize("base", ["", "/api/gateway", "/api"])
def test_the_anthropic_sdk_lists_and_retrieves(url: str, base: str) -> None:
    with anthropic.Anthropic(api_key=KEY, base_url=url + base, max_retries=0) as client:
        ids = [row.id for row in client.models.list(limit=100)]
        assert len(ids) == len(set(ids)) == TEXT_ROWS
        found = client.models.retrieve("alpha/whole")
        assert (found.display_name, found.created_at.timestamp()) == ("Whole One", NOW_S - 10 * 86_400)
        assert client.models.retrieve("gamma/a/b").id == "gamma/a/b"
