"""Who runs beside the handler: what one would otherwise write, and the least that is possible.

Each takes the event as Lambda hands it over and writes its heartbeats with the product's rule (newest wins, absent
fields keep what is stored); none of them checks a field, merges duplicates or says what became of whom.
"""

from __future__ import annotations

from typing import Any, Protocol

COLUMNS = (
    "device_id",
    "site_id",
    "status",
    "agent_version",
    "cpu_pct",
    "disk_free_gb",
    "queue_depth",
    "poll_interval_s",
    "last_upload_ts",
)
OPTIONAL = COLUMNS[2:]

INSERT = f"INSERT INTO device_state AS stored ({', '.join(COLUMNS)}, last_seen_ts, updated_at)"
ON_CONFLICT = f"""
    ON CONFLICT (device_id) DO UPDATE
   SET site_id = excluded.site_id, last_seen_ts = excluded.last_seen_ts, updated_at = excluded.updated_at,
       {", ".join(f"{name} = coalesce(excluded.{name}, stored.{name})" for name in OPTIONAL)}
 WHERE excluded.last_seen_ts >= stored.last_seen_ts OR stored.last_seen_ts > now() + interval '5 minutes'
"""  # noqa: S608 - names of ours
ONE_ROW = f"{INSERT} VALUES ({', '.join(['%s'] * len(COLUMNS))}, now(), now()) {ON_CONFLICT}"


class Peer(Protocol):
    """Writes the heartbeats of an event."""

    name: str
    reconnects: bool  # for every write

    def write(self, event: dict[str, Any]) -> object:
        """Write them and return when they are committed."""
        ...

    def close(self) -> None:
        """Give back the connection."""
        ...


def bodies(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the heartbeats of an event, sorted as every batch has to be where several write at once."""
    found = event.get("devices") or [event]
    return sorted(found, key=lambda body: str(body["device_id"]))


def values(body: dict[str, Any]) -> list[Any]:
    """Return the parameters of one row."""
    return [body.get(name) for name in COLUMNS]
