"""A pytest plugin: where KILO_CI=1 a skipped test is a failure, since there everything a test needs is installed.

Elsewhere a test may be skipped, with its reason, when the machine lacks what it needs.
"""

import os

import pytest


def _is_strict() -> bool:
    return os.environ.get("KILO_CI") == "1"


def _skipped(config: pytest.Config) -> list[pytest.TestReport | pytest.CollectReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("skipped", []) if reporter else []


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _is_strict() and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = _skipped(terminalreporter.config)
    if not (_is_strict() and skipped):
        return
    terminalreporter.section("skipped tests are failures with KILO_CI=1", sep="=", red=True)
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.line(f"SKIPPED {report.nodeid}: {reason}")
