"""The GPUs of several sources together: one owner for each, gauges from the others, nothing left of a source's dead."""

from __future__ import annotations

import asyncio

import pytest

from analyzer.samples import GpuSample
from collector.errors import GpusLostError, Kind, SourceError
from collector.export.snapshot import State
from collector.gpu.readings import GpuOwner, GpuReading
from collector.gpu.replay import ReplayReader
from collector.health import DaemonHealth
from collector.jobs.gpu_board import DRIVER, GpuBoard
from collector.jobs.gpus import PollGpus
from tests.fakes.hand_clock import HandClock

PAGE = "http://node-1:9400/metrics"
OTHER = "http://node-2:9400/metrics"


class Kept:
    """A sink that keeps the GPU samples it is given."""

    def __init__(self) -> None:
        self.samples: list[GpuSample] = []

    def put_gpus(self, samples: list[GpuSample]) -> None:
        self.samples += samples


@pytest.fixture
def sink() -> Kept:
    return Kept()


@pytest.fixture
def state() -> State:
    return State("test", DaemonHealth(0.0))


@pytest.fixture
def board(sink: Kept, state: State) -> GpuBoard:
    return GpuBoard(sink, state)  # type: ignore[arg-type]


def put(board: GpuBoard, source: str, *readings: GpuReading, at_s: float = 100.0) -> None:
    board.put(source, readings, at_s, 5.0, 0.1)


def driver(**fields: float | None) -> GpuReading:
    return GpuReading("GPU-1", "H100", fields, absent={name: "x" for name, value in fields.items() if value is None})


def test_a_gpu_that_two_sources_show_is_stored_once_as_the_driver_tells_it(
    board: GpuBoard, sink: Kept, state: State
) -> None:
    put(board, PAGE, GpuReading("GPU-1", fields={"power_w": 1.0, "dram_active_ratio": 0.4, "energy_j_total": 9.0}))
    put(board, DRIVER, driver(power_w=300.0, energy_j_total=None), at_s=101.0)
    put(board, PAGE, GpuReading("GPU-1", fields={"power_w": 2.0, "dram_active_ratio": 0.5}), at_s=102.0)

    assert [(one.at_s, one.power_w, one.dram_active_ratio) for one in sink.samples] == [
        (100.0, 1.0, 0.4),  # the page alone
        (101.0, 300.0, 0.4),  # the driver, with what only the page has
    ]
    assert (state.gpus["GPU-1"].power_w, state.gpus["GPU-1"].dram_active_ratio) == (300.0, 0.5)


def test_counters_of_two_sources_are_never_mixed(board: GpuBoard, state: State) -> None:
    put(board, PAGE, GpuReading("GPU-1", fields={"energy_j_total": 9.0, "temperature_celsius": 40.0}))
    put(board, DRIVER, driver(energy_j_total=None, temperature_celsius=None))

    assert (state.gpus["GPU-1"].energy_j_total, state.gpus["GPU-1"].temperature_celsius) == (None, 40.0)
    assert state.gpu_absent["GPU-1"] == {"energy_j_total": "x"}


def test_a_pages_profiling_zeros_are_not_believed_beside_the_drivers_busy_gpu(board: GpuBoard, state: State) -> None:
    put(board, PAGE, GpuReading("GPU-1", fields={"dram_active_ratio": 0.0, "tensor_active_ratio": 0.0}))
    put(board, DRIVER, driver(utilization_ratio=1.0))

    assert state.gpus["GPU-1"].dram_active_ratio is None
    assert state.gpu_absent["GPU-1"]["dram_active_ratio"] == "inconsistent"


def test_a_page_stands_in_for_a_driver_that_lost_the_gpu(board: GpuBoard, state: State) -> None:
    put(board, DRIVER, driver(power_w=300.0))
    put(board, DRIVER, GpuReading("GPU-1", reason="gpu_is_lost"))
    assert state.gpus == {}
    assert state.health.gpus["GPU-1"].reason == "gpu_is_lost"
    put(board, PAGE, GpuReading("GPU-1", fields={"power_w": 290.0}))

    assert state.gpus["GPU-1"].power_w == 290.0
    assert state.health.gpus["GPU-1"].up is True
    put(board, DRIVER, GpuReading("GPU-1", reason="gpu_is_lost"))
    assert state.health.gpus["GPU-1"].up is True


