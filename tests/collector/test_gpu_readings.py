"""Readings from their JSON form, the roster of GPUs, and the reader that plays given readings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Kind, SourceError
from collector.gpu.readings import FIELD_NAMES, GpuPoll, GpuReading, GpuState, gpu_reading
from collector.gpu.replay import ReplayReader
from collector.gpu.roster import Roster

WELL = GpuReading("GPU-a", fields={"power_w": 0.0})
LOST = GpuReading("GPU-b", reason="gpu_is_lost")
H200 = Path(__file__).parents[1] / "captures" / "h200-steps" / "nvml.jsonl"


def test_a_reading_survives_its_json_form() -> None:
    facts = {
        "uuid": "GPU-a",
        "name": "NVIDIA A100",
        "compute_capability": [8, 0],
        "mig_enabled": True,
        "process_ids": [],
        "fields": {"power_w": 0, "utilization_ratio": None},
        "absent": {"utilization_ratio": "mig"},
    }
    assert gpu_reading(json.loads(json.dumps(facts))) == GpuReading(
        uuid="GPU-a",
        name="NVIDIA A100",
        fields={"power_w": 0.0, "utilization_ratio": None},
        absent={"utilization_ratio": "mig"},
        compute_capability=(8, 0),
        mig_enabled=True,
        process_ids=(),
    )


def test_a_real_h200_tells_every_field_and_its_activity_from_the_second_reading_on() -> None:
    """Idle, then at work on steps that read weights: DRAM activity, a process, power and energy above idle."""
    readings = [gpu_reading(json.loads(line)["gpus"][0]) for line in H200.read_text().splitlines()]
    assert len(readings) == 6

    first, idle, *_, last = readings
    assert dict(first.absent) == {"gpm": "first_sample"}
    assert all(not one.absent and None not in one.fields.values() for one in readings[1:])
    assert {one.name for one in readings} == {"NVIDIA H200"}
    assert first.compute_capability == (9, 0)
    assert (idle.fields["sm_active_ratio"], idle.process_ids) == (0.0, ())
    working = readings[2]
    assert working.fields["dram_active_ratio"] > 0.4
    assert working.process_ids != ()
    assert working.fields["power_w"] > 3 * idle.fields["power_w"]
    assert last.fields["energy_j_total"] > working.fields["energy_j_total"]


def test_what_is_left_out_of_the_json_form_is_not_reported() -> None:
    reading = gpu_reading({"uuid": "GPU-a", "fields": {}})
    assert (reading.name, reading.compute_capability, reading.mig_enabled, reading.process_ids) == (None,) * 4


@given(st.dictionaries(st.sampled_from(sorted(FIELD_NAMES)), st.none() | st.floats(0, 1e15)))
def test_a_sample_has_exactly_the_fields_of_its_reading(fields: dict[str, float | None]) -> None:
    sample = gpu_reading({"uuid": "GPU-a", "fields": fields}).sample(at_s=1.0, interval_s=5.0)
    assert {name: getattr(sample, name) for name in FIELD_NAMES} == {name: fields.get(name) for name in FIELD_NAMES}


def test_a_gpu_that_was_never_seen_is_not_missed() -> None:
    poll = Roster().poll([WELL])
    assert (poll.gpus, poll.status.state) == ((WELL,), GpuState.OK)


def test_one_gpu_that_answers_makes_a_collection() -> None:
    poll = Roster().poll([LOST, WELL])
    assert (poll.gpus, poll.status.state) == ((WELL, LOST), GpuState.OK)


def test_no_gpu_that_answers_makes_none() -> None:
    poll = Roster().poll([LOST])
    assert (poll.gpus, poll.status.state) == ((LOST,), GpuState.NO_GPUS)
    assert poll.status.message == "none of 1 listed GPU(s) answers: gpu_is_lost"


@pytest.mark.fault("1", "NVML answers Unknown Error", promise="the remedy is that of a container that lost its GPUs")
def test_gpus_that_all_answer_unknown_error_were_taken_from_the_container() -> None:
    poll = Roster(["GPU-a"]).poll([], nameless=["unknown"])
    assert (poll.gpus, poll.status.state) == ((GpuReading("GPU-a", reason="unknown"),), GpuState.UNKNOWN_ERROR)
    assert "create-dev-char-symlinks" in poll.status.remedy


def test_a_missing_gpu_takes_the_reason_of_the_nameless_one() -> None:
    poll = Roster(["GPU-a", "GPU-b"]).poll([WELL], nameless=["gpu_is_lost"])
    assert poll.gpus == (WELL, LOST)


def test_reasons_that_could_be_of_either_missing_gpu_are_given_to_none() -> None:
    poll = Roster(["GPU-a", "GPU-b", "GPU-c"]).poll([WELL], nameless=["gpu_is_lost", "unknown"])
    assert [gpu.reason for gpu in poll.gpus] == [None, "missing", "missing"]


def test_a_gpu_that_never_told_its_uuid_is_told_in_the_status() -> None:
    poll = Roster().poll([WELL], nameless=["gpu_is_lost"])
    assert (poll.gpus, poll.status.state) == ((WELL,), GpuState.OK)
    assert poll.status.message == "1 GPU(s) never told a UUID: gpu_is_lost"


class Script:
    """A source that gives one answer after another, or raises it."""

    def __init__(self, *answers: Sequence[GpuReading] | SourceError) -> None:
        self._answers = list(answers)

    async def __call__(self) -> Sequence[GpuReading]:
        answer = self._answers.pop(0)
        if isinstance(answer, SourceError):
            raise answer
        return answer


def replayed(*answers: Sequence[GpuReading] | SourceError) -> list[GpuPoll]:
    async def run() -> list[GpuPoll]:
        reader = ReplayReader(Script(*answers))
        polls = [await reader.read() for _ in answers]
        await reader.close()
        return polls

    return asyncio.run(run())


def test_replayed_readings_are_treated_as_a_drivers() -> None:
    polls = replayed([WELL], [], [WELL])
    assert [poll.status.state for poll in polls] == [GpuState.OK, GpuState.NO_GPUS, GpuState.OK]
    assert [poll.gpus for poll in polls] == [(WELL,), (GpuReading("GPU-a", reason="missing"),), (WELL,)]


def test_a_source_that_fails_makes_a_failed_poll_and_not_the_last_readings() -> None:
    polls = replayed([WELL], SourceError(Kind.TIMEOUT, "no answer within 1 s"), SourceError(Kind.REFUSED, "refused"))
    assert [poll.status.state for poll in polls[1:]] == [GpuState.TIMEOUT, GpuState.UNKNOWN_ERROR]
    assert [poll.status.message for poll in polls[1:]] == ["no answer within 1 s", "refused"]
    assert [poll.gpus[0].reason for poll in polls[1:]] == ["timeout", "unknown_error"]
