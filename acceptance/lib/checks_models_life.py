"""Discovery over time: start, refresh, failures and what stays, what shrinks, what is new; servers on this machine; hostile lists."""

import gzip
import json
import os
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import catalogue_lists as lists
from catalogue import (
    AUTO, KEY, LAST_GOOD, Log, appears, booked, every, fake, ids, listing, price_of, refresh, rows, say, served, settings, table,
    without_bundle,
)  # fmt: skip
from catalogue_upstreams import Fake, is_free
from checks_models_http import is_row
from harness import (
    BINARY, HERE, ROOT, Gateway, Skip, check, cli, cli_json, environment, error_of, eventually, gateway, gw, info,
    model, spawn,
)  # fmt: skip

# ---------------------------------------------------------------- a list of 2,000, and what may come after it


@gateway("steady")
def steady_gateway() -> Gateway:
    return Gateway("steady", settings(table("big", fake("big", "openrouter", lists.big(2_000)))))


def steady() -> Gateway:
    g = gw("steady")
    fake("big").mode = "good"
    appears(g, lists.big(2_000)[-1]["id"], 10)
    return g


FAILURES = {
    "garbage": "half a list and bytes that are no text", "500": "a 500", "empty": "an empty list", "silent": "no answer", "html": "a web page",
    "401": "a 401", "stall": "an answer that does not go on",
}  # fmt: skip
for mode, what in FAILURES.items():

    @check(f"keep.{mode}", f"2,000 models, then {what}: the list stays, and the log says for which upstream and which list is in force", timeout=60)
    def _(mode=mode):
        g = steady()
        before, log, big = ids(g), Log(g), fake("big")
        assert len(before) >= 2_000, f"{len(before)} rows"
        big.mode, began = mode, time.monotonic()
        try:
            done = refresh(g)
        finally:
            took = time.monotonic() - began
        assert ids(g) == before, f"{len(ids(g))} rows, not {len(before)}"
        line = log.line("big", LAST_GOOD)
        big.mode = "good"
        assert took < 9, f"models refresh took {took:.1f} s"
        served(g.post(say(lists.big(2_000)[-1]["id"])))
        return f"{took:.1f} s, exit {done.returncode}: {re.sub(r'^.*?(reason|in_force)', r'…', line)[-110:]}"


@check("keep.dead", "2,000 models, then nobody there at all: the list stays and the log says so", timeout=60)
def _():
    g = steady()
    before, log, big = ids(g), Log(g), fake("big")
    big.stop()
    try:
        refresh(g)
        assert ids(g) == before, f"{len(ids(g))} rows, not {len(before)}"
        log.line("big", LAST_GOOD)
    finally:
        big.start()


@check("keep.bundle", "an upstream that never gave a list: the log says that the bundle is in force", timeout=60)
def _():
    for mode in ("500", "garbage", "empty"):
        up = Fake("openrouter")
        up.mode = mode
        g = Gateway(f"never-{mode}", settings(table("never", up.start()))).start()
        assert eventually(lambda up=up: up.listed(), 5), "it was not asked"
        Log(g, whole=True).line("never", "bundle")
        assert set(AUTO) <= set(ids(g)) and not without_bundle(ids(g, output_modalities="all")), f"{ids(g)[:8]}"
        g.stop()
        up.stop()


@check("keep.limit", "an upstream that does not answer is given up after 5 s, one that drips its list too", timeout=60)
def _():
    g, big = steady(), fake("big")
    for mode in ("silent", "stall"):
        since, big.mode = len(big.asked), mode
        refresh(g)
        asked = big.listed(since)
        assert asked, "it was not asked"
        assert eventually(lambda asked=asked: asked[0].gone, 5), f"{mode}: still connected"
        took = asked[0].gone - asked[0].at
        big.mode = "good"
        assert 4 <= took <= 7, f"{mode}: given up after {took:.1f} s"


