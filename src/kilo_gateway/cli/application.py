"""The typer application, and the one place where errors become exit codes."""

import sys

import typer
import typer.core

from kilo_gateway.cli import config, journal, keys, local, models, serve, usage, version
from kilo_gateway.cli.options import EXIT_CONFIGURATION, EXIT_FAILURE, Failure

_NAME = "kilo-gateway"
_HELP = ("-h", "--help")


def application() -> typer.Typer:
    app = typer.Typer(
        name=_NAME, add_completion=True, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=False,
        context_settings={"help_option_names": list(_HELP)},
        help="One endpoint and one key in front of many language models. Without a command: serve.",
    )  # fmt: skip
    app.command("serve")(serve.serve)
    app.add_typer(keys.app, name="keys")
    app.command("usage")(usage.usage)
    app.add_typer(journal.app, name="journal")
    app.add_typer(models.app, name="models")
    app.add_typer(config.app, name="config")
    app.add_typer(local.app, name="local")
    app.command("version")(version.version)
    return app


def run(arguments: list[str]) -> None:
    try:
        if not set(_HELP).isdisjoint(arguments[1:]):
            _explain(arguments)
        application()(arguments)
    except Failure as failure:
        print(f"kilo-gateway: {failure}", file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION if failure.is_configuration else EXIT_FAILURE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_FAILURE)
    except OSError as error:  # the door of a command: a file, or the disk under it
        where = f"{error.filename}: " if error.filename else ""
        print(f"kilo-gateway: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(EXIT_FAILURE)


def _explain(arguments: list[str]) -> None:
    """Ends with the help of the command that is named, if one is.

    Called itself and not by way of what contains it: for their options, unused ones too, typer loads pydantic first.
    """
    command, words = typer.main.get_command(application()), [_NAME]
    while isinstance(command, typer.core.TyperGroup) and arguments[0] in command.commands:
        words.append(arguments[0])
        command, arguments = command.commands[arguments[0]], arguments[1:]
    if len(words) > 1:
        command.main(arguments, prog_name=" ".join(words), help_option_names=list(_HELP))
