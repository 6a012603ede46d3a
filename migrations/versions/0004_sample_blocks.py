"""Blocks of sealed samples: a member's rows of five minutes as one. They are filled as the daemon goes on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


DAY_MS = 86_400_000


def upgrade() -> None:
    hypertables = _timescaledb()
    by_time = {} if hypertables else {"postgresql_partition_by": "RANGE (bucket_ms)"}
    op.create_table(
        "replica_blocks",
        sa.Column("bucket_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch_id", sa.Integer(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("bucket_ms", "epoch_id", name=op.f("pk_replica_blocks")),
        **by_time,
    )
    op.create_table(
        "gpu_blocks",
        sa.Column("bucket_ms", sa.BigInteger(), nullable=False),
        sa.Column("gpu_id", sa.Integer(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("bucket_ms", "gpu_id", name=op.f("pk_gpu_blocks")),
        **by_time,
    )
    if hypertables:
        for name in ("replica_blocks", "gpu_blocks"):
            op.execute(
                f"SELECT create_hypertable('{name}', 'bucket_ms', chunk_time_interval => CAST({DAY_MS} AS bigint))"
            )


def _timescaledb() -> bool:
    """Whether blocks lie in hypertables: where the extension is in this database."""
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return False
    return bind.execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")).first() is not None


def downgrade() -> None:
    raise NotImplementedError("schemas only move on: go back to the copy made before the upgrade")