@check("keep.one-of-two", "one upstream that fails takes no row of another with it", timeout=60)
def _():
    left, right = Fake("house").start(), Fake("openrouter", lists.big(50)).start()
    g = Gateway("two-lists", settings(table("left", left), table("right", right))).start()
    appears(g, "left/my-model")
    appears(g, lists.big(50)[-1]["id"])
    before = set(ids(g))
    left.mode, right.rows = "500", [*right.rows, lists.row("right/new", 1)]
    refresh(g)
    assert eventually(lambda: "right/new" in ids(g), 6), "the other's new model does not appear"
    assert set(ids(g)) == before | {"right/new"}, f"{set(ids(g)) ^ before}"
    g.stop()
    left.stop()
    right.stop()


@check("keep.restart", "started again while its upstream is down, the gateway has the bundle at least, and answers", timeout=60)
def _():
    up = Fake("openrouter", lists.big(60)).start()
    g = Gateway("again", settings(table("again", up))).start()
    appears(g, lists.big(60)[-1]["id"])
    g.stop()
    up.mode = "500"
    g.start()
    found = ids(g, output_modalities="all")
    assert set(AUTO) <= set(found), f"{found[:5]}"
    time.sleep(1.0)
    info("keep.restart", f"{len(without_bundle(ids(g)))} of 60 rows are known again after a restart without the upstream")
    g.stop()
    up.stop()


# ---------------------------------------------------------------- the start


def started(g: Gateway, wanted: str) -> tuple[float, float]:
    """Seconds from the start to /health and to `wanted` in the list."""
    command = [BINARY, "serve", "--config", str(g.config), "--data-dir", str(g.data), "--port", str(g.port), "--workers", "1"]
    with (g.directory / "stdout.log").open("ab") as out, (g.directory / "stderr.log").open("ab") as err:
        began = time.monotonic()
        g.process = spawn(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment(**g.env), cwd=g.directory)
    health = _until(lambda: g.get("/health", timeout=1).status == 200, began)
    listed = _until(lambda: wanted in ids(g), began)
    return health, listed


def _until(question, began: float, within: float = 15.0) -> float:
    while time.monotonic() - began < within:
        try:
            if question():
                return time.monotonic() - began
        except Exception:  # not there yet, in whichever way
            pass
        time.sleep(0.005)
    return within


@check("start.silent", "with a silent upstream: /health and kilo/auto in the list within 1 s of the start", timeout=60)
def _():
    up, seen = Fake("openrouter").start(), []
    up.mode = "silent"
    for n in range(4):
        g = Gateway(f"silent-{n}", settings(table("silent", up)))
        seen.append(started(g, "kilo/auto"))
        g.stop()
    up.stop()
    health, listed = min(seen, key=lambda each: each[1])
    assert listed <= 1.0, f"/health after {health:.2f} s, kilo/auto after {listed:.2f} s, the best of four"
    return f"/health {health:.2f} s, listed {listed:.2f} s, the best of four"


@check("start.serves", "while discovery waits for a silent upstream, a configured model is served and refresh comes to an end", timeout=60)
def _():
    up, desk = Fake("openrouter").start(), Fake("house").start()
    up.mode = "silent"
    g = Gateway("waits", settings(table("silent", up), table("desk", desk, model("team/own", "own")))).start()
    served(g.post(say("team/own")))
    assert eventually(lambda: up.listed(), 5), "it was not asked"
    g.stop()
    up.stop()
    desk.stop()


@check("start.listed-askable", "after a start too: what is listed can be asked within half a second at most", timeout=60)
def _():
    late = []
    for n in range(5):
        up = Fake("house").start()
        g = Gateway(f"at-once-{n}", settings(table("house", up)))
        started(g, "house/my-model")
        began = time.monotonic()
        first = g.post(say("house/my-model"))
        assert eventually(lambda g=g: g.post(say("house/my-model")).status == 200, 5, 0.005), f"listed and never to be asked: {first}"
        if first.status != 200:
            late.append((time.monotonic() - began, first))
        g.stop()
        up.stop()
    assert not late or max(each[0] for each in late) <= 0.5, f"{len(late)} of 5 could not be asked at first, the worst for {max(each[0] for each in late):.2f} s: {late[0][1]}"
    return f"{len(late)} of 5 were refused at first" + (f", for {max(each[0] for each in late) * 1000:.0f} ms at most: {late[0][1]}" if late else "")


