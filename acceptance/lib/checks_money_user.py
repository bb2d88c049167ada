"""Users and their roles: who may do what, and that a key never exceeds what its creator may now."""

import json
import time

import wire
from harness import check, eventually
from money import (
    admin,
    answering,
    ask,
    asked,
    cli_json_of,
    done,
    dripping,
    key_of,
    money,
    name,
    new_key,
    new_user,
    ok,
    own,
    refused,
)
from money_load import burst

ROLES = ("admin", "member", "viewer")


def manager(g, role: str) -> tuple[dict, dict]:
    """A user and a management key of his."""
    user = new_user(g, role)
    return user, new_key(g, user_id=user["id"], is_management=True)


@check("user.owner", "the owner's user is there from the first start, and owner.key is his")
def _():
    g = money()
    users = done(g, "GET", "users")
    owners = [user for user in users if user["role"] == "owner"]
    assert len(owners) == 1 and owners[0]["id"].startswith("user-"), f"{users[:3]}"
    keys = [key for key in done(g, "GET", "keys") if key["role"] == "owner"]
    assert keys and keys[0]["user_id"] == owners[0]["id"], f"{keys[:1]}"


@check("user.crud", "users: create, list, show, update, disable; unknown members, roles and ids are refused")
def _():
    g = money()
    user = new_user(g, "viewer")
    assert {"id", "name", "role", "disabled", "created_ms"} <= set(user), f"{user}"
    assert done(g, "GET", f"users/{user['id']}")["role"] == "viewer"
    assert done(g, "PATCH", f"users/{user['id']}", {"role": "member", "name": "renamed"})["name"] == "renamed"
    assert any(one["id"] == user["id"] and one["role"] == "member" for one in done(g, "GET", "users"))
    for body in ({"name": "x", "role": "king"}, {"name": ""}, {"role": "member"}, {"name": "x", "surprise": 1}, {"name": "x" * 300}, []):
        assert admin(g, "POST", "users", body).status == 400, f"took {body}"
    assert admin(g, "GET", "users/user-0000").status == 404
    gone = done(g, "DELETE", f"users/{user['id']}")
    assert gone["id"] == user["id"] and admin(g, "GET", f"users/{user['id']}").status == 404


@check("user.last-owner", "the last owner can be neither demoted, disabled nor deleted")
def _():
    g = money()
    owner = next(user for user in done(g, "GET", "users") if user["role"] == "owner")
    for method, body in (("PATCH", {"role": "member"}), ("PATCH", {"disabled": True}), ("DELETE", None)):
        answer = admin(g, method, f"users/{owner['id']}", body)
        assert answer.status in (400, 403, 409), f"{method} {body}: {answer}"


@check("user.roles-inference", "owner, admin and member may infer, a viewer may not: 403, reason role")
def _():
    g = money()
    for role in ROLES:
        key = new_key(g, user_id=new_user(g, role)["id"])
        answer = ask(g, key["key"])
        if role == "viewer":
            assert refused(answer, 403)["metadata"]["reason"] == "role"
        else:
            ok(answer, role)


MATRIX = {  # who -> what he may: read all, change users, change others' keys
    "admin": (True, True, True), "member": (False, False, False), "viewer": (True, False, False),
}  # fmt: skip


