"""journal replay"""

from pathlib import Path
from typing import cast

from kilo_gateway.cli.work import show
from kilo_gateway.cli.work.operator import ask
from kilo_gateway.cli.work.settings import settings_for
from kilo_gateway.control.views import View

_PATH = "/api/admin/journal/replay"
ANSWER_S = 3600.0  # a day of journals


def replay(json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)
    told = cast(View, ask(settings, "POST", _PATH, None, lambda service: service.replay_journal(), answer_s=ANSWER_S))
    if json:
        show.as_json(told)
        return
    print(f"{told['lines']} lines read: {told['new']} requests are new, {told['already_there']} were there already.")
    if told["running"]:
        print(f"{told['running']} requests still run; they are booked when they end.")
    if told["unreadable"]:
        print(f"{told['unreadable']} lines cannot be read.")
