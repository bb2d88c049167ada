"""JWTs that the gateway signs (HS256): the long-lived form of Kilo's clients, 15-minute ones, and forgeries of every kind."""

import base64
import hashlib
import hmac
import json
import re
import time

from harness import check, cli, cli_json
from money import Clock, admin, answering, ask, asked, done, money, new_budget, new_key, new_user, ok, own, refused

CLAIMS = {"kiloUserId", "apiTokenPepper", "version", "iat", "exp"}


def unpacked(token: str) -> tuple[dict, dict, str]:
    head, body, signature = token.split(".")
    return json.loads(_from(head)), json.loads(_from(body)), signature


def _from(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _to(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(head: dict, body: dict, secret: bytes) -> str:
    text = _to(json.dumps(head).encode()) + "." + _to(json.dumps(body).encode())
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(head.get("alg"))
    return text + "." + (_to(hmac.new(secret, text.encode(), digest).digest()) if digest else "")


def token_of(g, user: dict, **more) -> dict:
    return done(g, "POST", f"users/{user['id']}/tokens", more)


@check("token.long", "POST users/{id}/tokens: an HS256 JWT with Kilo's claims, five years, accepted as bearer under every prefix and as x-api-key")
def _():
    g = money()
    user = new_user(g)
    made = token_of(g, user)
    head, claims, _ = unpacked(made["token"])
    assert head["alg"] == "HS256" and CLAIMS <= set(claims), f"{head} {sorted(claims)}"
    assert claims["kiloUserId"] == user["id"] and claims["version"] == 3, f"{claims}"
    years = (claims["exp"] - claims["iat"]) / 86400 / 365
    assert 4.9 < years < 5.1 and abs(made["expires_ms"] / 1000 - claims["exp"]) < 2, f"{years:.1f} years"
    for path in ("/v1/chat/completions", "/api/gateway/chat/completions", "/api/openrouter/chat/completions"):
        ok(ask(g, made["token"], path=path), path)
    ok(g.post(asked(answering()), key=None, headers={"x-api-key": made["token"]}))


@check("token.short", "15 minutes: {\"expires_s\": 900}; what it spends is its user's; under the user's budget", timeout=20)
def _():
    g = money()
    user = new_user(g)
    new_budget(g, "user", user["id"], "0.002")
    made = token_of(g, user, expires_s=900)
    _, claims, _ = unpacked(made["token"])
    assert claims["exp"] - claims["iat"] == 900, f"{claims}"
    answer = ok(ask(g, made["token"]))
    assert g.row(answer.header("x-generation-id"))["user_id"] == user["id"]
    ok(ask(g, made["token"]))
    refused(ask(g, made["token"]), 402)


@check("token.expired", "an expired token is a 401, by the wall clock that is moved 16 minutes", timeout=30, waits=True)
def _():
    clock = Clock()
    with own("tokens", **clock.env) as g:
        user = new_user(g)
        short, long = token_of(g, user, expires_s=900), token_of(g, user)
        ok(ask(g, short["token"]))
        clock.move(960)
        time.sleep(1)
        refused(ask(g, short["token"]), 401)
        ok(ask(g, long["token"]))


@check("token.forged", "forgeries are 401: alg none, other algorithms, empty or public secrets, claims changed, signature cut, another user, garbage", timeout=20)
def _():
    g = money()
    user = new_user(g)
    good = token_of(g, user)["token"]
    head, claims, signature = unpacked(good)
    text = good.rpartition(".")[0]
    owner = next(one["id"] for one in done(g, "GET", "users") if one["role"] == "owner")
    forged = {
        "none": signed({**head, "alg": "none"}, claims, b""), "None": signed({**head, "alg": "None"}, claims, b""),
        "empty secret": signed(head, claims, b""), "512": signed({**head, "alg": "HS512"}, claims, b""),
        "user id as secret": signed(head, claims, user["id"].encode()), "cut": good[:-4], "no signature": text + ".",
        "owner": _to(json.dumps(head).encode()) + "." + _to(json.dumps({**claims, "kiloUserId": owner}).encode()) + "." + signature,
        "later": _to(json.dumps(head).encode()) + "." + _to(json.dumps({**claims, "exp": claims["exp"] + 1}).encode()) + "." + signature,
        "garbage": "a.b.c", "dots": "...", "four": good + ".x", "long": "x" * 6000 + ".y.z", "not json": _to(b"x") + "." + _to(b"y") + "." + signature,
        "list": _to(json.dumps(head).encode()) + "." + _to(b"[]") + "." + signature,
    }  # fmt: skip
    for what, token in forged.items():
        answer = ask(g, token)
        assert answer.status == 401, f"{what}: {answer}"
    ok(ask(g, good))


@check("token.reset", "reset-tokens: every older token of the user dies within 1 s, newer ones work, keys are untouched")
def _():
    g = money()
    user = new_user(g)
    key, old = new_key(g, user_id=user["id"]), token_of(g, user)["token"]
    ok(ask(g, old))
    done(g, "POST", f"users/{user['id']}/reset-tokens", {})
    time.sleep(1)
    refused(ask(g, old), 401)
    ok(ask(g, token_of(g, user)["token"]))
    ok(ask(g, key["key"]))


@check("token.rights", "a token has its user's present role, and dies with him: viewer 403, disabled 401; it is no management key")
def _():
    g = money()
    user = new_user(g, "admin")
    token = token_of(g, user)["token"]
    ok(ask(g, token))
    assert admin(g, "GET", "users", key=token).status == 403, "a token opened the admin API"
    done(g, "PATCH", f"users/{user['id']}", {"role": "viewer"})
    time.sleep(1)
    refused(ask(g, token), 403)
    done(g, "PATCH", f"users/{user['id']}", {"role": "member", "disabled": True})
    time.sleep(1)
    refused(ask(g, token), 401)


@check("token.elsewhere", "a token of one gateway opens no other, whose secret.key is another", timeout=30)
def _():
    g = money()
    with own("elsewhere") as other:
        user = new_user(g)
        token = token_of(g, user)["token"]
        ok(ask(g, token))
        assert ask(other, token).status == 401


@check("token.cli", "kilo-gateway users token USER --expires 15m: prints the token, with --json an object")
def _():
    g = money()
    user = new_user(g)
    made = cli_json("users", "token", user["id"], "--expires", "15m", data_dir=g.data)
    assert unpacked(made["token"])[1]["kiloUserId"] == user["id"] and made["user_id"] == user["id"]
    plain = cli("users", "token", user["id"], data_dir=g.data)
    assert plain.returncode == 0 and re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", plain.stdout.strip()), f"{(plain.stderr or plain.stdout)[:160]}"
    ok(ask(g, plain.stdout.strip()))


@check("token.never-stored", "no token stands in a file of the data directory or in a log")
def _():
    g = money()
    token = token_of(g, new_user(g))["token"]
    ok(ask(g, token))
    signature = token.rpartition(".")[2].encode()
    for path in g.data.rglob("*"):
        assert not path.is_file() or signature not in path.read_bytes(), f"in {path.name}"
    assert signature.decode() not in g.log(), "in the log"
