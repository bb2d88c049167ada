"""Every command, with a running gateway and without one."""

import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node import AUTO_IDS, Node, config, environment, run_cli, upstream

from kilo_gateway.core.brand import VERSION

COMMANDS = (
    (), ("serve",), ("keys",), ("keys", "create"), ("keys", "list"), ("keys", "revoke"), ("usage",), ("journal",),
    ("journal", "replay"), ("models",),
    ("models", "list"), ("config",), ("config", "check"), ("config", "show"), ("local",), ("local", "fetch"), ("version",),
)  # fmt: skip
TOML = config(1)


@pytest.fixture(scope="module", params=["running", "stopped"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Both ways must give the same: over control's socket, and with the data directory alone."""
    with upstream() as chaos:
        found = Node(tmp_path_factory.mktemp("n"), config(chaos.port))
        if request.param == "running":
            found.start()
        yield found
        found.close()


@pytest.fixture
def stopped(tmp_path: Path) -> Node:
    return Node(tmp_path, TOML)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run_cli(*command, "--help", env=environment(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [each for each in COMMANDS if each not in ((), ("keys",), ("journal",), ("models",), ("config",), ("local",))], ids=" ".join)
def test_every_command_takes_a_configuration_and_a_data_directory(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run_cli(*command, "--config", str(tmp_path / "c.toml"), "--data-dir", str(tmp_path / "d"), "--help", env=environment(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "--config" in done.stdout and "--data-dir" in done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_does_not_load_what_commands_need(tmp_path: Path, command: tuple[str, ...]) -> None:
    env = environment(tmp_path) | {"PYTHONPROFILEIMPORTTIME": "1"}
    loaded = run_cli(*command, "--help", env=env).stderr
    for heavy in ("sqlalchemy", "starlette", "alembic", "uvloop", "prometheus_client", "msgspec", "pydantic", "rich"):
        assert f"| {heavy}" not in loaded and f" {heavy}\n" not in loaded, heavy


def test_completion_for_the_shell_is_printed(tmp_path: Path) -> None:
    env = environment(tmp_path, SHELL="/bin/bash")
    line = '"$0" -m kilo_gateway --show-completion; exit $?'  # the shell is who asks, so there has to be one
    done = subprocess.run(["bash", "-c", line, sys.executable], env=env, capture_output=True, text=True, timeout=20)
    assert "complete_bash" in done.stdout, done.stderr
    assert "--show-completion" in run_cli("--help", env=env).stdout


@pytest.mark.parametrize("arguments", [("nonsense",), ("keys", "create"), ("usage", "--limit", "0"), ("serve", "--port", "x"), ("--bad",)])
def test_wrong_usage_exits_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run_cli(*arguments, env=environment(tmp_path)).returncode == 2


def test_the_version_is_told(tmp_path: Path) -> None:
    env = environment(tmp_path)
    assert VERSION in run_cli("version", env=env).stdout
    assert run_cli("--version", env=env).stdout == run_cli("version", env=env).stdout
    assert json.loads(run_cli("version", "--json", env=env).stdout) == {"version": VERSION}
    assert VERSION in run_cli("version", "--config", str(tmp_path / "none.toml"), "--data-dir", str(tmp_path), env=env).stdout


def test_a_key_is_made_listed_and_revoked(node: Node) -> None:
    made = node.json("keys", "create", "--name", "alice")
    assert made["key"].startswith("kilo_")
    assert len(made["key"]) == 37
    listed = {row["name"]: row for row in node.json("keys", "list")}
    assert listed["alice"]["revoked_ms"] is None
    assert made["key"] not in json.dumps(listed)
    assert node.json("keys", "revoke", "alice")["revoked"] is True
    listed = {row["name"]: row for row in node.json("keys", "list")}
    assert listed["alice"]["revoked_ms"] is not None


def test_a_key_is_printed_alone_for_a_person(node: Node) -> None:
    done = node.cli("keys", "create", "--name", "printed")
    assert len(done.stdout.strip()) == 37
    assert "printed" in node.cli("keys", "list").stdout


def test_a_key_that_is_not_there_cannot_be_revoked(node: Node) -> None:
    done = node.cli("keys", "revoke", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nobody" in done.stderr


def test_a_name_that_two_keys_have_does_not_revoke_either(node: Node) -> None:
    ids = [node.json("keys", "create", "--name", "twin")["id"] for _ in range(2)]
    done = node.cli("keys", "revoke", "twin")
    assert done.returncode == 1
    assert all(id in done.stderr for id in ids)
    assert node.cli("keys", "revoke", ids[0]).returncode == 0


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x1b[31mb", "\udcff"], ids=ascii)
def test_a_key_needs_a_name_that_can_be_read(node: Node, name: str) -> None:
    done = node.cli("keys", "create", "--name", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "kilo-gateway: A key needs a name of 1 to 100 printable characters.\n"
    assert node.ask("POST", "/api/admin/keys", {"name": "a\tb"})[0] == 400 if node.process is not None else True


def test_a_data_directory_without_a_name_is_refused(tmp_path: Path) -> None:
    for command in ("serve", "usage"):
        done = run_cli(command, "--data-dir", "", env=environment(tmp_path))
        assert (done.returncode, done.stderr) == (78, "kilo-gateway: command line: --data-dir is empty. Name a directory.\n")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_short_word_for_help_does_too(tmp_path: Path, command: tuple[str, ...]) -> None:
    env = environment(tmp_path)
    assert run_cli(*command, "-h", env=env).stdout == run_cli(*command, "--help", env=env).stdout != ""


def test_models_are_listed(node: Node) -> None:
    rows = {row["id"]: row for row in node.json("models", "list")}
    assert set(rows) == {"mock/model", *AUTO_IDS}
    assert rows["mock/model"]["pricing"] == {"prompt": "0.000001", "completion": "0.000002"}
    assert "mock/model" in node.cli("models", "list").stdout


def test_usage_is_listed(node: Node) -> None:
    rows = node.json("usage")
    assert isinstance(rows, list)
    assert node.cli("usage", "--limit", "5").returncode == 0


def test_journals_are_replayed(node: Node) -> None:
    assert set(node.json("journal", "replay")) == {"lines", "unreadable", "new", "already_there", "running"}
    assert "lines read" in node.cli("journal", "replay").stdout


def test_the_configuration_is_checked_and_shown_without_secrets(node: Node) -> None:
    assert node.json("config", "check")["ok"] is True
    shown = node.cli("config", "show", "--json").stdout
    assert "sk-upstream" not in shown + node.cli("config", "show").stdout
    assert json.loads(shown)["upstreams"][0]["name"] == "mock"


def test_a_new_key_works_at_once_on_every_worker_and_a_revoked_one_on_none(tmp_path: Path) -> None:
    with upstream() as chaos:
        found = Node(tmp_path, config(chaos.port)).start()
        try:
            for _ in range(3):
                key = found.json("keys", "create", "--name", "short")["key"]
                assert {found.chat(key)[0] for _ in range(16)} == {200}
                found.json("keys", "revoke", "short")
                assert {found.chat(key)[0] for _ in range(16)} == {401}
        finally:
            found.close()


def test_what_was_used_is_still_known_when_the_gateway_has_ended(tmp_path: Path) -> None:
    with upstream() as chaos:
        found = Node(tmp_path, config(chaos.port)).start()
        id = found.chat()[2]["x-generation-id"]
        assert found.stop() == 0
        [row] = found.usage()
        assert (row["id"], row["status"], row["cost_usd"]) == (id, "ok", 0.000029)
        assert id in found.cli("usage").stdout
        told = found.json("journal", "replay")
        assert (told["new"], told["already_there"]) == (0, 1)


# Exit code 78


def test_a_port_that_is_taken_is_told_with_a_way_out(stopped: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = stopped.cli("serve", "--port", str(port))
    assert done.returncode == 78
    assert f"127.0.0.1:{port} is in use" in done.stderr
    assert f"--port {port + 1}" in done.stderr


def test_a_data_directory_in_use_is_told(stopped: Node) -> None:
    stopped.start()
    done = stopped.cli("serve", "--port", "0")
    assert done.returncode == 78
    assert "is used by another gateway" in done.stderr
    stopped.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nprot = 3\n", ":2: unknown setting 'prot'. Did you mean 'port'?"),
        ("[server]\nport = 99999\n", ":2: server.port must be a whole number"),
        ("[servre]\nport = 1\n", ":1: unknown setting 'servre'"),
        ("port = 1\n", ":1: unknown setting 'port'"),
        ("[server]\nport = = 1\n", "this is not TOML"),
        ('[[upstreams]]\nname = "x"\nbase_url = "ftp://x"\n', ":3: base_url must be a URL"),
        ('[[upstreams]]\nname = "x"\nbase_url = "http://u:sekret@h/v1"\n', ":3: base_url must not carry a credential"),
        ('[[upstreams]]\nname = "x"\nbase_url = "http://169.254.169.254/v1"\n', ":3: base_url: 169.254.169.254 is a metadata"),
        ('[[upstreams]]\nname = "x"\nbase_url = "http://h/v1"\napi_key = { env = "NOT_SET" }\n', ":4: the environment variable NOT_SET"),
        ('[[upstreams]]\nname = "x"\nbase_url = "http://h/v1"\nmodels = [ { id = "a", input_usd_per_mtok = -1 } ]\n', ":4:"),
    ],
)
def test_a_wrong_configuration_is_told_with_its_place(stopped: Node, text: str, told: str) -> None:
    stopped.file.write_text(text)
    for command in (("config", "check"), ("serve",), ("keys", "list")):
        done = stopped.cli(*command)
        assert (done.returncode, done.stdout) == (78, "")
        assert told in done.stderr
        assert str(stopped.file) in done.stderr
        assert "Traceback" not in done.stderr
        assert "sekret" not in done.stderr


@pytest.mark.parametrize("host", ["", "127.0.0.1:3000", "192.0.2.77"])
def test_an_address_that_cannot_be_listened_on_is_told_with_its_place(stopped: Node, host: str) -> None:
    stopped.file.write_text(f'[local]\nenabled = false\n[server]\nhost = "{host}"\n')
    for command in (("config", "check"), ("serve", "--port", "0")):
        done = stopped.cli(*command)
        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.startswith(f"kilo-gateway: {stopped.file}:4: server.host: {host!r} cannot be listened on (")
        assert done.stderr.count("\n") == 1
    assert stopped.cli("keys", "list").returncode == 0  # listens on nothing


def test_an_address_given_on_the_command_line_is_told_as_such(stopped: Node) -> None:
    done = stopped.cli("serve", "--host", "nonsense:1")
    assert (done.returncode, done.stderr.partition(" cannot")[0]) == (78, "kilo-gateway: command line: server.host: 'nonsense:1'")


def test_certificates_that_cannot_be_used_are_told(stopped: Node) -> None:
    (stopped.root / "empty").touch()
    (stopped.root / "garbage").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    for name in ("missing", "empty", "garbage", "."):
        stopped.environment["SSL_CERT_FILE"] = str(stopped.root / name)
        for command in (("config", "check"), ("serve", "--port", "0")):
            done = stopped.cli(*command)
            assert (done.returncode, done.stdout) == (78, "")
            assert done.stderr.startswith(f"kilo-gateway: SSL_CERT_FILE: {stopped.root / name} cannot be used (")


def test_a_model_file_that_is_not_there_is_told_with_its_place(stopped: Node) -> None:
    for path in (stopped.root / "no.gguf", stopped.root):
        stopped.file.write_text(f'[local]\npath = "{path}"\n')
        for command in (("config", "check"), ("serve", "--port", "0")):
            done = stopped.cli(*command)
            assert (done.returncode, done.stdout) == (78, "")
            assert done.stderr.startswith(f"kilo-gateway: {stopped.file}:2: local.path: {path} cannot be read (")
    stopped.file.write_text(f'[local]\nenabled = false\npath = "{stopped.root / "no.gguf"}"\n')
    assert stopped.cli("config", "check").returncode == 0


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"", "is no GGUF file"), (b"PK" + bytes(100), "is no GGUF file"), (b"GGUF", "is a damaged GGUF file"),
     (b"GGUF" + b"\xfe" * 1000, "is a damaged GGUF file")],
)  # fmt: skip
def test_a_file_that_is_no_model_is_told_before_anything_is_started(stopped: Node, data: bytes, told: str) -> None:
    path = stopped.root / "mine.gguf"
    path.write_bytes(data)
    stopped.file.write_text(f'[local]\npath = "{path}"\n')
    for command in (("config", "check"), ("serve", "--port", "0")):
        done = stopped.cli(*command)
        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.startswith(f"kilo-gateway: {stopped.file}:2: local.path: {path} {told}.")


def test_a_configuration_that_is_not_there_is_told(stopped: Node) -> None:
    stopped.file.unlink()
    done = stopped.cli("serve")
    assert done.returncode == 78
    assert "there is no such configuration file" in done.stderr


def test_a_lost_secret_is_told_before_anything_is_changed(stopped: Node) -> None:
    stopped.json("keys", "list")
    (stopped.data / "secret.key").unlink()
    done = stopped.cli("serve", "--port", "0")
    assert done.returncode == 78
    assert "secret.key is missing" in done.stderr


def test_a_data_directory_that_cannot_be_made_is_told(stopped: Node) -> None:
    stopped.data = stopped.file / "inside a file"
    assert stopped.cli("serve", "--port", "0").returncode == 78


def test_a_data_directory_too_long_for_sockets_is_told(stopped: Node) -> None:
    stopped.data = stopped.root / ("x" * 120)
    done = stopped.cli("serve", "--port", "0")
    assert done.returncode == 78
    assert "--data-dir" in done.stderr


def test_a_crash_point_that_is_none_is_told(stopped: Node) -> None:
    stopped.environment["KILO_GATEWAY_CRASH_AT"] = "nowhere"
    done = stopped.cli("config", "check")
    assert done.returncode == 78
    assert "journal.end" in done.stderr


def test_settings_may_come_from_the_environment(stopped: Node) -> None:
    stopped.environment["KILO_GATEWAY_SERVER__PORT"] = "4567"
    assert stopped.json("config", "show")["server.port"] == 4567
    del stopped.environment["KILO_GATEWAY_SERVER__PORT"]
    for wrong in ("KILO_GATEWAY_SERVER__PROT", "KILO_GATEWAY_PORT", "KILO_GATEWAY_SERVER_PORT"):
        stopped.environment[wrong] = "1"
        done = stopped.cli("config", "check")
        assert done.returncode == 78
        assert done.stderr == f"kilo-gateway: environment: unknown setting '{wrong}'. Did you mean 'KILO_GATEWAY_SERVER__PORT'?\n"
        del stopped.environment[wrong]


@pytest.mark.parametrize(
    ("variable", "name"),
    [("OPENAI_API_KEY", "openai"), ("OPENROUTER_API_KEY", "openrouter"), ("KILOCODE_API_KEY", "kilocode"),
     ("KILO_API_KEY", "kilocode"), ("GROQ_API_KEY", "groq"), ("MISTRAL_API_KEY", "mistral"), ("DEEPSEEK_API_KEY", "deepseek"),
     ("XAI_API_KEY", "xai")],
)  # fmt: skip
def test_a_providers_key_in_the_environment_is_an_upstream(stopped: Node, variable: str, name: str) -> None:
    stopped.environment[variable] = "sk-found"
    shown = stopped.json("config", "show")["upstreams"]
    assert [(each["name"], each["source"]) for each in shown[1:]] == [(name, variable)]


def test_fetching_says_where_the_model_is(stopped: Node) -> None:
    assert stopped.json("local", "fetch") == {"path": None, "fetched": False}
    own = stopped.root / "mine.gguf"
    own.touch()
    stopped.file.write_text(f'[local]\npath = "{own}"\n')
    assert stopped.json("local", "fetch") == {"path": str(own), "fetched": False}
    assert stopped.cli("local", "fetch").stdout == f"{own}\n"


def test_the_database_is_whole_after_many_commands(stopped: Node) -> None:
    for n in range(3):
        stopped.json("keys", "create", "--name", f"n{n}")
    with sqlite3.connect(stopped.data / "gateway.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM keys WHERE role = 'member'").fetchone() == (3,)
    database.close()


def test_help_comes_at_once(tmp_path: Path) -> None:
    def seconds() -> float:
        started = time.perf_counter()
        run_cli("--help", env=environment(tmp_path))
        return time.perf_counter() - started

    assert min(seconds() for _ in range(3)) < 1.0  # 0.15 s on a machine that does nothing else
