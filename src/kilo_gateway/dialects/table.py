"""Every dialect, by its name: what callers speak, and what upstreams do. The one file that knows them all."""

from collections.abc import Callable

import msgspec

from kilo_gateway.dialects import eventstream, openai_chat, sse
from kilo_gateway.dialects.callers import Caller
from kilo_gateway.dialects.chat import asking as chat_asking
from kilo_gateway.dialects.chat import reading as chat_reading
from kilo_gateway.dialects.chat import shaping as chat_shaping
from kilo_gateway.dialects.chat import strict as chat_strict
from kilo_gateway.dialects.chat import writing as chat_writing
from kilo_gateway.dialects.cohere import asking as cohere_asking
from kilo_gateway.dialects.cohere import reading as cohere_reading
from kilo_gateway.dialects.completions import asking as completions_asking
from kilo_gateway.dialects.completions import writing as completions_writing
from kilo_gateway.dialects.converse import asking as converse_asking
from kilo_gateway.dialects.converse import reading as converse_reading
from kilo_gateway.dialects.converse import tools as converse_tools
from kilo_gateway.dialects.counting.service import Counting
from kilo_gateway.dialects.embeddings import others as embedding
from kilo_gateway.dialects.embeddings.crossing import Crossing
from kilo_gateway.dialects.embeddings.openai import OpenAISide
from kilo_gateway.dialects.embeddings.service import Embeddings
from kilo_gateway.dialects.embeddings.sides import Side
from kilo_gateway.dialects.fim.service import EDIT, FIM, Completing, check_edit, check_fim
from kilo_gateway.dialects.gemini import asking as gemini_asking
from kilo_gateway.dialects.gemini import reading as gemini_reading
from kilo_gateway.dialects.hub.answered import Event, StreamReader
from kilo_gateway.dialects.messages import asking as messages_asking
from kilo_gateway.dialects.messages import faults as messages_faults
from kilo_gateway.dialects.messages import foreign as messages_foreign
from kilo_gateway.dialects.messages import output as messages_output
from kilo_gateway.dialects.messages import reading as messages_reading
from kilo_gateway.dialects.messages import sending as messages_sending
from kilo_gateway.dialects.messages import usage as messages_usage
from kilo_gateway.dialects.messages import writing as messages_writing
from kilo_gateway.dialects.origins import origin_of
from kilo_gateway.dialects.relaying import Relay
from kilo_gateway.dialects.responses import asking as responses_asking
from kilo_gateway.dialects.responses import dangling as responses_dangling
from kilo_gateway.dialects.responses import reading as responses_reading
from kilo_gateway.dialects.responses import shaping as responses_shaping
from kilo_gateway.dialects.responses import writing as responses_writing
from kilo_gateway.dialects.services import Service
from kilo_gateway.dialects.sides import CallerSide, UpstreamSide
from kilo_gateway.dialects.transcription.service import Transcription

_decode_name = msgspec.json.Decoder(str).decode
CHAT, MESSAGES, RESPONSES = openai_chat.NAME, "anthropic-messages", "openai-responses"
COMPLETIONS = completions_asking.NAME

_CHAT_WORDS = {
    "allows_parallel": "parallel_tool_calls", "choices": "n", "output": "response_format", "cache_key": "prompt_cache_key",
    "cache": "cache_control", "thinking": "reasoning", "is_strict": "strict",
}  # fmt: skip
_MESSAGES_WORDS = {
    "allows_parallel": "disable_parallel_tool_use", "output": "output_format", "stop": "stop_sequences",
    "cache": "cache_control", "user": "metadata", "reasoning": "thinking", "is_strict": "strict",
}  # fmt: skip
_RESPONSES_WORDS = {
    "allows_parallel": "parallel_tool_calls", "max_tokens": "max_output_tokens", "output": "text", "verbosity": "text",
    "cache_key": "prompt_cache_key", "thinking": "reasoning", "logprobs": "top_logprobs", "is_strict": "strict",
}  # fmt: skip
CALLERS: dict[str, CallerSide] = {
    CHAT: CallerSide(chat_asking.read_request, chat_writing.Writer, chat_writing.write_answer, _CHAT_WORDS),
    MESSAGES: CallerSide(
        messages_asking.read_request, messages_writing.Writer, messages_writing.write_answer, _MESSAGES_WORDS,
        tells_failures=False,
    ),
    COMPLETIONS: CallerSide(
        completions_asking.read_request, completions_writing.Writer, completions_writing.write_answer, _CHAT_WORDS
    ),
    RESPONSES: CallerSide(
        responses_asking.read_request, responses_writing.Writer, responses_writing.write_answer, _RESPONSES_WORDS
    ),
}  # fmt: skip
MESSAGES_CALLER = Caller(
    MESSAGES, messages_asking.read_request, messages_writing.error_body, messages_writing.error_events
)  # fmt: skip
COMPLETIONS_CALLER = Caller(
    COMPLETIONS, completions_asking.read_request, openai_chat.error_body, completions_writing.error_events,
    completions_asking.check,
)  # fmt: skip
RESPONSES_CALLER = Caller(
    RESPONSES, responses_asking.read_request, responses_writing.error_body, responses_writing.error_events,
    responses_asking.check_stateless,
)  # fmt: skip

