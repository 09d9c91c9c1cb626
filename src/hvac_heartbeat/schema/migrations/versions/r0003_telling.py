"""Telling (docs/operations.md): episodes, the outbox and the sweep, beside the ledger of silence.

Revision ID: 0003
"""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"

SQL = "\n".join(
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("r0003_telling.sql", "r0003_messages.sql")
)


def upgrade() -> None:
    """Make what telling needs beside the ledger."""
    op.execute(SQL.rstrip().removesuffix(";"))


def downgrade() -> None:
    """Refuse: it would be forgotten what was told."""
    raise NotImplementedError("Telling is never dropped by a migration; drop it by hand if you mean to.")
