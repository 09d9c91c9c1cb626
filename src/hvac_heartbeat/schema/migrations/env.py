"""How Alembic runs our revisions: in the transaction that is given to it, with a version table of our own."""

from alembic import context

from hvac_heartbeat.schema.revisions import VERSION_TABLE


def _run() -> None:
    if context.is_offline_mode():
        # Another style of parameters would double every % in the text.
        style = {"paramstyle": "named"}
        context.configure(dialect_name="postgresql", dialect_opts=style, version_table=VERSION_TABLE)
    else:
        context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


_run()