def test_a_source_that_fails_leaves_no_figure_and_no_other_sources_gpu_is_touched(
    board: GpuBoard, sink: Kept, state: State
) -> None:
    put(board, PAGE, GpuReading("GPU-1", fields={"power_w": 1.0}))
    put(board, OTHER, GpuReading("GPU-2", fields={"power_w": 2.0}))
    board.failed(PAGE, "timeout", 115.0)

    assert state.gpus.keys() == {"GPU-2"}
    assert (state.health.gpus["GPU-1"].reason, state.health.gpus["GPU-2"].up) == ("timeout", True)
    assert len(sink.samples) == 2
    board.failed(PAGE, "timeout", 130.0)
    assert state.health.gpus["GPU-1"].failures == {"timeout": 2}


def test_what_only_a_forgotten_source_showed_is_gone_with_its_health(board: GpuBoard, state: State) -> None:
    put(board, DRIVER, driver(power_w=300.0))
    put(board, PAGE, GpuReading("GPU-1", fields={}), GpuReading("GPU-2", fields={"power_w": 1.0}))
    board.forget(PAGE)

    assert state.gpus.keys() == state.health.gpus.keys() == {"GPU-1"}


def test_processes_are_the_drivers_and_owners_the_pages(board: GpuBoard) -> None:
    owner = GpuOwner("serving", "vllm-0", "vllm")
    put(board, DRIVER, GpuReading("GPU-1", process_ids=(7,), fields={}))
    put(board, PAGE, GpuReading("GPU-1", fields={}, owners=(owner,), host="node-1"))
    (one,) = board.readings()

    assert (one.process_ids, one.owners, one.host) == ((7,), (owner,), "node-1")


def test_another_machines_gpu_of_an_earlier_run_is_not_missed_by_the_driver(board: GpuBoard, state: State) -> None:
    """Both are known from the database; the page shows the one, the driver the other."""

    async def local() -> list[GpuReading]:
        return [driver(power_w=300.0)]

    reader = ReplayReader(local, expected=["GPU-1", "GPU-remote", "GPU-lost"])
    poll = PollGpus(reader, board, state.health.gpu, HandClock(), 5.0)
    put(board, PAGE, GpuReading("GPU-remote", fields={"power_w": 1.0}))
    asyncio.run(poll.run())
    board.failed(PAGE, "timeout", 115.0)
    asyncio.run(poll.run())

    reasons = {uuid: one.reason for uuid, one in state.health.gpus.items()}
    assert reasons == {"GPU-1": None, "GPU-remote": "timeout", "GPU-lost": "missing"}


def test_a_gpu_that_the_driver_has_shown_before_is_missed(board: GpuBoard, state: State) -> None:
    shown = [driver(power_w=300.0), GpuReading("GPU-2", fields={"power_w": 1.0})]

    async def local() -> list[GpuReading]:
        return list(shown)

    poll = PollGpus(ReplayReader(local), board, state.health.gpu, HandClock(), 5.0)
    asyncio.run(poll.run())
    shown.pop()
    asyncio.run(poll.run())

    assert state.health.gpus["GPU-2"].reason == "missing"


@pytest.mark.fault(
    "1",
    "NVML answers Unknown Error",
    promise="with `gpu.exit_after` the daemon ends once GPUs that it read are gone for that long, and only then",
)
def test_gpus_that_were_read_may_be_gone_for_so_long(board: GpuBoard, state: State) -> None:
    """Down from the start for an hour: nothing to lose. Then read, and down for 59 s of the 60, read, and for 60 s."""
    clock, shown = HandClock(), list[GpuReading]()

    async def local() -> list[GpuReading]:
        if not shown:
            raise SourceError(Kind.TIMEOUT, "no answer")
        return shown

    poll = PollGpus(ReplayReader(local), board, state.health.gpu, clock, 5.0, exit_after_s=60.0)
    asyncio.run(poll.run())
    clock.advance(3600)
    asyncio.run(poll.run())
    for _ in range(2):
        shown.append(driver(power_w=300.0))
        asyncio.run(poll.run())
        shown.clear()
        clock.advance(59)
        asyncio.run(poll.run())
    clock.advance(1)
    with pytest.raises(GpusLostError, match="could not be read for 60 s"):
        asyncio.run(poll.run())
