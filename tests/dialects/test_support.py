"""docs/support.md says what is so, and nothing is dropped in silence."""

import pytest
from tests.dialects.support import CALLERS, FEATURES, PAGE, SILENT, Feature, found, page

from kilo_gateway.dialects.table import UPSTREAMS


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_nothing_is_dropped_in_silence(feature: Feature) -> None:
    pairs = [(caller, dialect) for caller in CALLERS for dialect in UPSTREAMS]
    assert [pair for pair in pairs if found(*pair, feature) == SILENT] == []


def test_the_page_of_support_is_current() -> None:
    assert PAGE.read_text() == page(), "run scripts/support"
