"""Generation ids: `gen-` and 26 characters in the manner of a ULID, so they sort by time.

Ten characters of milliseconds, nine fixed random ones for the process, seven that count. Crockford's alphabet,
https://github.com/ulid/spec
"""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_PROCESS_BITS, _COUNTER_BITS = 45, 35


class GenerationIds:
    """`seed` is 45 random bits, another for each process."""

    def __init__(self, seed: int) -> None:
        self._process = _base32(seed & (1 << _PROCESS_BITS) - 1, 9)
        self._ms = self._second = -1
        self._early = ""
        self._prefix = ""
        self._count = -1
        self._middle = ""

    def new(self, at_ms: int) -> str:
        if at_ms != self._ms:
            self._ms = at_ms
            if at_ms >> 10 != self._second:
                self._second = at_ms >> 10
                self._early = _base32(at_ms >> 10, 8)
            self._prefix = f"gen-{self._early}{_PAIRS[at_ms & 1023]}{self._process}"
        self._count = count = (self._count + 1) & (1 << _COUNTER_BITS) - 1
        low = count & 1023
        if low == 0:
            self._middle = _base32(count >> 10, 5)
        return self._prefix + self._middle + _PAIRS[low]


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(digits))
