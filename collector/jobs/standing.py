"""How long figures of a history stand before they are computed anew."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.samples import ReplicaKey
from collector.jobs.ticks import offset_ratio


@dataclass(frozen=True, slots=True)
class Standing:
    """How long what was computed of a history stands: a share of what it rests on, within limits (seconds).

    Of a young history it stands for as long as that is, `young_s` at most: for two reports in place of one.
    """

    least_s: float
    most_s: float
    share: float
    young_s: float = 0.0

    def holds(self, key: ReplicaKey, history_s: float, age_s: float) -> bool:
        """Whether it still stands at this age: what has come since changes little of it.

        Up to a quarter longer for some replicas than for others, so that those of a fleet do not fall due at once.
        """
        stands_s = min(self.most_s, max(self.least_s, self.share * history_s, min(self.young_s, history_s)))
        return 0 <= age_s < stands_s * (1 + offset_ratio(key.target) / 4)


DECISION_STANDS = Standing(0.0, 900.0, 0.01, young_s=60.0)
ABSENCE_STANDS = Standing(0.0, 300.0, 0.01, young_s=60.0)
"""That there is no model: a server that was idle for days may have work now."""
MODEL_STANDS = Standing(900.0, 3600.0, 0.1)
"""An hour at most: the fit sees the last hour by the minute, and so every minute once."""
CAPACITY_STANDS = Standing(3600.0, 21_600.0, 0.04)
"""It is that of the decision span's mix, and costs fifty times what a fit does."""