@check("start.big", "the list of an upstream with 2,000 models is there soon after the start", timeout=60)
def _():
    g = Gateway("soon", settings(table("big", fake("big", "openrouter", lists.big(2_000)))))
    fake("big").mode = "good"
    health, listed = started(g, lists.big(2_000)[-1]["id"])
    g.stop()
    assert listed <= 5, f"after {listed:.1f} s"
    info("start.big", f"/health after {health:.2f} s, 2,000 models after {listed:.2f} s")


def _offline(name: str, text: str, wanted: str, env: dict[str, str]) -> dict:
    alone = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        raise Skip("no network namespaces here (unshare -n)")
    g = Gateway(name, text)
    log = g.directory / "stdout.log"
    command = [*alone, sys.executable, str(HERE / "offline.py"), BINARY, str(g.config), str(g.data), str(g.port), str(log), wanted]
    done = subprocess.run(command, env=environment(**env), capture_output=True, text=True, timeout=70)
    assert done.returncode == 0, f"{done.stderr[-200:]}"
    told = json.loads(done.stdout)
    told["log"] = log.read_text(errors="replace")
    return told


@check("offline.bundle", "no network (unshare -n) and one upstream's key: ready within 1 s, the list is the bundle, and the log says so", timeout=120)
def _():
    seen = [_offline(f"offline-{n}", settings(), "kilo/auto", {"OPENROUTER_API_KEY": KEY}) for n in range(2)]
    for told in seen:
        for found in (told["ids"], told.get("later", ())):
            assert set(AUTO) <= set(found) and not without_bundle(found), f"{told['ids']} then {told.get('later')}"
        assert re.search(r"openrouter.*bundle|bundle.*openrouter", told["log"]), f"{told['log'][-250:]}"
    best = min(told["listed_s"] for told in seen)
    assert best <= 1.0, f"ready after {best:.2f} s, the better of two"
    return f"/health {min(told['health_s'] for told in seen):.2f} s, listed {best:.2f} s"


@check("offline.local", "no network: bundle and local model, ready within 1 s", timeout=120)
def _():
    cache = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))
    if not list((cache / "kilo-gateway" / "models").glob("*.gguf*")):
        raise Skip("the local model is not in the cache")
    env, name = {"OPENROUTER_API_KEY": KEY, "XDG_CACHE_HOME": str(cache)}, "local/smollm2-135m-instruct"
    seen = [_offline(f"offline-local-{n}", settings(local=True), name, env) for n in range(2)]
    for told in seen:
        assert told["listed_s"] is not None, f"not listed: {told['ids']} {told['log'][-200:]}"
        assert set(AUTO) <= set(told["ids"]) and without_bundle(told["ids"]) == {name}, f"{told['ids']}"
    health, listed = (min(told[field] for told in seen) for field in ("health_s", "listed_s"))
    assert health <= 1.0, f"ready after {health:.2f} s, local model listed after {listed:.2f} s, the better of two"
    return f"/health {health:.2f} s, local model listed {listed:.2f} s"


# ---------------------------------------------------------------- refresh


@gateway("quick")
def quick_gateway() -> Gateway:
    return Gateway("quick", settings(table("quick", fake("quick", "openrouter", lists.big(40))), refresh_s=1), workers=2)


def quick() -> Gateway:
    g = gw("quick")
    appears(g, lists.big(40)[-1]["id"])
    return g


@check("refresh.usable", "a model that appears upstream can be asked within refresh_s + 2 s, in every worker", timeout=40)
def _():
    g, up = quick(), fake("quick")
    up.rows = [*up.rows, lists.row("fresh/one", 1, prompt="0.000001", completion="0.000002")]
    began = time.monotonic()
    assert eventually(lambda: g.post(say("fresh/one")).status == 200, 8, 0.05), "not usable after 8 s"
    took = time.monotonic() - began
    assert took <= 3.0, f"usable after {took:.1f} s"
    statuses = [g.post(say("fresh/one")).status for _ in range(20)]
    assert statuses == [200] * 20, f"{statuses}"
    assert "fresh/one" in ids(g)
    return f"{took:.2f} s"


