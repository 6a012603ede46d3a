"""Which GPUs there are: fewer, none, others than before, and the search for the missing ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collector.gpu.readings import GpuPoll, GpuState
from collector.gpu.supervisor import Limits, NvmlReader
from tests.fakes.hand_clock import HandClock
from tests.fakes.nvml_driver import FakeDriver, compiled

GPU0 = "GPU-00000000-0000-0000-0000-000000000000"
GPU1 = "GPU-00000000-0000-0000-0000-000000000001"
NEW = "GPU-11111111-1111-1111-1111-111111111111"

# A first answer has ample time, so that a busy machine fails no test; the short deadline is for what never comes.
LIMITS = Limits(answer_s=0.3, first_answer_s=20, reap_s=20, close_s=20)
PATIENT = replace(LIMITS, answer_s=20)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("library"))


@pytest.fixture
def driver(library: Path, tmp_path: Path) -> FakeDriver:
    return FakeDriver(library, tmp_path)


def play(
    driver: FakeDriver,
    story: Callable[[NvmlReader, HandClock], Awaitable[None]],
    limits: Limits = PATIENT,
    **options: object,
) -> None:
    """Runs a story with a reader of the driver, and ends the reader."""

    async def run() -> None:
        clock = HandClock()
        reader = NvmlReader(clock, limits, environment=driver.environment, **options)
        try:
            async with asyncio.timeout(60):
                await story(reader, clock)
        finally:
            await reader.close()

    asyncio.run(run())


def states(poll: GpuPoll) -> dict[str, str | None]:
    return {gpu.uuid: gpu.reason for gpu in poll.gpus}


@pytest.mark.fault("1", "fewer GPUs than before, or none", promise="a missing GPU stays in the list as missing")
def test_fewer_gpus_than_before_are_missing_ones_and_a_new_process_looks_for_them(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        driver.say("count 2")
        assert states(await reader.read()) == {GPU0: None, GPU1: None}
        driver.say("count 1")
        for started in (1, 1, 2):  # the second of these polls, 30 s after the first, is the old process's last
            poll = await reader.read()
            assert poll.status.state is GpuState.OK
            assert states(poll) == {GPU0: None, GPU1: "missing"}
            assert poll.status.children_started == started
            clock.advance(30.0)
        driver.say("count 2")
        assert states(await reader.read()) == {GPU0: None, GPU1: None}

    play(driver, story)


@pytest.mark.fault(
    "1", "fewer GPUs than before, or none", promise="no GPU at all is a failed collection, never an idle machine"
)
def test_no_gpu_where_there_were_some_is_a_failure(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        driver.say("count 2")
        await reader.read()
        driver.say("count 0")
        poll = await reader.read()
        assert poll.status.state is GpuState.NO_GPUS
        assert poll.status.message == "the driver shows no GPU, but 2 were seen before"
        assert states(poll) == {GPU0: "missing", GPU1: "missing"}
        driver.say("count 2")
        clock.advance(1.0)
        assert states(await reader.read()) == {GPU0: None, GPU1: None}

    play(driver, story)


@pytest.mark.fault(
    "1", "fewer GPUs than before, or none", promise="one that is expected is missed from the first poll on"
)
def test_a_gpu_that_an_earlier_run_saw_is_missed_from_the_first_poll_on(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        assert states(await reader.read()) == {GPU0: None, GPU1: "missing"}

    play(driver, story, expected=[GPU1, GPU0])


@pytest.mark.fault("1", "a GPU is renumbered or swapped", promise="GPUs are known by UUID, never by number")
def test_a_swapped_gpu_is_a_new_one_and_the_old_one_is_missing(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        await reader.read()
        driver.say(f"gpu0.uuid {NEW}")
        assert states(await reader.read()) == {GPU0: "missing", NEW: None}

    play(driver, story)


@pytest.mark.fault("1", "a GPU is lost", promise="an only one is looked for again, after twice the time each time")
def test_an_only_gpu_that_is_lost_is_looked_for_by_new_processes_ever_more_rarely(driver: FakeDriver) -> None:
    """The process that lost it counts as the first; once the GPU is back, the next loss waits a second again."""

    async def story(reader: NvmlReader, clock: HandClock) -> None:
        await reader.read()
        driver.say("gpu0.state 15")
        for started, wait_s in enumerate((1.0, 2.0, 4.0, 8.0), 1):
            poll = await reader.read()
            assert (poll.status.state, poll.status.children_started) == (GpuState.NO_GPUS, started)
            assert states(poll) == {GPU0: "gpu_is_lost"}
            assert poll.status.retry_in_s == wait_s
            clock.advance(wait_s / 2)
            again = await reader.read()
            assert (again.gpus, again.status.children_started) == (poll.gpus, started)
            clock.advance(wait_s / 2)
        driver.say()
        poll = await reader.read()
        assert (poll.status.state, poll.status.children_started) == (GpuState.OK, 5)
        driver.say("gpu0.state 15")
        assert (await reader.read()).status.retry_in_s == 1.0

    play(driver, story)
