"""Lists as upstreams have them, one row of each kind with all that is read."""

import json

OPENROUTER: dict[str, object] = {
    "id": "maker/thinker", "canonical_slug": "maker/thinker-2026", "hugging_face_id": "maker/thinker-hf", "name": "Maker: Thinker",
    "created": 1_770_000_000, "description": "Thinks.\nSlowly.", "context_length": 200_000,
    "architecture": {
        "modality": "text+image->text", "input_modalities": ["text", "image", "pdf"], "output_modalities": ["text"],
        "tokenizer": "Other", "instruct_type": None,
    },
    "pricing": {
        "prompt": "0.000003", "completion": "0.000015", "request": "0", "image": "0.0048", "web_search": "0.01",
        "internal_reasoning": "0", "input_cache_read": "0.0000003", "input_cache_write": "0.00000375",
        "input_cache_write_1h": "0.000006", "audio": "0.00001", "audio_output": "0.00002", "input_audio_cache": "0.000001",
        "image_token": "0.000004", "image_output": "0.00003", "discount": 0.25,
        "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000006", "completion": "0.0000225", "input_cache_read": "0"}],
    },
    "top_provider": {"context_length": 190_000, "max_completion_tokens": 64_000, "is_moderated": True},
    "per_request_limits": None, "supported_parameters": ["tools", "reasoning"], "supported_voices": None,
    "knowledge_cutoff": "2026-01-31", "expiration_date": "2027-06-30",
    "reasoning": {
        "mandatory": True, "default_enabled": True, "default_effort": "medium", "supported_efforts": ["low", "high", "ludicrous"],
        "supports_max_tokens": True,
    },
    "benchmarks": {
        "artificial_analysis": {"intelligence_index": 61.5, "coding_index": None, "agentic_index": 40},
        "design_arena": [{"arena": "models", "category": "website", "elo": 1175, "rank": 57, "win_rate": 41.5}],
    },
    "mayTrainOnYourPrompts": False, "opencode": {"ai_sdk_provider": "anthropic", "family": "claude"},
    "links": {"details": "/api/v1/models/maker/thinker/endpoints"},
}  # fmt: skip
GROQ: dict[str, object] = {
    "id": "quick", "object": "model", "created": 1_693_721_698, "owned_by": "Maker", "active": True, "context_window": 131_072,
    "max_completion_tokens": 32_768,
}  # fmt: skip
MISTRAL: dict[str, object] = {
    "id": "big-latest", "object": "model", "created": 1_761_000_000, "owned_by": "mistralai", "name": "big-2601",
    "description": "The big one.", "max_context_length": 131_072, "aliases": ["big-2601", "big-latest", 5],
    "capabilities": {"completion_chat": True, "function_calling": True, "vision": True}, "type": "base",
}  # fmt: skip
VLLM: dict[str, object] = {
    "id": "Team/Small", "object": "model", "created": 1_762_000_000, "owned_by": "vllm", "root": "Team/Small",
    "parent": None, "max_model_len": 32_768, "permission": [],
}  # fmt: skip
TOGETHER: dict[str, object] = {
    "id": "maker/embedder", "object": "model", "created": 0, "type": "embedding", "display_name": "Maker Embedder",
    "context_length": 512, "pricing": {"hourly": 0, "input": 0.008, "output": 0.008, "base": 0, "finetune": 0},
}  # fmt: skip
LM_STUDIO: dict[str, object] = {
    "id": "looker-7b", "object": "model", "type": "vlm", "publisher": "team", "arch": "looker", "compatibility_type": "gguf",
    "quantization": "Q4_K_M", "state": "not-loaded", "max_context_length": 32_768,
}  # fmt: skip
ANTHROPIC: dict[str, object] = {
    "type": "model", "id": "poet-5", "display_name": "Poet 5", "created_at": "2026-02-04T00:00:00Z", "max_input_tokens": 1_000_000,
    "max_tokens": 128_000, "lifecycle": "deprecated", "retires_at": "2027-01-05T00:00:00Z",
    "capabilities": {
        "image_input": {"supported": True}, "pdf_input": {"supported": True},
        "thinking": {"supported": True, "types": {"enabled": {"supported": True}, "adaptive": {"supported": True}}},
        "effort": {"supported": True, "low": {"supported": True}, "high": {"supported": True}, "xhigh": None, "max": {"supported": False}},
    },
}  # fmt: skip
GEMINI: dict[str, object] = {
    "name": "models/twin-4", "version": "001", "displayName": "Twin 4", "description": "Sees both.", "inputTokenLimit": 1_048_576,
    "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens"], "thinking": True,
}  # fmt: skip
OLLAMA: dict[str, object] = {
    "name": "camel:latest", "model": "camel:latest", "modified_at": "2026-10-02T13:14:15.123456789+02:00", "size": 2_019_393_189,
    "digest": "a80c4f17acd5", "details": {"format": "gguf", "family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"},
}  # fmt: skip


def openai_list(*rows: object, **more: object) -> bytes:
    return json.dumps({"object": "list", "data": rows, **more}).encode()


def named_list(*rows: object, **more: object) -> bytes:
    """Of Gemini and Ollama."""
    return json.dumps({"models": rows, **more}).encode()
