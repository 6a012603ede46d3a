"""Two simulated servers of one deployment, one quantized: what the daemon's analysis says it did is what it did."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from analyzer.canary import Canary
from analyzer.report import Report, as_plain
from analyzer.samples import Identity, ReplicaKey
from collector.export.text import print_report
from collector.jobs.analyse import Analyse
from collector.jobs.polled import Polled, Roster
from collector.jobs.simulated_polls import SimulatedPolls
from collector.settings.load import parse_settings
from collector.simulator.costs import StepCosts
from collector.simulator.traffic import Lengths
from collector.simulator.workloads import Workload
from collector.store import Store
from tests.fakes.hand_clock import HandClock

BEGIN_S = 1_795_392_000.0
"""2026-11-23 00:00 UTC."""
HOURS = 3
POLL_S = 20.0
WEIGHTS, PREFILL = 0.55, 0.8
"""What is left of the seconds of reading weights, and of a prompt's and a sequence's arithmetic."""
CONFIG = """
deployments:
  - {name: chat, match: {job: simulated}, gpu: H100 SXM 80GB, gpus_per_replica: 1, weight_bits: 16,
     schemes: [fp8-w8a8, w4a16]}
"""


class Quantized(Workload):
    """The same requests on cheaper steps."""

    @property
    def costs(self) -> StepCosts:
        usual = Workload.costs.fget(self)  # type: ignore[attr-defined]
        return replace(
            usual, weight_bytes=WEIGHTS * usual.weight_bytes, flops_efficiency=usual.flops_efficiency / PREFILL
        )


def workload(kind: type[Workload], load: float, seed: int) -> Workload:
    """A busy chat whose rate swings, so that its counters tell what a step costs."""
    return kind(
        "chat",
        load,
        Lengths(mean=400, sigma=0.4, minimum=50, maximum=1500),
        Lengths(mean=300, sigma=0.4, minimum=50, maximum=1200),
        seed=seed,
        seats=64,
        swing=0.6,
    )


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, float]:
    """The report after some hours, and the true speed-up of the unquantized server's work."""
    servers = {
        "plain": (workload(Workload, 0.6, 1).build(), None),
        "canary": (workload(Quantized, 0.45, 2).build(), "fp8"),
    }
    roster = Roster()
    with closing(Store.open(str(tmp_path_factory.mktemp("canary") / "breakeven.db"), HandClock(BEGIN_S))) as store:
        for name, (server, quantization) in servers.items():
            polls, samples = SimulatedPolls(server, exclusive=True), []
            for number in range(1, int(HOURS * 3600 / POLL_S) + 1):
                found = asyncio.run(polls.poll(number * POLL_S, POLL_S))
                at_s = BEGIN_S + number * POLL_S
                key = ReplicaKey(f"http://{name}:8000/metrics", found.model, found.rank)
                identity = Identity(found.engine, **{**found.identity, "quantization": quantization})
                if key not in roster.epochs:
                    roster.epochs[key] = store.writer.register(key, identity, found.process_start, "simulated", at_s)
                samples.append(found.sample(key.target, roster.epochs[key], at_s, POLL_S))
                roster.polled[key] = Polled(
                    key, "simulated", identity, found.process_start, at_s, at_s, POLL_S, {}, lumpy=found.lumpy
                )
            store.writer.append(samples)
        now_s = BEGIN_S + HOURS * 3600
        store.roll_up(now_s)
        report = Analyse(store, parse_settings(CONFIG, "")).run(roster.polled, roster.epochs, now_s)
    true = servers["plain"][0].server.truth()
    cheaper_s = (1 - WEIGHTS) * true.weight_read_s + (1 - PREFILL) * (true.prefill_s + true.decode_compute_s)
    return report, true.busy_s / (true.busy_s - cheaper_s)


def canary(report: Report) -> Canary:
    found = {one.scheme: one.canary for one in report.deployments[0].schemes}["fp8-w8a8"]
    assert isinstance(found, Canary), found
    return found


def test_what_was_realised_is_the_truth_within_its_interval(seen: tuple[Report, float]) -> None:
    report, truth = seen
    realised = canary(report).realised

    assert realised.value == pytest.approx(truth, rel=0.05)
    assert realised.low < truth < realised.high


def test_the_report_says_where_it_was_tried_and_how_much_of_the_prediction_came_true(
    seen: tuple[Report, float],
) -> None:
    report, _ = seen
    one, page = canary(report), StringIO()

    print_report(as_plain(report), Console(file=page, width=160, color_system=None), report.made_at_s)

    text = " ".join(page.getvalue().split())
    assert f"tried: {one.realised.value:.2f}" in text
    assert "x on canary:8000 beside plain:8000" in text
    assert text.count("that was predicted") == 1
