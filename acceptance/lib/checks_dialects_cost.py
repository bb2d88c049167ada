"""What it cost: cached and written tokens priced both ways, reasoning counted once, estimates marked and learnt."""

import json
from dataclasses import replace

import wire
from checks_dialects_pairs import REASON
from dialect_scripts import CACHED, PLAIN, THINKING, WRITTEN, Reply
from harness import check, children, cli_json, eventually, gw, info

from dialects import asking, both, costs, every_pair, every_upstream, post, problem, talk_of, tell


def booked(*ids: str | None) -> list[dict]:
    """Rows of `kilo-gateway usage`, in the order of the ids."""
    found: dict[str, dict] = {}

    def are_there() -> bool:
        found.update({row["id"]: row for row in cli_json("usage", "--limit", "300", data_dir=gw("dialects").data) if row["id"] in ids})
        return len(found) == len(set(ids))

    assert all(ids), "an answer without x-generation-id"
    assert eventually(are_there, 6, 0.3), f"{len(found)} of {len(ids)} rows"
    return [found[id] for id in ids]


@every_pair(
    "cost", "cached and written tokens arrive in the caller's own members and are booked at their own prices, exactly, JSON and stream", timeout=30
)
def _(caller, dialect):
    asked = []
    for reply in [CACHED, WRITTEN] if dialect in ("messages", "converse") else [CACHED]:
        for one in both(caller, dialect, reply):
            usage = reply.usage
            assert one.told.usage[:3] == (usage.prompt, usage.completion, usage.cached), f"told {one.told.usage} of {usage}"
            if caller == "messages":
                assert one.told.usage[3] == usage.written, f"written {one.told.usage[3]}"
            asked.append((one, usage))
            if caller == "chat":
                costs(one.told.cost, usage)
    for row, (_, usage) in zip(booked(*(one.answer.header("x-generation-id") for one, _ in asked)), asked, strict=True):
        costs(row["cost_usd"], usage)
        seen = (row["prompt_tokens"], row["completion_tokens"], row["cache_read_tokens"], row["cache_write_tokens"] or 0)
        assert seen == (usage.prompt, usage.completion, usage.cached, usage.written), f"booked {seen} of {usage}"
        assert row["status"] == "ok" and not row["estimated"], f"{row}"


@every_upstream("cost", "reasoning", "reasoning tokens belong to the completion and are paid once", but=("messages", "converse", "cohere"))
def _(dialect):
    one = tell(asking("messages", dialect, THINKING, more=REASON["messages"]))
    [row] = booked(one.answer.header("x-generation-id"))
    costs(row["cost_usd"], THINKING.usage)
    assert (row["completion_tokens"], row["reasoning_tokens"]) == (500, 120), f"{row}"


@every_upstream("cost", "header", "x-kilo-cost-usd is on JSON answers of every caller, and is what was booked")
def _(dialect):
    ones = [tell(asking(caller, dialect, PLAIN)) for caller in ("chat", "responses", "messages")]
    for one, row in zip(ones, booked(*(each.answer.header("x-generation-id") for each in ones)), strict=True):
        costs(one.answer.header("x-kilo-cost-usd"), PLAIN.usage)
        costs(row["cost_usd"], PLAIN.usage)


@check("cost.generation", "/generation of translated requests tells tokens, cost and the upstream's own id", timeout=20)
def _():
    g = gw("dialects")
    for caller, dialect in (("messages", "gemini"), ("chat", "messages"), ("responses", "converse")):
        id = tell(asking(caller, dialect, CACHED)).answer.header("x-generation-id")
        booked(id)
        told = json.loads(g.get(f"/v1/generation?id={id}", headers={"Authorization": f"Bearer {g.key}"}).body)["data"]
        assert (told["tokens_prompt"], told["tokens_completion"]) == (10_000, 500) and told["model"] == f"lab/{dialect}", f"{told}"
        costs(told["total_cost"], CACHED.usage)


@check(
    "cost.limit",
    "max_cost_usd and X-Kilo-Max-Cost-Usd hold for every caller and upstream: 402 in the caller's shape, and never sent upstream",
    timeout=20,
)
def _():
    for caller in ("chat", "responses", "messages"):
        for dialect in ("gemini", "messages", "chat"):
            one = asking(caller, dialect, PLAIN)
            problem(caller, post(one, max_cost_usd=0), 402)
            problem(caller, post(one, headers={"X-Kilo-Max-Cost-Usd": "0"}), 402)
            assert post(one, max_cost_usd=5).status == 200 and "max_cost_usd" not in talk_of(one).body


WORDS = "The quick brown fox jumps over the lazy dog and runs away. "  # 13 tokens or so of any tokenizer


@check(
    "cost.estimate",
    "no usage from the upstream: tokens are estimated near to what a tokenizer counts, and marked, in the answer and the row",
    timeout=20,
)
def _():
    silent = Reply(text=tuple(WORDS for _ in range(20)), usage=None)
    for dialect in ("chat", "responses", "gemini", "cohere"):
        for stream in (False, True):
            one = tell(asking("chat", dialect, silent, prompt=WORDS * 40), stream)
            prompt, completion = one.told.usage[:2]
            assert 420 <= prompt <= 680 and 200 <= completion <= 330, f"{dialect}: {prompt} and {completion} tokens for some 540 and 260"
            [row] = booked(one.answer.header("x-generation-id"))
            assert row["estimated"] and row["cost_usd"] is not None, f"{dialect}: {row}"


@check("cost.learnt", "a model whose tokens are larger than its tokenizer says: after real usage the estimate follows its ratio", timeout=30)
def _():
    text = WORDS * 40
    model = "lab/gemini-plain"
    for _ in range(12):  # this model counts some 1.6 times as many
        tell(asking("chat", model, replace(PLAIN, usage=replace(PLAIN.usage, prompt=860, completion=30)), prompt=text))
    told = eventually(lambda: _estimate(model, text) > 700 and _estimate(model, text), 6, 0.5)
    assert told, f"the estimate is still {_estimate(model, text)}, where the model counts 860"
    return f"{told} tokens"


def _estimate(model: str, text: str) -> int:
    return tell(asking("chat", model, replace(PLAIN, usage=None), prompt=text)).told.usage[0]


# ---------------------------------------------------------------- what a chunk costs us

CHUNKS = 10_000


def _cpu_s(g) -> float:
    total = 0
    for pid in [g.process.pid, *children(g.process.pid)]:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / 100


@check("cost.cpu", "CPU of all processes for a chunk, relayed and translated, sockets and all (a figure, judged in bench/)", timeout=90)
def _():
    g = gw("dialects")
    reply = Reply(text=tuple(f"word{n % 10} " for n in range(CHUNKS)))
    for caller, dialect in (("chat", "chat"), ("messages", "messages"), ("messages", "gemini"), ("chat", "converse")):
        one = asking(caller, dialect, reply)
        before = _cpu_s(g)
        answer = _posted(one)
        if answer.status == 200:
            info(f"cost.cpu.{caller}-{dialect}", f"{(_cpu_s(g) - before) / CHUNKS * 1e6:.1f} us CPU a chunk, {len(answer.body):,} bytes")
        assert answer.status == 200 and len(answer.body) > CHUNKS * 20, f"{caller}-{dialect}: {answer}"


def _posted(one) -> wire.Answer:
    return post(one, True, timeout=40)
