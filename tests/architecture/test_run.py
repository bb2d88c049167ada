"""./run from the outside: its words, its refusals, and the seal that makes a second start quick."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from tests.architecture.rules import ROOT


def run(directory: Path, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path or os.environ["PATH"], "HOME": str(directory)}
    return subprocess.run(
        [directory / "run", *words], cwd="/", env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What ./run needs of the repository, in a path with a space."""
    directory = tmp_path / "a clone"
    for part in ("scripts", "requirements"):
        shutil.copytree(ROOT / part, directory / part)
    shutil.copy(ROOT / "run", directory / "run")
    return directory


def venv_says(clone: Path, *words: str) -> int:
    command = [str(clone / ".venv" / "bin" / "python"), str(clone / "scripts" / "venv.py"), *words]
    return subprocess.run(command, check=False).returncode


def only(directory: Path, python: str) -> str:
    """A PATH with no more than ./run needs, and a python3 that is this script."""
    directory.mkdir()
    for name in ("sh", "dirname", "cat"):
        (directory / name).symlink_to(shutil.which(name) or name)
    (directory / "python3").write_text(f"#!/bin/sh\n{python}\n")
    (directory / "python3").chmod(0o755)
    return str(directory)


def test_help_lists_every_word() -> None:
    lines = run(ROOT, "help").stdout
    assert [word for word in ("serve", "setup", "test", "check", "help") if word not in lines] == []


@pytest.mark.parametrize("words", [["bogus"], ["setup", "bogus"]])
def test_an_unknown_word_is_a_usage_error(words: list[str]) -> None:
    answer = run(ROOT, *words)
    assert (answer.returncode, "bogus" in answer.stderr) == (2, True)


def test_a_machine_without_a_python_that_fits_is_told_what_to_install(clone: Path, tmp_path: Path) -> None:
    answer = run(clone, "setup", path=only(tmp_path / "bin", "exit 1"))
    assert (answer.returncode, "Python 3.11 or newer" in answer.stderr) == (1, True)


def test_a_machine_without_venv_is_told_what_to_install(clone: Path, tmp_path: Path) -> None:
    answer = run(clone, "setup", path=only(tmp_path / "bin", 'case $2 in *ensurepip*) exit 1 ;; esac'))
    assert (answer.returncode, "python3-venv" in answer.stderr) == (1, True)


def test_the_seal_holds_until_the_lock_changes(clone: Path) -> None:
    venv.create(clone / ".venv", with_pip=False, symlinks=True)
    venv_says(clone, "finish", "run")
    current = [venv_says(clone, "is-current", lock) for lock in ("run", "dev")]
    with (clone / "requirements" / "run.lock").open("a") as lock:
        lock.write("# changed\n")
    assert (current, venv_says(clone, "is-current", "run")) == ([0, 1], 1)


def test_a_venv_that_was_moved_is_not_used(clone: Path) -> None:
    venv.create(clone / ".venv", with_pip=False, symlinks=True)
    venv_says(clone, "finish", "run")
    moved = clone.rename(clone.with_name("elsewhere"))
    assert venv_says(moved, "is-current", "run") == 1


def test_the_console_script_works_from_a_path_with_spaces(clone: Path) -> None:
    venv.create(clone / ".venv", with_pip=False, symlinks=True)
    package = clone / "src" / "kilo_gateway"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli.py").write_text("import sys\n\ndef main():\n    print(sys.argv[1:])\n")
    venv_says(clone, "finish", "run")
    said = subprocess.run([clone / ".venv" / "bin" / "kilo-gateway", "a b"], capture_output=True, text=True, check=True)
    assert said.stdout == "['a b']\n"


PRETENDER = """#!/bin/sh
echo "$*" >>"$0.calls"
[ "$1" = serve ] || { echo model >"$HOME/model" && echo "$HOME/model"; }
"""


def test_the_model_is_fetched_once_and_again_when_it_is_gone(clone: Path) -> None:
    venv.create(clone / ".venv", with_pip=False, symlinks=True)
    venv_says(clone, "finish", "run")
    command = clone / ".venv" / "bin" / "kilo-gateway"
    command.write_text(PRETENDER)

    def asked() -> list[str]:
        assert run(clone, "--port", "1").returncode == 0
        calls = command.with_name("kilo-gateway.calls")
        found = calls.read_text().splitlines()
        calls.unlink()
        return found

    assert asked() == ["local fetch", "serve --port 1"]
    assert asked() == ["serve --port 1"]
    (clone / "model").unlink()
    assert asked() == ["local fetch", "serve --port 1"]


@pytest.mark.parametrize("is_absolute", [True, False])
def test_through_a_link_it_works_in_its_own_directory(clone: Path, tmp_path: Path, is_absolute: bool) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "first").symlink_to(clone / "run" if is_absolute else Path("..", clone.name, "run"))
    (links / "run").symlink_to("first")
    path = only(tmp_path / "bin", 'echo "$@" >&2; [ "$1" = -c ]')
    (tmp_path / "bin" / "readlink").symlink_to(shutil.which("readlink") or "readlink")
    answer = run(links, "setup", path=path)
    assert f"-m venv --clear {clone.resolve()}/.venv" in answer.stderr
    assert sorted(each.name for each in links.iterdir()) == ["first", "run"]


@pytest.mark.parametrize("script", ["run", "scripts/lock", "scripts/fresh", "scripts/system-deps"])
def test_a_shell_script_is_read_by_a_plain_shell(script: str) -> None:
    shell = shutil.which("dash") or "sh"
    assert subprocess.run([shell, "-n", ROOT / script], check=False).returncode == 0


def test_this_python_can_read_the_scripts() -> None:
    for script in ROOT.glob("scripts/*.py"):
        compile(script.read_text(), str(script), "exec")
    assert sys.version_info >= (3, 11)
