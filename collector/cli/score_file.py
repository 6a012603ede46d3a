"""`score FILE`: the predictor against published measurements, as tables, JSON, predictions or the accuracy page."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analyzer.scoring.page import page
from analyzer.scoring.rows import Measured
from analyzer.scoring.scored import Answers, Refused, held_out, score, take
from analyzer.scoring.tally import GROUPS, Tally, as_plain, by_group, tally
from collector.errors import BreakevenError

WIDTH_OF_FILES, WIDTH_OF_NAMES, FIGURE_WIDTH = 130, 44, 5
"""Columns: of the whole where no terminal limits them, of a group's name, of a figure at least."""
HELD_OUT = ("source", "gpu", "model")
_RULES = {"always_1": "1.0", "article": "article", "amdahl": "Amdahl", "roofline": "roofline"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks of a file of measurements."""

    everything: bool = False
    uncalibrated: bool = False
    leave_out: str | None = None
    as_json: bool = False
    predictions: Path | None = None
    accuracy: Path | None = None


def score_file(path: Path, wanted: Wanted) -> None:
    """Read, predict, and print or write what is wanted. Raises BreakevenError where the file cannot be used."""
    rows, unread = take(_lines(path), everything=wanted.everything)
    if not rows and not unread:
        raise BreakevenError(f"{path}: no rows to score; --all takes those that are not comparable too")
    if wanted.accuracy is not None:
        try:
            text = _page(rows)
        except ValueError as error:
            raise BreakevenError(f"{path}: too few measured speed-ups to hold some out: {error}") from error
        _write(wanted.accuracy, text)
        click.echo(f"wrote {wanted.accuracy}", err=True)
        return
    answers = _answers(rows, wanted, unread)
    if wanted.predictions is not None:
        _write_predictions(wanted.predictions, answers)
    if wanted.as_json:
        click.echo(json.dumps(as_plain(answers), indent=2))
        return
    _print(answers, wanted)


def _lines(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restval="")
            found = list(reader)
            named = reader.fieldnames
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BreakevenError(f"{path}: cannot be read as CSV: {error}") from error
    if named is None or "scheme" not in named or "baseline" not in named:
        raise BreakevenError(f"{path}: is not a file of measurements: its first line must name id, gpu, scheme, ...")
    return found


def _answers(rows: Sequence[Measured], wanted: Wanted, unread: Sequence[Refused]) -> Answers:
    calibrated = not wanted.uncalibrated
    if wanted.leave_out is None:
        found = score(rows, calibrated=calibrated)
    else:
        measured = [one for one in rows if one.speedup is not None]
        if len({one.row.source for one in measured}) < 2:
            raise BreakevenError("nothing can be held out: the file has rows of one source only")
        found = held_out(measured, wanted.leave_out, calibrated=calibrated)
    return Answers(found.scored, (*unread, *found.refused))


def _page(rows: Sequence[Measured]) -> str:
    measured = [one for one in rows if one.speedup is not None]
    with_baseline = {group: held_out(measured, group) for group in HELD_OUT}
    without = {group: held_out(measured, group, calibrated=False) for group in HELD_OUT}
    return page(with_baseline, without, (score(measured), score(measured, calibrated=False)))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BreakevenError(f"{path}: cannot be written: {error}") from error


def _write_predictions(path: Path, answers: Answers) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "p10", "p50", "p90", "evidence", "refused"))
            for one in answers.scored:
                said = one.predicted
                figures = (f"{figure:.4f}" for figure in (said.low, said.value, said.high))
                writer.writerow((one.row.id, *figures, said.evidence.value, ""))
            writer.writerows((one.id, "", "", "", "", one.reason) for one in answers.refused)
    except OSError as error:
        raise BreakevenError(f"{path}: cannot be written: {error}") from error


def _print(answers: Answers, wanted: Wanted) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_FILES)
    total = tally(answers.scored)
    held = "shipped constants" if wanted.leave_out is None else f"constants from the other {wanted.leave_out}s"
    basis = "setting alone" if wanted.uncalibrated else "setting and measured baseline"
    if total is None:
        console.print(f"{len(answers.scored)} rows predicted from {basis}; none has a measured speed-up.")
    else:
        overall = _table(f"All rows: {held}, {basis}", "rows")
        _add(overall, "all", total)
        console.print(overall)
        for group in GROUPS:
            table = _table(f"By {group}", group)
            for name, one in by_group(answers.scored, group).items():
                _add(table, name, one)
            console.print(table)
        console.print("In per cent. 'alike': MAPE, sources weighted alike; rules: MAPE on the rows they can do.")
    for reason, count in Counter(one.reason for one in answers.refused).items():
        console.print(f"Not predicted, {count} rows: {reason}", markup=False)


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold", max_width=WIDTH_OF_NAMES)
    for name in ("n", "MAPE", "alike", "median", "bias", ">1.1", "in80", *_RULES.values()):
        table.add_column(name, justify="right", no_wrap=True, min_width=FIGURE_WIDTH)
    return table


def _add(table: Table, name: str, one: Tally) -> None:
    ours = one.ours
    figures = (ours.mape, ours.mape_source_mean, ours.median_ape, ours.bias, ours.agreement_1_1, ours.coverage_80)
    rules = [f"{one.rules[rule].mape:.1f}" if rule in one.rules else "-" for rule in _RULES]
    shown = ["-" if figure is None else f"{figure:.1f}" for figure in figures]
    table.add_row(name, str(ours.rows), *shown, *rules)
