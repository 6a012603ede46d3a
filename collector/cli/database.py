"""`db upgrade` and `db status`: the schema of the database."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from collector.cli.configured import config_option, configured, database_url
from collector.clock import SystemClock
from collector.store import Store, schema_status


@click.group("db")
def database() -> None:
    """Look at the database's schema, or bring it up to date."""


@database.command()
@config_option
def upgrade(config_file: Path | None) -> None:
    """Bring the schema up to date; a SQLite file is copied first."""
    url = database_url(None if config_file is None else configured(config_file))
    store = Store.open(url, SystemClock())
    done = store.upgraded
    place = store.place
    store.close()
    if store.set_aside is not None:
        click.echo(f"the unusable file was moved to {store.set_aside}", err=True)
    if done is not None and done.changed:
        click.echo(f"{place}: upgraded from {done.before or 'nothing'} to {done.after}")
        if done.copy is not None:
            click.echo(f"the former file is kept as {done.copy}")
    else:
        click.echo(f"{place}: already up to date")


@database.command()
@config_option
def status(config_file: Path | None) -> None:
    """Say how the schema stands to this release; exit code 1 when it is not up to date."""
    found = schema_status(database_url(None if config_file is None else configured(config_file)))
    click.echo(f"revision {found.current or 'none'}, this release brings {found.head}: {found.state.value}")
    sys.exit(0 if found.state.value == "current" else 1)
