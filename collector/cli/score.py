"""`score`: how far the product's figures are from the truth, where the truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from collector.cli.files import write_file
from collector.cli.score_file import HELD_OUT, Wanted, score_file
from collector.cli.score_fleets import score_capacity
from collector.jobs.phases_page import page
from collector.jobs.score_simulated import Row, Summary, as_plain, by_dialect, score_all, summarise
from collector.simulator.dialects import DIALECTS, VLLM
from collector.simulator.workload_list import workloads

_OUTPUT = click.Path(dir_okay=False, path_type=Path)
_COLUMNS = (
    ("prefill_marginal", "prefill", "share"),
    ("prefill_exclusive", "exclusive", "share"),
    ("memory_bound", "memory-bound", "share"),
    ("busy", "busy", "share"),
    ("decode_batch", "batch", "relative"),
    ("generation_tokens_per_s", "generation", "relative"),
    ("prefill_tokens_per_s", "prompt", "relative"),
)


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--simulated", is_flag=True, help="Score on simulated workloads, in every engine's dialect.")
@click.option("--capacity", "fleets", is_flag=True, help="Score capacity on simulated fleets (ten minutes or more).")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Another seed: other traffic.")
@click.option("--dialect", type=click.Choice(list(DIALECTS)), help="Only this dialect.")
@click.option("--workload", "part", default="", help="Only workloads or fleets whose name holds this text.")
@click.option("--processes", type=click.IntRange(min=1), help="Processes at once; as many as cores, if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the summary, of simulated workloads rows too.")
@click.option("--write", type=_OUTPUT, help="Write the page on the phase mix, or on capacity, and its errors.")
@click.option("--all", "everything", is_flag=True, help="FILE: rows that differ in more than the scheme too.")
@click.option("--uncalibrated", is_flag=True, help="FILE: predict without looking at the baseline figure.")
@click.option(
    "--leave-one-out", type=click.Choice(HELD_OUT), help="FILE: refit without each row's source, GPU or model."
)
@click.option("--predictions", type=_OUTPUT, help="FILE: write id, p10, p50, p90, evidence and refusal of each row.")
@click.option("--accuracy", type=_OUTPUT, help="FILE: write the accuracy page, all refits included (a minute or two).")
def score(
    *,
    file: Path | None,
    simulated: bool,
    fleets: bool,
    seed: int,
    dialect: str | None,
    part: str,
    processes: int | None,
    as_json: bool,
    write: Path | None,
    everything: bool,
    uncalibrated: bool,
    leave_one_out: str | None,
    predictions: Path | None,
    accuracy: Path | None,
) -> None:
    """Print how far figures are from the truth: of FILE's published measurements, or of simulated workloads.

    FILE is a CSV of pairs, a baseline and a quantized figure of one setting. Each is predicted from its setting and its
    baseline; the quantized figure only judges. Simulated workloads, whose truth only the simulator knows, judge the
    figures that the daemon computes from pages. Nothing is fitted to them. Simulated fleets judge the capacity that is
    predicted from polls: each is run at rate after rate, with and without a scheme's effect, to its objectives.
    """
    if fleets:
        if file is not None or simulated:
            raise click.UsageError("--capacity stands alone: leave FILE and --simulated out")
        score_capacity(seed, part, processes, write, as_json=as_json)
        return
    if file is not None and not simulated:
        score_file(file, Wanted(everything, uncalibrated, leave_one_out, as_json, predictions, accuracy))
        return
    if file is not None or not simulated:
        raise click.UsageError("say what to score on: FILE, --simulated or --capacity")
    chosen = [one for one in workloads(seed) if dialect in (None, one.dialect) and part in one.name]
    if not chosen:
        raise click.UsageError(f"no workload's name holds {part!r}")
    shown = Console(stderr=True)
    rows = list(track(score_all(chosen, processes), "Simulating", len(chosen), console=shown, transient=True))
    if write is not None:
        write_file(write, page(rows, seed))
    if as_json:
        click.echo(json.dumps(as_plain(rows, VLLM), indent=2))
        return
    console = Console()
    for name, mine in by_dialect(rows).items():
        console.print(_table(name, mine))
    console.print(
        "Errors: estimate less truth; shares in points of busy time (busy: of wall time), batch and rates in per cent."
    )


def _table(dialect: str, rows: tuple[Row, ...]) -> Table:
    table = Table(title=f"{dialect}: {len(rows)} workloads", title_justify="left")
    table.add_column("workload")
    table.add_column("evidence")
    for _, title, unit in _COLUMNS:
        table.add_column(f"{title}, {'points' if unit == 'share' else '%'}", justify="right")
    for row in rows:
        evidence = row.figures["prefill_marginal"].evidence or row.figures["prefill_exclusive"].evidence or "none"
        table.add_row(row.workload, evidence, *(_error(row, name) for name, _, _ in _COLUMNS))
    table.add_section()
    table.add_row("mean of absolute errors", "", *map(_plain, _means(summarise(rows))), style="bold")
    summary = summarise(rows)
    if summary.coverage_80 is not None:
        table.caption = f"Truths within their 80 % intervals: {summary.coverage_80:.0%}"
    return table


def _means(summary: Summary) -> tuple[float | None, ...]:
    return (
        summary.prefill_share_mae,
        summary.prefill_exclusive_mae,
        summary.memory_bound_mae,
        summary.busy_mae,
        summary.decode_batch_mape,
        summary.generation_tps_mape,
        summary.prefill_tps_mape,
    )


def _error(row: Row, name: str) -> str:
    error = row.figures[name].error
    return "-" if error is None else f"{100 * error:+.1f}"


def _plain(error: float | None) -> str:
    return "-" if error is None else f"{100 * error:.1f}"
