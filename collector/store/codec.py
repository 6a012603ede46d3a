"""Samples and totals as rows of fixed-point numbers and packed histograms, and back.

What cannot be a measurement (not finite, or too large for the column) is kept as not reported: one absurd page must
not stop the rows of every other replica.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from math import isfinite
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.columns import SERIES, Columns
from analyzer.histograms import BUCKETS, WIDEST
from analyzer.samples import GpuSample, ReplicaKey, ReplicaSample
from analyzer.stacked import Stacked, Told
from analyzer.windows import Refusal, Totals
from collector.store.packing import pack, unpack, unpack_many
from collector.store.schema import (
    BUCKET_MS,
    DELTA_MEASURES,
    GPU_MEASURES,
    HISTOGRAM_COLUMNS,
    INTEGRAL_MEASURES,
    REFUSAL_COLUMNS,
    REPLICA_MEASURES,
)

MICRO = 1_000_000
_LIMIT = 2**63

Row = tuple[Any, ...]
"""Values in the order of the table's columns."""


def microseconds(seconds: float) -> int:
    """Seconds as whole microseconds."""
    return round(seconds * MICRO)


def seconds(kept_us: int) -> float:
    """Whole microseconds as seconds: the double nearest to the exact quotient."""
    return kept_us / MICRO


def bucket_ms(at_us: int) -> int:
    """The start of the bucket that an instant falls into."""
    return at_us // (BUCKET_MS * 1000) * BUCKET_MS


def tick(at_us: int, interval_ms: int) -> tuple[int, int]:
    """The aligned tick (ms) that an instant belongs to, and the instant's distance from it (µs).

    Ticks are multiples of the poll interval, of a bucket's length where polls are rarer than that. A poller whose
    requests leave near a multiple of the interval may send two within one tick: the second is a duplicate.
    """
    grid_us = min(interval_ms, BUCKET_MS) * 1000
    aligned_us = at_us // grid_us * grid_us
    return aligned_us // 1000, at_us - aligned_us


def _keep(value: float | None, scale: int | None) -> float | int | None:
    if value is None:
        return None
    if scale is None:
        return value if isfinite(value) else None
    try:
        fixed = round(value * scale)
    except (OverflowError, ValueError):
        return None
    return fixed if -_LIMIT <= fixed < _LIMIT else None


def _restore(kept: float | int | None, scale: int | None) -> float | None:
    if kept is None:
        return None
    return float(kept) if scale is None else kept / scale


_REPLICA_FIELDS = tuple(one.field for one in REPLICA_MEASURES)
_REPLICA_SCALES = tuple(one.scale for one in REPLICA_MEASURES)
_GPU_FIELDS = tuple(one.field for one in GPU_MEASURES)
_GPU_SCALES = tuple(one.scale for one in GPU_MEASURES)
_WIDTH = 4 + len(REPLICA_MEASURES)
"""Figures of a row of `replica_samples`: tick, epoch, offset and interval come first, packed histograms last."""
_figures_of, _packed_of = itemgetter(slice(_WIDTH)), itemgetter(slice(_WIDTH, None))
_SERIES_AT = [4 + _REPLICA_FIELDS.index(name) for name in SERIES]
_SERIES_DIVISORS = np.array([[_REPLICA_SCALES[at - 4] or 1.0] for at in _SERIES_AT])
"""A measure without a scale is kept as it is."""
_NOTHING_PACKED = (None,) * len(BUCKETS)
_HEAD = 7
"""Columns of a row of totals before its refusals: bucket, epoch, start, end, covered, active, windows."""
_DELTAS = tuple(one.field for one in DELTA_MEASURES)
_INTEGRALS = tuple(one.field for one in INTEGRAL_MEASURES)
_TOTAL_SCALES = [one.scale for one in (*DELTA_MEASURES, *INTEGRAL_MEASURES)]
_REFUSED = slice(_HEAD, _HEAD + len(REFUSAL_COLUMNS))
_KEPT = slice(_REFUSED.stop, _REFUSED.stop + len(_TOTAL_SCALES))
_PACKED = slice(_KEPT.stop, _KEPT.stop + len(BUCKETS))
_replica_values = attrgetter(*_REPLICA_FIELDS)
_replica_histograms = attrgetter(*HISTOGRAM_COLUMNS)
_gpu_values = attrgetter(*_GPU_FIELDS)


def _moment(at_s: float, interval_s: float) -> tuple[int, int, int]:
    interval_ms = max(1, round(interval_s * 1000))
    tick_ms, offset_us = tick(microseconds(at_s), interval_ms)
    return tick_ms, offset_us, interval_ms


def tick_ms_of(sample: GpuSample) -> int:
    """The tick (ms) of a GPU's sample, as its row has it."""
    return _moment(sample.at_s, sample.interval_s)[0]


