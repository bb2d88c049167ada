"""What ./run installs is what uv.lock says, every file with its hash."""

import re
import tomllib

import pytest
from tests.architecture.rules import ROOT

REQUIREMENT = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ; (.*?))?(?: \\)?$", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    return {name: version for name, version, _ in REQUIREMENT.findall((ROOT / "requirements" / f"{lock}.lock").read_text())}


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_every_pin_is_the_one_of_uv_lock(lock: str) -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    locked = {package["name"]: package["version"] for package in packages}
    assert pins(lock)
    assert {name: version for name, version in pins(lock).items() if locked.get(name) != version} == {}


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_every_pin_has_a_hash(lock: str) -> None:
    blocks = re.split(r"\n(?=[a-z])", (ROOT / "requirements" / f"{lock}.lock").read_text())[1:]
    assert len(blocks) == len(pins(lock))
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


def test_the_tools_come_on_top_of_what_runs() -> None:
    assert pins("run").items() <= pins("dev").items()


def test_every_dependency_of_the_project_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["local"]
    names = {re.split(r"[^\w-]", requirement)[0].lower().replace("_", "-") for requirement in wanted}
    assert names - pins("run").keys() == set()
    tools = {re.split(r"[^\w-]", requirement)[0].lower() for requirement in project["dependency-groups"]["dev"]}
    assert tools - pins("dev").keys() == set()
