"""`report`: the last report from the database, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from collector.cli.configured import DEFAULT_DATABASE, DEMO_DATABASE, config_option, configured, database_url
from collector.clock import SystemClock
from collector.errors import StoreError
from collector.export.text import print_report
from collector.store import Reader, Store, StoredReport


@click.command()
@config_option
@click.option("--demo", is_flag=True, help="The report of `breakeven demo`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(config_file: Path | None, demo: bool, as_json: bool) -> None:
    """Print the last report: per deployment and scheme the verdict, with the reasons for and against."""
    with last_report(config_file, demo=demo) as (stored, _):
        body = stored.body
    if as_json:
        click.echo(json.dumps(body, indent=2))
        return
    print_report(body, Console(), SystemClock().wall_s())


@contextmanager
def last_report(config_file: Path | None, *, demo: bool) -> Iterator[tuple[StoredReport, Reader]]:
    """The newest report, and the open database that it is in. Raises StoreError, also when there is no report yet."""
    settings = None if config_file is None else configured(config_file)
    url = DEMO_DATABASE if demo else database_url(settings, _default_database())
    store = Store.open_to_read(url)
    try:
        stored = store.reader.latest_report()
        if stored is None:
            named = url if settings is None else "the database"
            raise StoreError(f"{named} holds no report yet: is the daemon running?")
        yield stored, store.reader
    finally:
        store.close()


def _default_database() -> str:
    """The real one where there is one; the demo's where only that was ever started."""
    only_demo = not Path(DEFAULT_DATABASE).exists() and Path(DEMO_DATABASE).exists()
    return DEMO_DATABASE if only_demo else DEFAULT_DATABASE
