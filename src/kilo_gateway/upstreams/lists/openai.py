"""Lists as OpenAI has them: `{"data": [{"id", "created", …}]}`, or the rows alone.

Those who took the shape over say more in the same rows: OpenRouter and Kilo (prices, abilities), Groq, Mistral, vLLM,
LM Studio, Together. Each row is read for what it says, whoever it is from.
"""

from kilo_gateway.catalog.facts import Battle, DataPolicy, Facts, Reasoning
from kilo_gateway.core.price import Price
from kilo_gateway.upstreams.lists.fields import Fields
from kilo_gateway.upstreams.lists.listing import Listing, Row, Unpriced, collected, id_of
from kilo_gateway.upstreams.lists.opening import opened
from kilo_gateway.upstreams.lists.prices import price_of
from kilo_gateway.upstreams.lists.quantizations import quantization_of

EFFORTS = ("max", "xhigh", "high", "medium", "low", "minimal", "none")  # from the highest
_INPUTS = ("text", "image", "file", "audio", "video")
_OUTPUTS = ("text", "image", "embeddings", "audio", "video", "rerank", "speech", "transcription")
_SAME = {"pdf": "file", "embedding": "embeddings"}  # Kilo names PDF apart
_OF_TYPE = {"embedding": "embeddings", "embeddings": "embeddings", "image": "image", "rerank": "rerank"}
_CONTEXTS = ("context_length", "context_window", "max_model_len", "max_context_length")
_MAX_BATTLES, _MAX_ELO, _MAX_RANK = 50, 100_000, 100_000  # Design Arena has some ten categories and ratings about 1200
_INDICES = {"intelligence": "intelligence_index", "coding": "coding_index", "agentic": "agentic_index"}


def page(body: bytes) -> Listing:
    """Raises BadAnswer for what is no list."""
    rows, whole = opened(body, "data")
    return collected(rows, _row, whole.inner("links").string("next") or None)


def _row(row: Fields) -> Row:
    id = id_of(row, "id")
    aliases = tuple(alias for alias in row.texts("aliases") or () if alias != id)
    try:
        if row.is_odd("pricing"):
            raise ValueError("pricing is no object")
        price = price_of(row.inner("pricing"))
    except ValueError as error:
        raise Unpriced(Row(id, _facts(row, id, None), aliases), f"its price cannot be read: {error}") from error
    return Row(id, _facts(row, id, price), aliases)


def _facts(row: Fields, id: str, price: Price | None) -> Facts:
    top, architecture, opencode = row.inner("top_provider"), row.inner("architecture"), row.inner("opencode")
    name = row.text("display_name") or row.text("name")
    may_train = row.flag("mayTrainOnYourPrompts")
    return Facts(
        name=None if name == id else name,
        description=row.prose("description"),
        created=row.time("created"),
        context=_context(row, top),
        max_output=top.tokens("max_completion_tokens") or row.tokens("max_completion_tokens"),
        input_modalities=_inputs(row, architecture),
        output_modalities=_outputs(row, architecture),
        parameters=row.texts("supported_parameters"),
        price=price,
        discount=_share(row.inner("pricing").number("discount")),
        tokenizer=architecture.text("tokenizer"),
        instruct_type=architecture.text("instruct_type"),
        reasoning=_reasoning(row),
        knowledge_cutoff=row.day("knowledge_cutoff"),
        expires=row.day("expiration_date"),
        hugging_face_id=row.text("hugging_face_id"),
        canonical_slug=row.text("canonical_slug"),
        alias_target=row.inner("alias_target").text("slug") or row.text("alias_target"),
        quantization=quantization_of(row.text("quantization")),
        is_moderated=top.flag("is_moderated"),
        policy=None if may_train is None else DataPolicy(may_train=may_train),
        caches_implicitly=row.flag("supports_implicit_caching"),
        services=("fim",) if row.inner("capabilities").flag("completion_fim") else None,  # Mistral
        voices=row.texts("supported_voices") or None,
        family=opencode.text("family"),
        ai_sdk_provider=opencode.text("ai_sdk_provider"),
        benchmarks=_benchmarks(row.inner("benchmarks").inner("artificial_analysis")),
        battles=_battles(row.inner("benchmarks")),
    )


def _context(row: Fields, top: Fields) -> int | None:
    found = (row.tokens(key) for key in _CONTEXTS)
    return next((tokens for tokens in found if tokens), None) or top.tokens("context_length")


def _inputs(row: Fields, architecture: Fields) -> tuple[str, ...] | None:
    listed = architecture.texts("input_modalities") or _side(architecture, 0)
    if listed is not None:
        return _known(listed, _INPUTS)
    sees = row.inner("capabilities").flag("vision")  # Mistral
    if sees is None:
        return ("text", "image") if row.text("type") == "vlm" else None  # LM Studio
    return ("text", "image") if sees else ("text",)


def _outputs(row: Fields, architecture: Fields) -> tuple[str, ...] | None:
    listed = architecture.texts("output_modalities") or _side(architecture, 1)
    if listed is not None:
        return _known(listed, _OUTPUTS)
    kind = _OF_TYPE.get(row.text("type") or "")  # LM Studio, Together
    return None if kind is None else (kind,)


def _side(architecture: Fields, side: int) -> tuple[str, ...] | None:
    """Of `text+image->text`."""
    sides = (architecture.text("modality") or "").split("->")
    return tuple(sides[side].split("+")) if len(sides) == 2 else None


def _known(listed: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...] | None:
    same = (_SAME.get(each, each) for each in listed)
    return tuple(dict.fromkeys(each for each in same if each in known)) or None


def _reasoning(row: Fields) -> Reasoning | None:
    fields = row.inner("reasoning")
    if not fields.names():
        return None
    efforts = fields.texts("supported_efforts") or ()
    default = fields.text("default_effort")
    return Reasoning(
        fields.flag("mandatory") or False, fields.flag("default_enabled"), default if default in EFFORTS else None,
        tuple(effort for effort in EFFORTS if effort in efforts), fields.flag("supports_max_tokens") or False,
    )  # fmt: skip


def _benchmarks(fields: Fields) -> dict[str, float] | None:
    found = {ours: fields.number(theirs) for ours, theirs in _INDICES.items()}
    return {name: value for name, value in found.items() if value is not None} or None


def _battles(benchmarks: Fields) -> tuple[Battle, ...] | None:
    """Each category of an arena once, the first. Those without a rating are none."""
    found: dict[tuple[str, str], Battle] = {}
    for raw in (benchmarks.rows("design_arena") or ())[:_MAX_BATTLES]:
        fields = Fields.of(raw) or Fields({})
        arena, category, elo = fields.text("arena"), fields.text("category"), fields.number("elo")
        if arena and category and elo is not None and 0 < elo < _MAX_ELO:
            battle = Battle(arena, category, elo, fields.whole("rank", _MAX_RANK), _percent(fields.number("win_rate")))
            found.setdefault((arena, category), battle)
    return tuple(found.values()) or None


def _percent(number: float | None) -> float | None:
    return number if number is not None and 0 <= number <= 100 else None


def _share(number: float | None) -> float | None:
    return number if number is not None and 0 <= number <= 1 else None
