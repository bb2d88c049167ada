"""What a body could not carry, or carries in another way."""

from typing import TypeVar

_T = TypeVar("_T", int, float)


class Notes:
    """Each is kept once, in the order of coming."""

    def __init__(self) -> None:
        self._dropped: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._clamped: dict[str, None] = {}

    def drop(self, field: str) -> None:
        self._dropped[field] = None

    def change(self, how: str) -> None:
        self._changed[how] = None

    def clamp(self, field: str, how: str) -> None:
        """A value that would have been refused."""
        self._clamped[f"{field}: {how}"] = None

    def within(self, field: str, value: _T, least: _T, most: _T) -> _T:
        """`value`, or what is next to it among those that are taken."""
        fit = min(max(value, least), most)
        if fit != value:
            self.clamp(field, f"{_told(fit)}, as {_told(least)} to {_told(most)} are taken")
        return fit

    def answer_cap(self, tokens: int, most: int | None, field: str = "max_tokens") -> int:
        """How long an answer may be, of a model that gives `most`, where that is known."""
        if most is None or tokens <= most:
            return tokens
        self.clamp(field, f"{most}, the most that the model gives")
        return most

    def stops(self, stop: tuple[str, ...], most: int, field: str = "stop") -> list[str]:
        if len(stop) > most:
            self.clamp(field, f"the first {most} of {len(stop)}")
        return list(stop[:most])

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self._dropped)

    @property
    def changed(self) -> tuple[str, ...]:
        return tuple(self._changed)

    @property
    def clamped(self) -> tuple[str, ...]:
        return tuple(self._clamped)


def _told(number: float) -> str:
    return f"{number:g}" if number % 1 else f"{int(number)}"
