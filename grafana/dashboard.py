"""A dashboard as a whole: variables, links to the others, annotations, and the places of its panels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from panels import DATASOURCE, Panel
from query import DAEMON, DEPLOYMENT, REPLICA, SCHEME, series

COLUMNS = 24
TAG = "breakeven"


def dashboard(
    uid: str,
    title: str,
    description: str,
    panels: Iterable[Panel],
    variables: Sequence[dict[str, Any]],
    annotations: Sequence[dict[str, Any]],
    since: str = "now-24h",
) -> dict[str, Any]:
    """A dashboard in Grafana's classic model, schema 39: Grafana 9 to 13 load it."""
    others = {
        "type": "dashboards",
        "title": "Breakeven",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "The other dashboards of Breakeven, with the same selection",
        "url": "",
    }
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "description": description,
        "tags": [TAG, "inference", "quantization"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": since, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "weekStart": "",
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "links": [others],
        "annotations": {"list": list(annotations)},
        "templating": {"list": list(variables)},
        "panels": placed(panels),
    }


def placed(panels: Iterable[Panel]) -> list[Panel]:
    """The panels with id and place, left to right and line by line; a row's heading has a line of its own."""
    x = y = line = 0
    made = []
    for number, panel in enumerate(panels, start=1):
        size = panel["gridPos"]
        if x + size["w"] > COLUMNS:
            x, y, line = 0, y + line, 0
        made.append({"id": number, **panel, "gridPos": {"x": x, "y": y, **size}})
        x, line = x + size["w"], max(line, size["h"])
    return made


def datasource(kind: str) -> dict[str, Any]:
    """The variable that chooses a data source of a kind."""
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": kind,
        "regex": "",
        "current": {},
        "options": [],
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "refresh": 1,
    }


def prometheus_variables() -> list[dict[str, Any]]:
    """Data source, scrape job, daemon, deployment, replica and scheme; each narrows those after it."""
    deployments = series("breakeven_deployment_replicas", DAEMON)
    replicas = f"label_values({series('breakeven_last_sample_timestamp_seconds', DEPLOYMENT)}, target)"
    return [
        datasource("prometheus"),
        _labels("job", "Scrape job", "label_values(breakeven_build_info, job)"),
        _labels("instance", "Daemon", 'label_values(breakeven_build_info{job=~"$job"}, instance)'),
        _labels("deployment", "Deployment", f"label_values({deployments}, deployment)"),
        _labels("target", "Replica", replicas),
        _labels("scheme", "Scheme", f"label_values({series('breakeven_verdict', DEPLOYMENT)}, scheme)"),
    ]


def _labels(name: str, label: str, query: str) -> dict[str, Any]:
    """A variable of a label's values; All matches series that come later too."""
    asked = {"query": query, "refId": f"variable-{name}"}
    return several(name, label, DATASOURCE, query, {"query": asked, "allValue": ".*"})


def several(name: str, label: str, source: dict[str, str], definition: str, asked: dict[str, Any]) -> dict[str, Any]:
    """A variable of several values, all of them at first; `asked` is the query as its data source takes it."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": source,
        "definition": definition,
        **asked,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "includeAll": True,
        "multi": True,
        "options": [],
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
    }


def prometheus_annotations() -> list[dict[str, Any]]:
    """Where a verdict changed and where an epoch began: the series' values are the moments."""
    since = series("breakeven_verdict_since_timestamp_seconds", SCHEME)
    standing = series("breakeven_verdict", SCHEME)
    changed = f"({standing} == 1) * on (job, instance, deployment, scheme) group_left () ({since} * 1000)"
    begun = f"{series('breakeven_epoch_start_timestamp_seconds', REPLICA)} * 1000"
    return [
        _annotation("Verdicts", changed, "{{deployment}} {{scheme}}: {{verdict}}", "blue"),
        _annotation("Epochs", begun, "{{deployment}} {{target}} {{rank}}: a new epoch", "orange"),
    ]


def _annotation(name: str, query: str, title: str, color: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": query,
        "step": "60s",
        "titleFormat": title,
        "textFormat": "",
        "useValueForTime": True,
    }
