"""`check-config`, `servers`, `capture`: look without starting anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analyzer.facts.gpus import GPUS
from analyzer.facts.models import MODELS
from collector.cli.configured import configured
from collector.cli.facts import never_told, never_told_by_jobs
from collector.cli.files import write_file
from collector.gpu import dcgm
from collector.scrape.bare import BareEngine
from collector.scrape.capture import masked
from collector.scrape.facts import FIGURES
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.limits import Limits
from collector.scrape.spec import EngineSpec
from collector.servers import all_engines

GPU_EVIDENCE = (
    "GPU counters: busy time of the engines that their GPUs are joined to, and a cross-check of the phase mix"
)


@click.command("check-config")
@click.argument("config_file", type=click.Path(path_type=Path, dir_okay=False))
def check_config(config_file: Path) -> None:
    """Check a configuration file; every problem with its place and remedy. Starts nothing."""
    settings = configured(config_file)
    jobs, deployments = len(settings.scrape_configs), len(settings.deployments)
    click.echo(f"{config_file}: ok ({jobs} scrape jobs, {deployments} deployments)")
    for line in never_told_by_jobs(settings, all_engines()):
        click.echo(f"note: {line}")


@click.command()
@click.argument("engine", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--gpus", is_flag=True, help="List the GPUs with facts instead.")
@click.option("--models", is_flag=True, help="List the models with facts instead.")
def servers(engine: str | None, as_json: bool, gpus: bool, models: bool) -> None:
    """List the engines: what is read from each, with which evidence. With ENGINE: every figure and its series."""
    if gpus or models:
        names = sorted(one.name for one in (GPUS if gpus else MODELS))
        click.echo(json.dumps(names, indent=2) if as_json else "\n".join(names))
        return
    specs = all_engines()
    known = sorted((*specs, dcgm.ENGINE))
    if engine is not None and engine not in known:
        raise click.BadParameter(f"unknown engine {engine!r}; known: {', '.join(known)}")
    chosen = {name: specs[name] for name in specs if engine in (None, name)}
    if as_json:
        plain = {name: _plain(spec) for name, spec in chosen.items()}
        pages = {dcgm.ENGINE: _plain_gpu_page()} if engine in (None, dcgm.ENGINE) else {}
        click.echo(json.dumps({**plain, **pages}, indent=2))
    elif engine is None:
        _print_engines(chosen)
    elif engine == dcgm.ENGINE:
        _print_gpu_page()
    else:
        _print_engine(specs[engine])


def _plain_gpu_page() -> dict[str, object]:
    reads = {figure: list(series) for figure, series in dcgm.READS.items()}
    return {"title": dcgm.TITLE, "evidence": [GPU_EVIDENCE], "reads": reads, "notes": dict(dcgm.NOTES)}


def _plain(spec: EngineSpec | BareEngine) -> dict[str, object]:
    if isinstance(spec, BareEngine):
        plain = {"title": spec.title, "evidence": spec.evidence, "reads": {}, "usual_ports": spec.usual_ports}
        return {**plain, "not_told": sorted(spec.not_told)}
    return {
        "title": spec.title,
        "tested_with": spec.tested_with,
        "evidence": spec.evidence,
        "reads": {name: _series(spec, name) for name in spec.provides},
        "at_request_end": sorted(spec.at_request_end),
        "usual_ports": spec.usual_ports,
        "notes": dict(spec.notes),
        "not_told": sorted(spec.not_told),
    }


def _series(spec: EngineSpec, figure: str) -> list[str]:
    """The series a figure is read from, newest first; none for one that is derived from several."""
    reading = spec.readings.get(figure)
    if reading is None:
        return []
    selector = ",".join(f'{name}="{value}"' for name, value in reading.labels.items())
    return [f"{name}{{{selector}}}" if selector else name for name in reading.names]


def _print_engines(specs: Mapping[str, EngineSpec | BareEngine]) -> None:
    table = Table(box=None, padding=(0, 2, 1, 0), header_style="dim")
    for column in ("engine", "tested with", "phase mix, best first", "figures read"):
        table.add_column(column, overflow="fold")
    for name, spec in specs.items():
        tested, provides = ((), ()) if isinstance(spec, BareEngine) else (spec.tested_with, spec.provides)
        table.add_row(name, ", ".join(tested), "\n".join(spec.evidence), str(len(provides)))
    table.add_row(dcgm.ENGINE, "", GPU_EVIDENCE, str(len(dcgm.READS)))
    console = Console()
    console.print(table)
    console.print("`breakeven servers ENGINE` lists every figure with its series.")


def _print_engine(spec: EngineSpec | BareEngine) -> None:
    console = Console()
    tested = "" if isinstance(spec, BareEngine) else f", tested with {', '.join(spec.tested_with)}"
    console.print(Text(f"{spec.title}{tested}", "bold"))
    for line in spec.evidence:
        console.print(Text(f"  {line}"))
    for what, remedy in never_told(spec):
        console.print(Text(f"  does not tell {what}: {remedy}"))
    if isinstance(spec, BareEngine):
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("figure", "series, newest first", "when it is missing, or moves late"):
        table.add_column(column, overflow="fold")
    for figure in spec.provides:
        late = "moves when a request ends" if figure in spec.at_request_end else ""
        note = "; ".join(text for text in (spec.notes.get(figure, ""), late) if text)
        table.add_row(Text(figure), Text("\n".join(_series(spec, figure)) or "derived"), Text(note))
    for figure in FIGURES:
        if figure not in spec.provides:
            table.add_row(Text(figure), Text("not given"), Text(spec.notes[figure]))
    console.print(table)


def _print_gpu_page() -> None:
    console = Console()
    console.print(Text(f"{dcgm.TITLE}: GPUs, not an engine; written down from its sources", "bold"))
    console.print(Text(f"  {GPU_EVIDENCE}"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("figure of each GPU", "series", "when it is missing"):
        table.add_column(column, overflow="fold")
    for figure, series in dcgm.READS.items():
        table.add_row(Text(figure), Text("\n".join(series)), Text(dcgm.NOTES.get(figure, "")))
    console.print(table)


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
    write_file(output, text)
    click.echo(f"{output}: {text.count(chr(10))} lines", err=True)


async def _capture(url: str, timeout_s: float) -> str:
    session = client_session()
    try:
        response = await Fetcher(session).get(url, limits=Limits(timeout_s=timeout_s))
    finally:
        await session.close()
    return masked(response.body.decode("utf-8", "replace"), url)
