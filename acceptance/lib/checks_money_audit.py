"""The audit log: every change with actor, before and after, secrets masked, in a chain that shows what was tampered with."""

import json
import re
import shutil
import threading

from harness import ROOT, check, cli
from money import (
    admin,
    cli_json_of,
    copy_of,
    done,
    fresh,
    lab,
    money,
    name,
    new_budget,
    new_key,
    new_user,
    opened,
    own,
    tables,
    without_triggers,
)


def events(g, limit: int = 50) -> list[dict]:
    return done(g, "GET", "audit", limit=limit)


def event_of(g, action: str, target: str) -> dict:
    found = [one for one in events(g) if one["target"] == target and action in one["action"]]
    assert found, f"no event {action} of {target}: {[(one['action'], one['target']) for one in events(g)[:6]]}"
    return found[0]


@check("audit.changes", "each change of users, keys and budgets is an event with actor, target, before and after")
def _():
    g = money()
    user, key = new_user(g), new_key(g, limit_usd="1")
    budget = new_budget(g, "model", "audit/x", "1")
    done(g, "PATCH", f"users/{user['id']}", {"role": "viewer"})
    done(g, "PATCH", f"keys/{key['id']}", {"name": "audited"})
    done(g, "POST", f"keys/{key['id']}/rotate", {"grace_s": 1})
    done(g, "PATCH", f"budgets/{budget['id']}", {"limit_usd": "2"})
    done(g, "DELETE", f"budgets/{budget['id']}")
    done(g, "DELETE", f"keys/{key['id']}")
    for action, target in (("create", user["id"]), ("update", user["id"]), ("create", key["id"]), ("update", key["id"]), ("rotate", key["id"]),
                           ("revoke", key["id"]), ("create", budget["id"]), ("update", budget["id"]), ("delete", budget["id"])):  # fmt: skip
        told = event_of(g, action, target)
        assert {"id", "at_ms", "actor", "action", "target", "before", "after"} <= set(told), f"{sorted(told)}"
    told = event_of(g, "update", user["id"])
    assert told["before"]["role"] == "member" and told["after"]["role"] == "viewer", f"{told['before']} -> {told['after']}"


@check("audit.actor", "the actor is who did it: a user with a management key, or the operator at the command line")
def _():
    g = money()
    user = new_user(g, "admin")
    manager = new_key(g, user_id=user["id"], is_management=True)
    made = admin(g, "POST", "users", {"name": name("made"), "role": "member"}, key=manager["key"])
    assert made.status == 201, f"{made}"
    told = event_of(g, "create", made.json()["id"])
    assert user["id"] in json.dumps(told["actor"]), f"actor {told['actor']}"
    by_hand = cli_json_of("users", "create", "--name", name("by-hand"), g=g)
    assert user["id"] not in json.dumps(event_of(g, "create", by_hand["id"])["actor"])


@check("audit.masked", "no key, token, digest or pepper stands in the audit log, nor in what it answers")
def _():
    g = money()
    key = new_key(g)
    new = done(g, "POST", f"keys/{key['id']}/rotate", {"grace_s": 1})
    token = done(g, "POST", f"users/{key['user_id']}/tokens", {"expires_s": 900})["token"]
    text = json.dumps(events(g, 200))
    for secret in (key["key"], new["key"], token, token.rpartition(".")[2]):
        assert secret not in text, "a secret is in the audit log"
    assert not re.search(r"kilo_[0-9A-Za-z]{32}", text), "a key is in the audit log"


@check("audit.refused", "what was refused for want of rights is in it too")
def _():
    g = money()
    user = new_user(g, "member")
    manager = new_key(g, user_id=user["id"], is_management=True)
    assert admin(g, "POST", "users", {"name": "no", "role": "member"}, key=manager["key"]).status == 403
    assert any(user["id"] in json.dumps(one["actor"]) and ("denied" in json.dumps(one) or "refus" in json.dumps(one)) for one in events(g, 20)), \
        f"{[(one['action'], one['actor']) for one in events(g, 5)]}"  # fmt: skip


