"""The history dashboard's SQL on a real PostgreSQL that a store filled: every query answers, with the right figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from analyzer.verdict import Verdict
from collector.store import Store
from tests.contract.postgres_cluster import Cluster
from tests.contract.standing_clock import StandingClock
from tests.contract.store_samples import START_S, registered, sample
from tests.fakes.panel_queries import load

BOARD: dict[str, Any] = load("history")
PANELS = {panel["title"]: panel for panel in BOARD["panels"] if panel["type"] != "row"}
HOUR_S = 3600.0
SOURCE = {"type": "grafana-postgresql-datasource", "uid": "${datasource}"}
PER_S = {
    "generation_tokens_total": 100.0,
    "prefill_tokens_total": 300.0,
    "cached_tokens_total": 100.0,
    "prompt_tokens_total": 400.0,
    "steps_total": 20.0,
    "decode_sequence_steps_total": 100.0,
    "requests_finished_total": 0.5,
    "finished_prompt_tokens_total": 200.0,
    "finished_generation_tokens_total": 50.0,
    "preemptions_total": 0.05,
}
EXPECTED = {
    "Generated tokens per second": 100.0,
    "Computed prompt tokens per second": 300.0,
    "Decode batch": 100.0 / 20.0,
    "Requests at work": 7.0,
    "Prompt tokens of a request": 200.0 / 0.5,
    "Generated tokens of a request": 50.0 / 0.5,
    "Prompt tokens from the cache": 100.0 / 400.0,
    "Preemptions of a request": 0.05 / 0.5,
    "Part of the hour that was watched": 1.0,
}
"""By panel, for a replica whose counters rise by `PER_S` and that has 7 requests at work."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A database of three hours of two replicas, one of which counts no steps; made once, since all only read it."""

    cluster: Cluster
    name: str

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        return self.cluster.run(statement, self.name)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Those of a query as Grafana sends it, every value of both variables selected."""
        for one in BOARD["templating"]["list"]:
            if one["type"] == "query":
                query = query.replace(f"${one['name']}", ", ".join(f"'{value}'" for (value,) in self.run(one["query"])))
        query = query.replace("$__unixEpochFrom()", f"{START_S:.0f}")
        query = query.replace("$__unixEpochTo()", f"{START_S + 1e5:.0f}")
        assert "$" not in query
        return self.run(query)


@pytest.fixture(scope="module")
def filled(postgres: Cluster, migrated_database: str) -> Iterator[Filled]:
    name = postgres.fresh(migrated_database)
    store = Store.open(postgres.url(name), StandingClock())
    try:
        for lacks in ((), ("steps_total",)):
            key, epoch = registered(store)
            store.writer.append(
                [
                    sample(
                        key,
                        epoch,
                        START_S + at_s,
                        running_requests=7.0,
                        **{name: rate * at_s for name, rate in PER_S.items() if name not in lacks},
                    )
                    for at_s in range(0, 3 * 3600, 15)
                ]
            )
        store.roll_up(START_S + 4 * HOUR_S)
    finally:
        store.close()
    yield Filled(postgres, name)
    postgres.drop(name)


def sql(title: str) -> str:
    """The query of a panel."""
    (target,) = PANELS[title]["targets"]
    return str(target["rawSql"])


@pytest.mark.parametrize("title", EXPECTED)
def test_a_panel_shows_the_hourly_figure_of_each_replica(filled: Filled, title: str) -> None:
    """Two replicas, three hours; the one without steps has no decode batch, and a gap is no zero."""
    found = filled.rows(sql(title))
    replicas = 1 if title == "Decode batch" else 2

    assert len({target for _, target, _ in found}) == replicas
    assert len(found) == 3 * replicas
    assert [float(value) for _, _, value in found] == pytest.approx([EXPECTED[title]] * len(found), rel=0.01)


def test_every_panel_is_tested() -> None:
    assert PANELS.keys() == {*EXPECTED, "Verdicts that stand"}


def test_the_table_shows_the_verdicts_that_stand(filled: Filled) -> None:
    since_us = round((START_S + 60) * 1e6)
    filled.run(
        "INSERT INTO verdicts (deployment, scheme, verdict, since_us, saved_at_us) "
        f"VALUES ('chat', 'fp8-w8a8', '{Verdict.WORTH_IT.value}', {since_us}, {since_us})"
    )

    ((deployment, scheme, verdict, since, turning, turning_since),) = filled.rows(sql("Verdicts that stand"))

    assert (deployment, scheme, verdict) == ("chat", "fp8-w8a8", "worth_it")
    assert since.timestamp() == START_S + 60
    assert (turning, turning_since) == (None, None)


def test_epochs_are_marked_where_they_began(filled: Filled) -> None:
    (mark,) = BOARD["annotations"]["list"]
    found = filled.rows(mark["rawQuery"])

    assert mark["target"]["rawSql"] == mark["rawQuery"]
    assert [(at_s, tag) for at_s, _, tag in found] == [(START_S, "epoch")] * 2
    assert all(text.endswith(": a new epoch") for _, text, _ in found)


def test_everything_asks_the_chosen_data_source() -> None:
    for panel in PANELS.values():
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel["targets"])
    chosen, *others = BOARD["templating"]["list"]
    assert (chosen["type"], chosen["query"]) == ("datasource", SOURCE["type"])
    assert all(one["datasource"] == SOURCE for one in others)
    assert all(one["spanNulls"] is False for panel in PANELS.values() if (one := _custom(panel)))


def _custom(panel: dict[str, Any]) -> dict[str, Any]:
    return {} if panel["type"] == "table" else dict(panel["fieldConfig"]["defaults"]["custom"])
