"""Stored samples -> histories -> the analysis -> a report and its verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from math import inf

from sqlalchemy import Connection

from analyzer.assumptions import Deployment, Policy
from analyzer.canary import watched
from analyzer.crosscheck import activity_of
from analyzer.elsewhere import on_other
from analyzer.replicas import ReplicaHistory
from analyzer.report import Report, analyse
from analyzer.samples import GpuSample, ReplicaKey
from analyzer.verdict import VerdictState
from analyzer.windows import Totals, add_up_whole
from analyzer.written import pieces
from collector.jobs.duty import DutyCycles
from collector.jobs.history_reads import Spans, buckets_of, in_groups, overlap_s, read_at_once
from collector.jobs.newest import Newest, Since, newest_of, newest_windows
from collector.jobs.polled import Polled
from collector.jobs.stated import deployment_of
from collector.jobs.step_models import StepModels
from collector.jobs.warm_parts import warm_parts
from collector.settings.deployments import DeploymentConfig
from collector.settings.model import Settings
from collector.store import Store
from collector.store.conclusions import plain_text

_Stored = Sequence[tuple[float, Totals]]
"""Totals by their start (unix time), oldest first."""


class Analyse:
    """Makes one report from what the store holds; the configuration names the deployments."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._duty = DutyCycles(store.reader)
        self._models = StepModels(store.reader)
        self._epoch_starts: dict[int, float] = {}
        self._spans = _spans_of(settings)
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Judge by these settings from the next report on."""
        spans = _spans_of(settings)
        if spans.history_s != self._spans.history_s:
            self._models.forget()
        self._spans = spans
        self._configs = settings.deployments
        self._stated = tuple(map(deployment_of, settings.deployments))
        analysis = settings.analysis
        self._policy = Policy(
            min_history_s=analysis.min_history,
            min_coverage_ratio=analysis.min_coverage,
            dwell_s=analysis.dwell,
            hold_s=analysis.hold,
        )

    def run(self, roster: Mapping[ReplicaKey, Polled], epochs: Mapping[ReplicaKey, int], now_s: float) -> Report:
        """The report at `now_s`, of the replicas that the roster holds with an epoch. Raises StoreError."""
        fleet, deployments = self._fleet(roster, epochs, now_s)
        # One after another: each history is megabytes, and its report is not.
        return self._report(fleet, deployments, self._store.reader.verdicts(), now_s)

    def forget_hours(self) -> None:
        """Samples are still on their way to the store: what was read of it may lack some."""
        self._duty.forget()

    def what_if(
        self,
        roster: Mapping[ReplicaKey, Polled],
        epochs: Mapping[ReplicaKey, int],
        now_s: float,
        change: Callable[[Deployment], Deployment],
    ) -> tuple[Report, Report]:
        """The report at `now_s` as it is, and with changed deployments, both without a former verdict's dwell.

        Nothing is stored. Raises StoreError.
        """
        # Capacities are computed with the two reports, all of them: some in turns would compare unlike fleets.
        histories, deployments = self._fleet(roster, epochs, now_s, anew=True)
        fleet = list(histories)
        changed = [change(one) for one in deployments]
        before, after = ({one.name: one for one in each} for each in (deployments, changed))
        same, other = (
            [on_other(known, before[known.deployment], to[known.deployment]) for known in fleet]
            for to in (before, after)
        )
        return self._report(same, deployments, {}, now_s), self._report(other, changed, {}, now_s)

    def _fleet(
        self,
        roster: Mapping[ReplicaKey, Polled],
        epochs: Mapping[ReplicaKey, int],
        now_s: float,
        *,
        anew: bool = False,
    ) -> tuple[Iterator[ReplicaHistory], list[Deployment]]:
        """The histories, read as they are asked for, and the deployments that they belong to.

        Of replicas whose figures stand only the live span is read. `anew`: all are whole, without their capacity.
        """
        crowd = Counter(key.target for key in roster)
        members = {key: polled for key, polled in roster.items() if key in epochs}
        of = {key: self._deployment_of(polled) for key, polled in members.items()}
        automatic = sorted(set(of.values()) - {deployment.name for deployment in self._stated})
        deployments = [*self._stated, *(Deployment(name) for name in automatic)]
        self._models.keep(roster, 0 if anew else None)
        by_name = {deployment.name: deployment for deployment in deployments}
        due = set(members) if anew else self._models.due({key: epochs[key] for key in members}, now_s)
        # What its busiest replica would do elsewhere is computed with every report, from its history.
        due |= {key for key, name in of.items() if by_name[name].has_choices}
        # So is what a scheme did where a few replicas serve it, which is asked of the fleet as it is.
        identities = ((name, key, members[key].identity) for key, name in of.items())
        compared = set[ReplicaKey]() if anew else watched(identities)
        due |= compared

        def known_of(some: Sequence[ReplicaKey], whole: Collection[ReplicaKey]) -> Iterator[ReplicaHistory]:
            own = {epochs[key]: members[key] for key in some}
            seen = self._seen(own, {epochs[key] for key in some if key in whole}, now_s)
            for key in some:
                yield self._history(members[key], epochs[key], now_s, *seen[epochs[key]], alone=crowd[key.target] == 1)

        def histories() -> Iterator[ReplicaHistory]:
            for some in in_groups(list(members), lambda key: self._age_s(epochs[key], now_s) if key in due else 0.0):
                for known in known_of(some, due):
                    key, deployment = known.replica, by_name[known.deployment]
                    if key not in due and self._models.stands(known, deployment):
                        yield self._models.with_former(known)
                        continue
                    whole = known if key in due else next(known_of([key], [key]))
                    if key in compared:
                        whole = replace(whole, compared=True)
                    yield self._models.prepared(whole, deployment, epochs[key], now_s)

        return histories(), deployments

    def _report(
        self,
        fleet: Iterable[ReplicaHistory],
        deployments: Sequence[Deployment],
        former: Mapping[tuple[str, str], VerdictState],
        now_s: float,
    ) -> Report:
        return analyse(
            fleet,
            deployments,
            former,
            self._policy,
            now_s=now_s,
            recent_s=self._spans.recent_s,
            history_s=self._spans.history_s,
        )

    def keep(self, report: Report, guard: Callable[[Connection], None], sparing: bool = False) -> None:
        """Store the report and its verdicts, if `guard` lets it; `sparing` in place of the newest.

        Raises what `guard` raises, and StoreError.
        """
        body = pieces(report, plain_text)
        self._store.writer.conclude(_states(report), report.made_at_s, body, guard, sparing=sparing)

    def _seen(
        self, members: Mapping[int, Polled], whole: Collection[int], now_s: float
    ) -> dict[int, tuple[_Stored | None, Newest]]:
        """What is stored of some replicas, by epoch: totals with their start, and the newest windows.

        Of those that are not in `whole`, the live span alone.
        """
        reader, spans = self._store.reader, self._spans
        since_s, recent_since_s = now_s - spans.history_s, now_s - spans.recent_s
        read = read_at_once(reader, members, whole, spans, now_s)
        stored: dict[int, _Stored | None] = {}
        sinces = {}
        for epoch, polled in members.items():
            if epoch not in whole:
                stored[epoch], sinces[epoch] = None, Since(recent_since_s, inf)
                continue
            begun_s = self._epoch_start_s(epoch)
            stored[epoch] = found = buckets_of(reader, read, polled.replica, epoch, since_s, now_s)
            least_s = since_s if begun_s is None else max(since_s, begun_s - polled.interval_s)
            cut_s = max((totals.end_s for _, totals in found), default=least_s)
            sinces[epoch] = Since(min(cut_s - overlap_s(polled), recent_since_s), cut_s)
        newest = newest_windows(read.fresh, sinces, recent_since_s)
        for epoch, begin in sinces.items():
            if begin.fresh_s < read.fresh_since_s:
                own = reader.columns(begin.fresh_s, now_s + 1, {epoch: members[epoch].replica})
                newest[epoch] = newest_of(own[epoch], begin, recent_since_s) if own else Newest()
        return {epoch: (totals, newest.get(epoch, Newest())) for epoch, totals in stored.items()}

    def _history(
        self, polled: Polled, epoch: int, now_s: float, stored: _Stored | None, newest: Newest, *, alone: bool
    ) -> ReplicaHistory:
        """What is known of one replica; without `stored`, of its live span.

        Only one that is `alone` at its target has the target's GPUs to itself.
        """
        reader, recent = self._store.reader, newest.recent
        history = None if stored is None else add_up_whole([*(totals for _, totals in stored), *newest.after])
        name = self._deployment_of(polled)
        identity = polled.identity
        own = polled.gpu_uuids if alone else ()
        recent_s, history_s = (span.start_s if span is not None else now_s for span in (recent, history))
        gpus = [reader.gpu_samples(recent_s, now_s + 1, uuid) for uuid in own]
        if identity.gpu is None:
            identity = replace(identity, gpu=next((one.name for gpu in gpus for one in gpu if one.name), None))
        return ReplicaHistory(
            replica=polled.replica,
            job=polled.job,
            deployment=name,
            identity=identity,
            simulated=polled.simulated,
            last=newest.last,
            recent=recent,
            history=history,
            joined_gpus=len(own) if own else None,
            gpu_utilization_recent=_utilization(gpus),
            gpu_utilization_history=None if stored is None else self._long_utilization(own, history_s, now_s),
            lumpy=polled.lumpy,
            unreported=polled.unreported,
            parts=() if stored is None else warm_parts(stored, own, self._duty, now_s),
            gpu_uuids=tuple(own),
            gpu_activity=activity_of(gpus),
            epoch_started_s=self._epoch_start_s(epoch),
        )

    def _age_s(self, epoch: int, now_s: float) -> float:
        """How long a history may be."""
        begun_s = self._epoch_start_s(epoch)
        return self._spans.history_s if begun_s is None else min(now_s - begun_s, self._spans.history_s)

    def _epoch_start_s(self, epoch: int) -> float | None:
        """When an epoch began. That never changes, so all are asked for when one is not known."""
        if epoch not in self._epoch_starts:
            self._epoch_starts = self._store.reader.epoch_starts()
        return self._epoch_starts.get(epoch)

    def _long_utilization(self, uuids: Sequence[str], since_s: float, now_s: float) -> float | None:
        """Mean duty cycle of the joined GPUs while this epoch lasted; None when one of them has none."""
        means = [self._duty.mean(uuid, since_s, now_s) for uuid in uuids]
        known = [mean for mean in means if mean is not None]
        return sum(known) / len(known) if known and len(known) == len(means) else None

    def _deployment_of(self, polled: Polled) -> str:
        for config in self._configs:
            if matches(config, polled):
                return config.name
        name = polled.replica.model or polled.job
        taken = any(config.name == name for config in self._configs)
        return f"{name} (job {polled.job})" if taken else name


def matches(config: DeploymentConfig, polled: Polled) -> bool:
    """Whether every stated pattern of the deployment fits the replica."""
    address = polled.replica.target.partition("://")[2].partition("/")[0]
    wanted = (
        (config.match.job, polled.job),
        (config.match.model, polled.replica.model),
        (config.match.target, address),
    )
    return all(pattern is None or fnmatchcase(value, pattern) for pattern, value in wanted)


def _spans_of(settings: Settings) -> Spans:
    return Spans(settings.analysis.recent, settings.analysis.history)


def _utilization(gpus: Sequence[Sequence[GpuSample]]) -> float | None:
    """Mean duty cycle over all joined GPUs; None when any of them reported none."""
    means = []
    for samples in gpus:
        known = [(one.utilization_ratio, one.interval_s) for one in samples if one.utilization_ratio is not None]
        if not known:
            return None
        means.append(sum(value * span_s for value, span_s in known) / sum(span_s for _, span_s in known))
    return sum(means) / len(means) if means else None


def _states(report: Report) -> dict[tuple[str, str], VerdictState]:
    return {(one.name, scheme.scheme): scheme.state for one in report.deployments for scheme in one.schemes}
