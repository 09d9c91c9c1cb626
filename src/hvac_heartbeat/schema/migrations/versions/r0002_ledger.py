"""The ledger of silence (docs/liveness.md): additive, and only where it is asked for.

Revision ID: 0002
"""

from pathlib import Path

from alembic import op

from hvac_heartbeat.schema.ledger import look
from hvac_heartbeat.schema.parts import PARTS, TELLING

revision = "0002"
down_revision = "0001"

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


def upgrade() -> None:
    """Make the ledger beside device_state, or what is missing of it."""
    if op.get_context().as_sql or not set(missing()) <= set(TELLING):
        op.execute(SQL.rstrip().removesuffix(";"))


def missing() -> tuple[str, ...]:
    """Return what is missing of the ledger and the telling."""
    connection = op.get_bind().connection.driver_connection
    return look(connection).missing if connection is not None else PARTS


def downgrade() -> None:
    """Refuse: the ledger holds what no other table knows."""
    raise NotImplementedError("The ledger is never dropped by a migration; drop it by hand if you mean to.")
