"""Catalogues made by hand: a small one with gaps of every kind, and a large one."""

from collections.abc import Iterable

from msgspec.structs import replace

from kilo_gateway.catalog.catalogue import Catalogue, Embeddings, Entry, Place, Provider
from kilo_gateway.catalog.facts import Battle, Card, DataPolicy, Facts, Origin, Reasoning, join
from kilo_gateway.catalog.names import Names
from kilo_gateway.core.price import Override, Price

NOW_S = 1_790_000_000
DAY_S = 86_400
ORIGIN = Origin("discovery", NOW_S)

WHOLE = Facts(
    name="Whole One", description='Knows <everything> & "more"', created=NOW_S - 10 * DAY_S, context=200_000, max_output=64_000,
    input_modalities=("text", "image"), output_modalities=("text",),
    parameters=("tools", "tool_choice", "reasoning", "max_tokens"),
    price=Price(
        3_000_000, 15_000_000, cache_read=300_000, cache_write=3_750_000, cache_write_1h=6_000_000, input_audio=4_000_000,
        cache_audio=400_000, input_image=3_100_000, reasoning=15_000_000, output_audio=20_000_000, output_image=30_000_000,
        image=4_800_000_000, request=1_000, web_search=10_000_000_000,
        overrides=(Override(200_001, input=6_000_000, output=22_500_000), Override(utc_minutes=(990, 1440), input=1_500_000)),
    ),
    discount=0.25, tokenizer="Claude", instruct_type="claude", knowledge_cutoff="2026-01-31", expires="2027-01-31",
    reasoning=Reasoning(False, True, "medium", ("high", "medium", "low"), True), hugging_face_id="whole/one",
    canonical_slug="alpha/whole-20260901", quantization="fp8", is_moderated=True, policy=DataPolicy(True, False),
    regions=("eu", "us"), caches_implicitly=True, family="claude", ai_sdk_provider="anthropic",
    benchmarks={"intelligence": 60.5, "coding": 50.0}, categories=("programming", "marketing/seo"),
    battles=(Battle("models", "website", 1200.5, 7, 51.0), Battle("models", "svg", 1250.0, None, 60.0)),
)  # fmt: skip


def place(upstream: str, id: str, facts: Facts, is_private: bool = False) -> Place:
    known = [name for name in facts.__struct_fields__ if getattr(facts, name) is not None]
    return Place(upstream, id, Card(facts, dict.fromkeys(known, ORIGIN)), is_private)


def entry(id: str, *facts: Facts, upstreams: Iterable[str] = (), **more: object) -> Entry:
    """One place for each of `facts`, at these upstreams or at `first`, `second`, …"""
    names = list(upstreams) or ["first", "second", "third"]
    places = tuple(place(names[at], id.partition("/")[2], each) for at, each in enumerate(facts))
    made = Entry(id, "discovery", join(each.card for each in places), places)
    return replace(made, **more)


def catalogue(*entries: Entry, providers: tuple[Provider, ...] = (), **more: object) -> Catalogue:
    rows = {each.id: each for each in entries}
    names = Names(rows, {"whole": "alpha/whole"}, {"old/model": "alpha/whole"}, free={each.id for each in entries if each.has_free})
    return replace(Catalogue(1, NOW_S, rows, names, providers), **more)


def bundled(id: str, facts: Facts, **more: object) -> Entry:
    """A row of the bundle: no place of its own."""
    known = [name for name in facts.__struct_fields__ if getattr(facts, name) is not None]
    return replace(Entry(id, "bundle", Card(facts, dict.fromkeys(known, Origin("bundle", 0)))), **more)


AUTO = Facts(name="Kilo Auto", context=1_000_000, max_output=128_000, input_modalities=("text", "image"), parameters=("tools", "reasoning"))


def small() -> Catalogue:
    """Fourteen rows: kilo/auto and its tiers, a whole one, one for every kind of gap, and one for each other modality."""
    return catalogue(
        bundled("kilo/auto", AUTO, routes=("alpha/whole",), preferred=0, source="bundle"),
        bundled("kilo-auto/free", replace(AUTO, name="Auto Free", price=Price(0, 0)), routes=(), preferred=1),
        entry("alpha/whole", WHOLE, Facts(price=Price(1, 1))),
        entry("beta/bare", Facts(), reason="No upstream serves it: set BETA_API_KEY."),
        entry("beta/cheap", Facts(price=Price(100_000, 400_000), context=8_192, created=NOW_S - 400 * DAY_S, tokenizer="Llama3")),
        entry("beta/gratis", Facts(price=Price(0, 0), created=NOW_S - DAY_S, family="llama", parameters=("max_tokens",))),
        entry("ollama/llama3.2:latest", Facts(price=Price(0, 0))),
        entry("gamma/a/b", Facts(name="Three parts", reasoning=Reasoning(mandatory=True), benchmarks={"agentic": 1.0}, categories=("programming",))),
        entry("~gamma/a-latest", Facts(alias_target="gamma/a/b")),
        entry("delta/embed", Facts(name="Embed", output_modalities=("embeddings",), dimension=1536, price=Price(20_000, 0))),
        entry("delta/embed-unknown", Facts(output_modalities=("embeddings",))),
        entry("delta/hear", Facts(name="Hear", input_modalities=("audio",), output_modalities=("transcription",))),
        entry("delta/paint", Facts(output_modalities=("image", "text"), price=Price(1, 2, image=3))),
        entry("delta/say", Facts(output_modalities=("speech",), voices=("ann", "bob"))),
        providers=(
            Provider("first", "First Inc.", "https://first.example/privacy", headquarters="FR", datacenters=("FR",), may_train=False),
            Provider("idle", "Idle"),
        ),
        embeddings=Embeddings("delta/embed", {"delta/embed": 0.5}, {"embed": "delta/embed", "gone": "delta/gone"}),
    )  # fmt: skip


def large(count: int) -> Catalogue:
    """`count` rows, each with most facts and two places; of every ninth nothing is known."""

    def facts(at: int) -> Facts:
        return replace(WHOLE, name=f"Model {at}", created=NOW_S - at * 3600, context=1000 + at)

    def made(at: int) -> Entry:
        id = f"author{at % 40}/model-{at}"
        return entry(id, facts(at), facts(at)) if at % 9 else entry(id, Facts())

    return catalogue(*map(made, range(count)))
