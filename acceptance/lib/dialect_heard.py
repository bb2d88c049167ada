"""What an upstream was asked, read back from its dialect into one shape: `heard(dialect, body)`."""

import base64
import json
from dataclasses import dataclass, field


@dataclass
class Turn:
    """`role`: user or assistant. Neighbours of one role are one turn. `results`: (call id or name, text)."""

    role: str
    texts: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)  # data URLs or URLs
    files: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, object]] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)


@dataclass
class Heard:
    system: str = ""
    turns: list[Turn] = field(default_factory=list)
    tools: dict[str, dict] = field(default_factory=dict)  # schema by name
    choice: object = None  # None auto none required, or ("tool", name)
    is_parallel: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: list[str] = field(default_factory=list)
    penalties: tuple = (None, None)  # frequency, presence
    schema: dict | None = None
    n: int | None = None
    effort: str | None = None
    budget: int | None = None
    is_thinking_off: bool = False
    includes_thoughts: bool = False
    cache_marks: int = 0

    def turn(self, role: str) -> Turn:
        if not self.turns or self.turns[-1].role != role:
            self.turns.append(Turn(role))
        return self.turns[-1]

    @property
    def prompt(self) -> str:
        return self.turns[-1].text if self.turns else ""

    def everywhere(self, name: str) -> list:
        return [each for turn in self.turns for each in getattr(turn, name)]


def heard(dialect: str, body: dict) -> Heard:
    readers = {"chat": _chat, "responses": _responses, "messages": _messages, "gemini": _gemini, "converse": _converse, "cohere": _cohere}
    return readers[dialect](body)


def _parts(content) -> list[dict]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def _text_of(content) -> str:
    return "".join(part.get("text", "") for part in _parts(content))


def _named(choice, tools: dict) -> object:
    """`required` of one tool alone is that tool."""
    return ("tool", next(iter(tools))) if choice == "required" and len(tools) == 1 else choice


# ---------------------------------------------------------------- OpenAI


def _chat(body: dict) -> Heard:
    told = Heard(
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"), temperature=body.get("temperature"), top_p=body.get("top_p"),
        seed=body.get("seed"), stop=_list(body.get("stop")), penalties=(body.get("frequency_penalty"), body.get("presence_penalty")), n=body.get("n"),
        is_parallel=body.get("parallel_tool_calls"),
    )  # fmt: skip
    reasoning = body.get("reasoning") or {}
    told.effort, told.budget = body.get("reasoning_effort") or reasoning.get("effort"), reasoning.get("max_tokens")
    told.is_thinking_off = told.effort == "none" or reasoning.get("enabled") is False
    for message in body["messages"]:
        role = message["role"]
        told.cache_marks += _marks(_parts(message.get("content")))
        if role in ("system", "developer"):
            told.system += _text_of(message["content"])
        elif role == "tool":
            told.turn("user").results.append((message["tool_call_id"], _text_of(message["content"])))
        else:
            _chat_turn(told.turn("assistant" if role == "assistant" else "user"), message)
    told.tools = {tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in body.get("tools") or [] if "function" in tool}
    choice = body.get("tool_choice")
    told.choice = ("tool", choice["function"]["name"]) if isinstance(choice, dict) and "function" in choice else choice
    told.schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    return told


def _chat_turn(turn: Turn, message: dict) -> None:
    for part in _parts(message.get("content")):
        if part["type"] == "text":
            turn.texts.append(part["text"])
        elif part["type"] == "image_url":
            turn.images.append(part["image_url"]["url"])
        elif part["type"] == "file":
            turn.files.append(part["file"].get("file_data", ""))
    for call in message.get("tool_calls") or []:
        turn.calls.append((call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])))
        extra = ((call.get("extra_content") or {}).get("google") or {}).get("thought_signature")
        turn.signatures += [extra] if extra else []
    for detail in message.get("reasoning_details") or []:
        turn.thoughts += [text] if (text := detail.get("text") or detail.get("summary")) else []
        turn.signatures += [sign] if (sign := detail.get("signature") or detail.get("data")) else []
    if not message.get("reasoning_details") and (thought := message.get("reasoning_content") or message.get("reasoning")):
        turn.thoughts.append(thought)


