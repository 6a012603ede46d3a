"""`alerts replay`: which alerts the stored history would have raised; `alerts test`: a message to each receiver."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from collector.cli.configured import config_option, configured, database_url
from collector.cli.report import default_database
from collector.clock import SystemClock
from collector.errors import BreakevenError
from collector.export.alert_rules import read_rules, shipped_rules
from collector.export.past_alerts_text import print_replay
from collector.export.verdict_news import trial_body
from collector.jobs.past_alerts import replay
from collector.jobs.post import NotSentError, post
from collector.jobs.promtool import Promtool
from collector.settings import Settings
from collector.store import Store

_DAY_S = 86_400.0


@click.group()
def alerts() -> None:
    """Try the alert rules on the past, and the receivers of notifications now."""


@alerts.command("replay")
@config_option
@click.option("--demo", is_flag=True, help="The history of `breakeven demo`.")
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Rules of your own; the shipped ones by default.",
)
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="How many days back; all by default.")
@click.option("--promtool", default="promtool", show_default=True, help="Prometheus' promtool, 2.42 or newer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay_alerts(
    config_file: Path | None, demo: bool, rules_file: Path | None, days: float | None, promtool: str, as_json: bool
) -> None:
    """Print how often, when and for how long each alert would have fired over the reports that are kept.

    The rules are evaluated by Prometheus' own promtool, every five minutes, on the series that each stored report had
    on /metrics: one report a quarter of an hour, as long as samples are kept. Rules that look at something else, such
    as whether a target is up, are named and not replayed.
    """
    rules = read_rules(shipped_rules() if rules_file is None else rules_file)
    tool = Promtool(promtool)
    settings = Settings() if config_file is None else configured(config_file)
    url = database_url(None if demo or config_file is None else settings, default_database(demo=demo))
    now_s = SystemClock().wall_s()
    # Of older reports one a day is left, by which no alert can be told.
    back_s = settings.storage.retention.samples
    if days is not None:
        back_s = min(back_s, days * _DAY_S)
    store = Store.open_to_read(url)
    try:
        past = replay(store.reader, rules, tool, now_s - back_s, now_s, settings.global_.evaluation_interval)
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps(asdict(past), indent=2))
        return
    print_replay(asdict(past), Console())


@alerts.command("test")
@click.option(
    "--config.file",
    "config_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file with `notifications`.",
)
def test_receivers(config_file: Path) -> None:
    """Send a test message to every receiver of `notifications`; exit code 1 when one did not take it."""
    receivers = configured(config_file).notifications
    if not receivers:
        raise BreakevenError(f"{config_file} names no receiver under `notifications`")
    failed = False
    for one in receivers:
        try:
            asyncio.run(post(one, trial_body(one.kind)))
        except NotSentError as error:
            failed = True
            click.echo(f"{one.name}: not sent: {error}")
        else:
            click.echo(f"{one.name}: sent")
    sys.exit(1 if failed else 0)
