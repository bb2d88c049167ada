"""The hub's request as a body for an upstream that speaks this dialect."""

from itertools import chain

import msgspec
from msgspec import Raw

from kilo_gateway.dialects.hub.asked import Cache, Request, Target, Tool, Written
from kilo_gateway.dialects.hub.notes import Notes
from kilo_gateway.dialects.messages.blocks import Conversation
from kilo_gateway.dialects.messages.caching import MAX_MARKS, control, limit, marked
from kilo_gateway.dialects.messages.claude import Claude, claude, knows_schemas
from kilo_gateway.dialects.messages.output import Shape, write_output
from kilo_gateway.dialects.messages.thinking import EFFORTS, Plan, Planner

Json = dict[str, object]
MAX_TOKENS = 4096  # where nobody says how many
# Vertex has the model in the path and the version in the body. https://docs.anthropic.com/en/api/claude-on-vertex-ai
VERTEX_VERSION = b'"vertex-2023-10-16"'
_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_NO_ARGUMENTS = Raw(b'{"type":"object","properties":{}}')
_TIERS = {"auto": "auto", "priority": "auto", "default": "standard_only", "standard": "standard_only",
          "standard_only": "standard_only"}  # fmt: skip
_FOREIGN = (
    "seed", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "logprobs", "metadata",
)  # fmt: skip


def write_request(request: Request, target: Target) -> Written:
    return _Sending(request, target).written()


