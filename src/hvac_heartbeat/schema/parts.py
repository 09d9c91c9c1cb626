"""The parts of the ledger of silence, and of the telling beside it: what `migrate` and `check` look for.

tests/database/test_ledger_migration.py holds these names to what the SQL of the revisions makes.
"""

from __future__ import annotations

from typing import Final

_TIME = "timestamp with time zone"

# Tables, views and types with their columns; functions by the types of their arguments, with how their results begin.
_LEDGER_TABLES: Final = {
    "silence": ("device_id", "silent_from", "silent_to", "site_id"),
    "first_heartbeat": ("device_id", "first_seen_ts"),
    "ledger_start": ("only_row", "started_at"),
    "liveness_policy": ("scope", "subject", "stale_after"),
    "maintenance_window": ("id", "scope", "subject", "starts_at", "ends_at", "note"),
    "deaf_interval": ("id", "starts_at", "ends_at", "note"),
}
_LEDGER_VIEWS: Final = {
    "v_deaf": ("deaf",),
    "v_stale_after": ("device_id", "site_id", "stale_after"),
    "v_in_maintenance": ("device_id", "site_id"),
    "v_device_liveness": (
        *("device_id", "site_id", "last_seen_ts", "age", "stale_after", "liveness", "silent_from", "status"),
        *("delivering", "in_maintenance"),
    ),
    "v_site_liveness": (
        *("site_id", "devices", "in_maintenance", "online", "stale", "unknown", "not_delivering", "is_dark"),
        "dark_since",
    ),
    "v_silences": ("device_id", "site_id", "silent_from", "silent_to", "length", "counts"),
}
_LEDGER_FUNCTIONS: Final = {
    "note_silence()": "trigger",
    f"note_late_heartbeats(text[], {_TIME}[], text[])": "void",
    "require_right_to_write()": "void",
    "total_length(tstzmultirange)": "interval",
    "longest_part(tstzmultirange)": "interval",
    f"silence_counts({_TIME}, {_TIME}, interval, tstzmultirange)": "boolean",
    f"device_availability({_TIME}, {_TIME})": "TABLE(device_id ",
    f"site_availability({_TIME}, {_TIME})": "TABLE(site_id ",
}
TRIGGERS: Final = ("note_silence", "note_first_heartbeat")

_TELLING_TABLES: Final = {
    "episode": (
        *("device_id", "site_id", "silent_from", "opened_at", "closed_at", "returned_at"),
        *("is_flapping", "told_open", "told_flapping", "told_closed"),
    ),
    "fleet_silence": ("silent_from", "opened_at", "ended_at", "evidence", "is_deaf", "told_began", "told_ended"),
    "silence_message": (
        *("id", "dedup_id", "kind", "scope", "site_id", "body", "created_at"),
        *("delivered_to", "delivered_at", "attempts", "next_attempt_at", "leased_until"),
    ),
}
_TELLING_VIEWS: Final = {
    "v_quiet_rule": ("scope", "subject", "stale_after", "in_maintenance", "maintained_until"),
    "v_counted": ("device_id", "site_id", "last_seen_ts", "updated_at"),
    "v_heard_from": ("heard_from",),
}
TYPES: Final = {
    "fleet_glance": ("newest", "devices", "behind_by"),
    "site_glance": ("heard", "together"),
    "silent_part": ("quiet", "stale", "due_sites"),
    "fleet_survey": ("sites", "is_silent", "was_silent", "silent_from"),
    "site_news": (
        *("kind", "site_id", "devices", "silent", "silent_from", "returned_at"),
        *("device_ids", "flapping", "waits_since", "content"),
    ),
}
# What the function calls of the telling.
CALLED: Final = {
    "sweep(tstzrange, text)": "TABLE(is_skipped ",
    "lease_messages(text[], integer)": "TABLE(id ",
    "note_deliveries(bigint[], jsonb, boolean[])": "void",
}
_TELLING_FUNCTIONS: Final = {
    "glance()": "fleet_glance",
    f"quiet_devices({_TIME}, {_TIME})": "TABLE(device_id ",
    f"count_silent({_TIME})": "silent_part",
    "many_of(bigint)": "integer",
    "glance_at_sites()": "site_glance",
    "is_maintained(text)": "boolean",
    f"is_known(text, {_TIME})": "boolean",
    "survey(fleet_glance)": "fleet_survey",
    f"were_written_late({_TIME}, {_TIME})": "boolean",
    f"note_fleet_silence(fleet_glance, silent_part, {_TIME}, tstzrange, text)": "void",
    "devices_of_open_episodes()": "TABLE(device_id ",
    "gone_devices()": "TABLE(device_id ",
    "close_episodes()": "bigint",
    f"open_episodes(text[], {_TIME})": "bigint",
    f"time_in_words({_TIME})": "text",
    "how_many(bigint, text)": "text",
    "news_hash(text)": "text",
    "untold()": "SETOF site_news",
    "news_in_words(site_news)": "text",
    "news_in_numbers(site_news)": "jsonb",
    "put_message(text, text, text, text, jsonb)": "void",
    "mark_told(site_news[])": "void",
    "tell_sites()": "void",
    "may_tell_digest()": "boolean",
    "tell_digest(site_news[])": "void",
    "list_in_words(site_news[])": "text",
    "tell_standing()": "void",
    "tell_fleet(bigint, bigint)": "void",
    **CALLED,
}

TABLES: Final = _LEDGER_TABLES | _TELLING_TABLES
VIEWS: Final = _LEDGER_VIEWS | _TELLING_VIEWS
FUNCTIONS: Final = _LEDGER_FUNCTIONS | _TELLING_FUNCTIONS

TELLING: Final = (*_TELLING_TABLES, *_TELLING_VIEWS, *TYPES, *_TELLING_FUNCTIONS)
"""What revision 0003 makes."""
PARTS: Final = (
    *(*_LEDGER_TABLES, *_LEDGER_VIEWS, *_LEDGER_FUNCTIONS, *(f"trigger {name}" for name in TRIGGERS)),
    *TELLING,
)
"""All of it, in words."""
WRITERS: Final = ("silence", "first_heartbeat", "note_silence()", *(f"trigger {name}" for name in TRIGGERS))
"""Without one of these, silences that end are not written."""
