"""What a body could not carry, or carries in another way."""


class Notes:
    """Each is kept once, in the order of coming."""

    def __init__(self) -> None:
        self._dropped: dict[str, None] = {}
        self._changed: dict[str, None] = {}

    def drop(self, field: str) -> None:
        self._dropped[field] = None

    def change(self, how: str) -> None:
        self._changed[how] = None

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self._dropped)

    @property
    def changed(self) -> tuple[str, ...]:
        return tuple(self._changed)
