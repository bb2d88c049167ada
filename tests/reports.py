"""A pytest plugin: the report of a failed test is made without the garbage collector running in the middle of it.

To explain a failure pytest parses the test's source. Until Python 3.11.7 a finalizer that runs meanwhile and parses too, as
every warning of something left open does, ends that with a SystemError, and with it the whole run.
https://github.com/python/cpython/issues/106905
"""

import gc
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.excinfo is None:
        return (yield)
    gc.collect()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