@check("user.matrix", "admin API by role: admin all but owners, member his own, viewer reads; ordinary keys and nobody: 403 and 401 on every route", timeout=40)
def _():
    g = money()
    other = new_user(g)
    others_key = new_key(g, user_id=other["id"])
    owner = next(user for user in done(g, "GET", "users") if user["role"] == "owner")
    routes = ("users", "keys", "budgets", "usage", "ledger", "ledger/accounts", "ledger/verify", "audit")
    ordinary = new_key(g, user_id=new_user(g, "admin")["id"])
    for route in routes:
        assert admin(g, "GET", route, key=ordinary["key"]).status == 403, f"an ordinary key: GET {route}"
        assert admin(g, "GET", route, key=None).status == 401, f"no key: GET {route}"
    for role, (reads, users, keys) in MATRIX.items():
        user, key = manager(g, role)
        for route in ("users", "budgets", "ledger", "audit"):
            status = admin(g, "GET", route, key=key["key"]).status
            assert (status == 200) if reads else (status in (200, 403)), f"{role}: GET {route} {status}"
        status = admin(g, "POST", "users", {"name": name(), "role": "member"}, key=key["key"]).status
        assert status == (201 if users else 403), f"{role}: POST users {status}"
        status = admin(g, "PATCH", f"keys/{others_key['id']}", {"name": "mine now"}, key=key["key"]).status
        assert status == 200 if keys else status in (403, 404), f"{role}: PATCH another's key {status}"
        status = admin(g, "PATCH", f"users/{user['id']}", {"role": "owner"}, key=key["key"]).status
        assert status in (400, 403), f"{role} made himself owner: {status}"
        status = admin(g, "PATCH", f"users/{owner['id']}", {"name": "pwned"}, key=key["key"]).status
        assert status in (403, 404), f"{role}: PATCH the owner {status}"
        status = admin(g, "POST", f"users/{owner['id']}/tokens", {}, key=key["key"]).status
        assert status in (403, 404), f"{role} got a token of the owner: {status}"


@check("user.own", "a member's management key sees his own keys and usage, and nothing of others; another's id is a 404 like an unknown one")
def _():
    g = money()
    user, key = manager(g, "member")
    mine = new_key(g, user_id=user["id"])
    other = new_key(g, user_id=new_user(g)["id"])
    listed = {one["id"] for one in done(g, "GET", "keys", key=key["key"])}
    assert mine["id"] in listed and other["id"] not in listed, "the list of keys"
    unknown, foreign = (admin(g, "GET", f"keys/{id}", key=key["key"]) for id in ("key-0000000000000000", other["id"]))
    assert unknown.status == foreign.status == 404, f"{unknown.status}, {foreign.status}"
    ok(ask(g, other["key"]))
    ok(ask(g, mine["key"]))
    rows = eventually(lambda: done(g, "GET", "usage", key=key["key"]), 5, 0.3)
    assert rows and {row["key_id"] for row in rows} <= {mine["id"], key["id"]}, f"others' usage: {rows[:1]}"


@check("user.member-creates", "a member may make keys of his own, but no management key, none for others, none beyond his own rights")
def _():
    g = money()
    user, key = manager(g, "member")
    made = admin(g, "POST", "keys", {"name": name()}, key=key["key"])
    assert made.status == 201 and made.json()["user_id"] == user["id"], f"{made}"
    ok(ask(g, made.json()["key"]))
    for body in ({"name": "m", "is_management": True}, {"name": "o", "user_id": new_user(g)["id"]}):
        assert admin(g, "POST", "keys", body, key=key["key"]).status == 403, f"member made {body}"


@check("user.own-budget", "a member cannot raise or remove the budget that an admin has set on him or on his key")
def _():
    g = money()
    user, key = manager(g, "member")
    mine = new_key(g, user_id=user["id"], limit_usd="0.001")
    for path, body in ((f"keys/{mine['id']}", {"limit_usd": "100"}), (f"keys/{mine['id']}", {"limit_usd": None})):
        assert admin(g, "PATCH", path, body, key=key["key"]).status == 403, f"{body}"
    assert admin(g, "POST", "budgets", {"scope": "user", "target": user["id"], "limit_usd": "9", "reset": "never"}, key=key["key"]).status == 403


@check("user.demoted", "a key never exceeds its creator's present rights: demoted to viewer, his keys are refused by all workers within 1 s; promoted, they work", timeout=20)
def _():
    g = money()
    user = new_user(g, "member")
    key = new_key(g, user_id=user["id"])
    ok(ask(g, key["key"]))
    for role, status in (("viewer", 403), ("member", 200)):
        done(g, "PATCH", f"users/{user['id']}", {"role": role})
        time.sleep(1)
        seen = burst(g.port, [g.head(asked(answering(1)), key=key["key"])] * 24, 12).statuses
        assert dict(seen) == {status: 24}, f"as {role}: {dict(seen)}"


