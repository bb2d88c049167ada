"""What a model can, by its name."""

import re

from msgspec import Struct

_named = re.compile(r"gemini-(\d+)(?:\.(\d+))?(?:-(pro|flash-lite|flash))?(?![a-z])").search
_newest = re.compile(r"gemini-(?:(pro|flash-lite|flash))-latest").search
never_thinks = re.compile(r"gemma-[1-3](?!\d)").search
_makes_media = re.compile(r"-(?:image|tts|audio|live)\b").search


UNKNOWN = (0, 0)


class Model(Struct, frozen=True):
    """`generation`: as 2.5 is (2, 5); UNKNOWN where its name does not tell it. `kind`: pro, flash, flash-lite."""

    generation: tuple[int, int] = UNKNOWN
    kind: str = ""
    makes_media: bool = False
    knows_ids: bool = True  # of calls: Vertex refuses them

    @property
    def is_third(self) -> bool:
        """Gemini 3 or later: thinks by levels, asks for signatures, takes media in results and tools beside a schema."""
        return self.generation >= (3, 0)

    @property
    def is_strict(self) -> bool:
        """Samples in its own way only, and has to have the last word said by the user: 3.6, 3.5 Flash-Lite and later.

        https://ai.google.dev/gemini-api/docs/generate-content/whats-new-gemini-3.6
        """
        return self.generation >= (3, 6) or (self.generation == (3, 5) and self.kind == "flash-lite")


def known_by(name: str, *, knows_ids: bool = True) -> Model:
    """`name`: the upstream's own, as `gemini-2.5-flash` or `publishers/google/models/gemini-3-pro-preview`."""
    makes_media = _makes_media(name) is not None
    if found := _named(name):
        return Model((int(found[1]), int(found[2] or 0)), found[3] or "", makes_media, knows_ids)
    if found := _newest(name):
        return Model((3, 9), found[1], makes_media, knows_ids)
    return Model(makes_media=makes_media, knows_ids=knows_ids)
