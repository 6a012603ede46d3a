"""What the real pynvml reads from a driver, through the real child process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.samples import GpuSample
from collector.gpu.readings import FIELD_NAMES, GpuPoll, GpuReading, GpuState
from collector.gpu.supervisor import Limits, NvmlReader
from tests.fakes.hand_clock import HandClock
from tests.fakes.nvml_driver import FakeDriver, compiled

GPU0 = "GPU-00000000-0000-0000-0000-000000000000"
GPU1 = "GPU-00000000-0000-0000-0000-000000000001"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("library"))


@pytest.fixture
def driver(library: Path, tmp_path: Path) -> FakeDriver:
    return FakeDriver(library, tmp_path)


def read(driver: FakeDriver, polls: int = 1, gpm: bool = False) -> GpuPoll:
    """The last of some polls by one reader."""

    async def run() -> GpuPoll:
        reader = NvmlReader(
            HandClock(), Limits(answer_s=20, first_answer_s=20), environment=driver.environment, gpm=gpm
        )
        try:
            for _ in range(polls):
                poll = await reader.read()
            return poll
        finally:
            await reader.close()

    return asyncio.run(run())


def only(poll: GpuPoll) -> GpuReading:
    (gpu,) = poll.gpus
    return gpu


def session(driver: FakeDriver, code: str) -> list[object]:
    """What `code` appends to `out`, with an NvmlSession class and a settable `now` in a process that has the driver."""
    before = "import json\nfrom collector.gpu.nvml import NvmlSession\nnow = [0.0]\nout = []\n"
    after = "\nprint(json.dumps(out))"
    command = [sys.executable, "-P", "-c", before + code + after]
    result = subprocess.run(command, env=driver.environment, capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def test_every_reading_comes_in_the_units_of_a_gpu_sample(driver: FakeDriver) -> None:
    driver.say(
        "gpu0.name NVIDIA L40S",
        "gpu0.cc 8.9",
        "gpu0.util 37",
        "gpu0.mem_used 42949672960",
        "gpu0.mem_total 85899345920",
        "gpu0.power_mw 350250",
        "gpu0.energy_mj 123456789",
        "gpu0.sm_mhz 1980",
        "gpu0.mem_mhz 2619",
        "gpu0.temp 45",
        "gpu0.ecc 3",
        "gpu0.pids 700,7",
        "driver 580.65.06",
    )
    poll = read(driver)
    assert poll.status.state is GpuState.OK
    assert (poll.status.driver_version, poll.status.cuda_version) == ("580.65.06", "13.0")
    assert only(poll) == GpuReading(
        uuid=GPU0,
        name="NVIDIA L40S",
        fields={
            "utilization_ratio": 0.37,  # 37 %
            "memory_used_bytes": 42_949_672_960.0,
            "memory_total_bytes": 85_899_345_920.0,
            "power_w": 350.25,  # 350,250 mW
            "energy_j_total": 123_456.789,  # 123,456,789 mJ
            "ecc_errors_total": 3.0,
            "sm_clock_hz": 1.98e9,  # 1980 MHz
            "memory_clock_hz": 2.619e9,
            "temperature_celsius": 45.0,
            "throttled_ratio": 0.0,
        },
        compute_capability=(8, 9),
        mig_enabled=False,
        process_ids=(7, 700),
    )


def test_a_reading_becomes_a_sample(driver: FakeDriver) -> None:
    sample = only(read(driver)).sample(at_s=1_800_000_000.0, interval_s=5.0)
    assert sample == GpuSample(
        uuid=GPU0,
        at_s=1_800_000_000.0,
        interval_s=5.0,
        name="NVIDIA H100 80GB HBM3",
        utilization_ratio=0.37,
        memory_used_bytes=42_949_672_960.0,
        memory_total_bytes=85_899_345_920.0,
        power_w=350.25,
        energy_j_total=123_456.789,
        ecc_errors_total=0.0,
        sm_clock_hz=1.98e9,
        memory_clock_hz=2.619e9,
        temperature_celsius=45.0,
        throttled_ratio=0.0,
    )


def test_nothing_is_read_that_a_sample_does_not_have(driver: FakeDriver) -> None:
    driver.say("gpu0.gpm.2 1", "gpu0.gpm.5 1", "gpu0.gpm.10 1")
    assert only(read(driver, gpm=True)).fields.keys() == FIELD_NAMES


@pytest.mark.fault("1", "a field is not supported", promise="the field is absent, never 0")
def test_zero_is_zero_and_unsupported_is_none(driver: FakeDriver) -> None:
    driver.say("gpu0.util 0", "gpu0.power_mw 0", "gpu0.fn.nvmlDeviceGetTotalEnergyConsumption 3")
    gpu = only(read(driver))
    assert gpu.fields["utilization_ratio"] == 0.0
    assert gpu.fields["power_w"] == 0.0
    assert gpu.fields["energy_j_total"] is None
    assert gpu.absent == {"energy_j_total": "not_supported"}


@pytest.mark.parametrize(
    ("reasons", "throttled_ratio"),
    [
        ("0x0", 0.0),
        ("0x1", 0.0),  # idle
        ("0x2", 0.0),  # application clocks
        ("0x4", 1.0),  # software power cap
        ("0x8", 1.0),  # hardware slowdown
        ("0x10", 0.0),  # sync boost
        ("0x20", 1.0),  # software thermal slowdown
        ("0x40", 1.0),  # hardware thermal slowdown
        ("0x80", 1.0),  # power brake
        ("0x100", 0.0),  # display clocks
        ("0x5", 1.0),  # idle and power cap
    ],
)
def test_a_slowdown_is_named_by_the_driver_and_idling_is_none(
    driver: FakeDriver, reasons: str, throttled_ratio: float
) -> None:
    driver.say(f"gpu0.reasons {reasons}")
    code = "out.append(NvmlSession().read()['gpus'][0]['fields']['throttled_ratio'])"
    assert session(driver, code) == [throttled_ratio]


@pytest.mark.fault("1", "MIG is on", promise="utilization is absent, even where the driver says 0")
def test_mig_leaves_utilization_out_even_when_the_driver_says_zero(driver: FakeDriver) -> None:
    driver.say("gpu0.mig 1", "gpu0.util 0")
    gpu = only(read(driver))
    assert gpu.mig_enabled is True
    assert gpu.fields["utilization_ratio"] is None
    assert gpu.absent == {"utilization_ratio": "mig"}
    assert gpu.fields["power_w"] == 350.25


@pytest.mark.fault("1", "the driver lacks newer functions", promise="older names are used, the rest is absent")
def test_an_older_driver_without_the_newer_functions_is_read_by_the_older_names(tmp_path: Path) -> None:
    newer = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetMigMode")
    driver = FakeDriver(compiled(tmp_path / "old", without=newer), tmp_path)
    driver.say("gpu0.reasons 0x8", "gpu0.temp 61")
    gpu = only(read(driver))
    assert gpu.fields["temperature_celsius"] == 61.0
    assert gpu.fields["throttled_ratio"] == 1.0
    assert gpu.mig_enabled is None
    assert gpu.absent == {"mig_enabled": "function_not_found"}


@pytest.mark.fault("1", "a GPU is lost", promise="the GPU is down with its reason, the others are read")
@pytest.mark.parametrize(
    ("code", "reason"), [(15, "gpu_is_lost"), (16, "reset_required"), (28, "gpu_not_found"), (999, "unknown")]
)
def test_one_lost_gpu_leaves_the_other(driver: FakeDriver, code: int, reason: str) -> None:
    """The GPU fails at its first call, so it cannot even tell its UUID; it has told it in the poll before."""
    driver.say("count 2")

    async def run() -> GpuPoll:
        limits = Limits(answer_s=20, first_answer_s=20)
        reader = NvmlReader(HandClock(), limits, environment=driver.environment)
        try:
            await reader.read()
            driver.say("count 2", f"gpu1.state {code}", "gpu0.util 90")
            return await reader.read()
        finally:
            await reader.close()

    poll = asyncio.run(run())
    assert poll.status.state is GpuState.OK
    healthy, lost = poll.gpus
    assert (healthy.uuid, healthy.reason, healthy.fields["utilization_ratio"]) == (GPU0, None, 0.9)
    assert lost == GpuReading(uuid=GPU1, reason=reason)
    assert lost.sample(0.0, 5.0) is None


@pytest.mark.fault("1", "a GPU is lost", promise="half a reading is none")
def test_a_gpu_that_is_lost_in_the_middle_of_its_reading_gives_nothing_of_it(driver: FakeDriver) -> None:
    driver.say("count 2", "gpu1.fn.nvmlDeviceGetTemperatureV 15")
    healthy, lost = read(driver).gpus
    assert healthy.reason is None
    assert lost == GpuReading(uuid=GPU1, reason="gpu_is_lost")


def test_a_gpu_on_which_every_field_fails_in_passing_is_down_and_not_an_empty_reading(driver: FakeDriver) -> None:
    functions = ("UtilizationRates", "MemoryInfo_v2", "PowerUsage", "TotalEnergyConsumption", "ClockInfo")
    more = ("TotalEccErrors", "TemperatureV", "CurrentClocksEventReasons")
    driver.say("count 2", *(f"gpu0.fn.nvmlDeviceGet{name} 999" for name in functions + more))
    down, healthy = read(driver).gpus
    assert down == GpuReading(uuid=GPU0, reason="unknown")
    assert healthy.reason is None


@pytest.mark.fault("1", "a field is not supported", promise="one field costs no other")
def test_one_failing_field_costs_only_itself(driver: FakeDriver) -> None:
    driver.say("gpu0.fn.nvmlDeviceGetPowerUsage 999")
    gpu = only(read(driver))
    assert gpu.absent == {"power_w": "unknown"}
    assert [name for name, value in gpu.fields.items() if value is None] == ["power_w"]


@pytest.mark.fault(
    "1", "a driver that logs every unsupported question", promise="an unsupported field is asked for once an hour"
)
def test_an_unsupported_field_is_asked_again_an_hour_later_and_not_before(driver: FakeDriver) -> None:
    """0, 5 and 3599 s are the first hour, 3600 and 7199 s the second."""
    driver.say("gpu0.fn.nvmlDeviceGetPowerUsage 3")
    code = """
