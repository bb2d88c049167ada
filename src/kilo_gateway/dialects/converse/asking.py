"""The hub's request as a body for Converse."""

import msgspec

from kilo_gateway.dialects.converse.media import Json
from kilo_gateway.dialects.converse.models import known_by
from kilo_gateway.dialects.converse.settings import Settings, add_labels
from kilo_gateway.dialects.converse.tools import plan
from kilo_gateway.dialects.converse.turns import Turns
from kilo_gateway.dialects.hub.asked import Request, Target, Written
from kilo_gateway.dialects.hub.notes import Notes

_encode = msgspec.json.Encoder().encode
_PLACELESS = (
    "verbosity", "min_p", "seed", "frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "logprobs",
    "user", "cache_key",
)  # fmt: skip


def write_request(request: Request, target: Target) -> Written:
    notes = Notes()
    model = known_by(target.model)
    turns = Turns(request.messages, model, notes)
    tools = plan(request, target, model, turns.called, notes)
    if tools.words:
        turns.system.append({"text": tools.words})
    if request.cache is not None:
        turns.mark_end(request.cache)
    declared = tools.config["tools"] if tools.config is not None else []
    assert isinstance(declared, list)
    turns.limit_marks(declared)
    settings = Settings(
        request, target, model, notes, forces_tool=tools.is_forced, lacks_thoughts=turns.lacks_thoughts
    )  # fmt: skip
    body: Json = {"messages": turns.messages}
    if model.family == "anthropic" and "stopSequences" in settings.config:
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]  # which of them it was
    members: Json = {
        "system": turns.system, "inferenceConfig": settings.config, "toolConfig": tools.config,
        "additionalModelRequestFields": settings.own,
    }  # fmt: skip
    body |= {name: value for name, value in members.items() if value}
    add_labels(body, request, notes)
    for field in _PLACELESS:
        if getattr(request, field) is not None:
            notes.drop(field)
    if request.choices > 1:
        notes.drop("choices")
    return Written(_encode(body), notes.dropped, notes.changed, notes.clamped)
