"""Looks at a database with the function's eyes and says what is wrong, what it costs and how to mend it."""

from hvac_heartbeat.local.checkup.examination import examine
from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.local.checkup.tuning import statement_to_tune

__all__ = ["Finding", "Level", "examine", "statement_to_tune"]
