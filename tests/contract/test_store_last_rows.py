"""The last rows of many members before an instant: as if all had been read, whether sealed or not."""

from __future__ import annotations

from collections import defaultdict

import pytest

from collector.store import Store
from collector.store.last_rows import last_rows_before
from collector.store.schema import replica_samples
from collector.store.sealed import taken_us
from collector.store.sealing import SEALED_AFTER_S
from collector.store.spans import rows_between
from tests.contract.store_samples import START_S, registered, sample, seal_all

DAY_S = 86_400.0


@pytest.fixture
def epochs(store: Store) -> list[int]:
    """Four epochs with samples over nine days, all but those of the last hours sealed: often, rarely, once, never."""
    made = []
    for ages_s in (
        [15.0 * n for n in range(200)],
        [0.5, 40.0, 700.0, 5_000.0, 9_000.0, DAY_S, 2 * DAY_S, 9 * DAY_S],
        [8.5 * DAY_S],
        [],
    ):
        key, epoch = registered(store)
        store.writer.append([sample(key, epoch, START_S - age_s, steps_total=age_s) for age_s in ages_s])
        made.append(epoch)
    seal_all(store, START_S - 1_200.0 + SEALED_AFTER_S)
    return made


def test_they_are_the_last_of_all_rows(store: Store, epochs: list[int]) -> None:
    all_of = defaultdict(list)
    for row in store._engines.read(lambda connection: rows_between(connection, replica_samples, 0, 2**60)):
        all_of[row[1]].append(tuple(row))
    since_us = dict.fromkeys(epochs, round((START_S - 10 * DAY_S) * 1e6))

    for age_s in (0.0, 0.5, 1.0, 60.0, 1_200.0, 1_500.0, 2_985.0, 7_000.0, DAY_S, 9 * DAY_S, 9.5 * DAY_S):
        before_us = round((START_S - age_s) * 1e6)
        for count in (1, 4):
            found = store._engines.read(
                lambda connection, before_us=before_us, count=count: last_rows_before(
                    connection, replica_samples, before_us, since_us, count
                )
            )
            wanted = {
                epoch: [row for row in rows if taken_us(row) < before_us][-count:] for epoch, rows in all_of.items()
            }
            assert {epoch: [tuple(row) for row in rows] for epoch, rows in found.items()} == {
                epoch: rows for epoch, rows in wanted.items() if rows
            }


def test_a_member_is_not_looked_for_before_it_began(store: Store, epochs: list[int]) -> None:
    """Of the one that was polled rarely, four of the last two hours are found; the other began when it was over."""
    before_us = round(START_S * 1e6)
    since_us = {epochs[1]: before_us - 7_200 * 10**6, epochs[0]: before_us}
    found = store._engines.read(
        lambda connection: last_rows_before(connection, replica_samples, before_us, since_us, 5)
    )

    assert [(before_us - taken_us(row)) / 1e6 for row in found[epochs[1]]] == [5_000.0, 700.0, 40.0, 0.5]
    assert epochs[0] not in found
