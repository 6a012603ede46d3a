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
from collector.jobs.standby import APART_S
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
    url = database_url(None if demo else settings, default_database(demo=demo))
    store = Store.open_to_read(url)
    try:
        yield newest_report(store, url if settings is None else "the database"), store.reader
    finally:
        store.close()


def newest_report(store: Store, named: str) -> StoredReport:
    """The newest report of a database called `named`. Raises StoreError when there is none yet."""
    # What a clock made in the future is shown only where there is no other.
    stored = store.reader.latest_report(SystemClock().wall_s() + APART_S) or store.reader.latest_report()
    if stored is None:
        raise StoreError(f"{named} holds no report yet: is the daemon running?")
    return stored


def default_database(*, demo: bool) -> str:
    """The real one where there is one; the demo's where that is asked for, or where only that was ever started."""
    if demo:
        return DEMO_DATABASE
    only_demo = not Path(DEFAULT_DATABASE).exists() and Path(DEMO_DATABASE).exists()
    return DEMO_DATABASE if only_demo else DEFAULT_DATABASE
