"""The tables: what is. `migrations/` says how to get there.

A sample's key starts with its aligned tick, so that the rows of one moment lie together and a write touches few pages.
Rows by time refer to epochs and GPUs without a foreign key: the writer makes sure that theirs are there, and whoever
drops a day's partition or forgets an epoch need not search the others. In Postgres raw samples are partitioned by day:
the migrations say so, since to say it here would load that dialect for a SQLite file too.
Values other than counts are whole numbers of a small unit (fixed point), which SQLite keeps in as few bytes as they
need; counts are exact doubles, which it keeps just as short when they are whole. A histogram is one packed value.
NULL is "not reported", 0 is zero.
Raw samples come as rows and are sealed after two hours: a member's rows of five minutes become one compressed block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from analyzer.samples import GpuSample, ReplicaSample, Unit, counter_names, gauge_names, histogram_names, unit_of
from analyzer.windows import Refusal

BUCKET_MS = 300_000
"""Length of a bucket of totals: five minutes. Ticks are never further apart than this."""
HOUR_MS = 3_600_000
"""Length of a bucket of hourly totals."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How a unit is kept: `scale` column units make one unit of the field; None keeps the number as it is."""

    scale: int | None
    field_unit: str = ""
    column_unit: str = ""


STORED: Mapping[Unit, Stored] = {
    Unit.COUNT: Stored(None),
    Unit.SECONDS: Stored(1_000_000, "s", "us"),
    Unit.RATIO: Stored(1_000_000, "ratio", "ppm"),
    Unit.BYTES: Stored(1, "bytes", "bytes"),
    Unit.WATTS: Stored(1_000, "w", "mw"),
    Unit.JOULES: Stored(1_000, "j", "mj"),
    Unit.HERTZ: Stored(1, "hz", "hz"),
    Unit.CELSIUS: Stored(1_000, "celsius", "millicelsius"),
}


REQUEST_TIMES = frozenset(
    f"{name}_s_total" for name in ("ttft", "inter_token", "request_queue", "request_prefill", "request_decode")
)
"""Seconds summed over requests, a hundred at a time: a millisecond tells as much of them as a microsecond of steps'."""
_REQUEST_TIME = Stored(1_000, "s", "ms")


@dataclass(frozen=True, slots=True)
class Measure:
    """A sample's field and the column that keeps it."""

    field: str
    column: str
    scale: int | None


def measures(sample: type[Any]) -> tuple[Measure, ...]:
    """The measures of a sample type, counters first.

    Raises ValueError for a field whose name lacks its unit, since the column's name could not say its own.
    """
    return tuple(_measure(sample, name) for name in counter_names(sample) + gauge_names(sample))


def _measure(sample: type[Any], name: str) -> Measure:
    stored = _REQUEST_TIME if name in REQUEST_TIMES else STORED[unit_of(sample, name)]
    if not stored.field_unit:
        return Measure(name, name, stored.scale)
    column, found = re.subn(rf"_{stored.field_unit}(?=_|$)", f"_{stored.column_unit}", name)
    if found != 1:
        raise ValueError(f"{sample.__name__}.{name} must name its unit once: _{stored.field_unit}")
    return Measure(name, column, stored.scale)


REPLICA_MEASURES = measures(ReplicaSample)
GPU_MEASURES = measures(GpuSample)
DELTA_MEASURES = tuple(
    Measure(name, _measure(ReplicaSample, name).column.removesuffix("_total"), _measure(ReplicaSample, name).scale)
    for name in counter_names(ReplicaSample)
)
"""A counter's increase: what is no total since the engine's start is not called one."""
INTEGRAL_MEASURES = tuple(
    Measure(name, f"{_measure(ReplicaSample, name).column}_s", _measure(ReplicaSample, name).scale)
    for name in gauge_names(ReplicaSample)
)
"""A gauge's mean times seconds: the column's unit is the gauge's stored unit times seconds."""
HISTOGRAM_COLUMNS: Mapping[str, str] = {name: f"{name}_histogram" for name in histogram_names(ReplicaSample)}
REFUSAL_COLUMNS: Mapping[Refusal, str] = {refusal: f"refused_{refusal.value}" for refusal in Refusal}

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _columns(kept: tuple[Measure, ...]) -> list[Column[Any]]:
    return [Column(one.column, Double if one.scale is None else BigInteger, nullable=True) for one in kept]


def _histograms() -> list[Column[Any]]:
    return [Column(name, LargeBinary, nullable=True) for name in HISTOGRAM_COLUMNS.values()]


def _totals() -> list[Column[Any]]:
    return [
        Column("bucket_ms", BigInteger, nullable=False),
        Column("epoch_id", Integer, nullable=False),
        Column("start_us", BigInteger, nullable=False),
        Column("end_us", BigInteger, nullable=False),
        Column("covered_us", BigInteger, nullable=False),
        Column("active_us", BigInteger),
        Column("windows", Integer, nullable=False),
        *(Column(name, Integer, nullable=False) for name in REFUSAL_COLUMNS.values()),
        *_columns(DELTA_MEASURES),
        *_columns(INTEGRAL_MEASURES),
        *_histograms(),
    ]


