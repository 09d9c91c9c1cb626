"""A fleet that lives by the wall clock: its heartbeats go out as they are due, and what became of them is kept."""

from hvac_heartbeat.local.simulation.account import SLACK_S, VERDICTS, Account, Gap
from hvac_heartbeat.local.simulation.agents import Away, HttpAgent, handler_agent
from hvac_heartbeat.local.simulation.comparison import Comparison, Stored, StoredDevice, StoredSilence, compare
from hvac_heartbeat.local.simulation.run import Clock, Simulation

__all__ = [
    "SLACK_S",
    "VERDICTS",
    "Account",
    "Away",
    "Clock",
    "Comparison",
    "Gap",
    "HttpAgent",
    "Simulation",
    "Stored",
    "StoredDevice",
    "StoredSilence",
    "compare",
    "handler_agent",
]
