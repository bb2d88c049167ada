"""What an upstream is told to answer, in no dialect: `Reply`. The same reply is spoken by each fake as its provider would."""

import base64
import itertools
import json
import threading
from dataclasses import dataclass, field, replace


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SIGNATURES = {  # one for each family of providers; base64, as all of them are
    "chat": b64("signature of the house that speaks chat") , "responses": b64("encrypted reasoning of the Responses house"),
    "messages": b64("signature of the Messages house"), "gemini": b64("thought signature of the Gemini house"),
    "converse": b64("signature of the Converse house"), "cohere": "",
}  # fmt: skip


@dataclass(frozen=True)
class Usage:
    """`prompt` and `completion` are whole: cached and written tokens belong to the first, reasoning to the second."""

    prompt: int = 1_000
    completion: int = 500
    cached: int = 0
    written: int = 0
    reasoning: int = 0

    @property
    def fresh(self) -> int:
        return self.prompt - self.cached - self.written


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    arguments: dict

    def pieces(self) -> list[str]:
        """The arguments as text, in pieces as they are streamed."""
        text = json.dumps(self.arguments, ensure_ascii=False)
        return [text[at : at + 7] for at in range(0, len(text), 7)]


@dataclass(frozen=True)
class Reply:
    """`finish`: stop length tool_calls content_filter stop_sequence. `error` and `cut` count payload events of a stream."""

    text: tuple[str, ...] = ("Paris", " is the", ' capital: café ☕ "x" \\ \n.')
    thinking: tuple[str, ...] = ()
    is_signed: bool = True
    redacted: str = ""
    details: bool = True  # of a chat upstream: reasoning_details as OpenRouter has them; else reasoning_content as DeepSeek has it
    calls: tuple[Call, ...] = ()
    structured: dict | None = None  # the answer where a schema was asked for, in whichever way it was
    is_searched: bool = False  # the provider ran a web search of its own before it answered (Messages, Responses)
    image: str = ""  # base64 of a PNG that it drew (Gemini)
    citations: tuple[tuple[str, str], ...] = ()  # (url, title)
    finish: str = "stop"
    usage: Usage | None = field(default_factory=Usage)
    status: int = 200  # anything else: an error before the first byte
    message: str = "the model is on holiday"
    retry_after: str = ""
    error: int | None = None  # after so many events: an error event, and the end
    cut: int | None = None  # after so many events the stream ends, cleanly framed and without its last word
    cut_how: str = "end"  # end reset
    is_torn: bool = False  # a cut stream ends in the middle of the next event
    is_odd: bool = False  # events, members and content that nobody knows, in between
    split: int = 0  # bytes of each write, 0: an event at a time
    pause_s: float = 0.0  # between events

    @property
    def whole(self) -> str:
        return "".join(self.text)

    @property
    def thought(self) -> str:
        return "".join(self.thinking)


WEATHER = Call("call_wea1", "get_weather", {"city": "Paris", "unit": "°C"})
CLOCK = Call("call_clo2", "get_time", {"zone": "Europe/Paris", "hours": [1, 2.5]})
THOUGHTS = ("First I think", " of the map;", " then I answer.")

PLAIN = Reply()
ONE_CALL = Reply(text=("Let me look.",), calls=(WEATHER,), finish="tool_calls")
TWO_CALLS = Reply(text=(), calls=(WEATHER, CLOCK), finish="tool_calls")
THINKING = Reply(thinking=THOUGHTS, usage=Usage(1_000, 500, reasoning=120))
THINKING_CALL = Reply(text=(), thinking=THOUGHTS, calls=(WEATHER,), finish="tool_calls", usage=Usage(1_000, 500, reasoning=120))
THINKING_CLOCK = replace(THINKING_CALL, calls=(CLOCK,))  # another call, for a later turn: ids are new in each
STRUCTURED = Reply(text=(), structured={"city": "Paris", "people": 2_100_000})
CITED = Reply(citations=(("https://example.com/paris", "Paris, a city"),))
EMPTY = Reply(text=(), usage=Usage(1_000, 0))
SEARCHED = Reply(is_searched=True)
ODD = replace(PLAIN, is_odd=True)
CACHED = Reply(usage=Usage(10_000, 500, cached=7_000))
WRITTEN = Reply(usage=Usage(10_000, 500, cached=4_000, written=3_000))


class Scripts:
    """Replies by name; `script:NAME` anywhere in a request chooses one. A list is played one after the other, its last repeats."""

    def __init__(self) -> None:
        self._names = itertools.count(1)
        self._replies: dict[str, list[Reply]] = {}
        self._uses: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, *replies: Reply) -> str:
        with self._lock:
            name = f"d{next(self._names)}z"
            self._replies[name] = list(replies)
            return name

    def next(self, name: str) -> Reply:
        with self._lock:
            replies = self._replies.get(name) or [PLAIN]
            n = self._uses.get(name, 0)
            self._uses[name] = n + 1
            return replies[min(n, len(replies) - 1)]


SCRIPTS = Scripts()
