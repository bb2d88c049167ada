"""A failed test is reported whatever else parses meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

from tests.architecture.rules import ROOT

MEETS_A_PARSER = '''
import ast
import gc

import pytest


@pytest.fixture
def parsing():
    gc.callbacks.append(lambda *_: ast.parse("(1, (2, 3))"))
    gc.set_threshold(10)
    yield
    gc.set_threshold(700, 10, 10)
    gc.callbacks.clear()


def test_one(parsing):
    assert 1 == 2, "told"
'''


def test_a_failure_is_told_although_the_collector_meets_what_parses(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(MEETS_A_PARSER)
    command = [sys.executable, "-m", "pytest", "-p", "tests.reports", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "AssertionError: told" in ended.stdout and "1 failed" in ended.stdout, ended.stderr
    assert "INTERNALERROR" not in ended.stdout + ended.stderr
