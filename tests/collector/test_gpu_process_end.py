"""The end of a child: SIGTERM first, SIGKILL after a second deadline, no wait without a limit, at most one stuck."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector.gpu.readings import GpuState
from collector.gpu.supervisor import Limits, NvmlReader
from tests.fakes.frozen_disk import frozen_disk, thaw
from tests.fakes.hand_clock import HandClock
from tests.fakes.nvml_driver import FakeDriver, compiled
from tests.fakes.patience import until

LIMITS = Limits(answer_s=0.5, first_answer_s=20, grace_s=2, reap_s=0.2, close_s=0.3)

DEAF = """
import signal, sys
def note(number, frame):
    print("SIGTERM", file=open(sys.argv[1], "a"))
signal.signal(signal.SIGTERM, note)
sys.stdin.readline()
print('{"id":1,"driver_version":null,"cuda_version":null,"rss_bytes":null,"gpus":[{"uuid":"GPU-0","fields":{}}]}')
sys.stdout.flush()
while True:
    signal.pause()
"""
"""A child that answers once, then never, and takes SIGTERM for a remark."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("library"))


@pytest.fixture
def driver(library: Path, tmp_path: Path) -> FakeDriver:
    return FakeDriver(library, tmp_path)


def process_id(reader: NvmlReader) -> int:
    child = reader._child
    assert child is not None
    return child.process_id


def exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.fault(
    "1", "a GPU monitor is killed outright", promise="end of input first, then SIGTERM, and SIGKILL only a grace later"
)
def test_sigkill_comes_only_a_grace_after_sigterm(tmp_path: Path) -> None:
    told = tmp_path / "told"

    async def run() -> None:
        clock = HandClock()
        reader = NvmlReader(clock, LIMITS, command=[sys.executable, "-c", DEAF, str(told)])
        assert (await reader.read()).status.state is GpuState.OK
        deaf = process_id(reader)
        poll = await reader.read()
        assert (poll.status.state, poll.status.retry_in_s) == (GpuState.TIMEOUT, 1.0)
        await until(told.exists)
        clock.advance(1.9)
        poll = await reader.read()
        assert (poll.status.state, poll.status.children_started) == (GpuState.TIMEOUT, 1)
        assert exists(deaf)
        clock.advance(0.1)
        poll = await reader.read()
        while poll.status.state is GpuState.STUCK:  # a busy machine may take longer than reap_s to reap it
            poll = await reader.read()
        assert (poll.status.state, poll.status.children_started) == (GpuState.OK, 2)
        assert not exists(deaf)
        assert told.read_text() == "SIGTERM\n"
        await reader.close()

    asyncio.run(run())


def test_a_stopped_child_is_killed_and_replaced(driver: FakeDriver) -> None:
    """A stopped process runs no signal handler: only SIGKILL reaches it."""

    async def run() -> None:
        clock = HandClock()
        reader = NvmlReader(clock, LIMITS, environment=driver.environment)
        await reader.read()
        os.kill(process_id(reader), signal.SIGSTOP)
        assert (await reader.read()).status.state is GpuState.TIMEOUT
        clock.advance(LIMITS.grace_s)
        poll = await reader.read()
        while poll.status.state is GpuState.STUCK:
            poll = await reader.read()
        assert (poll.status.state, poll.status.children_started) == (GpuState.OK, 2)
        assert driver.calls()["nvmlShutdown"] == 0
        await reader.close()

    asyncio.run(run())


@pytest.mark.fault("1", "SIGTERM while an NVML call hangs", promise="the end does not wait for the driver")
def test_close_ends_a_child_that_hangs_in_the_driver_within_its_bound(driver: FakeDriver) -> None:
    """A poll is under way; the end of the input and SIGTERM go unheard, so it takes all three steps of 0.3 s."""

    async def run() -> None:
        limits = replace(LIMITS, answer_s=60)
        reader = NvmlReader(HandClock(), limits, environment=driver.environment)
        await reader.read()
        hanging = process_id(reader)
        driver.say("hang nvmlDeviceGetPowerUsage")
        before = driver.calls()["nvmlDeviceGetPowerUsage gpu0"]
        reading = asyncio.create_task(reader.read())
        await until(lambda: driver.calls()["nvmlDeviceGetPowerUsage gpu0"] > before)
        async with asyncio.timeout(20):
            await reader.close()
            poll = await reading
        assert not exists(hanging)
        assert poll.status.state is GpuState.CRASHED
        assert "signal 9" in poll.status.message

    asyncio.run(run())


def test_close_lets_a_healthy_child_shut_nvml_down(driver: FakeDriver) -> None:
    async def run() -> None:
        reader = NvmlReader(HandClock(), replace(LIMITS, close_s=20), environment=driver.environment)
        await reader.read()
        await reader.close()
        await reader.close()
        assert driver.calls()["nvmlShutdown"] == 1

    asyncio.run(run())


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Path]:
    with frozen_disk(tmp_path) as folder:
        yield folder


@pytest.mark.fault(
    "1",
    "the NVML process hangs in the kernel",
    promise="it is reported as stuck, and no second one is started beside it",
)
def test_a_child_in_the_kernel_is_stuck_and_no_other_is_started_before_it_is_gone(
    driver: FakeDriver, frozen: Path
) -> None:
    async def run() -> None:
        clock = HandClock()
        reader = NvmlReader(clock, replace(LIMITS, answer_s=1.0), environment=driver.environment)
        await reader.read()
        wedged = process_id(reader)
        try:
            driver.say(f"block {frozen}/file")
            assert (await reader.read()).status.state is GpuState.TIMEOUT
            for _ in range(3):
                clock.advance(1000.0)
                poll = await reader.read()
                assert (poll.status.state, poll.status.retry_in_s) == (GpuState.STUCK, None)
                assert f"process {wedged} " in poll.status.message
                assert poll.status.children_started == 1
                assert [gpu.reason for gpu in poll.gpus] == ["stuck"]
            assert exists(wedged)
            driver.say()
        finally:
            thaw(frozen)
        await until(lambda: not exists(wedged))
        poll = await reader.read()
        assert (poll.status.state, poll.status.children_started) == (GpuState.OK, 2)
        await reader.close()

    asyncio.run(run())


@pytest.mark.fault("1", "the NVML process hangs in the kernel", promise="the daemon can end without it")
def test_the_daemon_can_end_while_a_child_is_in_the_kernel(driver: FakeDriver, frozen: Path) -> None:
    """A whole process reads, closes and exits with status 0 while its child is still there."""
    code = """
import asyncio, os, sys
from collector.clock import SystemClock
from collector.gpu.supervisor import Limits, NvmlReader

async def run():
    reader = NvmlReader(SystemClock(), Limits(answer_s=1.0, first_answer_s=20, close_s=0.2))
    print((await reader.read()).status.state)
    with open(os.environ["FAKE_NVML_CONTROL"], "w") as control:
        print("block", sys.argv[1], file=control)
    print((await reader.read()).status.state)
    print(reader._child.process_id)
    await reader.close()

asyncio.run(run())
"""
    try:
        command = [sys.executable, "-P", "-c", code, str(frozen / "file")]
        ended = subprocess.run(command, env=driver.environment, stdout=subprocess.PIPE, timeout=60, check=True)
        first, second, process = ended.stdout.decode().split()
        assert (first, second, exists(int(process))) == ("ok", "timeout", True)
    finally:
        driver.say()
        thaw(frozen)
