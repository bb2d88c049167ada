"""Every command and every setting has its place in docs/."""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from tests.architecture.rules import ROOT
from typer.core import TyperGroup

from kilo_gateway.cli.application import application
from kilo_gateway.config import SETTINGS
from kilo_gateway.configuration.fields import MODEL_FIELDS, UPSTREAM_FIELDS


def command_paths(of: typer.Typer) -> list[str]:
    """`keys create` and the like: every command that can be run and is not hidden."""
    root = typer.main.get_command(of)
    return sorted(" ".join(path) for path in _walk(root, typer.Context(root), ()))


def _walk(command: object, context: typer.Context, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not isinstance(command, TyperGroup):
        yield path
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None and not inner.hidden:
            yield from _walk(inner, context, (*path, name))


def undocumented_commands(paths: Iterable[str], text: str) -> list[str]:
    return [path for path in paths if not re.search(rf"(?<![\w-])kilo-gateway {re.escape(path)}(?![\w-])", text)]


def undocumented_settings(names: Iterable[str], text: str) -> list[str]:
    """A setting is documented where its name stands in backticks."""
    return [name for name in names if f"`{name}`" not in text]


def test_every_command_is_documented() -> None:
    paths = command_paths(application())
    assert "serve" in paths and "keys create" in paths
    assert undocumented_commands(paths, (ROOT / "docs" / "cli.md").read_text()) == []


def test_a_command_without_documentation_is_noticed() -> None:
    text = "`kilo-gateway keys create-many` and `kilo-gateway serve`"
    assert undocumented_commands(["serve", "keys create"], text) == ["keys create"]


def test_commands_are_found_at_every_depth_but_not_hidden_ones() -> None:
    outer, inner = typer.Typer(), typer.Typer()
    outer.add_typer(inner, name="keys")
    outer.command("serve")(_nothing)
    outer.command("secret", hidden=True)(_nothing)
    inner.command("create")(_nothing)
    assert command_paths(outer) == ["keys create", "serve"]


def _nothing(name: Annotated[str, typer.Option()] = "") -> None:
    """A command's body."""


def test_every_setting_is_documented() -> None:
    names = [setting.name for setting in (*SETTINGS, *UPSTREAM_FIELDS, *MODEL_FIELDS)]
    assert "server.port" in names
    assert undocumented_settings(names, (ROOT / "docs" / "settings.md").read_text()) == []


def test_every_setting_says_what_it_is() -> None:
    assert [setting.name for setting in (*SETTINGS, *UPSTREAM_FIELDS, *MODEL_FIELDS) if not setting.help] == []


def test_a_setting_without_documentation_is_noticed() -> None:
    text = "`server.port`: the port, beside server.host"
    assert undocumented_settings(["server.port", "server.host"], text) == ["server.host"]
