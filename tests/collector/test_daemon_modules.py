"""What a daemon has in memory for months is what its configuration uses: each of these takes megabytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SPARED = {
    "alembic": "the schema is made by a child process",
    "pygments": "alembic's, to colour what nobody sees",
    "psycopg": "samples go to a SQLite file",
    "sqlalchemy.dialects.postgresql": "samples go to a SQLite file",
    "scipy": "what is needed of it is a few lines",
    "collector.simulator": "there are real servers",
    "rich": "the daemon draws no tables",
    "dns": "no target is found by DNS",
    "pynvml": "another child process reads the GPUs",
    "numpy.random": "nothing is drawn at random",
}
STARTED = """
import sys
from collector.cli import run
from collector.clock import SystemClock
from collector.store import Store
with_a_new_file = Store.open(sys.argv[1], SystemClock(), lean=True)
assert with_a_new_file.upgraded.changed, "the schema was not made"
with_a_new_file.reader.verdicts()
with_a_new_file.close()
print(*sys.modules)
"""


def test_a_daemon_on_a_new_sqlite_file_has_imported_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTED, str(tmp_path / "run.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "collector.daemon" in loaded
    assert {name: why for name, why in SPARED.items() if name in loaded} == {}
