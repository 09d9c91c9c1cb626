"""How rules, windows of time and availability are put to a person."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Any

from hvac_heartbeat.cli.output import moment, printable

PER_CENT_DIGITS = Decimal("0.0001")  # three seconds of a month


def per_cent(availability: Decimal | None) -> str | None:
    """Phrase a part of the whole, rounded down, so that 100 % means no silence at all."""
    if availability is None:
        return None
    return f"{(availability * 100).quantize(PER_CENT_DIGITS, ROUND_FLOOR)} %"


def subject(scope: str, name: str) -> str:
    """Name what a rule or a window is about."""
    wide = {"default": "no rule is set", "fleet": "the fleet"}
    return wide.get(scope) or printable(f"{scope} {name}")


def rule_origin(rule: dict[str, Any]) -> str:
    """Say where a rule comes from."""
    return "no rule is set" if rule["scope"] == "default" else f"the rule of {subject(rule['scope'], rule['subject'])}"


def window_times(window: dict[str, Any]) -> str:
    """Say from when to when a window lasts, whose it is, and why."""
    until = "until it is ended" if window["ends_at"] is None else f"until {moment(window['ends_at'])}"
    whose = f", {subject(window['scope'], window['subject'])}" if "scope" in window else ""
    note = f": {printable(window['note'])}" if window["note"] else ""
    return f"from {moment(window['starts_at'])} {until}{whose}{note}"