def replica_row(sample: ReplicaSample) -> Row:
    """A replica's sample as a row of `replica_samples`."""
    tick_ms, offset_us, interval_ms = _moment(sample.at_s, sample.interval_s)
    values = map(_keep, _replica_values(sample), _REPLICA_SCALES)
    return (tick_ms, sample.epoch, offset_us, interval_ms, *values, *map(pack, _replica_histograms(sample)))


def replica_sample(row: Sequence[Any], replica: ReplicaKey) -> ReplicaSample:
    """A row of `replica_samples` as the sample it was made from."""
    tick_ms, epoch, offset_us, interval_ms, *kept = row
    measured, packed = kept[: len(_REPLICA_FIELDS)], kept[len(_REPLICA_FIELDS) :]
    values: dict[str, Any] = dict(zip(_REPLICA_FIELDS, map(_restore, measured, _REPLICA_SCALES), strict=True))
    values.update(zip(BUCKETS, map(unpack, packed, BUCKETS.values()), strict=True))
    return ReplicaSample(replica, epoch, seconds(tick_ms * 1000 + offset_us), interval_ms / 1000, **values)


def replica_columns(rows: Sequence[Sequence[Any]], replica: ReplicaKey) -> Columns:
    """Rows of one epoch in `replica_samples`, oldest first, as columns: quicker by far than as samples."""
    flat = chain.from_iterable(map(_figures_of, rows))
    figures = np.fromiter(flat, np.float64, len(rows) * _WIDTH).reshape(len(rows), _WIDTH).T
    return Columns(
        replica=replica,
        epoch=rows[0][1],
        at_s=(figures[0] * 1000 + figures[2]) / MICRO,
        interval_s=figures[3] / 1000,
        series=figures[_SERIES_AT] / _SERIES_DIVISORS,
        carrying=np.array([packed != _NOTHING_PACKED for packed in map(_packed_of, rows)]),
        sample=lambda number: replica_sample(rows[number], replica),
        told=lambda numbers: _counts([_packed_of(rows[number]) for number in numbers.tolist()]),
    )


def _counts(packed: Sequence[Sequence[bytes | None]]) -> NDArray[np.float64]:
    """All histograms of some rows, as `Columns` tells them."""
    flat = list(chain.from_iterable(packed))
    told = [place for place, one in enumerate(flat) if one is not None]
    counts = np.full((len(flat), WIDEST), np.nan)
    buckets = [*BUCKETS.values()] * len(packed)
    found = unpack_many([one for one in flat if one is not None], [buckets[place] for place in told])
    counts[told, : found.shape[1]] = found
    return counts.reshape(len(packed), len(BUCKETS), WIDEST)


def gpu_row(sample: GpuSample, gpu_id: int) -> Row:
    """A GPU's sample as a row of `gpu_samples`."""
    tick_ms, offset_us, interval_ms = _moment(sample.at_s, sample.interval_s)
    return (tick_ms, gpu_id, offset_us, interval_ms, *map(_keep, _gpu_values(sample), _GPU_SCALES))


def gpu_sample(row: Sequence[Any], uuid: str, name: str | None) -> GpuSample:
    """A row of `gpu_samples` as the sample it was made from."""
    tick_ms, _, offset_us, interval_ms, *kept = row
    values = dict(zip(_GPU_FIELDS, map(_restore, kept, _GPU_SCALES), strict=True))
    return GpuSample(uuid, seconds(tick_ms * 1000 + offset_us), interval_ms / 1000, name, **values)


def stacked_samples(rows: Sequence[Sequence[Any]]) -> tuple[Stacked, list[int], NDArray[np.int64]]:
    """Rows of `replica_samples` stacked by epoch and in order of time; the epochs by number of owner; each row's place.

    Places are positions in `rows`, in the order of the stack.
    """
    told = list(zip(*rows, strict=True))
    figures = np.array([_floats(column) for column in told[:_WIDTH]])
    epochs, owner = np.unique(figures[1].astype(np.int64), return_inverse=True)
    at_us = figures[0] * 1000 + figures[2]
    order = np.lexsort((at_us, owner))
    stacked = Stacked(
        owner=owner[order],
        at_s=at_us[order] / MICRO,
        interval_s=figures[3][order] / 1000,
        series=figures[_SERIES_AT][:, order] / _SERIES_DIVISORS,
        told={
            name: _told(packed, order, buckets)
            for (name, buckets), packed in zip(BUCKETS.items(), told[_WIDTH:], strict=True)
        },
    )
    return stacked, epochs.tolist(), order


