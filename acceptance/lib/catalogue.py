"""What the checks of the catalogue share: the fakes, the gateway in front of all of them, and questions to its list."""

import json
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote, urlencode

import catalogue_lists as lists
import wire
from catalogue_upstreams import Fake
from harness import PROMPT_CANARY, Gateway, cli, error_of, eventually, gateway, gw, model, usd

PREFIXES = ("/api/gateway", "/api/gateway/v1", "/api/openrouter", "/api/openrouter/v1", "/api/v1", "/v1")
KEY = "sk-of-the-fake"
TIERS = ("kilo-auto/frontier", "kilo-auto/balanced", "kilo-auto/efficient", "kilo-auto/free", "kilo-auto/small", "kilo-auto/org")
AUTO = ("kilo/auto", *TIERS)


def is_bundled(id: str) -> bool:
    """kilo/auto or a tier, one that only some installations know among them."""
    return id == "kilo/auto" or id.startswith("kilo-auto/")


def without_bundle(ids) -> set[str]:
    return {id for id in ids if not is_bundled(id)}


# ---------------------------------------------------------------- configuration


def settings(*tables: str, refresh_s: int = 600, servers: bool = False, auto: str = "", local: bool = False) -> str:
    default = f'[auto]\ndefault = "{auto}"\n' if auto else ""
    about_local = f"[local]\nenabled = {str(local).lower()}\nservers = {str(servers).lower()}\n"
    return f"[server]\ndrain_listen_s = 0\n{about_local}[catalog]\nrefresh_s = {refresh_s}\n{default}\n" + "\n".join(tables)


def table(name: str, fake: Fake | str, *models: str, listing: str = "", dialect: str = "openai-chat", extra: str = "") -> str:
    base = fake if isinstance(fake, str) else fake.base
    rows = f"models = [ {', '.join(models)} ]\n" if models else ""
    how = f'listing = "{listing}"\n' if listing else ""
    return f'[[upstreams]]\nname = "{name}"\ndialect = "{dialect}"\nbase_url = "{base}"\napi_key = "{KEY}"\n{how}{extra}{rows}'


# ---------------------------------------------------------------- the fakes, and the gateway in front of them

_fakes: dict[str, Fake] = {}
_lock = threading.Lock()


def fake(name: str, kind: str = "", rows: list | None = None) -> Fake:
    """Of the shared ones by its name; made at the first question."""
    with _lock:
        if name not in _fakes:
            _fakes[name] = Fake(kind or name, rows).start()
        return _fakes[name]


_openrouter: lists.Lists | None = None


def openrouter_lists() -> lists.Lists:
    """What the shared fake OpenRouter lists, with two rows whose price has windows of the day: in one of them it is now."""
    global _openrouter
    with _lock:
        if _openrouter is None:
            made = lists.openrouter()
            for id, begin_h, end_h in (("acme/by-day", -2, 3), ("acme/by-night", 4, 6)):
                window = {"utc_start": _clock(begin_h), "utc_end": _clock(end_h), "prompt": "0.000005"}
                one = lists.row(id, 60, pricing={"overrides": [window]})
                made.good.append(one)
                made.body.append(one)
            _openrouter = made
        return _openrouter


def _clock(hours: int) -> int:
    """HHMM of the UTC day, so many hours from now."""
    then = datetime.now(UTC) + timedelta(hours=hours)
    return then.hour * 100 + then.minute


DESK = {"context": 64_000, "price": ("7.0", "8.0")}  # what the operator says of a model that OpenRouter lists too


def openrouter_upstream() -> Fake:
    made = fake("openrouter", rows=openrouter_lists().body)
    made.uses = lists.uses(openrouter_lists().good)
    return made


@gateway("catalogue")
def catalogue_gateway() -> Gateway:
    """All kinds of lists together; nothing changes in it, so that checks may share it."""
    desk = [model("acme/big-context", "desk-big", DESK["price"], context=DESK["context"]), model("team/own", "own", ("0.5", "1.5"), context=9_000)]
    text = settings(
        table("desk", fake("desk", "house"), *desk), table("openrouter", openrouter_upstream()), table("openai", fake("openai")),
        table("anthropic", fake("anthropic"), dialect="anthropic-messages"), table("google", fake("gemini"), dialect="gemini"),
        table("ollama", fake("ollama"), listing="ollama"), table("house", fake("house")), auto="team/own",
    )  # fmt: skip
    return Gateway("catalogue", text, env={"KILOCODE_API_KEY": KEY, "KILOCODE_BASE_URL": fake("kilo").base})


# A row of each source: when all are there, discovery is through.
LANDMARKS = ("team/own", "acme/plain", "openai/testbird-1", "anthropic/claude-testbird-44", "google/gemini-testbird-69",
             "ollama/llama3.2:latest", "house/my-model", "kiwi-house/kiwi-19")  # fmt: skip


def whole() -> Gateway:
    g = gw("catalogue")
    missing = set(LANDMARKS)

    def is_there() -> bool:
        missing.difference_update(ids(g, output_modalities="all"))
        return not missing

    eventually(is_there, 1 if getattr(g, "is_tried", False) else 10, 0.2)
    g.is_tried = True
    return g


