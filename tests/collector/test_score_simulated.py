"""The score: real figures of short simulated workloads, its arithmetic by hand, and the list that it runs on."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from collector.cli import commands
from collector.jobs.score_simulated import Compared, Row, as_plain, compare, estimate, score, score_all, summarise
from collector.jobs.simulated_polls import watch
from collector.simulator.costs import Law
from collector.simulator.dialects import DIALECTS
from collector.simulator.traffic import Lengths
from collector.simulator.workload_list import vllm_workloads, workloads
from collector.simulator.workloads import Workload

SHORT = Workload(
    "short", 0.6, Lengths(500, 0.5, 50, 2000), Lengths(100, 0.5, 10, 400), seed=5, seats=16, warm_up_s=60, span_s=120
)
FIGURES = {
    "prefill_marginal",
    "prefill_exclusive",
    "memory_bound",
    "request_seconds_prefill",
    "busy",
    "decode_batch",
    "generation_tokens_per_s",
    "prefill_tokens_per_s",
    "step_s",
}


def row(dialect: str = "vllm", **errors: float) -> Row:
    """A row whose figures are off by `errors`; the true value of each is 0.5, its interval 0.1 to both sides."""
    figures = {
        name: Compared(0.5, 0.5 + off, 0.4 + off, 0.6 + off, "modelled", "by hand", None, off)
        for name, off in (dict.fromkeys(FIGURES, 0.0) | errors).items()
    }
    return Row("by hand", dialect, "additive", 0.5, 5.0, 0.02, 0, figures)


def told(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["score", "--simulated", "--processes", "1", *arguments])


def test_errors_are_averaged_without_their_sign() -> None:
    summary = summarise([row(prefill_marginal=0.02), row(prefill_marginal=-0.04), row(decode_batch=0.06)])

    assert summary.prefill_share_mae == pytest.approx((0.02 + 0.04 + 0) / 3)
    assert summary.prefill_share_p95 == pytest.approx(0.02 + 0.9 * (0.04 - 0.02))  # of 0, 0.02, 0.04 at 1.9
    assert summary.decode_batch_mape == pytest.approx(0.06 / 3)
    assert summary.memory_bound_mae == 0
    assert summary.workloads == 3


def test_steps_that_are_declared_identified_are_counted_with_their_errors() -> None:
    """Two fitted ones off by 2 and 6 %, a modelled one by 50 %: mean 4 %, at most 6 %."""
    rows = [row(step_s=0.02), row(step_s=-0.06), row(step_s=0.5)]
    told = [
        replace(one, figures={**one.figures, "step_s": replace(one.figures["step_s"], evidence=evidence)})
        for one, evidence in zip(rows, ("fitted", "fitted", "modelled"), strict=True)
    ]
    summary = summarise(told)

    assert summary.steps_identified == 2
    assert summary.identified_step_mape == pytest.approx(0.04)
    assert summary.identified_step_worst == pytest.approx(0.06)


def test_coverage_counts_intervals_that_hold_the_truth() -> None:
    """Of two rows' six intervals one lies beside it: 0.5 + 0.2 - 0.1 = 0.6 to 0.8 does not hold 0.5."""
    assert summarise([row(memory_bound=0.2), row(memory_bound=0.05)]).coverage_80 == pytest.approx(5 / 6)


def test_a_figure_without_an_interval_or_a_value_is_not_counted_as_covered() -> None:
    exact = Compared(0.5, 0.51, 0.51, 0.51, "measured", "counted", None, 0.01)
    absent = Compared(0.5, None, reason="not told")
    one = row()
    figures = {**one.figures, "prefill_marginal": exact, "prefill_exclusive": absent, "memory_bound": absent}
    summary = summarise([replace(one, figures=figures)])

    assert summary.coverage_80 is None
    assert summary.memory_bound_mae is None
    assert summary.prefill_share_mae == pytest.approx(0.01)


def test_the_headline_is_one_dialects_and_the_others_stand_beside_it() -> None:
    plain = as_plain([row(prefill_marginal=0.01), row("tgi", prefill_marginal=0.3)], "vllm")

    assert plain["prefill_share_mae"] == pytest.approx(0.01)
    assert plain["dialects"]["tgi"]["prefill_share_mae"] == pytest.approx(0.3)
    assert plain["workloads"] == 1
    assert len(plain["rows"]) == 2


def test_an_estimate_is_the_same_whatever_the_truth_is_said_to_be() -> None:
    watched = asyncio.run(watch(SHORT))
    blind = replace(watched, truths=())

    assert estimate(blind) == estimate(watched)


