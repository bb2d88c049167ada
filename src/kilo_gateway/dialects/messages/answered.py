"""The pieces that an answer to a caller is made of, streamed or not."""

from collections.abc import Iterator

from kilo_gateway.dialects.hub.answered import Answer, AnswerHead, Cited, Finished
from kilo_gateway.dialects.hub.asked import Text, Thought, ToolCall
from kilo_gateway.dialects.messages.signatures import GEMINI, OWN, seal

Json = dict[str, object]
TEXT: Json = {"type": "text", "text": ""}
THINKING: Json = {"type": "thinking", "thinking": "", "signature": ""}
RUNNING: Json = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_NATIVES = {"pause_turn": "stop", "model_context_window_exceeded": "length"}


def message(head: AnswerHead, content: list[Json], ended: Json, usage: Json) -> Json:
    made: Json = {"id": head.id, "type": "message", "role": "assistant", "model": head.model, "content": content}
    return made | ended | {"usage": usage} | ({"provider": head.provider} if head.provider else {})


def ended(finished: Finished, refusal: str) -> Json:
    """A refusal in the model's own words is one, however it ended."""
    reason = _REASONS.get(finished.reason, "end_turn")
    if _NATIVES.get(finished.native) == finished.reason:
        reason = finished.native
    elif reason == "end_turn" and finished.stop is not None:
        reason = "stop_sequence"
    if refusal:
        reason = "refusal"
    details: Json | None = None
    if reason == "refusal":
        details = {"type": "refusal", "category": None, "explanation": refusal or None}
    return {"stop_reason": reason, "stop_sequence": finished.stop, "stop_details": details}


def tool_use(call: ToolCall, arguments: object = None) -> Json:
    """Its signature, Gemini's, stands under the name that other gateways give it."""
    made: Json = {"type": "tool_use", "id": call.id, "name": call.name, "input": {} if arguments is None else arguments}
    if not call.signature:
        return made
    sealed = seal(Thought(signature=call.signature, format=GEMINI, origin=call.origin))
    return made | {"thought_signature": sealed if call.origin else call.signature}


def thoughts(thought: Thought) -> Iterator[Json]:
    """What nobody may read goes where Claude puts what is redacted."""
    text, proof = thought.text or thought.summary, seal(thought)
    if text or (thought.signature and thought.format == OWN):
        yield {"type": "thinking", "thinking": text, "signature": proof}
    elif thought.signature or thought.encrypted:
        yield {"type": "redacted_thinking", "data": proof}


def citation(cited: Cited) -> Json:
    if cited.url:
        return {
            "type": "web_search_result_location", "cited_text": cited.text, "encrypted_index": "",
            "title": cited.title or None, "url": cited.url,
        }  # fmt: skip
    return {
        "type": "char_location", "cited_text": cited.text, "document_index": 0, "document_title": cited.title or None,
        "start_char_index": 0, "end_char_index": 0,
    }  # fmt: skip


def picture(url: str) -> str:
    """There is no image in an answer of this dialect."""
    return f"![image]({url})"


class Texts:
    """Texts, cut where something cited ends: sources stand at a block. What has no place is at the end."""

    def __init__(self, answer: Answer) -> None:
        size = sum(len(block.text) for block in answer.blocks if isinstance(block, Text))
        self._cited = [(each.end if 0 < each.end <= size else size, each) for each in answer.cited]
        self._at = 0

    def split(self, text: str) -> Iterator[Json]:
        start, end = self._at, self._at + len(text)
        self._at = end
        begin = start
        for cut in sorted({place for place, _ in self._cited if start < place < end} | {end}):
            here = [citation(each) for place, each in self._cited if begin < place <= cut]
            yield {"type": "text", "text": text[begin - start : cut - start]} | ({"citations": here} if here else {})
            begin = cut

    def rest(self) -> Iterator[Json]:
        """Sources of nothing that was said."""
        if self._at == 0 and self._cited:
            yield {"type": "text", "text": "", "citations": [citation(each) for _, each in self._cited]}
