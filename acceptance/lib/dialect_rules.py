"""What the real providers refuse: `fault(dialect, body)` says why a request would be a 400 there, or nothing.

Only rules the providers have; a fake that is not strict (a house that runs its own server) asks none of them.
"""

import json
import re

from dialect_speech_others import is_base64

_CHAT = set("""audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages metadata modalities
    model n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort
    response_format safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user
    verbosity web_search_options""".split())  # fmt: skip
_RESPONSES = set("""background conversation include input instructions max_output_tokens max_tool_calls metadata model parallel_tool_calls
    previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream
    stream_options temperature text tool_choice tools top_logprobs top_p truncation user""".split())  # fmt: skip
_MESSAGES = set("""cache_control container context_management inference_geo max_tokens mcp_servers messages metadata model output_config
    output_format service_tier stop_sequences stream system temperature thinking tool_choice tools top_k top_p speed""".split())  # fmt: skip
_GEMINI = set("""cachedContent contents generationConfig model safetySettings serviceTier store systemInstruction system_instruction toolConfig
    tools labels""".split())  # fmt: skip
_GEMINI_CONFIG = set("""candidateCount enableEnhancedCivicAnswers frequencyPenalty imageConfig logprobs maxOutputTokens mediaResolution presencePenalty
    responseFormat responseJsonSchema responseLogprobs responseMimeType responseModalities responseSchema seed speechConfig stopSequences
    temperature thinkingConfig topK topP _responseJsonSchema""".split())  # fmt: skip
_CONVERSE = set("""additionalModelRequestFields additionalModelResponseFieldPaths guardrailConfig inferenceConfig messages outputConfig
    performanceConfig promptVariables requestMetadata serviceTier system toolConfig""".split())  # fmt: skip
_COHERE = set("""citation_options documents frequency_penalty k logprobs max_tokens messages model p presence_penalty priority response_format
    safety_mode seed stop_sequences stream strict_tools temperature thinking tool_choice tools""".split())  # fmt: skip
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")


class Fault(Exception):
    pass


def fault(dialect: str, body: dict, house: str = "") -> str:
    """`house`: of a chat upstream the provider whose own rules hold besides: openai or mistral. Other houses take unknown members."""
    try:
        {"chat": _chat, "responses": _responses, "messages": _messages, "gemini": _gemini, "converse": _converse, "cohere": _cohere}[dialect](body)
        if house == "openai":
            _known(body, _CHAT, "Unrecognized request argument supplied: {name}")
        if house == "mistral":
            _mistral(body)
    except Fault as found:
        return str(found)
    except (KeyError, TypeError, AttributeError, IndexError) as found:
        return f"malformed request: {type(found).__name__} {found}"
    return ""


def _need(is_so: object, why: str) -> None:
    if not is_so:
        raise Fault(why)


def _known(body: dict, names: set[str], why: str) -> None:
    for name in body:
        _need(name in names, why.format(name=name))


def _range(body: dict, name: str, low: float, high: float) -> None:
    value = body.get(name)
    _need(value is None or low <= value <= high, f"{name}: must be between {low} and {high}, is {value}")


# ---------------------------------------------------------------- OpenAI


def _chat(body: dict) -> None:
    _need(body.get("messages"), "messages: must not be empty")
    _need("max_tokens" not in body or "max_completion_tokens" not in body, "max_tokens and max_completion_tokens cannot both be set")
    _range(body, "temperature", 0, 2)
    _range(body, "top_p", 0, 1)
    _range(body, "frequency_penalty", -2, 2)
    _range(body, "presence_penalty", -2, 2)
    _range(body, "top_logprobs", 0, 20)
    _need(not isinstance(body.get("stop"), list) or len(body["stop"]) <= 4, "stop: at most 4 sequences")
    _need("tools" not in body or body["tools"], "[] is too short - 'tools'")
    _need(body.get("tools") or not body.get("tool_choice"), "'tool_choice' is only allowed when 'tools' are specified.")
    _need(body.get("tools") or "parallel_tool_calls" not in body, "'parallel_tool_calls' is only allowed when 'tools' are specified.")
    open_ids: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            _need(message.get("tool_call_id") in open_ids, "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.")
            open_ids.remove(message["tool_call_id"])
            continue
        _need(not open_ids, f"An assistant message with 'tool_calls' must be followed by tool messages; missing: {open_ids}")
        if message["role"] == "assistant":
            open_ids = [call["id"] for call in message.get("tool_calls") or []]
            _need(len(set(open_ids)) == len(open_ids), "duplicate tool_call id")
            _need(open_ids or message.get("content") or message.get("refusal") or message.get("audio"), "content: assistant message is empty")
            for call in message.get("tool_calls") or []:
                json.loads(call["function"]["arguments"])
    _need(not open_ids, f"An assistant message with 'tool_calls' must be followed by tool messages; missing: {open_ids}")


def _mistral(body: dict) -> None:
    for message in body["messages"]:
        for id in [call["id"] for call in message.get("tool_calls") or []] + ([message["tool_call_id"]] if message["role"] == "tool" else []):
            _need(MISTRAL_ID.fullmatch(id), f"Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.")


