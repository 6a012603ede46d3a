"""The history dashboard: months of hourly totals and what verdicts stand, from Breakeven's own Postgres by SQL."""

from __future__ import annotations

from typing import Any

from dashboard import dashboard, datasource, several
from panels import PLAIN, Panel, Query, panel, row, thresholds, timeseries

KIND = "grafana-postgresql-datasource"
SOURCE = {"type": KIND, "uid": "${datasource}"}
_HOURS = """FROM replica_hours AS h
JOIN epochs AS e ON e.id = h.epoch_id
JOIN replicas AS r ON r.id = e.replica_id
WHERE h.bucket_ms BETWEEN $__unixEpochFrom() * 1000::bigint AND $__unixEpochTo() * 1000::bigint
  AND coalesce(r.job, '') IN ($job) AND r.target IN ($target)"""
"""Hours in which several epochs met have a row for each: sums and quotients are over all of an hour's rows."""


class Sql(Query):
    """A query of a panel that Postgres answers; lines are called by its column `metric`."""

    __slots__ = ()

    @property
    def source(self) -> dict[str, str]:
        """The data source that it is for."""
        return SOURCE

    def asked(self, shape: str, *, instant: bool) -> dict[str, Any]:
        """How a panel's target holds it."""
        del instant
        return {"format": shape, "rawQuery": True, "rawSql": self.expression}


def history() -> dict[str, Any]:
    """Needs no Prometheus: it shows what the database keeps long after Prometheus dropped it."""
    panels = [row("The work of months, by the hour"), *_work(), row("What a request was like"), *_requests()]
    panels += [row("How much of it was watched, and what stands now"), _watched(), _verdicts()]
    return dashboard(
        "breakeven-history",
        "Breakeven: history (Postgres)",
        "Load, batch and lengths over months, from the hourly roll-ups in Breakeven's database.",
        panels,
        [
            datasource(KIND),
            _values("job", "Job", "SELECT DISTINCT coalesce(job, '') AS __value FROM replicas ORDER BY 1"),
            _values("target", "Replica", "SELECT DISTINCT target AS __value FROM replicas ORDER BY 1"),
        ],
        [_epochs()],
        since="now-90d",
    )


def _work() -> list[Panel]:
    return [
        _mean("Generated tokens per second", "Over the watched part of each hour.", "h.generation_tokens", _WATCHED_S),
        _mean(
            "Computed prompt tokens per second",
            "Those that came from the cache are not in it.",
            "h.prefill_tokens",
            _WATCHED_S,
        ),
        _mean("Decode batch", "Mean sequences in a step, over the hour.", "h.decode_sequence_steps", "h.steps"),
        _mean("Requests at work", "Mean over the watched part of each hour.", "h.running_requests_s", _WATCHED_S),
    ]


def _requests() -> list[Panel]:
    return [
        _mean(
            "Prompt tokens of a request", "Mean over the requests that finished.", "h.finished_prompt_tokens", _FINISHED
        ),
        _mean(
            "Generated tokens of a request",
            "Mean over the requests that finished.",
            "h.finished_generation_tokens",
            _FINISHED,
        ),
        _mean(
            "Prompt tokens from the cache",
            "Share of all prompt tokens of admitted requests.",
            "h.cached_tokens",
            "h.prompt_tokens",
            "percentunit",
        ),
        _mean("Preemptions of a request", "Each says that KV memory was short.", "h.preemptions", _FINISHED),
    ]


_FINISHED = "h.requests_finished"
_WATCHED_S = "h.covered_us / 1e6"


def _mean(title: str, description: str, over: str, under: str, unit: str = "short") -> Panel:
    """One sum over another, by hour and replica; an hour in which either was not reported is a gap."""
    value = f"sum({over}) / nullif(sum({under}), 0)"
    return _lines(title, description, unit, _by_hour(value, f"{over} IS NOT NULL"))


def _by_hour(value: str, known: str) -> str:
    return f"""SELECT to_timestamp(h.bucket_ms / 1000) AS "time", r.target AS metric, {value} AS value
{_HOURS} AND {known}
GROUP BY 1, 2 HAVING {value} IS NOT NULL ORDER BY 1"""


def _watched() -> Panel:
    return _lines(
        "Part of the hour that was watched",
        "What gaps, restarts of the server and of Breakeven left. Figures of an hour are of this part.",
        "percentunit",
        _by_hour("sum(h.covered_us) / 3.6e9", "TRUE"),
        high=1.0,
    )


def _lines(title: str, description: str, unit: str, query: str, high: float | None = None) -> Panel:
    made = timeseries(title, description, unit, [Sql(query)], low=0.0, high=high)
    made["fieldConfig"]["defaults"]["displayName"] = "${__field.labels.metric}"
    return made


def _verdicts() -> Panel:
    query = """SELECT deployment AS "Deployment", scheme AS "Scheme", verdict AS "Verdict",
  to_timestamp(since_us / 1e6) AS "Since", candidate AS "Turning to",
  to_timestamp(candidate_since_us / 1e6) AS "Turning since"
FROM verdicts ORDER BY 1, 2"""
    made = panel(
        "table",
        "Verdicts that stand",
        "As the database holds them; a change must last before it is one, until then it is what a verdict turns to.",
        "none",
        [Sql(query)],
        (12, 8),
        "no verdict yet",
        instant=True,
    )
    made["fieldConfig"]["defaults"] |= {
        "custom": {"align": "left", "filterable": True},
        "thresholds": thresholds(PLAIN),
    }
    made["options"] = {"cellHeight": "sm", "showHeader": True, "footer": {"show": False, "reducer": [], "fields": ""}}
    made["transformations"] = []
    return made


def _values(name: str, label: str, query: str) -> dict[str, Any]:
    """A variable of what a query finds."""
    return several(name, label, SOURCE, query, {"query": query})


def _epochs() -> dict[str, Any]:
    """Where something of a server changed."""
    query = """SELECT e.started_at_us / 1000000 AS time, r.target || ': a new epoch' AS text, 'epoch' AS tags
FROM epochs AS e JOIN replicas AS r ON r.id = e.replica_id
WHERE e.started_at_us BETWEEN $__unixEpochFrom() * 1000000::bigint AND $__unixEpochTo() * 1000000::bigint
  AND r.target IN ($target) ORDER BY 1"""
    return {
        "name": "Epochs",
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "orange",
        "rawQuery": query,
        "target": {"refId": "Epochs", "rawSql": query, "format": "table", "rawQuery": True},
    }
