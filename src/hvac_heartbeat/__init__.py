"""Keeps the heartbeats of an HVAC fleet in one PostgreSQL table, so that it is known which units are alive."""
