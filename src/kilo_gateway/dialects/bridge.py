"""Which dialect meets which. Where caller and upstream speak the same, the answer is relayed and the request spliced;

else both cross through the hub. dialects/table.py knows them all.
"""

import re
from collections.abc import Mapping

import msgspec

from kilo_gateway.core.errors import BadAnswer, LoopDetected, UpstreamError
from kilo_gateway.core.money import Nanos
from kilo_gateway.core.ports import Translator
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects import openai_chat, quiet, relaying
from kilo_gateway.dialects.chat.foreign import without_foreign
from kilo_gateway.dialects.hub.asked import Audio, File, Image, Request, Target, Video
from kilo_gateway.dialects.hub.first_answer import FirstAnswer
from kilo_gateway.dialects.media import is_address, needed, supplied
from kilo_gateway.dialects.openai_chat import Problem
from kilo_gateway.dialects.origins import origin_of
from kilo_gateway.dialects.relay import RelayBody, RelayStream
from kilo_gateway.dialects.relaying import NamedBody, NamedStream
from kilo_gateway.dialects.repair import repaired
from kilo_gateway.dialects.responses.asking import replays_foreign_thoughts
from kilo_gateway.dialects.table import CALLERS, CHAT_RULES, RELAYS, RESPONSES, SERVICES, UPSTREAMS
from kilo_gateway.dialects.tool_ids import FORMS
from kilo_gateway.dialects.top_level import EMPTY, is_plain, mended
from kilo_gateway.dialects.translated import TranslatedBody, TranslatedStream
from kilo_gateway.dialects.troubles import told_by

