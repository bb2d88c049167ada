"""`ledger verify` is honest: on a copy of the data, every change of any amount and every line lost or doubled is found and named."""

import re
import shutil
import threading

import wire
from harness import ROOT, check, cli, json_reply, up
from money import (
    answering,
    ask,
    asked,
    body_of,
    copy_of,
    dripping,
    fresh,
    lab,
    lines_of,
    name,
    new_budget,
    new_key,
    ok,
    opened,
    streaming,
    tables,
    without_triggers,
)

_made: dict = {}
_making = threading.Lock()


def books():
    """A stopped gateway's data with a bit of everything in it. Made once."""
    with _making:
        if "error" in _made:
            raise AssertionError(_made["error"])
        if "data" not in _made:
            try:
                _made["data"] = _make()
            except AssertionError as error:
                _made["error"] = f"no books to try it on: {error}"
                raise
        return _made["data"]


def _make():
    g = fresh("books", lab())
    try:
        keys = [new_key(g, limit_usd="1", reset=reset) for reset in ("never", "daily")] + [new_key(g)]
        new_budget(g, "model", "lab/*", "5", "weekly", soft_limit_usd="4")
        for key in keys:
            answers = [ok(ask(g, key["key"])), ok(ask(g, key["key"], streaming(300), stream=True)), ok(ask(g, key["key"], answering(10), "lab/in"))]
            script = up().script(name=name("fail"), first=[json_reply(b"{}", status=b"503 Busy")], other=[json_reply(body_of(20))])
            answers.append(ok(ask(g, key["key"], script, "lab/both")))
            ask(g, key["key"], up().script(json_reply(b"{}", status=b"500 No")))
            ask(g, key["key"], answering(2000), "lab/out", cap=1900)
        for answer in answers:
            lines_of(g, answer)
        assert g.stop() == 0, "the gateway did not stop cleanly"
        return copy_of(g)
    finally:
        g.kill()


def verify(data):
    return cli("ledger", "verify", "--json", data_dir=data, timeout=30)