def _responses(body: dict) -> None:
    _known(body, _RESPONSES, "Unknown parameter: '{name}'.")
    _need(body.get("input"), "input: must not be empty")
    _range(body, "temperature", 0, 2)
    _need("max_output_tokens" not in body or body["max_output_tokens"] >= 16, "max_output_tokens: must be at least 16")
    items = body["input"] if isinstance(body["input"], list) else []
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    outputs = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    _need(len(set(calls)) == len(calls), "Duplicate call_id")
    _need(set(outputs) <= set(calls), "No tool call found for function call output")
    _need(set(calls) <= set(outputs), "No tool output found for function call")
    for item in items:
        if item.get("type") == "reasoning":
            _need("summary" in item, "Missing required parameter: summary")
        if item.get("type", "message") == "message" and isinstance(item.get("content"), list):
            kinds = {"output_text", "refusal"} if item["role"] == "assistant" else {"input_text", "input_image", "input_file", "input_audio"}
            for part in item["content"]:
                _need(part["type"] in kinds, f"Invalid value: '{part['type']}'. Supported values of role {item['role']} are {sorted(kinds)}")
    for tool in body.get("tools") or []:
        _need(tool["type"] != "function" or "name" in tool, "Missing required parameter: 'tools[0].name'.")


# ---------------------------------------------------------------- Anthropic Messages