_NO_PICTURES = "the local model takes text alone, no images and no audio. {}"
_REASONING = ("reasoning", "reasoning_effort", "include_reasoning", "thinking")
_RETRY_AFTER = re.compile(r"[0-9A-Za-z ,:.+-]{1,64}").fullmatch
_address = re.compile(rb'"(?:url|image_url|file_data)"\s*:\s*"https?:', re.IGNORECASE).search
_of_its_limits = re.compile(r"context|image|audio|tool", re.IGNORECASE).search
_STREAMS = (b"text/event-stream", b"application/vnd.amazon.eventstream")
_decode_name = msgspec.json.Decoder(str).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Bridge:
    def __init__(self, *, fetches: bool = False) -> None:
        """`fetches`: what upstreams need as bytes is fetched before it is sent, so that URLs are no obstacle."""
        self._fetches = fetches

    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        """Why this endpoint cannot take the call, with the cure, or nothing. Raises BadRequest for what cannot be read."""
        if _is_spliced(call, endpoint):
            if endpoint.is_demo and openai_chat.asks_for_tools(call):
                return f"the local demo model cannot call tools. {endpoint.cure}"
            return _NO_PICTURES.format(endpoint.cure).rstrip() if endpoint.is_local and _shows_something(call) else ""
        if call.service:
            return SERVICES[call.service].obstacle(call, endpoint)
        if endpoint.dialect not in UPSTREAMS or call.dialect not in CALLERS:
            return f"{call.dialect} requests cannot be sent to a {endpoint.dialect} upstream"
        if _is_relayed(call, endpoint):
            return ""
        return _obstacle(_crossing(call), endpoint, _abilities(call, endpoint), fetches=self._fetches)

    def needed_bytes(self, call: Call, endpoint: Endpoint) -> dict[str, frozenset[str]]:
        request = call.crossing
        if call.service or not isinstance(request, Request) or _is_relayed(call, endpoint):
            return {}
        return {} if "urls" in _abilities(call, endpoint) else needed(request)

    def supply(self, call: Call, fetched: Mapping[str, str]) -> None:
        call.crossing = supplied(_crossing(call), fetched)

    def at_once(self, call: Call, endpoint: Endpoint) -> bytes:
        """The answer to what need not be sent at all; mostly nothing. Asked of services alone."""
        return SERVICES[call.service].at_once(call, endpoint)

    def shape(self, call: Call, endpoint: Endpoint, output_cap: int | None) -> bytes:
        call.dropped, call.changed, call.clamped, call.mended = _unknown_to(endpoint, call), (), (), None
        if _is_spliced(call, endpoint):
            fields = None if is_plain(call.fields, endpoint, CHAT_RULES) else mended(call, endpoint, CHAT_RULES)
            cleaned = without_foreign(fields or call.fields, endpoint)
            if cleaned is not None:
                fields, call.changed = cleaned
            return openai_chat.splice(call, endpoint, output_cap, fields)
        if call.service:
            return SERVICES[call.service].shape(call, endpoint)
        if _is_relayed(call, endpoint):
            return relaying.splice(call, endpoint, RELAYS[call.dialect], output_cap)
        request = _crossing(call)
        if output_cap is not None:
            request = msgspec.structs.replace(request, max_tokens=output_cap)
        return self._cross(call, endpoint, request)

    def _cross(self, call: Call, endpoint: Endpoint, request: Request) -> bytes:
        upstream, words = UPSTREAMS[endpoint.dialect], CALLERS[call.dialect].words
        whole, repairs = repaired(request, FORMS.get(endpoint.tool_ids or upstream.tool_ids))
        written = upstream.write_request(whole, _target(endpoint))
        call.dropped = tuple(words.get(name, name) for name in (*request.lost, *written.dropped))
        call.changed = tuple([_in_words(each, words) for each in written.changed])
        call.clamped = tuple([_in_words(each, words) for each in written.clamped])
        if call.fields.get("tools") == EMPTY:
            repairs["empty_tools"] += 1
        if call.clamped:
            repairs["out_of_range"] += len(call.clamped)
        call.mended = repairs or None
        return written.body

    def translator(self, call: Call, endpoint: Endpoint, content_type: bytes) -> Translator:
        """Raises BadAnswer when the answer is not of the kind that was asked for."""
        is_stream = content_type.startswith(_STREAMS)
        if not call.is_stream:
            if is_stream:
                raise BadAnswer(f"{endpoint.provider} streamed an answer that was not to be streamed.")
            return self._body(call, endpoint, content_type)
        if b"json" in content_type:
            body = self._body(call, endpoint, content_type)
            return body if call.service and SERVICES[call.service].makes_streams else _Unstreamed(body, endpoint)
        if b"html" in content_type:
            raise BadAnswer(f"{endpoint.provider} answered a streaming request with {content_type.decode('latin-1')}.")
        if _is_spliced(call, endpoint):
            return (quiet.QuietStream if quiet.is_wanted(call.fields) else RelayStream)(call, endpoint)
        if call.service:
            return SERVICES[call.service].translator(call, endpoint, content_type)
        if _is_relayed(call, endpoint):
            return NamedStream(call, endpoint, UPSTREAMS[endpoint.dialect], RELAYS[call.dialect])
        upstream, answer = UPSTREAMS[endpoint.dialect], _first_answer(call, endpoint)
        return TranslatedStream(call, endpoint, CALLERS[call.dialect], upstream, answer)

    def refused(self, endpoint: Endpoint, status: int, body: bytes, retry_after: str) -> UpstreamError:
        """An error answer of an upstream. What it says of our own credential is not the caller's to read."""
        if status < 400:
            cure = "redirects are never followed" if status >= 300 else "200 was expected"
            return BadAnswer(f"{endpoint.provider} answered {status}; {cure}.")
        failed = UPSTREAMS[endpoint.dialect].read_error(_unwrapped(body), status)
        problem = Problem(failed.message, failed.code)
        if endpoint.is_demo and status == 400 and _of_its_limits(problem.message):
            problem = problem._replace(message=f"{problem.message.rstrip('.')}. {endpoint.cure}")
        refused = told_by(endpoint, status, problem, _sane(retry_after))
        if (status, problem.code) == (LoopDetected.status, LoopDetected.code):
            refused.status = status  # another gateway that met itself: the caller is told so, however many are between
        return refused

    def _body(self, call: Call, endpoint: Endpoint, content_type: bytes) -> Translator:
        if _is_spliced(call, endpoint):
            return (quiet.QuietBody if quiet.is_wanted(call.fields) else RelayBody)(call, endpoint)
        if call.service:
            return SERVICES[call.service].translator(call, endpoint, content_type)
        if _is_relayed(call, endpoint):
            return NamedBody(call, endpoint, UPSTREAMS[endpoint.dialect], RELAYS[call.dialect])
        upstream, answer = UPSTREAMS[endpoint.dialect], _first_answer(call, endpoint)
        return TranslatedBody(call, endpoint, CALLERS[call.dialect], upstream, answer)


class _Unstreamed:
    """A JSON answer to a streaming request: of use only for the error that may be in it."""

    is_done = False

    def __init__(self, body: Translator, endpoint: Endpoint) -> None:
        self._body = body
        self._endpoint = endpoint
        self.feed, self.used, self.held, self.failure = body.feed, body.used, body.held, body.failure
        self.estimated_output_tokens, self.finish_reason = body.estimated_output_tokens, body.finish_reason
        self.upstream_id = ""
        self.cost: Nanos | None = None

    def finish(self) -> bytes:
        self._body.finish()
        raise BadAnswer(f"{self._endpoint.provider} answered a streaming request with one JSON body.")


