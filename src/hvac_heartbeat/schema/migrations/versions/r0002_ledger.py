"""The ledger of silence (docs/liveness.md): additive, and only where it is asked for.

Revision ID: 0002
"""

from pathlib import Path

from alembic import op

from hvac_heartbeat.schema.ledger import look

revision = "0002"
down_revision = "0001"

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


def upgrade() -> None:
    """Make the ledger beside device_state, or what is missing of it."""
    if not op.get_context().as_sql:
        connection = op.get_bind().connection.driver_connection
        if connection is not None and not look(connection).missing:
            return
    op.execute(SQL.rstrip().removesuffix(";"))


def downgrade() -> None:
    """Refuse: the ledger holds what no other table knows."""
    raise NotImplementedError("The ledger is never dropped by a migration; drop it by hand if you mean to.")
