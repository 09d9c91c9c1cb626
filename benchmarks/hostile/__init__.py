"""Hostile records within Lambda's limits, each with a good one beside it where the event has room for two."""
