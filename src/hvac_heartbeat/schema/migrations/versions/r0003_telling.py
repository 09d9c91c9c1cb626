"""Telling (docs/operations.md): episodes, the outbox and the sweep, beside the ledger of silence.

Revision ID: 0003
"""

from pathlib import Path

from alembic import op

from hvac_heartbeat.schema.migrations.versions import r0002_ledger

revision = "0003"
down_revision = "0002"

# An index of the ledger's table is made, and who would write a silence meanwhile gives up: so heartbeats wait instead.
_LOCK = """-- Heartbeats wait until this is done, so that no silence is lost; it gives up soon and can be tried again.
SELECT set_config('lock_timeout', '500ms', true);
LOCK TABLE device_state IN SHARE ROW EXCLUSIVE MODE;
"""
SQL = "\n".join(
    [_LOCK, *(part.read_text(encoding="utf-8") for part in sorted(Path(__file__).parent.glob("r0003_*.sql")))]
)


def upgrade() -> None:
    """Make the telling beside the ledger, or what is missing of the two."""
    if not op.get_context().as_sql:
        r0002_ledger.upgrade()  # what was dropped of it since it was recorded
        if not r0002_ledger.missing():
            return
    op.execute(SQL.rstrip().removesuffix(";"))


def downgrade() -> None:
    """Refuse: it would be forgotten what was told."""
    raise NotImplementedError("Telling is never dropped by a migration; drop it by hand if you mean to.")
