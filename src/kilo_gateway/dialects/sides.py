"""What a dialect has to offer to be one end of a crossing. chat, messages, responses ... are modules that do."""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Raw, Struct

from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Endpoint
from kilo_gateway.dialects.hub.answered import Answer, AnswerHead, Event, Failed, StreamReader, StreamWriter
from kilo_gateway.dialects.hub.asked import Request, Target, Written


class Splitter(Protocol):
    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]: ...
    def rest(self) -> list[tuple[bytes, bytes]]: ...


class CallerSide(Struct, frozen=True):
    """`words`: the hub's names of fields, as this dialect has them. `tells_failures`: it has a word for an answer that ends

    with an error.
    """

    read_request: Callable[[Mapping[str, Raw]], Request]
    writer: Callable[[AnswerHead], StreamWriter]
    write_answer: Callable[[Answer, AnswerHead, Usage, float | None], bytes]
    words: Mapping[str, str] = {}
    tells_failures: bool = True


def no_obstacle(request: Request, target: Target) -> str:
    return ""


def never(request: Request, target: Target) -> bool:
    return False


class UpstreamSide(Struct, frozen=True):
    """`reader` and `read_answer` are made for an endpoint. `abilities`: of n, audio, and urls (of images and files),
    what it can be asked for. `tool_ids`: what ids of tool calls it takes; empty: any. `output_obstacle`: why it cannot
    be held to the JSON that the request wants, or nothing; `answers_by_tool`: whether it gives it by calling a tool.
    `has_last`: a stream ends with an event that says no more than that; without it a finish is not the end.
    """

    write_request: Callable[[Request, Target], Written]
    splitter: Callable[[], Splitter]
    reader: Callable[[Endpoint], StreamReader]
    read_answer: Callable[[bytes, Endpoint], list[Event]]
    read_error: Callable[[bytes, int], Failed]
    abilities: frozenset[str] = frozenset()
    tool_ids: str = ""
    output_obstacle: Callable[[Request, Target], str] = no_obstacle
    answers_by_tool: Callable[[Request, Target], bool] = never
    has_last: bool = False