def _is_spliced(call: Call, endpoint: Endpoint) -> bool:
    """A chat request to a chat upstream, unless something in it has to be fetched first."""
    if not endpoint.dialect == call.dialect == openai_chat.NAME:
        return False
    return endpoint.takes_urls or _address(bytes(call.fields.get("messages", b""))) is None


def _is_relayed(call: Call, endpoint: Endpoint) -> bool:
    """Where both speak the same, unless the request carries what only the gateway itself can read."""
    if endpoint.dialect != call.dialect or call.dialect not in RELAYS:
        return False
    if call.dialect == RESPONSES and replays_foreign_thoughts(call.fields):
        return False
    return not (endpoint.is_demo or endpoint.is_local)


def _unknown_to(endpoint: Endpoint, call: Call) -> tuple[str, ...]:
    """Of a request that is relayed: how much to think, where the model is known not to."""
    if endpoint.parameters is None or "reasoning" in endpoint.parameters:
        return ()
    return tuple([name for name in _REASONING if name in call.fields])


def _crossing(call: Call) -> Request:
    """Read once, for all endpoints that are looked at."""
    if not isinstance(call.crossing, Request):
        call.crossing = CALLERS[call.dialect].read_request(call.fields)
    return call.crossing


def _first_answer(call: Call, endpoint: Endpoint) -> FirstAnswer | None:
    """None where no tool stands for the answer's text."""
    request = call.crossing
    if not isinstance(request, Request) or request.output is None:
        return None
    return FirstAnswer() if UPSTREAMS[endpoint.dialect].answers_by_tool(request, _target(endpoint)) else None


def _abilities(call: Call, endpoint: Endpoint) -> frozenset[str]:
    """What can be asked for through the hub, whose answers are one."""
    can = UPSTREAMS[endpoint.dialect].abilities
    if not endpoint.takes_urls:
        can -= {"urls"}
    return can - {"n"} if call.dialect == endpoint.dialect else can


def _obstacle(request: Request, endpoint: Endpoint, can: frozenset[str], *, fetches: bool) -> str:
    upstream = UPSTREAMS[endpoint.dialect]
    if request.choices > 1 and "n" not in can:
        return f"it gives one answer, not n = {request.choices}"
    if request.logprobs is not None:
        return f"logprobs do not cross from {endpoint.dialect} into another dialect"
    if request.output is not None and (found := upstream.output_obstacle(request, _target(endpoint))):
        return found
    if request.tools and endpoint.is_demo:
        return f"the local demo model cannot call tools. {endpoint.cure}"
    parts = (part for message in request.messages for part in message.parts)
    shown = [part for part in parts if isinstance(part, Image | Audio | File | Video)]
    if endpoint.is_local and shown:
        return _NO_PICTURES.format(endpoint.cure).rstrip()
    if "audio" not in can and any(isinstance(part, Audio) for part in shown):
        return "it takes no audio"
    if not (fetches or "urls" in can) and any(isinstance(part, Image | File) and is_address(part.url) for part in shown):
        return "it takes the bytes of an image or file, not its URL, and media.fetch is off: send a data: URL"
    return ""


def _target(endpoint: Endpoint) -> Target:
    parameters = None if endpoint.parameters is None else frozenset(endpoint.parameters)
    name = _decode_name(endpoint.model_json)
    return Target(
        name, endpoint.max_output, parameters, endpoint.cap_field or "max_tokens", endpoint.efforts, origin_of(endpoint),
        endpoint.platform, endpoint.is_strict,
    )  # fmt: skip


def _in_words(note: str, words: Mapping[str, str]) -> str:
    """The caller's word for the field that it begins with."""
    field, colon, how = note.partition(":")
    return f"{words.get(field, field)}{colon}{how}"


def _shows_something(call: Call) -> bool:
    """In a text these words would stand without their last quote: it would be escaped."""
    messages = bytes(call.fields.get("messages", b""))
    return b'"image_url"' in messages or b'"input_audio"' in messages


def _unwrapped(body: bytes) -> bytes:
    """Google puts errors into an array, whichever dialect it is asked in."""
    if body.lstrip()[:1] != b"[":
        return body
    try:
        return bytes(_decode_array(body)[0])
    except (msgspec.MsgspecError, IndexError, RecursionError):
        return body


def _sane(retry_after: str) -> str:
    """Seconds or a date; anything else is not passed on."""
    return retry_after if _RETRY_AFTER(retry_after) else ""
