"""How the GPU source fails, says so, and comes back: the real child over a driver that hangs, crashes and refuses."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collector.gpu.readings import GpuPoll, GpuReading, GpuState
from collector.gpu.supervisor import Limits, NvmlReader
from tests.fakes.hand_clock import HandClock
from tests.fakes.nvml_driver import FakeDriver, compiled
from tests.fakes.patience import until

GPU0 = "GPU-00000000-0000-0000-0000-000000000000"

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


@pytest.mark.fault("1", "an NVML call hangs", promise="one poll of the GPUs is lost; the next one asks a new process")
def test_a_hanging_driver_costs_one_poll_and_the_event_loop_runs_on(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        await reader.read()
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        driver.say("hang nvmlDeviceGetPowerUsage")
        poll = await reader.read()
        ticking.cancel()
        assert ticks >= 3
        assert poll.gpus == (GpuReading(GPU0, reason="timeout"),)
        assert (poll.status.state, poll.status.message) == (GpuState.TIMEOUT, "NVML did not answer within 0.3 s")
        assert "nvidia-smi" in poll.status.remedy
        assert poll.status.retry_in_s == 1.0
        driver.say("gpu0.util 12")
        clock.advance(1.0)
        poll = await reader.read()
        assert poll.status.state is GpuState.OK
        assert poll.gpus[0].fields["utilization_ratio"] == 0.12
        assert poll.status.children_started == 2

    play(driver, story, LIMITS)


@pytest.mark.fault(
    "1", "a GPU monitor is killed outright", promise="a call that returns in time is followed by nvmlShutdown"
)
def test_a_call_that_comes_back_after_sigterm_is_followed_by_nvml_shutdown(driver: FakeDriver) -> None:
    """The hanging call returns when its line goes; a SIGKILL would leave no call of nvmlShutdown."""

    async def story(reader: NvmlReader, clock: HandClock) -> None:
        await reader.read()
        driver.say("hang nvmlDeviceGetPowerUsage")
        assert (await reader.read()).status.state is GpuState.TIMEOUT
        assert driver.calls()["nvmlShutdown"] == 0
        driver.say()
        clock.advance(1.0)
        assert (await reader.read()).status.state is GpuState.OK
        assert driver.calls()["nvmlShutdown"] == 1

    play(driver, story, LIMITS)


def test_a_driver_that_is_slow_to_start_gets_more_time_in_each_child(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        driver.say("hang nvmlInitWithFlags")
        messages = []
        for _ in range(4):
            poll = await reader.read()
            assert (poll.gpus, poll.status.state) == ((), GpuState.TIMEOUT)
            messages.append(poll.status.message)
            clock.advance(60.0)
            os.kill(reader._child.process_id, signal.SIGKILL)  # so that the next poll finds it gone
        assert messages == [f"NVML did not answer within {wait} s" for wait in (0.1, 0.2, 0.4, 0.4)]

    play(driver, story, replace(LIMITS, first_answer_s=0.1, first_answer_last_s=0.4))


@pytest.mark.fault(
    "1", "the driver library crashes", promise="one poll of the GPUs is lost; a new process takes the next"
)
def test_a_segfault_in_the_driver_costs_one_poll(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        await reader.read()
        driver.say("segv nvmlDeviceGetPowerUsage")
        poll = await reader.read()
        assert poll.status.state is GpuState.CRASHED
        assert poll.status.message == "NVML's process was ended by signal 11 (Segmentation fault)"
        assert states(poll) == {GPU0: "crashed"}
        driver.say()
        clock.advance(1.0)
        assert (await reader.read()).status.state is GpuState.OK

    play(driver, story)


def test_a_success_makes_the_next_wait_short_again(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        waits = []
        for control in ("fn.nvmlInitWithFlags 9", "fn.nvmlInitWithFlags 9", "count 1", "segv nvmlDeviceGetCount_v2"):
            driver.say(control)
            poll = await reader.read()
            waits.append(poll.status.retry_in_s)
            clock.advance(2.0)
        assert waits == [1.0, 2.0, None, 1.0]

    play(driver, story)


@pytest.mark.fault(
    "1",
    "driver and library are of different versions",
    promise="the remedy is named; each try is a new process, since the old one holds the old library",
)
@pytest.mark.parametrize(
    ("code", "state", "word"),
    [
        (4, GpuState.NO_PERMISSION, "/dev/nvidiactl"),
        (9, GpuState.ABSENT, "modprobe"),
        (17, GpuState.UNKNOWN_ERROR, "cgroup"),
        (18, GpuState.DRIVER_MISMATCH, "reboot"),
        (999, GpuState.UNKNOWN_ERROR, "restart the container"),
        (77, GpuState.UNKNOWN_ERROR, "kernel log"),
    ],
)
def test_a_failed_initialisation_names_its_remedy_and_is_tried_again_in_a_new_process(
    driver: FakeDriver, code: int, state: GpuState, word: str
) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        driver.say(f"fn.nvmlInitWithFlags {code}")
        poll = await reader.read()
        assert (poll.gpus, poll.status.state) == ((), state)
        assert str(code) in poll.status.message
        assert word in poll.status.remedy
        driver.say()
        clock.advance(0.9)
        assert (await reader.read()).status == replace(poll.status, retry_in_s=pytest.approx(0.1))
        assert driver.calls()["nvmlInitWithFlags"] == 1
        clock.advance(0.1)
        poll = await reader.read()
        assert (poll.status.state, poll.status.children_started) == (GpuState.OK, 2)

    play(driver, story)


@pytest.mark.fault("1", "no driver library", promise="the source names its remedy")
def test_without_the_library_the_source_is_absent(driver: FakeDriver, tmp_path: Path) -> None:
    """An empty file in front of the search path hides a real driver too."""
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    (nothing / "libnvidia-ml.so.1").touch()
    driver.environment["LD_LIBRARY_PATH"] = str(nothing)

    async def story(reader: NvmlReader, clock: HandClock) -> None:
        poll = await reader.read()
        assert (poll.gpus, poll.status.state) == ((), GpuState.ABSENT)
        assert poll.status.message == "libnvidia-ml.so.1 cannot be found or loaded (library_not_found, 12)"
        assert "NVIDIA_DRIVER_CAPABILITIES=utility" in poll.status.remedy

    play(driver, story)


@pytest.mark.fault(
    "1", "the driver library leaks memory", promise="a process older than its limit (6 hours unless set) is replaced"
)
def test_a_child_is_replaced_when_it_is_old(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        started = []
        for _ in range(4):
            poll = await reader.read()
            assert poll.status.state is GpuState.OK
            started.append(poll.status.children_started)
            clock.advance(50.0)
        assert started == [1, 1, 1, 2]  # at 0, 50 and 100 s; the poll at 100 s is the first one's last
        assert driver.calls()["nvmlShutdown"] == 1

    play(driver, story, replace(PATIENT, recycle_after_s=100.0))


@pytest.mark.fault("1", "the driver library leaks memory", promise="a process that grew is replaced")
def test_a_child_is_replaced_when_it_is_large(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        polls = [await reader.read() for _ in range(3)]
        assert [poll.status.state for poll in polls] == [GpuState.OK] * 3
        assert [poll.status.children_started for poll in polls] == [1, 2, 3]
        assert all(poll.status.child_rss_bytes > 1_000_000 for poll in polls)

    play(driver, story, replace(PATIENT, recycle_above_bytes=1_000_000))


def test_two_readings_at_once_take_turns(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        polls = await asyncio.gather(reader.read(), reader.read(), reader.read())
        assert [poll.status.state for poll in polls] == [GpuState.OK] * 3
        assert polls[0].status.children_started == 1

    play(driver, story)


def test_a_cancelled_reading_leaves_no_answer_for_the_next(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        await reader.read()
        driver.say("hang nvmlDeviceGetPowerUsage", "gpu0.util 1")
        before = driver.calls()["nvmlDeviceGetPowerUsage gpu0"]
        reading = asyncio.create_task(reader.read())
        await until(lambda: driver.calls()["nvmlDeviceGetPowerUsage gpu0"] > before)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        driver.say("gpu0.util 99")
        poll = await reader.read()
        assert poll.gpus[0].fields["utilization_ratio"] == 0.99

    play(driver, story)


def test_after_close_nothing_is_started(driver: FakeDriver) -> None:
    async def story(reader: NvmlReader, clock: HandClock) -> None:
        await reader.read()
        await reader.close()
        assert driver.calls()["nvmlShutdown"] == 1
        poll = await reader.read()
        assert (poll.status.state, poll.status.children_started) == (GpuState.CRASHED, 1)

    play(driver, story)
