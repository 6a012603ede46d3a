"""Five minutes of one member's raw rows as one compressed block, and back to the last bit.

A block has the columns of its layout. Each becomes whole numbers of 64 bits (a double that is not whole: its bits), of
which the first is kept and then the differences, their sign in the lowest bit. The lowest bytes of all come first, then
the next, as many as the largest difference needs: neighbours that are alike, as zlib likes them. A packed histogram
counts by its length, and its bytes come last.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Double, LargeBinary, Table

from collector.store.codec import Row
from collector.store.schema import gpu_samples, replica_samples

LEVEL = 6
_HEAD = struct.Struct("<BBI")
"""Layout, bytes of a difference, rows."""
_WHOLE, _BITS, _LENGTHS = range(3)
"""What a column's numbers are: its values, the bits of its doubles, the lengths of its bytes."""
_WHOLE_WITHIN = 2.0**53
_MEMBER_AND_TICK = itemgetter(1, 0)
_MOMENT = ("tick_ms", "offset_us", "interval_ms")
LAYOUTS: Mapping[str, Sequence[tuple[str, ...]]] = {
    replica_samples.name: (
        (
            *_MOMENT,
            *("prompt_tokens_total", "prefill_tokens_total", "cached_tokens_total", "generation_tokens_total"),
            *("steps_total", "step_tokens_total", "decode_sequence_steps_total", "prefills_total"),
            *("requests_finished_total", "preemptions_total", "prefill_us_total", "prefill_marginal_us_total"),
            *("decode_us_total", "busy_us_total", "ttft_ms_total", "inter_token_ms_total", "request_queue_ms_total"),
            *("request_prefill_ms_total", "request_decode_ms_total", "finished_prompt_tokens_total"),
            *("finished_generation_tokens_total", "draft_steps_total", "draft_tokens_total", "accepted_tokens_total"),
            *("running_requests", "waiting_requests", "kv_usage_ppm"),
            *("step_tokens_histogram", "prompt_lengths_histogram", "generation_lengths_histogram"),
        ),
    ),
    gpu_samples.name: (
        (
            *_MOMENT,
            *("energy_mj_total", "ecc_errors_total", "utilization_ppm", "memory_used_bytes", "memory_total_bytes"),
            *("power_mw", "sm_clock_hz", "memory_clock_hz", "temperature_millicelsius", "throttled_ppm"),
            *("sm_active_ppm", "tensor_active_ppm", "dram_active_ppm", "sm_occupancy_ppm"),
        ),
    ),
}
"""The columns of blocks, by table and number of the layout. Blocks are not rewritten: other columns, a new layout."""


class DamagedBlockError(ValueError):
    """A block whose bytes are not those that were written."""


def packed(table: Table, bucket_ms: int, rows: Sequence[Row]) -> list[Row]:
    """Rows of one bucket, at least one and in any order, as rows of the table's blocks, one per member.

    Those are bucket, member, number of rows, block.
    """
    ordered = sorted(rows, key=_MEMBER_AND_TICK)
    told = dict(zip(table.columns.keys(), zip(*ordered, strict=True), strict=True))
    columns = [told[name] for name in LAYOUTS[table.name][-1]]
    kinds = [table.columns[name].type for name in LAYOUTS[table.name][-1]]
    present = np.array([[one is not None for one in column] for column in columns])
    whole, bits, fits = _numbers(columns, kinds)
    whole[0] -= bucket_ms
    octets = [number for number, kind in enumerate(kinds) if isinstance(kind, LargeBinary)]
    members = [row[1] for row in ordered]
    begins = [0, *(np.flatnonzero(np.diff(members)) + 1).tolist(), len(ordered)]
    made = []
    for begin, end in pairwise(begins):
        of = slice(begin, end)
        kept = np.where(fits[:, of].all(axis=1), _WHOLE, _BITS)
        kept[octets] = _LENGTHS
        numbers = np.where((kept == _BITS)[:, None], bits[:, of], whole[:, of])
        tail = b"".join(one for number in octets for one in columns[number][of] if one is not None)
        block = _block(len(LAYOUTS[table.name]) - 1, kept, numbers, present[:, of], tail)
        made.append((bucket_ms, members[begin], end - begin, block))
    return made


