"""The step-time model on real servers on the CPU under a swinging load: windows that it was not fitted to."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from analyzer.evidence import Missing
from analyzer.samples import ReplicaSample
from analyzer.steptime.account import SpanShares, shares
from analyzer.steptime.fit import StepModel, fit
from analyzer.steptime.parts import in_spans
from analyzer.windows import pairwise_totals
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.target import TargetScraper
from collector.servers import detect
from tests.e2e.test_llama_eight_slots import union_s
from tests.e2e.test_llama_server import free_port
from tests.fakes.daemon_process import helper
from tests.fakes.nano_model import Shape, write_nano_model
from tests.soak import test_live_vllm as vllm
from tests.soak.answering import wait
from tests.soak.drift import slowdown, steps_told
from tests.soak.install_vllm import main as install
from tests.soak.swinging_load import CLIENTS, Answer, Recorded, ask_llama, drive

pytestmark = pytest.mark.soak
WARM_UP_S, MINUTE_S, WINDOW_S, WINDOWS = 60.0, 60.0, 300.0, 4
RUN_S = WARM_UP_S + WINDOW_S * WINDOWS + 15.0
LLAMA = Shape(embedding=640, layers=10, heads=10, feed_forward=1792)
"""Of 100 MB: its weights come from memory at every step, as those of a model that is served, and from no cache."""
FEWEST = 3
"""On a CPU llama.cpp multiplies for one sequence with other kernels than for several: a step took 3.5 ms for one, 10
for two or three, 17 for four, 21 for eight. No law linear in the batch holds across the first of these."""


def ask_vllm(port: int, prompt: int, tokens: int, chance: random.Random) -> Answer:
    vllm.ask(port, prompt, tokens, chance)
    return Answer(None, time.time())


async def recorded(
    port: int, pid: int, ask: Callable[..., Answer], log: Path | None, run_s: float, fewest: int
) -> Recorded:
    ask(port, 32, 16, random.Random(99))  # the first step of a process is like no other
    async with client_session() as session:
        scraper = TargetScraper(f"http://127.0.0.1:{port}/metrics", Fetcher(session), detect, log_file=log)
        await scraper.scrape()
        await scraper.identify()
        return await drive(scraper, partial(ask, port), pid, run_s, fewest, log)


def run_vllm(folder: Path, run_s: float) -> Recorded:
    install(vllm.ENVIRONMENT)
    port, log = free_port(), folder / "vllm.log"
    process = vllm.server(folder, port, log)
    try:
        wait("vLLM", process, port, log, vllm.START_LIMIT_S)
        run = asyncio.run(recorded(port, process.pid, ask_vllm, log, run_s, 1))
    finally:
        process.terminate()
        process.wait(timeout=60)
    return replace(run, pieces=steps_told(log.read_bytes(), ((one.at_s, one.log_bytes) for one in run.machine)))


def run_llama(folder: Path, run_s: float) -> Recorded:
    model, port = folder / "llama.gguf", free_port()
    write_nano_model(model, shape=LLAMA)
    with helper("-m", "tests.fakes.llama_process", str(model), str(port), str(CLIENTS), "1") as (process, _):
        return asyncio.run(recorded(port, process.pid, ask_llama, None, run_s, FEWEST))


@dataclass(frozen=True)
class Window:
    """Five minutes that were not fitted: mean step time in seconds as predicted and as measured.

    `drift` is how many times as long the same steps took as in the windows that were fitted, and the share of them that
    has its like there; None where no single steps are told. `others` is the mean number of processors that processes
    other than the server kept busy.
    """

    predicted_s: float
    measured_s: float
    drift: tuple[float, float] | None
    steps: float
    others: float
    load: float

    @property
    def expected_s(self) -> float:
        """Measured, at the speed that the machine had in the windows that were fitted."""
        assert self.drift is not None
        slower, alike = self.drift
        assert alike > 0.5
        return self.measured_s / slower


def untimed(sample: ReplicaSample) -> ReplicaSample:
    """As from a server whose log of steps nobody reads: without the seconds of its steps."""
    return replace(sample, prefill_s_total=None, prefill_marginal_s_total=None, decode_s_total=None)


def logged_s(run: Recorded, start_s: float, end_s: float) -> float:
    """vLLM: seconds of the steps that its log tells, between the polls at both ends."""
    total = 0.0
    for pair in pairwise_totals(run.samples):
        if start_s <= pair.start_s and pair.end_s <= end_s:
            prefill_s, decode_s = pair.deltas["prefill_s_total"], pair.deltas["decode_s_total"]
            assert prefill_s is not None
            assert decode_s is not None
            total += prefill_s + decode_s
    return total


def occupied_s(run: Recorded, start_s: float, end_s: float) -> float:
    """llama.cpp: seconds in which it had a request under way, by its clients' clock and the prompts' own timings."""
    spans = ((one.began_s, one.ended_s) for one in run.answers if one.began_s is not None)
    return union_s((max(begin_s, start_s), min(done_s, end_s)) for begin_s, done_s in spans if begin_s < end_s)


def held_out(
    run: Recorded, samples: list[ReplicaSample], mixed: bool, measured: Callable[[Recorded, float, float], float]
) -> list[Window]:
    """Fits to every other five minutes, as the daemon does by the minute and without knowing the hardware."""
    warm = [one for one in samples if one.at_s >= samples[0].at_s + WARM_UP_S]
    minutes = in_spans(warm, [], MINUTE_S)
    each = round(WINDOW_S / MINUTE_S)
    whole = [minutes[number * each : (number + 1) * each] for number in range(WINDOWS)]
    model = fit([part for window in whole[::2] for part in window], Missing("a CPU"), mixed=mixed)
    assert isinstance(model, StepModel), model
    found = []
    fitted = [(window[0].totals.start_s, window[-1].totals.end_s) for window in whole[::2]]
    for window in whole[1::2]:
        told = shares(model, window)
        assert isinstance(told, SpanShares)
        steps = sum(value for part in window if (value := part.totals.deltas["steps_total"]) is not None)
        start_s, end_s = window[0].totals.start_s, window[-1].totals.end_s
        inside = [one for one in run.machine if start_s <= one.at_s <= end_s]
        first, last = inside[0], inside[-1]
        others_s = (last.busy_s - last.server_s) - (first.busy_s - first.server_s)
        found.append(
            Window(
                told.busy_s / steps,
                measured(run, start_s, end_s) / steps,
                slowdown(run.pieces, fitted, (start_s, end_s)) if run.pieces else None,
                steps,
                others_s / (last.at_s - first.at_s),
                sum(one.load for one in inside) / len(inside),
            )
        )
    return found


def shown(name: str, windows: list[Window]) -> list[Window]:
    for number, one in enumerate(windows):
        like = "; the same steps took {:.3f} times as long, as {:.0%} of them tell"
        drift = "" if one.drift is None else like.format(*one.drift)
        print(
            f"{name}, held-out window {number + 1}: predicted {one.predicted_s * 1000:.2f} ms a step, measured "
            f"{one.measured_s * 1000:.2f} ms, error {one.predicted_s / one.measured_s - 1:+.1%}{drift} "
            f"({one.steps:.0f} steps; others kept {one.others:.2f} processors busy, load {one.load:.1f})",
            file=sys.stderr,
        )
    return windows


def vllm_windows(run: Recorded) -> list[Window]:
    return shown("vLLM", held_out(run, [untimed(one) for one in run.samples], True, logged_s))


def llama_windows(run: Recorded) -> list[Window]:
    return shown("llama.cpp", held_out(run, run.samples, True, occupied_s))


@pytest.fixture(scope="module")
def vllm_run(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return run_vllm(tmp_path_factory.mktemp("vllm"), RUN_S)


@pytest.fixture(scope="module")
def llama_run(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return run_llama(tmp_path_factory.mktemp("llama"), RUN_S)


def test_vllms_mean_step_time_is_predicted_within_5_percent_from_a_page_without_its_step_log(
    vllm_run: Recorded,
) -> None:
    """Fitted to two windows of five minutes, for the two between and behind them; measured by the log of steps.

    The machine's speed is not the model's business: what is measured counts as it would have been at the fitted
    windows' speed, told by steps of the same kinds.
    """
    windows = vllm_windows(vllm_run)
    assert [one.predicted_s for one in windows] == pytest.approx([one.expected_s for one in windows], rel=0.05)


def test_llama_cpps_mean_step_time_is_predicted_within_5_percent(llama_run: Recorded) -> None:
    """The same of eight slots; measured by the time in which its clients had a request under way, over its steps."""
    windows = llama_windows(llama_run)
    assert [one.predicted_s for one in windows] == pytest.approx([one.measured_s for one in windows], rel=0.05)
