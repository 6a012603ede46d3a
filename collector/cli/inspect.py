"""`check-config`, `servers`, `capture`: look without starting anything."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from analyzer.facts.gpus import GPUS
from analyzer.facts.models import MODELS
from collector.cli.configured import configured
from collector.scrape.capture import masked
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.limits import Limits
from collector.servers import engine_specs


@click.command("check-config")
@click.argument("config_file", type=click.Path(path_type=Path, dir_okay=False))
def check_config(config_file: Path) -> None:
    """Check a configuration file; every problem with its place and remedy. Starts nothing."""
    settings = configured(config_file)
    jobs, deployments = len(settings.scrape_configs), len(settings.deployments)
    click.echo(f"{config_file}: ok ({jobs} scrape jobs, {deployments} deployments)")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--gpus", is_flag=True, help="List the GPUs with facts instead.")
@click.option("--models", is_flag=True, help="List the models with facts instead.")
def servers(as_json: bool, gpus: bool, models: bool) -> None:
    """List the engines: what is read from each, with which evidence."""
    if gpus or models:
        names = sorted(one.name for one in (GPUS if gpus else MODELS))
        click.echo(json.dumps(names, indent=2) if as_json else "\n".join(names))
        return
    specs = engine_specs()
    if as_json:
        plain = {
            name: {
                "title": spec.title,
                "tested_with": spec.tested_with,
                "evidence": spec.evidence,
                "reads": sorted(spec.provides),
                "usual_ports": spec.usual_ports,
                "notes": dict(spec.notes),
            }
            for name, spec in specs.items()
        }
        click.echo(json.dumps(plain, indent=2))
        return
    table = Table(box=None, padding=(0, 2, 1, 0), header_style="dim")
    for column in ("engine", "tested with", "phase mix, best first", "figures read"):
        table.add_column(column, overflow="fold")
    for name, spec in specs.items():
        table.add_row(name, ", ".join(spec.tested_with), "\n".join(spec.evidence), str(len(spec.provides)))
    Console().print(table)


@click.command()
@click.argument("url")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
@click.option("--timeout", "timeout_s", default=10.0, show_default=True, help="Deadline in seconds.")
def capture(url: str, output: Path | None, timeout_s: float) -> None:
    """Fetch a metrics page with its provenance, label values masked: to add an engine, or to report a problem."""
    text = asyncio.run(_capture(url, timeout_s))
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    click.echo(f"{output}: {text.count(chr(10))} lines", err=True)


async def _capture(url: str, timeout_s: float) -> str:
    session = client_session()
    try:
        response = await Fetcher(session).get(url, limits=Limits(timeout_s=timeout_s))
    finally:
        await session.close()
    return masked(response.body.decode("utf-8", "replace"), url)
