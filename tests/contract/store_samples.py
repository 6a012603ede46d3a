"""Samples for the store's tests: worked ones, and hypothesis strategies for any that fixed point keeps exactly."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st

from analyzer.samples import GpuSample, Identity, ReplicaKey, ReplicaSample, bounds_of, histogram_names
from collector.store import Store
from collector.store.schema import GPU_MEASURES, REPLICA_MEASURES, Measure

START_S = 1_795_428_000.0
"""2026-11-23 10:00:00 UTC: the start of a five-minute bucket."""
VLLM = Identity("vllm", engine_version="0.33.0", dtype="bfloat16", tensor_parallel=1, gpu="NVIDIA H100 80GB HBM3")
LATER_S = START_S + 1e6
"""When all of it can be sealed and rolled up."""
_numbers = itertools.count()


def fresh_key() -> ReplicaKey:
    """A replica that no other test or example has."""
    return ReplicaKey(f"http://replica-{next(_numbers)}:8000/metrics", "llama", "0")


def registered(store: Store, key: ReplicaKey | None = None, identity: Identity = VLLM) -> tuple[ReplicaKey, int]:
    """A replica and its epoch."""
    key = fresh_key() if key is None else key
    return key, store.writer.register(key, identity, "1795427000.5", "vllm", START_S)


def sample(key: ReplicaKey, epoch: int, at_s: float, interval_s: float = 15.0, **values: Any) -> ReplicaSample:
    """A replica's sample; what is not named is not reported."""
    return ReplicaSample(key, epoch, at_s, interval_s, **values)


def seal_all(store: Store, now_s: float = LATER_S) -> int:
    """Seal what can be at that time; how many rows were."""
    total = 0
    while (sealed := store.seal(now_s)) > 0:
        total += sealed
    return total


def _values(measures: tuple[Measure, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({one.field: st.none() | _exact(one.scale) for one in measures})


def _exact(scale: int | None) -> st.SearchStrategy[float]:
    if scale is None:
        counts = st.integers(0, 2**53).map(float)
        return st.sampled_from([0.0, 1.0, 2.0**53]) | counts | st.floats(allow_nan=False, allow_infinity=False)
    largest = 2**53 if scale == 1 else 2**50
    return st.integers(0, largest).map(lambda fixed: fixed / scale)


_histograms = st.fixed_dictionaries(
    {
        name: st.none() | st.lists(st.integers(0, 2**53).map(float), min_size=buckets, max_size=buckets).map(tuple)
        for name in histogram_names(ReplicaSample)
        for buckets in [len(bounds_of(ReplicaSample, name)) + 1]
    }
)
instants_s = st.integers(1_600_000_000_000_000, 2_000_000_000_000_000).map(lambda at_us: at_us / 1_000_000)
intervals_s = st.sampled_from([0.1, 1.0, 7.0, 15.0, 60.0, 900.0])


@st.composite
def replica_samples(draw: st.DrawFn, key: ReplicaKey, epoch: int) -> ReplicaSample:
    """Any sample of one replica whose values fixed point keeps exactly."""
    values = {**draw(_values(REPLICA_MEASURES)), **draw(_histograms)}
    return ReplicaSample(key, epoch, draw(instants_s), draw(intervals_s), **values)


@st.composite
def gpu_samples(draw: st.DrawFn, uuid: str) -> GpuSample:
    """Any sample of one GPU whose values fixed point keeps exactly."""
    return GpuSample(uuid, draw(instants_s), draw(intervals_s), "NVIDIA L4", **draw(_values(GPU_MEASURES)))
