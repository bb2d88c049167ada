"""Images and files by URL for upstreams that want bytes: fetched where the operator wants it, and only from where they may be."""

import json
import threading
import time
from urllib.parse import quote

import wire
from dialect_callers import CALLERS, PATHS
from dialect_heard import image_bytes
from dialect_media import BIG_PNG, GOOD_PDF, GOOD_PNG, MIB, MediaHost
from dialect_scripts import PLAIN, SCRIPTS, Reply
from harness import Gateway, Skip, check, eventually, gateway, gw

from dialects import UPSTREAM_IDS, asking, every_caller, problem, row, settings, speaker, table, tell

_hosts: dict[str, MediaHost] = {}
_lock = threading.Lock()


def host(name: str = "trusted") -> MediaHost:
    """`trusted` the operator vouches for; `inner` is as near, and he does not."""
    with _lock:
        if name not in _hosts:
            _hosts[name] = MediaHost()
        return _hosts[name]


@gateway("fetch")
def fetch_gateway() -> Gateway:
    tables = [
        table("bytes", speaker("fetch-bytes", "converse"), row("lab/bytes", UPSTREAM_IDS["converse"], "converse"), row("lab/last", UPSTREAM_IDS["converse"], "converse")),
        table("urls", speaker("fetch-urls", "messages"), row("lab/urls", UPSTREAM_IDS["messages"], "messages")),
    ]  # fmt: skip
    first = table("first", speaker("fetch-first", "messages"), row("lab/last", UPSTREAM_IDS["messages"], "messages"))
    extra = f'[media]\nfetch = true\ntrusted_hosts = ["127.0.0.1:{host().port}"]\n'
    return Gateway("fetch", settings(first, *tables, extra=extra))


def shown(caller: str, url: str, stream: bool = False, **fields):
    """Told by the Converse upstream, which refuses anything but bytes."""
    return tell(asking(caller, "lab/bytes", PLAIN, image=url, **fields), stream, g=gw("fetch"), timeout=20)


def ask(url: str, caller: str = "chat", stream: bool = False, timeout: float = 20.0, model: str = "lab/bytes") -> wire.Answer:
    body = asking(caller, model, PLAIN, image=url).body(stream)
    fields = {"anthropic-version": "2023-06-01"} if caller == "messages" else {}
    return gw("fetch").post(json.dumps(body).encode(), path=PATHS[caller], headers=fields, timeout=timeout)


def refused(url: str, *reasons: str, caller: str = "chat", stream: bool = False, timeout: float = 20.0) -> str:
    """Told as a 400 in the caller's shape, and nothing went upstream."""
    before = len(speaker("fetch-bytes", "converse").talks)
    error = problem(caller, ask(url, caller, stream, timeout), 400)
    assert len(speaker("fetch-bytes", "converse").talks) == before, "the upstream was asked"
    if caller == "chat":
        assert error["code"] == "media_not_fetched" and error["metadata"]["reason"] in reasons, f"{url[:80]}: {error}"
    return error["message"]


# ---------------------------------------------------------------- what is fetched


@every_caller("fetch", "image", "media.fetch: an image's URL for an upstream that wants bytes arrives as bytes, JSON and stream", timeout=30)
def _(caller):
    for stream in (False, True):
        heard = shown(caller, host().url("/good.png"), stream).talk.heard
        assert [image_bytes(each) for each in heard.turns[0].images] == [GOOD_PNG], f"{heard.turns}"


@check("fetch.pdf", "a PDF's URL arrives as a document", timeout=20)
def _():
    for caller in ("messages",):
        heard = tell(asking(caller, "lab/bytes", PLAIN, pdf=host().url("/good.pdf")), g=gw("fetch")).talk.heard
        assert [image_bytes(each) for each in heard.turns[0].files] == [GOOD_PDF], f"{heard.turns}"


@check("fetch.big", "nearly 20 MiB arrive whole", timeout=60)
def _():
    heard = shown("chat", host().url("/big.png")).talk.heard
    assert image_bytes(heard.turns[0].images[0]) == BIG_PNG


@check("fetch.several", "several URLs, each asked for once, wherever they stand", timeout=20)
def _():
    urls = [host().url(f"/good.png?several={n}") for n in range(6)]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in [*urls, *urls]]
    one = tell(asking("chat", "lab/bytes", PLAIN, history=[{"role": "user", "content": parts}]), g=gw("fetch"))
    assert len(one.talk.heard.everywhere("images")) == 12 and len(host().of("several=")) == 6, f"{len(host().of('several='))} were asked for"


