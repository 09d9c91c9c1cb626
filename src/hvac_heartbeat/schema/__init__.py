"""The table, the view and the ledger: created where they are missing, adopted where they are there."""

from hvac_heartbeat.schema.adoption import Outcome, Plan, look
from hvac_heartbeat.schema.ledger import Ledger, SchemaError
from hvac_heartbeat.schema.migration import migrate, script

__all__ = ["Ledger", "Outcome", "Plan", "SchemaError", "look", "migrate", "script"]
