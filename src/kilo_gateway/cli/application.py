"""The typer application, and the one place where errors become exit codes."""

import sys

import typer

from kilo_gateway.cli import config, journal, keys, local, models, serve, usage, version
from kilo_gateway.cli.options import EXIT_CONFIGURATION, EXIT_FAILURE, Failure

app = typer.Typer(
    name="kilo-gateway", add_completion=True, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=False,
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


def run(arguments: list[str]) -> None:
    try:
        app(arguments)
    except Failure as failure:
        print(f"kilo-gateway: {failure}", file=sys.stderr)
        sys.exit(EXIT_CONFIGURATION if failure.is_configuration else EXIT_FAILURE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_FAILURE)