# ---------------------------------------------------------------- questions


def path_of(path: str, **query) -> str:
    return path + (f"?{urlencode(query)}" if query else "")


def json_of(g: Gateway, path: str, *, key: bool = False, headers: dict[str, str] | None = None, status: int = 200, **query):
    asked = {**({"Authorization": f"Bearer {g.key}"} if key else {}), **(headers or {})}
    answer = g.get(path_of(path, **query), headers=asked)
    assert answer.status == status, f"{path_of(path, **query)}: {answer}"
    return answer.json()


def listing(g: Gateway, **query) -> dict:
    told = json_of(g, "/v1/models", **query)
    assert isinstance(told.get("data"), list), f"no data: {str(told)[:200]}"
    return told


def rows(g: Gateway, **query) -> list[dict]:
    return listing(g, **query)["data"]


def every(g: Gateway) -> dict[str, dict]:
    """All rows by id."""
    return {row["id"]: row for row in rows(g, output_modalities="all")}


def ids(g: Gateway, **query) -> list[str]:
    return [row["id"] for row in rows(g, **query)]


def row_of(g: Gateway, id: str, **query) -> dict:
    """By GET model/{author}/{slug}."""
    told = json_of(g, f"/v1/model/{quote(id, safe='/')}", **query)
    assert isinstance(told.get("data"), dict), f"no data: {str(told)[:200]}"
    return told["data"]


def endpoints(g: Gateway, id: str, **more) -> list[dict]:
    return json_of(g, f"/v1/models/{quote(id, safe='/')}/endpoints", **more)["data"]["endpoints"]


def providers(g: Gateway, id: str) -> set[str]:
    return {str(each.get("provider_name")).lower() for each in endpoints(g, id)}


def appears(g: Gateway, id: str, within: float = 8.0) -> float:
    """Seconds until it is listed. Workers may have it some milliseconds later (refresh.listed-askable): they are given those."""
    began = time.monotonic()
    assert eventually(lambda: id in ids(g, output_modalities="all"), within, 0.1), f"{id} not listed after {within:g} s: {g.log()[-220:]}"
    took = time.monotonic() - began
    if took > 0.05:
        time.sleep(0.2)
    return took


def price_of(row: dict) -> tuple[Decimal, Decimal]:
    """USD a token of prompt and completion, as listed."""
    return Decimal(row["pricing"]["prompt"]), Decimal(row["pricing"]["completion"])


def per_mtok(row: dict) -> tuple[Decimal, Decimal]:
    return tuple(price * 1_000_000 for price in price_of(row))


def is_priced(row: dict) -> bool:
    return min(price_of(row)) >= 0


# ---------------------------------------------------------------- chat and money


def say(model_id: str, stream: bool = False, content=PROMPT_CANARY, **more) -> bytes:
    fields = {"model": model_id, "messages": [{"role": "user", "content": content}], **more}
    return json.dumps({**fields, "stream": True} if stream else fields).encode()


def served(answer: wire.Answer) -> wire.Answer:
    assert answer.status == 200, f"{answer}"
    return answer


def not_found(answer: wire.Answer, code: str = "") -> dict:
    """404 in the shape of an error; gives it."""
    assert answer.status == 404, f"{answer}"
    error = error_of(answer)
    assert not code or error["code"] == code, f"code {error['code']!r}, not {code!r}: {error['message']}"
    return error


def cost_of(pico: int) -> Decimal:
    """USD of a sum in pico-USD: rounded up once, to a nano-USD."""
    return Decimal(-(-pico // 1000)) / 10**9


def booked(g: Gateway, answer: wire.Answer) -> dict:
    return g.row(served(answer).header("x-generation-id"))


def costs(row: dict, pico: int) -> None:
    assert usd(row["cost_usd"]) == cost_of(pico), f"booked {row['cost_usd']!r}, not {cost_of(pico)}: {row}"


# ---------------------------------------------------------------- refreshing and the log


def refresh(g: Gateway, *options: str, timeout: float = 30.0):
    """`models refresh` to its end, whatever came of it."""
    return cli("models", "refresh", *options, data_dir=g.data, config=g.config, timeout=timeout)


class Log:
    """What is written to the gateway's log from now on; `whole`: from its first start on."""

    def __init__(self, g: Gateway, whole: bool = False) -> None:
        self._files = [g.directory / f"{name}.log" for name in ("stdout", "stderr")]
        self._start = [0 if whole or not file.exists() else file.stat().st_size for file in self._files]

    def lines(self) -> list[str]:
        found = []
        for file, start in zip(self._files, self._start, strict=True):
            found += file.read_bytes()[start:].decode(errors="replace").splitlines()
        return found

    def line(self, *patterns: str, within: float = 6.0) -> str:
        """The first line that has them all."""

        def found() -> str:
            return next((line for line in self.lines() if all(re.search(each, line, re.IGNORECASE) for each in patterns)), "")

        line = eventually(found, within, 0.1)
        assert line, f"no line with {' and '.join(patterns)} among {len(self.lines())}: {' | '.join(self.lines())[-200:]}"
        return line


LAST_GOOD = r"last|good|kept|keep|stay|previous|remain"  # a warning's word for: the list of before is in force
