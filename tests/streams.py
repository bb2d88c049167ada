"""Streams as upstreams send them, each kind once, and what a caller must see of them."""

import json
from dataclasses import dataclass

DONE = b"data: [DONE]\n\n"


def content(text: str, more: str = "", finish: str = "null") -> bytes:
    body = json.dumps(text, ensure_ascii=False)
    choice = f'{{"index":0,"delta":{{"content":{body}}},"finish_reason":{finish}}}'
    return f'data: {{"id":"gen-7","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{choice}]{more}}}\n\n'.encode()


def usage(prompt: int = 25, completion: int = 7, choices: str = "[]", more: str = "") -> bytes:
    counts = f'"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{prompt + completion}{more}'
    return f'data: {{"id":"gen-7","created":1700000000,"model":"m","choices":{choices},"usage":{{{counts}}}}}\n\n'.encode()


FINISH = content("", finish='"stop"')
_USAGE_MEMBER = ',"usage":{"prompt_tokens":%d,"completion_tokens":%d}'


@dataclass(frozen=True)
class Stream:
    """`last_usage`: the index of the event that is stamped; None where one has to be made up before [DONE]."""

    events: tuple[bytes, ...]
    last_usage: int | None
    lost: bytes = b""  # at the end, which no caller sees
    added: bytes = b""  # at the end, which the upstream left out

    @property
    def sent(self) -> bytes:
        return b"".join(self.events)

    def check(self, out: bytes, model: str = "mock/model") -> dict[str, object]:
        """Fails unless `out` is what a caller must see; gives the stamped event's JSON."""
        cut = len(self.events) - 1 if self.last_usage is None else self.last_usage
        before = b"".join(self.events[:cut])
        after = b"".join(self.events[cut if self.last_usage is None else cut + 1 :]).removesuffix(self.lost) + self.added
        assert out.startswith(before)
        assert out.endswith(after)
        stamped = out[len(before) : len(out) - len(after)]
        assert stamped.startswith(b"data: {")
        assert stamped.count(b"\n\n") + stamped.count(b"\r\n\r\n") == 1
        event: dict[str, object] = json.loads(stamped[6:])
        assert event["model"] == model
        assert event["provider"]
        return event


STREAMS = {
    "plain": Stream((content("Hel"), content("lo"), FINISH, usage(), DONE), 3),
    "unicode": Stream((content("caf\u00e9 \u2615"), content("\U0001f600 \u4f60\u597d"), FINISH, usage(), DONE), 3),
    "usage with the finish": Stream(
        (content("a"), content("", _USAGE_MEMBER % (5, 1), '"stop"'), DONE), 1
    ),
    "usage null in each chunk": Stream(
        (content("a", ',"usage":null'), content("b", ',"usage":null'), content("", ',"usage":null', '"stop"'), usage(), DONE), 3
    ),
    "usage in every chunk": Stream(
        (content("a", _USAGE_MEMBER % (5, 1)), content("b", _USAGE_MEMBER % (5, 2)),
         content("", _USAGE_MEMBER % (5, 2), '"stop"'), DONE), 2
    ),
    "two usage events": Stream((content("a"), FINISH, usage(25, 6), usage(25, 7), DONE), 3),
    "usage in the middle": Stream((content("a"), usage(25, 1), content("b"), FINISH, usage(25, 2), DONE), 4),
    "something after the usage": Stream((content("a"), FINISH, usage(), b": cost follows\n\n", content(""), DONE), 2),
    "comments": Stream(
        (b": OPENROUTER PROCESSING\n\n", b":\n\n", content("a"), b": ping\n\n", content("b"), FINISH, usage(), DONE), 6
    ),
    "treacherous words": Stream(
        (content('say "usage" and [DONE]\n\n'), content('data: {"error": {"usage": 1}}'), FINISH, usage(), DONE), 3
    ),
    "named events": Stream(
        (b"event: chunk\nid: 1\n" + content("a"), b"retry: 10\n" + content("b"), FINISH, usage(), DONE), 3
    ),
    "carriage returns": Stream(
        tuple(each.replace(b"\n", b"\r\n") for each in (content("a"), b": ping\n\n", content("b"), FINISH, usage(), DONE)), 4
    ),
    "no space after the colon": Stream(
        tuple(each.replace(b"data: ", b"data:") for each in (content("a"), FINISH, usage(), DONE)), 2
    ),
    "no usage": Stream((content("a"), content("b"), FINISH, DONE), None),
    "negative usage": Stream((content("a"), FINISH, usage(-1, -7), DONE), None),
    "huge usage": Stream((content("a"), FINISH, usage(10**18, 1), DONE), None),
    "empty choices first": Stream(
        (b'data: {"id":"gen-7","choices":[],"prompt_filter_results":[]}\n\n', content("a"), FINISH, usage(), DONE), 3
    ),
    "data after [DONE]": Stream((content("a"), FINISH, usage(), DONE, content("late")), 2, lost=content("late")),
    "numbers for ids": Stream(
        tuple(each.replace(b'"id":"gen-7"', b'"id":7') for each in (content("a"), FINISH, usage(), DONE)), 2
    ),
    "odd members": Stream(
        tuple(each.replace(b'"id":"gen-7"', b'"id":{}').replace(b"1700000000", b'"2024"') for each in (content("a"), FINISH, usage(), DONE)), 2
    ),
    "odd members and no usage": Stream(
        tuple(each.replace(b'"id":"gen-7"', b'"id":7').replace(b"1700000000", b"1e999") for each in (content("a"), FINISH, DONE)), None
    ),
    "no [DONE]": Stream((content("a"), FINISH, usage()), 2, added=DONE),
}  # fmt: skip
