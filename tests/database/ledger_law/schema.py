"""The ledger's SQL, as the migration runs it."""

from hvac_heartbeat.schema.migrations.versions.r0002_ledger import SQL

LEDGER = SQL
