"""Scores by hand: rules, error figures, interval widths, and a fit that finds what made its rows."""

from __future__ import annotations

import csv
from dataclasses import replace
from math import log
from pathlib import Path

import pytest

from analyzer.evidence import Missing
from analyzer.predict.interval import Regime
from analyzer.scoring.fitting import Example, fit, prior_constants
from analyzer.scoring.rows import Measured, read
from analyzer.scoring.rules import by_rules, memory_bound_share
from analyzer.scoring.scored import Answers, score, take
from analyzer.scoring.setting import Asked, answer, understand
from analyzer.scoring.tally import as_plain, tally
from analyzer.scoring.widths import Miss, fit_widths

PAIRS = Path(__file__).parent / "data" / "published_pairs.csv"


def rows() -> tuple[Measured, ...]:
    with PAIRS.open(newline="", encoding="utf-8") as file:
        return take(csv.DictReader(file), everything=False)[0]


def asked(**changed: str) -> Asked:
    with PAIRS.open(newline="", encoding="utf-8") as file:
        raw = next(row for row in csv.DictReader(file) if row["engine"] == "vLLM" and row["phase"] == "decode")
    found = understand(read({**raw, **changed}).row)
    assert isinstance(found, Asked)
    return found


@pytest.mark.parametrize(
    ("changed", "share"),
    [
        ({"load": "1"}, 0.9),
        ({"load": "8"}, 0.8),
        ({"load": "64"}, 0.4),
        ({"phase": "prefill", "metric": "TTFT", "unit": "ms"}, 0.3),
    ],
)
def test_the_articles_scenarios_give_its_rule_its_share(changed: dict[str, str], share: float) -> None:
    """0.8 and 1.5 give 1.40 by the article and 1 / (0.2 + 0.8 / 1.5) = 1.364 by Amdahl."""
    one = asked(**changed)

    assert memory_bound_share(one) == share
    assert by_rules(one)["article"] == pytest.approx(1 + 0.5 * share)
    assert by_rules(one)["amdahl"] == pytest.approx(1 / (1 - share + share / 1.5))


def test_error_figures_by_hand() -> None:
    """Three rows of two sources, predicted 1.0 where 0.8, 1.25 and 1.0 were measured: errors 25, 20 and 0 %."""
    base = score(rows()[:3]).scored
    made = [
        replace(
            one,
            row=replace(one.row, source=source),
            measured=truth,
            predicted=replace(one.predicted, low=0.9, value=1.0, high=1.1),
        )
        for one, source, truth in zip(base, ("a", "a", "b"), (0.8, 1.25, 1.0), strict=True)
    ]
    found = tally(made)
    assert found is not None

    assert found.ours.mape == pytest.approx(15)
    assert found.ours.mape_source_mean == pytest.approx((22.5 + 0) / 2)
    assert found.ours.median_ape == pytest.approx(20)
    assert found.ours.bias == pytest.approx(100 * (log(1 / 0.8) + log(1 / 1.25)) / 3, abs=1e-9)
    assert found.ours.agreement_1_1 == pytest.approx(100 * 2 / 3)
    assert found.ours.coverage_80 == pytest.approx(100 / 3)
    assert found.rules["always_1"].mape == pytest.approx(15)


def test_nothing_measured_gives_no_figures() -> None:
    blank = [replace(one, speedup=None) for one in rows()[:2]]
    plain = as_plain(score(blank))

    assert (plain["rows_scored"], plain["mape"]) == (0, None)
    assert as_plain(Answers((), ()))["rules"] == {}


def test_widths_cover_four_fifths() -> None:
    """Errors 0.01 to 0.10 of one source: eight of ten lie within 0.08, or 0.085 on the grid."""
    misses = [Miss("a", Regime.DECODE, 0.0, index / 100) for index in range(1, 11)]

    assert fit_widths(misses).decode == pytest.approx(0.0825, abs=0.005)
    assert fit_widths(misses).prefill == fit_widths(misses).decode
    with pytest.raises(ValueError, match="no errors"):
        fit_widths([])


def test_widths_grow_with_the_prediction_where_errors_do() -> None:
    misses = [Miss("a", Regime.DECODE, size, 0.05 + 0.2 * size) for size in (0.0, 0.25, 0.5, 0.75, 1.0)]

    assert fit_widths(misses).slope > 0.1


def test_a_fit_moves_towards_the_constants_that_made_its_rows() -> None:
    """Rows made with launches of twice the prior's length: the fit finds more than it began with."""
    made = replace(prior_constants(), launch_weight_only_s=2 * prior_constants().launch_weight_only_s)
    examples = []
    for one in rows():
        found = understand(one.row)
        if isinstance(found, Missing) or "Qwen2.5" not in one.row.source:
            continue
        value = answer(found, made, calibrated=True)
        assert not isinstance(value, Missing)
        examples.append(Example(found, one.row.source, value))

    assert fit(examples).launch_weight_only_s > 1.3 * prior_constants().launch_weight_only_s
    with pytest.raises(ValueError, match="nothing to fit"):
        fit([])


def test_memory_that_limits_the_batch_is_credited_offline() -> None:
    """100 requests at once of an 8B model: 24 GB hold fewer in 16 bits than in 8, 80 GB hold all of them."""
    offline = {"load": "100", "load_type": "offline_requests_at_once", "phase": "mixed", "metric": "output_throughput"}
    small, large = (
        answer(asked(gpu=gpu, scheme="FP8-W8A8", baseline=rate, **offline), prior_constants(), calibrated=True)
        for gpu, rate in (("RTX 4090", "1290"), ("L40S", "1900"))
    )

    assert isinstance(small, float)
    assert isinstance(large, float)
    assert small > 1.2 * large
