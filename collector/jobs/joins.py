"""Which GPUs belong to which target, and how that is known: stated, labelled, by process, or by pod."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from collector.gpu.readings import GpuOwner, GpuReading
from collector.jobs.listeners import Served
from collector.jobs.targets import GPU_LABEL, Target
from collector.settings.model import GpuJoinConfig

_LABELS = (
    ("namespace", "__meta_kubernetes_namespace"),
    ("pod", "__meta_kubernetes_pod_name"),
    ("container", "__meta_kubernetes_pod_container_name"),
)
"""What a target's labels call the parts of an owner: plainly, or as Prometheus' discovery does."""


class JoinSource(StrEnum):
    """How a join is known, the first that tells one is followed."""

    CONFIG = "config"
    LABEL = "label"
    PROCESS = "process"
    POD = "pod"


@dataclass(frozen=True, slots=True)
class GpuJoin:
    """The GPUs of one target; without any, `note` says why none was found, where that is worth a word."""

    uuids: tuple[str, ...] = ()
    source: JoinSource | None = None
    note: str = ""


_NO_JOIN = GpuJoin()


@dataclass(slots=True)
class GpuJoins:
    """The joins of all targets: what is stated at once, what is found since the last look."""

    stated: Sequence[GpuJoinConfig] = ()
    _found: Mapping[str, GpuJoin] = field(default_factory=dict)

    def of(self, target: Target) -> GpuJoin:
        """The target's join."""
        return self._told(target) or self._found.get(target.url, _NO_JOIN)

    def unstated(self, targets: Iterable[Target]) -> list[Target]:
        """The targets whose GPUs neither the configuration nor a label tells."""
        return [target for target in targets if self._told(target) is None]

    def look(self, targets: Iterable[Target], readings: Sequence[GpuReading], served: Mapping[str, Served]) -> None:
        """Find the GPUs of the targets that state none, from the processes and owners of the GPUs.

        `served` has the processes behind each target's address. A GPU that two targets would get by the same means is
        given to neither: its duty cycle is not one replica's.
        """
        tells = any(one.process_ids or one.owners for one in readings)
        self._found = joins_found(self.unstated(targets), readings, served) if tells else {}

    def _told(self, target: Target) -> GpuJoin | None:
        for one in self.stated:
            if fnmatchcase(target.address, one.target):
                return GpuJoin(one.uuids, JoinSource.CONFIG)
        return GpuJoin(target.gpu_uuids, JoinSource.LABEL) if target.gpu_uuids else None


def joins_found(
    targets: Sequence[Target], readings: Sequence[GpuReading], served: Mapping[str, Served]
) -> dict[str, GpuJoin]:
    """By URL, what the processes tell, and else what the pods do."""
    # Left out here once, not for each of a thousand targets.
    listed = [one for one in readings if one.process_ids is not None]
    owned = [one for one in readings if one.owners]
    by_process = _unshared(
        {target.url: _by_process(served.get(target.address, Served()), listed) for target in targets}
    )
    by_pod = _unshared({target.url: _by_pod(target.labels, owned) for target in targets})
    return {
        url: by_process[url] if by_process[url].uuids or not (by_pod[url].uuids or by_pod[url].note) else by_pod[url]
        for url in by_process
    }


def _by_process(served: Served, listed: Sequence[GpuReading]) -> GpuJoin:
    """The GPUs on which only processes of this server run; `listed` are those whose processes are known."""
    mine, shared, divided = [], [], []
    for one in listed if served.process_ids else ():
        on = served.process_ids.intersection(one.process_ids or ())
        others = set(one.process_ids or ()) - served.process_ids
        if on and one.mig_enabled:
            divided.append(one.uuid)
        elif on and others:
            shared.append(f"{one.uuid} (also used by process {', '.join(map(str, sorted(others)))})")
        elif on:
            mine.append(one.uuid)
    if divided:
        return GpuJoin(note=f"{', '.join(divided)} is divided by MIG: state gpu_joins")
    if shared:
        return GpuJoin(note=f"it shares {', '.join(shared)}: a shared GPU's figures are not its own")
    if mine:
        return GpuJoin(tuple(sorted(mine)), JoinSource.PROCESS)
    return GpuJoin(note=served.problem if any(one.process_ids for one in listed) else "")


def _by_pod(labels: Mapping[str, str], owned: Sequence[GpuReading]) -> GpuJoin:
    """The GPUs given to the target's pod alone, where the labels leave only one pod possible.

    `owned` are those that are given to any.
    """
    wanted = [next((labels[name] for name in names if labels.get(name)), "") for names in _LABELS]
    if not wanted[1]:
        return GpuJoin()
    fitting = [one for one in owned if any(_fits(wanted, owner) for owner in one.owners)]
    owners = {(owner.namespace, owner.pod) for one in fitting for owner in one.owners if _fits(wanted, owner)}
    if len(owners) > 1:
        return GpuJoin(note=f"pods {wanted[1]!r} of several namespaces hold GPUs: label the target with its namespace")
    if any(len(one.owners) > 1 for one in fitting):
        return GpuJoin(note=f"pod {wanted[1]!r} shares a GPU: a shared GPU's figures are not its own")
    uuids = tuple(sorted({one.uuid for one in fitting}))
    return GpuJoin(uuids, JoinSource.POD) if uuids else GpuJoin()


def _fits(wanted: Sequence[str], owner: GpuOwner) -> bool:
    """Whether nothing that both tell differs."""
    pairs = zip(wanted, (owner.namespace, owner.pod, owner.container), strict=True)
    return owner.pod != "" and all(not mine or not theirs or mine == theirs for mine, theirs in pairs)


def _unshared(joins: Mapping[str, GpuJoin]) -> dict[str, GpuJoin]:
    """The joins, without those that claim a GPU which another target claims too."""
    claims = Counter(uuid for join in joins.values() for uuid in join.uuids)
    return {
        url: GpuJoin(note=f"another target would get {join.uuids[0]} as well: state gpu_joins")
        if any(claims[uuid] > 1 for uuid in join.uuids)
        else join
        for url, join in joins.items()
    }


def join_text(join: GpuJoin) -> str:
    """The join in words, for `doctor`."""
    how = {
        JoinSource.CONFIG: "stated in gpu_joins",
        JoinSource.LABEL: f"by the label {GPU_LABEL}",
        JoinSource.PROCESS: "by its processes",
        JoinSource.POD: "by its pod",
        None: "",
    }[join.source]
    if join.uuids:
        return f"GPUs {', '.join(join.uuids)}, {how}"
    return f"no GPU is joined to it: {join.note or 'nothing tells which'}"
