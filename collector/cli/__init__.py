"""The command `breakeven`. Exit codes: 0 ok, 1 failure, 2 usage or configuration."""

from __future__ import annotations

import sys

import click

from collector import __version__
from collector.cli.alerts import alerts
from collector.cli.database import database
from collector.cli.doctor import doctor
from collector.cli.explain import explain
from collector.cli.inspect import capture, check_config, servers
from collector.cli.report import report
from collector.cli.run import demo, run
from collector.cli.score import score
from collector.cli.what_if import what_if
from collector.errors import BreakevenError, ConfigError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="breakeven", message="%(prog)s %(version)s")
def commands() -> None:
    """Says from live traffic whether quantization will pay for your LLM inference servers."""


@commands.command()
def version() -> None:
    """Print the version."""
    click.echo(f"breakeven {__version__}")


for _command in (run, demo, report, explain, check_config, doctor, servers, capture, score, what_if, alerts, database):
    commands.add_command(_command)


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
