"""Who reads the list: the openai, anthropic and openrouter SDKs, @openrouter/sdk, the command line; and how fast and large it is."""

import gzip
import json
import os
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import catalogue_lists as lists
import wire
from catalogue import AUTO, appears, every, fake, ids, rows, say, served, settings, table, whole
from catalogue_upstreams import Fake
from harness import Gateway, Skip, check, cli, cli_json, environment, gateway, gw, info, model, rss_kib

NODE_SDK = "1.3.19"  # of @openrouter/sdk
RATE_WORDS = r"\$|usd"


def base(path: str = "") -> str:
    return f"http://127.0.0.1:{whole().port}{path}"


def read_all(seen: list[str], where: str, **query) -> str:
    """Every row of the list was read by a client, once."""
    wanted = ids(whole(), **query)
    assert len(wanted) >= 450 or query, f"only {len(wanted)} rows to read"
    assert len(seen) == len(set(seen)), f"{where}: rows read twice"
    assert set(seen) == set(wanted), f"{where}: {len(seen)} rows read, {len(wanted)} listed; missing {sorted(set(wanted) - set(seen))[:3]}"
    return f"{len(seen)} rows"


# ---------------------------------------------------------------- the openai and anthropic SDKs


@check("models-sdk.openai", "openai SDK: models.list reads every row, under three prefixes", timeout=60)
def _():
    import openai

    for path in ("/v1", "/api/gateway", "/api/openrouter/v1/"):
        with openai.OpenAI(base_url=base(path), api_key=whole().key, max_retries=0) as sdk:
            told = [each.id for each in sdk.models.list()]
        said = read_all(told, path)
    return said


@check("models-sdk.openai-async", "openai SDK, async, and without a key: the same")
def _():
    import asyncio

    import openai

    async def read() -> list[str]:
        async with openai.AsyncOpenAI(base_url=base("/v1"), api_key="anonymous", max_retries=0) as sdk:
            return [each.id async for each in sdk.models.list()]

    return read_all(asyncio.run(read()), "async")


@check("models-sdk.openai-retrieve", "openai SDK: models.retrieve of an id with a slash, a colon and a tilde")
def _():
    import openai

    with openai.OpenAI(base_url=base("/v1"), api_key=whole().key, max_retries=0) as sdk:
        for id in ("acme/plain", "acme/robin:free", "ollama/llama3.2:latest", "kilo/auto"):
            told = sdk.models.retrieve(id)
            assert told.id == id and told.object == "model" and isinstance(told.created, int), f"{told}"
        try:
            sdk.models.retrieve("acme/nobody")
        except openai.NotFoundError:
            return
    raise AssertionError("no NotFoundError for an unknown model")


@check("models-sdk.anthropic", "anthropic SDK: models.list walks through its pages and reads every row; retrieve gives one", timeout=60)
def _():
    import anthropic

    for path, more in (("", {"api_key": whole().key}), ("/api/gateway", {"auth_token": whole().key, "api_key": None})):
        with anthropic.Anthropic(base_url=base(path), max_retries=0, **more) as sdk:
            told = list(sdk.models.list())
            said = read_all([each.id for each in told], path or "/")
            assert {each.type for each in told} == {"model"} and all(each.display_name and each.created_at for each in told)
            assert [each.id for each in sdk.models.list(limit=1000)] == [each.id for each in told]
            one = sdk.models.retrieve("acme/plain")
            assert one.id == "acme/plain" and one.type == "model", f"{one}"
    return said


# ---------------------------------------------------------------- OpenRouter's SDKs


def openrouter_sdk(path: str = "/api/openrouter/v1"):
    from openrouter import OpenRouter

    return OpenRouter(api_key=whole().key, server_url=base(path))


@check("models-sdk.openrouter", "openrouter SDK: models.list validates and reads every row, by its own pages, under three prefixes", timeout=90)
def _():
    for path in ("/v1", "/api/openrouter", "/api/gateway/v1"):
        with openrouter_sdk(path) as sdk:
            seen, page = [], sdk.models.list(offset=0, limit=200)
            while page is not None:
                assert page.result.total_count == len(ids(whole())), f"total_count {page.result.total_count}"
                seen += [each.id for each in page.result.data]
                page = page.next()
        said = read_all(seen, path)
    return said


