"""The table and view (docs/glossary.md); each only where it is missing.

Revision ID: 0001
"""

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision = None

DEVICE_STATE = """
CREATE TABLE device_state (
    device_id TEXT PRIMARY KEY,
    site_id TEXT NOT NULL,
    last_seen_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    last_upload_ts TIMESTAMP WITH TIME ZONE,
    queue_depth INTEGER,
    agent_version TEXT,
    poll_interval_s INTEGER,
    cpu_pct FLOAT,
    disk_free_gb FLOAT,
    status TEXT CHECK (status IN ('ready','degraded','error')),
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
)
"""

V_DEVICES_STALE = """
CREATE VIEW v_devices_stale AS
SELECT device_id, site_id, last_seen_ts, now() - last_seen_ts AS age
FROM device_state
WHERE now() - last_seen_ts > interval '120 seconds'
"""

# What to create, in this order.
STATEMENTS = {"device_state": DEVICE_STATE, "v_devices_stale": V_DEVICES_STALE}


def upgrade() -> None:
    """Create what is missing."""
    for name, statement in STATEMENTS.items():
        if not _is_there(name):
            op.execute(statement)


def downgrade() -> None:
    """Refuse: the table may be somebody else's, and it holds the fleet's last signs of life."""
    raise NotImplementedError("device_state is never dropped by a migration; drop it by hand if you mean to.")


def _is_there(name: str) -> bool:
    if op.get_context().as_sql:
        return False
    found = op.get_bind().execute(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name})
    return bool(found.scalar_one())