def _floats(column: Sequence[Any]) -> NDArray[np.float64]:
    """Numbers, NaN for None."""
    if column[0] is None and column.count(None) == len(column):
        return np.full(len(column), np.nan)
    return np.array(column, dtype=np.float64)


def _told(packed: Sequence[bytes | None], order: NDArray[np.int64], buckets: int) -> Told:
    carrying = np.flatnonzero(np.array([one is not None for one in packed])[order])
    counts = unpack_many([one for at in order[carrying].tolist() if (one := packed[at]) is not None], buckets)
    whole = ~np.isnan(counts[:, 0])
    return Told(carrying[whole], counts[whole])


def totals_row(bucket: int, totals: Totals) -> Row:
    """Totals as a row of `replica_totals`; `bucket` is unix time in ms."""
    deltas, integrals, refusals = totals.deltas, totals.integrals, totals.refusals
    return (
        bucket,
        totals.epoch,
        microseconds(totals.start_s),
        microseconds(totals.end_s),
        microseconds(totals.covered_s),
        None if totals.active_s is None else microseconds(totals.active_s),
        totals.windows,
        *(refusals.get(refusal, 0) for refusal in REFUSAL_COLUMNS),
        *(_keep(deltas[one.field], one.scale) for one in DELTA_MEASURES),
        *(_keep(integrals[one.field], one.scale) for one in INTEGRAL_MEASURES),
        *(pack(totals.histograms[name]) for name in HISTOGRAM_COLUMNS),
    )


def totals_of_rows(rows: Sequence[Sequence[Any]], keys: Mapping[int, ReplicaKey]) -> list[Totals]:
    """Rows of `replica_totals`, or the same columns of `replica_hours`, as the totals they were made from.

    `keys` names the replica of each epoch.
    """
    # Column by column: a month's hours are 720 rows, and a step of Python for each of their values is most of the time.
    columns = list(zip(*rows, strict=True))
    if not columns:
        return []
    _, epochs, starts_us, ends_us, covered_us, active_us, windows = columns[:_HEAD]
    kept = [_restored(column, by) for column, by in zip(columns[_KEPT], _TOTAL_SCALES, strict=True)]
    told = [_histograms_of(packed, size) for packed, size in zip(columns[_PACKED], BUCKETS.values(), strict=True)]
    return [
        Totals(
            keys[epoch],
            epoch,
            start_us / MICRO,
            end_us / MICRO,
            covered / MICRO,
            count,
            dict(zip(_DELTAS, deltas, strict=True)),
            dict(zip(_INTEGRALS, integrals, strict=True)),
            active,
            _refusals(refused) if any(refused) else {},
            dict(zip(BUCKETS, histograms, strict=True)),
        )
        for epoch, start_us, end_us, covered, count, deltas, integrals, active, refused, histograms in zip(
            *(epochs, starts_us, ends_us, covered_us, windows),
            *(zip(*kept[: len(_DELTAS)], strict=True), zip(*kept[len(_DELTAS) :], strict=True)),
            *(_restored(active_us, MICRO), zip(*columns[_REFUSED], strict=True), zip(*told, strict=True)),
            strict=True,
        )
    ]


def _restored(column: Sequence[float | int | None], scale: int | None) -> Sequence[float | None]:
    """As `_restore`, of a column; doubles come from either database as they are."""
    if scale is None or column.count(None) == len(column):
        return column
    return [None if value is None else value / scale for value in column]


def _refusals(counts: Sequence[int]) -> dict[Refusal, int]:
    return {refusal: count for refusal, count in zip(REFUSAL_COLUMNS, counts, strict=True) if count > 0}


def _histograms_of(packed: Sequence[bytes | None], buckets: int) -> Sequence[tuple[float, ...] | None]:
    """As `unpack`, of many at once."""
    carried = [one for one in packed if one is not None]
    counts = unpack_many(carried, buckets)
    # Bucket by bucket, a histogram comes as a tuple at once, and buckets that are empty throughout share their zeros.
    empty = (0.0,) * len(carried)
    used: list[bool] = np.count_nonzero(counts, axis=0).astype(bool).tolist()
    by_bucket = [bucket.tolist() if told else empty for bucket, told in zip(counts.T.copy(), used, strict=True)]
    unpacked: Iterator[tuple[float, ...]] = zip(*by_bucket, strict=True)
    whole = ~np.isnan(counts[:, 0])
    if len(carried) == len(packed) and whole.all():
        return list(unpacked)
    found = (one if good else None for one, good in zip(unpacked, whole.tolist(), strict=True))
    return [None if one is None else next(found) for one in packed]


def pairs_of(row: Sequence[Any]) -> int:
    """How many pairs of samples a row of totals was made of: windows and refusals."""
    return int(sum(row[_HEAD - 1 : _REFUSED.stop]))