def _list(stop) -> list:
    return [stop] if isinstance(stop, str) else list(stop or [])


def _marks(parts: list) -> int:
    return sum("cache_control" in part or "cachePoint" in part or "prompt_cache_breakpoint" in part for part in parts)


def _responses(body: dict) -> Heard:
    told = Heard(system=body.get("instructions") or "", max_tokens=body.get("max_output_tokens"), temperature=body.get("temperature"),
                 top_p=body.get("top_p"), is_parallel=body.get("parallel_tool_calls"))  # fmt: skip
    reasoning = body.get("reasoning") or {}
    told.effort, told.is_thinking_off = reasoning.get("effort"), reasoning.get("effort") == "none"
    told.includes_thoughts = bool(reasoning.get("summary"))
    items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    for item in items:
        kind = item.get("type", "message")
        if kind == "message" and item["role"] in ("system", "developer"):
            told.system += _text_of(item["content"])
        elif kind == "message":
            turn = told.turn("assistant" if item["role"] == "assistant" else "user")
            for part in _parts(item["content"]):
                turn.texts += [part["text"]] if "text" in part else []
                turn.images += [part["image_url"]] if part["type"] == "input_image" else []
                turn.files += [part.get("file_data", "")] if part["type"] == "input_file" else []
        elif kind == "function_call":
            told.turn("assistant").calls.append((item["call_id"], item["name"], json.loads(item["arguments"])))
        elif kind == "function_call_output":
            told.turn("user").results.append((item["call_id"], _text_of(item["output"])))
        elif kind == "reasoning":
            turn = told.turn("assistant")
            turn.thoughts += [part["text"] for part in [*item.get("summary", []), *(item.get("content") or [])]]
            turn.signatures += [item["encrypted_content"]] if item.get("encrypted_content") else []
    told.tools = {tool["name"]: tool.get("parameters") or {} for tool in body.get("tools") or [] if tool["type"] == "function"}
    choice = body.get("tool_choice")
    told.choice = ("tool", choice["name"]) if isinstance(choice, dict) and choice.get("type") == "function" else choice
    told.schema = ((body.get("text") or {}).get("format") or {}).get("schema")
    return told


# ---------------------------------------------------------------- Anthropic


def _messages(body: dict) -> Heard:
    told = Heard(system=_text_of(body.get("system")), max_tokens=body.get("max_tokens"), temperature=body.get("temperature"),
                 top_p=body.get("top_p"), top_k=body.get("top_k"), stop=body.get("stop_sequences") or [])  # fmt: skip
    thinking, output = body.get("thinking") or {}, body.get("output_config") or {}
    told.budget, told.effort = thinking.get("budget_tokens"), output.get("effort")
    told.is_thinking_off = thinking.get("type") == "disabled"
    told.cache_marks = _marks(_parts(body.get("system"))) + _marks(body.get("tools") or []) + ("cache_control" in body)
    for message in body["messages"]:
        turn = told.turn(message["role"])
        told.cache_marks += _marks(_parts(message["content"]))
        for block in _parts(message["content"]):
            kind = block["type"]
            if kind == "text":
                turn.texts.append(block["text"])
            elif kind in ("image", "document"):
                (turn.images if kind == "image" else turn.files).append(_source(block["source"]))
            elif kind == "tool_use":
                turn.calls.append((block["id"], block["name"], block["input"]))
            elif kind == "tool_result":
                turn.results.append((block["tool_use_id"], _text_of(block.get("content"))))
            elif kind in ("thinking", "redacted_thinking"):
                turn.thoughts += [block["thinking"]] if block.get("thinking") else []
                turn.signatures.append(block.get("signature") or block.get("data", ""))
    told.tools = {tool["name"]: tool.get("input_schema") or {} for tool in body.get("tools") or []}
    choice = body.get("tool_choice") or {}
    told.choice = {"any": "required", "tool": ("tool", choice.get("name"))}.get(choice.get("type"), choice.get("type"))
    told.is_parallel = False if choice.get("disable_parallel_tool_use") else None
    told.schema = ((output.get("format") or body.get("output_format")) or {}).get("schema")
    if told.schema is None and told.choice not in (None, "auto", "none"):
        told.schema = told.tools.get(told.choice[1]) if isinstance(told.choice, tuple) else None
    return told


