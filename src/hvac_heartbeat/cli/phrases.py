"""How rules, windows of time and availability are put to a person."""

from __future__ import annotations

from typing import Any

from hvac_heartbeat.cli.output import moment, printable


def subject(scope: str, name: str) -> str:
    """Name what a rule or a window is about."""
    wide = {"default": "the fleet, by default", "fleet": "the fleet"}
    return wide.get(scope) or printable(f"{scope} {name}")


def rule_origin(rule: dict[str, Any]) -> str:
    """Say where a rule comes from."""
    return "no rule is set" if rule["scope"] == "default" else f"the rule of {subject(rule['scope'], rule['subject'])}"


def window_times(window: dict[str, Any]) -> str:
    """Say whose a window is, from when to when it lasts, and why."""
    until = "until it is ended" if window["ends_at"] is None else f"until {moment(window['ends_at'])}"
    whose = f"{subject(window['scope'], window['subject'])}, " if "scope" in window else ""
    note = f" ({printable(window['note'])})" if window["note"] else ""
    return f"{whose}from {moment(window['starts_at'])} {until}{note}"
