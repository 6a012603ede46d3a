"""The child by itself: its protocol, its end, its imports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.gpu.supervisor import CHILD_COMMAND
from tests.fakes.nvml_driver import FakeDriver, compiled


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("library"))


@pytest.fixture
def driver(library: Path, tmp_path: Path) -> FakeDriver:
    return FakeDriver(library, tmp_path)


@pytest.fixture
def child(driver: FakeDriver) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(CHILD_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, env=driver.environment) as process:
        yield process
        process.kill()


def ask(child: subprocess.Popen[bytes], number: int) -> dict[str, Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps({"id": number, "gpm": False}).encode() + b"\n")
    child.stdin.flush()
    answer: dict[str, Any] = json.loads(child.stdout.readline())
    return answer


def test_each_request_line_gets_one_answer_line_with_its_number(child: subprocess.Popen[bytes]) -> None:
    answers = [ask(child, number) for number in (7, 8)]
    assert [answer["id"] for answer in answers] == [7, 8]
    assert answers[0].keys() == {"id", "rss_bytes", "driver_version", "cuda_version", "gpus"}


def test_the_library_is_initialised_once_and_only_when_asked(
    child: subprocess.Popen[bytes], driver: FakeDriver
) -> None:
    assert driver.calls()["nvmlInitWithFlags"] == 0
    for number in range(3):
        ask(child, number)
    assert driver.calls()["nvmlInitWithFlags"] == 1


def test_the_end_of_its_input_ends_it_after_nvml_shutdown(child: subprocess.Popen[bytes], driver: FakeDriver) -> None:
    ask(child, 1)
    _, errors = child.communicate(timeout=20)
    assert (child.returncode, errors) == (0, b"")
    assert driver.calls()["nvmlShutdown"] == 1


def test_sigterm_ends_it_after_nvml_shutdown(child: subprocess.Popen[bytes], driver: FakeDriver) -> None:
    ask(child, 1)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=20) == 0
    assert driver.calls()["nvmlShutdown"] == 1
    assert child.stderr is not None
    assert child.stderr.read() == b""


def test_a_daemon_that_died_is_no_error_of_its_child(child: subprocess.Popen[bytes], driver: FakeDriver) -> None:
    """The answer has no reader any more: the child shuts NVML down and says nothing."""
    ask(child, 1)
    assert child.stdout is not None
    child.stdout.close()
    child.stdout = None
    _, errors = child.communicate(b'{"id":2,"gpm":false}\n', timeout=20)
    assert (child.returncode, errors) == (0, b"")
    assert driver.calls()["nvmlShutdown"] == 1


def test_a_failed_initialisation_is_told_and_ends_it(child: subprocess.Popen[bytes], driver: FakeDriver) -> None:
    driver.say("fn.nvmlInitWithFlags 18")
    assert ask(child, 1) == {
        "id": 1,
        "failed": {
            "code": 18,
            "name": "lib_rm_version_mismatch",
            "text": "RM has detected an NVML/RM version mismatch.",
        },
    }
    assert child.wait(timeout=20) == 0


def test_gpus_that_cannot_be_counted_are_a_failure_of_nvml(child: subprocess.Popen[bytes], driver: FakeDriver) -> None:
    driver.say("fn.nvmlDeviceGetCount_v2 999")
    assert ask(child, 1)["failed"]["name"] == "unknown"
    assert child.wait(timeout=20) == 0


def test_what_the_driver_prints_stays_out_of_the_answers(child: subprocess.Popen[bytes], driver: FakeDriver) -> None:
    driver.say('chatter {"id":1,"gpus":[]}')
    assert len(ask(child, 1)["gpus"]) == 1
    _, errors = child.communicate(timeout=20)
    assert b'{"id":1,"gpus":[]}\n' in errors


def test_a_child_whose_daemon_died_during_a_hanging_call_ends_by_itself(driver: FakeDriver) -> None:
    """Nobody is left to send a signal: its own alarm ends it in the middle of the call."""
    driver.say("hang nvmlDeviceGetPowerUsage")
    code = "import collector.gpu.child as child; child.ORPHAN_LIMIT_S = 0.5; child.main()"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=b'{"id":1,"gpm":false}\n',
        env=driver.environment,
        capture_output=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGALRM, b"", b"")


def test_a_long_wait_for_the_next_request_ends_no_child(driver: FakeDriver) -> None:
    """The alarm is for calls: a child that idles past it still answers."""
    code = "import collector.gpu.child as child; child.ORPHAN_LIMIT_S = 1.0; child.main()"
    command = [sys.executable, "-P", "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=driver.environment) as child:
        ask(child, 1)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=1.3)
        assert ask(child, 2)["id"] == 2


def test_it_imports_nothing_heavy(driver: FakeDriver) -> None:
    """Each of these alone would add megabytes to a process that has to stay small."""
    heavy = {"asyncio", "dataclasses", "inspect", "logging", "numpy", "pydantic", "sqlalchemy", "aiohttp", "analyzer"}
    searching = {"subprocess", "tempfile", "random", "shutil"}
    code = "import sys, collector.gpu.child as child; child.main(); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(
        command, input=b'{"id": 1, "gpm": false}\n', capture_output=True, check=True, timeout=60, env=driver.environment
    )
    loaded = set(done.stderr.decode().split())
    assert json.loads(done.stdout)["id"] == 1
    assert "pynvml" in loaded
    assert (heavy | searching) & loaded == set()


def test_a_search_for_a_library_still_finds_one() -> None:
    code = (
        "import ctypes, sys, collector.gpu.child as child; child._search_late()\n"
        "from ctypes.util import find_library; print(find_library('c'))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "libc.so.6\n"
