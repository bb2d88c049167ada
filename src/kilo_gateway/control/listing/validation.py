"""Whether a model can be asked by a name, and which one answers then."""

from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.control.views import View
from kilo_gateway.core.errors import UnknownModel


def validated(asked: str, catalogue: Catalogue) -> View:
    """`id`: the row it leads to, if any. `reason` and `closest`, and a `successor`, only where it cannot be asked."""
    try:
        named = catalogue.names.find(asked)
    except UnknownModel as error:
        facts = {name: value for name, value in error.metadata.items() if name in ("closest", "successor")}
        return {"model": asked, "valid": False, "id": None, "variant": None, "reason": str(error), "closest": [], **facts}
    view: View = {"model": asked, "valid": True, "id": named.id, "variant": named.variant or None}
    if reason := catalogue.entries[named.id].reason:
        view |= {"valid": False, "reason": reason, "closest": []}
    return view
