"""Codes of upstreams' errors. They are logged: words of a prompt that an upstream quotes there must not be."""

import re

NO_CODE = "upstream_error"
_is_code = re.compile(r"[A-Za-z0-9_.:-]{1,64}").fullmatch


def code_of(*told: object) -> str:
    """The first text that looks like one."""
    return next((each for each in told if isinstance(each, str) and _is_code(each)), NO_CODE)