session = NvmlSession(monotonic_s=lambda: now[0])
for now[0] in (0.0, 5.0, 3599.0, 3600.0, 7199.0):
    gpu = session.read()["gpus"][0]
    out.append([gpu["fields"]["power_w"], gpu["absent"]["power_w"]])
"""
    assert session(driver, code) == [[None, "not_supported"]] * 5
    assert driver.calls()["nvmlDeviceGetPowerUsage gpu0"] == 2
    assert driver.calls()["nvmlDeviceGetTotalEnergyConsumption gpu0"] == 5


def test_a_passing_failure_is_asked_again_at_once(driver: FakeDriver) -> None:
    driver.say("gpu0.fn.nvmlDeviceGetPowerUsage 999")
    assert only(read(driver, polls=3)).fields["power_w"] is None
    assert driver.calls()["nvmlDeviceGetPowerUsage gpu0"] == 3


def test_profiling_counters_are_not_touched_unless_asked_for(driver: FakeDriver) -> None:
    gpu = only(read(driver, polls=2))
    assert "dram_active_ratio" not in gpu.fields
    assert [call for call in driver.calls() if call.startswith("nvmlGpm")] == []


def test_profiling_counters_are_means_between_two_polls(driver: FakeDriver) -> None:
    """The first poll opens the window; a poll within 100 ms would close it too early; 0 stays 0."""
    driver.say("gpu0.gpm.2 81.5", "gpu0.gpm.3 21", "gpu0.gpm.5 0", "gpu0.gpm.10 64")
    code = """
