"""A damaged block of sealed samples costs its own samples and no others; it is said once and kept."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from collector.store import Keep, Store, checked
from collector.store.engine import open_engines
from collector.store.schema import replica_blocks
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import LATER_S, START_S, registered, sample, seal_all

BUCKET_MS = round(START_S * 1000) + 300_000
"""Of three buckets the middle one."""
YEAR_S = 365 * 86_400.0


def damage(url: str) -> bytes:
    """Change one byte in the middle of the one block of that bucket, as it lies; the block as it is then.

    In SQLite's file itself; in Postgres in the value, since its pages have checksums of their own.
    """
    with closing(open_engines(url)) as engines:
        mine = replica_blocks.c.bucket_ms == BUCKET_MS
        whole = engines.read(lambda one: one.execute(select(replica_blocks.c.block).where(mine)).scalar_one())
        at = len(whole) // 2
        broken = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
        if engines.place.path is None:
            engines.write(lambda one: one.execute(update(replica_blocks).where(mine).values(block=broken)))
            return broken
        path = Path(engines.place.path)
    content = path.read_bytes()
    assert content.count(whole) == 1
    path.write_bytes(content.replace(whole, broken))
    return broken


@pytest.mark.fault(
    "4",
    "a damaged block of sealed samples",
    promise="on either database all others are read; it is counted, logged once with what it holds, and kept",
)
def test_a_damaged_block_costs_its_own_samples_is_said_once_and_kept(
    store_url: str, clock: StandingClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two replicas, 20 samples in each of three buckets; a late sample of the damaged one joins and is sealed anew."""
    with closing(Store.open(store_url, clock)) as store:
        key, epoch = registered(store)
        samples = [sample(key, epoch, START_S + 15.0 * n, steps_total=float(n) + 0.5) for n in range(60)]
        store.writer.append(samples)
        store.roll_up(LATER_S)
        totals = store.reader.totals(0, 4e9, key)
        seal_all(store)
    broken = damage(store_url)
    caplog.set_level(logging.ERROR)
    left = [*samples[:20], *samples[40:]]
    with closing(Store.open(store_url, clock)) as store:
        assert dict(store.damaged_blocks) == {"replica_samples": 0, "gpu_samples": 0}
        for _ in range(2):
            assert left == store.reader.samples(0, 4e9, key) == store.reader.samples(0, 4e9)
        assert dict(store.damaged_blocks) == {"replica_samples": 1, "gpu_samples": 0}
        (said,) = [one for one in caplog.records if one.levelno == logging.ERROR]
        assert (said.fields["samples"], said.fields["epoch_id"]) == (20, epoch)
        assert said.fields["about"] == f"replica_blocks 2026-11-23T10:05:00+00:00 {epoch}", (
            "else thinned out with others"
        )
        assert store.reader.last_sample(key, START_S + 600) == samples[19]
        assert store.export_to(tmp_path / "out", "0.1.0", clock, lambda *_: None).tables["replica_samples"].rows == 40
        assert store.writer.append([samples[25]]).new == 1
        store.roll_up(LATER_S)
        assert store.seal(LATER_S) == 1
        assert [*samples[:20], samples[25], *samples[40:]] == store.reader.samples(0, 4e9, key)
        assert store.reader.totals(0, 4e9, key)[1] == totals[1], "what was added up of all its samples stays"
        assert dict(store.damaged_blocks) == {"replica_samples": 1, "gpu_samples": 0}
    with closing(Store.open(store_url, clock)) as store:
        kept = store._engines.read(lambda one: one.execute(select(replica_blocks.c.block)).scalars().all())
        assert broken in kept
        store.reader.samples(0, 4e9)
        assert dict(store.damaged_blocks) == {"replica_samples": 1, "gpu_samples": 0}, "said again after a restart"
        with closing(Store.open(str(tmp_path / "two.db"), clock)) as other:
            other.import_from(tmp_path / "out", checked(tmp_path / "out"), lambda *_: None)
            assert left == other.reader.samples(0, 4e9, key)
        store.prune(Keep(3600.0, YEAR_S, YEAR_S), LATER_S)
        count = select(func.count()).select_from(replica_blocks)
        assert store._engines.read(lambda one: one.execute(count).scalar()) == 0, "it goes when its time is over"
