"""What another provider signed comes back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.dialects.hub.asked import Thought
from kilo_gateway.dialects.responses.envelope import Sealed, content_of, seal, unseal

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.builds(Sealed, st.sampled_from(["", "anthropic-claude-v1", "google-gemini-v1", "unknown"]), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS))
def test_what_is_sealed_is_opened_again(sealed: Sealed) -> None:
    content = seal(sealed)
    assert content.isascii() and "=" not in content
    assert unseal(content) == sealed


@given(st.text(max_size=30) | st.text("ABCabc123_-", max_size=30).map(lambda text: "kilo:" + text))
def test_no_text_breaks_the_opening(text: str) -> None:
    found = unseal(text)
    assert found is None or text.startswith("kilo:")


@pytest.mark.parametrize(
    ("thought", "content"),
    [
        (Thought("", "s", "", "gAAA", "openai-responses-v1", "rs_1"), "gAAA"), (Thought("t"), None),
        (Thought("t", "", "", "", "openai-responses-v1"), None),
        (Thought("t", "", "sig", "", "anthropic-claude-v1"), seal(Sealed("anthropic-claude-v1", "sig", text="t"))),
        (Thought("t", "", "", "", "unknown"), seal(Sealed("unknown"))),
        (Thought("", "", "", "x", "xai-responses-v1", "rs_2"), seal(Sealed("xai-responses-v1", encrypted="x", id="rs_2"))),
    ],
)  # fmt: skip
def test_only_openais_own_stands_there_as_it_is(thought: Thought, content: str | None) -> None:
    assert content_of(thought) == content
