"""Sealed blocks that cannot be read: each is counted and logged once, is kept, and costs no other block anything.

The ledger goes along with a connection, as an option of its engine: a block may be found by any read.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Table, delete, exists, insert, literal, select

from collector.logs import event
from collector.store.blocks import DamagedBlockError, unpacked
from collector.store.codec import Row
from collector.store.grid import grid_rows, member_of
from collector.store.schema import BLOCKS, BUCKET_MS

OPTION = "breakeven_damaged_blocks"
"""The option of a connection that holds its `DamagedBlocks`."""
_log = logging.getLogger("breakeven.store")


class DamagedBlocks:
    """Those found since the store was opened. Safe to call from several threads."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter(dict.fromkeys(BLOCKS, 0))
        """How many, by the table whose samples they hold; it always has all of them."""
        self._known: set[tuple[str, int, int]] = set()
        self._lock = Lock()

    def note(self, table: Table, block: Sequence[Any]) -> None:
        """Count and log a block unless it is known."""
        bucket_ms, member, samples, _ = block
        key = table.name, bucket_ms, abs(member)
        with self._lock:
            if key in self._known:
                return
            self._known.add(key)
            self.found[table.name] += 1
        bucket = datetime.fromtimestamp(bucket_ms / 1000, UTC).isoformat()
        event(
            _log,
            logging.ERROR,
            "sealed samples cannot be read: their block is damaged; it is kept, and all others are read",
            # Of every block, since lines about the same thing are thinned out.
            about=f"{BLOCKS[table.name].name} {bucket} {abs(member)}",
            table=BLOCKS[table.name].name,
            bucket=bucket,
            **{member_of(table).name: abs(member)},
            samples=samples,
        )


def rows_of(connection: Connection, table: Table, block: Sequence[Any]) -> list[Row]:
    """The rows of a row of the table's blocks, by tick; none of one that is damaged, which is noted."""
    try:
        if block[1] >= 0:
            return unpacked(table, block)
    except DamagedBlockError:
        pass
    ledger: DamagedBlocks = connection.get_execution_options()[OPTION]
    ledger.note(table, block)
    return []


def set_aside(connection: Connection, table: Table, bucket_ms: int, members: Sequence[int]) -> None:
    """Put the members' damaged blocks of a bucket under the negative of their numbers: others take their places."""
    blocks = BLOCKS[table.name]
    member = member_of(blocks)
    for block in grid_rows(connection, blocks, bucket_ms, bucket_ms + BUCKET_MS, list(members)):
        try:
            unpacked(table, block)
        except DamagedBlockError:
            mine = (blocks.c.bucket_ms == bucket_ms) & (member == block[1])
            there = exists().where((blocks.c.bucket_ms == bucket_ms) & (member == -block[1]))
            values = [literal(bucket_ms), literal(-block[1]), blocks.c.samples, blocks.c.block]
            kept = select(*values).where(mine, ~there.correlate(None))
            connection.execute(insert(blocks).from_select(blocks.columns.keys(), kept))
            connection.execute(delete(blocks).where(mine))