@check("refresh.listed-askable", "a model that has just come into the list can be asked at once: within half a second at most", timeout=40)
def _():
    g, up, late = quick(), fake("quick"), []
    for n in range(6):
        id = f"fresh/at-once-{n}"
        up.rows = [*up.rows, lists.row(id, n)]
        assert eventually(lambda id=id: id in ids(g), 5, 0.002), f"{id} is not listed"
        began = time.monotonic()
        first = g.post(say(id)).status
        assert first in (200, 404), f"{first}"
        assert eventually(lambda id=id: g.post(say(id)).status == 200, 3, 0.002), f"{id} is listed and cannot be asked"
        if first != 200:
            late.append(time.monotonic() - began)
    assert not late or max(late) <= 0.5, f"{len(late)} of 6 could not be asked at first, the worst for {max(late):.2f} s"
    return f"{len(late)} of 6 were 404 at first" + (f", for {max(late) * 1000:.0f} ms at most" if late else "")


@check("refresh.gone", "a model that is gone upstream is gone here as soon", timeout=40)
def _():
    g, up = quick(), fake("quick")
    gone = up.rows[0]["id"]
    up.rows = up.rows[1:]
    assert eventually(lambda: gone not in ids(g), 4), "still listed"
    assert eventually(lambda: g.post(say(gone)).status in (404, 503), 3), f"{g.post(say(gone))}"


@check("refresh.etag", "the ETag stays while nothing changes and changes with a price", timeout=40)
def _():
    g, up = quick(), fake("quick")
    tag, asked = g.get("/v1/models").header("etag"), len(up.listed())
    assert tag, "no ETag"
    assert eventually(lambda: len(up.listed()) >= asked + 2, 6), "it is not asked every second"
    assert g.get("/v1/models").header("etag") == tag, "another ETag for the same list"
    up.mode = "dearer"
    assert eventually(lambda: g.get("/v1/models", headers={"If-None-Match": tag}).status == 200, 5), "still 304 after a price changed"
    up.mode = "good"


@check("refresh.period", "an upstream is asked every refresh_s, not more often", timeout=40)
def _():
    g, up = quick(), fake("quick")
    appears(g, up.rows[-1]["id"])
    since = len(up.listed())
    time.sleep(5.2)
    asked = len(up.listed()) - since
    assert 3 <= asked <= 7, f"asked {asked} times in 5 s"


@check("refresh.setting", "refresh_s is 600 by default, at least 1, and a setting of the file and the environment")
def _():
    path = ROOT / "refresh.toml"
    for text, wanted in (("", 0), ("[catalog]\nrefresh_s = 1\n", 0), ("[catalog]\nrefresh_s = 0\n", 78), ("[catalog]\nrefresh_s = 0.5\n", None),
                         ("[catalog]\nrefresh_s = -5\n", 78), ('[catalog]\nrefresh_s = "soon"\n', 78)):  # fmt: skip
        path.write_text(text)
        done = cli("config", "check", config=path)
        assert wanted is None or done.returncode == wanted, f"{text!r}: exit {done.returncode}: {done.stderr[-150:]}"
    path.write_text("")
    shown = cli("config", "show", config=path)
    assert re.search(r"refresh_s\D+600", shown.stdout), "config show does not tell 600"
    shown = cli("config", "show", config=path, KILO_GATEWAY_CATALOG__REFRESH_S="77")
    assert re.search(r"refresh_s\D+77", shown.stdout), "the environment is not read"


@check("refresh.command", "models refresh asks every upstream now and tells what came of each; --json is JSON", timeout=60)
def _():
    a, b = Fake("house").start(), Fake("openrouter", lists.big(30)).start()
    g = Gateway("command", settings(table("a-house", a), table("b-house", b))).start()
    appears(g, "a-house/my-model")
    appears(g, lists.big(30)[-1]["id"])
    a.rows = [*a.rows, {"id": "just-now", "object": "model"}]
    since = len(a.listed()), len(b.listed())
    told = cli_json("models", "refresh", data_dir=g.data, config=g.config)
    assert "a-house" in json.dumps(told) and "b-house" in json.dumps(told), f"{told}"
    assert len(a.listed()) > since[0] and len(b.listed()) > since[1], "not every upstream was asked"
    assert eventually(lambda: "a-house/just-now" in ids(g), 4), "the new model is not there after it"
    done = refresh(g)
    assert done.returncode == 0 and "a-house" in done.stdout and "b-house" in done.stdout, f"{done.stdout[-200:]} {done.stderr[-200:]}"
    assert re.search(r"\b30\b", done.stdout) and re.search(r"\b6\b", done.stdout), f"without the numbers of models: {done.stdout[-250:]}"
    a.mode = "500"
    done = refresh(g)
    assert "a-house" in done.stdout + done.stderr and re.search(r"(?i)500|fail|error|broke", done.stdout + done.stderr), f"{done.stdout} {done.stderr}"
    g.stop()
    a.stop()
    b.stop()


