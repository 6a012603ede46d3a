"""Days of a simulated fleet, run fast: the verdict settles once, stands through the daily cycle, and turns for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from analyzer.verdict import Verdict
from collector.simulator.traffic import Lengths
from collector.simulator.workloads import Workload
from collector.store import Store
from tests.fakes.hand_clock import HandClock
from tests.fakes.simulated_days import HOUR_S, Days, server_of

BEGIN_S = 1_795_392_000.0
"""2026-11-23 00:00 UTC."""
CONFIG = """
analysis: {{history: 30h}}
deployments:
  - name: chat
    match: {{job: days}}
    gpu: H100 SXM 80GB
    gpus_per_replica: 1
    weight_bits: 16
    seats: 8
    schemes: [w4a16]
    price: {{usd_per_gpu_hour: {price}, source: contract, date: 2026-11-01}}
    objectives: {{ttft: {{seconds: 10}}, itl: {{seconds: 0.05}}}}
    costs: {{engineering_hours: 60, engineering_usd_per_hour: 110}}
    quality:
      w4a16: {{result: pass, metric: exam, owner: alice, date: 2026-11-01, relative_loss: 0.004}}
"""
REPLICAS = 4


def workload(load: float) -> Workload:
    """Long answers to short questions on few seats; the rate swings by half through the day."""
    return Workload(
        "chat",
        load,
        Lengths(mean=300, sigma=0.5, minimum=30, maximum=1200),
        Lengths(mean=1000, sigma=0.5, minimum=100, maximum=4000),
        seed=1,
        seats=8,
        swing=0.5,
        swing_period_s=24 * HOUR_S,
    )


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    folder: Path = tmp_path_factory.mktemp("days")
    simulated = server_of(workload(0.55), BEGIN_S, workload(0.1), 50 * HOUR_S)
    with closing(Store.open(str(folder / "breakeven.db"), HandClock(BEGIN_S))) as store:
        yield Days(store, simulated, REPLICAS, BEGIN_S, CONFIG.format(price=2.5))


def verdicts(days: Days, *hours: float) -> list[Verdict]:
    """The verdict that is shown at these hours; a new one must have held for half an hour."""
    shown = []
    for hour in hours:
        days.run_to(hour * HOUR_S)
        (one,) = days.report().deployments
        shown.append(one.schemes[0].verdict)
    return shown


def test_the_verdict_settles_once_and_stands_through_the_daily_cycle(days: Days) -> None:
    """Nothing for a day; then one verdict, at night as at the peak: it rests on the peak and the day's mix."""
    before, after = verdicts(days, 12, 23), verdicts(days, *range(25, 47, 2))

    assert set(before) == {Verdict.INSUFFICIENT_DATA}
    assert set(after) == {Verdict.WORTH_IT}


def test_it_turns_when_the_price_changes_for_good_and_back(days: Days) -> None:
    """At 10 cents a GPU-hour a GPU brings $876 a year, and four of them less than the $6,600 of work."""
    days.configure(CONFIG.format(price=0.1))
    cheap = verdicts(days, 47, 47.5, 48)
    days.configure(CONFIG.format(price=2.5))
    dear = verdicts(days, 48.5, 49, 49.5)

    assert (cheap[0], cheap[-1]) == (Verdict.WORTH_IT, Verdict.NO)
    assert (dear[0], dear[-1]) == (Verdict.NO, Verdict.WORTH_IT)


def test_it_turns_when_the_load_falls_for_good(days: Days) -> None:
    """From hour 50 on a fifth comes: when 30 hours show nothing else, the scheme frees nothing that is not idle."""
    after = verdicts(days, 82, 83)

    assert after[-1] is Verdict.NO
    (one,) = days.report().deployments
    assert any("consolidate first" in reason for reason in one.schemes[0].judged.reasons_against)
