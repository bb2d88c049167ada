"""Legacy completion requests to the hub. https://platform.openai.com/docs/api-reference/completions/create"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.chat import asking
from kilo_gateway.dialects.hub.asked import Request

NAME = "openai-completions"
_NOTHING = (b"null", b"false", b'""', b"{}")
_LEFT_OUT = ("suffix", "echo")  # a chat has no place for them
_ONE = (b"null", b"1")
_prompt_in: msgspec.json.Decoder[str | list[str]] = msgspec.json.Decoder(str | list[str])
_encode = msgspec.json.Encoder().encode


def check(fields: Mapping[str, Raw]) -> None:
    """Of what is refused whatever the upstream. Raises BadRequest."""
    _prompt(fields)
    if bytes(fields.get("logprobs", b"null")) not in _NOTHING:
        raise BadRequest("Legacy completions tell no logprobs here; ask for them at chat/completions.")
    for name in ("n", "best_of"):
        if bytes(fields.get(name, b"null")) not in _ONE:
            raise BadRequest(f"Legacy completions give one answer here, so {name!r} must be 1; chat/completions has 'n'.")


def read_request(fields: Mapping[str, Raw]) -> Request:
    """Raises BadRequest, which names the field."""
    left_out = tuple(name for name in _LEFT_OUT if bytes(fields.get(name, b"null")) not in _NOTHING)
    ours = ("prompt", "best_of", "logprobs", *_LEFT_OUT)
    chat = {name: value for name, value in fields.items() if name not in ours}
    chat["messages"] = Raw(_encode([{"role": "user", "content": _prompt(fields)}]))
    request = asking.read_request(chat)
    request.lost = (*request.lost, *left_out)
    return request


def _prompt(fields: Mapping[str, Raw]) -> str:
    """Several are several requests, and tokens are those of one model alone."""
    try:
        prompt = _prompt_in.decode(fields["prompt"])
    except KeyError as error:
        raise BadRequest("The field 'prompt' is missing.") from error
    except msgspec.MsgspecError as error:
        raise BadRequest("The field 'prompt' must be a text, or a list of one text; tokens are not taken.") from error
    if isinstance(prompt, str):
        return prompt
    if len(prompt) != 1:
        raise BadRequest(f"The field 'prompt' has {len(prompt)} texts; send a request for each.")
    return prompt[0]
