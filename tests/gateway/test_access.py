"""Who gets in, with which credential, and what is said to those who do not."""

import pytest
from tests.bench import HOP, Bench, Run, Wishes
from tests.caller import KEY, PATH, asking, request
from tests.chaos import json_answer, says

FORMS = (
    b"Authorization: Bearer %b\r\n", b"Authorization: bearer %b\r\n", b"Authorization: BEARER   %b\r\n",
    b"Authorization: %b\r\n", b"x-api-key: %b\r\n", b"X-API-KEY: %b\r\n",
    b"Authorization: Bearer http://gateway:3000:%b\r\n", b"Authorization: http://127.0.0.1:3000:%b\r\n",
    b"Authorization: Bearer https://gateway.example.org/api/v1:%b\r\n", b"AUTHORIZATION:Bearer %b  \r\n",
)  # fmt: skip
WRONG = (
    b"Authorization: Bearer kilo_" + b"q" * 32, b"Authorization: Bearer " + KEY[:-1], b"Authorization: Bearer " + KEY + b"x",
    b"Authorization: Bearer " + KEY.upper(), b"Authorization: Basic " + KEY, b"Authorization: Bearer sk-123",
    b"Authorization: Bearer \xff\xfe", b"Authorization: Bearer " + KEY + b" " + KEY, b"x-api-key: \x80", b"Authorization: Bearer x:" + KEY,
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_accepted_in_every_form(run: Run, form: bytes) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(credential=form % KEY))
        assert (await caller.answer()).status == 200
        assert (await bench.settled())[0].key == "k1"

    run(test)


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_key_is_refused(run: Run, line: bytes) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(credential=line + b"\r\n"))
        answer = await caller.answer()
        assert (answer.status, answer.error()["code"]) == (401, "INVALID_TOKEN")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert bench.first.received == []

    run(test)


@pytest.mark.parametrize("credential", [b"", b"Authorization: Bearer anonymous\r\n", b"Authorization: Bearer\r\n"])
def test_without_a_key_only_open_models_answer(run: Run, credential: bytes) -> None:
    async def test(bench: Bench) -> None:
        for model, status in (("mock/open", 200), ("mock/model", 401)):
            caller = await bench.send(request(asking(model), credential=credential))
            assert (await caller.answer()).status == status
        assert [each.key for each in await bench.settled()] == ["anonymous"]

    run(test)


@pytest.mark.parametrize("nobody", [b"", b"Bearer", b"Bearer anonymous", b"anonymous", b" bearer  "])
def test_a_key_counts_beside_an_authorization_that_names_nobody(run: Run, nobody: bytes) -> None:
    lines = b"Authorization: %b\r\nx-api-key: %b\r\n" % (nobody, KEY)

    async def test(bench: Bench) -> None:
        caller = await bench.send(request(credential=lines) * 2)
        assert [(await caller.answer()).status for _ in range(2)] == [200, 200]
        caller.send(request(credential=lines.replace(KEY, b"kilo_" + b"q" * 32)))
        assert (await caller.answer()).status == 401

    run(test)


def test_an_unknown_model_is_refused_with_the_closest_ones(run: Run) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.call(asking("mock/modle"))
        assert (answer.status, answer.error()["code"]) == (404, "model_not_found")
        assert answer.error()["metadata"]["closest"][0] == "mock/model"
        assert len(answer.error()["metadata"]["closest"]) == 3

    run(test)


