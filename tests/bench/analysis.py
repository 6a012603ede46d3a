"""The analysis of a fleet, and the roll-up and the page that go with it, for replicas with an hour of 5 s samples."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from analyzer.assumptions import Deployment, Policy, Price
from analyzer.columns import Columns
from analyzer.replicas import NO_BUSY, ReplicaHistory, capacity_of_replica, fit_replica, predict_replica
from analyzer.report import Report, analyse
from analyzer.spans import sum_of_columns
from analyzer.steptime.counted import Counted, counted_by_span
from analyzer.steptime.parts import Part, in_spans
from analyzer.windows import Totals, add_up_whole
from collector.jobs.duty import BUCKET_S
from collector.jobs.heap import rare_collections
from collector.jobs.simulated_polls import Watched
from collector.jobs.standing import MODEL_STANDS
from collector.jobs.step_models import FINE_SPAN_S
from collector.store import Store
from collector.store.codec import replica_columns, replica_row
from tests.bench.fleet import POLL_S, Member, member
from tests.bench.measure import Timing, timed
from tests.bench.table import Row
from tests.fakes.hand_clock import HandClock

RECENT_S = 300.0
MOST_S = 5.0
"""What a thousand replicas are to take at most."""
FLEET = Deployment("fleet", gpu="H100 SXM 80GB", gpus_per_replica=1, weight_bits=16, price=Price(2.0, "bench", 0.0))
PARTS = ("live windows", "windows", "fit", "account")
"""What turns samples into phases, batch sizes and step costs; predictions and capacity come on top."""
BEYOND = ("predictions", "capacity")
FITS_PER_REPORT = 60.0 / MODEL_STANDS.least_s
"""Of the models of a few hours, this share is fitted anew in one of the daemon's recomputations a minute."""


@dataclass
class Spent:
    """CPU seconds by part of the analysis, summed up over a run."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*PARTS, *BEYOND), 0.0))

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Books what the block takes."""
        begun_s = time.process_time()
        yield
        self.seconds[part] += time.process_time() - begun_s


def analysed(replicas: int, hour: Sequence[Watched]) -> tuple[Report, Spent]:
    """One recomputation in which every model is due: live span, the hour by the minute, fit, accounts and report.

    Samples come as rows of the store's table, as the daemon reads them; the reading itself is not in it.
    Predictions and capacity are of the schemes that are judged where none is named; both stand as long as a model.
    """
    spent = Spent()
    fleet = []
    for number in range(replicas):
        one = member(number, hour)
        buckets, stored = in_spans(one.samples, one.gpus, BUCKET_S), list(map(replica_row, one.samples))
        since_s = one.samples[-1].at_s - RECENT_S
        newest = [row for row, sample in zip(stored, one.samples, strict=True) if sample.at_s >= since_s]
        with spent.on("live windows"):
            recent = sum_of_columns(replica_columns(newest, one.key))
        with spent.on("windows"):
            known, fine = _windows(one, replica_columns(stored, one.key), buckets, recent)
        with spent.on("fit"):
            model = fit_replica(known, FLEET, fine)
        fleet.append(replace(known, model=model))
    # In a loop of their own: the daemon computes 20 capacities with a report at most, and each empties the caches.
    for number, known in enumerate(fleet):
        with spent.on("predictions"):
            predicted = predict_replica(known, FLEET, NO_BUSY)
        with spent.on("capacity"):
            carried = capacity_of_replica(known, FLEET, predicted)
        fleet[number] = replace(known, predicted=predicted, capacity=carried)
    now_s = hour[0].samples[-1].at_s
    with spent.on("account"):
        report = analyse(fleet, [FLEET], {}, Policy(), now_s=now_s, recent_s=RECENT_S, history_s=3600.0)
    return report, spent


def _windows(
    one: Member, columns: Columns, buckets: Sequence[Part], recent: Totals | None
) -> tuple[ReplicaHistory, Counted]:
    last = one.samples[-1]
    fine = counted_by_span(columns, one.gpus, FINE_SPAN_S)
    known = ReplicaHistory(
        replica=one.key,
        job="bench",
        deployment=FLEET.name,
        identity=one.identity,
        simulated=True,
        last=last,
        recent=recent,
        history=add_up_whole([part.totals for part in buckets]),
        joined_gpus=1,
        gpu_utilization_recent=0.5,
        gpu_utilization_history=0.5,
        parts=tuple(buckets),
    )
    return known, fine


def rows(replicas: int, runs: int, hour: Sequence[Watched]) -> tuple[list[Row], Report]:
    """The analysis by part, and the last report."""
    report, _ = analysed(min(replicas, 20), hour)
    rare_collections()  # as the daemon does at its start
    found = []
    for _ in range(runs):
        report, spent = analysed(replicas, hour)
        found.append(spent.seconds)

    def row(name: str, *parts: str) -> Row:
        return Row(name, Timing(tuple(sum(one[part] for part in parts) for one in found)), "s")

    made = [row(f"{part}, {replicas:,} replicas", part) for part in PARTS]
    beyond = [row(f"on top, as often as a model is fitted: {part}", part) for part in BEYOND]
    whole = replace(row("all of that together", *PARTS), bound=MOST_S * replicas / 1000)
    steady = [
        sum(one[part] for part in ("live windows", "account"))
        + FITS_PER_REPORT * sum(one[part] for part in ("windows", "fit"))
        for one in found
    ]
    daemon = Row("one recomputation of the daemon, a model fitted every 15 minutes", Timing(tuple(steady)), "s")
    return [*made, whole, daemon, *beyond], report


def roll_up_rows(replicas: int, runs: int, hour: Sequence[Watched], folder: Path) -> list[Row]:
    """Five minutes of the whole fleet from SQLite into totals, bucket after bucket."""
    clock = HandClock()
    store = Store.open(f"sqlite:///{folder / 'bench.db'}", clock)
    begin_s = hour[0].samples[0].at_s // BUCKET_S * BUCKET_S + BUCKET_S
    end_s = begin_s + (runs + 2) * BUCKET_S
    try:
        for number in range(replicas):
            one = member(number, hour)
            epoch = store.writer.register(one.key, one.identity, "bench", "bench", begin_s)
            store.writer.append([replace(s, epoch=epoch) for s in one.samples if begin_s <= s.at_s < end_s])
        ends_s = iter(begin_s + number * BUCKET_S + 1 for number in range(1, runs + 2))
        taken = timed(lambda: store.roll_up(next(ends_s)), runs)
    finally:
        store.close()
    per_hour = taken.times(3600 / BUCKET_S)
    polls = round(BUCKET_S / POLL_S)
    return [
        Row(f"one bucket: {replicas:,} replicas, {polls} samples each (SQLite)", taken, "s"),
        Row("the same, an hour of buckets", per_hour, "s"),
    ]
