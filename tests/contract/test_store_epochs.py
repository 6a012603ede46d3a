"""Epochs: the same replica and identity give the same epoch, to any thread and after any restart."""

from __future__ import annotations

from contextlib import closing
from dataclasses import fields, replace
from threading import Barrier, Thread

import pytest

from analyzer.samples import GpuSample, Identity, ReplicaKey
from analyzer.verdict import Verdict, VerdictState
from collector.store import RegisteredReplica, Store
from collector.store.identity import fingerprint
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, VLLM, fresh_key, sample

KEY = ReplicaKey("http://a:8000/metrics", "llama", "0")


def test_the_same_identity_gives_the_same_epoch(store: Store) -> None:
    first = store.writer.register(KEY, VLLM, "1.5", "vllm", START_S)
    assert first == store.writer.register(KEY, VLLM, "1.5", "vllm", START_S + 900)
    (epoch,) = store.reader.epochs()
    assert (first, KEY, VLLM, "1.5", START_S) == (
        epoch.id, epoch.replica, epoch.identity, epoch.process_start, epoch.started_at_s,
    )  # fmt: skip


def test_an_epoch_goes_on_after_a_restart(store_url: str, clock: StandingClock) -> None:
    with closing(Store.open(store_url, clock)) as before:
        epoch = before.writer.register(KEY, VLLM, "1.5", "vllm", START_S)
        before.writer.append([sample(KEY, epoch, START_S)])
    with closing(Store.open(store_url, clock)) as after:
        assert epoch == after.writer.register(KEY, VLLM, "1.5", "vllm", START_S + 60)
        after.writer.append([sample(KEY, epoch, START_S + 60)])
        assert [one.at_s for one in after.reader.samples(START_S, START_S + 90, KEY)] == [START_S, START_S + 60]


@pytest.mark.fault(
    "3",
    "the model is swapped on the same port",
    promise="another process, quantization, parallelism or GPU begins an epoch, on either database",
)
@pytest.mark.parametrize(
    ("identity", "process_start"),
    [
        (VLLM, "2.5"),
        (VLLM, None),
        (replace(VLLM, quantization="fp8"), "1.5"),
        (replace(VLLM, tensor_parallel=2), "1.5"),
        (replace(VLLM, gpu=None), "1.5"),
    ],
)
def test_whatever_matters_begins_a_new_epoch(store: Store, identity: Identity, process_start: str | None) -> None:
    former = store.writer.register(KEY, VLLM, "1.5", "vllm", START_S)
    later = store.writer.register(KEY, identity, process_start, "vllm", START_S + 15)
    assert former != later
    assert [former, later] == [one.id for one in store.reader.epochs(KEY)]
    assert [VLLM, identity] == [one.identity for one in store.reader.epochs(KEY)]


@pytest.mark.fault(
    "3",
    "the model is swapped on the same port",
    promise="any fact that changes, the model's path and dtype among them, gives another fingerprint, by which epochs "
    "are told apart",
)
def test_every_fact_of_an_identity_counts() -> None:
    """Identity's fields are text, numbers or yes/no: another value of any gives another fingerprint."""
    told = Identity(**{one.name: "x" for one in fields(Identity)})
    changed = [replace(told, **{one.name: "y"}) for one in fields(Identity)]
    prints = [fingerprint(identity, None) for identity in (told, *changed)]
    assert len(prints) == len(set(prints))


def test_a_fact_that_nothing_told_begins_no_epoch() -> None:
    """So a field that a later release adds does not cut every history in two."""
    assert fingerprint(Identity("vllm"), None) == fingerprint(Identity("vllm", gpu=None), None)


def test_replicas_differ_by_target_model_and_rank(store: Store) -> None:
    keys = [KEY, replace(KEY, target="http://b"), replace(KEY, model="qwen"), replace(KEY, rank="1")]
    epochs = {store.writer.register(key, VLLM, None, "vllm", START_S) for key in keys}
    assert len(epochs) == 4
    assert sorted(keys) == [one.key for one in store.reader.replicas()]


def test_a_replica_belongs_to_the_job_that_last_polled_it(store: Store) -> None:
    for job in ("old", None, "new"):
        store.writer.register(KEY, VLLM, None, job, START_S)
        assert [RegisteredReplica(KEY, job)] == store.reader.replicas()


def test_eight_threads_that_register_at_once_agree(store: Store) -> None:
    barrier = Barrier(8)
    keys = [fresh_key() for _ in range(5)]
    given: list[tuple[ReplicaKey, int]] = []

    def register() -> None:
        barrier.wait()
        given.extend((key, store.writer.register(key, VLLM, "1.5", "vllm", START_S)) for key in keys)

    threads = [Thread(target=register) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 40
    assert {(one.replica, one.id) for one in store.reader.epochs()} == set(given)
    assert len(set(given)) == 5


@pytest.mark.fault("2", "hostile label text", promise="the database keeps any name")
@pytest.mark.parametrize("name", ["nul\x00", "lone surrogate \ud800", "long " + "".join(map(chr, range(300, 6000)))])
def test_a_name_that_no_database_keeps_is_kept_in_another_form(store: Store, name: str) -> None:
    """Its replica is found under the name as given, and a batch with it goes through."""
    key = ReplicaKey(name, name, name)
    epoch = store.writer.register(key, replace(VLLM, model_path=name), name, name, START_S)
    assert epoch == store.writer.register(key, replace(VLLM, model_path=name), name, name, START_S + 15)
    reading = GpuSample(name, START_S, 15.0, name)
    store.writer.append([sample(key, epoch, START_S)], [reading])
    assert [sample(key, epoch, START_S)] == store.reader.samples(START_S, START_S + 1, key)
    assert sample(key, epoch, START_S) == store.reader.last_sample(key)
    assert [epoch] == [one.id for one in store.reader.epochs(key)]
    assert [name] == [one.uuid for one in store.reader.gpu_samples(START_S, START_S + 1, name)]
    store.writer.save_verdicts({(name, name): VerdictState(Verdict.NO, START_S, None)}, START_S)
    assert len(store.reader.verdicts()) == 1


def test_overlong_names_stay_apart(store: Store) -> None:
    keys = [replace(KEY, model="m" * 5000 + end) for end in "ab"]
    assert len({store.writer.register(key, VLLM, None, "vllm", START_S) for key in keys}) == 2
    assert all(len(one.key.model.encode()) <= 512 for one in store.reader.replicas())


@pytest.mark.parametrize("name", ["'; DROP TABLE replicas; --", "%s%(x)s?:name", "模型 \N{ROCKET}", 'a\nb\t"c"', ""])
def test_any_other_name_is_kept_as_it_is(store: Store, name: str) -> None:
    key = ReplicaKey(name, name, name)
    store.writer.register(key, replace(VLLM, model_path=name), name, name, START_S)
    assert [RegisteredReplica(key, name)] == store.reader.replicas()
    (epoch,) = store.reader.epochs(key)
    assert (name, name) == (epoch.identity.model_path, epoch.process_start)