@pytest.mark.parametrize("name", ["kilo/auto", "kilocode/mock/model", "kilo/mock/model"])
def test_a_model_may_be_asked_for_by_an_alias(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.call(asking(name))
        assert (answer.status, answer.json()["model"]) == (200, "mock/model")

    run(test)


def test_a_key_that_is_gone_from_the_snapshot_is_refused_at_once(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request())
        assert (await caller.answer()).status == 200
        bench.forget_keys()
        caller.send(request())
        assert (await caller.answer()).status == 401

    run(test)


def test_a_request_that_comes_back_is_refused(run: Run) -> None:
    async def test(bench: Bench) -> None:
        for hops in (HOP, f"other, {HOP}", f"{HOP},other"):
            answer = await bench.call(lines=b"x-kilo-hop: %b\r\n" % hops.encode())
            assert (answer.status, answer.error()["code"]) == (508, "loop_detected")
        for name in (b"x-kilo-hop", b"X-Kilo-Hop"):
            answer = await bench.call(lines=b"x-kilo-hop: other\r\n%b: %b\r\n" % (name, HOP.encode()))
            assert answer.status == 508
        assert bench.first.received == []

    run(test)


def test_another_gateways_hop_travels_on(run: Run) -> None:
    async def test(bench: Bench) -> None:
        assert (await bench.call(lines=b"x-kilo-hop: other\r\n")).status == 200
        assert b"\r\nx-kilo-hop: other, %b\r\n" % HOP.encode() in bench.first.received[0].head

    run(test)


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE", b"PATCH", b"HEAD"])
def test_a_wrong_method_is_told_the_right_one(run: Run, method: bytes) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(b"", method=method))
        answer = await caller.answer(is_head=method == b"HEAD")
        assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")

    run(test)


def test_options_is_answered_without_a_key(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(b"", method=b"OPTIONS", credential=b""))
        answer = await caller.answer()
        assert (answer.status, answer.body) == (204, b"")
        assert "access-control-allow-origin" not in answer.headers

    run(test)


def test_only_listed_origins_are_allowed_to_read_answers(run: Run) -> None:
    async def test(bench: Bench) -> None:
        allowed = await bench.call(lines=b"Origin: https://app.example\r\n")
        other = await bench.call(lines=b"Origin: https://evil.example\r\n")
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-origin" not in other.headers

    run(test, Wishes(cors_origins=frozenset({"https://app.example"})))


def test_a_sane_request_id_is_given_back(run: Run) -> None:
    async def test(bench: Bench) -> None:
        assert (await bench.call(lines=b"X-Request-Id: abc-1\r\n")).headers["x-request-id"] == "abc-1"
        odd = await bench.call(lines=b"X-Request-Id: a b<script>\r\n")
        assert odd.headers["x-request-id"] == odd.headers["x-generation-id"]

    run(test)


def test_every_refusal_is_reported_with_the_caller_and_without_his_words(run: Run) -> None:
    async def test(bench: Bench) -> None:
        await bench.call(asking("no/such", secret="prompt"))
        [(event, facts)] = bench.reported
        assert (event, facts["status"], facts["client"], facts["path"]) == ("request.refused", 404, "127.0.0.1", PATH.decode())
        assert "prompt" not in repr(facts)

    run(test)


# What is answered elsewhere


@pytest.mark.parametrize("path", [b"/health", b"/ready", b"//health/"])
def test_health_and_readiness_need_nobody_else(run: Run, path: bytes) -> None:
    async def test(bench: Bench) -> None:
        await bench.control.stop()
        for method in (b"GET", b"HEAD"):
            caller = await bench.send(request(b"", method=method, path=path, credential=b""))
            assert (await caller.answer(is_head=method == b"HEAD")).status == 200

    run(test)