# ---------------------------------------------------------------- what shrinks


@check("shrink.guard", "a refresh that would take more than half away keeps the old list and says so; --force takes it", timeout=60)
def _():
    up = Fake("openrouter", lists.big(100)).start()
    g = Gateway("shrink", settings(table("shrinks", up))).start()
    appears(g, lists.big(100)[-1]["id"])
    before, log = ids(g), Log(g)
    up.mode = "shrunk"
    done = refresh(g)
    assert ids(g) == before, f"{len(ids(g))} rows, not {len(before)}"
    line = log.line("shrinks", r"half|remove|gone|shr[aiu]nk|force")
    assert "--force" in done.stdout + done.stderr + line, f"no word of --force: {done.stdout[-150:]} {done.stderr[-150:]} {line[-150:]}"
    gone = lists.big(100)[-1]["id"]
    served(g.post(say(gone)))
    refresh(g, "--force")
    assert eventually(lambda: len(without_bundle(ids(g))) == 10, 5), f"{len(ids(g))} rows after --force"
    assert g.post(say(gone)).status in (404, 503)
    refresh(g)
    assert len(without_bundle(ids(g))) == 10, "the forced list is not the one of after"
    up.mode = "good"
    refresh(g)
    assert eventually(lambda: set(ids(g)) == set(before), 5), "a list that grows again is not taken"
    g.stop()
    up.stop()


@check("shrink.half", "half of an upstream's models away is taken, some more than half is not", timeout=60)
def _():
    up = Fake("openrouter", lists.big(40)).start()
    g = Gateway("half", settings(table("half", up))).start()
    whole_list = up.rows
    appears(g, whole_list[-1]["id"])
    up.rows = whole_list[:16]  # more than half of all rows too, should the guard count those
    refresh(g)
    time.sleep(0.3)
    assert len(without_bundle(ids(g))) == 40, f"{len(ids(g))} rows: 24 of 40 away was taken"
    up.rows = whole_list[:20]
    refresh(g)
    assert eventually(lambda: len(without_bundle(ids(g))) == 20, 5), f"{len(ids(g))} rows: 20 of 40 away was not taken"
    g.stop()
    up.stop()


@check("shrink.replaced", "a list as long with more than half of other names keeps the old one too", timeout=60)
def _():
    up = Fake("openrouter", lists.big(40)).start()
    g = Gateway("replaced", settings(table("replaced", up))).start()
    appears(g, up.rows[-1]["id"])
    before = ids(g)
    up.rows = [*up.rows[:10], *(lists.row(f"others/model-{n}", n) for n in range(30))]
    refresh(g)
    time.sleep(0.3)
    assert set(before) <= set(ids(g)), f"{len(set(before) - set(ids(g)))} models were removed"
    g.stop()
    up.stop()


# ---------------------------------------------------------------- what changed


def _mentions(told: dict, words: tuple[str, ...], id: str) -> bool:
    return any(id in json.dumps(value) for name, value in told.items() if any(word in name.lower() for word in words))


