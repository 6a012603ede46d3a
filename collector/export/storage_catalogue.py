"""The exported metrics of the database and of the spool on disk beside it."""

from __future__ import annotations

from collector.export.metric import Metric

STORAGE: tuple[Metric, ...] = (
    Metric("breakeven_store_up", "gauge", ("reason",), "1 when the last write to the database succeeded."),
    Metric("breakeven_store_samples_written_total", "counter", (), "Samples written to the database."),
    Metric(
        "breakeven_store_samples_duplicate_total",
        "counter",
        (),
        "Samples not written since the database has one of their tick: another daemon's, or from before a clock step.",
    ),
    Metric(
        "breakeven_store_samples_dropped_total",
        "counter",
        ("reason",),
        "Samples that are lost: the queue in memory, or the spool, was full of younger ones, or the disk nearly full.",
    ),
    Metric("breakeven_store_bytes", "gauge", (), "Bytes that stored rows used when old ones were last deleted."),
    Metric("breakeven_store_max_bytes", "gauge", (), "Most bytes that they may use; absent without a limit."),
    Metric(
        "breakeven_disk_free_bytes",
        "gauge",
        ("file",),
        "Free bytes of the disk under the SQLite database or the spool, when samples were last written there.",
    ),
    Metric("breakeven_disk_min_free_bytes", "gauge", ("file",), "Free bytes of that disk below which samples stop."),
    Metric(
        "breakeven_disk_nearly_full",
        "gauge",
        ("file",),
        "1 while samples stop since that disk is nearly full; roll-ups go on.",
    ),
    Metric("breakeven_spool_up", "gauge", ("reason",), "1 when the last use of the spool on disk succeeded."),
    Metric("breakeven_spool_samples", "gauge", (), "Samples on the spool, waiting for the database."),
    Metric("breakeven_spool_bytes", "gauge", (), "Bytes that the spool's file uses, its log aside."),
    Metric(
        "breakeven_spool_max_bytes",
        "gauge",
        (),
        "Size of the spool's file, its log aside, beyond which the oldest samples are dropped.",
    ),
    Metric(
        "breakeven_spool_oldest_timestamp_seconds",
        "gauge",
        (),
        "Unix time of the oldest sample on the spool; absent while none waits.",
    ),
    Metric(
        "breakeven_spool_samples_spooled_total",
        "counter",
        (),
        "Samples put on the spool since the database did not take them, or took others before them.",
    ),
    Metric("breakeven_spool_samples_replayed_total", "counter", (), "Samples handed from the spool to the database."),
    Metric("breakeven_store_recovered_total", "counter", (), "Database files found unusable and moved aside."),
    Metric(
        "breakeven_store_damaged_blocks_total",
        "counter",
        ("table",),
        "Blocks of sealed samples that were to be read and are damaged; each is kept, and logged with what it holds.",
    ),
)