class _Sending:
    def __init__(self, request: Request, target: Target) -> None:
        self._request = request
        self._target = target
        self._model: Claude = claude(target.model)
        self._notes = Notes()

    def written(self) -> Written:
        request, notes = self._request, self._notes
        talk = Conversation(request, self._model, notes)
        shape = write_output(request, self._target, notes)
        tools = [*map(self._tool, request.tools), *([shape.tool] if shape.tool is not None else [])]
        choice = self._choice(shape)
        planner = Planner(self._target, self._model, notes)
        plan = planner.plan(request, self._max_tokens(), _obstacle(choice), talk.lacks_thought)
        body: Json = {"model": self._target.model, "max_tokens": plan.max_tokens}
        if talk.system:
            body["system"] = talk.system
        body["messages"] = [{"role": turn.role, "content": turn.content} for turn in talk.turns]
        if tools:
            body["tools"] = tools
        if choice is not None:
            body["tool_choice"] = choice
        if plan.member is not None:
            body["thinking"] = plan.member
        self._config(body, shape, plan, planner)
        self._sampling(body, plan)
        self._plain(body)
        blocks = chain(tools, talk.system, (block for turn in talk.turns for block in turn.content))
        self._cache(body, blocks)
        if self._target.platform == "vertex":
            del body["model"]
            body["anthropic_version"] = Raw(VERTEX_VERSION)
        return Written(_encode(body), notes.dropped, notes.changed, notes.clamped)

    def _tool(self, tool: Tool) -> Json:
        made: Json = {"name": tool.name}
        if tool.description is not None:
            made["description"] = tool.description
        made["input_schema"] = _schema(tool.schema)
        if tool.is_strict:
            if knows_schemas(self._target):
                made["strict"] = True
            else:
                self._notes.drop("strict")
        return marked(made, tool.cache)

    def _max_tokens(self) -> int:
        asked, most = self._request.max_tokens, self._target.max_output
        if asked is None:
            asked = most or MAX_TOKENS
            self._notes.change(f"max_tokens: {asked}, for none was asked for")
        return self._notes.answer_cap(asked, most)

    def _choice(self, shape: Shape) -> Json | None:
        """A tool that stands for the answer's JSON is forced; beside others, one of all is."""
        request = self._request
        asked = request.tool_choice
        choice: Json | None = None
        if shape.tool is not None:
            if not request.tools or (asked is not None and asked.mode == "none"):
                return {"type": "tool", "name": shape.tool["name"]} | _alone(True)
            choice = {"type": "any"}
        elif not request.tools:
            if asked is not None and asked.mode in ("required", "tool"):
                self._notes.drop("tool_choice")
            return None
        if asked is not None and shape.tool is None:
            choice = {"type": "any" if asked.mode == "required" else asked.mode}
            if asked.mode == "tool":
                choice["name"] = asked.name
        if request.allows_parallel is not None:
            choice = choice or {"type": "auto"}
            if choice["type"] != "none":
                choice |= _alone(not request.allows_parallel)
        return choice

    def _config(self, body: Json, shape: Shape, plan: Plan, planner: Planner) -> None:
        effort, verbosity = plan.effort, self._request.verbosity
        if verbosity is not None:
            if effort is None and verbosity in EFFORTS and self._model.takes_effort and self._target.knows("verbosity"):
                effort = planner.level(verbosity)
            else:
                self._notes.drop("verbosity")
        config: Json = {}
        if effort is not None:
            config["effort"] = effort
        if shape.format is not None:
            config["format"] = shape.format
        if config:
            body["output_config"] = config

    def _sampling(self, body: Json, plan: Plan) -> None:
        request, notes = self._request, self._notes
        asked = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
        for name, value in asked.items():
            if value is None:
                continue
            if not (self._model.takes_sampling and self._target.knows(name)):
                notes.drop(name)
            else:
                body[name] = value if name == "top_k" else notes.within(name, value, 0.0, 1.0)
        if plan.is_on:
            _suit_thinking(body, notes)
        if "top_p" in body and "temperature" in body and not self._model.takes_both_samplings:
            del body["top_p"]
            notes.change("top_p: left out, for the model takes no two of temperature and top_p")

    def _plain(self, body: Json) -> None:
        request, notes = self._request, self._notes
        stop = [each for each in request.stop if each and not each.isspace()]
        if len(stop) < len(request.stop):
            notes.change("stop: what is empty or space left out")
        if stop:
            body["stop_sequences"] = stop
        if request.user is not None:
            body["metadata"] = {"user_id": request.user}
        if request.service_tier is not None:
            if request.service_tier in _TIERS:
                body["service_tier"] = _TIERS[request.service_tier]
            else:
                notes.drop("service_tier")
        if request.is_stream:
            body["stream"] = True
        for name in _FOREIGN:
            if getattr(request, name) is not None:
                notes.drop(name)
        if request.choices > 1:
            notes.drop("choices")

    def _cache(self, body: Json, blocks: "chain[Json]") -> None:
        """A key says that a prompt comes again: where nothing else is marked, all of it is."""
        request = self._request
        whole = request.cache
        marks = limit(blocks, MAX_MARKS - (whole is not None), self._notes)
        if request.cache_key is not None:
            if whole is None and marks == 0 and self._model.is_claude:
                whole = Cache()
                self._notes.change("cache_key: the whole prompt is cached")
            else:
                self._notes.drop("cache_key")
        if whole is not None:
            body["cache_control"] = control(whole)


def _alone(is_alone: bool) -> Json:
    return {"disable_parallel_tool_use": is_alone}


def _obstacle(choice: Json | None) -> str:
    """https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use"""
    return "tool_choice forces a call" if choice is not None and choice["type"] in ("any", "tool") else ""


def _suit_thinking(body: Json, notes: Notes) -> None:
    """Beside thinking, temperature is 1, top_k is not, and top_p is at least 0.95."""
    if body.get("temperature", 1) != 1:
        del body["temperature"]
        notes.change("temperature: 1, for reasoning is on")
    if body.pop("top_k", None) is not None:
        notes.change("top_k: left out, for reasoning is on")
    top_p = body.get("top_p")
    if isinstance(top_p, int | float) and top_p < 0.95:
        body["top_p"] = 0.95
        notes.change("top_p: 0.95, for reasoning is on")


def _schema(schema: Raw | None) -> object:
    """An object it must be, and must say so."""
    if schema is None:
        return _NO_ARGUMENTS
    try:
        members = _decode_object(schema)
    except msgspec.MsgspecError:
        return schema  # the upstream will say what is wrong with it
    if not members:
        return _NO_ARGUMENTS
    return schema if "type" in members else {"type": "object"} | members
