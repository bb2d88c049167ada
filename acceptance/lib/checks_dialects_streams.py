"""What goes wrong upstream, with every caller and every upstream: statuses, errors inside a stream, cuts at every event, empty answers."""

import json
from dataclasses import replace

import dialect_answers
from dialect_callers import PATHS, TOOLS
from dialect_scripts import EMPTY, ONE_CALL, PLAIN, SCRIPTS, THINKING, Reply
from dialect_upstreams import EVENTS
from harness import check, eventually, gw

from checks_dialects_pairs import REASON
from dialects import asking, every_pair, finish_at, post, problem, speaker, talk_of

STATUSES = {400: 400, 401: 502, 403: 502, 404: 502, 413: 413, 422: 422, 429: 429, 500: 502, 503: 503, 529: 503}  # upstream's, caller's
KINDS = {400: "invalid_request_error", 413: "request_too_large", 429: "rate_limit_error", 502: "api_error", 503: "overloaded_error"}
OWN = (401, 403)  # about the gateway's account: the upstream's words stay here


@every_pair("errors", "each status before the first byte is told with its status, in the caller's own shape, JSON and stream", timeout=30)
def _(caller, dialect):
    for status, wanted in STATUSES.items():
        for stream in (False, True):
            answer = post(asking(caller, dialect, replace(PLAIN, status=status, retry_after="7" if status == 429 else "")), stream)
            error = problem(caller, answer, wanted)
            assert "json" in (answer.header("content-type") or ""), f"{status}: content-type {answer.header('content-type')}"
            assert ("holiday" in error["message"]) != (status in OWN), f"{status}: message {error['message']!r}"
            assert status != 429 or answer.header("retry-after") == "7", f"Retry-After {answer.header('retry-after')}"
            if caller == "messages" and wanted in KINDS:
                assert error["type"] == KINDS[wanted], f"{status}: type {error['type']!r}, not {KINDS[wanted]!r}"


def broken(caller: str, answer, reply: Reply, where: str) -> bool:
    """Not a clean end: an error before the first byte, or text so far and one error event. Gives whether it was inside the stream."""
    if answer.status != 200:
        problem(caller, answer, 502, 503, 504)
        return False
    told = dialect_answers.read(caller, answer, True)
    assert told.finish == "error" and told.error, f"{where}: a clean end with finish {told.finish!r}, text {told.text!r}"
    assert told.error.get("message"), f"{where}: no message: {told.error}"
    assert reply.whole.startswith(told.text), f"{where}: text {told.text!r}"
    return True


@every_pair("error-inside", "an error after the first byte is one error event in the caller's own dialect, last, with the upstream's words")
def _(caller, dialect):
    request = {"stream_options": {"include_usage": True}}
    after = 1 + next(at for at, event in enumerate(EVENTS[dialect](PLAIN, request)) if PLAIN.text[0] in str(event))
    answer = post(asking(caller, dialect, replace(PLAIN, error=after)), True)
    assert broken(caller, answer, PLAIN, f"after {after} events"), f"not inside the stream: {answer}"
    told = dialect_answers.read(caller, answer, True)
    assert told.text == PLAIN.text[0], f"what came before: {told.text!r}"
    assert "holiday" in told.error["message"], f"{told.error}"


@every_pair("cut", "a stream cut after any event, cleanly or by a reset, is never a clean end", timeout=60)
def _(caller, dialect):
    seen = 0
    for base, tools in ((THINKING, {}), (ONE_CALL, TOOLS)):
        for at in range(finish_at(dialect, base) + 1):
            for how in ("end", "reset") if at % 3 == 0 else ("end",):
                more = REASON[caller] if base is THINKING else {}  # else an upstream may keep its thoughts, and so end earlier
                one = asking(caller, dialect, replace(base, cut=at, cut_how=how), tools=tools, more=more)
                broken(caller, post(one, True), base, f"{how} after {at} events")
                assert talk_of(one).dialect == dialect, f"refused: {talk_of(one).fault}"
                seen += 1
    return f"{seen} cuts"


