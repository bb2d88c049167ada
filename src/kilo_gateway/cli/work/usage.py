"""usage"""

import time
from pathlib import Path
from typing import cast

from kilo_gateway.cli.work import show
from kilo_gateway.cli.work.operator import ask
from kilo_gateway.cli.work.settings import settings_for
from kilo_gateway.control.views import View

ANSWER_S = 60.0  # journals are imported first
_COLUMNS = ("time (UTC)", "id", "model", "provider", "prompt", "completion", "cost USD", "status")


def usage(limit: int, json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)
    path = f"/api/admin/usage?limit={limit}"
    rows = cast(list[View], ask(settings, "GET", path, None, lambda service: service.usage(limit), answer_s=ANSWER_S))
    if json:
        show.as_json(rows)
    else:
        show.as_table(_COLUMNS, [_row(row) for row in rows], "No requests yet.")


def _row(row: View) -> tuple[object, ...]:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(cast(int, row["at_ms"]) / 1000))
    mark = "~" if row["estimated"] else ""
    cost = "unpriced" if row["cost_usd"] is None else f"{row['cost_usd']:.9f}"
    return (
        at, row["id"], row["model"], row["provider"], f"{mark}{row['prompt_tokens']}", f"{mark}{row['completion_tokens']}",
        cost, row["status"],
    )  # fmt: skip
