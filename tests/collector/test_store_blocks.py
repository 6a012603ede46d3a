"""Raw rows come back from a block to the last bit, by the columns that it was written with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Double, LargeBinary, Table

from collector.store import blocks
from collector.store.blocks import LAYOUTS, DamagedBlockError, packed, unpacked
from collector.store.codec import Row
from collector.store.schema import BLOCKS, BUCKET_MS, gpu_samples, replica_samples
from tests.contract.store_samples import START_S

START_MS = round(START_S * 1000)
TABLES = (replica_samples, gpu_samples)
_doubles = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**53).map(float) | st.just(-0.0)
_whole = st.sampled_from([0, 1, 2**53, -(2**63), 2**63 - 1]) | st.integers(0, 10_000)


def _values(column: Column[Any]) -> st.SearchStrategy[Any]:
    if isinstance(column.type, LargeBinary):
        return st.none() | st.binary(max_size=6)
    return st.none() | (_doubles if isinstance(column.type, Double) else _whole)


@st.composite
def buckets(draw: st.DrawFn, table: Table) -> list[Row]:
    """Rows of some members in one bucket, each key once, in any order."""
    keys = draw(st.lists(st.tuples(st.integers(0, BUCKET_MS - 1), st.integers(1, 3)), min_size=1, unique=True))
    _, _, *others = table.columns
    return [(START_MS + tick, member, *(draw(_values(column)) for column in others)) for tick, member in keys]


def exactly(rows: list[Row]) -> list[str]:
    """As text, in which 0.0 is not -0.0, nor 1.0 the same as 1."""
    return sorted(map(repr, rows))


@pytest.mark.parametrize("table", TABLES, ids=str)
@given(data=st.data())
def test_any_rows_come_back_exactly(table: Table, data: st.DataObject) -> None:
    rows = data.draw(buckets(table))
    made = packed(table, START_MS, rows)
    assert [block[:3] for block in made] == [
        (START_MS, member, [row[1] for row in rows].count(member)) for member in sorted({row[1] for row in rows})
    ]
    found = [unpacked(table, block) for block in made]
    assert exactly([row for one in found for row in one]) == exactly(rows)
    assert all(one == sorted(one, key=lambda row: int(row[0])) for one in found)


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_the_newest_layout_has_all_columns_but_the_member(table: Table) -> None:
    """Where this fails a column came or went: add a layout, and leave those that blocks were written by."""
    assert set(LAYOUTS[table.name][-1]) == {*table.columns.keys()} - {BLOCKS[table.name].columns.keys()[1]}
    assert len(set(LAYOUTS[table.name][-1])) == len(LAYOUTS[table.name][-1])


def test_a_block_from_before_a_column_came_or_went_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the block has no column for is not reported; a column that the table lost is left out."""
    newest = LAYOUTS[gpu_samples.name][-1]
    former = (*(name for name in newest if name != "power_mw"), "ecc_errors_total")
    row = (START_MS, 1, 0, 15_000, *range(len(gpu_samples.columns) - 4))
    monkeypatch.setattr(blocks, "LAYOUTS", {gpu_samples.name: (former,)})
    (block,) = packed(gpu_samples, START_MS, [row])
    monkeypatch.setattr(blocks, "LAYOUTS", {gpu_samples.name: (former, newest)})
    power = gpu_samples.columns.keys().index("power_mw")
    assert unpacked(gpu_samples, block) == [(*row[:power], None, *row[power + 1 :])]


def test_a_damaged_block_is_known_as_one() -> None:
    row = (START_MS, 1, 0, 15_000, *[None] * (len(gpu_samples.columns) - 4))
    (whole,) = packed(gpu_samples, START_MS, [row])
    for block in (b"", b"x", whole[3][:-4], whole[3][:9] + b"\xff" + whole[3][10:]):
        with pytest.raises(DamagedBlockError):
            unpacked(gpu_samples, (*whole[:3], block))
