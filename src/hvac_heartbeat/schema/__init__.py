"""The table and view: created where they are missing, adopted where they are there."""

from hvac_heartbeat.schema.adoption import Outcome, Plan, SchemaError, look, migrate, script

__all__ = ["Outcome", "Plan", "SchemaError", "look", "migrate", "script"]
