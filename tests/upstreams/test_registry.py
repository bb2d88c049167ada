"""The table of providers, as it is in the package."""

from kilo_gateway.upstreams.registry import open_lists, providers


def test_lists_for_everybody_are_known_by_the_providers_name_and_by_its_host() -> None:
    assert {"kilocode", "api.kilo.ai"} <= open_lists()
    assert not {"openai", "api.openai.com", "openrouter", ""} & open_lists()


def test_every_provider_speaks_something_that_can_be_declared() -> None:
    assert {provider.dialect for provider in providers().values()} <= {"openai-chat", "anthropic-messages", "gemini"}
