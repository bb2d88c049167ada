"""keys create | list | revoke"""

from pathlib import Path
from typing import cast
from urllib.parse import quote

from kilo_gateway.cli.options import Failure
from kilo_gateway.cli.work import show
from kilo_gateway.cli.work.operator import ask
from kilo_gateway.cli.work.settings import settings_for
from kilo_gateway.control.views import View

_PATH = "/api/admin/keys"


def create(name: str, json: bool, config: Path | None, data_dir: Path | None) -> None:
    if not name.isprintable():  # bytes that are no UTF-8 could not even be sent
        raise Failure("A key needs a name of 1 to 100 printable characters.")
    settings = settings_for(config, data_dir)
    made = cast(View, ask(settings, "POST", _PATH, {"name": name}, lambda service: service.create_key(name)))
    if json:
        show.as_json(made)
    else:
        print(made["key"])


def every(json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)
    keys = cast(list[View], ask(settings, "GET", _PATH, None, lambda service: service.list_keys()))
    if json:
        show.as_json(keys)
        return
    rows = [(key["id"], key["name"], key["role"], key["hint"], "revoked" if key["revoked_ms"] else "valid") for key in keys]
    show.as_table(("id", "name", "role", "key", "state"), rows, "No keys yet: kilo-gateway keys create --name NAME")


def revoke(key: str, json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)
    path = f"{_PATH}/{quote(key, safe='')}"
    gone = cast(View, ask(settings, "DELETE", path, None, lambda service: service.revoke_key(key)))
    if json:
        show.as_json(gone)
    else:
        print(f"{gone['name']} ({gone['id']}) is revoked.")
