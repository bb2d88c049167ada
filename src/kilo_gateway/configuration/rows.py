"""One table of the file, read key by key, with errors that name its lines."""

from collections.abc import Sequence

from kilo_gateway.configuration.fields import Setting, as_written, unknown
from kilo_gateway.configuration.places import Key, Places
from kilo_gateway.core.settings import ConfigurationError


class Row:
    """Unknown keys are refused first. `shape` says what the table should look like, where it is none."""

    def __init__(self, places: Places, at: Key, table: object, fields: Sequence[Setting], shape: str) -> None:
        self.places = places
        self.at = at
        if not isinstance(table, dict):
            raise ConfigurationError(f"{self.place()}: {shape}, not {as_written(table)}.")
        known = [field.name for field in fields]
        for key in table:
            if key not in known:
                raise unknown(self.place(str(key)), str(key), known)
        self._given = frozenset(map(str, table))
        self.values = {field.name: field.default for field in fields} | table

    def place(self, *key: str | int) -> str:
        return self.places.of(*self.at, *key)

    def wrong(self, key: str, wanted: str) -> ConfigurationError:
        return ConfigurationError(f"{self.place(key)}: {key} must be {wanted}, not {as_written(self.values[key])}.")

    def text(self, key: str, *, is_needed: bool = False) -> str:
        value = self.values[key]
        if is_needed and key not in self._given:
            raise ConfigurationError(f"{self.place()}: {key} is missing.")
        if not isinstance(value, str) or (is_needed and not value.strip()) or not value.isprintable():
            raise self.wrong(key, "a text without line breaks" + (", and not empty" if is_needed else ""))
        return value

    def has(self, key: str) -> bool:
        return key in self._given

    def fill(self, key: str, value: object) -> None:
        """As if it had been given, unless it was."""
        if key not in self._given:
            self.values[key] = value
            self._given |= {key}

    def flag(self, key: str) -> bool:
        value = self.values[key]
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value
