"""The same traffic on other GPUs or fewer of them: what a replica carries there, the GPUs needed, and their price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analyzer.assumptions import Deployment, Price
from analyzer.capacity.answer import CapacityReport
from analyzer.capacity.fleet import FleetCapacity, needed
from analyzer.capacity.memory import kv_tokens_after
from analyzer.evidence import Estimate, Evidence, Figure, Missing, worst
from analyzer.facts.gpus import find_gpu
from analyzer.hardware import Hardware, resolve
from analyzer.money import HOURS_PER_MONTH
from analyzer.money.prices import reference_price
from analyzer.predict import Prediction
from analyzer.predict.formats import format_of
from analyzer.replicas import NO_BUSY, ReplicaHistory, capacity_of_replica, predict_replica
from analyzer.steptime.moved import moved
from analyzer.whatif import served_format

MEMORY_SHARE = 0.9
"""Of GPU memory that engines take for weights and KV cache unless told otherwise (vLLM: --gpu-memory-utilization)."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One replica of the deployment's traffic on `gpus_per_replica` of `gpu`; `scheme` None: as it is served now."""

    gpu: str
    gpus_per_replica: int
    scheme: str | None
    capacity_per_s: Figure
    price: Price | None


@dataclass(frozen=True, slots=True)
class Option:
    """What the peak would need there. `saving_usd_per_month` is below today's bill; negative where it costs more."""

    gpu: str
    gpus_per_replica: int
    scheme: str | None
    capacity_per_s: Figure
    replicas: Figure
    usd_per_month: Figure
    saving_usd_per_month: Figure


def on_other(known: ReplicaHistory, before: Deployment, after: Deployment) -> ReplicaHistory:
    """The replica under a changed word of the operator: what it was asked stays, its costs are scaled to other GPUs.

    Predictions and capacity are to be computed anew.
    """
    old, new = (resolve(known.identity, one, known.joined_gpus) for one in (before, after))
    known = replace(known, predicted=None, capacity=None, decision=None)
    if isinstance(old, Missing) or isinstance(new, Missing) or (old.gpu.name, old.gpus) == (new.gpu.name, new.gpus):
        return known
    model = known.model if isinstance(known.model, Missing) else moved(known.model, old, new)
    identity = replace(known.identity, gpu=new.gpu.name, kv_capacity_tokens=_kv_tokens(known, old, new))
    return replace(known, identity=identity, model=model)


def _kv_tokens(known: ReplicaHistory, old: Hardware, new: Hardware) -> int | None:
    """What the server holds now, and what the GPUs' memory has more or less; below 0 where weights do not fit."""
    held = known.identity.kv_capacity_tokens
    if held is None:
        return None
    token_bytes = new.shape.kv_bytes_per_token(new.kv_element_bytes)
    more_bytes = MEMORY_SHARE * (new.gpu.memory_bytes * new.gpus - old.gpu.memory_bytes * old.gpus)
    return int(held + more_bytes / token_bytes)


def elsewhere(known: ReplicaHistory, deployment: Deployment) -> tuple[Elsewhere, ...]:
    """The replica on every choice that the operator states, as it is served and under each scheme, where that fits."""
    here = resolve(known.identity, deployment, known.joined_gpus)
    if isinstance(here, Missing):
        return ()
    found = []
    for gpu, count, price in _choices(here, deployment):
        choice = replace(deployment, gpu=gpu, gpus_per_replica=count, price=price, imagined=True)
        there = on_other(known, deployment, choice)
        predicted = predict_replica(there, choice, NO_BUSY)
        found += [
            Elsewhere(gpu, count, scheme, _carried(there, choice, scheme, predicted), price)
            for scheme in (None, *predicted)
        ]
    return tuple(found)


