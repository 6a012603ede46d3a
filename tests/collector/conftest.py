"""What tests of notifications share: a receiver, and a report to tell of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analyzer.report import Report
from tests.fakes.modelled import modelled, modelled_report
from tests.fakes.webhook_receiver import Receiver, webhook_receiver


@pytest.fixture(scope="session")
def plain() -> Report:
    """Two replicas of `chat`: fp8-w8a8 and w4a16 are both to be evaluated."""
    return modelled_report(modelled(), modelled(1))


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """A receiver that takes what it is sent."""
    with webhook_receiver() as receiver:
        yield receiver