@check("user.demoted-manager", "an admin's management key loses what he loses: demoted to member he creates no users within 1 s")
def _():
    g = money()
    user, key = manager(g, "admin")
    assert admin(g, "POST", "users", {"name": name(), "role": "member"}, key=key["key"]).status == 201
    done(g, "PATCH", f"users/{user['id']}", {"role": "member"})
    time.sleep(1)
    assert admin(g, "POST", "users", {"name": name(), "role": "member"}, key=key["key"]).status == 403


@check("user.disabled", "a disabled user: all his keys are refused within 1 s, his streams are cut within 5 s; enabled again, they work", timeout=30)
def _():
    g = money()
    user = new_user(g)
    keys = [new_key(g, user_id=user["id"]) for _ in range(3)]
    with wire.Conn(g.port, 12) as conn:
        conn.send(g.head(asked(dripping(), stream=True), key=keys[0]["key"]))
        answer = conn.head()
        began = time.monotonic()
        done(g, "PATCH", f"users/{user['id']}", {"disabled": True})
        conn.body(answer)
        took = time.monotonic() - began
    assert took < 5 and b"key_revoked" in answer.body, f"{took:.1f} s: {answer.body[-200:]!r}"
    statuses = {ask(g, key["key"]).status for key in keys for _ in range(4)}
    assert statuses == {401}, f"{statuses}"
    done(g, "PATCH", f"users/{user['id']}", {"disabled": False})
    time.sleep(1)
    ok(ask(g, keys[1]["key"]))


@check("user.deleted", "a deleted user's keys are revoked; his usage and ledger lines stay and verify", timeout=20)
def _():
    g = money()
    user = new_user(g)
    key = new_key(g, user_id=user["id"])
    answer = ok(ask(g, key["key"]))
    row = g.row(answer.header("x-generation-id"))
    done(g, "DELETE", f"users/{user['id']}")
    time.sleep(1)
    assert ask(g, key["key"]).status == 401
    assert g.row(row["id"])["cost_usd"] == row["cost_usd"]
    told = done(g, "GET", "ledger/verify", timeout=20)
    assert told["ok"], f"{told['problems'][:2]}"


@check("user.cli", "kilo-gateway users create, list, show, update by CLI, with --json; also when no gateway runs", timeout=40)
def _():
    with own("users-cli") as g:
        made = cli_json_of("users", "create", "--name", "cli", "--role", "viewer", g=g)
        assert made["id"].startswith("user-") and made["role"] == "viewer", f"{made}"
        assert cli_json_of("users", "show", made["id"], g=g)["name"] == "cli"
        assert cli_json_of("users", "update", "cli", "--role", "member", g=g)["role"] == "member"
        assert g.stop() == 0
        assert {user["name"] for user in cli_json_of("users", "list", g=g)} >= {"cli"}
        assert cli_json_of("users", "update", "cli", "--disable", g=g)["disabled"] is True


@check("user.unknown-members", "every admin POST and PATCH refuses members it does not know, bodies that are no object: 400")
def _():
    g = money()
    key, user = new_key(g), new_user(g)
    for method, path in (("POST", "users"), ("POST", "keys"), ("POST", "budgets"), ("PATCH", f"keys/{key['id']}"), ("PATCH", f"users/{user['id']}")):
        for body in (b'{"surprise": 1}', b"[]", b"null", b"", b"{", b'{"name": 7}', json.dumps({"name": "\ud800"}).encode()):
            answer = admin(g, method, path, body)
            assert answer.status == 400, f"{method} {path} {body!r}: {answer}"
    assert key_of(g, key)["name"] == key["name"]
