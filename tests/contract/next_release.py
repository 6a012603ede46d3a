"""The migrations of a release that comes after this one."""

from __future__ import annotations

import shutil
from pathlib import Path

from collector.store.migrate import head, migrations_path

HEAD = head()
NEXT = f"{int(HEAD) + 1:04}"


def with_another_migration(folder: Path, ending: str) -> Path:
    """The migrations and one more, which makes a table and then does `ending`."""
    scripts = folder / "migrations"
    if not scripts.exists():
        shutil.copytree(migrations_path(), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    lines = [
        "import sqlalchemy as sa",
        "from alembic import op",
        f"revision, down_revision = '{NEXT}', '{HEAD}'",
        "def upgrade():",
        "    op.create_table('events', sa.Column('id', sa.Integer, primary_key=True))",
        f"    {ending}",
    ]
    (scripts / "versions" / f"{NEXT}_events.py").write_text("\n".join(lines))
    return scripts