def test_a_draining_worker_is_alive_and_not_ready(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.gateway.is_draining = True
        for path, status in ((b"/health", 200), (b"/ready", 503)):
            caller = await bench.send(request(b"", method=b"GET", path=path))
            answer = await caller.answer()
            assert (answer.status, answer.headers["connection"]) == (status, "close")

    run(test)


def test_other_paths_are_passed_to_control_and_back(run: Run) -> None:
    async def test(bench: Bench) -> None:
        bench.control.scripts = [says(json_answer(b'{"data":[]}', lines=b"X-Own: 1\r\n"))]
        caller = await bench.send(request(b"abc", path=b"/api/admin/keys?x=1"))
        answer = await caller.answer()
        assert (answer.status, answer.body, answer.headers["x-own"]) == (200, b'{"data":[]}', "1")
        [received] = bench.control.received
        assert received.head.startswith(b"POST /api/admin/keys?x=1 HTTP/1.1\r\n")
        assert received.body == b"abc"

    run(test)


@pytest.mark.parametrize("path", [b"/health", b"/ready", b"/v1/models"])
def test_a_page_of_a_listed_origin_may_read_what_needs_no_key(run: Run, path: bytes) -> None:
    async def test(bench: Bench) -> None:
        for origin, allowed in ((b"https://app.example", "https://app.example"), (b"https://other.example", None)):
            lines = b"Origin: %b\r\nx-request-id: own\r\n" % origin
            caller = await bench.send(request(b"", lines, method=b"GET", path=path))
            answer = await caller.answer()
            assert (answer.status, answer.headers.get("access-control-allow-origin")) == (200, allowed)
            assert answer.headers["x-request-id"] == "own"

    run(test, Wishes(cors_origins=frozenset({"https://app.example"})))


def test_control_is_told_the_callers_address_and_not_what_he_claims(run: Run) -> None:
    async def test(bench: Bench) -> None:
        claims = b"X-Kilo-Client-Ip: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\n"
        caller = await bench.send(request(b"", claims, method=b"GET", path=b"/metrics"))
        await caller.answer()
        head = bench.control.received[0].head.lower()
        assert head.count(b"x-kilo-client-ip") == 1
        assert b"x-kilo-client-ip: 127.0.0.1\r\n" in head

    run(test)


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (b"X-Forwarded-For: 8.8.8.8\r\n", b"8.8.8.8"),
        (b"X-Forwarded-For: 127.0.0.1, 8.8.8.8\r\n", b"8.8.8.8"),
        (b"X-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n", b"9.9.9.9"),
        (b"X-Forwarded-For: nonsense\r\n", b"unknown"),  # not the proxy's own, to which /metrics is open
        (b"X-Forwarded-For: 203.0.113.9:4711\r\n", b"203.0.113.9"),
        (b"X-Forwarded-For: [2001:db8::9]:4711\r\n", b"2001:db8::9"),
        (b"X-Forwarded-For: [2001:db8::9]\r\n", b"2001:db8::9"),
        (b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 8.8.8.8\r\n", b"8.8.8.8"),  # a proxy that adds a line of its own
        (b"x-forwarded-for: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\n", b"8.8.8.8"),
    ],
)
def test_a_trusted_proxy_is_believed_for_the_address_it_added(run: Run, lines: bytes, address: bytes) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(b"", lines, method=b"GET", path=b"/metrics"))
        await caller.answer()
        assert b"x-kilo-client-ip: %b\r\n" % address in bench.control.received[0].head.lower()

    run(test, Wishes(trusted_proxies=("127.0.0.0/8",)))


def test_requests_wait_for_a_control_process_that_is_being_restarted(run: Run) -> None:
    async def test(bench: Bench) -> None:
        await bench.control.stop()
        caller = await bench.send(request(b"", method=b"GET", path=b"/v1/models"))
        await bench.serve(bench.directory / "control.sock")
        assert (await caller.answer()).status == 200

    run(test)


def test_each_of_several_requests_sent_ahead_keeps_the_address_it_came_with(run: Run) -> None:
    first, second = (
        request(b"", b"X-Forwarded-For: %b\r\n" % address, method=b"GET", path=b"/metrics") for address in (b"8.8.8.8", b"9.9.9.9")
    )

    async def test(bench: Bench) -> None:
        caller = await bench.send(first + second + request(b"", method=b"GET", path=b"/metrics"))
        for _ in range(3):
            await caller.answer()
        told = [received.head.lower().partition(b"x-kilo-client-ip: ")[2].partition(b"\r\n")[0] for received in bench.control.received]
        assert told == [b"8.8.8.8", b"9.9.9.9", b"127.0.0.1"]

    run(test, Wishes(trusted_proxies=("127.0.0.0/8",)))


def test_a_request_that_is_served_without_a_new_head_is_not_taken_for_a_forwarded_one(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(asking()))
        await caller.answer()
        caller.send(request(b"{", b"X-Forwarded-For: 8.8.8.8\r\n") + request(b"{"))
        assert [(await caller.answer()).status for _ in range(2)] == [400, 400]
        assert [facts["client"] for _, facts in bench.reported] == ["8.8.8.8", "127.0.0.1"]

    run(test, Wishes(trusted_proxies=("127.0.0.0/8",)))