def test_the_error_of_a_rate_is_relative_and_of_a_share_is_not() -> None:
    watched = asyncio.run(watch(SHORT))
    figures = compare(watched, estimate(watched)).figures
    batch, busy = figures["decode_batch"], figures["busy"]
    assert batch.value is not None
    assert busy.value is not None

    assert set(figures) == FIGURES
    assert batch.error == pytest.approx(batch.value / batch.truth - 1)
    assert busy.error == pytest.approx(busy.value - busy.truth)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tokens_per_second_are_right_in_every_dialect(dialect: str) -> None:
    """Within what is under way at the ends of two minutes: up to 16 requests whose tokens wait for their end."""
    figures = score(replace(SHORT, dialect=dialect)).figures
    generated = figures["generation_tokens_per_s"]
    waiting = 16 * 400 / 120 if dialect == "trtllm" else 0.01 * generated.truth
    assert generated.value is not None

    assert abs(generated.value - generated.truth) <= waiting
    assert figures["prefill_tokens_per_s"].error == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("dialect", "evidence"), [("vllm", None), ("sglang", "measured"), ("tgi", "measured"), ("trtllm", "measured")]
)
def test_an_engine_that_times_its_phases_is_measured_and_right(dialect: str, evidence: str | None) -> None:
    figure = score(replace(SHORT, dialect=dialect)).figures["prefill_exclusive"]

    assert figure.evidence is not None
    if evidence is not None:
        assert figure.evidence == evidence
        assert figure.error == pytest.approx(0, abs=0.01)


def test_parallel_processes_give_the_same_rows_in_the_same_order() -> None:
    some = [replace(SHORT, name=str(seed), seed=seed, span_s=20) for seed in range(3)]

    assert list(score_all(some, 2)) == [score(one) for one in some]


def test_the_command_prints_json_with_a_summary_and_rows() -> None:
    result = told("--dialect", "llamacpp", "--workload", "one slot", "--json")
    plain = json.loads(result.stdout)
    (only,) = plain["rows"]

    assert result.exit_code == 0
    assert {
        *("prefill_share_mae", "prefill_share_p95", "memory_bound_mae", "decode_batch_mape", "coverage_80"),
        *("workloads", "dialects", "rows"),
    } <= set(plain)
    assert set(only["figures"]) == FIGURES
    assert (only["dialect"], only["figures"]["prefill_marginal"]["evidence"]) == ("llamacpp", "measured")


def test_the_command_prints_a_table_for_each_dialect() -> None:
    result = told("--workload", "prefill-heavy")

    assert result.exit_code == 0
    assert [name for name in DIALECTS if f"\n{name}: 1 workload" in f"\n{result.stdout}"] == [
        *("sglang", "sglang-no-timer", "tgi", "trtllm", "llamacpp")
    ]


def test_nothing_to_score_on_is_a_mistake() -> None:
    assert CliRunner().invoke(commands, ["score"]).exit_code == 2
    assert told("--workload", "no such").exit_code == 2


def test_the_vllm_workloads_cover_what_a_server_may_meet() -> None:
    found = vllm_workloads(1)

    assert len(found) >= 40
    assert {one.dialect for one in found} == {"vllm"}
    assert (min(one.load for one in found), max(one.load for one in found)) == (0.1, 1.2)
    assert {1, 256} <= {one.seats for one in found}
    assert min(one.prompt.mean for one in found) == 50
    assert max(one.prompt.maximum for one in found) >= 30_000
    assert len({one.chunk_tokens for one in found}) >= 4
    assert {one.speculation is None for one in found} == {True, False}
    assert {one.cached_share is None for one in found} == {True, False}
    assert {one.busy_noise for one in found} == {0.02, 0.05}
    assert {one.poll_interval_s for one in found} == {5.0, 15.0}
    assert {one.law for one in found} == set(Law)


def test_each_dialect_has_workloads_and_each_workload_a_name_and_a_seed_of_its_own() -> None:
    found = workloads(1)

    assert {one.dialect for one in found} == set(DIALECTS)
    assert len({(one.dialect, one.name) for one in found}) == len(found) == len({one.seed for one in found})


def test_another_seed_gives_other_traffic_and_other_kernels() -> None:
    """No estimator can have been made for them."""
    for one, other in zip(workloads(1), workloads(2), strict=True):
        assert one.name == other.name
        assert one.seed != other.seed
        assert one.costs != other.costs
    assert workloads(1) == workloads(1)


def test_capacity_is_where_the_queue_begins_to_grow() -> None:
    """Offered 15 % less than it, nobody waits in the end; offered 15 % more, a share of about 0.15 / 1.15 does."""
    for load, longest in ((0.85, 0.03), (1.15, 0.3)):
        replica = replace(SHORT, load=load, seats=16).build()
        replica.server.advance(1200.0)
        truth = replica.server.truth()
        waiting = (truth.arrivals - truth.completions) / truth.arrivals

        assert waiting < longest
        assert (waiting > 0.06) == (load > 1)