def unpacked(table: Table, row: Sequence[Any]) -> list[Row]:
    """A row of the table's blocks as the rows it was made from, by tick. Raises DamagedBlockError."""
    bucket_ms, member, _, block = row
    try:
        columns, count = _columns(table, zlib.decompress(block))
    except (zlib.error, struct.error, ValueError, IndexError) as error:
        raise DamagedBlockError(f"{table.name}, {member} at {bucket_ms}: {error}") from error
    columns["tick_ms"] = [bucket_ms + after for after in columns["tick_ms"]]
    nothing, mine = [None] * count, [member] * count
    _, _, *others = table.columns.keys()
    return list(zip(columns["tick_ms"], mine, *(columns.get(name, nothing) for name in others), strict=True))


def _numbers(
    columns: Sequence[Sequence[Any]], kinds: Sequence[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Whole numbers, 0 for None; the bits of doubles; and where the former tell all. Shape (columns, rows) each."""
    shape = len(columns), len(columns[0])
    whole, bits, fits = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.ones(shape, np.bool_)
    for number, (column, kind) in enumerate(zip(columns, kinds, strict=True)):
        if isinstance(kind, LargeBinary):
            whole[number] = [0 if one is None else len(one) for one in column]
        elif isinstance(kind, Double):
            values = np.array([0.0 if one is None else one for one in column])
            negative_zero = (values == 0) & np.signbit(values)
            fits[number] = (np.floor(values) == values) & (np.abs(values) <= _WHOLE_WITHIN) & ~negative_zero
            whole[number], bits[number] = np.where(fits[number], values, 0.0), values.view(np.int64)
        else:
            whole[number] = [0 if one is None else one for one in column]
    return whole, bits, fits


def _block(
    layout: int, kinds: NDArray[np.int64], numbers: NDArray[np.int64], present: NDArray[np.bool_], tail: bytes
) -> bytes:
    # Differences may overflow: they wrap around, and so do the sums that undo them.
    differences = np.diff(numbers, axis=1)
    coded = ((differences << 1) ^ (differences >> 63)).astype("<i8").view(np.uint8).reshape(*differences.shape, 8)
    used = np.flatnonzero(coded.any(axis=(0, 1)))
    width = int(used[-1]) + 1 if len(used) else 0
    parts = (
        _HEAD.pack(layout, width, numbers.shape[1]),
        kinds.astype(np.uint8).tobytes(),
        np.packbits(present).tobytes(),
        numbers[:, 0].astype("<i8").tobytes(),
        coded[:, :, :width].transpose(2, 0, 1).tobytes(),
        tail,
    )
    return zlib.compress(b"".join(parts), LEVEL)


def _columns(table: Table, body: bytes) -> tuple[dict[str, list[Any]], int]:
    """The columns of a block by name, and how many rows they have. Raises struct.error, ValueError and IndexError."""
    layout, width, count = _HEAD.unpack_from(body)
    names = LAYOUTS[table.name][layout]
    many, at = len(names), _HEAD.size

    def taken(octets: int) -> NDArray[np.uint8]:
        nonlocal at
        found = np.frombuffer(body, np.uint8, octets, at)
        at += octets
        return found

    kinds = taken(many).tolist()
    present = np.unpackbits(taken((many * count + 7) // 8), count=many * count).reshape(many, count).astype(np.bool_)
    numbers = np.empty((many, count), np.int64)
    numbers[:, 0] = taken(many * 8).view("<i8")
    coded = np.zeros((many, count - 1, 8), np.uint8)
    coded[:, :, :width] = taken(width * many * (count - 1)).reshape(width, many, count - 1).transpose(1, 2, 0)
    unsigned = coded.view("<u8")[:, :, 0]
    numbers[:, 1:] = (unsigned >> np.uint64(1)).view(np.int64) ^ -(unsigned & np.uint64(1)).view(np.int64)
    numbers = np.cumsum(numbers, axis=1)
    columns: dict[str, list[Any]] = {}
    for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        values: list[Any] = numbers[number].tolist()
        if kind == _BITS:
            values = numbers[number].view(np.float64).tolist()
        elif kind == _LENGTHS:
            ends = at + np.cumsum(numbers[number])
            values = [body[end - length : end] for end, length in zip(ends.tolist(), values, strict=True)]
            at = int(ends[-1])
        elif name in table.columns and isinstance(table.columns[name].type, Double):
            values = numbers[number].astype(np.float64).tolist()
        if not present[number].all():
            told = present[number].tolist()
            values = [one if there else None for one, there in zip(values, told, strict=True)]
        columns[name] = values
    return columns, count
