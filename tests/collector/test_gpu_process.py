"""A child that cannot start, dies, or talks nonsense; and the wait before the next one."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from collector.gpu.process import ChildEndedError, ChildProcess, Ending
from collector.gpu.readings import GpuState
from collector.gpu.supervisor import Limits, NvmlReader
from tests.fakes.hand_clock import HandClock

PATIENT = Limits(answer_s=20, first_answer_s=20, reap_s=20, close_s=20)


def python(code: str) -> list[str]:
    return [sys.executable, "-P", "-c", code]


def crash_message(command: list[str]) -> str:
    """What the first poll says of a child that runs `command`."""

    async def run() -> str:
        reader = NvmlReader(HandClock(), PATIENT, command=command)
        poll = await reader.read()
        await reader.close()
        assert (poll.gpus, poll.status.state) == ((), GpuState.CRASHED)
        return poll.status.message

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "NVML's process ended with exit status 3"),
        ("import os; os.kill(os.getpid(), 6)", "NVML's process was ended by signal 6 (Aborted)"),
        ("input(); print('Segmentation fault')", "NVML's process answered with something that is not JSON"),
        ("input(); print('[1]')", "NVML's process answered another request than the one asked"),
        ("input(); print('{\"id\": 2}')", "NVML's process answered another request than the one asked"),
        ("input(); print('{\"id\": 1}')", "NVML's process gave an answer of another form: 'gpus'"),
        ("input(); print('x' * 5_000_000, end='')", "NVML's process answered with something that is not JSON"),
    ],
)
def test_a_child_that_gives_no_answer_is_a_crash_with_its_cause(code: str, message: str) -> None:
    assert crash_message(python(code)) == message


@pytest.mark.parametrize(
    "gpu",
    [
        '{"uuid": "GPU-0"}',
        '{"uuid": "GPU-0", "fields": {"power_w": "hot"}}',
        '{"uuid": "GPU-0", "fields": {"power_kw": 0.3}}',
        '{"uuid": "GPU-0", "fields": [1]}',
        '{"fields": {}}',
        "7",
    ],
)
def test_a_gpu_of_another_form_is_a_crash_and_not_a_reading(gpu: str) -> None:
    answer = f'{{"id":1,"driver_version":null,"cuda_version":null,"rss_bytes":null,"gpus":[{gpu}]}}'
    assert crash_message(python(f"input(); print({answer!r})")).startswith(
        "NVML's process gave an answer of another form"
    )


def test_a_command_that_does_not_exist_is_told() -> None:
    assert crash_message(["/nonexistent/python"]).startswith("NVML's process could not be started: ")


@pytest.mark.fault(
    "1", "a GPU is lost", promise="the wait before another process looks doubles from one second to five minutes"
)
def test_the_wait_before_a_new_child_doubles_from_one_second_to_five_minutes_and_is_told() -> None:
    """1, 2, 4 ... 256 s are nine waits; the tenth would be 512 s and is 300 s."""

    async def run() -> None:
        clock = HandClock()
        reader = NvmlReader(clock, PATIENT, command=python("raise SystemExit(1)"))
        waits = []
        for number in range(1, 12):
            poll = await reader.read()
            assert poll.status.children_started == number
            wait_s = poll.status.retry_in_s
            assert wait_s is not None
            waits.append(wait_s)
            clock.advance(wait_s / 2)
            poll = await reader.read()
            assert (poll.status.state, poll.status.children_started) == (GpuState.CRASHED, number)
            assert poll.status.retry_in_s == wait_s / 2
            clock.advance(wait_s / 2)
        assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]
        await reader.close()

    asyncio.run(run())


def test_a_child_may_answer_in_pieces_and_then_end() -> None:
    code = "import sys; input(); sys.stdout.write('{\"id\":'); sys.stdout.flush(); print(' 1}')"

    async def run() -> None:
        child = await ChildProcess.start(python(code))
        assert await child.ask({}, 20) == {"id": 1}
        assert child.warm
        with pytest.raises(ChildEndedError, match="ended with exit status 0"):
            await child.ask({}, 20)
        assert await child.gone_within(20)

    asyncio.run(run())


def test_an_answer_that_came_while_the_event_loop_was_busy_is_in_time(tmp_path: Path) -> None:
    """The loop is held up beyond the deadline, and until the child has answered."""
    second_answered = tmp_path / "answered2"
    code = """
import pathlib, sys
for number, _ in enumerate(sys.stdin, 1):
    print('{"id": %d}' % number, flush=True)
    pathlib.Path(f"{sys.argv[1]}{number}").touch()
"""

    async def run() -> None:
        child = await ChildProcess.start([*python(code), str(tmp_path / "answered")])
        await child.ask({}, 20)
        asking = asyncio.create_task(child.ask({}, 0.1))
        await asyncio.sleep(0)
        started_s = time.monotonic()
        while not second_answered.exists() or time.monotonic() < started_s + 0.2:
            assert time.monotonic() < started_s + 60, "the child did not answer"
        assert await asking == {"id": 2}
        child.end(Ending.INPUT_CLOSED)
        assert await child.gone_within(20)

    asyncio.run(run())


def test_telling_a_gone_child_to_end_is_harmless() -> None:
    async def run() -> None:
        child = await ChildProcess.start(python("pass"))
        assert await child.gone_within(20)
        child.end(Ending.KILLED)
        child.abandon()

    asyncio.run(run())


def test_a_child_runs_in_a_session_of_its_own() -> None:
    """Ctrl-C in the daemon's terminal must not reach a child that is in the driver."""

    async def run() -> None:
        child = await ChildProcess.start(
            python('import os; input(); print(\'{"id": 1, "session": %d}\' % os.getsid(0))')
        )
        answer = await child.ask({}, 20)
        assert answer["session"] == child.process_id
        assert await child.gone_within(20)

    asyncio.run(run())
