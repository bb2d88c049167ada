"""The command that is printed works as it is printed, wherever the data lies."""

import ast
import shlex
from pathlib import Path

import pytest

from kilo_gateway import config
from kilo_gateway.processes.banner import Banner

PLACES = ["/home/o'brien/data", '/a "quoted" place', "/with space", "/do$llar", "/back\\slash", "/ünïcode"]


@pytest.fixture
def banner(tmp_path: Path) -> Banner:
    return Banner(config.load(None, tmp_path), 3000)


@pytest.mark.parametrize("place", PLACES)
def test_without_curl_it_is_python_that_opens_the_key(banner: Banner, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    python, flag, code = shlex.split(banner.command("http://localhost:3000", Path(place)))
    assert (python, flag) == ("python3", "-c")
    assert "urlopen" not in code  # which would ask a proxy of the environment for this very machine
    opened = [
        ast.literal_eval(node.args[0])
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
    ]
    assert opened == [place]


def test_curl_says_what_went_wrong_and_asks_no_proxy(banner: Banner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "curl").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = shlex.split(banner.command("http://localhost:3000", Path("/key")))
    assert words[:4] == ["curl", "-sSN", "--noproxy", "localhost"]
