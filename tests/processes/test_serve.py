"""A gateway as its operator and its callers meet it."""

import gzip
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest
from tests.chaos import EVENTS
from tests.node import AUTO_IDS, Node, upstream
from tests.processes.conftest import NewNode
from tests.until import until


def test_a_request_is_answered_and_found_under_usage(node: Node) -> None:
    status, answer, headers = node.chat()
    assert (status, answer["provider"], answer["usage"]["cost"]) == (200, "mock", 0.000029)
    [row] = [row for row in node.usage() if row["id"] == headers["x-generation-id"]]
    expected = {"model": "mock/model", "provider": "mock", "prompt_tokens": 25, "completion_tokens": 2, "status": "ok"}
    assert {name: row[name] for name in expected} == expected
    assert row["cost_usd"] == 0.000029


def test_a_stream_is_answered_and_found_under_usage(node: Node) -> None:
    status, text, headers = node.chat(stream=True)
    assert status == 200
    assert text.startswith((EVENTS[0] + EVENTS[1]).decode())
    assert headers["x-generation-id"] in {row["id"] for row in node.usage()}


def test_a_generation_is_found_by_either_id(node: Node) -> None:
    _, _, headers = node.chat()
    for id in (headers["x-generation-id"], "up-1"):
        status, found, _ = node.ask("GET", f"/api/v1/generation?id={id}")
        assert (status, found["data"]["upstream_id"], found["data"]["total_cost"]) == (200, "up-1", 0.000029)


@pytest.mark.parametrize("prefix", ["/api/gateway", "/api/gateway/v1", "/api/openrouter", "/api/openrouter/v1", "/api/v1", "/v1"])
def test_models_are_listed_for_everybody(node: Node, prefix: str) -> None:
    status, found, _ = node.ask("GET", f"{prefix}/models", key="")
    assert status == 200
    assert {row["id"] for row in found["data"]} == {"mock/model", *AUTO_IDS}
    assert found["data"][0]["pricing"] == {"prompt": "0.000001", "completion": "0.000002"}


