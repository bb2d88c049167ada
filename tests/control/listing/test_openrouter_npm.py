"""OpenRouter's JavaScript SDK reads the lists from a running server; what it read is counted."""

import json

from tests.control.listing.asking import Listing
from tests.control.listing.catalogues import catalogue, large, small
from tests.control.listing.serving import served
from tests.control.listing.watched import Watched
from tests.sdk.modules import HERE, run_script

ROWS = 1200


def test_the_javascript_sdk_reads_every_row() -> None:
    made = small()
    both = catalogue(*made.entries.values(), *large(ROWS).entries.values(), providers=made.providers)
    with served(Listing(both, Watched())) as url:
        told = json.loads(run_script("list_models.mjs", f"{url}/api/openrouter", "kilo_" + "x" * 32))
    assert told == {
        "rows": ROWS + 10, "different": ROWS + 10, "total": ROWS + 10, "pages": 3, "all": ROWS + 14, "count": ROWS + 10,
        "endpoints": 2, "providers": ["first", "idle"], "whole": "0.000003",
    }  # fmt: skip


def test_the_lock_pins_the_sdk_and_names_no_host_but_the_public_registry() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages["node_modules/@openrouter/sdk"]["version"] == "1.3.19"
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())
    assert all(each.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/") for each in packages.values())