replicas = Table(
    "replicas",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("target", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("rank", Text, nullable=False),
    Column("job", Text),
    UniqueConstraint("target", "model", "rank"),
)

epochs = Table(
    "epochs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("replica_id", ForeignKey("replicas.id"), nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("process_start", Text),
    Column("started_at_us", BigInteger, nullable=False),
    Column("last_hour_ms", BigInteger),
    UniqueConstraint("replica_id", "fingerprint"),
)
"""`last_hour_ms` is the newest hour with totals of the epoch, NULL before the first: it tells what can be forgotten."""

replica_samples = Table(
    "replica_samples",
    metadata,
    Column("tick_ms", BigInteger, nullable=False),
    Column("epoch_id", Integer, nullable=False),
    Column("offset_us", BigInteger, nullable=False),
    Column("interval_ms", BigInteger, nullable=False),
    *_columns(REPLICA_MEASURES),
    *_histograms(),
    PrimaryKeyConstraint("tick_ms", "epoch_id"),
    sqlite_with_rowid=False,
)
"""`tick_ms` is unix time, aligned down to the poll interval; the sample was taken `offset_us` after it."""

gpus = Table(
    "gpus",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", Text, nullable=False),
    Column("name", Text),
    UniqueConstraint("uuid"),
)

gpu_samples = Table(
    "gpu_samples",
    metadata,
    Column("tick_ms", BigInteger, nullable=False),
    Column("gpu_id", Integer, nullable=False),
    Column("offset_us", BigInteger, nullable=False),
    Column("interval_ms", BigInteger, nullable=False),
    *_columns(GPU_MEASURES),
    PrimaryKeyConstraint("tick_ms", "gpu_id"),
    sqlite_with_rowid=False,
)


def _blocks(name: str, member: str) -> Table:
    return Table(
        name,
        metadata,
        Column("bucket_ms", BigInteger, nullable=False),
        Column(member, Integer, nullable=False),
        Column("samples", Integer, nullable=False),
        Column("block", LargeBinary, nullable=False),
        PrimaryKeyConstraint("bucket_ms", member),
    )


replica_blocks = _blocks("replica_blocks", "epoch_id")
gpu_blocks = _blocks("gpu_blocks", "gpu_id")
BLOCKS: Mapping[str, Table] = {replica_samples.name: replica_blocks, gpu_samples.name: gpu_blocks}
"""Where a table's rows lie once they are sealed: those with ticks in the five minutes from `bucket_ms` (unix time) on.

With rowids: SQLite would put all but the shortest blocks of a table without them on a page of their own.
"""

replica_totals = Table(
    "replica_totals",
    metadata,
    *_totals(),
    PrimaryKeyConstraint("bucket_ms", "epoch_id"),
    sqlite_with_rowid=False,
)
"""Totals of the windows that end in the five minutes from `bucket_ms` (unix time) on."""

stale_buckets = Table(
    "stale_buckets",
    metadata,
    Column("bucket_ms", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Buckets with samples that their totals may not reflect yet: set with the samples, cleared with the totals."""

replica_hours = Table(
    "replica_hours",
    metadata,
    *_totals(),
    Column("pairs", Integer, nullable=False),
    PrimaryKeyConstraint("bucket_ms", "epoch_id"),
    sqlite_with_rowid=False,
)
"""The sum of the five-minute totals of the hour from `bucket_ms` on, made of so many `pairs` of samples.

Pairs in totals that the sum leaves out count too: fewer of them mean that five-minute totals are gone.
"""

stale_hours = Table(
    "stale_hours",
    metadata,
    Column("bucket_ms", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Hours whose five-minute totals changed since they were added up: set with those, cleared with the hour's sum."""

reports = Table(
    "reports",
    metadata,
    Column("made_at_us", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
)
"""A report's JSON, compressed (zlib): a fleet's is megabytes, and one stays each quarter of an hour."""

verdicts = Table(
    "verdicts",
    metadata,
    Column("deployment", Text, primary_key=True),
    Column("scheme", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("last_data_us", BigInteger),
    Column("candidate", Text),
    Column("candidate_since_us", BigInteger),
    Column("saved_at_us", BigInteger, nullable=False),
)

analyser = Table(
    "analyser",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("term", Integer, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("holder", Text),
    Column("lasts_ms", BigInteger, nullable=False),
    Column("session", Text),
)
"""One row: whose turn it is to analyse. No clock is in it: whoever waits sees for itself how long `beat` stands still.

`term` counts the changes of the holder (NULL: it gave up), `session` is the backend of its last beat.
"""

told_verdicts = Table(
    "told_verdicts",
    metadata,
    Column("receiver", Text, primary_key=True),
    Column("deployment", Text, primary_key=True),
    Column("scheme", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
)
"""The verdict that a receiver of notifications was told last, or that stood when it was first looked at."""