@check("diff.told", "models diff tells what the last refresh changed: new, gone, price; text and --json", timeout=60)
def _():
    up = Fake("openrouter", [lists.row(f"diff/model-{n}", n, prompt="0.000001") for n in range(12)]).start()
    g = Gateway("diff", settings(table("differs", up))).start()
    appears(g, "diff/model-11")
    changed = [lists.row("diff/model-1", 1, prompt="0.000005"), *up.rows[2:], lists.row("diff/brand-new", 1)]
    up.rows = changed
    refresh(g)
    assert eventually(lambda: "diff/brand-new" in ids(g), 5)
    told = cli_json("models", "diff", data_dir=g.data, config=g.config)
    assert isinstance(told, dict), f"{str(told)[:150]}"
    assert _mentions(told, ("new", "added"), "diff/brand-new"), f"{told}"
    assert _mentions(told, ("gone", "removed"), "diff/model-0"), f"{told}"
    assert _mentions(told, ("price", "changed"), "diff/model-1"), f"{told}"
    assert "diff/model-5" not in json.dumps(told), "a model that did not change is in it"
    text = cli("models", "diff", data_dir=g.data, config=g.config).stdout
    assert all(id in text for id in ("diff/brand-new", "diff/model-0", "diff/model-1")), f"{text}"
    refresh(g)
    told = cli_json("models", "diff", data_dir=g.data, config=g.config)
    info("diff.told", f"after a refresh without a change it tells {'the change before' if 'diff/' in json.dumps(told) else 'nothing'}")
    g.stop()
    up.stop()


# ---------------------------------------------------------------- servers on this machine

LOCAL = {"ollama": (11434, "llama3.2:latest", lists.ollama), "lmstudio": (1234, "testbird-owl-2b", lists.lm_studio),
         "vllm": (8000, "Testbird/Owl-4B", lists.vllm)}  # fmt: skip
WORDS = {"ollama": "ollama", "lmstudio": r"lm.?studio", "vllm": "vllm"}


class _Locals:
    """The fakes at their standard ports, and a gateway that may find them; stopped when the checks of them are over."""

    fakes: dict[str, Fake] = {}
    taken: list[str] = []
    is_made = False

    @classmethod
    def make(cls) -> None:
        if cls.is_made:
            return
        cls.is_made = True
        for name, (port, _, of) in LOCAL.items():
            if is_free(port):
                cls.fakes[name] = Fake(name, of(), port).start()
            else:
                cls.taken.append(name)


@gateway("locals")
def locals_gateway() -> Gateway:
    _Locals.make()
    return Gateway("locals", settings(servers=True))


def local(name: str) -> tuple[Gateway, Fake, str]:
    """The gateway, the fake, and the id of its model."""
    _Locals.make()
    if name not in _Locals.fakes:
        raise Skip(f"port {LOCAL[name][0]} is taken")
    g, ending = gw("locals"), LOCAL[name][1]
    found = eventually(lambda: [id for id in ids(g) if id.lower().endswith(ending.lower())], 8, 0.2)
    assert found, f"{ending} is not listed: {ids(g)[:12]} {g.log()[-200:]}"
    return g, _Locals.fakes[name], found[0]


for name in LOCAL:

    @check(f"local-server.{name}", f"{name} at its standard port is found, announced at the start, served; it costs 0 and is called free", timeout=45)
    def _(name=name):
        g, server, id = local(name)
        Log(g, whole=True).line(WORDS[name], str(LOCAL[name][0]), within=3)
        since = len(server.asked)
        row = booked(g, g.post(say(id)))
        assert [each.model for each in server.chats(since)] == [LOCAL[name][1]], f"{[each.model for each in server.chats(since)]}"
        assert row["cost_usd"] == 0 and row["cost_usd"] is not None and row["pricing"] == "known", f"{row}"
        listed = every(g)[id]
        assert price_of(listed) == (0, 0) and listed["isFree"] is True, f"{listed['pricing']} {listed['isFree']}"
        is_row(listed)
        return id


@check("local-server.ids", "Ollama's model is ollama/llama3.2:latest; one that has an author keeps it")
def _():
    assert local("ollama")[2] == "ollama/llama3.2:latest", local("ollama")[2]
    if "vllm" in _Locals.fakes:
        assert local("vllm")[2] in ("Testbird/Owl-4B", "testbird/owl-4b"), local("vllm")[2]


@check("local-server.not-auto", "a server that was found is not behind kilo/auto or a tier until it is named", timeout=45)
def _():
    g, server, _ = local("ollama")
    for id in AUTO:
        since = {name: len(each.asked) for name, each in _Locals.fakes.items()}
        answer = g.post(say(id))
        assert answer.status == 503 and error_of(answer)["code"] == "model_not_served", f"{id}: {answer}"
        assert not [name for name, each in _Locals.fakes.items() if each.chats(since[name])], f"{id} reached a local server"
        assert not [each for each in (every(g)[id].get("autoRouting") or {}).get("models", []) if "llama3.2" in each]
    assert server.listed()


