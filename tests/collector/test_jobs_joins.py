"""Which GPUs are a target's: what is stated before what is found, and nothing where it is not clear."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from collector.export.snapshot import State
from collector.gpu.readings import GpuOwner, GpuReading
from collector.health import DaemonHealth
from collector.jobs.gpu_board import DRIVER, GpuBoard
from collector.jobs.joining import JoinGpus
from collector.jobs.joins import GpuJoin, GpuJoins, JoinSource, join_text
from collector.jobs.listeners import Processes, Served
from collector.jobs.targets import Target, static_targets
from collector.settings.load import parse_settings
from collector.settings.model import GpuJoinConfig
from tests.fakes.proc_folder import ProcFolder

A, B = "127.0.0.1:8000", "127.0.0.1:8001"
VLLM = GpuOwner("serving", "vllm-0", "vllm")


def target(address: str = A, **labels: str) -> Target:
    text = f"scrape_configs: [{{job_name: j, static_configs: [{{targets: ['{address}'], labels: {labels}}}]}}]"
    (one,) = static_targets(parse_settings(text, "test.yaml"))
    return one


def used(uuid: str, *process_ids: int, mig: bool = False) -> GpuReading:
    return GpuReading(uuid, process_ids=process_ids, mig_enabled=mig, fields={})


def given(uuid: str, *owners: GpuOwner) -> GpuReading:
    return GpuReading(uuid, owners=owners, fields={})


def found(
    targets: list[Target], readings: list[GpuReading], served: Mapping[str, Served] | None = None
) -> list[GpuJoin]:
    joins = GpuJoins()
    joins.look(targets, readings, {} if served is None else served)
    return [joins.of(one) for one in targets]


def test_configuration_goes_before_the_label_and_the_label_before_processes() -> None:
    stated = [GpuJoinConfig(target="127.0.0.1:80*", uuids=("GPU-c",))]
    served = {A: Served(frozenset({7}))}
    labelled, plain = target(gpu_uuid="GPU-l1, GPU-l2"), target()
    for joins, one, expected in (
        (GpuJoins(stated), labelled, GpuJoin(("GPU-c",), JoinSource.CONFIG)),
        (GpuJoins(), labelled, GpuJoin(("GPU-l1", "GPU-l2"), JoinSource.LABEL)),
        (GpuJoins(), plain, GpuJoin(("GPU-p",), JoinSource.PROCESS)),
    ):
        joins.look([one], [used("GPU-p", 7)], served)
        assert joins.of(one) == expected


def test_a_process_goes_before_a_pod() -> None:
    one = target(pod="vllm-0")
    readings = [used("GPU-p", 7), given("GPU-k", VLLM)]

    assert found([one], readings, {A: Served(frozenset({7}))})[0].source is JoinSource.PROCESS
    assert found([one], readings, {A: Served(frozenset({8}))})[0] == GpuJoin(("GPU-k",), JoinSource.POD)


def test_every_gpu_on_which_only_the_servers_processes_run_is_its_own() -> None:
    """Tensor parallel 2: workers 102 and 103, each on its GPU; the third GPU is another server's."""
    served = {A: Served(frozenset({100, 101, 102, 103}))}
    readings = [used("GPU-2", 103), used("GPU-1", 102), used("GPU-3", 200), used("GPU-4")]

    assert found([target()], readings, served) == [GpuJoin(("GPU-1", "GPU-2"), JoinSource.PROCESS)]


def test_a_gpu_shared_with_another_process_is_not_joined_and_neither_is_the_rest() -> None:
    (join,) = found([target()], [used("GPU-1", 7, 9), used("GPU-2", 7)], {A: Served(frozenset({7}))})

    assert join.uuids == ()
    assert "GPU-1 (also used by process 9)" in join.note


def test_a_gpu_divided_by_mig_is_not_joined_by_its_processes() -> None:
    (join,) = found([target()], [used("GPU-1", 7, mig=True)], {A: Served(frozenset({7}))})

    assert join.uuids == ()
    assert "MIG" in join.note


