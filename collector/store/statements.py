"""The statements that write rows on both databases: add what is not there, put in place of what is, remove by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, delete, tuple_
from sqlalchemy.dialects import sqlite

from collector.store.codec import Row


def put(connection: Connection, table: Table, rows: Sequence[Row], when: str) -> None:
    """Write rows in place of those with their keys, where `when` holds. Tuples cost a third of what mappings do."""
    if rows:
        connection.exec_driver_sql(_put_text(table, connection.dialect.name, when), list(rows))


@cache
def _put_text(table: Table, dialect: str, when: str) -> str:
    keys = table.primary_key.columns.keys()
    changed = ", ".join(f"{name} = excluded.{name}" for name in table.columns.keys() if name not in keys)  # noqa: SIM118
    mark = "?" if dialect == "sqlite" else "%s"
    values = ", ".join([mark] * len(table.columns))
    return (
        f"INSERT INTO {table.name} VALUES ({values})"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed} WHERE {when}"
    )


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows in place of those with their keys."""
    if not rows:
        return
    statement = insert_into(connection, table)
    given = statement.excluded
    keys = table.primary_key.columns.keys()
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=keys,
            set_={column.name: given[column.name] for column in table.c if column.name not in keys},
        ),
        [dict(row) for row in rows],
    )


def insert_into(connection: Connection, table: Table) -> Any:
    """The dialect's own INSERT, which knows conflicts."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    # Only here: a daemon with a SQLite file would keep 2.5 MB for nothing.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def add(connection: Connection, table: Table, rows: list[Row]) -> int:
    """Insert rows that are not there; how many were not. Plain tuples cost a third of what mappings do."""
    if not rows:
        return 0
    return connection.exec_driver_sql(_insert_text(table, connection.dialect.name), rows).rowcount


def remove(connection: Connection, table: Table, keys: Sequence[Row]) -> int:
    """Delete the rows with these keys; how many there were."""
    if not keys:
        return 0
    columns = table.primary_key.columns
    return connection.execute(delete(table).where(tuple_(*columns).in_(keys))).rowcount


@cache
def _insert_text(table: Table, dialect: str) -> str:
    if dialect == "sqlite":
        return str(sqlite.insert(table).on_conflict_do_nothing().compile(dialect=sqlite.dialect()))
    from sqlalchemy.dialects import postgresql

    plain = postgresql.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
    return str(postgresql.insert(table).on_conflict_do_nothing().compile(dialect=plain))