@check("local-server.named", "named as default it is behind kilo/auto", timeout=45)
def _():
    _, server, id = local("ollama")
    g = Gateway("named", settings(servers=True, auto=id)).start()
    appears(g, id)
    since = len(server.asked)
    assert eventually(lambda: g.post(say("kilo/auto")).status == 200, 5), f"{g.post(say('kilo/auto'))}"
    assert server.chats(since)[0].model == "llama3.2:latest"
    g.stop()


@check("local-server.off", "with local.servers = false none of them is used", timeout=45)
def _():
    id = local("ollama")[2]
    g = Gateway("no-servers", settings(servers=False)).start()
    time.sleep(2.0)
    found = ids(g)
    g.stop()
    assert id not in found and not without_bundle(found), f"listed all the same: {found[:10]}"


@check("local-server.other-product", "another server on such a port, even one with a list of models, is left alone", timeout=60)
def _():
    local("ollama")
    if "vllm" not in _Locals.fakes:
        raise Skip("port 8000 is taken")
    _Locals.fakes["vllm"].stop()
    stranger = Fake("house", [{"id": "stranger/model", "object": "model", "owned_by": "somebody"}], 8000)
    stranger.kind = "vllm"  # listens without a key
    try:
        stranger.start()
        g = Gateway("stranger", settings(servers=True)).start()
        appears(g, "ollama/llama3.2:latest")
        time.sleep(0.5)
        assert not [id for id in ids(g) if "stranger" in id], f"{[id for id in ids(g) if 'stranger' in id]}"
        g.stop()
    finally:
        stranger.stop()
        for each in _Locals.fakes.values():
            each.stop()


# ---------------------------------------------------------------- hostile lists

_ROW = json.dumps(lists.row("hostile/fine", 1)).encode()


def _data(*rows_as_text: bytes) -> bytes:
    return b'{"data":[' + b",".join(rows_as_text) + b"]}"


HOSTILE: dict[str, tuple[dict[str, str], bytes]] = {
    "deep": ({}, b"[" * 200_000), "deep-objects": ({}, b'{"data":' * 50_000), "deep-in-row": ({}, _data(b'{"id":"h/deep","x":' + b"[" * 3_000 + b"]" * 3_000 + b"}", _ROW)),
    "nul": ({}, _data(b'{"id":"h/\x00nul"}', _ROW)), "escaped-nul": ({}, _data(b'{"id":"h/\\u0000nul"}', _ROW)), "not-utf8": ({}, _data(b'{"id":"h/\xff\xfe"}', _ROW)),
    "surrogate": ({}, _data(b'{"id":"h/\\ud800"}', _ROW)), "bom": ({}, b"\xef\xbb\xbf" + _data(_ROW)), "same-member": ({}, _data(b'{"id":"h/a","id":"h/b"}', _ROW)),
    "long-id": ({}, _data(b'{"id":"h/' + b"x" * 4_000_000 + b'"}', _ROW)), "long-name": ({}, _data(b'{"id":"h/n","name":"' + b"y" * 4_000_000 + b'"}', _ROW)),
    "data-object": ({}, b'{"data":{"0":' + _ROW + b"}}"), "data-null": ({}, b'{"data":null}'), "no-data": ({}, b'{"models":[]}'), "list": ({}, b"[" + _ROW + b"]"),
    "number": ({}, b"1e999"), "nothing": ({}, b""), "gzip-lie": ({"Content-Encoding": "gzip"}, _data(_ROW)),
    "gzip-bomb": ({"Content-Encoding": "gzip"}, gzip.compress(b" " * 200_000_000, 1)), "terminal": ({}, _data(b'{"id":"h/\\u001b[2J\\r\\nx","name":"\\u001b]0;x\\u0007"}', _ROW)),
    "traversal": ({}, _data(b'{"id":"../../etc/passwd"}', b'{"id":"h/a?b#c"}', b'{"id":"h/%2e%2e"}', b'{"id":"/"}', b'{"id":"a//b"}', _ROW)),
    "shadow": ({}, _data(*(json.dumps(lists.row(id, 1, prompt="0", completion="0")).encode() for id in (*AUTO, "kilocode/kilo/auto", "~kilo/auto")), _ROW)),
    "prices": ({}, _data(*(json.dumps({"id": f"h/price-{n}", "pricing": {"prompt": price, "completion": "1"}}).encode() for n, price in enumerate(
        ("1e400", "-1e-400", "NaN", "9" * 5_000, "0." + "0" * 5_000 + "1", "1e-400", "٣", "1_000", " 1 ", "+1", "0b1"))), _ROW)),
    "overrides": ({}, _data(*(json.dumps(lists.row(f"h/over-{n}", n, pricing={"overrides": value})).encode() for n, value in enumerate(
        ({}, "x", [None], [{"min_prompt_tokens": "many"}], [{"utc_start": 2999, "utc_end": -1}], [{"prompt": "0"}] * 5_000, [{"min_prompt_tokens": -1, "prompt": "0"}]))), _ROW)),
    "many": ({}, _data(*(b'{"id":"h/many-%d"}' % n for n in range(12_000)))), "cyclic-alias": ({}, _data(
        json.dumps(lists.row("~h/a-latest", 1, alias_target={"slug": "~h/b-latest"})).encode(), json.dumps(lists.row("~h/b-latest", 1, alias_target={"slug": "~h/a-latest"})).encode(), _ROW)),
    "redirect": ({"Location": "http://169.254.169.254/latest/meta-data/"}, b""),
}  # fmt: skip


