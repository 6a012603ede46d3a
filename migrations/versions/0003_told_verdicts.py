"""Which verdict each receiver of notifications was told last, so that no change is told twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "told_verdicts",
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("receiver", "deployment", "scheme", name=op.f("pk_told_verdicts")),
    )


def downgrade() -> None:
    raise NotImplementedError("schemas only move on: go back to the copy made before the upgrade")
