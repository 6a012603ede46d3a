"""What a failed poll is put down to: counted by its cause, and said once, a bug with its traceback."""

from __future__ import annotations

import logging

import pytest

from collector.errors import Kind, SourceError
from collector.health import TargetHealth
from collector.jobs.failed_polls import note_failure
from collector.jobs.targets import static_targets
from collector.settings.load import parse_settings

CONFIG = "scrape_configs: [{job_name: j, static_configs: [{targets: ['a:8000']}]}]"


@pytest.mark.parametrize(
    ("error", "kind", "traceback"),
    [
        (SourceError(Kind.TIMEOUT, "no answer"), Kind.TIMEOUT, False),
        (MemoryError(), Kind.MEMORY, False),
        (KeyError("x"), Kind.BUG, True),
    ],
)
def test_a_failed_poll_is_counted_by_its_cause_and_said_once(
    error: Exception, kind: Kind, traceback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (target,) = static_targets(parse_settings(CONFIG, "test.yaml"))
    health = TargetHealth(url=target.url, job="j")

    def poll() -> None:
        raise error

    with caplog.at_level(logging.WARNING):
        try:
            poll()
        except Exception as caught:
            assert note_failure(target, health, caught, 1.0, 0.5) is kind
    assert (health.reason, dict(health.failures), health.up) == (kind.value, {kind.value: 1}, False)
    (said,) = caplog.records
    assert (said.fields["about"], said.fields["reason"]) == (target.url, kind.value)
    assert (said.exc_info is not None) is traceback
