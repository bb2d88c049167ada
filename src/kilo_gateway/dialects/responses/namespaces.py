"""Tools in namespaces, as Codex has those of MCP servers and of its sub-agents. https://platform.openai.com/docs/guides/tools

Elsewhere they are functions like all others, whose names say both; in the answer both are told apart again.
"""

import re
from collections.abc import Iterable
from hashlib import sha256

_MAX = 64  # of the letters that every upstream takes
_odd = re.compile(r"[^A-Za-z0-9_-]").sub


class Names:
    """A name for each tool of a namespace, which no other tool has. `plain`: names of the tools that are in none."""

    def __init__(self, plain: Iterable[str] = ()) -> None:
        self._taken = set(plain)
        self._made: dict[tuple[str, str], str] = {}

    def of(self, namespace: str, name: str) -> str:
        """The same each time, for a call as for its tool."""
        if not namespace:
            return name
        made = self._made.get((namespace, name))
        if made is None:
            made = self._made[namespace, name] = self._free(namespace, name)
            self._taken.add(made)
        return made

    def _free(self, namespace: str, name: str) -> str:
        told = f"{namespace.removesuffix('__')}__{name}"
        fit = _odd("_", told)[:_MAX]
        if fit == told and fit not in self._taken:
            return fit
        mark = sha256(f"{namespace}\0{name}".encode()).hexdigest()[:8]
        return f"{fit[: _MAX - 9]}_{mark}"
