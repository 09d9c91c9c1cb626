"""How Alembic runs our revisions: in one transaction, one at a time, with a version table of our own."""

from alembic import context
from sqlalchemy import text

from hvac_heartbeat.schema.adoption import VERSION_TABLE

# Two deployments that migrate at once would both find nothing and both create.
_ONE_AT_A_TIME = text(f"SELECT pg_advisory_xact_lock(hashtextextended('{VERSION_TABLE}', 0))")


def _run() -> None:
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", version_table=VERSION_TABLE)
        with context.begin_transaction():
            context.run_migrations()
        return
    connection = context.config.attributes["connection"]
    connection.execute(_ONE_AT_A_TIME)
    context.configure(connection=connection, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


_run()