@check("models-sdk.openrouter-all", "openrouter SDK: every row of every modality, with its prices, limits and abilities as the list has them", timeout=60)
def _():
    known = every(whole())
    with openrouter_sdk() as sdk:
        seen, page = {}, sdk.models.list(output_modalities="all")
        while page is not None:
            seen |= {each.id: each for each in page.result.data}
            page = page.next()
    read_all(list(seen), "all", output_modalities="all")
    for id, row in known.items():
        told = seen[id]
        assert (told.name, told.context_length, told.created) == (row["name"], row["context_length"], row["created"]), f"{id}"
        assert (told.pricing.prompt, told.pricing.completion) == (row["pricing"]["prompt"], row["pricing"]["completion"]), f"{id}"
        assert len(told.supported_parameters) == len(row["supported_parameters"]), f"{id}"
    return f"{len(seen)} rows"


@check("models-sdk.openrouter-others", "openrouter SDK: count, get, for_user, endpoints, zdr, providers and embeddings' models", timeout=60)
def _():
    g = whole()
    with openrouter_sdk() as sdk:
        assert sdk.models.count().data.count == len(ids(g))
        assert sdk.models.get(author="acme", slug="robin:free").data.id == "acme/robin:free"
        told = sdk.models.list_for_user(security={"bearer": g.key})
        assert "acme/plain" in {each.id for each in told.result.data}
        both = sdk.endpoints.list(author="acme", slug="both").data
        assert {str(getattr(each.provider_name, "value", each.provider_name)).lower() for each in both.endpoints} == {"openrouter", "kilocode"}, f"{both}"
        sdk.endpoints.list(author="acme", slug="robin:free")
        sdk.endpoints.list_zdr_endpoints()
        assert {"openrouter", "house"} <= {each.slug for each in sdk.providers.list().data}
        embeddings = sdk.embeddings.list_models()
        embeddings = getattr(embeddings, "result", embeddings)
        assert {"acme/vectors-0"} <= {each.id for each in embeddings.data}


NODE = """
import { OpenRouter } from "@openrouter/sdk";
const sdk = new OpenRouter({ apiKey: process.env.KEY, serverURL: process.env.BASE });
const ids = [], all = [];
for await (const page of await sdk.models.list({ offset: 0, limit: 200 })) ids.push(...page.result.data.map((row) => row.id));
for await (const page of await sdk.models.list({ offset: 0, limit: 300, outputModalities: "all" })) all.push(...page.result.data.map((row) => row.id));
const count = (await sdk.models.count()).data.count;
const endpoints = (await sdk.endpoints.list({ author: "acme", slug: "both" })).data.endpoints.length;
const one = (await sdk.models.get({ author: "acme", slug: "plain" })).data.id;
console.log(JSON.stringify({ ids, all, count, endpoints, one }));
"""


