"""Waiting for what no event tells: looked for again and again, with an end."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_S = 0.005


def until(look: Callable[[], T], seconds: float = 10.0, told: Callable[[], object] = lambda: "") -> T:
    """The first true value of `look`. Fails after `seconds`, with what `told` says then."""
    ends_at = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends_at, f"not within {seconds} s. {told()}"
        time.sleep(LOOK_S)
    return found