@check("fetch.nothing-of-ours", "the host is told nothing of the caller: no key, cookie, referer; identity is asked for, redirect or not", timeout=20)
def _():
    shown("chat", host().url(f"/to/302?{quote(host().url('/good.png?mark=bare'), safe='')}"))
    [visit] = host().of("mark=bare")
    head = visit.head.lower()
    assert "accept-encoding: identity" in head, head
    for word in ("cookie", "authorization", "referer", "kilo_", "x-api-key", gw("fetch").key.lower()):
        assert word not in head, f"{word} in {head}"


@check("fetch.urls-through", "an upstream that takes URLs gets the URL, and nothing is fetched", timeout=20)
def _():
    url = host().url("/good.png?mark=through")
    heard = tell(asking("chat", "lab/urls", PLAIN, image=url), g=gw("fetch")).talk.heard
    assert heard.turns[0].images == [url] and not host().of("mark=through"), f"{heard.turns}"


@check("fetch.failover", "nothing is fetched for an endpoint that takes URLs; when it fails, the next one gets the bytes", timeout=20)
def _():
    url = host().url("/good.png?mark=failover")
    assert ask(url, model="lab/last").header("x-kilo-provider") == "first" and not host().of("mark=failover")
    one = asking("chat", "lab/last", SCRIPTS.add(Reply(status=503), PLAIN), image=url)
    heard = tell(one, g=gw("fetch")).talk
    assert heard.dialect == "converse" and image_bytes(heard.heard.turns[0].images[0]) == GOOD_PNG, f"{heard}"
    assert len(host().of("mark=failover")) == 1


# ---------------------------------------------------------------- what is not


@check("fetch.refused", "a 404, a page, another type, a coded or cut answer: a 400 that names the host, in each caller's shape", timeout=40)
def _():
    wrong = {"/missing": "status", "/page": "type", "/good.pdf": "type", "/gzip": "encoding", "/cut": "broken", "/loop": "redirect"}
    for path, reason in wrong.items():
        assert "127.0.0.1" in refused(host().url(path), reason), path
    for caller in CALLERS:
        for stream in (False, True):
            message = refused(host().url("/page"), "type", caller=caller, stream=stream)
            assert "127.0.0.1" in message and "secret" not in message, message


@check("fetch.free", "what is refused so is booked as refused, for nothing, and the next request is served", timeout=20)
def _():
    answer = ask(host().url("/missing"))
    booked = gw("fetch").row(answer.header("x-generation-id"))
    assert booked["status"] == "refused" and float(booked["cost_usd"] or 0) == 0, f"{booked}"
    shown("chat", host().url("/good.png"))


@check("fetch.url", "credentials, odd ports, other schemes and nonsense in a URL are refused before anybody is asked", timeout=30)
def _():
    port, before = host("inner").port, host("inner").connections
    for url in (f"http://user:word@127.0.0.1:{host().port}/good.png", f"http://127.0.0.1:{port}/", f"http://localhost:{port}/", "http://example.com:22/",
                "http://exa mple.com/", "http://good.example\\@127.0.0.1/", "http://127.0.0.1:99999/", "http:///a.png"):  # fmt: skip
        assert "word" not in refused(url, "url")
    assert host("inner").connections == before


SPELLINGS = (
    "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "10.0.0.1", "192.168.0.1",
    "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "0.0.0.0",
)  # fmt: skip


@check("fetch.guard-address", "private and metadata addresses, however spelled, are never connected to", timeout=40)
def _():
    messages = [refused(f"http://{name}/latest/meta-data", "unreachable") for name in SPELLINGS]
    assert all(message.endswith("was not fetched: it cannot be reached.") for message in messages), f"{messages}"


@check("fetch.guard-port-80", "a server on port 80 of this machine hears nothing, named or redirected to", timeout=40)
def _():
    try:
        near = MediaHost(80)
    except OSError as error:
        raise Skip(f"port 80 is not to be had: {error}") from None
    try:
        for name in ("127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"):
            refused(f"http://{name}/good.png", "unreachable")
            refused(host().url(f"/to/307?{quote(f'http://{name}/good.png', safe='')}"), "unreachable")
        assert near.connections == 0, f"{near.connections} connections"
    finally:
        near.close()


