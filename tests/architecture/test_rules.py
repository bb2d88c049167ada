"""The source tree keeps its rules, and each rule notices when it is broken."""

from pathlib import PurePosixPath

import pytest
from tests.architecture import rules
from tests.architecture.rules import Rule, Source


def source(text: str, path: str = "src/kilo_gateway/core/example.py") -> Source:
    return Source(PurePosixPath(path), text)


def breaches(rule: Rule, sources: list[Source]) -> list[str]:
    return [breach for source in sources for breach in rule(source)]


def test_the_rules_see_the_product() -> None:
    seen = {str(source.path) for source in rules.python_sources()}
    assert "src/kilo_gateway/core/pipeline.py" in seen
    assert seen <= {str(source.path) for source in rules.tracked_sources()}


def test_no_file_is_longer_than_500_lines() -> None:
    assert breaches(rules.long_file, rules.python_sources()) == []


def test_a_file_of_501_lines_is_noticed() -> None:
    assert rules.long_file(source("x = 1\n" * 501)) == ["src/kilo_gateway/core/example.py: 501 lines"]
    assert rules.long_file(source("x = 1\n" * 500)) == []


def test_no_function_is_longer_than_50_lines() -> None:
    assert breaches(rules.long_functions, rules.python_sources()) == []


@pytest.mark.parametrize("head", ["def f():\n", "async def f():\n", "class C:\n  @staticmethod\n  def f():\n"])
def test_a_function_of_51_lines_is_noticed(head: str) -> None:
    assert "f has 51 lines" in rules.long_functions(source(head + "    x = 1\n" * 50))[0]
    assert rules.long_functions(source(head + "    x = 1\n" * 49)) == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert breaches(rules.vague_name, rules.python_sources()) == []


@pytest.mark.parametrize("path", ["utils.py", "common/money.py", "core/helpers.py"])
def test_a_name_that_says_nothing_is_noticed(path: str) -> None:
    assert len(rules.vague_name(source("", f"src/kilo_gateway/{path}"))) == 1


def test_no_function_reaches_for_a_global() -> None:
    assert breaches(rules.global_statements, rules.python_sources()) == []


def test_a_global_statement_is_noticed() -> None:
    found = rules.global_statements(source("def f():\n    global a, b\n"))
    assert found == ["src/kilo_gateway/core/example.py:2: global a, b"]


def test_only_config_reads_the_environment() -> None:
    assert breaches(rules.environment_reads, rules.python_sources()) == []


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ['A']",
        "import os\nx = os.getenv('A')",
        "import os as system\nsystem.environ.get('A')",
        "from os import environ",
        "def f():\n    from os import getenv as read",
    ],
)
def test_reading_the_environment_elsewhere_is_noticed(text: str) -> None:
    assert len(rules.environment_reads(source(text))) == 1
    assert rules.environment_reads(source(text, rules.ENVIRONMENT_READER)) == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    assert breaches(rules.machine_paths, rules.tracked_sources()) == []


@pytest.mark.parametrize("parts", [("see ", "work", "notes.md"), ("'", "root", ".config'"), ("read ..", "shared", "design")])
def test_a_path_of_one_machine_is_noticed(parts: tuple[str, ...]) -> None:
    assert len(rules.machine_paths(source("/".join(parts), "README.md"))) == 1


@pytest.mark.parametrize("text", ["https://example.org/work/x", "src/work/x", "the work/ and the root/ of it"])
def test_a_path_that_only_looks_like_one_is_left_alone(text: str) -> None:
    assert rules.machine_paths(source(text, "README.md")) == []
