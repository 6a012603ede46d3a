"""Fixtures of the contract tests: a store on each of the two databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.store import Store
from tests.contract.postgres_cluster import Cluster, required_cluster
from tests.contract.standing_clock import StandingClock


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The PostgreSQL that all tests share."""
    with required_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _own_postgres() -> Iterator[Cluster]:
    with required_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def own_postgres(_own_postgres: Cluster) -> Cluster:
    """A PostgreSQL that tests may stop: it runs at the start of each file."""
    _own_postgres.start()
    return _own_postgres


@pytest.fixture
def postgres_database(postgres: Cluster) -> Iterator[str]:
    """The name of an empty Postgres database."""
    name = postgres.fresh()
    yield name
    postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once for SQLite and once for Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'breakeven.db'}"
    cluster: Cluster = request.getfixturevalue("postgres")
    return cluster.url(request.getfixturevalue("postgres_database"))


@pytest.fixture
def clock() -> StandingClock:
    """A clock that stands still."""
    return StandingClock()


@pytest.fixture(scope="session")
def migrated_database(postgres: Cluster) -> str:
    """The name of a Postgres database that holds the schema and nothing else: copying it is quicker than migrating."""
    name = postgres.fresh()
    Store.open(postgres.url(name), StandingClock()).close()
    return name


@pytest.fixture
def migrated_url(postgres: Cluster, migrated_database: str) -> Iterator[str]:
    """The URL of a Postgres database that holds the schema and nothing else."""
    name = postgres.fresh(migrated_database)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without rows, once for SQLite and once for Postgres."""
    return str(tmp_path / "two.db") if request.param == "sqlite" else str(request.getfixturevalue("migrated_url"))


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: StandingClock) -> Iterator[Store]:
    """A store that holds nothing yet, once on SQLite and once on Postgres."""
    sqlite = f"sqlite:///{tmp_path / 'breakeven.db'}"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("migrated_url")
    with closing(Store.open(url, clock)) as opened:
        yield opened
