"""Rows -> predictions with intervals beside what was measured, and beside what the rules say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.predict.constants import SHIPPED, Constants
from analyzer.predict.interval import CALIBRATED, STAND_IN_RATIO, UNCALIBRATED, Widths, estimate
from analyzer.scoring.fitting import Example, fit
from analyzer.scoring.rows import Measured, Row, read
from analyzer.scoring.rules import by_rules
from analyzer.scoring.setting import Asked, answer, understand
from analyzer.scoring.widths import Miss, fit_widths

HOST_BOUND = Estimate(0.93, 0.49, 1.20, Evidence.ASSUMED, "published_host_bound_engines")
"""P50, P10 and P90 of 233 published speed-ups in HF Transformers (bitsandbytes, GPTQ, AWQ): no speed-up to rely on."""
_LARGE, _MEDIUM = 64, 8


@dataclass(frozen=True, slots=True)
class Scored:
    """One predicted row. `measured` is None where the file leaves the outcome blank."""

    row: Row
    asked: Asked
    predicted: Estimate
    measured: float | None
    rules: Mapping[str, float | None]

    @property
    def batch_regime(self) -> str:
        """How many requests at once."""
        load = self.row.load
        if load is None or "offline" in self.row.load_type or load > _LARGE:
            return "above 64"
        if load <= 1:
            return "1"
        return "2 to 8" if load <= _MEDIUM else "9 to 64"


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not predicted, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answers:
    """All lines of a file, in its order: predicted or refused. None is dropped."""

    scored: tuple[Scored, ...]
    refused: tuple[Refused, ...]


def take(lines: Iterable[Mapping[str, str]], *, everything: bool) -> tuple[tuple[Measured, ...], tuple[Refused, ...]]:
    """Lines -> rows, and those that cannot be read. Without `everything` rows that are not core are left aside."""
    rows: list[Measured] = []
    refused: list[Refused] = []
    for number, raw in enumerate(lines, start=2):
        try:
            row = read(raw)
        except ValueError as error:
            refused.append(Refused(raw.get("id") or f"line {number}", str(error)))
            continue
        if everything or row.row.core:
            rows.append(row)
    return tuple(rows), tuple(refused)


def score(rows: Sequence[Measured], *, calibrated: bool = True, constants: Constants = SHIPPED) -> Answers:
    """Every row with the given constants and the shipped widths."""
    return _answers(rows, calibrated, constants, CALIBRATED if calibrated else UNCALIBRATED)


def held_out(rows: Sequence[Measured], group: str, *, calibrated: bool = True) -> Answers:
    """Every row with constants and widths fitted to the rows of the other sources, GPUs or models only.

    `group` is "source", "gpu" or "model". Widths come from the other groups' own held-out errors.
    """
    keyed = [(_key(row, group), row) for row in rows]
    groups = list(dict.fromkeys(key for key, _ in keyed))
    fitted = {name: fit(examples([row for key, row in keyed if key != name])) for name in groups}
    misses = {
        name: _misses([row for key, row in keyed if key == name], fitted[name], calibrated=calibrated)
        for name in groups
    }
    scored: list[Scored] = []
    refused: list[Refused] = []
    for name in groups:
        widths = fit_widths([miss for other in groups if other != name for miss in misses[other]])
        part = _answers([row for key, row in keyed if key == name], calibrated, fitted[name], widths)
        scored += part.scored
        refused += part.refused
    return Answers(tuple(scored), tuple(refused))


def examples(rows: Sequence[Measured]) -> list[Example]:
    """The rows that can be predicted and were measured, for fitting."""
    found = []
    for one in rows:
        asked = understand(one.row)
        if not isinstance(asked, Missing) and not asked.host_bound and one.speedup is not None:
            found.append(Example(asked, one.row.source, one.speedup))
    return found


def shipped_widths(rows: Sequence[Measured], *, calibrated: bool) -> Widths:
    """The widths to ship: from each source's errors under constants fitted to the others."""
    sources = sorted({one.row.source for one in rows})
    misses: list[Miss] = []
    for source in sources:
        constants = fit(examples([one for one in rows if one.row.source != source]))
        misses += _misses([one for one in rows if one.row.source == source], constants, calibrated=calibrated)
    return fit_widths(misses)


def _answers(rows: Sequence[Measured], calibrated: bool, constants: Constants, widths: Widths) -> Answers:
    scored: list[Scored] = []
    refused: list[Refused] = []
    for one in rows:
        asked = understand(one.row)
        if not isinstance(asked, Missing) and asked.host_bound:
            scored.append(Scored(one.row, asked, HOST_BOUND, one.speedup, by_rules(asked)))
            continue
        value = asked if isinstance(asked, Missing) else answer(asked, constants, calibrated=calibrated)
        if isinstance(asked, Missing) or isinstance(value, Missing):
            assert isinstance(value, Missing)
            refused.append(Refused(one.row.id, value.reason))
            continue
        evidence = asked.evidence if calibrated or asked.evidence is Evidence.ASSUMED else Evidence.MODELLED
        widening = 1.0 if asked.own_shape else STAND_IN_RATIO
        method = "published_setting_and_baseline" if calibrated else "published_setting"
        predicted = estimate(value, asked.regime, evidence, widths, method, widening)
        scored.append(Scored(one.row, asked, predicted, one.speedup, by_rules(asked)))
    return Answers(tuple(scored), tuple(refused))


def _misses(rows: Sequence[Measured], constants: Constants, *, calibrated: bool) -> list[Miss]:
    found = []
    for example in examples(rows):
        value = answer(example.asked, constants, calibrated=calibrated)
        if not isinstance(value, Missing):
            error = abs(log(value / example.speedup))
            widening = 1.0 if example.asked.own_shape else STAND_IN_RATIO
            found.append(Miss(example.source, example.asked.regime, log(value), error / widening))
    return found


def _key(one: Measured, group: str) -> str:
    asked = understand(one.row)
    if group == "source" or isinstance(asked, Missing):
        return one.row.source
    if group == "gpu":
        return one.row.gpu if asked.machine.gpu is None else asked.machine.gpu.name
    if group == "model":
        return asked.machine.shape.name
    raise ValueError(f"rows are held out by source, gpu or model, not by {group!r}")