CHAT_RULES = chat_strict.RULES
# Same dialect on both sides, where events have names.
RELAYS = {
    MESSAGES: Relay(
        (b"message_", b'"error"'), frozenset({b"message_start"}), "message", frozenset({b"message_delta"}), "",
        messages_asking.RULES, messages_usage.usage_members,
        cleaned=lambda fields, endpoint: messages_foreign.without_foreign(fields, _decode_name(endpoint.model_json)),
        reasons={"tool_use": "tool_calls"},
    ),
    RESPONSES: Relay(
        (b'"response":', b'"error"'), frozenset({b"response.created", b"response.in_progress"}), "response",
        frozenset({b"response.completed", b"response.incomplete"}), "response",
        responses_asking.RULES, responses_writing.usage_members, responses_writing.failure_behind,
        cleaned=responses_dangling.without_dangling,
    ),
}

_EMBEDDINGS: dict[str, Side] = {
    CHAT: OpenAISide(), RESPONSES: OpenAISide(), "gemini": Crossing(embedding.of_gemini),
    "cohere": Crossing(embedding.of_cohere), "bedrock-converse": Crossing(embedding.of_bedrock),
}  # fmt: skip
_SERVICES: tuple[Service, ...] = (
    Embeddings(_EMBEDDINGS), Completing(FIM, check_fim), Completing(EDIT, check_edit), Counting(),
    Transcription(),
)  # fmt: skip
SERVICES = {each.name: each for each in _SERVICES}


def _plain(read: Callable[[bytes], list[Event]]) -> Callable[[bytes, object], list[Event]]:
    return lambda body, endpoint: read(body)


def _always(make: Callable[[], StreamReader]) -> Callable[[object], StreamReader]:
    return lambda endpoint: make()


_URLS = frozenset({"urls"})
UPSTREAMS: dict[str, UpstreamSide] = {
    CHAT: UpstreamSide(
        chat_shaping.write_request, sse.Splitter,
        lambda endpoint: chat_reading.Reader(is_cost_reported=endpoint.is_cost_reported, origin=origin_of(endpoint)),
        lambda body, endpoint: chat_reading.read_answer(
            body, is_cost_reported=endpoint.is_cost_reported, origin=origin_of(endpoint)
        ),
        chat_reading.read_error, frozenset({"n", "audio", "urls"}),
    ),
    RESPONSES: UpstreamSide(
        responses_shaping.write_request, sse.Splitter,
        lambda endpoint: responses_reading.Reader(is_cost_reported=endpoint.is_cost_reported),
        lambda body, endpoint: responses_reading.read_answer(body, is_cost_reported=endpoint.is_cost_reported),
        responses_reading.read_error, frozenset({"audio", "urls"}), "64",
    ),
    MESSAGES: UpstreamSide(
        messages_sending.write_request, sse.Splitter,
        lambda endpoint: messages_reading.Reader(is_cost_reported=endpoint.is_cost_reported),
        lambda body, endpoint: messages_reading.read_answer(body, is_cost_reported=endpoint.is_cost_reported),
        messages_faults.read_error, _URLS, "64-plain", messages_output.obstacle,
        messages_output.is_by_tool, has_last=True,
    ),
    "gemini": UpstreamSide(
        gemini_asking.write_request, sse.Splitter, _always(gemini_reading.Reader), _plain(gemini_reading.read_answer),
        gemini_reading.read_error, frozenset({"audio", "urls"}), output_obstacle=gemini_asking.output_obstacle,
    ),
    "bedrock-converse": UpstreamSide(
        converse_asking.write_request, eventstream.Splitter, _always(converse_reading.Reader),
        _plain(converse_reading.read_answer), converse_reading.read_error, tool_ids="64-plain",
        output_obstacle=converse_tools.output_obstacle, answers_by_tool=converse_tools.answers_by_tool,
    ),
    "cohere": UpstreamSide(
        cohere_asking.write_request, sse.Splitter, _always(cohere_reading.Reader), _plain(cohere_reading.read_answer),
        cohere_reading.read_error, _URLS,
    ),
}  # fmt: skip