def test_a_gpu_that_two_targets_would_get_is_neithers() -> None:
    served = {A: Served(frozenset({7})), B: Served(frozenset({7}))}
    joins = found([target(A), target(B)], [used("GPU-1", 7)], served)

    assert [join.uuids for join in joins] == [(), ()]
    assert all("another target would get GPU-1" in join.note for join in joins)


def test_why_no_process_was_found_is_said_only_where_gpus_have_processes() -> None:
    served = {A: Served(problem="its process belongs to another user")}

    assert found([target()], [used("GPU-1", 7)], served)[0].note == "its process belongs to another user"
    assert found([target()], [used("GPU-1")], served)[0].note == ""


@pytest.mark.parametrize(
    "labels",
    [
        {"pod": "vllm-0"},
        {"pod": "vllm-0", "namespace": "serving", "container": "vllm"},
        {"__meta_kubernetes_pod_name": "vllm-0", "__meta_kubernetes_namespace": "serving"},
    ],
)
def test_a_pod_is_matched_by_the_labels_that_both_sides_have(labels: dict[str, str]) -> None:
    readings = [given("GPU-1", VLLM), given("GPU-2", GpuOwner("batch", "train-7", "main")), given("GPU-3")]

    assert found([target(**labels)], readings) == [GpuJoin(("GPU-1",), JoinSource.POD)]


@pytest.mark.parametrize(
    "labels", [{}, {"namespace": "serving"}, {"pod": "vllm-1"}, {"pod": "vllm-0", "namespace": "x"}]
)
def test_labels_that_name_no_pod_of_a_gpu_join_nothing(labels: dict[str, str]) -> None:
    assert found([target(**labels)], [given("GPU-1", VLLM)]) == [GpuJoin()]


def test_a_pods_name_in_two_namespaces_is_not_unambiguous() -> None:
    readings = [given("GPU-1", VLLM), given("GPU-2", GpuOwner("test", "vllm-0", "vllm"))]

    assert "several namespaces" in found([target(pod="vllm-0")], readings)[0].note
    assert found([target(pod="vllm-0", namespace="test")], readings)[0].uuids == ("GPU-2",)


def test_a_gpu_shared_by_pods_is_not_joined() -> None:
    (join,) = found([target(pod="vllm-0")], [given("GPU-1", VLLM, GpuOwner("batch", "train-7", "main"))])

    assert join.uuids == ()
    assert "shares a GPU" in join.note


def test_a_join_that_is_no_longer_found_is_gone() -> None:
    joins, one = GpuJoins(), target()
    joins.look([one], [used("GPU-1", 7)], {A: Served(frozenset({7}))})
    joins.look([one], [used("GPU-1")], {A: Served(frozenset({7}))})

    assert joins.of(one) == GpuJoin()


def test_a_join_says_how_it_is_known() -> None:
    assert join_text(GpuJoin(("GPU-1", "GPU-2"), JoinSource.PROCESS)) == "GPUs GPU-1, GPU-2, by its processes"
    assert join_text(GpuJoin(note="why")) == "no GPU is joined to it: why"


def test_the_daemons_look_goes_from_the_board_through_proc_to_the_joins(tmp_path: Path) -> None:
    class NoSink:
        def put_gpus(self, _samples: object) -> None:
            pass

    proc = ProcFolder(tmp_path / "proc")
    proc.listens("127.0.0.1", 8000, 555)
    proc.process(100, 1, 555)
    proc.process(101, 100)
    board = GpuBoard(NoSink(), State("test", DaemonHealth(0.0)))  # type: ignore[arg-type]
    board.put(DRIVER, [used("GPU-1", 101), used("GPU-2", 300)], 0.0, 5.0, 0.1)
    joins, one = GpuJoins(), target()
    joining = JoinGpus(joins, board, lambda: [one], Processes(proc.path))
    try:
        asyncio.run(joining.look())
    finally:
        joining.close()

    assert joins.of(one) == GpuJoin(("GPU-1",), JoinSource.PROCESS)
