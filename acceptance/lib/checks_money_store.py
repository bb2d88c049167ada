"""Where it is kept: PostgreSQL by DATABASE_URL like SQLite, roll-ups written at once, retention, bodies only where they were asked for."""

import re
import sqlite3
import subprocess
import threading
import time
from decimal import Decimal

from harness import PROMPT_CANARY, PYTHON, REPO, check, cli, config, environment, eventually, free_port, upstream, usd
from money import (
    CAP,
    WORST,
    Clock,
    answering,
    ask,
    asked,
    by_account,
    done,
    lab,
    lines_of,
    money,
    name,
    new_budget,
    new_key,
    new_user,
    ok,
    opened,
    own,
    spent,
    streaming,
    tables,
    verified,
)  # fmt: skip
from money_load import burst, press
from money_postgres import postgres

# ---------------------------------------------------------------- PostgreSQL


@check("pg.uses", "DATABASE_URL=postgresql://…: its tables are there, usage and ledger lines go there, and no gateway.db is made", timeout=60)
def _():
    server, base = postgres(), name("uses")
    url = server.database(base)
    with own(base, workers=2, DATABASE_URL=url) as g:
        answer = ok(ask(g, new_key(g, limit_usd="1")["key"]))
        lines_of(g, answer)
        found = {row[0] for row in server.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", base.replace("-", "_"))}
        assert {"usage", "keys", "ledger_lines"} <= found, f"tables in PostgreSQL: {sorted(found)}"
        count = int(server.sql("SELECT count(*) FROM ledger_lines", base.replace("-", "_"))[0][0])
        assert count > 0 and not (g.data / "gateway.db").exists(), f"{count} lines, gateway.db {(g.data / 'gateway.db').exists()}"
        kinds = server.sql("SELECT column_name, data_type FROM information_schema.columns WHERE table_schema='public' AND column_name LIKE '%nanos%'",
                           base.replace("-", "_"))  # fmt: skip
        assert kinds and all(kind in ("bigint", "numeric") for _, kind in kinds), f"{kinds}"


@check("pg.exact", "budgets hold on PostgreSQL: 3 workers, 64 clients, a budget of 20 worst cases, 20 admitted, five times; verify ok", timeout=90)
def _():
    base = name("exact")
    with own(base, workers=3, DATABASE_URL=postgres().database(base)) as g:
        assert not (g.data / "gateway.db").exists(), "the gateway uses SQLite all the same"
        for _ in range(5):
            key = new_key(g, limit_usd=str(20 * WORST))
            seen = burst(g.port, [g.head(asked(answering(CAP)), key=key["key"])] * 70, 64).statuses
            assert seen[200] == 20 and seen[402] == 50, f"{dict(seen)}"
        assert eventually(lambda: spent(g, key) == 20 * WORST, 5, 0.2)
        verified(g)


@check("pg.restart", "PostgreSQL stopped (immediate) for 3 s under load: keys that are known keep working, never a 401, all that was answered is booked once", timeout=90)
def _():
    server, base = postgres(), name("outage")
    with own(base, workers=2, DATABASE_URL=server.database(base)) as g:
        assert not (g.data / "gateway.db").exists(), "the gateway uses SQLite all the same"
        key = new_key(g)
        ok(ask(g, key["key"]))
        began = time.monotonic()
        outage = threading.Thread(target=lambda: (time.sleep(1), server.stop(), time.sleep(3), server.start()), daemon=True)
        outage.start()
        load = press(g.port, g.head(asked(answering(10)), key=key["key"]), 4, lambda load: time.monotonic() - began > 8 or len(load.got) > 20000)
        outage.join(25)
        assert not load.statuses[401] and not load.statuses[403], f"{dict(load.statuses)}"
        assert load.statuses[200] > len(load.got) * 0.9, f"a key without a limit was refused while PostgreSQL was away: {dict(load.statuses)}"
        rows = eventually(lambda: (r := g.usage()) and len(r) > len(load.ids) and r, 30, 1)
        ids = [row["id"] for row in rows or []]
        lost = set(load.ids) - set(ids)
        assert not lost and len(ids) == len(set(ids)), f"{len(lost)} lost, {len(ids) - len(set(ids))} doubled"


@check("pg.killed-backends", "backends killed five times a second under load: nothing lost, nothing twice, budget exact", timeout=90)
def _():
    server, base = postgres(), name("backends")
    with own(base, workers=2, DATABASE_URL=server.database(base)) as g:
        assert not (g.data / "gateway.db").exists(), "the gateway uses SQLite all the same"
        key, over = new_key(g, limit_usd=str(200 * WORST)), threading.Event()

        def kill() -> None:
            while not over.wait(0.2):
                server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{base.replace('-', '_')}'")

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        end = time.monotonic() + 25
        load = press(g.port, g.head(asked(answering(CAP, wait=0.15)), key=key["key"]), 8,
                     lambda load: time.monotonic() - load.last_ok > 4 or time.monotonic() > end)  # fmt: skip
        over.set()
        killer.join(10)
        assert load.statuses[200] == 200 and not load.statuses[401], f"{dict(load.statuses)} of a budget of 200"
        assert eventually(lambda: spent(g, key) == 200 * WORST, 15, 0.5), f"spent {spent(g, key)}"
        verified(g)


@check("pg.unreachable", "DATABASE_URL where nobody listens, or of no known kind: said at the start without its password, exit 78, or not ready", timeout=40)
def _():
    path = money().directory / "unreachable.toml"
    path.write_text(config(upstream("a", "http://127.0.0.1:9/v1")))
    for url in (f"postgresql://postgres:hunter2secret@127.0.0.1:{free_port()}/none", "mysql://root:hunter2secret@127.0.0.1/x"):
        try:
            said = cli("serve", "--port", str(free_port()), data_dir=money().directory / name("unreachable"), config=path, timeout=8, DATABASE_URL=url)
        except subprocess.TimeoutExpired as expired:
            text = (expired.stdout or b"") + (expired.stderr or b"")
            assert url.startswith("postgresql") and b"hunter2secret" not in text, f"{url[:5]}: started: {text[-200:]!r}"
            raise AssertionError("serve did not end, though its database is not there") from None
        assert said.returncode == 78 and said.stderr.strip() and "hunter2secret" not in said.stdout + said.stderr, f"exit {said.returncode}: {said.stderr[-200:]}"


@check("pg.contract", "the store's contract tests run on PostgreSQL and on SQLite alike, as many on each, and pass", timeout=240)
def _():
    env = environment(DATABASE_URL=postgres().database(name("contract")), HOME="/tmp")
    listed = subprocess.run([PYTHON, "-m", "pytest", "-o", "addopts=--import-mode=importlib", "--collect-only", "-q", "tests/store"], capture_output=True, text=True, cwd=REPO, env=env, timeout=60)
    ids = [line for line in listed.stdout.splitlines() if "::" in line]
    kinds = {kind: [id for id in ids if kind in id.rpartition("[")[2].lower()] for kind in ("postgres", "sqlite")}
    assert len(kinds["postgres"]) == len(kinds["sqlite"]) >= 10, f"{len(kinds['postgres'])} on PostgreSQL, {len(kinds['sqlite'])} on SQLite of {len(ids)}"
    ran = subprocess.run([PYTHON, "-m", "pytest", "-q", "-x", "tests/store", "-k", "postgres"], capture_output=True, text=True, cwd=REPO, env=env, timeout=200)
    assert ran.returncode == 0 and "skipped" not in ran.stdout.splitlines()[-1], f"{ran.stdout[-240:]}"
    return ran.stdout.splitlines()[-1].strip("= ")


# ---------------------------------------------------------------- roll-ups


@check("rollup.table", "one roll-up by hour, model, provider, key and user, with histograms of latency and TTFT in fixed boundaries", timeout=30)
def _():
    with own("rollups") as g:
        for _ in range(3):
            ok(ask(g, new_key(g)["key"]))
        assert eventually(lambda: len(g.usage()) >= 3, 6, 0.2) and g.stop() == 0
        db = opened(g.data)
        found = {table: [row["name"] for row in columns] for table, columns in tables(db).items()}
        rollups = [table for table, names in found.items() if all(any(word in n for n in names) for word in ("hour", "model", "provider", "key", "user"))]
        assert len(rollups) == 1, f"{rollups or 'no table'} has hour, model, provider, key and user"
        names = " ".join(found[rollups[0]])
        assert "latency" in names and "ttft" in names and "cost_nanos" in names, f"{names}"
        assert sum(row["requests"] for row in db.execute(f"SELECT requests FROM {rollups[0]}")) == 3, "not written at once"


@check("rollup.sums", "sums by day, model, key, user, provider and hour agree with each other, with the rows and with the ledger", timeout=60)
def _():
    with own("sums", workers=2) as g:
        users = [new_user(g) for _ in range(2)]
        keys = [new_key(g, user_id=user["id"]) for user in users for _ in range(2)]
        for n in range(24):
            ok(ask(g, keys[n % 4]["key"], answering(10 + n, prompt=n), ("lab/out", "lab/in", "lab/dear")[n % 3]))
        rows = eventually(lambda: (r := g.usage()) and len(r) >= 24 and r, 8, 0.3)
        total = sum(usd(row["cost_usd"]) for row in rows)
        for by in ("day", "model", "key", "user", "provider", "hour", "day,model", "user,model"):
            sums = done(g, "GET", "usage", by=by)
            seen = (sum(row["requests"] for row in sums), sum(row["prompt_tokens"] for row in sums), sum(usd(row["cost_usd"]) for row in sums))
            assert seen == (24, sum(row["prompt_tokens"] for row in rows), total), f"by {by}: {seen}, not (24, …, {total})"
        booked = sum(row["balance_nanos"] for row in by_account(done(g, "GET", "ledger/accounts"), "upstream"))
        assert abs(Decimal(booked)) / 10**9 == total, f"the ledger says {booked} nano-USD, the rows {total}"


@check("rollup.histograms", "latency_ms and ttft_ms of a sum: p50 of answers that took 300 ms is 300 within a bucket, and they add up over models", timeout=40)
def _():
    with own("histograms") as g:
        key = new_key(g)
        for _ in range(6):
            ok(ask(g, key["key"], answering(1, wait=0.3)))
        ok(ask(g, key["key"], streaming(), "lab/dear", stream=True))
        models = eventually(lambda: (m := {row["model"]: row for row in done(g, "GET", "usage", by="model")}) and len(m) == 2 and m, 6, 0.3)
        p50 = models["lab/out"]["latency_ms"]["p50"]
        assert 200 <= p50 <= 450, f"p50 {p50} ms"
        assert models["lab/dear"]["ttft_ms"]["p50"] is not None and models["lab/dear"]["ttft_ms"]["p50"] < 100, f"{models['lab/dear']['ttft_ms']}"
        day = done(g, "GET", "usage", by="day")[0]
        assert 200 <= day["latency_ms"]["p50"] <= 450, f"both models together: {day['latency_ms']}"


@check("rollup.restart", "kill -9 of everything between the requests: roll-ups count each request once", timeout=60)
def _():
    with own("rollup-kill") as g:
        key = new_key(g)
        for _ in range(3):
            for _ in range(5):
                ok(ask(g, key["key"], answering(10)))
            g.kill()
            g.start()
        rows = eventually(lambda: len(g.usage()) >= 15, 10, 0.3)
        assert rows and sum(row["requests"] for row in done(g, "GET", "usage", by="model")) == 15, f"{done(g, 'GET', 'usage', by='model')}"
        verified(g)


# ---------------------------------------------------------------- retention, bodies


@check("retention.default", "on by default: 95 days on, rows of requests are gone, roll-ups, budgets and ledger stay, and verify is ok", timeout=60, waits=True)
def _():
    clock = Clock()
    with own("retention", **clock.env) as g:
        key = new_key(g, limit_usd="1")
        for _ in range(3):
            ok(ask(g, key["key"]))
        assert eventually(lambda: len(g.usage()) >= 3, 6, 0.3) and g.stop() == 0
        clock.move(95 * 86400)
        g.start()
        assert eventually(lambda: not g.usage(), 15, 0.5), f"{len(g.usage())} rows after 95 days"
        sums = done(g, "GET", "usage", by="model")
        assert sums and sums[0]["requests"] == 3 and usd(sums[0]["cost_usd"]) == 3 * WORST, f"{sums}"
        assert spent(g, key) == 3 * WORST, "the budget forgot"
        verified(g)


@check("retention.set", "[retention] usage_days = 10: after 11 days gone, after 9 not", timeout=60, waits=True)
def _():
    clock = Clock()
    with own("retention-set", lab(extra="[retention]\nusage_days = 10\n"), **clock.env) as g:
        ok(ask(g, new_key(g)["key"]))
        assert eventually(lambda: len(g.usage()) >= 1, 6, 0.3)
        for days, left in ((9, 1), (2, 0)):
            assert g.stop() == 0
            clock.move(days * 86400)
            g.start()
            time.sleep(1.5)
            assert eventually(lambda left=left: len(g.usage()) == left, 10, 0.5), f"{len(g.usage())} rows, not {left}"


@check("retention.registry", "every table of the database is named with its retention in docs/operations.md, and a test holds it to that")
def _():
    g = money()
    text = (REPO / "docs/operations.md").read_text()
    found = re.search(r"(?is)\n## [^\n]*(kept|retention|keeps)[^\n]*\n.*?(?=\n## |\Z)", text)
    assert found, "docs/operations.md has no heading about retention"
    db = sqlite3.connect(f"file:{g.data}/gateway.db?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    missing = [table for table in tables(db) if f"`{table}`" not in found[0] and not table.startswith("alembic")]
    assert not missing, f"tables without a retention in the document: {missing}"
    assert any("retention" in path.read_text() for path in (REPO / "tests").rglob("test_*.py")), "no test speaks of retention"


@check("bodies.off", "bodies are never stored by default: neither prompt nor answer is in any file, and /generation/content is a 404", timeout=30)
def _():
    with own("bodies-off") as g:
        new_budget(g, "model", "x/y", "1")
        script = answering(5)
        answer = ok(ask(g, new_key(g)["key"], script))
        g.row(answer.header("x-generation-id"))
        told = g.get(f"/v1/generation/content?id={answer.header('x-generation-id')}", {"Authorization": f"Bearer {g.key}"})
        assert told.status == 404, f"{told}"
        for path in g.data.rglob("*"):
            assert not path.is_file() or PROMPT_CANARY.encode() not in path.read_bytes(), f"the prompt is in {path.name}"


@check("bodies.on", "switched on for one key: GET /generation/content tells what was asked and answered, to its owner alone; other keys' bodies are not stored", timeout=30)
def _():
    with own("bodies-on") as g:
        key, other = new_key(g, store_bodies=True), new_key(g)
        answers = [ok(ask(g, one["key"])) for one in (key, other)]
        ids = [answer.header("x-generation-id") for answer in answers]
        for id in ids:
            g.row(id)

        def content(id: str | None, who: str):
            return g.get(f"/v1/generation/content?id={id}", {"Authorization": f"Bearer {who}"})

        told = eventually(lambda: (a := content(ids[0], key["key"])).status == 200 and a, 6, 0.3)
        assert told and PROMPT_CANARY in told.body.decode() and {"input", "output"} <= set(told.json()["data"]), f"{content(ids[0], key['key'])}"
        assert content(ids[0], other["key"]).status == 404 and content(ids[1], other["key"]).status == 404

