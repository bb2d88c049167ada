"""What an answer used, and what that costs. Whole numbers: prices in pico-USD a token or unit, amounts in nano-USD.

Components are summed in pico-USD and rounded up once. A kind of token without a rate of its own costs what the kind it
belongs to costs: cache reads, cache writes, audio and images belong to the prompt, one-hour cache writes to cache writes,
reasoning and what is spoken or drawn to the completion.
"""

from msgspec import Struct
from msgspec.structs import astuple, replace

from kilo_gateway.core.money import Nanos, Pico, nanos

AUDIO_TOKENS_PER_S = 10  # of audio, where its tokens have to be estimated: as many as OpenAI's models of speech count
_DAY_MS, _HOUR_MS, _MINUTE_MS = 86_400_000, 3_600_000, 60_000


class Usage(Struct, frozen=True):
    """Tokens of one answer. `reported_cost` is what the provider says it charged, where its word is taken.

    Prompt tokens include those read from and written to a cache and those of audio and images; cache writes include those
    for an hour; cached audio is counted as cache read and as audio; completion tokens include reasoning, audio and images.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_estimated: bool = False
    reported_cost: Nanos | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    cache_audio_tokens: int = 0
    input_image_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    images: int = 0  # in the prompt, where each has a price
    web_searches: int = 0
    audio_ms: int = 0  # of audio that was heard, where its length is told
    billed: tuple[int, int] | None = None  # prompt and completion tokens that are charged, where these are others

    def at_least(self, completion_tokens: int) -> "Usage":
        """As an estimate, of an answer that is told in part: neither its completion nor its charge is final."""
        tokens = max(self.completion_tokens, completion_tokens)
        return replace(self, completion_tokens=tokens, is_estimated=True, reported_cost=None)


_FIRST_KIND, _BEHIND_KINDS = map(Usage.__struct_fields__.index, ("cache_read_tokens", "audio_ms"))
KINDS = Usage.__struct_fields__[_FIRST_KIND:_BEHIND_KINDS]  # of tokens, and what is counted apiece; not the length of audio


def kinds(usage: Usage) -> tuple[int, int, int, int, int, int, int, int, int, int, int]:
    """The numbers of KINDS, in their order."""
    return astuple(usage)[_FIRST_KIND:_BEHIND_KINDS]


class Override(Struct, frozen=True):
    """Rates that hold under a condition: from so many prompt tokens on, and between two minutes of the UTC day.

    None: as without it. A window may go over midnight.
    """

    min_prompt_tokens: int = 0
    utc_minutes: tuple[int, int] | None = None
    input: Pico | None = None
    output: Pico | None = None
    cache_read: Pico | None = None
    cache_write: Pico | None = None
    cache_write_1h: Pico | None = None
    input_audio: Pico | None = None
    cache_audio: Pico | None = None
    input_image: Pico | None = None
    reasoning: Pico | None = None
    output_audio: Pico | None = None
    output_image: Pico | None = None

    def applies(self, prompt_tokens: int, at_ms: int) -> bool:
        if prompt_tokens < self.min_prompt_tokens:
            return False
        if self.utc_minutes is None:
            return True
        begin, end = self.utc_minutes
        minute = at_ms % _DAY_MS // _MINUTE_MS
        return begin <= minute < end if begin <= end else minute >= begin or minute < end


class Price(Struct, frozen=True):
    """Pico-USD for one token; `image`, `request` and `web_search` for each. Of overrides that apply, later ones win.

    `audio_hour`: for an hour of audio, where that is what is charged for; `least_audio_ms`: what is charged at least.
    """

    input: Pico
    output: Pico
    cache_read: Pico | None = None
    cache_write: Pico | None = None
    cache_write_1h: Pico | None = None
    input_audio: Pico | None = None
    cache_audio: Pico | None = None
    input_image: Pico | None = None
    reasoning: Pico | None = None
    output_audio: Pico | None = None
    output_image: Pico | None = None
    image: Pico = 0
    request: Pico = 0
    web_search: Pico = 0
    audio_hour: Pico = 0
    least_audio_ms: int = 0
    overrides: tuple[Override, ...] = ()

    @property
    def is_free(self) -> bool:
        """Whether nothing it has a rate for costs anything, at any time."""
        if self.input or self.output:
            return False
        rates = [getattr(self, name) for name in self.__struct_fields__ if name not in _NO_RATES]
        rates += [getattr(override, name) for override in self.overrides for name in TOKEN_RATES]
        return not any(rates)

    def dearest(self) -> tuple[Pico, Pico]:
        """A prompt token and a completion token of the dearest kind, at the dearest time."""
        rates = (self, *self.overrides)
        prompt, completion = (
            max(getattr(each, kind) or 0 for each in rates for kind in kinds) for kinds in (_PROMPT_RATES, _COMPLETION_RATES)
        )
        return prompt, completion

    def of(self, usage: Usage, at_ms: int) -> Nanos:
        """`at_ms`: when the request came, Unix milliseconds."""
        price = self.under(usage.prompt_tokens, at_ms) if self.overrides else self
        pico = price.request + usage.prompt_tokens * price.input + usage.completion_tokens * price.output
        return nanos(pico + price._beyond_plain_tokens(usage))

    def under(self, prompt_tokens: int, at_ms: int) -> "Price":
        """The rates of one request: overrides that apply are in force, none is left."""
        changed: dict[str, Pico] = {}
        for override in self.overrides:
            if override.applies(prompt_tokens, at_ms):
                rates = {name: getattr(override, name) for name in TOKEN_RATES}
                changed |= {name: rate for name, rate in rates.items() if rate is not None}
        return replace(self, overrides=(), **changed)

    def _beyond_plain_tokens(self, usage: Usage) -> Pico:
        """What kinds of tokens cost above (or, negative, below) the kind they belong to, and what is counted apiece."""
        read = self.input if self.cache_read is None else self.cache_read
        write = self.input if self.cache_write is None else self.cache_write
        pico = usage.cache_read_tokens * (read - self.input) + usage.cache_write_tokens * (write - self.input)
        if usage.cache_write_1h_tokens and self.cache_write_1h is not None:
            pico += usage.cache_write_1h_tokens * (self.cache_write_1h - write)
        if usage.input_audio_tokens:
            audio = self.input if self.input_audio is None else self.input_audio
            cached = self.cache_audio
            if cached is None:  # without a price for reading the cache, cached audio is audio
                cached = audio if self.cache_read is None else read
            pico += usage.input_audio_tokens * (audio - self.input)
            pico += usage.cache_audio_tokens * (self.input - read - audio + cached)  # counted on both sides above
        if usage.input_image_tokens and self.input_image is not None:
            pico += usage.input_image_tokens * (self.input_image - self.input)
        if usage.reasoning_tokens and self.reasoning is not None:
            pico += usage.reasoning_tokens * (self.reasoning - self.output)
        if usage.output_audio_tokens and self.output_audio is not None:
            pico += usage.output_audio_tokens * (self.output_audio - self.output)
        if usage.output_image_tokens and self.output_image is not None:
            pico += usage.output_image_tokens * (self.output_image - self.output)
        if usage.audio_ms and self.audio_hour:
            pico += self.of_audio(usage.audio_ms)
        return pico + usage.images * self.image + usage.web_searches * self.web_search

    def of_audio(self, audio_ms: int) -> Pico:
        """Rounded up."""
        return -(-max(audio_ms, self.least_audio_ms) * self.audio_hour // _HOUR_MS)

    @property
    def plain(self) -> tuple[Pico, Pico]:
        """For one token each way, of the plainest kind; audio that is charged by the hour has so many in a second."""
        return self.input or self.audio_hour // (AUDIO_TOKENS_PER_S * 3600), self.output


_NO_RATES = ("least_audio_ms", "overrides")
_COMPLETION_RATES = ("output", "reasoning", "output_audio", "output_image")
TOKEN_RATES = tuple(name for name in Override.__struct_fields__ if name not in ("min_prompt_tokens", "utc_minutes"))
_PROMPT_RATES = tuple(name for name in TOKEN_RATES if name not in _COMPLETION_RATES)
