"""The OpenAPI document of our JSON: one entry per endpoint, which is also what the application routes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.report import Report
from collector.export.health_json import HealthShown
from collector.export.overview import History, Overview, ReplicaShown
from collector.export.schemas import Schema, Schemas


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the API and the type of what it answers; `more` are properties beside those of the type."""

    path: str
    summary: str
    told: str
    answers: type
    needs_report: bool = True
    not_found: str | None = None
    more: Mapping[str, Schema] | None = None


STALE: Mapping[str, Schema] = {
    "stale": {"type": "boolean", "description": "Whether the report is too old to be shown as today's."}
}
ENDPOINTS = {
    "overview": Endpoint(
        "/api/v1/overview",
        "The last report at first sight",
        "Deployments with their verdicts, money and mix; replicas in brief. What the page at / shows.",
        Overview,
    ),
    "history": Endpoint(
        "/api/v1/history",
        "Where the time went, hour by hour",
        "Each deployment's share of wall time by hour over the decision span, of its replicas' current epochs.",
        History,
    ),
    "replica": Endpoint(
        "/api/v1/replicas/{id}",
        "One replica with its chain",
        "All figures of a replica, and how they came about from raw counters; ids are in the overview.",
        ReplicaShown,
        not_found="The last report has no such replica.",
    ),
    "report": Endpoint(
        "/api/v1/report",
        "The whole last report",
        "As `breakeven report --json` prints it; of a large fleet it is many megabytes.",
        Report,
        more=STALE,
    ),
    "health": Endpoint(
        "/api/v1/health",
        "How each part is doing",
        "Targets, GPUs, store and analysis now, each failure with its remedy.",
        HealthShown,
        needs_report=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer."""

    error: str


def document(version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of this release."""
    schemas = Schemas()
    failure = _json(schemas.of(Failure))
    paths: dict[str, Any] = {}
    for name, one in ENDPOINTS.items():
        schema = schemas.of(one.answers)
        if one.more is not None:
            known = schemas.components[one.answers.__name__]
            known["properties"] = {**one.more, **known["properties"]}
            known["required"] = list(known["properties"])
        answers: dict[str, Any] = {
            "200": {"description": one.summary, "content": _json(schema)},
            "304": {"description": "What If-None-Match names is the newest."},
        }
        if one.not_found is not None:
            answers["404"] = {"description": one.not_found, "content": failure}
        if one.needs_report:
            answers["503"] = {"description": "No report has been made yet.", "content": failure}
        operation: dict[str, Any] = {"operationId": name, "summary": one.summary, "description": one.told}
        if "{id}" in one.path:
            place = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
            operation["parameters"] = [place]
        paths[one.path] = {"get": {**operation, "responses": answers}}
    own = {"description": "This document", "content": _json({"type": "object"})}
    about = {"operationId": "openapi", "summary": "This document", "responses": {"200": own}}
    paths["/api/v1/openapi.json"] = {"get": about}
    told = "Read-only, answered from memory. A figure that does not exist is an object that says why; null is unknown."
    return {
        "openapi": "3.1.0",
        "info": {"title": "Breakeven", "version": version, "description": told},
        "paths": paths,
        "components": {"schemas": schemas.components},
    }


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
