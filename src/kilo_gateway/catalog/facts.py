"""What is known of a model at one place that serves it, who said so, and when. Merging is here; reading lists is not."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import asdict

from kilo_gateway.core.price import Price

CATEGORIES = (
    "programming", "roleplay", "marketing", "marketing/seo", "technology", "science", "translation", "legal", "finance",
    "health", "trivia", "academia",
)  # fmt: skip


class Reasoning(Struct, frozen=True):
    """How a model can be made to think. `efforts` from the highest to the lowest; empty: all are accepted."""

    mandatory: bool = False
    default_enabled: bool | None = None
    default_effort: str | None = None
    efforts: tuple[str, ...] = ()
    supports_max_tokens: bool = False


class DataPolicy(Struct, frozen=True):
    """What becomes of prompts. None: nobody said."""

    may_train: bool | None = None
    retains: bool | None = None  # False: zero data retention


class Battle(Struct, frozen=True):
    """How a model does in one category of one arena of Design Arena. `rank`, `win_rate` (percent): None where not told."""

    arena: str  # models builders agents ...
    category: str  # website gamedev ...
    elo: float
    rank: int | None = None
    win_rate: float | None = None


class Facts(Struct, frozen=True, kw_only=True):
    """What one source says; None: it does not say. Token counts are whole tokens, times Unix seconds, days YYYY-MM-DD."""

    name: str | None = None
    description: str | None = None
    created: int | None = None
    context: int | None = None
    max_output: int | None = None
    input_modalities: tuple[str, ...] | None = None  # text image file audio video
    output_modalities: tuple[str, ...] | None = None  # text image audio embeddings transcription speech
    parameters: tuple[str, ...] | None = None  # OpenRouter's names: tools, reasoning, response_format ...
    price: Price | None = None
    discount: float | None = None
    tokenizer: str | None = None
    instruct_type: str | None = None
    reasoning: Reasoning | None = None
    knowledge_cutoff: str | None = None
    expires: str | None = None
    hugging_face_id: str | None = None
    canonical_slug: str | None = None
    alias_target: str | None = None
    quantization: str | None = None
    is_moderated: bool | None = None
    policy: DataPolicy | None = None
    regions: tuple[str, ...] | None = None
    caches_implicitly: bool | None = None
    services: tuple[str, ...] | None = None  # besides chat, or instead of it: fim, edit
    voices: tuple[str, ...] | None = None
    dimension: int | None = None  # of an embedding
    family: str | None = None  # claude gpt gemini llama mistral ...
    ai_sdk_provider: str | None = None
    benchmarks: dict[str, float] | None = None  # intelligence, coding, agentic
    battles: tuple[Battle, ...] | None = None
    categories: tuple[str, ...] | None = None  # of CATEGORIES, in their order: what it is used for


class Origin(Struct, frozen=True):
    """Who said a fact, and when: Unix seconds, or 0 where it is always so. `rank`: among sources, the lower is believed."""

    source: str
    at: int
    rank: int = 0


CONFIGURED, LISTED, OVERLAY, BOOKED = range(4)


class Said(Struct, frozen=True):
    """Facts with their origin."""

    facts: Facts
    origin: Origin


class Card(Struct, frozen=True):
    """Facts put together, and who said each."""

    facts: Facts
    origins: dict[str, Origin]


def merge(said: Iterable[Said]) -> Card:
    """For each field, the first that says something. Merging what it gives again changes nothing."""
    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    for each in said:
        for name, value in asdict(each.facts).items():
            if value is not None and name not in values:
                values[name] = value
                origins[name] = each.origin
    return Card(Facts(**values), origins)  # type: ignore[arg-type]  # each came out of the field of its name


def join(cards: Iterable[Card]) -> Card:
    """Of several places of one model: for each field the source that is believed most, of equals the first place."""
    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    for card in cards:
        for name, origin in card.origins.items():
            if name not in values or origin.rank < origins[name].rank:
                values[name] = getattr(card.facts, name)
                origins[name] = origin
    return Card(Facts(**values), origins)  # type: ignore[arg-type]  # as above
