"""PHASES.md: errors by hand, request-seconds beside ours, and a document that this renderer made."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.cli import commands
from collector.jobs.phases_page import page, understated
from collector.jobs.score_simulated import CONTRAST, RELATIVE, Compared, Row, score
from collector.simulator.workload_list import workloads

DOCUMENT = Path(__file__).parents[2] / "analyzer" / "PHASES.md"
NAMES = (
    *("prefill_marginal", "prefill_exclusive", "memory_bound", CONTRAST, "busy"),
    *("decode_batch", "generation_tokens_per_s", "prefill_tokens_per_s", "step_s"),
)


def row(workload: str = "by hand", dialect: str = "vllm", law: str = "additive", **told: float | None) -> Row:
    """A row whose shares are 0.5 in truth and told as stated, else rightly, 0.1 to both sides."""
    figures = {}
    for name in NAMES:
        value = told.get(name, 0.5)
        error = None if value is None else (value - 0.5) / (0.5 if name in RELATIVE else 1)
        ends = (None, None) if value is None else (value - 0.1, value + 0.1)
        figures[name] = Compared(0.5, value, *ends, "fitted", "by hand", None, error)
    return Row(workload, dialect, law, 0.5, 5.0, 0.02, 0, figures)


def tables(text: str) -> dict[str, list[list[str]]]:
    """The rows of each section's table, without its head."""
    found = {}
    for part in text.split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines() if "|" in line]
        if cells:
            found[title] = cells[2:]
    return found


def test_errors_by_dialect_are_means_and_95th_percentiles() -> None:
    """Marginal prefill off by 2 and 4 points: 3.0 on average, 2 + 0.95 * 2 = 3.9; the batch by 1 % and 0."""
    rows = [row(prefill_marginal=0.52), row(prefill_marginal=0.46, decode_batch=0.505), row(dialect="tgi")]
    found = tables(page(rows, 1))["Errors by dialect"]

    assert found == [
        ["vllm", "2", "2 fitted", "3.0 / 3.9", "0.0", "0.0 / 0.0", "0.5%", "100%"],
        ["tgi", "1", "1 fitted", "0.0 / 0.0", "0.0", "0.0 / 0.0", "0.0%", "100%"],
    ]


def test_how_right_identified_steps_are_is_said() -> None:
    """The hand-made rows' evidence is `fitted`: 2 % off and right."""
    text = page([row(step_s=0.51), row()], 1)

    assert "identified in 2 of 2 rows;\nthere it errs by 1.0% on average and by 2.0% at most." in text


def test_request_seconds_stand_beside_ours_by_law_on_vllm_pages_alone() -> None:
    """0.1 told for 0.5: 40 points off, and 5 times too little; another dialect's row is not among them."""
    rows = [
        row(prefill_marginal=0.6, request_seconds_prefill=0.1),
        row(law="roofline", request_seconds_prefill=0.25),
        row(dialect="sglang", request_seconds_prefill=0.01),
    ]
    found = tables(page(rows, 1))["Marginal prefill on vLLM pages: ours, and request-seconds"]

    assert found == [
        ["additive", "1", "10.0 / 10.0 / 10.0", "40.0 / 40.0 / 40.0", "5.0 to 5.0 times"],
        ["roofline", "1", "0.0 / 0.0 / 0.0", "25.0 / 25.0 / 25.0", "2.0 to 2.0 times"],
        ["all", "2", "5.0 / 9.5 / 10.0", "32.5 / 39.2 / 40.0", "2.0 to 5.0 times"],
    ]


def test_every_vllm_workload_has_a_row_with_its_errors_and_intervals() -> None:
    found = tables(page([row(memory_bound=0.4, request_seconds_prefill=0.1), row(dialect="tgi")], 1))

    assert found["Every vLLM workload"] == [
        ["by hand", "additive", "fitted", "50.0", "+0.0 [40.0, 60.0]", "-40.0", "50.0", "-10.0 [30.0, 50.0]"]
    ]


def test_a_figure_that_was_not_told_is_a_dash_and_no_zero() -> None:
    rows = [row(prefill_marginal=None, request_seconds_prefill=None)]
    found = tables(page(rows, 1))

    assert found["Every vLLM workload"][0][4:6] == ["-", "-"]
    assert found["Marginal prefill on vLLM pages: ours, and request-seconds"] == [["additive", "1", "-", "-", "-"]]
    assert found["Errors by dialect"][0][3] == "- / -"


@pytest.mark.parametrize(("told", "times"), [(0.1, 5.0), (0.0, None), (None, None)])
def test_what_request_seconds_understate_by_is_a_ratio_where_there_is_one(
    told: float | None, times: float | None
) -> None:
    assert understated(row(request_seconds_prefill=told)) == times


def test_the_page_names_its_seed_and_its_limits() -> None:
    text = page([row()], 7)

    assert "breakeven score --simulated --seed 7 --write analyzer/PHASES.md" in text
    assert "The memory-bound share rests on how much of the bandwidth kernels reach" in text
    assert text.endswith("inferred.\n")


def test_the_command_writes_the_page_of_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "PHASES.md"
    chosen = [one for one in workloads(3) if (one.dialect, "prefill-heavy" in one.name) == ("llamacpp", True)]
    asked = ("score", "--simulated", "--seed", "3", "--processes", "1", "--dialect", "llamacpp")
    result = CliRunner().invoke(commands, [*asked, "--workload", "prefill-heavy", "--write", str(file)])

    assert result.exit_code == 0, result.output
    assert file.read_text() == page([score(one) for one in chosen], 3)


def test_a_page_that_cannot_be_written_is_a_clear_failure(tmp_path: Path) -> None:
    arguments = ["score", "--simulated", "--processes", "1", "--dialect", "llamacpp", "--workload", "prefill-heavy"]
    result = CliRunner().invoke(commands, [*arguments, "--write", str(tmp_path / "absent" / "PHASES.md")])

    assert "cannot be written: No such file or directory" in str(result.exception)


def skeleton(text: str) -> str:
    """The text without figures: of a table's row its first cell and how many there are."""

    def masked(line: str) -> str:
        if line.startswith(("`a`, the seconds", "there it errs")):
            return re.sub(r"[\d.]+", "x", line.rstrip("."))
        figures = line.startswith("| ") and re.search(r"\d|-", line.split(" | ", 1)[1])
        return f"{line.split(' | ')[0]} x {line.count(' | ')}" if figures else line

    return "\n".join(map(masked, text.splitlines()))


def test_the_document_is_made_by_this_renderer_from_todays_workloads() -> None:
    """Else run `breakeven score --simulated --write analyzer/PHASES.md`: text, tables, workloads, all but figures."""
    text = DOCUMENT.read_text(encoding="utf-8")
    named = re.search(r"--seed (\d+)", text)
    assert named is not None
    seed = int(named.group(1))
    rows = [replace(row(one.name, one.dialect, one.law.value), load=one.load, seed=one.seed) for one in workloads(seed)]

    assert skeleton(text) == skeleton(page(rows, seed))
