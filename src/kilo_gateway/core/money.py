"""Money in whole numbers. Prices are pico-USD per token, booked amounts nano-USD; float only where a person or JSON reads.

A request's components are summed in pico-USD and rounded up once, so a bill is never below what was used.
"""

from decimal import Decimal

PICO_PER_NANO = 1_000
PICO_PER_USD = 10**12
NANO_PER_USD = 10**9
MAX_USD_PER_MTOK = 1_000_000
MAX_USD_PER_UNIT = 1_000
MAX_CEILING_USD = 1_000_000_000
_PICO_PER_TOKEN = 10**6  # pico-USD a token for each USD per million tokens

Pico = int
Nanos = int


def pico_per_token(usd_per_mtok: Decimal) -> Pico:
    """Raises ValueError for a negative price or one finer than a pico-dollar a token."""
    is_price = usd_per_mtok.is_finite() and 0 <= usd_per_mtok <= MAX_USD_PER_MTOK
    pico = usd_per_mtok * _PICO_PER_TOKEN if is_price else Decimal(0)
    if not is_price or pico != int(pico):
        raise ValueError(f"a price is from 0 to {MAX_USD_PER_MTOK} with at most six decimals, not {usd_per_mtok}")
    return int(pico)


def pico_of_usd(usd: Decimal) -> Pico:
    """Of one token or unit, to the nearest pico-dollar, for some print quotients; what costs something is never 0.

    Raises ValueError for what is no price.
    """
    if not usd.is_finite() or not 0 <= usd <= MAX_USD_PER_UNIT:
        raise ValueError(f"not a price: {usd}")
    return max(int((usd * PICO_PER_USD).to_integral_value()), 1 if usd else 0)


def nanos(pico: Pico) -> Nanos:
    """Rounded up."""
    return -(-pico // PICO_PER_NANO)


def nanos_of_usd(usd: Decimal) -> Nanos:
    """Rounded up. Raises ValueError for what is no amount."""
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"not an amount of money: {usd}")
    scaled = usd * NANO_PER_USD
    whole = int(scaled)
    return whole if whole == scaled else whole + 1


def ceiling_of_usd(usd: Decimal) -> Nanos:
    """Rounded down: nothing may cost more. Raises ValueError for what is no amount."""
    if not usd.is_finite() or not 0 <= usd <= MAX_CEILING_USD:
        raise ValueError(f"not an amount of money: {usd}")
    return int(usd * NANO_PER_USD)


def usd_text(amount: Nanos) -> str:
    """Exact, as a plain decimal: `0.000281`. Cheaper than a float's shortest form."""
    return _decimal(amount, 9)


def usd_per_mtok_text(pico: Pico) -> str:
    """Exact, as a plain decimal: 2,550 pico-USD a token is `0.00255`."""
    return _decimal(pico, 6)


def usd_text_of_pico(pico: Pico) -> str:
    """Exact, as a plain decimal: 1,250,000 pico-USD are `0.00000125`."""
    return _decimal(pico, 12)


def _decimal(whole: int, places: int) -> str:
    digits = str(whole).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")


def usd(amount: Nanos) -> float:
    """For JSON: the float nearest to the amount; its shortest form prints the amount exactly below $1 million."""
    return amount / NANO_PER_USD
