"""The small catalogue, served."""

import pytest
from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import small


@pytest.fixture
def listing() -> Listing:
    return Listing(small())
