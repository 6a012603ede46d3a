"""`db upgrade`, `status`, `export` and `import`: the schema of the database, and its way into another one."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from collector import __version__
from collector.cli.configured import config_option, configured, database_url
from collector.clock import SystemClock
from collector.store import Store, checked, schema_status

folder_argument = click.argument("folder", type=click.Path(path_type=Path))


@click.group("db")
def database() -> None:
    """Look at the database's schema, bring it up to date, or move all that is stored into another database."""


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


@database.command("export")
@folder_argument
@config_option
def export_(folder: Path, config_file: Path | None) -> None:
    """Write all that is stored into a new FOLDER: compressed CSV files and a manifest. A daemon may go on meanwhile."""
    store = Store.open_to_read(database_url(None if config_file is None else configured(config_file)))
    try:
        manifest = store.export_to(folder, __version__, SystemClock(), _said)
    finally:
        store.close()
    rows = sum(part.rows for part in manifest.tables.values())
    click.echo(f"{store.place}: {rows} rows exported to {folder}")
    lacking = sum(store.damaged_blocks.values())
    if lacking:
        click.echo(f"not in it: {lacking} damaged blocks of sealed samples, which stay where they are", err=True)


@database.command("import")
@folder_argument
@config_option
def import_(folder: Path, config_file: Path | None) -> None:
    """Read an exported FOLDER into a database that holds nothing yet: all of it, or nothing."""
    manifest = checked(folder)
    store = Store.open(database_url(None if config_file is None else configured(config_file)), SystemClock())
    try:
        store.import_from(folder, manifest, _said)
    finally:
        store.close()
    rows = sum(part.rows for part in manifest.tables.values())
    click.echo(f"{folder}: {rows} rows imported into {store.place}")


def _said(table: str, rows: int) -> None:
    click.echo(f"  {table}: {rows} rows", err=True)
