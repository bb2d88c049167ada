"""What OpenRouter's description and the clients' own parsers demand of the lists, as JSON Schema."""

from typing import Any

from jsonschema import Draft202012Validator

Schema = dict[str, Any]


def check(value: object, schema: Schema) -> None:
    """Fails with every violation, not the first alone."""
    errors = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)]
    assert errors == []


def record(required: Schema, optional: Schema | None = None, *, closed: bool = False) -> Schema:
    made: Schema = {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}
    return made | ({"additionalProperties": False} if closed else {})


def listed(of: Schema, **more: object) -> Schema:
    return {"type": "array", "items": of, **more}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


STRING: Schema = {"type": "string"}
WORD: Schema = {"type": "string", "minLength": 1}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
DECIMAL: Schema = {"type": "string", "pattern": r"^(-1|\d+(\.\d+)?)$"}
DATE: Schema = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
COUNTRY: Schema = {"type": "string", "pattern": "^[A-Z]{2}$"}

INPUT: Schema = {"enum": ["text", "image", "file", "audio", "video"]}
OUTPUT: Schema = {"enum": ["text", "image", "embeddings", "audio", "video", "rerank", "speech", "transcription"]}
PARAMETER: Schema = {
    "enum": [
        "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty", "repetition_penalty", "max_tokens",
        "max_completion_tokens", "logit_bias", "logprobs", "top_logprobs", "prediction", "seed", "response_format", "structured_outputs",
        "stop", "tools", "tool_choice", "parallel_tool_calls", "include_reasoning", "reasoning", "reasoning_effort", "web_search_options",
        "verbosity",
    ]
}  # fmt: skip
TOKENIZER: Schema = {
    "enum": [
        "Router", "Media", "Other", "GPT", "Claude", "Gemini", "Gemma", "Grok", "Cohere", "Nova", "Qwen", "Yi", "DeepSeek", "Mistral",
        "Llama2", "Llama3", "Llama4", "PaLM", "RWKV", "Qwen3",
    ]
}  # fmt: skip
QUANTIZATION: Schema = {"enum": ["int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown"]}
EFFORT: Schema = {"enum": ["max", "xhigh", "high", "medium", "low", "minimal", "none", None]}

_OVERRIDE_RATES = dict.fromkeys(
    ("audio", "completion", "input_audio_cache", "input_cache_read", "input_cache_write", "input_cache_write_1h", "prompt"), DECIMAL
)
OVERRIDE = record({}, {**_OVERRIDE_RATES, "min_prompt_tokens": NUMBER, "utc_start": NUMBER, "utc_end": NUMBER})
PRICING = record(
    {"prompt": DECIMAL, "completion": DECIMAL},
    {
        **dict.fromkeys(
            ("audio", "audio_output", "image", "image_output", "image_token", "input_audio_cache", "input_cache_read", "input_cache_write",
             "input_cache_write_1h", "internal_reasoning", "request", "web_search"), DECIMAL
        ),
        "discount": NUMBER, "overrides": listed(OVERRIDE),
    },
    closed=True,
)  # fmt: skip
ARCHITECTURE = record(
    {"input_modalities": listed(INPUT), "modality": or_null(STRING), "output_modalities": listed(OUTPUT)},
    {"tokenizer": TOKENIZER, "instruct_type": or_null(STRING)},
)
BENCHMARKS = record(
    {"design_arena": listed(record({"arena": STRING, "category": STRING, "elo": NUMBER, "rank": NUMBER, "win_rate": NUMBER}, closed=True))},
    {"artificial_analysis": record(dict.fromkeys(("agentic_index", "coding_index", "intelligence_index"), or_null(NUMBER)))},
)
REASONING = record(
    {"mandatory": BOOLEAN},
    {"default_effort": EFFORT, "default_enabled": BOOLEAN, "supported_efforts": or_null(listed(EFFORT)), "supports_max_tokens": {"const": True}},
)
MODEL = record(
    {
        "architecture": ARCHITECTURE, "canonical_slug": WORD, "context_length": or_null(INTEGER), "created": INTEGER,
        "default_parameters": record({}), "id": WORD, "links": record({"details": STRING}), "name": WORD, "per_request_limits": {"type": "null"},
        "pricing": PRICING, "supported_parameters": listed(PARAMETER), "supported_voices": or_null(listed(STRING)),
        "top_provider": record({"is_moderated": BOOLEAN}, {"context_length": or_null(INTEGER), "max_completion_tokens": or_null(INTEGER)}),
    },
    {
        "alias_target": record({"name": STRING, "slug": STRING}), "benchmarks": BENCHMARKS, "description": STRING,
        "expiration_date": or_null(DATE), "hugging_face_id": or_null(STRING), "knowledge_cutoff": or_null(DATE), "reasoning": REASONING,
    },
)  # fmt: skip
MODELS = record({"data": listed(MODEL), "links": record({"next": or_null(STRING)}), "total_count": {"type": "integer", "minimum": 0}})

