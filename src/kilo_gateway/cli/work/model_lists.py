"""models refresh and models diff"""

import time
from pathlib import Path
from typing import cast

from kilo_gateway.cli.options import Failure
from kilo_gateway.cli.work import show
from kilo_gateway.cli.work.operator import ask
from kilo_gateway.cli.work.settings import settings_for
from kilo_gateway.control.service import Service
from kilo_gateway.control.views import View

REFRESH_S = 30.0


def refresh(force: bool, json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)
    path = "/api/admin/models/refresh" + ("?force=true" if force else "")

    async def refreshed(service: Service) -> list[View]:
        return await service.refresh_models(force=force)

    outcomes = cast(list[View], ask(settings, "POST", path, None, refreshed, answer_s=REFRESH_S))
    if json:
        show.as_json(outcomes)
    else:
        columns = ("upstream", "models", "before", "dropped", "list in force")
        show.as_table(columns, [_row(each) for each in outcomes], "No upstream is discovered.")
    if not all(each["taken"] for each in outcomes):
        failed = ", ".join(str(each["upstream"]) for each in outcomes if not each["taken"])
        raise Failure(f"not refreshed: {failed}")


def diff(json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)
    changes = cast(View, ask(settings, "GET", "/api/admin/models/changes", None, _changes))
    if json:
        show.as_json(changes)
        return
    print(f"refreshed {_time(changes['refreshed_at'])}, changed {_time(changes['changed_at'])}")
    for each in cast(list[View], changes["lists"]):
        print(_standing(each))
    rows = [("new", id, "", "", "") for id in cast(list[str], changes["new"])]
    rows += [("gone", id, "", "", "") for id in cast(list[str], changes["gone"])]
    rows += [_price_row(each) for each in cast(list[View], changes["price"])]
    show.as_table(("change", "id", "upstream", "before $/M", "after $/M"), rows, "Nothing has changed.")


async def _changes(service: Service) -> View:
    return service.model_changes()


def _row(outcome: View) -> tuple[object, ...]:
    told = "the new one" if outcome["taken"] else outcome["reason"]
    return outcome["upstream"], outcome["models"], outcome["previous"], outcome["dropped"], told


def _standing(of: View) -> str:
    dropped = f", {of['dropped']} rows dropped" if of["dropped"] else ""
    told = f"{of['upstream']}: {of['models']} models of {_time(of['fetched_at'])}{dropped}"
    return f"{told}; the attempt of {_time(of['attempted_at'])} failed: {of['error']}" if of["error"] else told


def _price_row(change: View) -> tuple[str, str, str, str, str]:
    before, after = (_pair(cast(View | None, change[side])) for side in ("before", "after"))
    return "price", str(change["id"]), str(change["upstream"]), before, after


def _pair(price: View | None) -> str:
    return "unknown" if price is None else f"{price['input']} / {price['output']}"


def _time(at: object) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(cast(int, at))) if at else "never"