def _source(source: dict) -> str:
    return source["url"] if source["type"] == "url" else f"data:{source['media_type']};base64,{source['data']}"


# ---------------------------------------------------------------- Gemini


def _gemini(body: dict) -> Heard:
    config = body.get("generationConfig") or {}
    instruction = body.get("systemInstruction") or body.get("system_instruction") or {}
    told = Heard(
        system="".join(part.get("text", "") for part in instruction.get("parts") or []), max_tokens=config.get("maxOutputTokens"),
        temperature=config.get("temperature"), top_p=config.get("topP"), top_k=config.get("topK"), seed=config.get("seed"),
        stop=config.get("stopSequences") or [], penalties=(config.get("frequencyPenalty"), config.get("presencePenalty")), n=config.get("candidateCount"),
    )  # fmt: skip
    thinking = config.get("thinkingConfig") or {}
    told.budget, told.effort = thinking.get("thinkingBudget"), (thinking.get("thinkingLevel") or "").lower() or None
    told.is_thinking_off, told.includes_thoughts = told.budget == 0, bool(thinking.get("includeThoughts"))
    names: dict[str, str] = {}
    for content in body["contents"]:
        turn = told.turn("assistant" if content.get("role") == "model" else "user")
        for part in content["parts"]:
            turn.signatures += [part["thoughtSignature"]] if "thoughtSignature" in part else []
            if "functionCall" in part:
                call = part["functionCall"]
                turn.calls.append((call.get("id") or call["name"], call["name"], call.get("args") or {}))
                names[call.get("id") or call["name"]] = call["name"]
            elif "functionResponse" in part:
                answer = part["functionResponse"]
                turn.results.append((answer.get("id") or answer["name"], json.dumps(answer["response"], ensure_ascii=False)))
            elif "inlineData" in part:
                data = f"data:{part['inlineData']['mimeType']};base64,{part['inlineData']['data']}"
                (turn.images if "image/" in data[:12] else turn.files).append(data)
            elif "fileData" in part:
                turn.files.append(part["fileData"]["fileUri"])
            elif part.get("thought"):
                turn.thoughts.append(part["text"])
            else:
                turn.texts.append(part.get("text", ""))
    for tool in body.get("tools") or []:
        for each in tool.get("functionDeclarations") or []:
            told.tools[each["name"]] = each.get("parametersJsonSchema") or each.get("parameters_json_schema") or each.get("parameters") or {}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    told.choice = {"ANY": "required", "AUTO": "auto", "NONE": "none", "VALIDATED": "auto"}.get(calling.get("mode"))
    if told.choice == "required" and len(calling.get("allowedFunctionNames") or []) == 1:
        told.choice = ("tool", calling["allowedFunctionNames"][0])
    told.schema = config.get("responseJsonSchema") or config.get("_responseJsonSchema") or config.get("responseSchema")
    return told


# ---------------------------------------------------------------- Converse