def caught(change, id, what: str) -> None:
    """On a copy: after `change(db)` verify ends with 1 and names `id`."""
    data = ROOT / name("tampered")
    shutil.copytree(books(), data)
    db = opened(data)
    without_triggers(db)
    change(db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    done = verify(data)
    text = done.stdout + done.stderr
    assert done.returncode == 1, f"{what}: exit {done.returncode}: {text[-160:]}"
    assert id is None or re.search(rf"(?<![\w-]){re.escape(str(id))}(?![\w-])", text), f"{what}: {id} is not named: {text[-220:]}"
    assert "Traceback" not in text, f"{what}: {text[-160:]}"
    shutil.rmtree(data, ignore_errors=True)


@check("verify.clean", "the untouched copy verifies with exit 0, and says how many lines it read", timeout=60)
def _():
    data = ROOT / name("untouched")
    shutil.copytree(books(), data)
    done = verify(data)
    assert done.returncode == 0, f"exit {done.returncode}: {(done.stdout + done.stderr)[-200:]}"
    count = opened(data).execute("SELECT count(*) FROM ledger_lines").fetchone()[0]
    assert f'"lines": {count}' in done.stdout or f'"lines":{count}' in done.stdout, f"{count} lines, told: {done.stdout[:200]}"


def _some(db, table: str, column: str) -> list:
    """rowid-like keys of the first, a middle and the last row with an amount."""
    key = _key(db, table)
    rows = [row[0] for row in db.execute(f'SELECT "{key}" FROM "{table}" WHERE "{column}" IS NOT NULL ORDER BY "{key}"')]
    return sorted({rows[0], rows[len(rows) // 2], rows[-1]}, key=str) if rows else []


def _key(db, table: str) -> str:
    keys = [row["name"] for row in tables(db)[table] if row["pk"]]
    return "id" if "id" in [row["name"] for row in tables(db)[table]] else keys[0] if keys else "rowid"


@check("verify.amounts", "one nano-dollar more in any money column (*_nanos but limits) of any table: exit 1, and the row is named", timeout=240)
def _():
    db = opened(books())
    columns = [(table, row["name"]) for table, rows in tables(db).items() for row in rows
               if row["name"].endswith("_nanos") and "limit" not in row["name"] and "price" not in row["name"]]  # fmt: skip
    assert ("ledger_lines", "amount_nanos") in columns, f"columns of money: {columns}"
    tried = []
    for table, column in columns:
        key = _key(db, table)
        for id in _some(db, table, column):
            for more in (1, -1) if table == "ledger_lines" else (1,):
                named = id if table in ("ledger_lines", "usage") else None
                change = f'UPDATE "{table}" SET "{column}" = "{column}" + ({more}) WHERE "{key}" = ?'
                caught(lambda db, change=change, id=id: db.execute(change, (id,)), named, f"{table}.{column} {more:+d} at {id}")
                tried.append(f"{table}.{column}")
    return f"{len(tried)} changes in {sorted(set(tried))}"


@check("verify.deleted", "any one line deleted, the first, one in the middle, the last: exit 1 and its id is named", timeout=120)
def _():
    ids = _some(opened(books()), "ledger_lines", "id")
    assert len(ids) == 3, f"{len(ids)} lines"
    for id in ids:
        caught(lambda db, id=id: db.execute("DELETE FROM ledger_lines WHERE id = ?", (id,)), id, f"line {id} deleted")


@check("verify.deleted-entry", "a whole entry deleted, so that all still sums to 0: exit 1 and a line of it is named", timeout=60)
def _():
    db = opened(books())
    entry = db.execute("SELECT entry_id FROM ledger_lines GROUP BY entry_id ORDER BY max(id) DESC LIMIT 1").fetchone()[0]
    id = db.execute("SELECT max(id) FROM ledger_lines WHERE entry_id = ?", (entry,)).fetchone()[0]
    caught(lambda db: db.execute("DELETE FROM ledger_lines WHERE entry_id = ?", (entry,)), id, "the last entry deleted")


@check("verify.duplicated", "any one line duplicated under a new id: exit 1 and the new line is named", timeout=120)
def _():
    db = opened(books())
    others = ", ".join(f'"{row["name"]}"' for row in tables(db)["ledger_lines"] if row["name"] != "id")
    new = db.execute("SELECT max(id) + 1 FROM ledger_lines").fetchone()[0]
    for id in _some(db, "ledger_lines", "id"):

        def double(db, id=id) -> None:
            for index in [row["name"] for row in db.execute("PRAGMA index_list(ledger_lines)") if row["unique"] and row["origin"] == "c"]:
                db.execute(f'DROP INDEX "{index}"')
            db.execute(f"INSERT INTO ledger_lines (id, {others}) SELECT ?, {others} FROM ledger_lines WHERE id = ?", (new, id))

        try:
            caught(double, new, f"line {id} doubled")
        except Exception as error:
            if "UNIQUE constraint" not in str(error):  # the table itself refuses: as good
                raise


@check("verify.moved", "a line moved to another account, or another time or kind: exit 1 and it is named", timeout=90)
def _():
    db = opened(books())
    id = _some(db, "ledger_lines", "id")[1]
    for column, value in (("account", "'key:key-0000000000000000'"), ("at_ms", "at_ms + 86400000"), ("kind", "'adjust'")):
        caught(lambda db, column=column, value=value: db.execute(f"UPDATE ledger_lines SET {column} = {value} WHERE id = ?", (id,)), id,
               f"{column} of line {id} changed")  # fmt: skip


@check("verify.swapped", "the amounts of two lines swapped, sums alike: exit 1", timeout=60)
def _():
    db = opened(books())
    one, other = db.execute("SELECT a.id, b.id FROM ledger_lines a JOIN ledger_lines b ON a.account = b.account AND a.kind = b.kind"
                            " AND a.amount_nanos <> b.amount_nanos AND a.id < b.id LIMIT 1").fetchone()  # fmt: skip

    def swap(db) -> None:
        amounts = dict(db.execute("SELECT id, amount_nanos FROM ledger_lines WHERE id IN (?, ?)", (one, other)).fetchall())
        db.execute("UPDATE ledger_lines SET amount_nanos = ? WHERE id = ?", (amounts[other], one))
        db.execute("UPDATE ledger_lines SET amount_nanos = ? WHERE id = ?", (amounts[one], other))

    caught(swap, None, f"amounts of {one} and {other} swapped")


@check("verify.killed", "books of a gateway killed in the middle of a stream, verified from the command line: exit 0 and the request is recovered", timeout=60)
def _():
    g = fresh("killed-books")
    try:
        key = new_key(g, limit_usd="1")
        ok(ask(g, key["key"]))
        with wire.Conn(g.port) as conn:
            conn.send(g.head(asked(dripping(), stream=True), key=key["key"]))
            id = conn.head().header("x-generation-id")
            g.kill()
    finally:
        g.kill()
    g.start()
    try:
        assert g.row(id, 10)["status"] == "recovered", f"{g.row(id)}"
        assert g.stop() == 0
    finally:
        g.kill()
    done = verify(g.data)
    assert done.returncode == 0, f"exit {done.returncode}: {(done.stdout + done.stderr)[-200:]}"
