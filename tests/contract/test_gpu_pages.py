"""Every dcgm-exporter page has its golden reading, and nothing that DCGM leaves blank or gets wrong is a figure."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from collector.errors import Kind, SourceError
from collector.gpu.dcgm import NOTES, READS, WANTED, read_gpus, shows_gpus
from collector.gpu.readings import FIELD_NAMES, GpuReading
from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.servers import engine_specs

HERE = Path(__file__).parents[1]
PAGES = sorted((HERE / "pages" / "gpus").glob("*.prom"))
GOLDEN = HERE / "golden" / "gpu_pages"
SHARED = Path(os.environ.get("BREAKEVEN_SHARED", HERE.parents[1] / "shared")) / "data" / "pages"
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def read(body: bytes) -> tuple[GpuReading, ...]:
    return read_gpus(PageParser(WANTED, Limits()).parse(body))


def names(body: bytes) -> frozenset[str]:
    return PageParser(frozenset(), Limits()).parse(body).names


@each_page
def test_a_page_reads_as_its_golden_file_says(path: Path, request: pytest.FixtureRequest) -> None:
    now = json.dumps([asdict(one) for one in read(path.read_bytes())], indent=1) + "\n"
    golden = GOLDEN / f"{path.stem}.json"
    if request.config.getoption("--update-golden"):
        golden.write_text(now)
    assert golden.exists(), f"no golden file for {path.stem}: run pytest {Path(__file__).name} --update-golden"
    assert golden.read_text() == now


def test_no_golden_file_outlives_its_page() -> None:
    assert {path.stem for path in PAGES} == {path.stem for path in GOLDEN.glob("*.json")}


def test_every_series_that_is_read_is_on_a_page_and_every_figure_comes_out_of_one() -> None:
    """A misspelt name would otherwise look like a figure that nobody reports."""
    bodies = [path.read_bytes() for path in PAGES]
    given = {name for body in bodies for one in read(body) for name, value in one.fields.items() if value is not None}

    assert sorted(WANTED - frozenset[str]().union(*map(names, bodies))) == []
    assert given == set(READS) == set(FIELD_NAMES)
    assert set(NOTES) <= set(READS)


@each_page
def test_what_a_gpu_does_not_report_has_a_reason_and_what_it_reports_has_none(path: Path) -> None:
    for one in read(path.read_bytes()):
        assert set(one.absent) == {name for name, value in one.fields.items() if value is None}


@each_page
def test_a_page_is_told_from_every_engines_and_an_engines_is_refused(path: Path) -> None:
    page_names = names(path.read_bytes())

    assert shows_gpus(page_names)
    for spec in engine_specs().values():
        assert page_names.isdisjoint(spec.signatures)


@pytest.mark.parametrize("page", ["vllm__0.32.0__busy", "triton__25.12__vllm", "tgi__3.3__chunking"])
def test_an_engines_page_is_refused_by_name(page: str) -> None:
    with pytest.raises(SourceError, match="not a page of dcgm-exporter") as raised:
        read((HERE / "pages" / f"{page}.prom").read_bytes())

    assert raised.value.kind is Kind.WRONG_ENGINE


@each_page
def test_a_renamed_series_is_missing_and_never_zero(path: Path) -> None:
    """Each series in turn: its figure is absent or comes from the series that stands in for it.

    All but the driver's duty cycle, the one witness against profiling zeros.
    """
    body = path.read_bytes()
    before = read(body)
    for name in sorted(WANTED & names(body) - {"DCGM_FI_DEV_GPU_UTIL"}):
        after = read(re.sub(rb"\b" + name.encode() + rb"(?=\{)", name.encode() + b"_RENAMED", body))
        for one, other in zip(before, after, strict=True):
            changed = {field for field in FIELD_NAMES if one.fields[field] != other.fields[field]}
            assert changed <= {field for field, series in READS.items() if name in series} | set(NOTES)
            assert all(other.fields[field] != 0 for field in changed)


SERIES = 'DCGM_FI_DEV_POWER_USAGE{{UUID="GPU-1",{more}}} {value}\n'


@pytest.mark.fault("1", "DCGM's blank values", promise="they are no figures")
@pytest.mark.parametrize(
    ("value", "power_w", "reason"),
    [
        ("0", 0.0, None),
        ("9223372036854775792", None, "blank"),
        ("9223372036854775794", None, "blank"),
        ("9.223372036854776e+18", None, "blank"),
        ("2147483632", None, "blank"),  # 0x7ffffff0
        ("2147483633", None, "not_found"),
        ("2147483634", None, "not_supported"),
        ("2147483635", None, "no_permission"),
        ("2147483647", None, "blank"),  # the last of the 16
        ("140737488355343", None, "blank"),
        ("2147483631", 2147483631.0, None),
        ("2147483648", 2147483648.0, None),  # beyond the 16 blanks
        ("140737488355328", None, "blank"),  # 2^47
        ("140737488355330", None, "not_supported"),
        ("140737488355344", 140737488355344.0, None),
        ("-1", None, "out_of_range"),
        ("NaN", None, "not_on_page"),
    ],
)
def test_dcgms_blank_values_are_no_figures(value: str, power_w: float | None, reason: str | None) -> None:
    (one,) = read((SERIES.format(more="", value=value) + 'DCGM_FI_DEV_GPU_TEMP{UUID="GPU-1"} 40\n').encode())

    assert (one.fields["power_w"], one.absent.get("power_w")) == (power_w, reason)


@pytest.mark.parametrize("label", ["Hostname", "hostname"])
def test_both_spellings_of_the_host_are_read(label: str) -> None:
    (one,) = read(SERIES.format(more=f'{label}="node-1",modelName="NVIDIA L4"', value=70).encode())

    assert (one.uuid, one.name, one.host) == ("GPU-1", "NVIDIA L4", "node-1")


def test_a_page_without_uuids_is_refused_and_says_so() -> None:
    with pytest.raises(SourceError, match="label UUID") as raised:
        read(b'DCGM_FI_DEV_GPU_UTIL{gpu="0"} 5\n')

    assert raised.value.kind is Kind.BAD_PAGE


PROFILE = """\
DCGM_FI_DEV_GPU_UTIL{{UUID="GPU-1"}} {util}
DCGM_FI_PROF_GR_ENGINE_ACTIVE{{UUID="GPU-1"}} {engine}
DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{{UUID="GPU-1"}} {tensor}
DCGM_FI_PROF_DRAM_ACTIVE{{UUID="GPU-1"}} {dram}
"""


@pytest.mark.fault("1", "profiling counters are zero while the GPU works", promise="the same of a dcgm-exporter")
@pytest.mark.parametrize(
    ("util", "engine", "tensor", "dram", "expected"),
    [
        (100, 0, 0, 0, (1.0, None, None)),  # the profiling module stopped: the driver's duty cycle stands
        (90, 0, 0, 0, (0.9, None, None)),
        (89, 0, 0, 0, (0.0, 0.0, 0.0)),  # a burst of one sample may well average to nothing
        (0, 0, 0, 0, (0.0, 0.0, 0.0)),  # idle is idle
        (100, 0.97, 0, 0.41, (0.97, 0.0, 0.41)),  # a model without tensor cores
        (100, 1.5, 0.2, 0.41, (1.0, 0.2, 0.41)),  # no possible ratio: the driver's figure stands in
    ],
)
def test_profiling_zeros_beside_a_busy_gpu_are_missing_and_other_zeros_stay(
    util: int, engine: float, tensor: float, dram: float, expected: tuple[float | None, ...]
) -> None:
    (one,) = read(PROFILE.format(util=util, engine=engine, tensor=tensor, dram=dram).encode())

    assert tuple(one.fields[f"{name}_ratio"] for name in ("utilization", "tensor_active", "dram_active")) == expected
    if expected[2] is None:
        assert one.absent["dram_active_ratio"] == one.absent["tensor_active_ratio"] == "inconsistent"


def test_without_the_drivers_duty_cycle_nothing_speaks_against_profiling_zeros() -> None:
    body = PROFILE.format(util=100, engine=0, tensor=0, dram=0).partition("\n")[2]
    (one,) = read(body.encode())

    assert [one.fields[f"{name}_ratio"] for name in ("utilization", "tensor_active", "dram_active")] == [0.0, 0.0, 0.0]


def test_tensor_cores_that_rest_on_a_busy_gpu_are_no_contradiction_by_themselves() -> None:
    (one,) = read(b'DCGM_FI_DEV_GPU_UTIL{UUID="G"} 100\nDCGM_FI_PROF_PIPE_TENSOR_ACTIVE{UUID="G"} 0\n')

    assert one.fields["tensor_active_ratio"] == 0.0


def test_memory_total_is_the_sum_of_its_parts_and_unknown_without_one() -> None:
    """1000 MiB used, 3000 free, 96 reserved: 4096 MiB."""
    used, free, reserved = (f'DCGM_FI_DEV_FB_{name}{{UUID="G"}}' for name in ("USED", "FREE", "RESERVED"))
    (whole,) = read(f"{used} 1000\n{free} 3000\n{reserved} 96\n".encode())
    (part,) = read(f"{used} 1000\n".encode())

    assert whole.fields["memory_total_bytes"] == 4096 * 1024**2
    assert part.fields["memory_used_bytes"] == 1000 * 1024**2
    assert (part.fields["memory_total_bytes"], part.absent["memory_total_bytes"]) == (None, "not_on_page")


def test_shared_pages_with_gpus_are_read() -> None:
    """The composed page from outside this repository, where it is at hand."""
    path = SHARED / "dcgm_exporter.composed.prom"
    if not path.is_file():
        pytest.skip(f"no shared pages at {SHARED}: set BREAKEVEN_SHARED to check them")
    (one,) = read(path.read_bytes())

    assert (one.name, one.host, one.owners) == ("NVIDIA H100 80GB HBM3", "node1", ())
    assert {name: value for name, value in one.fields.items() if value is not None} == {
        "power_w": 612.4,
        "energy_j_total": 812_345_678.901,  # mJ
        "sm_clock_hz": 1.98e9,
        "memory_clock_hz": 2.619e9,
        "temperature_celsius": 58.0,
        "memory_used_bytes": 75_880 * 1024**2,
        "memory_total_bytes": (75_880 + 5_210) * 1024**2,
        "sm_active_ratio": 0.902,
        "sm_occupancy_ratio": 0.214,
        "tensor_active_ratio": 0.131,
        "dram_active_ratio": 0.664,
        "utilization_ratio": 0.993,
    }