def _choices(here: Hardware, deployment: Deployment) -> Iterator[tuple[str, int, Price | None]]:
    """Each other GPU with each tensor parallel size, and the price of a GPU-hour there."""
    places = [(here.gpu.name, deployment.price), *((one.gpu, one.price) for one in deployment.other_gpus)]
    for name, price in places:
        gpu = find_gpu(name)
        if gpu is None:
            continue
        for count in dict.fromkeys((here.gpus, *deployment.tensor_parallel_choices)):
            if (gpu.name, count) != (here.gpu.name, here.gpus):
                yield gpu.name, count, reference_price(gpu) if price is None else price


def _carried(
    there: ReplicaHistory, choice: Deployment, scheme: str | None, predicted: Mapping[str, Prediction | Missing]
) -> Figure:
    """Capacity there, with the KV memory that the scheme's own weights leave; Missing where they do not fit."""
    prediction = None if scheme is None else predicted[scheme]
    if isinstance(prediction, Missing):
        return prediction
    fits = _kv_left(there, choice, scheme)
    if isinstance(fits, Missing):
        return fits
    own = replace(there, identity=replace(there.identity, kv_capacity_tokens=fits))
    carried = capacity_of_replica(own, choice, {} if scheme is None or prediction is None else {scheme: prediction})
    side = carried.now if scheme is None else carried.schemes[scheme]
    if isinstance(side, CapacityReport):
        side = side.after
    return side if isinstance(side, Missing) else side.capacity_per_s


def _kv_left(there: ReplicaHistory, choice: Deployment, scheme: str | None) -> int | Missing | None:
    """KV tokens beside the scheme's weights; None where the server does not tell what it holds."""
    hardware = resolve(there.identity, choice, None)
    if isinstance(hardware, Missing):
        return hardware
    before = served_format(there.identity, hardware)
    if isinstance(before, Missing):
        return before
    after = before if scheme is None else format_of(scheme, before)
    shape = hardware.shape
    whole_bytes = shape.weight_bytes(after.weight_bits, embeddings_quantized=after.embeddings_quantized)
    memory_bytes = MEMORY_SHARE * hardware.gpu.memory_bytes * hardware.gpus
    held = there.identity.kv_capacity_tokens
    left = None if held is None else int(kv_tokens_after(held, shape, before, after))
    if whole_bytes >= memory_bytes or (left is not None and left <= 0):
        served = "as it is served now" if scheme is None else scheme
        return Missing(f"{whole_bytes / 1e9:.0f} GB of weights {served} do not fit {hardware.gpus} x {choice.gpu}")
    return left


def options(
    found: Sequence[Elsewhere], fleet: FleetCapacity, floor: int, usd_per_hour: float | None
) -> tuple[Option, ...]:
    """Each with the replicas that carry today's peak there, balanced as today; `usd_per_hour` is today's bill."""
    return tuple(_option(one, fleet, floor, usd_per_hour) for one in found)


def _option(one: Elsewhere, fleet: FleetCapacity, floor: int, usd_per_hour: float | None) -> Option:
    count = needed(fleet.peak_per_s, fleet.imbalance, one.capacity_per_s)
    if isinstance(count, Estimate):
        count = count.map(lambda replicas: max(replicas, float(floor)))
    monthly: Figure = count
    saving: Figure = count
    if isinstance(count, Estimate):
        monthly = _monthly(count, one)
        saving = monthly
        if isinstance(monthly, Estimate):
            saving = Missing("today's price is not known: set deployments[].price")
            if usd_per_hour is not None:
                today_usd = usd_per_hour * HOURS_PER_MONTH
                saving = monthly.map(lambda usd: today_usd - usd, "whole_gpus_elsewhere")
    return Option(one.gpu, one.gpus_per_replica, one.scheme, one.capacity_per_s, count, monthly, saving)


def _monthly(count: Estimate, one: Elsewhere) -> Figure:
    if one.price is None:
        return Missing(f"no price of {one.gpu}: state it under deployments[].other_gpus")
    usd = one.price.usd_per_gpu_hour * HOURS_PER_MONTH * one.gpus_per_replica
    evidence = worst(count.evidence, one.price.evidence, Evidence.MODELLED)
    return replace(count.map(lambda replicas: replicas * usd), evidence=evidence)
