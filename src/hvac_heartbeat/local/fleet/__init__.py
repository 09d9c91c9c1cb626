"""A fleet as it is in the field, made up from a seed: what its devices send, when it arrives, and what goes wrong.

Nothing is random but the seed: the same one gives the same fleet on every machine. All times are whole microseconds
since the fleet's start.
"""

from hvac_heartbeat.local.fleet.incidents import Announcement, Deaf, Incidents, Maintenance, Outage, Policy, Retired
from hvac_heartbeat.local.fleet.live import Incident, LiveFleet
from hvac_heartbeat.local.fleet.stream import Delivery, Event, Fleet, Heartbeat

__all__ = [
    "Announcement",
    "Deaf",
    "Delivery",
    "Event",
    "Fleet",
    "Heartbeat",
    "Incident",
    "Incidents",
    "LiveFleet",
    "Maintenance",
    "Outage",
    "Policy",
    "Retired",
]
