"""Every dialect, by its name: what callers speak, and what upstreams do. The one file that knows them all."""

from kilo_gateway.dialects import openai_chat, sse
from kilo_gateway.dialects.chat import asking, reading, shaping, writing
from kilo_gateway.dialects.sides import CallerSide, UpstreamSide

CALLERS: dict[str, CallerSide] = {
    openai_chat.NAME: CallerSide(asking.read_request, writing.Writer, writing.write_answer),
}
UPSTREAMS: dict[str, UpstreamSide] = {
    openai_chat.NAME: UpstreamSide(
        shaping.write_request, sse.Splitter,
        lambda endpoint: reading.Reader(is_cost_reported=endpoint.is_cost_reported),
        lambda body, endpoint: reading.read_answer(body, is_cost_reported=endpoint.is_cost_reported),
        reading.read_error, frozenset({"n", "logprobs"}),
    ),
}  # fmt: skip
