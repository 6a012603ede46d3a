"""The first schema: replicas and their epochs, GPUs, samples, totals, reports, verdicts.

Spelled out, not derived from the sample types: what was released never changes. Raw samples are partitioned by time in
Postgres, natively or as TimescaleDB's hypertables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


DAY_MS = 86_400_000


def upgrade() -> None:
    hypertables = _timescaledb()
    by_time = {} if hypertables else {"postgresql_partition_by": "RANGE (tick_ms)"}
    op.create_table(
        "replicas",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("rank", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replicas")),
        sa.UniqueConstraint("target", "model", "rank", name=op.f("uq_replicas_target")),
    )
    op.create_table(
        "epochs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("replica_id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("process_start", sa.Text(), nullable=True),
        sa.Column("started_at_us", sa.BigInteger(), nullable=False),
        sa.Column("last_hour_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["replica_id"], ["replicas.id"], name=op.f("fk_epochs_replica_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epochs")),
        sa.UniqueConstraint("replica_id", "fingerprint", name=op.f("uq_epochs_replica_id")),
    )
    op.create_table(
        "replica_samples",
        sa.Column("tick_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch_id", sa.Integer(), nullable=False),
        sa.Column("offset_us", sa.BigInteger(), nullable=False),
        sa.Column("interval_ms", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens_total", sa.Double(), nullable=True),
        sa.Column("prefill_tokens_total", sa.Double(), nullable=True),
        sa.Column("cached_tokens_total", sa.Double(), nullable=True),
        sa.Column("generation_tokens_total", sa.Double(), nullable=True),
        sa.Column("steps_total", sa.Double(), nullable=True),
        sa.Column("step_tokens_total", sa.Double(), nullable=True),
        sa.Column("decode_sequence_steps_total", sa.Double(), nullable=True),
        sa.Column("prefills_total", sa.Double(), nullable=True),
        sa.Column("requests_finished_total", sa.Double(), nullable=True),
        sa.Column("preemptions_total", sa.Double(), nullable=True),
        sa.Column("prefill_us_total", sa.BigInteger(), nullable=True),
        sa.Column("prefill_marginal_us_total", sa.BigInteger(), nullable=True),
        sa.Column("decode_us_total", sa.BigInteger(), nullable=True),
        sa.Column("busy_us_total", sa.BigInteger(), nullable=True),
        sa.Column("ttft_ms_total", sa.BigInteger(), nullable=True),
        sa.Column("inter_token_ms_total", sa.BigInteger(), nullable=True),
        sa.Column("request_queue_ms_total", sa.BigInteger(), nullable=True),
        sa.Column("request_prefill_ms_total", sa.BigInteger(), nullable=True),
        sa.Column("request_decode_ms_total", sa.BigInteger(), nullable=True),
        sa.Column("finished_prompt_tokens_total", sa.Double(), nullable=True),
        sa.Column("finished_generation_tokens_total", sa.Double(), nullable=True),
        sa.Column("draft_steps_total", sa.Double(), nullable=True),
        sa.Column("draft_tokens_total", sa.Double(), nullable=True),
        sa.Column("accepted_tokens_total", sa.Double(), nullable=True),
        sa.Column("running_requests", sa.Double(), nullable=True),
        sa.Column("waiting_requests", sa.Double(), nullable=True),
        sa.Column("kv_usage_ppm", sa.BigInteger(), nullable=True),
        sa.Column("step_tokens_histogram", sa.LargeBinary(), nullable=True),
        sa.Column("prompt_lengths_histogram", sa.LargeBinary(), nullable=True),
        sa.Column("generation_lengths_histogram", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("tick_ms", "epoch_id", name=op.f("pk_replica_samples")),
        sqlite_with_rowid=False,
        **by_time,
    )
    op.create_table(
        "gpus",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gpus")),
        sa.UniqueConstraint("uuid", name=op.f("uq_gpus_uuid")),
    )
    op.create_table(
        "gpu_samples",
        sa.Column("tick_ms", sa.BigInteger(), nullable=False),
        sa.Column("gpu_id", sa.Integer(), nullable=False),
        sa.Column("offset_us", sa.BigInteger(), nullable=False),
        sa.Column("interval_ms", sa.BigInteger(), nullable=False),
        sa.Column("energy_mj_total", sa.BigInteger(), nullable=True),
        sa.Column("ecc_errors_total", sa.Double(), nullable=True),
        sa.Column("utilization_ppm", sa.BigInteger(), nullable=True),
        sa.Column("memory_used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("memory_total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("power_mw", sa.BigInteger(), nullable=True),
        sa.Column("sm_clock_hz", sa.BigInteger(), nullable=True),
        sa.Column("memory_clock_hz", sa.BigInteger(), nullable=True),
        sa.Column("temperature_millicelsius", sa.BigInteger(), nullable=True),
        sa.Column("throttled_ppm", sa.BigInteger(), nullable=True),
        sa.Column("sm_active_ppm", sa.BigInteger(), nullable=True),
        sa.Column("tensor_active_ppm", sa.BigInteger(), nullable=True),
        sa.Column("dram_active_ppm", sa.BigInteger(), nullable=True),
        sa.Column("sm_occupancy_ppm", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tick_ms", "gpu_id", name=op.f("pk_gpu_samples")),
        sqlite_with_rowid=False,
        **by_time,
    )
    op.create_table(
        "replica_totals",
        sa.Column("bucket_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch_id", sa.Integer(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("covered_us", sa.BigInteger(), nullable=False),
        sa.Column("active_us", sa.BigInteger(), nullable=True),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("refused_gap", sa.Integer(), nullable=False),
        sa.Column("refused_epoch", sa.Integer(), nullable=False),
        sa.Column("refused_anomaly", sa.Integer(), nullable=False),
        sa.Column("refused_clock", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.Double(), nullable=True),
        sa.Column("prefill_tokens", sa.Double(), nullable=True),
        sa.Column("cached_tokens", sa.Double(), nullable=True),
        sa.Column("generation_tokens", sa.Double(), nullable=True),
        sa.Column("steps", sa.Double(), nullable=True),
        sa.Column("step_tokens", sa.Double(), nullable=True),
        sa.Column("decode_sequence_steps", sa.Double(), nullable=True),
        sa.Column("prefills", sa.Double(), nullable=True),
        sa.Column("requests_finished", sa.Double(), nullable=True),
        sa.Column("preemptions", sa.Double(), nullable=True),
        sa.Column("prefill_us", sa.BigInteger(), nullable=True),
        sa.Column("prefill_marginal_us", sa.BigInteger(), nullable=True),
        sa.Column("decode_us", sa.BigInteger(), nullable=True),
        sa.Column("busy_us", sa.BigInteger(), nullable=True),
        sa.Column("ttft_ms", sa.BigInteger(), nullable=True),
        sa.Column("inter_token_ms", sa.BigInteger(), nullable=True),
        sa.Column("request_queue_ms", sa.BigInteger(), nullable=True),
        sa.Column("request_prefill_ms", sa.BigInteger(), nullable=True),
        sa.Column("request_decode_ms", sa.BigInteger(), nullable=True),
        sa.Column("finished_prompt_tokens", sa.Double(), nullable=True),
        sa.Column("finished_generation_tokens", sa.Double(), nullable=True),
        sa.Column("draft_steps", sa.Double(), nullable=True),
        sa.Column("draft_tokens", sa.Double(), nullable=True),
        sa.Column("accepted_tokens", sa.Double(), nullable=True),
        sa.Column("running_requests_s", sa.Double(), nullable=True),
        sa.Column("waiting_requests_s", sa.Double(), nullable=True),
        sa.Column("kv_usage_ppm_s", sa.BigInteger(), nullable=True),
        sa.Column("step_tokens_histogram", sa.LargeBinary(), nullable=True),
        sa.Column("prompt_lengths_histogram", sa.LargeBinary(), nullable=True),
        sa.Column("generation_lengths_histogram", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("bucket_ms", "epoch_id", name=op.f("pk_replica_totals")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stale_buckets",
        sa.Column("bucket_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("bucket_ms", name=op.f("pk_stale_buckets")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "replica_hours",
        sa.Column("bucket_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch_id", sa.Integer(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("covered_us", sa.BigInteger(), nullable=False),
        sa.Column("active_us", sa.BigInteger(), nullable=True),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("refused_gap", sa.Integer(), nullable=False),
        sa.Column("refused_epoch", sa.Integer(), nullable=False),
        sa.Column("refused_anomaly", sa.Integer(), nullable=False),
        sa.Column("refused_clock", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.Double(), nullable=True),
        sa.Column("prefill_tokens", sa.Double(), nullable=True),
        sa.Column("cached_tokens", sa.Double(), nullable=True),
        sa.Column("generation_tokens", sa.Double(), nullable=True),
        sa.Column("steps", sa.Double(), nullable=True),
        sa.Column("step_tokens", sa.Double(), nullable=True),
        sa.Column("decode_sequence_steps", sa.Double(), nullable=True),
        sa.Column("prefills", sa.Double(), nullable=True),
        sa.Column("requests_finished", sa.Double(), nullable=True),
        sa.Column("preemptions", sa.Double(), nullable=True),
        sa.Column("prefill_us", sa.BigInteger(), nullable=True),
        sa.Column("prefill_marginal_us", sa.BigInteger(), nullable=True),
        sa.Column("decode_us", sa.BigInteger(), nullable=True),
        sa.Column("busy_us", sa.BigInteger(), nullable=True),
        sa.Column("ttft_ms", sa.BigInteger(), nullable=True),
        sa.Column("inter_token_ms", sa.BigInteger(), nullable=True),
        sa.Column("request_queue_ms", sa.BigInteger(), nullable=True),
        sa.Column("request_prefill_ms", sa.BigInteger(), nullable=True),
        sa.Column("request_decode_ms", sa.BigInteger(), nullable=True),
        sa.Column("finished_prompt_tokens", sa.Double(), nullable=True),
        sa.Column("finished_generation_tokens", sa.Double(), nullable=True),
        sa.Column("draft_steps", sa.Double(), nullable=True),
        sa.Column("draft_tokens", sa.Double(), nullable=True),
        sa.Column("accepted_tokens", sa.Double(), nullable=True),
        sa.Column("running_requests_s", sa.Double(), nullable=True),
        sa.Column("waiting_requests_s", sa.Double(), nullable=True),
        sa.Column("kv_usage_ppm_s", sa.BigInteger(), nullable=True),
        sa.Column("step_tokens_histogram", sa.LargeBinary(), nullable=True),
        sa.Column("prompt_lengths_histogram", sa.LargeBinary(), nullable=True),
        sa.Column("generation_lengths_histogram", sa.LargeBinary(), nullable=True),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket_ms", "epoch_id", name=op.f("pk_replica_hours")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stale_hours",
        sa.Column("bucket_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("bucket_ms", name=op.f("pk_stale_hours")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reports",
        sa.Column("made_at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("made_at_us", name=op.f("pk_reports")),
    )
    op.create_table(
        "verdicts",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("last_data_us", sa.BigInteger(), nullable=True),
        sa.Column("candidate", sa.Text(), nullable=True),
        sa.Column("candidate_since_us", sa.BigInteger(), nullable=True),
        sa.Column("saved_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "scheme", name=op.f("pk_verdicts")),
    )
    if hypertables:
        for name in ("replica_samples", "gpu_samples"):
            op.execute(
                f"SELECT create_hypertable('{name}', 'tick_ms', chunk_time_interval => CAST({DAY_MS} AS bigint))"
            )


def _timescaledb() -> bool:
    """Whether raw samples become hypertables: where the extension is in this database."""
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return False
    return bind.execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")).first() is not None


def downgrade() -> None:
    raise NotImplementedError("schemas only move on: go back to the copy made before the upgrade")
