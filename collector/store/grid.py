"""Reads rows by bucket, totals and sealed blocks: all members' by range, a few members' start after start."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, Connection, Table

from collector.store.schema import BUCKET_MS, HOUR_MS, replica_hours

FEW_MEMBERS = 50
"""More epochs than this are found by reading a span than by seeking each."""
_STEPS_MS = {replica_hours.name: HOUR_MS}

Rows = Sequence[Any]


def grid_rows(
    connection: Connection, table: Table, since_ms: int, until_ms: int, members: Sequence[int] | None = None
) -> Rows:
    """Rows of totals or blocks with `since_ms` <= start < `until_ms` in order of time, as the driver gives them.

    `members` are the key's second part, None for all. Starts are multiples of the table's span, so a few members' rows
    are sought start after start: a range would hold every replica's.
    """
    # Asked for both at once, SQLite would read the whole table.
    least, most = (f"(SELECT {end}(bucket_ms) FROM {table.name})" for end in ("min", "max"))
    ends = connection.exec_driver_sql(f"SELECT {least}, {most}").one()
    if ends[0] is None or members == []:
        return []
    step_ms = _STEPS_MS.get(table.name, BUCKET_MS)
    first_ms, last_ms = max(-(-since_ms // step_ms) * step_ms, ends[0]), min(until_ms - 1, ends[1])
    if first_ms > last_ms:
        return []
    columns, name, member = column_names(table), table.name, member_of(table).name
    if members is None or len(members) > FEW_MEMBERS:
        among = "" if members is None else f" AND {member} IN ({numbers(members)})"
        within = f"bucket_ms BETWEEN {first_ms} AND {last_ms}{among}"
        statement = f"SELECT {columns} FROM {name} WHERE {within} ORDER BY bucket_ms, {member}"
        return connection.exec_driver_sql(statement).fetchall()
    if connection.dialect.name == "sqlite":
        statement = (
            f"WITH RECURSIVE grid(at_ms) AS (SELECT {first_ms} UNION ALL"
            f" SELECT at_ms + {step_ms} FROM grid WHERE at_ms + {step_ms} <= {last_ms})"
            f" SELECT {columns} FROM grid CROSS JOIN {name}"
            f" WHERE bucket_ms = at_ms AND {member} IN ({numbers(members)})"
        )
    else:
        # OFFSET 0 keeps the planner from reading the whole table for what it takes to be many rows.
        statement = (
            f"SELECT {columns} FROM generate_series({first_ms}::bigint, {last_ms}, {step_ms}) AS at_ms,"
            f" LATERAL (SELECT * FROM {name} WHERE bucket_ms = at_ms AND {member} IN ({numbers(members)}) OFFSET 0)"
            " AS found"
        )
    # They come nearly in order, and a database would move whole rows to sort them.
    return sorted(connection.exec_driver_sql(statement).fetchall(), key=itemgetter(0, 1))


def numbers(members: Sequence[int]) -> str:
    """Whole numbers as a statement takes them."""
    return ",".join(str(int(member)) for member in members)


def member_of(table: Table) -> Column[Any]:
    """The second part of a table's key: an epoch's or a GPU's number."""
    return list(table.primary_key.columns)[1]


def members_of(connection: Connection, table: Table, first_ms: int, last_ms: int) -> list[int]:
    """The members that have rows with keys from `first_ms` to `last_ms`, in order."""
    moment, member = table.primary_key.columns.keys()
    statement = f"SELECT DISTINCT {member} FROM {table.name} WHERE {moment} BETWEEN {first_ms} AND {last_ms}"
    return sorted(connection.exec_driver_sql(statement).scalars())


@cache
def column_names(table: Table) -> str:
    """The names as a statement takes them."""
    return ", ".join(column.name for column in table.columns)
