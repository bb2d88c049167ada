"""Functions, as they were before tools: of calls without ids, each result follows the call that it answers by its name."""

from msgspec import Struct

from kilo_gateway.dialects.chat import shapes


class Functions(Struct):
    """Ids for calls, made of their place in the history; `waiting`: those that have no result yet, by name."""

    waiting: dict[str, list[str]] = {}

    def called(self, name: str, at: int) -> str:
        id = f"function_{at}"
        self.waiting.setdefault(name, []).append(id)
        return id

    def answered(self, name: str, at: int) -> str:
        """A result that answers no call has an id of its own."""
        waiting = self.waiting.get(name)
        return waiting.pop(0) if waiting else f"function_{at}"


def as_tools(functions: list[shapes.ToolFunction] | None) -> list[shapes.Tool]:
    return [shapes.Tool(function=function) for function in functions or ()]


def as_choice(call: shapes.Named | str | None) -> shapes.Choice | str | None:
    return shapes.Choice("function", call) if isinstance(call, shapes.Named) else call
