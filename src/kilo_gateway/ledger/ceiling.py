"""What one request may cost at most, where its caller sets a ceiling: `max_cost_usd`, or the header X-Kilo-Max-Cost-Usd.

The worst case is counted, not the likely one: a token for each byte of the body, the dearest rates an endpoint has, and
all the tokens an answer may have. It is counted again for each endpoint that is tried, so fallbacks are within it too.
"""

from decimal import Decimal

from msgspec.structs import replace

from kilo_gateway.core.errors import OutOfFunds
from kilo_gateway.core.money import PICO_PER_NANO, Nanos, nanos, usd_text
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Call, Decision, Endpoint, Extent

MIN_OUTPUT_TOKENS = 256  # an answer that must be shorter is none
ADDED_TOKENS = 1_000  # what providers put into a prompt themselves, for tools mostly
AUDIO_TOKENS_PER_S = 40  # of audio; the dearest known are 32: https://ai.google.dev/gemini-api/docs/audio
IMAGE_TOKENS = 50_000  # of one image; the dearest known is 48,169: https://platform.openai.com/docs/guides/images-vision


def fitted(call: Call, decision: Decision) -> Decision:
    """Only the endpoints that stay within `call.ceiling`. Raises OutOfFunds when none does."""
    order: list[Endpoint] = []
    refused: list[tuple[Endpoint, OutOfFunds]] = []
    for endpoint in decision.order:
        try:
            output_cap(call, endpoint)
        except OutOfFunds as error:
            refused.append((endpoint, error))
        else:
            order.append(endpoint)
    if not order:
        raise min((error for _, error in refused), key=_least)
    excluded = [*decision.excluded, *((endpoint.provider, str(error)) for endpoint, error in refused)]
    return replace(decision, order=order, excluded=excluded)


def output_cap(call: Call, endpoint: Endpoint) -> int | None:
    """Tokens to ask for where the caller has named none; None where nothing has to be asked for. Raises OutOfFunds."""
    extent, price = call.extent, endpoint.price
    assert call.ceiling is not None and extent is not None
    where = f"{endpoint.model} at {endpoint.provider}"
    if price is None:
        cure = "give it one with input_usd_per_mtok and output_usd_per_mtok in its models row, or set no limit"
        raise OutOfFunds(f"The price of {where} is not known, so no limit can be kept: {cure}.", {"reason": "price_unknown"})
    if price.is_free:
        return None
    if extent.unbounded:
        raise OutOfFunds(
            f"What {where} charges for {extent.unbounded} has no bound: leave it out, or set no limit.",
            {"reason": "unbounded"},
        )
    before, rate = _before_output(call, extent, price), price.dearest()[1] * extent.choices
    fits = (call.ceiling * PICO_PER_NANO - before) // rate if rate else endpoint.max_output or MIN_OUTPUT_TOKENS
    wanted = min(MIN_OUTPUT_TOKENS, endpoint.max_output or MIN_OUTPUT_TOKENS) if extent.cap is None else extent.cap
    if before > call.ceiling * PICO_PER_NANO or fits < wanted:
        raise _too_dear(where, nanos(before + wanted * rate), call.ceiling)
    if extent.cap is not None or not rate:
        return None
    return fits if endpoint.max_output is None else min(fits, endpoint.max_output)


def _before_output(call: Call, extent: Extent, price: Price) -> int:
    """Pico-USD for all but the answer's tokens."""
    tokens = call.size + ADDED_TOKENS + extent.images * IMAGE_TOKENS
    apiece = price.request + extent.images * price.image
    if extent.audio_ms:
        tokens += -(-extent.audio_ms * AUDIO_TOKENS_PER_S // 1000)
        apiece += price.of_audio(extent.audio_ms)
    return tokens * price.dearest()[0] + apiece


def _too_dear(where: str, worst: Nanos, ceiling: Nanos) -> OutOfFunds:
    return OutOfFunds(
        f"This request may cost up to ${usd_text(worst)} with {where}, and its limit is ${usd_text(ceiling)}. Raise"
        " max_cost_usd (or X-Kilo-Max-Cost-Usd), lower max_tokens, shorten the prompt, or ask a cheaper model.",
        {"reason": "max_cost", "limit_usd": usd_text(ceiling), "needed_usd": usd_text(worst)},
    )


def _least(error: OutOfFunds) -> Decimal:
    """The cheapest of those that are too dear says most to the caller."""
    return Decimal(str(error.metadata.get("needed_usd", "Infinity")))