session = NvmlSession(gpm=True, monotonic_s=lambda: now[0])
for now[0] in (0.0, 0.05, 5.0, 10.0):
    fields = session.read()["gpus"][0]["fields"]
    out.append([fields[f"{name}_ratio"] for name in ("sm_active", "sm_occupancy", "tensor_active", "dram_active")])
session.close()
"""
    assert session(driver, code) == [[None] * 4, [None] * 4, [0.815, 0.21, 0.0, 0.64], [0.815, 0.21, 0.0, 0.64]]
    calls = driver.calls()
    assert calls["nvmlGpmSampleAlloc"] == calls["nvmlGpmSampleFree"] == 3


def test_a_profiling_counter_that_the_gpu_lacks_is_none_and_the_others_stay(driver: FakeDriver) -> None:
    driver.say("gpu0.gpm.2 50")
    code = """
session = NvmlSession(gpm=True, monotonic_s=lambda: now[0])
for now[0] in (0.0, 5.0):
    gpu = session.read()["gpus"][0]
out.extend([gpu["fields"]["sm_active_ratio"], gpu["fields"]["dram_active_ratio"], gpu["absent"]["dram_active_ratio"]])
"""
    assert session(driver, code) == [0.5, None, "not_supported"]


@pytest.mark.fault(
    "1", "profiling counters are zero while the GPU works", promise="they are taken back as `inconsistent`"
)
@pytest.mark.parametrize(("percent", "absent"), [(100, "inconsistent"), (90, "inconsistent"), (89, None)])
def test_profiling_counters_that_are_all_zero_beside_a_busy_gpu_are_not_believed(
    driver: FakeDriver, percent: int, absent: str | None
) -> None:
    """A GPU at 90 % or more cannot leave every SM and its memory idle; one that is hardly used can."""
    driver.say(f"gpu0.util {percent}", "gpu0.gpm.2 0", "gpu0.gpm.5 0", "gpu0.gpm.10 0")
    code = """
session = NvmlSession(gpm=True, monotonic_s=lambda: now[0])
for now[0] in (0.0, 5.0):
    gpu = session.read()["gpus"][0]
out.extend([gpu["fields"]["dram_active_ratio"], gpu["absent"].get("dram_active_ratio")])
"""
    assert session(driver, code) == [0.0 if absent is None else None, absent]


def test_a_gpu_before_hopper_is_asked_for_profiling_counters_once(driver: FakeDriver) -> None:
    driver.say("gpu0.gpm 0")
    gpu = only(read(driver, polls=3, gpm=True))
    assert (gpu.fields["dram_active_ratio"], gpu.absent["gpm"]) == (None, "not_supported")
    assert driver.calls()["nvmlGpmQueryDeviceSupport gpu0"] == 1


@pytest.mark.fault("1", "DCGM's blank values", promise="what cannot be a percentage is none")
@pytest.mark.parametrize("percent", ["101", "4294967295"])
def test_a_utilization_that_is_no_percentage_is_none(driver: FakeDriver, percent: str) -> None:
    driver.say(f"gpu0.util {percent}")
    gpu = only(read(driver))
    assert (gpu.fields["utilization_ratio"], gpu.absent) == (None, {"utilization_ratio": "out_of_range"})
