"""What becomes of a poll that brings nothing: its cause goes to the target's health and to the log."""

from __future__ import annotations

import logging

from collector.errors import Kind, SourceError
from collector.health import TargetHealth
from collector.jobs.targets import Target
from collector.logs import event

_log = logging.getLogger("breakeven.poll")


def note_failure(target: Target, health: TargetHealth, error: Exception, at_s: float, took_s: float) -> Kind:
    """Count and log a failed poll, a bug with its traceback; what it is put down to. To be called where it is caught.

    `at_s` is when the poll began (unix time).
    """
    if isinstance(error, SourceError):
        cause = error
    elif isinstance(error, MemoryError):
        cause = SourceError(Kind.MEMORY, "there is not the memory to read the page")
    else:
        cause = SourceError(Kind.BUG, "an unexpected error; the log has its traceback")
    health.refused(at_s, cause, took_s)
    reason = cause.kind.value
    if cause.kind is Kind.BUG:
        _log.exception("poll failed", extra={"fields": {"about": target.url, "reason": reason}})
    else:
        job = target.job.job_name
        event(_log, logging.WARNING, "poll failed", about=target.url, job=job, reason=reason, error=cause)
    return cause.kind
