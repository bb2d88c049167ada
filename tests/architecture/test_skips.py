"""With KILO_CI=1 a skipped test fails the run; without, it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.architecture.rules import ROOT

SKIPPED = "import pytest\n\n@pytest.mark.skip(reason='no such server')\ndef test_one():\n    pass\n"
SKIPPED_MODULE = "import pytest\n\npytest.skip('no such server', allow_module_level=True)\n"
PASSED = "def test_two():\n    pass\n"


def outcome(directory: Path, text: str, strict: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_example.py").write_text(text)
    options = ["-p", "tests.skips", "-p", "no:cacheprovider", "--rootdir", str(directory)]
    environment = {**os.environ, "KILO_CI": strict, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", *options, str(directory)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("text", [SKIPPED, SKIPPED_MODULE, SKIPPED + PASSED])
def test_a_skipped_test_fails_ci_and_is_named_with_its_reason(tmp_path: Path, text: str) -> None:
    ended = outcome(tmp_path, text, strict="1")
    assert ended.returncode == 1
    assert "SKIPPED test_example.py" in ended.stdout and "no such server" in ended.stdout


def test_a_skipped_test_is_no_failure_elsewhere(tmp_path: Path) -> None:
    assert outcome(tmp_path, SKIPPED + PASSED, strict="0").returncode == 0


def test_ci_passes_when_nothing_was_skipped(tmp_path: Path) -> None:
    assert outcome(tmp_path, PASSED, strict="1").returncode == 0