@gateway("hostile")
def hostile_gateway() -> Gateway:
    steadfast = table("good", fake("good", "openrouter", lists.big(30)))
    return Gateway("hostile", settings(table("hostile", fake("hostile", "openrouter", lists.big(3))), steadfast))


for name, (headers, body) in HOSTILE.items():

    @check(f"hostile.{name}", f"a hostile list ({name}): no worker and no control dies, no row of others is lost, kilo/auto is ours", timeout=60)
    def _(name=name, headers=headers, body=body):
        g, up = gw("hostile"), fake("hostile")
        appears(g, lists.big(30)[-1]["id"])
        workers = g.workers_pids()
        up.mode, up.raw = "raw", (302 if name == "redirect" else 200, headers, body)
        refresh(g, "--force")
        told = listing(g, output_modalities="all")
        found = {row["id"]: row for row in told["data"]}
        assert {row["id"] for row in lists.big(30)} <= set(found), f"rows of the other upstream are lost: {len(found)}"
        assert set(AUTO) <= set(found) and price_of(found["kilo/auto"]) == (-1, -1), f"kilo/auto: {found.get('kilo/auto', {}).get('pricing')}"
        assert found["kilo/auto"]["name"] == "Kilo Auto"
        for row in told["data"]:
            assert row["id"].isprintable() and len(row["id"]) < 1_000 and len(row["name"]) < 10_000, f"{row['id'][:60]!r}"
            is_row(row)
            assert not row["id"].startswith("h/price") or max(price_of(row)) <= 1, f"{row['id']}: {row['pricing']}"
        served(g.post(say(lists.big(30)[0]["id"])))
        same = eventually(lambda: g.workers_pids() == workers, 2, 0.1)  # a worker may be between two files of its journal
        assert same, f"workers {workers} became {g.workers_pids()}"
        assert g.process.poll() is None and g.get("/ready").status == 200


@check("hostile.recovers", "after all of them the good list is taken again", timeout=60)
def _():
    g, up = gw("hostile"), fake("hostile")
    up.mode, up.rows = "good", [lists.row(f"recovered/model-{n}", n) for n in range(5)]
    refresh(g, "--force")
    assert eventually(lambda: "recovered/model-4" in ids(g), 6), f"{len(ids(g))} rows"
    assert not [row["id"] for row in rows(g) if row["id"].startswith("h/many")], "rows of a hostile list are still there"
    assert Decimal(price_of(every(g)["recovered/model-0"])[0]) == Decimal("0.000001")