@check("fetch.guard-redirect", "a redirect is guarded as the URL was, whatever its status; where it leads is not told", timeout=40)
def _():
    before = host("inner").connections
    for to in ("http://169.254.169.254/", "http://localhost/", "//127.0.0.1/", f"http://127.0.0.1:{host('inner').port}/good.png", "http://u:p@example.com/",
               "file:///etc/passwd", "http://[/"):  # fmt: skip
        for status in (301, 302, 303, 307, 308):
            message = refused(host().url(f"/to/{status}?{quote(to, safe='')}"), "unreachable", "redirect")
            assert "127.0.0.1" in message and "169.254" not in message and "example" not in message, message
    assert host("inner").connections == before


@check("fetch.told-alike", "a closed port, a private address, and a name that is none are told in the same words", timeout=20)
def _():
    closed = MediaHost()
    closed.close()
    g = Gateway("fetch-closed", settings(table("bytes", speaker("fetch-bytes", "converse"), row("lab/bytes", UPSTREAM_IDS["converse"], "converse")),
                                         extra=f'[media]\nfetch = true\ntrusted_hosts = ["127.0.0.1:{closed.port}"]\n')).start()  # fmt: skip
    told = set()
    try:
        for at in (f"127.0.0.1:{closed.port}", "10.0.0.1", "no-such-host.invalid"):
            answer = g.post(json.dumps(asking("chat", "lab/bytes", PLAIN, image=f"http://{at}/a.png").body()).encode(), timeout=12)
            error = problem("chat", answer, 400)
            told.add((error["message"].replace(at.partition(":")[0], "HOST"), error["metadata"]["reason"]))
        assert len(told) == 1, f"{told}"
    finally:
        g.stop()


# ---------------------------------------------------------------- bounds


def _slow(path: str) -> None:
    began = time.monotonic()
    refused(host().url(f"{path}?mark={path[1:]}"), "timeout")
    took = time.monotonic() - began
    assert 9 < took < 14, f"{took:.1f} s"
    assert eventually(lambda: all(visit.gone for visit in host().of(f"mark={path[1:]}")), 3), "the connection is still there"


for _path in ("/silent", "/drip", "/drip-head"):
    check(f"fetch.slow{_path.replace('/', '-')}", f"10 s for all of it: {_path[1:]}", 25, waits=True)(lambda path=_path: _slow(path))


@check("fetch.huge", "a length beyond 20 MiB is refused unread; chunks and frames without end are cut at 20 MiB", timeout=60)
def _():
    began = time.monotonic()
    refused(host().url("/huge?mark=huge"), "too_large")
    assert time.monotonic() - began < 5, "it was waited for"
    for path in ("/endless", "/unframed"):
        refused(host().url(f"{path}?mark=huge"), "too_large")
    assert eventually(lambda: all(visit.gone for visit in host().of("mark=huge")), 5), "the connection is still there"
    assert all(visit.sent < 40 * MIB for visit in host().of("mark=huge")), f"{[visit.sent for visit in host().of('mark=huge')]}"


@check("fetch.together", "20 MiB are for all URLs of a request, and 32 URLs are the most", timeout=60)
def _():
    def several(*urls: str) -> dict:
        parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        body = asking("chat", "lab/bytes", PLAIN, history=[{"role": "user", "content": parts}]).body()
        return problem("chat", gw("fetch").post(json.dumps(body).encode(), timeout=20), 400)

    assert several(host().url("/big.png?1"), host().url("/big.png?2"))["metadata"]["reason"] == "too_large"
    before = host().connections
    assert several(*[host().url(f"/good.png?{n}") for n in range(33)])["metadata"]["reason"] == "too_many"
    assert host().connections == before


@check("fetch.caller-leaves", "who leaves ends the fetch at once", timeout=20)
def _():
    body = json.dumps(asking("chat", "lab/bytes", PLAIN, image=host().url("/silent?mark=leaves")).body()).encode()
    with wire.Conn(gw("fetch").port) as conn:
        conn.send(gw("fetch").head(body))
        assert eventually(lambda: host().of("mark=leaves"), 5), "it was not fetched"
    assert eventually(lambda: host().of("mark=leaves")[0].gone, 3), "the connection is still there"