def _converse(body: dict) -> Heard:
    config, more = body.get("inferenceConfig") or {}, body.get("additionalModelRequestFields") or {}
    told = Heard(system="".join(part.get("text", "") for part in body.get("system") or []), max_tokens=config.get("maxTokens"),
                 temperature=config.get("temperature"), top_p=config.get("topP"), stop=config.get("stopSequences") or [], top_k=more.get("top_k"))  # fmt: skip
    thinking = more.get("thinking") or more.get("reasoning_config") or {}
    told.budget, told.effort = thinking.get("budget_tokens"), (more.get("output_config") or {}).get("effort")
    told.is_thinking_off = thinking.get("type") == "disabled"
    tool_config = body.get("toolConfig") or {}
    told.cache_marks = _marks(body.get("system") or []) + _marks(tool_config.get("tools") or [])
    for message in body["messages"]:
        turn = told.turn(message["role"])
        told.cache_marks += _marks(message["content"])
        for block in message["content"]:
            if "text" in block:
                turn.texts.append(block["text"])
            elif "image" in block:
                turn.images.append(f"data:image/{block['image']['format']};base64,{block['image']['source'].get('bytes', '')}")
            elif "document" in block:
                turn.files.append(f"data:application/{block['document']['format']};base64,{block['document']['source'].get('bytes', '')}")
            elif "toolUse" in block:
                turn.calls.append((block["toolUse"]["toolUseId"], block["toolUse"]["name"], block["toolUse"]["input"]))
            elif "toolResult" in block:
                result = block["toolResult"]
                told_text = "".join(part.get("text", "") or json.dumps(part.get("json", "")) for part in result["content"])
                turn.results.append((result["toolUseId"], told_text))
            elif "reasoningContent" in block:
                reasoning = block["reasoningContent"].get("reasoningText") or {}
                turn.thoughts += [reasoning["text"]] if reasoning.get("text") else []
                turn.signatures += [sign] if (sign := reasoning.get("signature") or block["reasoningContent"].get("redactedContent")) else []
    told.tools = {t["toolSpec"]["name"]: t["toolSpec"]["inputSchema"]["json"] for t in tool_config.get("tools") or [] if "toolSpec" in t}
    choice = tool_config.get("toolChoice") or {}
    told.choice = "required" if "any" in choice else ("tool", choice["tool"]["name"]) if "tool" in choice else "auto" if "auto" in choice else None
    text_format = ((body.get("outputConfig") or {}).get("textFormat") or {}).get("structure") or {}
    if "jsonSchema" in text_format:
        schema = text_format["jsonSchema"].get("schema")
        told.schema = json.loads(schema) if isinstance(schema, str) else schema
    elif isinstance(told.choice, tuple):
        told.schema = told.tools.get(told.choice[1])
    return told


# ---------------------------------------------------------------- Cohere


def _cohere(body: dict) -> Heard:
    told = Heard(
        max_tokens=body.get("max_tokens"), temperature=body.get("temperature"), top_p=body.get("p"), top_k=body.get("k"), seed=body.get("seed"),
        stop=body.get("stop_sequences") or [], penalties=(body.get("frequency_penalty"), body.get("presence_penalty")),
    )  # fmt: skip
    thinking = body.get("thinking") or {}
    told.budget, told.is_thinking_off = thinking.get("token_budget"), thinking.get("type") == "disabled"
    told.effort = "medium" if thinking.get("type") == "enabled" and told.budget is None else None
    for message in body["messages"]:
        role = message["role"]
        if role == "system":
            told.system += _text_of(message["content"])
        elif role == "tool":
            told.turn("user").results.append((message["tool_call_id"], _cohere_result(message["content"])))
        else:
            turn = told.turn(role)
            for part in _parts(message.get("content")):
                turn.texts += [part["text"]] if "text" in part else []
                turn.images += [part["image_url"]["url"]] if part["type"] == "image_url" else []
                turn.thoughts += [part["thinking"]] if part["type"] == "thinking" else []
            turn.calls += [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls") or []]
    told.tools = {tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in body.get("tools") or []}
    told.choice = _named({"REQUIRED": "required", "NONE": "none"}.get(body.get("tool_choice")), told.tools)
    how = body.get("response_format") or {}
    told.schema = how.get("json_schema") or how.get("schema")
    return told


def _cohere_result(content) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or str((part.get("document") or {}).get("data", "")) for part in content)


def image_bytes(url: str) -> bytes:
    """Of a data URL."""
    return base64.b64decode(url.partition(";base64,")[2])
