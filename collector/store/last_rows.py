"""Finds the last rows of many members before an instant, however long before: near times first, all members at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Table, func, select

from collector.store.codec import Row
from collector.store.damaged import rows_of
from collector.store.grid import grid_rows, member_of
from collector.store.schema import BLOCKS, BUCKET_MS
from collector.store.sealed import bucket_of, taken_us, together
from collector.store.spans import hops

LOOKS_MS = (600_000, 7_200_000, 86_400_000, 691_200_000)
"""So far back they are looked for, one after the other: most are recent, and a long span has its price."""


def last_rows_before(
    connection: Connection, table: Table, before_us: int, since_us: Mapping[int, int], count: int
) -> dict[int, list[Row]]:
    """Each member's last rows taken before an instant, `count` at most, oldest first; none for a member without.

    `since_us` are the members, each with the instant (unix time in microseconds) before which it has no row.
    """
    found: dict[int, list[Row]] = {}
    until_us, wanted = before_us, set(since_us)
    for look_us in (*(look_ms * 1000 for look_ms in LOOKS_MS), before_us):
        wanted = {one for one in wanted if since_us[one] < until_us and len(found.get(one, ())) < count}
        if not wanted:
            break
        from_us = max(before_us - look_us, min(since_us[one] for one in wanted))
        for member, rows in _last_between(connection, table, from_us, until_us, sorted(wanted), count).items():
            found[member] = [*rows, *found.get(member, ())][-count:]
        until_us = from_us
    return found


def _last_between(
    connection: Connection, table: Table, since_us: int, until_us: int, members: Sequence[int], count: int
) -> dict[int, list[Row]]:
    """As `last_rows_before`, of rows taken from an instant on."""
    # A row lies less than a bucket's length after its tick, so nothing before this tick can reach into the span.
    first_ms, last_ms = since_us // 1000 - BUCKET_MS, (until_us - 1) // 1000
    at_us = table.c.tick_ms * 1000 + table.c.offset_us
    place = func.row_number().over(partition_by=member_of(table), order_by=at_us.desc()).label("place")
    among = hops(table, first_ms, last_ms, members).where(at_us >= since_us, at_us < until_us).add_columns(place)
    numbered = among.subquery()
    columns = [numbered.c[column.name] for column in table.columns]
    rows = connection.execute(select(*columns).where(numbered.c.place <= count)).fetchall()
    sealed = _last_sealed(connection, table, since_us, until_us, members, count)
    by_member: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(together(rows, sealed), key=taken_us):
        by_member[row[1]].append(row)
    return {member: mine[-count:] for member, mine in by_member.items()}


def _last_sealed(
    connection: Connection, table: Table, since_us: int, until_us: int, members: Sequence[int], count: int
) -> list[Row]:
    first_ms, last_ms = since_us // 1000 - BUCKET_MS, (until_us - 1) // 1000
    found: dict[int, list[Row]] = defaultdict(list)
    for block in reversed(grid_rows(connection, BLOCKS[table.name], bucket_of(first_ms), last_ms + 1, members)):
        mine = found[block[1]]
        # Older blocks hold only older rows, but for those of the two buckets before.
        if len(mine) >= count and (block[0] + 2 * BUCKET_MS) * 1000 <= min(map(taken_us, mine[-count:])):
            continue
        mine += [row for row in rows_of(connection, table, block) if since_us <= taken_us(row) < until_us]
        mine.sort(key=taken_us)
    return [row for mine in found.values() for row in mine[-count:]]
