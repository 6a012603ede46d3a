"""The whole report: replicas weighed together, one bad one isolated, thin history named, absence said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.assumptions import Deployment, Policy, Price
from analyzer.batching import decode_batch
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.replicas import ReplicaHistory
from analyzer.report import Report, analyse
from analyzer.samples import Identity
from analyzer.verdict import Verdict, VerdictState
from tests.fakes.histories import CHAT, DAY_S, decode_heavy, replica, totals

NOW_S = DAY_S + 1


def report(*fleet: ReplicaHistory, deployment: Deployment = CHAT, now_s: float = NOW_S) -> Report:
    return analyse(fleet, [deployment], {}, Policy(), now_s=now_s, recent_s=300, history_s=7 * DAY_S)


def test_a_day_of_decode_on_four_replicas_is_judged() -> None:
    """Memory-bound about 0.64 of busy time; W4A16's published 1.64x gives 1 / (0.36 + 0.64 / 1.64) = 1.33x.

    The model, told that steps take 9 ms where bytes and arithmetic explain 6, sees more than that and less than the 3x
    by which weights shrink.
    """
    one = report(*(replica(decode_heavy(), number=number) for number in range(4))).deployments[0]
    w4a16 = next(scheme for scheme in one.schemes if scheme.scheme == "w4a16")

    assert isinstance(one.memory_bound, Estimate)
    assert one.memory_bound.value == pytest.approx(0.64, abs=0.01)
    assert isinstance(w4a16.amdahl_speedup, Estimate)
    assert w4a16.amdahl_speedup.value == pytest.approx(1.33, abs=0.01)
    assert isinstance(w4a16.speedup, Estimate)
    assert 1.33 < w4a16.speedup.value < 2.2
    assert w4a16.speedup.evidence is Evidence.MODELLED
    assert w4a16.verdict is Verdict.EVALUATE
    assert (one.gpus, one.assumed) == (4, ())


def test_less_than_a_day_is_not_enough_and_says_how_much_there_is() -> None:
    """Six hours of the 24."""
    one = report(replica(decode_heavy(DAY_S / 4), last_s=DAY_S)).deployments[0]

    assert {scheme.verdict for scheme in one.schemes} == {Verdict.INSUFFICIENT_DATA}
    assert one.schemes[0].judged.reasons_against[0].startswith("6.0 h covered of the 24 h")


def test_a_day_with_too_many_gaps_is_not_enough() -> None:
    one = report(replica(decode_heavy(DAY_S / 4, span_s=DAY_S))).deployments[0]

    assert one.schemes[0].verdict is Verdict.INSUFFICIENT_DATA


def test_when_no_replica_answers_the_former_verdict_stands() -> None:
    former = {("chat", scheme): VerdictState(Verdict.NO, 0.0, DAY_S) for scheme in CHAT.schemes}
    silent = replica(decode_heavy(), last_s=DAY_S - 3600)
    made = analyse([silent], [CHAT], former, Policy(), now_s=NOW_S, recent_s=300, history_s=7 * DAY_S)

    assert {scheme.verdict for scheme in made.deployments[0].schemes} == {Verdict.NO}
    assert made.deployments[0].schemes[0].judged.verdict is Verdict.INSUFFICIENT_DATA


def test_a_deployment_without_replicas_is_told_so() -> None:
    one = report().deployments[0]

    assert one.schemes[0].verdict is Verdict.INSUFFICIENT_DATA
    assert "no replica" in one.schemes[0].judged.reasons_against[0]


def test_identity_comes_from_a_replica_that_answers() -> None:
    """The first of the fleet is gone and was FP8; the one that answers is not quantized."""
    gone = replica(decode_heavy(), identity=replace(Identity("vllm"), quantization="fp8"), last_s=0.0)
    one = report(gone, replica(decode_heavy(), number=1)).deployments[0]
    fp8 = next(scheme for scheme in one.schemes if scheme.scheme == "fp8-w8a8")

    assert isinstance(fp8.speedup, Estimate)


def test_one_replica_that_cannot_be_computed_does_not_stop_the_rest() -> None:
    """An interval that holds no number, from a counter beyond all bounds."""
    broken = replica(totals(DAY_S, steps_total=1.0, decode_sequence_steps_total=float("nan"), active_s=DAY_S), number=9)
    made = report(broken, replica(decode_heavy()))

    assert [one.replica.target for one in made.replicas] == ["http://127.0.0.1:8000/metrics"]
    assert len(made.failures) == 1
    assert "8009" in made.failures[0]


def test_a_replica_of_an_unknown_deployment_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="not given: other"):
        report(replica(decode_heavy(), deployment="other"))


def test_an_old_price_is_flagged() -> None:
    """91 days."""
    old = replace(CHAT, price=Price(2.0, "contract", as_of_s=NOW_S - 91 * DAY_S))

    assert report(replica(decode_heavy()), deployment=old).deployments[0].price_stale is True


def test_the_running_gauge_tells_the_batch_only_where_requests_ran_most_of_the_time() -> None:
    """300 request-seconds in 100 s, 75 of them surely active: 3 to 4 running, 3 / 1.47 decoding at least."""
    busy = decode_batch(totals(100, active_s=75.0, integrals={"running_requests": 300.0}))
    seldom = decode_batch(totals(100, active_s=5.0, integrals={"running_requests": 300.0}))

    assert isinstance(busy, Estimate)
    assert (busy.value, busy.high, busy.evidence) == (3.0, 4.0, Evidence.MODELLED)
    assert busy.low == pytest.approx(3 / 1.47)
    assert isinstance(seldom, Missing)
