"""CAPACITY.md: figures by hand, and a document that this renderer and today's estimator made."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer.evidence import Estimate, Missing
from collector.cli import commands
from collector.jobs.capacity_page import page
from collector.jobs.fleet_rows import Answer, FleetRow, Sides
from collector.jobs.score_capacity import estimate
from collector.jobs.simulated_polls import watch
from collector.simulator.fleets import fleets

DOCUMENT = Path(__file__).parents[2] / "analyzer" / "CAPACITY.md"
TRUTH = Sides(10.0, 12.0, 5, 4, 0.010, 0.008)


def row(name: str = "by hand", scheme: str = "w8a16", *, ratio: float = 1.2, needed: int = 4) -> FleetRow:
    """A fleet whose capacity as it is and gaps are predicted rightly."""
    found = replace(TRUTH, after_per_s=10.0 * ratio, needed_after=needed)
    answer = Answer("worth_it", None, 45.0, 1.0, 1.0, 1)
    bound = "first_token > token_gap"
    return FleetRow(name, 6, 0.5, scheme, "additive", bound, TRUTH, found, 1.1, 1.3, "fitted", 4, 5, answer)


def cells(text: str, first: str) -> list[str]:
    """The cells of the one table row that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_each_aim_says_whether_it_is_met() -> None:
    """Ratios off by 0 and 10 %: median 5 %. One of two numbers of replicas right: 50 %, which is less than 90 %."""
    text = page([row(), row("other", ratio=1.32, needed=5)], 1)

    assert cells(text, "capacity ratio")[1:] == ["median at most 7%", "5.0%", "yes"]
    assert cells(text, "replicas needed under the scheme, exactly right")[1:] == ["at least 90%", "50.0%", "no"]
    assert cells(text, "replicas needed as it is, exactly right")[3] == "yes"
    assert cells(text, "`worth_it` where the truth saves no GPU")[2:] == ["0 of 2", "yes"]


def test_a_false_promise_is_an_aim_missed() -> None:
    lost = replace(row(), answer=Answer("worth_it", None, 45.0, 1.0, 1.0, 0))

    assert cells(page([lost], 1), "`worth_it` where the truth saves no GPU")[2:] == ["1 of 1", "no"]


def test_a_fleet_has_truth_before_prediction_in_every_cell() -> None:
    assert cells(page([row()], 1), "by hand") == [
        "by hand",
        "w8a16",
        "first_token",
        "10.00 > 10.00",
        "1.200 > 1.200 (1.10-1.30)",
        "5 > 5",
        "4 > 4",
        "8.00 > 8.00",
        "1 > 1 (1)",
        "worth_it",
    ]


def test_what_is_not_predicted_has_its_reason_and_no_figure() -> None:
    none = FleetRow("silent", 2, 0.1, "w8a16", "additive", None, None, None, None, None, None, reason="too short")
    text = page([none], 1)

    assert cells(text, "silent")[2:] == ["too short", *["-"] * 7]
    assert cells(text, "capacity ratio")[2:] == ["-", "-"]


def test_a_page_that_cannot_be_written_is_a_clear_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("collector.cli.score_fleets.score_fleets", lambda chosen, processes: [row()])
    asked = ["score", "--capacity", "--write"]
    written = CliRunner().invoke(commands, [*asked, str(tmp_path / "CAPACITY.md")])
    failed = CliRunner().invoke(commands, [*asked, str(tmp_path / "absent" / "CAPACITY.md")])

    assert written.exit_code == 0, written.output
    assert (tmp_path / "CAPACITY.md").read_text() == page([row()], 1)
    assert "cannot be written: No such file or directory" in str(failed.exception)


def document() -> tuple[str, int]:
    """The text, and the seed that it names."""
    text = DOCUMENT.read_text(encoding="utf-8")
    named = re.search(r"--seed (\d+)", text)
    assert named is not None
    return text, int(named.group(1))


def skeleton(text: str) -> list[str]:
    """The text without figures: of a table's row its first cell and how many there are; words on figures masked."""
    lines = []
    for line in text.splitlines():
        if line.startswith("| ") and re.search(r"\d|-", line):
            lines.append(f"{line.split(' | ')[0]} x {line.count(' | ')}")
        else:
            lines.append(re.sub(r"\d+(\.\d+)?%|\d+ fleets|\d+ of \d+", "N", line))
    return lines


def test_the_document_is_made_by_this_renderer_of_todays_fleets() -> None:
    """Else run `breakeven score --capacity --write analyzer/CAPACITY.md`: text, tables, fleets, all but figures."""
    text, seed = document()
    rows = [replace(row(one.name, one.scheme), load=one.workload.load) for one in fleets(seed)]

    assert skeleton(text) == skeleton(page(rows, seed))


def test_the_document_has_what_todays_estimator_says_of_its_quickest_fleet() -> None:
    """Else the model has changed since: run the command anew. The truth, which takes minutes, is not run again."""
    text, seed = document()
    quick = min(fleets(seed), key=lambda one: one.workload.span_s * one.workload.traffic.rate_per_s)
    found = estimate(asyncio.run(watch(quick.workload)), quick)
    assert not isinstance(found, Missing)
    before, ratio = found.report.before.capacity_per_s, found.report.ratio
    assert isinstance(before, Estimate)
    assert isinstance(ratio, Estimate)
    told = cells(text, quick.name)

    assert float(told[3].split(" > ")[1]) == pytest.approx(before.value, rel=0.005)
    assert float(told[4].split(" > ")[1].split(" ")[0]) == pytest.approx(ratio.value, rel=0.005)
    assert told[9] == found.answer.judged.verdict.value