def test_a_list_is_compressed_and_not_sent_twice(node: Node) -> None:
    """Through the worker, which passes on what control answers."""
    url = f"http://127.0.0.1:{node.port}/v1/models"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})) as answer:
        assert b"mock/model" in gzip.decompress(answer.read())
        tag = answer.headers["ETag"]
    again = urllib.request.Request(url, headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(again)
    with caught.value as answer_again:
        assert answer_again.status == 304


def test_head_is_get_without_its_body(node: Node) -> None:
    status, body, headers = node.ask("HEAD", "/v1/models", key="")
    assert (status, body) == (200, "")
    assert int(headers["content-length"]) > 100


@pytest.mark.parametrize(
    ("path", "nearest"),
    [("/v1/chat/completion", "/v1/chat/completions"), ("/v1/modls", "/v1/models"), ("/v1/model", "/v1/models"), ("/api/v1/nothing", "/api/v1/")],
)
def test_a_wrong_path_is_told_the_nearest_right_one(node: Node, path: str, nearest: str) -> None:
    status, answer, _ = node.ask("POST", path, {})
    assert (status, answer["error"]["code"]) == (404, "path_not_found")
    assert answer["error"]["metadata"]["nearest"].startswith(nearest)


def test_a_wrong_method_is_told_the_right_ones(node: Node) -> None:
    status, answer, headers = node.ask("DELETE", "/v1/models")
    assert (status, answer["error"]["code"]) == (405, "method_not_allowed")
    assert "GET" in headers["allow"]


def test_a_wrong_method_is_refused_in_the_shape_of_its_path(node: Node) -> None:
    status, answer, headers = node.ask("GET", "/v1/messages")
    assert (status, answer["type"], answer["error"]["type"]) == (405, "error", "invalid_request_error")
    assert "POST" in headers["allow"]
    assert node.ask("GET", "/v1/chat/completions")[1]["error"]["code"] == "method_not_allowed"


def test_health_ready_and_metrics_are_there(node: Node) -> None:
    assert node.ask("GET", "/health", key="")[:2] == (200, {"status": "alive"})
    assert node.ask("GET", "/ready", key="")[:2] == (200, {"status": "ok", "reasons": []})
    status, text, _ = node.ask("GET", "/metrics", key="")
    assert status == 200
    assert "kilo_gateway_workers_connected 2.0" in text


def test_metrics_are_for_this_machine_only(new_node: NewNode) -> None:
    found = new_node('trusted_proxies = ["127.0.0.0/8"]').start()
    connection = socket.create_connection(("127.0.0.1", found.port))
    with connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 8.8.8.8\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/admin/keys"), ("POST", "/api/admin/keys"), ("GET", "/api/admin/usage")])
def test_administration_is_for_the_owner(node: Node, method: str, path: str) -> None:
    member = node.json("keys", "create", "--name", f"member {method} {path}")["key"]
    assert node.ask(method, path, key="")[0] == 401
    assert node.ask(method, path, key=member)[0] == 403
    assert node.ask(method, path, {"name": "another"} if method == "POST" else None)[0] in (200, 201)


def test_what_goes_wrong_in_control_is_told_as_json(node: Node) -> None:
    status, answer, _ = node.ask("GET", "/api/admin/usage?limit=%C2%B2")  # a digit to some, a number to nobody
    assert status >= 400
    assert answer["error"]["code"]


def test_nobody_sees_another_keys_generation(node: Node) -> None:
    member = node.json("keys", "create", "--name", "curious")["key"]
    id = node.chat()[2]["x-generation-id"]
    assert node.ask("GET", f"/v1/generation?id={id}", key=member)[0] == 404


def test_control_cannot_be_told_a_callers_address_from_outside(node: Node) -> None:
    connection = socket.create_connection(("127.0.0.1", node.port))
    with connection:
        connection.sendall(b"GET /api/admin/keys HTTP/1.1\r\nHost: x\r\nX-Kilo-Client-Ip:\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 401")


def test_secrets_are_readable_by_their_owner_only(node: Node) -> None:
    assert node.data.stat().st_mode & 0o077 == 0
    for name in ("owner.key", "secret.key", "gateway.db", "snapshot"):
        assert (node.data / name).stat().st_mode & 0o077 == 0


def test_no_key_is_stored(node: Node) -> None:
    key = node.json("keys", "create", "--name", "hidden")["key"]
    for path in node.data.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes()


def test_refusals_are_logged_in_one_line_without_the_prompt(node: Node) -> None:
    node.ask("POST", "/v1/chat/completions", {"model": "no/such", "messages": [{"role": "user", "content": "s3cret words"}]})
    assert '"code":"model_not_found"' in node.said()
    assert "s3cret" not in node.said()
    assert node.key not in node.said()


def test_it_starts_again_with_the_same_keys(new_node: NewNode) -> None:
    found = new_node().start()
    key = found.json("keys", "create", "--name", "stays")["key"]
    assert found.stop() == 0
    found.port = 0
    found.start()
    assert found.chat(key)[0] == 200


def test_it_starts_while_control_is_silent_and_serves_what_it_knew(new_node: NewNode) -> None:
    found = new_node().start()
    found.chat()
    assert found.stop(signal.SIGKILL) == -signal.SIGKILL
    found.port = 0
    started = time.monotonic()
    found.start()
    assert time.monotonic() - started < 5
    assert found.chat()[0] == 200


def test_models_of_an_upstream_that_declares_none_are_discovered(new_node: NewNode) -> None:
    with upstream() as other:
        found = new_node()
        text = f'[[upstreams]]\nname = "found"\nbase_url = "http://127.0.0.1:{other.port}/v1"\nprefix = "found/"\n'
        found.file.write_text(found.file.read_text() + text)
        found.start()
        ends_at = time.monotonic() + 10
        while "found/found-one" not in {row["id"] for row in found.ask("GET", "/v1/models")[1]["data"]}:
            assert time.monotonic() < ends_at
            time.sleep(0.05)
        assert found.chat(model="found/found-one")[0] == 200


def test_an_upstream_that_is_the_gateway_itself_is_skipped_and_told(new_node: NewNode) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    found = new_node(OPENAI_API_KEY="sk-x", OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1")
    found.port = port
    found.start()
    assert "is this gateway" in (found.root / "out").read_text()


def test_a_price_that_is_configured_later_is_applied_to_what_was_booked_before_and_uptime_is_remembered(new_node: NewNode) -> None:
    node = new_node()
    priced = node.file.read_text()
    node.file.write_text(priced.replace(", input_usd_per_mtok = 1.0, output_usd_per_mtok = 2.0", ""))
    node.start()
    _, answer, headers = node.chat()
    assert answer["usage"]["cost"] is None
    assert [row["pricing"] for row in node.usage()] == ["unpriced"]
    node.stop()
    node.file.write_text(priced)
    node.start()
    until(lambda: [row["pricing"] for row in node.usage()] == ["repriced"], 20, node.said)
    [row] = node.usage()
    assert (row["id"], row["cost_usd"]) == (headers["x-generation-id"], 0.000029)
    _, told, _ = node.ask("GET", "/v1/models/mock/model/endpoints")
    assert told["data"]["endpoints"][0]["uptime_last_1d"] == 100.0
    assert node.json("models", "diff")["lists"] == []
