"""The command `breakeven`. Exit codes: 0 ok, 1 failure, 2 usage or configuration."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from collector import __version__
from collector.errors import BreakevenError, ConfigError

_PLACES = {
    "run": ("run", "run"),
    "demo": ("demo", "demo"),
    "report": ("report", "report"),
    "explain": ("explain", "explain"),
    "check-config": ("inspect", "check_config"),
    "doctor": ("doctor", "doctor"),
    "servers": ("inspect", "servers"),
    "capture": ("inspect", "capture"),
    "score": ("score", "score"),
    "what-if": ("what_if", "what_if"),
    "alerts": ("alerts", "alerts"),
    "db": ("database", "database"),
}
"""The file of each command in this package, and its name there."""


class _Commands(click.Group):
    """Imports a command when it is asked for: the daemon would keep what only the others need for months."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_PLACES})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands and cmd_name in _PLACES:
            file, name = _PLACES[cmd_name]
            self.add_command(getattr(import_module(f"collector.cli.{file}"), name))
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="breakeven", message="%(prog)s %(version)s")
def commands() -> None:
    """Says from live traffic whether quantization will pay for your LLM inference servers."""


@commands.command()
def version() -> None:
    """Print the version."""
    click.echo(f"breakeven {__version__}")


def main() -> None:
    """Run the command line. A mistake gives clear lines on standard error, never a traceback."""
    try:
        commands.main(prog_name="breakeven", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(2)
    except BreakevenError as error:
        click.echo(f"breakeven: {error}", err=True)
        sys.exit(1)