@check("audit.verify", "audit verify on untouched data: exit 0, the number of events")
def _():
    g = money()
    new_user(g)
    told = done(g, "GET", "audit/verify")
    assert told["ok"] is True and told["events"] > 0, f"{told}"
    assert cli_json_of("audit", "verify", g=g)["ok"] is True
    assert cli_json_of("audit", "list", "--limit", "3", g=g)[0]["id"]


_made: dict = {}
_making = threading.Lock()


def log_data():
    with _making:
        if "error" in _made:
            raise AssertionError(_made["error"])
        if "data" not in _made:
            g = fresh("audited", lab())
            try:
                for _ in range(3):
                    new_user(g)
                    new_key(g, limit_usd="1")
                assert g.stop() == 0
                _made["data"] = copy_of(g)
            except AssertionError as error:
                _made["error"] = f"no audit log to try it on: {error}"
                raise
            finally:
                g.kill()
        return _made["data"]


def caught(change, what: str, id=None) -> None:
    data = ROOT / name("audit")
    shutil.copytree(log_data(), data)
    db = opened(data)
    without_triggers(db)
    change(db, audit_table(db))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    said = cli("audit", "verify", "--json", data_dir=data)
    text = said.stdout + said.stderr
    assert said.returncode == 1 and "Traceback" not in text, f"{what}: exit {said.returncode}: {text[-160:]}"
    assert id is None or re.search(rf"(?<![\w-]){re.escape(str(id))}(?![\w-])", text), f"{what}: {id} is not named: {text[-160:]}"
    shutil.rmtree(data, ignore_errors=True)


def audit_table(db) -> str:
    found = [table for table in tables(db) if table.startswith("audit")]
    assert found, f"no table audit…: {sorted(tables(db))}"
    return found[0]


@check("audit.tampered", "any column of any event changed: audit verify ends with 1 and names the event", timeout=120)
def _():
    db = opened(log_data())
    table = audit_table(db)
    ids = [row[0] for row in db.execute(f"SELECT id FROM {table} ORDER BY id")]
    columns = [row["name"] for row in tables(db)[table] if row["name"] != "id"]
    for column in columns:
        id = ids[len(ids) // 2]
        value = db.execute(f"SELECT {column} FROM {table} WHERE id = ?", (id,)).fetchone()[0]
        other = value + 1 if isinstance(value, int) else (bytes([value[0] ^ 1]) + value[1:] if isinstance(value, bytes) and value else f"{value or ''}x")
        caught(lambda db, t, column=column, other=other, id=id: db.execute(f"UPDATE {t} SET {column} = ? WHERE id = ?", (other, id)), column, id)
    return f"{len(columns)} columns of {table}"


@check("audit.deleted", "an event deleted, the first, one in the middle, the last: exit 1", timeout=60)
def _():
    db = opened(log_data())
    ids = [row[0] for row in db.execute(f"SELECT id FROM {audit_table(db)} ORDER BY id")]
    for id in (ids[0], ids[len(ids) // 2], ids[-1]):
        caught(lambda db, t, id=id: db.execute(f"DELETE FROM {t} WHERE id = ?", (id,)), f"event {id} deleted")


@check("audit.append-only", "the audit log cannot be changed over HTTP, and its table refuses UPDATE and DELETE")
def _():
    g = money()
    for method in ("DELETE", "PATCH", "POST", "PUT"):
        answer = admin(g, method, "audit", {})
        assert answer.status == 405, f"{method}: {answer}"
    with own("append-only") as one:
        new_user(one)
        assert one.stop() == 0
        db = opened(one.data)
        table = audit_table(db)
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET at_ms = 1"):
            try:
                db.execute(statement)
            except Exception:
                continue
            raise AssertionError(f"{statement} was let through")