def node_sdk() -> Path:
    """Where @openrouter/sdk is installed, in the cache."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Skip("no node or npm here")
    cache = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "kilo-gateway-acceptance" / f"openrouter-sdk-{NODE_SDK}"
    if not (cache / "node_modules/@openrouter/sdk/package.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "package.json").write_text('{"private": true, "type": "module"}')
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"@openrouter/sdk@{NODE_SDK}"]
        done = subprocess.run(command, cwd=cache, capture_output=True, text=True, timeout=100)
        if done.returncode:
            raise Skip(f"npm cannot install @openrouter/sdk: {done.stderr[-150:]}")
    return cache


@check("models-sdk.node", "@openrouter/sdk: models.list reads every row by its own pages, of all modalities too; count, get, endpoints", timeout=150)
def _():
    home = node_sdk()
    script = home / "acceptance.mjs"
    script.write_text(NODE)
    env = environment(KEY=whole().key, BASE=base("/api/openrouter/v1"))
    done = subprocess.run(["node", str(script)], cwd=home, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-300:]}"
    told = json.loads(done.stdout)
    read_all(told["all"], "all", output_modalities="all")
    assert told["count"] == len(told["ids"]) and told["endpoints"] == 2 and told["one"] == "acme/plain", f"{ {**told, 'ids': 0, 'all': 0} }"
    return read_all(told["ids"], "list")


# ---------------------------------------------------------------- what Kilo's own clients reject


@check("models-sdk.kilo-cli", "the checks that Kilo's CLI makes of the list pass for every row: one that failed would cost it the whole list")
def _():
    text, number, flag = (str,), (int, float), (bool,)
    optional = {
        "description": text, "max_completion_tokens": (*number, type(None)), "preferredIndex": number, "isFree": flag,
        "mayTrainOnYourPrompts": flag, "hasUserByokAvailable": flag, "supported_parameters": (list,), "architecture": (dict,), "pricing": (dict,),
        "top_provider": (dict,), "opencode": (dict,),
    }  # fmt: skip
    hidden = 0
    for row in rows(whole(), output_modalities="all"):
        assert isinstance(row["id"], str) and isinstance(row["name"], str) and isinstance(row["context_length"], number), f"{row['id']}"
        for name, kinds in optional.items():
            assert name not in row or isinstance(row[name], kinds), f"{row['id']}.{name}: {row[name]!r}"
        for name in ("prompt", "completion", "input_cache_read", "input_cache_write"):
            assert isinstance(row["pricing"].get(name), (str, type(None))), f"{row['id']}.pricing.{name}"
        hidden += bool(row["supported_parameters"]) and "tools" not in row["supported_parameters"]
    for id in AUTO:
        assert "tools" in every(whole())[id]["supported_parameters"], f"{id} would be hidden: no tools"
    info("models-sdk.kilo-cli", f"{hidden} rows would be hidden by it: they tell parameters without tools")


@check("models-sdk.openclaw", "the rows that the seeds' plugin takes: an object for pricing everywhere; kilo/auto maps to 1,000,000, 128,000, reasoning, image")
def _():
    known = every(whole())
    assert all(isinstance(row["pricing"], dict) for row in known.values())
    row = known["kilo/auto"]
    reasons = {"reasoning", "include_reasoning"} & set(row["supported_parameters"])
    seen = (row["name"], bool(reasons), "image" in row["architecture"]["input_modalities"], row["context_length"], row["top_provider"]["max_completion_tokens"])
    assert seen == ("Kilo Auto", True, True, 1_000_000, 128_000), f"{seen}"


# ---------------------------------------------------------------- the command line


def command(*args: str) -> str:
    done = cli(*args, data_dir=whole().data, config=whole().config)
    assert done.returncode == 0, f"{' '.join(args)}: exit {done.returncode}: {(done.stderr or done.stdout)[-200:]}"
    return done.stdout


def listed_by_command(*args: str) -> list[dict]:
    told = cli_json("models", "list", *args, data_dir=whole().data, config=whole().config)
    return told if isinstance(told, list) else told["data"]


@check("models-cli.table", "models list: a table with ref, input, context, max output, $/M in and out, speed and tags; every model a line")
def _():
    text = command("models", "list")
    head = text.splitlines()[0].lower()
    for word in (r"ref|model", "input", "context|ctx", "max|output", RATE_WORDS, "in", "out", "speed|tok", "tag"):
        assert re.search(word, head), f"no {word} in {head!r}"
    lines = {line.split()[0]: line for line in text.splitlines()[1:] if line.strip()}
    missing = [id for id in ("kilo/auto", "acme/plain", "house/my-model", "team/own", "ollama/llama3.2:latest") if id not in lines]
    assert not missing, f"{missing} not in the table"
    assert re.search(r"1\.3\b", lines["acme/plain"]) and re.search(r"4\.7\b", lines["acme/plain"]), f"prices: {lines['acme/plain']}"
    assert not re.search(r"\b0(\.0+)?\b.*\b0(\.0+)?\b", lines["house/my-model"].partition("house/my-model")[2]), f"unknown shown as 0: {lines['house/my-model']}"


@check("models-cli.tags", "models list tags the default model, configured ones and aliases")
def _():
    lines = {line.split()[0]: line for line in command("models", "list").splitlines() if line.strip()}
    assert "configured" in lines["team/own"], lines["team/own"]
    assert any("default" in lines[id] for id in ("team/own", "kilo/auto")), f"{lines['team/own']} | {lines['kilo/auto']}"
    aliases = [id for id in ("~acme/robin-latest", "kilo/auto") if "alias" in lines[id]]
    assert aliases, f"{lines['~acme/robin-latest']} | {lines['kilo/auto']}"
    assert "configured" not in lines["acme/plain"] and "alias" not in lines["acme/plain"], lines["acme/plain"]
    return f"alias: {', '.join(aliases)}"


@check("models-cli.json", "models list --json: every row, JSON alone on standard output")
def _():
    found = [row["id"] for row in listed_by_command()]
    assert len(found) == len(set(found)) and set(ids(whole())) <= set(found), f"{len(found)} rows, {len(ids(whole()))} over HTTP"


@check("models-cli.provider", "models list --provider: the rows that it serves; kilocode's with kilo/auto or without, of an unknown one none or an error")
def _():
    found = {row["id"] for row in listed_by_command("--provider", "house")}
    assert found == {"house/my-model", "house/wren:7b", "house/other-model", "house/third-model", "lonely-author/lonely-model"}, f"{sorted(found)[:8]}"
    found = {row["id"] for row in listed_by_command("--provider", "kilocode")}
    assert {"kiwi-house/kiwi-0", "acme/both"} <= found and "house/my-model" not in found and "acme/plain" not in found, f"{sorted(found)[:8]}"
    text = command("models", "list", "--provider", "house")
    assert "house/my-model" in text and "acme/plain" not in text
    done = cli("models", "list", "--provider", "nobody", "--json", data_dir=whole().data, config=whole().config)
    assert done.returncode or json.loads(done.stdout) in ([], {"data": []}), f"{done.stdout[:150]}"


@check("models-cli.free", "models list --free: the rows that cost nothing, and no row of unknown price")
def _():
    found = {row["id"] for row in listed_by_command("--free")}
    wanted = {id for id, row in every(whole()).items() if row["isFree"]}
    assert "acme/robin:free" in found and "house/my-model" not in found and "acme/plain" not in found and "kilo/auto" not in found, f"{sorted(found)[:5]}"
    assert found <= wanted, f"{sorted(found - wanted)[:5]}"


@check("models-cli.show", "models show ID: the endpoints side by side, with their prices; --json has them; prefixes and aliases do; an unknown id is told")
def _():
    text = command("models", "show", "acme/both")
    assert all(word in text for word in ("acme/both", "openrouter", "kilocode")), f"{text[:300]}"
    assert all(re.search(rf"\b{price}\b", text) for price in (r"2\.5", "10", "3", "12")), f"prices: {text[:400]}"
    assert any("openrouter" in line and "kilocode" in line for line in text.splitlines()) or "provider" in text.lower() or "endpoint" in text.lower()
    told = cli_json("models", "show", "acme/both", data_dir=whole().data, config=whole().config)
    assert json.dumps(told).count("provider_name") == 2 or {"openrouter", "kilocode"} <= set(re.findall(r'"(openrouter|kilocode)"', json.dumps(told))), f"{str(told)[:200]}"
    for id in ("kilocode/acme/both", "kilo/auto", "~acme/robin-latest", "ollama/llama3.2:latest"):
        command("models", "show", id)
    done = cli("models", "show", "acme/bothh", data_dir=whole().data, config=whole().config)
    assert done.returncode == 1 and "acme/both" in done.stderr and "Traceback" not in done.stderr, f"exit {done.returncode}: {done.stderr[-200:]}"


@check("models-cli.stopped", "models list and show without a running gateway work: configured rows and the bundle at least", timeout=60)
def _():
    up = Fake("house").start()
    g = Gateway("stopped", settings(table("house", up), table("desk", up, model("team/own", "own")))).start()
    appears(g, "house/my-model")
    g.stop()
    up.stop()
    told = cli_json("models", "list", data_dir=g.data, config=g.config)
    found = {row["id"] for row in (told if isinstance(told, list) else told["data"])}
    assert {"team/own", "kilo/auto"} <= found, f"{sorted(found)}"
    assert cli("models", "show", "team/own", data_dir=g.data, config=g.config).returncode == 0
    info("models-cli.stopped", f"discovered rows are {'known' if 'house/my-model' in found else 'not known'} to it")


@check("models-cli.help", "models and its four commands have help with an example's worth of words, and --json")
def _():
    assert all(word in cli("models", "--help").stdout for word in ("list", "show", "refresh", "diff"))
    for name in ("list", "show", "refresh", "diff"):
        text = cli("models", name, "--help").stdout
        assert "--json" in text and "--data-dir" in text, f"{name}: {text[:200]}"
    assert "--force" in cli("models", "refresh", "--help").stdout
    assert all(word in cli("models", "list", "--help").stdout for word in ("--provider", "--free"))


# ---------------------------------------------------------------- figures


@gateway("thousand")
def thousand_gateway() -> Gateway:
    return Gateway("thousand", settings(table("big", fake("thousand", "openrouter", lists.big(1_000)))))


@check("figure.latency", "the list of 1,000 models from cache: the median within 5 ms, gzip and 304", timeout=60)
def _():
    g = gw("thousand")
    appears(g, lists.big(1_000)[-1]["id"])
    first = served(g.get("/v1/models", headers={"Accept-Encoding": "gzip"}))
    assert len(json.loads(gzip.decompress(first.body))["data"]) >= 1_000
    kinds = {"gzip": {"Accept-Encoding": "gzip"}, "304": {"Accept-Encoding": "gzip", "If-None-Match": first.header("etag")}, "plain": {}}
    medians = {name: _median(g, headers) for name, headers in kinds.items()}
    said = ", ".join(f"{name} {p50:.2f} ms (p95 {p95:.2f}, {size} B)" for name, (p50, p95, size) in medians.items())
    info("figure.latency", said)
    for name in ("gzip", "304"):
        assert medians[name][0] <= 5.0, said
    return f"gzip p50 {medians['gzip'][0]:.2f} ms"


def _median(g: Gateway, headers: dict[str, str], count: int = 150) -> tuple[float, float, int]:
    """p50, p95 in milliseconds, and the bytes of a body; on one connection."""
    data, seen, size = wire.request("GET", "/v1/models", headers), [], 0
    with wire.Conn(g.port) as conn:
        for _ in range(count):
            began = time.perf_counter()
            conn.send(data)
            answer = conn.read("GET")
            seen.append((time.perf_counter() - began) * 1000)
            size = len(answer.body)
    return statistics.median(seen), sorted(seen)[int(count * 0.95)], size


@check("figure.models-path", "one model and its endpoints from cache: the median within 5 ms")
def _():
    g = gw("thousand")
    id = lists.big(1_000)[500]["id"]
    for path in (f"/v1/model/{id}", f"/v1/models/{id}/endpoints", "/v1/models/count"):
        seen = []
        with wire.Conn(g.port) as conn:
            for _ in range(60):
                began = time.perf_counter()
                conn.send(wire.request("GET", path, {}))
                served(conn.read("GET"))
                seen.append((time.perf_counter() - began) * 1000)
        assert statistics.median(seen) <= 5.0, f"{path}: {statistics.median(seen):.2f} ms"


@check("figure.memory", "memory of a worker with 2,500 models beside one with ten", timeout=90)
def _():
    seen = {}
    for count in (10, 2_500):
        up = Fake("openrouter", lists.big(count)).start()
        g = Gateway(f"memory-{count}", settings(table("many", up))).start()
        appears(g, lists.big(count)[-1]["id"], 15)
        assert any(each for each in ids(g)), "no rows"
        served(g.post(say(lists.big(count)[count // 2]["id"])))
        workers = g.workers_pids()
        assert workers, "no worker is found"
        seen[count] = max(rss_kib(pid) for pid in workers)
        g.stop()
        up.stop()
    delta = (seen[2_500] - seen[10]) / 1024
    info("figure.memory", f"{seen[2_500] / 1024:.1f} MiB with 2,500 models, {seen[10] / 1024:.1f} MiB with 10: {delta:.1f} MiB more")
    assert delta < 100, f"{delta:.1f} MiB for 2,490 models"


@check("figure.lookup", "a request to one of 1,000 models costs no more time in the gateway than one to a configured model", timeout=60)
def _():
    g = gw("thousand")
    answers = [served(g.post(say(lists.big(1_000)[n]["id"]))) for n in range(0, 1_000, 20)]
    micros = [int(answer.header("x-kilo-overhead-us") or 0) for answer in answers]
    info("figure.lookup", f"x-kilo-overhead-us p50 {statistics.median(micros):.0f} over {len(micros)} models of 1,000")
    assert statistics.median(micros) < 5_000, f"p50 {statistics.median(micros):.0f} µs"
