"""What a chat upstream serves besides chat: legacy completions, FIM, next edits, embeddings, transcription; and Bedrock's embeddings."""

import base64
import json
import re
import struct
from email.parser import BytesParser
from email.policy import HTTP

from dialect_scripts import Reply
from dialect_speech_openai import CREATED, FINISH, chat_body, chat_events, chat_usage

VECTOR = (0.5, -0.25, 0.125, 1.0)  # exact in 32 bits; the n-th input gets n + 1 times as much
EMBEDDED, HEARD_S = 17, 3  # prompt tokens of an embedding; seconds of a transcription
FIM = {"model", "prompt", "suffix", "max_tokens", "min_tokens", "stop", "stream", "temperature", "top_p", "random_seed", "metadata"}


def fields_of(asked) -> dict:
    """Of multipart/form-data: text fields as text, files as {filename, type, data}."""
    head = f"Content-Type: {asked.headers.get('content-type', '')}\r\n\r\n".encode()
    found: dict = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + asked.body).iter_parts():
        name, file = part.get_param("name", header="content-disposition"), part.get_filename()
        data = part.get_payload(decode=True) or b""
        found[name] = {"filename": file, "type": part.get_content_type(), "data": data} if file else data.decode().strip("\r\n")
    return found


def answer(dialect: str, path: str, body: dict, reply: Reply):
    """A body, a list of events, a text that says why it is a 400, or None for a path that is not there."""
    if dialect == "converse" and re.fullmatch(r"/model/[^/]+/invoke", path):
        return {"embedding": list(VECTOR), "inputTextTokenCount": EMBEDDED}
    if dialect == "gemini" and path.endswith(":batchEmbedContents"):
        return _gemini_embeddings(path, body)
    if dialect == "cohere" and path == "/v2/embed":
        return _cohere_embeddings(body)
    if dialect != "chat":
        return None
    if path == "/v1/embeddings":
        return _embeddings(body)
    if path == "/v1/audio/transcriptions":
        return _transcription(body, reply)
    if path == "/v1/completions":
        return _completion(body, reply)
    if path in ("/v1/fim/completions", "/v1/edit/completions"):
        unknown = set(body) - FIM - {"messages"}
        if unknown:
            return f"{sorted(unknown)[0]}: Extra inputs are not permitted"
        asked = {**body, "stream_options": {"include_usage": True}}  # Mistral tells usage with its last chunk, unasked
        return chat_events(reply, asked) if body.get("stream") else chat_body(reply, body)
    return None


def _embeddings(body: dict):
    inputs = body["input"] if isinstance(body["input"], list) and not all(isinstance(each, int) for each in body["input"]) else [body["input"]]
    size = body.get("dimensions") or len(VECTOR)
    rows = []
    for n in range(len(inputs)):
        floats = [(n + 1) * VECTOR[at % len(VECTOR)] for at in range(size)]
        packed = base64.b64encode(struct.pack(f"<{size}f", *floats)).decode()
        rows.append({"object": "embedding", "index": n, "embedding": packed if body.get("encoding_format") == "base64" else floats})
    return {"object": "list", "data": rows, "model": body["model"], "usage": {"prompt_tokens": EMBEDDED, "total_tokens": EMBEDDED}}


def _gemini_embeddings(path: str, body: dict):
    asked = body.get("requests") or []
    model = path.rpartition("/")[2].partition(":")[0]
    if not 0 < len(asked) <= 100 or any(set(each) - {"model", "content", "taskType", "title", "outputDimensionality"} for each in asked):
        return "requests: at most 100, each with model and content"
    if any(each["model"] != f"models/{model}" or not each["content"]["parts"][0]["text"] for each in asked):
        return "requests[].model must match the model in the path"
    return {"embeddings": [{"values": [(n + 1) * each for each in VECTOR]} for n in range(len(asked))], "usageMetadata": {"promptTokenCount": EMBEDDED}}


def _cohere_embeddings(body: dict):
    if set(body) - {"model", "texts", "images", "inputs", "input_type", "embedding_types", "output_dimension", "truncate", "max_tokens"}:
        return "unknown field"
    if not body.get("input_type") or not 0 < len(body.get("texts") or []) <= 96:
        return "input_type is required, and between 1 and 96 texts"
    floats = [[(n + 1) * each for each in VECTOR] for n in range(len(body["texts"]))]
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": EMBEDDED}}
    return {"id": "lab-cohere-e", "embeddings": {"float": floats}, "texts": body["texts"], "meta": meta, "response_type": "embeddings_by_type"}


def _transcription(body: dict, reply: Reply):
    if not isinstance(body.get("file"), dict) or not body["file"]["data"]:
        return "file: field required"
    if not body.get("model"):
        return "you must provide a model parameter"
    if body.get("stream") == "true":
        usage = {"type": "tokens", "input_tokens": 30, "input_token_details": {"text_tokens": 0, "audio_tokens": 30}, "output_tokens": 5, "total_tokens": 35}
        deltas = [{"type": "transcript.text.delta", "delta": piece} for piece in reply.text]
        return [*deltas, {"type": "transcript.text.done", "text": reply.whole, "usage": usage}]
    if body.get("response_format") == "text":
        return reply.whole.encode()
    told: dict = {"text": reply.whole, "usage": {"type": "duration", "seconds": HEARD_S}}
    if body.get("response_format") == "verbose_json":
        told |= {"language": body.get("language", "english"), "duration": float(HEARD_S), "segments": []}
    return told


def _completion(body: dict, reply: Reply):
    whole = {"id": "cmpl-lab1", "object": "text_completion", "created": CREATED, "model": body["model"]}
    finish = FINISH[reply.finish]
    usage = chat_usage(reply.usage) if reply.usage else None
    if not body.get("stream"):
        choice = {"index": 0, "text": reply.whole, "logprobs": None, "finish_reason": finish}
        return {**whole, "choices": [choice], "usage": usage}
    chunks = [{**whole, "choices": [{"index": 0, "text": piece, "logprobs": None, "finish_reason": None}]} for piece in reply.text]
    chunks.append({**whole, "choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": finish}]})
    return [*chunks, {**whole, "choices": [], "usage": usage}, "[DONE]"]


def vector_of(embedding) -> list[float]:
    """Of a list, or of base64."""
    if isinstance(embedding, str):
        data = base64.b64decode(embedding)
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    return json.loads(json.dumps(embedding))