@every_pair("cut-bytes", "a stream that stops in the middle of an event is never a clean end", timeout=30)
def _(caller, dialect):
    request = {"stream_options": {"include_usage": True}}
    whole = EVENTS[dialect](PLAIN, request)
    for at in (1, len(whole) // 2, finish_at(dialect, PLAIN)):
        one = asking(caller, dialect, replace(PLAIN, cut=at, is_torn=True))
        broken(caller, post(one, True), PLAIN, f"torn in event {at}")
        assert talk_of(one).dialect == dialect, f"refused: {talk_of(one).fault}"


@every_pair("empty", "an empty completion is an error, not a success, JSON and stream")
def _(caller, dialect):
    answer = post(asking(caller, dialect, EMPTY))
    assert problem(caller, answer, 502), f"{answer}"
    broken(caller, post(asking(caller, dialect, EMPTY), True), EMPTY, "an empty stream")


@every_pair("usage-null", "an upstream that tells no usage: tokens are estimated, never zero or missing", but=("messages", "converse"))
def _(caller, dialect):
    for stream in (False, True):
        told = dialect_answers.read(caller, post(asking(caller, dialect, replace(PLAIN, usage=None)), stream), stream)
        assert told.usage and told.usage[0] > 5 and told.usage[1] > 3, f"usage {told.usage}"


@check(
    "stream.failed-over",
    "an error before the first event goes to the next endpoint, whatever it speaks; the caller sees one clean answer",
    timeout=20,
)
def _():
    for caller in ("chat", "responses", "messages"):
        one = asking(caller, "lab/several", SCRIPTS.add(replace(PLAIN, status=500), PLAIN))
        answer = post(one, True, g=gw("several"))
        told = dialect_answers.read(caller, answer, True)
        assert told.text == PLAIN.whole and told.finish == "stop", f"{told}"
        provider = answer.header("x-kilo-provider")  # one that has failed rests behind the others, so that the next caller begins elsewhere
        assert provider == {"gemini": "second", "chat": "third", "messages": "first"}[talk_of(one).dialect], f"{provider}"
        asked = [talk for name in ("messages", "gemini", "chat") for talk in speaker(name).of(one.script)]
        assert len(asked) == 2, f"{len(asked)} upstreams were asked"
        assert caller != "chat" or provider == "second", f"{provider}"


@check("stream.booked-broken", "a stream that broke inside is booked as broken_off with the tokens that came", timeout=20)
def _():
    for dialect in ("messages", "gemini", "responses"):
        answer = post(asking("chat", dialect, replace(PLAIN, cut=min(4, finish_at(dialect, PLAIN)))), True)
        row = gw("dialects").row(answer.header("x-generation-id"))
        assert row["status"] in ("broken_off", "upstream_failed") and row["model"] == f"lab/{dialect}", f"{row}"


@check("stream.gone", "a caller who leaves a translated stream: the upstream is left within a second, the row says client_gone", timeout=30)
def _():
    slow = replace(PLAIN, text=tuple(f"word{n} " for n in range(200)), pause_s=0.05)
    for caller, dialect in (("messages", "gemini"), ("chat", "messages"), ("responses", "converse")):
        one = asking(caller, dialect, slow)
        answer = post_until_text(one)
        assert answer.status == 200, f"{answer}"
        assert eventually(lambda d=dialect, o=one: speaker(d).one(o.script).asked.gone, 2), f"{dialect}: the upstream's connection stays open"
        row = gw("dialects").row(answer.header("x-generation-id"))
        assert row["status"] == "client_gone" and row["completion_tokens"] > 0, f"{row}"


def post_until_text(one):
    """Reads until a word has come, and leaves."""
    body = json.dumps(one.body(True)).encode()
    return gw("dialects").post(body, path=PATHS[one.caller], timeout=8, on_piece=lambda answer: b"word" in answer.body)


@check("stream.paced", "a translated stream is passed on event by event, not gathered", timeout=20)
def _():
    slow = replace(PLAIN, text=tuple(f"w{n} " for n in range(8)), pause_s=0.1)
    for caller, dialect in (("messages", "gemini"), ("chat", "converse"), ("responses", "messages"), ("chat", "cohere")):
        answer = post(asking(caller, dialect, slow), True)
        times = [when for when, piece in answer.seen if b"w" in piece]
        assert len(times) >= 7 and times[-1] - times[0] > 0.5, f"{caller}-{dialect}: pieces came at {[round(t, 2) for t in times]}"
