"""Runs the migrations: on the connection that `store.migrate` hands over, or on `-x url=...` for developers."""

from alembic import context

from collector.store.engine import open_engines
from collector.store.schema import metadata


def run(connection) -> None:
    """Run on an open connection; its owner has begun the transaction and commits it."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise SystemExit("which database? alembic -x url=sqlite:///var/dev.db ...")
    engines = open_engines(url)
    try:
        with engines.migrating.begin() as opened:
            run(opened)
    finally:
        engines.close()