PERCENTILES = record({"p50": NUMBER, "p75": NUMBER, "p90": NUMBER, "p99": NUMBER})
ENDPOINT = record(
    {
        "context_length": INTEGER, "latency_last_30m": or_null(PERCENTILES), "max_completion_tokens": or_null(INTEGER),
        "max_prompt_tokens": or_null(INTEGER), "model_id": WORD, "model_name": WORD, "name": WORD, "pricing": PRICING,
        "provider_name": WORD, "quantization": or_null(QUANTIZATION), "supported_parameters": listed(PARAMETER),
        "supports_implicit_caching": BOOLEAN, "tag": WORD, "throughput_last_30m": or_null(PERCENTILES), "uptime_last_1d": or_null(NUMBER),
        "uptime_last_30m": or_null(NUMBER), "uptime_last_5m": or_null(NUMBER),
        # The SDKs insist on these beyond the description.
        "supports_tool_choice": record({"auto": BOOLEAN, "function": BOOLEAN, "none": BOOLEAN, "required": BOOLEAN}),
        "supports_diarization": BOOLEAN, "native_tools": record({}), "service_tier": or_null(STRING),
    },
    {"status": {"enum": [0, -1, -2, -3, -5, -10]}, "supports_voice_cloning": BOOLEAN},
)  # fmt: skip
ENDPOINTS = record({
    "data": record({
        "architecture": ARCHITECTURE, "created": INTEGER, "description": STRING, "endpoints": listed(ENDPOINT), "id": WORD, "name": WORD,
    })
})  # fmt: skip
ZDR_ENDPOINTS = record({"data": listed(ENDPOINT)})
PROVIDERS = record({
    "data": listed(record(
        {"name": WORD, "slug": WORD, "privacy_policy_url": or_null(STRING)},
        {
            "datacenters": or_null(listed(COUNTRY)), "headquarters": or_null(COUNTRY), "status_page_url": or_null(STRING),
            "terms_of_service_url": or_null(STRING),
        },
    ))
})  # fmt: skip
COUNT = record({"data": record({"count": {"type": "integer", "minimum": 0}})})

# Clients that refuse a whole list, or drop a row without a word.

_VARIANT = record({"reasoning": record({"enabled": BOOLEAN, "effort": EFFORT})})
KILO_MODELS = record({
    "data": listed(record(
        {"id": WORD, "name": WORD, "context_length": NUMBER},
        {
            "description": STRING, "max_completion_tokens": or_null(NUMBER),
            "pricing": record({}, dict.fromkeys(("prompt", "completion", "input_cache_read", "input_cache_write"), or_null(STRING))),
            "architecture": record({}, {"input_modalities": listed(STRING), "output_modalities": listed(STRING), "tokenizer": STRING}),
            "top_provider": record({}, {"max_completion_tokens": or_null(NUMBER)}), "supported_parameters": listed(STRING),
            "preferredIndex": NUMBER, "isFree": BOOLEAN, "mayTrainOnYourPrompts": BOOLEAN, "hasUserByokAvailable": BOOLEAN,
            "autoRouting": record({"models": listed(STRING)}),
            "opencode": record({}, {
                "family": {"enum": ["claude", "gpt", "gemini", "llama", "mistral"]}, "prompt": STRING,
                "variants": {"type": "object", "additionalProperties": _VARIANT},
                "ai_sdk_provider": {"enum": ["anthropic", "openai", "openai-compatible", "alibaba", "mistral", "openrouter"]},
            }),
        },
    ))
})  # fmt: skip
KILO_ENDPOINTS = record({
    "data": record({
        "endpoints": listed(record({
            "name": WORD, "tag": WORD, "provider_name": WORD, "quantization": or_null(STRING), "context_length": NUMBER,
            "max_completion_tokens": or_null(NUMBER), "pricing": record({}), "uptime_last_30m": or_null(NUMBER),
        }))
    })
})  # fmt: skip
OPENCLAW_MODELS = record({
    "data": listed(
        record({
            "id": {"type": "string", "pattern": r"\S"}, "name": WORD, "pricing": record({}), "supported_parameters": listed(STRING),
            "architecture": record({"input_modalities": listed(STRING)}), "context_length": {"type": "number", "exclusiveMinimum": 0},
            "top_provider": record({}),
        }),
        minItems=1,
    )
})  # fmt: skip
OPENAI_MODELS = record({
    "object": {"const": "list"},
    "data": listed(record({"id": WORD, "object": {"const": "model"}, "created": INTEGER, "owned_by": WORD})),
})  # fmt: skip
ANTHROPIC_MODEL = record({
    "type": {"const": "model"}, "id": WORD, "display_name": WORD, "lifecycle": {"enum": ["active", "deprecated", "retired"]},
    "created_at": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"},
})  # fmt: skip
ANTHROPIC_MODELS = record({
    "data": listed(ANTHROPIC_MODEL), "has_more": BOOLEAN, "first_id": or_null(STRING), "last_id": or_null(STRING),
})  # fmt: skip
EMBEDDING_MODELS = record({
    "defaultModel": STRING, "aliases": {"type": "object", "additionalProperties": STRING},
    "models": listed(record(
        {"id": WORD, "name": WORD, "dimension": {"type": "integer", "exclusiveMinimum": 0}, "scoreThreshold": NUMBER}, {"note": STRING},
    )),
})  # fmt: skip
