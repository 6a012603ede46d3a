"""Verdict changes told to real HTTP receivers: once, for settled verdicts only, again after failures and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from analyzer.report import Report
from collector.export.verdict_news import LONGEST, news_of, slack_body, standing, webhook_body
from collector.store import Keep, Store
from tests.fakes.hand_clock import HandClock
from tests.fakes.patience import until
from tests.fakes.telling import EVALUATE, NO, NO_DATA, WORTH_IT, judged, known, telling
from tests.fakes.webhook_receiver import Receiver, config, webhook_receiver


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(str(tmp_path / "breakeven.db"), HandClock())) as opened:
        yield opened


def test_a_change_is_told_with_its_reason_and_the_strongest_against_it(
    store: Store, hook: Receiver, plain: Report
) -> None:
    """What stands at first is no change; a report without one tells nothing either."""

    async def go() -> None:
        async with telling(store, config(hook.url)) as (notifier, health):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            notifier.take(judged(plain, EVALUATE))
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: health.receivers["team"].told == 1)
            notifier.take(judged(plain, WORTH_IT))
            notifier.take(judged(plain, NO))
            await until(lambda: health.receivers["team"].told == 2)
            assert health.receivers["team"].waiting == 0

    asyncio.run(go())
    up, down = (one.body for one in hook.received)
    assert (up["kind"], up["deployment"], up["gpus"]) == ("verdict_change", "chat", 2)
    (change,) = up["changes"]
    assert (change["scheme"], change["former_verdict"], change["verdict"]) == ("w4a16", "evaluate", "worth_it")
    assert (change["reason"], change["counter_reason"]) == ("1 GPU is given back", "it pays back after 8 months")
    assert change["step_speedup"]["low"] < change["step_speedup"]["value"] < change["step_speedup"]["high"]
    (change,) = down["changes"]
    assert (change["former_verdict"], change["verdict"]) == ("worth_it", "no")
    assert (change["reason"], change["counter_reason"]) == ("it pays back after 8 months", "1 GPU is given back")
    assert (
        "w4a16 is now: no (you were told: worth it)\n  because: it pays back after 8 months\n  yet: 1 GPU"
        in down["text"]
    )
    assert up["id"] != down["id"]


def test_slack_gets_a_text_in_which_no_name_pings_or_links(plain: Report) -> None:
    hostile = judged(plain, WORTH_IT, model="<!channel> & <http://x|y>\x00\n" + "m" * 9000)
    (news,) = news_of(hostile, {**standing(plain), ("chat", "w4a16"): NO}, ("worth_it",))
    text = slack_body(news)["text"]

    assert slack_body(news).keys() == {"text"}
    assert "&lt;!channel&gt; &amp; &lt;http://x|y&gt;  mmm" in text
    assert "<" not in text
    assert len(text) <= LONGEST
    assert len(webhook_body(news)["text"]) <= LONGEST


@pytest.mark.parametrize(
    ("report", "told"),
    [
        pytest.param({"verdict": WORTH_IT, "today": NO}, 0, id="not while today's figures say otherwise"),
        pytest.param({"verdict": NO_DATA}, 0, id="not that data are missing"),
        pytest.param({"verdict": WORTH_IT, "simulated": True}, 0, id="not of a simulated deployment"),
        pytest.param({"verdict": WORTH_IT}, 1, id="a settled one"),
    ],
)
def test_only_settled_verdicts_are_news(plain: Report, report: dict[str, Any], told: int) -> None:
    news = news_of(judged(plain, **report), standing(judged(plain, EVALUATE)), config("http://h").verdicts)

    assert len(news) == told


def test_missing_data_in_between_are_no_news_when_the_verdict_is_back(
    store: Store, hook: Receiver, plain: Report
) -> None:
    """No, nothing, no: the receiver knows it. Nothing, then worth it: it was told no."""

    async def go() -> None:
        async with telling(store, config(hook.url)) as (notifier, health):
            notifier.take(judged(plain, NO))
            await known(store, NO)
            for verdict in (NO_DATA, NO, NO_DATA, WORTH_IT):
                notifier.take(judged(plain, verdict))
                await asyncio.sleep(0.05)
            await until(lambda: health.receivers["team"].told == 1)

    asyncio.run(go())
    (one,) = hook.received
    assert one.body["changes"][0]["former_verdict"] == "no"


def test_a_receiver_that_fails_is_tried_again_until_it_takes_it(store: Store, hook: Receiver, plain: Report) -> None:
    hook.answers = [503, 500, 429]

    async def go() -> None:
        async with telling(store, config(hook.url)) as (notifier, health):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: health.receivers["team"].told == 1)
            assert health.receivers["team"].failures == {"http_status": 3}

    asyncio.run(go())
    assert len(hook.received) == 4
    assert len({one.body["id"] for one in hook.received}) == 1


def test_a_receiver_that_hangs_is_given_up_at_its_deadline_and_holds_up_no_other(
    store: Store, hook: Receiver, plain: Report
) -> None:
    async def go(other: Receiver) -> None:
        other.slow.set()
        receivers = config(hook.url), config(other.url, "hung", timeout="100ms")
        async with telling(store, *receivers) as (notifier, health):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            await known(store, EVALUATE, "hung")
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: health.receivers["team"].told == 1)
            await until(lambda: health.receivers["hung"].failures["timeout"] > 1)
            assert health.receivers["hung"].waiting == 1

    with webhook_receiver() as other:
        asyncio.run(go(other))


def test_what_may_have_arrived_is_taken_back_when_it_no_longer_holds(
    store: Store, hook: Receiver, plain: Report
) -> None:
    """The receiver took `worth_it` and its answer never came; then the verdict is what it was before."""

    async def go() -> None:
        hook.slow.set()
        async with telling(store, config(hook.url, timeout="100ms")) as (notifier, health):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: health.receivers["team"].failures["timeout"] > 1)
            hook.slow.clear()
            notifier.take(judged(plain, EVALUATE))
            await until(lambda: hook.received[-1].body["changes"][0]["verdict"] == "evaluate")

    asyncio.run(go())
    told = [one.body["changes"][0] for one in hook.received]
    assert {one["former_verdict"] for one in told if one["verdict"] == "worth_it"} == {"evaluate"}
    assert told[-1]["former_verdict"] == "worth_it"
    assert len({one.body["id"] for one in hook.received}) == 2


def test_what_turned_back_while_the_receiver_was_away_is_no_news(store: Store, hook: Receiver, plain: Report) -> None:
    hook.answers = [503] * 3

    async def go() -> None:
        async with telling(store, config(hook.url)) as (notifier, health):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: bool(health.receivers["team"].failures))
            notifier.take(judged(plain, EVALUATE))
            await until(lambda: health.receivers["team"].waiting == 0)
            notifier.take(judged(plain, NO))
            await until(lambda: health.receivers["team"].told == 1)

    asyncio.run(go())
    assert hook.received[-1].body["changes"][0]["former_verdict"] == "evaluate"


@pytest.mark.fault("5", "the receiver of a notification is down", promise="told after the next start; nothing is lost")
def test_what_was_not_taken_is_told_after_a_restart_once(store: Store, hook: Receiver, plain: Report) -> None:
    hook.answers = [503] * 1000

    async def first() -> None:
        async with telling(store, config(hook.url)) as (notifier, health):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: health.receivers["team"].failures["http_status"] >= 1)
            await known(store, EVALUATE)

    async def again(reports: int) -> None:
        async with telling(store, config(hook.url)) as (notifier, health):
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: health.receivers["team"].told == reports or not reports)
            notifier.take(judged(plain, WORTH_IT))
            await asyncio.sleep(0.05)

    asyncio.run(first())
    hook.answers, hook.received = [], []
    asyncio.run(again(1))
    asyncio.run(again(0))
    assert [one.body["changes"][0]["verdict"] for one in hook.received] == ["worth_it"]


@pytest.mark.fault(
    "5", "the daemon ends while it sends a notification", promise="the same change is not told a second time"
)
def test_a_change_whose_answer_never_came_is_not_told_again_after_a_restart(
    store: Store, hook: Receiver, plain: Report
) -> None:
    hook.slow.set()

    async def first() -> None:
        async with telling(store, config(hook.url)) as (notifier, _):
            notifier.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            notifier.take(judged(plain, WORTH_IT))
            await until(lambda: len(hook.received) == 1)

    async def again() -> None:
        async with telling(store, config(hook.url)) as (notifier, health):
            notifier.take(judged(plain, WORTH_IT))
            notifier.take(judged(plain, NO))
            await until(lambda: health.receivers["team"].told == 1)

    asyncio.run(first())
    hook.slow.clear()
    asyncio.run(again())
    assert [one.body["changes"][0]["verdict"] for one in hook.received] == ["worth_it", "no"]


def test_of_two_daemons_on_one_database_the_one_that_analyses_tells(
    store: Store, hook: Receiver, plain: Report
) -> None:
    """The first fails to tell, and stops when the second makes the reports; back again it knows what was told since."""

    async def go() -> None:
        one = telling(store, config(hook.url))
        async with one as (first, health), telling(store, config(hook.url)) as (second, other):
            first.take(judged(plain, EVALUATE))
            await known(store, EVALUATE)
            hook.answers = [503] * 1000
            first.take(judged(plain, WORTH_IT))
            await until(lambda: health.receivers["team"].failures["http_status"] > 0)
            first.take(None)
            await asyncio.sleep(0.3)  # an attempt under way ends
            hook.answers, hook.received = [], []
            second.take(judged(plain, WORTH_IT))
            await until(lambda: other.receivers["team"].told == 1)
            second.take(None)
            first.take(judged(plain, WORTH_IT))
            first.take(judged(plain, NO))
            await until(lambda: health.receivers["team"].told == 1)

    asyncio.run(go())
    verdicts = [one.body["changes"][0]["verdict"] for one in hook.received]
    assert verdicts == ["worth_it", "no"]


def test_what_was_told_is_forgotten_with_the_verdict(store: Store, plain: Report) -> None:
    (one,) = plain.deployments
    states = {("chat", scheme.scheme): scheme.state for scheme in one.schemes}
    store.writer.save_verdicts(states, 1000.0)
    store.writer.save_told("team", dict.fromkeys([*states, ("gone", "w4a16")], EVALUATE))
    store.prune(Keep(3600, 3600, 3600), 2000.0)
    assert store.reader.told("team").keys() == states.keys()
    store.prune(Keep(3600, 3600, 3600), 10_000.0)
    assert store.reader.told("team") == {}
