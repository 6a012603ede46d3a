"""`score --capacity`: predicted capacity of simulated fleets beside what their servers really take."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from collector.cli.files import write_file
from collector.jobs.capacity_page import page
from collector.jobs.fleet_rows import FleetRow, as_plain, summarise
from collector.jobs.score_capacity import score_fleets
from collector.simulator.fleets import fleets


def score_capacity(seed: int, part: str, processes: int | None, write: Path | None, *, as_json: bool) -> None:
    """Prints the fleets whose name holds `part`, and writes the page on them where `write` says.

    Raises UsageError where no name does, BreakevenError for a page that cannot be written.
    """
    chosen = [one for one in fleets(seed) if part in one.name]
    if not chosen:
        raise click.UsageError(f"no fleet's name holds {part!r}")
    shown = Console(stderr=True)
    rows = list(track(score_fleets(chosen, processes), "Simulating", len(chosen), console=shown, transient=True))
    if write is not None:
        write_file(write, page(rows, seed))
    if as_json:
        click.echo(json.dumps(as_plain(rows), indent=2))
        return
    console = Console()
    console.print(_table(rows))
    console.print(
        "Found by running the simulator > predicted from polls. Capacity: requests/s of one replica; ratio: with the "
        "scheme over without; replicas: for today's load with the scheme; gap: mean ms between tokens, with it."
    )


def _table(rows: list[FleetRow]) -> Table:
    table = Table(title=f"{len(rows)} fleets", title_justify="left")
    for title in ("fleet", "scheme", "bound"):
        table.add_column(title)
    for title in ("capacity", "ratio", "error, %", "replicas", "gap"):
        table.add_column(title, justify="right")
    for row in rows:
        true, found = row.truth, row.predicted
        if true is None or found is None:
            table.add_row(row.fleet, row.scheme, row.reason or "-", *["-"] * 5)
            continue
        table.add_row(
            row.fleet,
            row.scheme,
            row.bound or "-",
            f"{true.before_per_s:.2f} > {found.before_per_s:.2f}",
            f"{true.ratio:.3f} > {found.ratio:.3f}",
            f"{100 * (found.ratio / true.ratio - 1):+.1f}",
            f"{true.needed_after} > {found.needed_after}",
            f"{_ms(true.gap_after_s)} > {_ms(found.gap_after_s)}",
        )
    told = summarise(rows)
    exact = _percent(told.needed_exact)
    table.caption = (
        f"Median errors: ratio {_percent(told.ratio_error_median)}, mean gap {_percent(told.gap_error_median)}, "
        f"capacity {_percent(told.capacity_error_median)}. Replicas exactly right: {exact}, as it is "
        f"{_percent(told.needed_before_exact)}. `worth_it` where the truth saves nothing: "
        f"{told.worth_it_false} of {told.worth_it}. "
        f"True ratios within their 80 % intervals: {_percent(told.coverage_80)}"
    )
    return table


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.2f}"


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"