def _messages(body: dict) -> None:
    _known(body, _MESSAGES, "{name}: Extra inputs are not permitted")
    _need(isinstance(body.get("max_tokens"), int) and body["max_tokens"] > 0, "max_tokens: Field required")
    _need(body.get("messages"), "messages: at least one message is required")
    _range(body, "temperature", 0, 1)
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled":
        _need(thinking["budget_tokens"] >= 1024, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        _need(thinking["budget_tokens"] < body["max_tokens"], "`max_tokens` must be greater than `thinking.budget_tokens`")
        _need(body.get("temperature", 1) == 1, "`temperature` may only be set to 1 when thinking is enabled")
        _need("top_k" not in body, "`top_k` must be unset when thinking is enabled")
        _need((body.get("tool_choice") or {}).get("type") not in ("any", "tool"), "Thinking may not be enabled when tool_choice forces tool use.")
    _need(body.get("tools") or not body.get("tool_choice"), "tool_choice: may only be specified while providing tools")
    for tool in body.get("tools") or []:
        if tool.get("type", "custom") != "custom":
            continue  # a tool of Anthropic's own, whose members are its own
        _known(
            tool,
            {"name", "description", "input_schema", "cache_control", "type", "strict", "eager_input_streaming", "defer_loading"},
            "tools: {name}",
        )
        _need(tool.get("input_schema", {}).get("type") == "object", "tools.0.custom.input_schema.type: Field required")
    used: list[str] = []
    last_role = ""
    for message in body["messages"]:
        _need(message["role"] in ("user", "assistant"), f'messages: Unexpected role "{message["role"]}"')
        blocks = message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": message["content"]}]
        _need(blocks, "messages: all messages must have non-empty content")
        if message["role"] == last_role == "assistant":
            raise Fault("messages: roles must alternate")
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if message["role"] == "user" or used:
            _need(set(used) <= set(results), f"`tool_use` ids were found without `tool_result` blocks immediately after: {used}")
            _need(set(results) <= set(used), "unexpected `tool_use_id` found in `tool_result` blocks")
            _need(len(results) == len(set(results)), "each tool_use must have a single result")
        used = [block["id"] for block in blocks if block["type"] == "tool_use"]
        _need(len(used) == len(set(used)), "`tool_use` ids must be unique")
        for block in blocks:
            _block(block)
        last_role = message["role"]
    _need(not used, f"`tool_use` ids were found without `tool_result` blocks immediately after: {used}")


def _block(block: dict) -> None:
    if block["type"] == "text":
        _need(block["text"].strip(), "text content blocks must contain non-whitespace text")
    if block["type"] == "tool_use":
        _need(TOOL_ID.fullmatch(block["id"]), f"tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$': {block['id']}")
        _need(isinstance(block["input"], dict), "tool_use.input: Input should be a valid dictionary")
    if block["type"] == "tool_result":
        _need(TOOL_ID.fullmatch(block["tool_use_id"]), "tool_use_id: String should match pattern")
    if block["type"] == "thinking":
        _need(isinstance(block.get("signature"), str) and is_base64(block["signature"]), "Invalid `signature` in `thinking` block")


# ---------------------------------------------------------------- Gemini


def _gemini(body: dict) -> None:
    unknown = 'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
    _known(body, _GEMINI, unknown)
    _known(body.get("generationConfig") or {}, _GEMINI_CONFIG, unknown)
    _need(body.get("contents"), "contents is not specified")
    _range(body.get("generationConfig") or {}, "temperature", 0, 2)
    waiting: list[str] = []
    for content in body["contents"]:
        _need(content.get("role", "user") in ("user", "model"), "Please use a valid role: user, model.")
        _need(content.get("parts"), "contents.parts must not be empty")
        calls, answers = [], []
        for part in content["parts"]:
            kinds = set(part) - {"thought", "thoughtSignature", "mediaResolution", "partMetadata", "videoMetadata"}
            _need(len(kinds) == 1, f"required oneof field 'data' must have one initialized field, has {sorted(kinds)}")
            _known({kind: 1 for kind in kinds}, {"text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode",
                                                 "codeExecutionResult"}, unknown)  # fmt: skip
            if "thoughtSignature" in part:
                _need(re.fullmatch(r"[A-Za-z0-9+/_-]+=*", part["thoughtSignature"]), "Base64 decoding failed for thought_signature")
            calls += [part["functionCall"]["name"]] if "functionCall" in part else []
            answers += [part["functionResponse"]["name"]] if "functionResponse" in part else []
            if "functionCall" in part:
                _need(isinstance(part["functionCall"].get("args", {}), dict), "functionCall.args must be an object")
            if "functionResponse" in part:
                _need(isinstance(part["functionResponse"]["response"], dict), "functionResponse.response must be an object")
        if waiting or answers:
            _need(sorted(waiting) == sorted(answers), "the number of function response parts is to equal the number of function call parts")
        waiting = calls
    _need(not waiting, "function call turn comes without a function response turn")
    for tool in body.get("tools") or []:
        for declared in tool.get("functionDeclarations") or []:
            _known(declared, {"name", "description", "parameters", "parametersJsonSchema", "parameters_json_schema", "response", "responseJsonSchema",
                              "behavior"}, unknown)  # fmt: skip


# ---------------------------------------------------------------- Converse


def _converse(body: dict) -> None:
    _known(body, _CONVERSE, "extraneous key [{name}] is not permitted")
    _known(body.get("inferenceConfig") or {}, {"maxTokens", "temperature", "topP", "stopSequences"}, "extraneous key [{name}] is not permitted")
    _range(body.get("inferenceConfig") or {}, "temperature", 0, 1)
    messages = body.get("messages") or []
    _need(messages and messages[0]["role"] == "user", "A conversation must start with a user message.")
    used: list[str] = []
    for before, message in zip([{}, *messages], messages, strict=False):
        _need(message["role"] != before.get("role"), "A conversation must alternate between user and assistant roles.")
        _need(message["content"], "The content field in the Message object is empty.")
        results = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        _need(sorted(used) == sorted(results), "Expected toolResult blocks for the toolUse blocks of the turn before")
        used = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        _need(len(set(used)) == len(used), "Duplicate toolUseId")
        for block in message["content"]:
            _need(len(block) == 1, f"Union with more than one member: {sorted(block)}")
            _need("text" not in block or block["text"].strip(), "The text field in the ContentBlock object is blank.")
            if "toolUse" in block:
                _need(TOOL_ID.fullmatch(block["toolUse"]["toolUseId"]), "toolUseId must satisfy [a-zA-Z0-9_-]+")
                _need(isinstance(block["toolUse"]["input"], dict), "The format of the value at toolUse.input is invalid.")
    _need(not used, "Expected toolResult blocks for the toolUse blocks of the last turn")
    has_tools = any("toolUse" in block or "toolResult" in block for message in messages for block in message["content"])
    _need(not has_tools or body.get("toolConfig"), "The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    _need("toolConfig" not in body or body["toolConfig"].get("tools"), "toolConfig.tools: must have length greater than or equal to 1")
    for block in body.get("system") or []:
        _need("text" not in block or block["text"].strip(), "The text field in the system block is blank.")


# ---------------------------------------------------------------- Cohere


def _cohere(body: dict) -> None:
    _known(body, _COHERE, "unknown field: parameter '{name}' is not a valid field")
    _need(body.get("messages"), "messages must have at least one message")
    _need(body.get("tool_choice") in (None, "REQUIRED", "NONE"), "tool_choice must be REQUIRED or NONE")
    _need(body.get("tools") or not body.get("tool_choice"), "tool_choice cannot be specified without tools")
    _range(body, "temperature", 0, 1)
    _range(body, "p", 0.01, 0.99)
    _range(body, "k", 0, 500)
    _need(len(body.get("stop_sequences") or []) <= 5, "at most 5 stop_sequences")
    open_ids: list[str] = []
    for message in body["messages"]:
        _need(message["role"] in ("system", "user", "assistant", "tool"), f"invalid role {message['role']}")
        if message["role"] == "tool":
            _need(message["tool_call_id"] in open_ids, "tool message without a matching tool call")
            open_ids.remove(message["tool_call_id"])
            continue
        _need(not open_ids, f"missing tool results: {open_ids}")
        open_ids = [call["id"] for call in message.get("tool_calls") or []]
        _need(len(open_ids) == len(set(open_ids)), "duplicate tool call ids")
        _need(open_ids or message.get("content"), "message must be at least 1 token long")
    _need(not open_ids, f"missing tool results: {open_ids}")
