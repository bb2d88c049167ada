"""Every dialect, by its name: what callers speak, and what upstreams do. The one file that knows them all."""

from kilo_gateway.dialects import openai_chat, sse
from kilo_gateway.dialects.chat import asking as chat_asking
from kilo_gateway.dialects.chat import reading as chat_reading
from kilo_gateway.dialects.chat import shaping as chat_shaping
from kilo_gateway.dialects.chat import writing as chat_writing
from kilo_gateway.dialects.gemini import asking as gemini_asking
from kilo_gateway.dialects.gemini import reading as gemini_reading
from kilo_gateway.dialects.sides import CallerSide, UpstreamSide

CALLERS: dict[str, CallerSide] = {
    openai_chat.NAME: CallerSide(chat_asking.read_request, chat_writing.Writer, chat_writing.write_answer),
}
UPSTREAMS: dict[str, UpstreamSide] = {
    openai_chat.NAME: UpstreamSide(
        chat_shaping.write_request, sse.Splitter,
        lambda endpoint: chat_reading.Reader(is_cost_reported=endpoint.is_cost_reported),
        lambda body, endpoint: chat_reading.read_answer(body, is_cost_reported=endpoint.is_cost_reported),
        chat_reading.read_error, frozenset({"n", "logprobs"}),
    ),
    "gemini": UpstreamSide(
        gemini_asking.write_request, sse.Splitter, lambda endpoint: gemini_reading.Reader(),
        lambda body, endpoint: gemini_reading.read_answer(body), gemini_reading.read_error,
    ),
}  # fmt: skip
