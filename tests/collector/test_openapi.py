"""The API's document against what the application really answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from analyzer.evidence import Missing
from analyzer.report import Report
from analyzer.samples import ReplicaKey
from collector.errors import Kind, SourceError
from collector.export.api import Api
from collector.export.openapi import document
from collector.export.overview import replica_id
from collector.export.schemas import Schemas
from collector.export.snapshot import State
from collector.export.web import make_app
from collector.health import DaemonHealth, Health, TargetHealth
from tests.fakes.hand_clock import HandClock
from tests.fakes.modelled import modelled, modelled_report

HOSTILE = '<script>alert(1)</script>"\\\n\udc80\x00\u202e{}' + "m" * 10_000
Ask = Callable[[TestClient], Awaitable[None]]


def a_state(report: Report | None) -> State:
    """A daemon with a target that is up, one that is down, and a GPU source that is absent."""
    up, down = TargetHealth(url="http://a/metrics", job="a"), TargetHealth(url="http://b/metrics", job="b")
    up.succeeded(1.0, 0.1)
    down.refused(1.0, SourceError(Kind.TIMEOUT, "too slow"), 1.0)
    health = DaemonHealth(started_s=0.0, targets={up.url: up, down.url: down}, gpus={"GPU-1": Health()})
    state = State(version="1.2.3", health=health, ready=True)
    state.report = report
    return state


@cache
def hostile_report() -> Report:
    """One replica with all that can be told, one that knows nothing, one with a name that is meant to harm."""
    known = modelled(0)
    named = replace(modelled(1), replica=ReplicaKey(known.replica.target, HOSTILE))
    unknown = replace(modelled(2), model=Missing("none"), recent=None, history=None, last=None)
    return replace(modelled_report(known, named, unknown), made_at_s=HandClock().wall_s())


def asked(state: State, ask: Ask) -> None:
    async def main() -> None:
        async with TestClient(TestServer(make_app(state, HandClock(), 60.0))) as client:
            await ask(client)

    asyncio.run(main())


def validator(status: int, path: str) -> Draft202012Validator:
    whole = document("1.2.3")
    schema = whole["paths"][path]["get"]["responses"][str(status)]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": whole["components"]})


def test_the_document_has_every_path_of_the_api_and_no_other() -> None:
    app = make_app(a_state(None), HandClock(), 60.0)
    routed = {route.resource.canonical for route in app.router.routes() if route.resource is not None}

    assert set(document("1")["paths"]) == {path for path in routed if path.startswith("/api/")}


def test_it_is_an_openapi_document_to_the_standard_s_own_validator() -> None:
    whole = document("1.2.3")
    validate(whole)
    del whole["paths"]["/api/v1/health"]["get"]["responses"]["200"]["description"]
    with pytest.raises(OpenAPIValidationError):
        validate(whole)


@pytest.mark.parametrize("path", ["overview", "history", "report", "health", "replicas/{id}"])
def test_what_is_answered_is_what_the_document_says(path: str) -> None:
    report = hostile_report()
    ids = [replica_id(one.replica) for one in report.replicas]

    async def ask(client: TestClient) -> None:
        for wanted in ids if "{id}" in path else [""]:
            answer = await client.get(f"/api/v1/{path}".replace("{id}", wanted))
            assert answer.status == 200
            plain = await answer.json()
            found = [one.message for one in validator(200, f"/api/v1/{path}").iter_errors(plain)]
            assert found == []

    asked(a_state(report), ask)


@pytest.mark.parametrize(("path", "status"), [("overview", 503), ("history", 503), ("report", 503)])
def test_before_the_first_report_the_answer_says_so(path: str, status: int) -> None:
    async def ask(client: TestClient) -> None:
        answer = await client.get(f"/api/v1/{path}")
        assert answer.status == status
        validator(status, f"/api/v1/{path}").validate(await answer.json())

    asked(a_state(None), ask)


def test_a_replica_that_is_not_there_is_not_found() -> None:
    async def ask(client: TestClient) -> None:
        answer = await client.get("/api/v1/replicas/0123456789abcdef")
        assert answer.status == 404
        validator(404, "/api/v1/replicas/{id}").validate(await answer.json())

    asked(a_state(hostile_report()), ask)


def test_the_schemas_are_schemas_and_refuse_what_is_not_answered() -> None:
    """Each of them is closed: a field that the code gains or loses shows here and not at a reader's."""
    whole = document("1")
    for schema in whole["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    assert whole["openapi"] == "3.1.0"
    health = validator(200, "/api/v1/health")
    assert not health.is_valid({})
    assert not validator(200, "/api/v1/overview").is_valid({"stale": False, "more": 1})


@dataclass(frozen=True)
class Odd:
    """Has a field that no answer can hold."""

    field: Mapping[str, set]  # type: ignore[type-arg]


def test_a_type_that_cannot_be_answered_is_refused_when_the_document_is_made() -> None:
    with pytest.raises(TypeError, match="no answer holds"):
        Schemas().of(Odd)


def test_every_answer_of_a_report_tells_that_it_has_grown_old() -> None:
    """The words are put into what was written once: a name that holds the same words must not be taken for them."""
    report = hostile_report()
    words = ReplicaKey("http://x/metrics", '"stale": false')
    first = replace(report.replicas[0], replica=words)
    report = replace(report, replicas=(first, *report.replicas[1:]))
    clock = HandClock()

    async def main() -> None:
        with ThreadPoolExecutor(1) as executor:
            routes: Mapping[str, Any] = Api(a_state(report), clock, 60.0, executor).routes()
            assert set(routes) == set(document("1")["paths"])
        async with TestClient(TestServer(make_app(a_state(report), clock, 60.0))) as client:
            paths = ["overview", "history", "report", f"replicas/{replica_id(words)}"]
            fresh = [(await (await client.get(f"/api/v1/{path}")).json())["stale"] for path in paths]
            clock.advance(301)
            old = [await (await client.get(f"/api/v1/{path}")).json() for path in paths]
            assert fresh == [False] * 4
            assert [one["stale"] for one in old] == [True] * 4
            assert old[0]["replicas"][0]["replica"]["model"] == words.model

    asyncio.run(main())
