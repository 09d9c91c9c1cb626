"""`hvac-heartbeat policy`: after how long a device is stale."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hvac_heartbeat.cli.arguments import EPILOG, AsJson, Device, Site, group, scope_of, seconds
from hvac_heartbeat.cli.ledger import ledger, print_json, warn_if_unknown
from hvac_heartbeat.cli.output import console, printable, rows_table, show
from hvac_heartbeat.cli.phrases import rule_origin, subject
from hvac_heartbeat.local.phrases import duration

FLOOR_S = 120
_HEADINGS = {"of": "rule of", "stale_after": "stale after"}

app = group("Show or set after how long a device is stale: its own rule holds, else its site's, else the fleet's.")


def _length(text: str) -> float:
    length = seconds(text)
    if length < FLOOR_S:
        raise typer.BadParameter(
            f"{text} is below {FLOOR_S} s: the ledger keeps no shorter gap, so no rule can be shorter; write 2m or more"
        )
    return length


@app.command("show", epilog=EPILOG, short_help="List the rules, or say which one holds.")
def show_rules(*, site: Site = None, device: Device = None, as_json: AsJson = False) -> None:
    """List every rule; with --site or --device, say which one holds there."""
    scope, whose = scope_of(site, device)
    with ledger() as found:
        rules = found.rows("rules") if scope == "fleet" else found.rows("rule", site, device)
        warn_if_unknown(found, site, device)
    if as_json:
        print_json(rules if scope == "fleet" else rules[0])
    elif scope == "fleet":
        rows = [rule | {"of": subject(rule["scope"], rule["subject"])} for rule in rules]
        show(rows_table(rows, always=tuple(_HEADINGS), headings=_HEADINGS))
    else:
        _say(scope, whose, rules[0])


@app.command("set", epilog=EPILOG, short_help="Set the rule of the fleet, a site or a device.")
def set_rule(
    length: Annotated[float, typer.Argument(parser=_length, metavar="LENGTH", help="5m, 2h or 1d; 120s at least.")],
    *,
    site: Site = None,
    device: Device = None,
) -> None:
    """Set after how long the devices of the fleet, of --site or --device are stale. It holds for the past too.

    Take two or three times the interval at which they report: 25m for units that report every ten minutes.
    """
    scope, whose = scope_of(site, device)
    with ledger() as found:
        rule = found.row("set_rule", scope, whose, length)
        warn_if_unknown(found, site, device)
        knows_no_rules = found.row("view_is_original")["is_original"]
    _say(scope, whose, rule)
    if knows_no_rules:
        console.print(
            "`hvac-heartbeat stale` reads v_devices_stale, which still says 120 seconds:\n"
            "README.md has a view that follows the rules."
        )


@app.command("clear", epilog=EPILOG, short_help="Take a rule away.")
def clear_rule(*, site: Site = None, device: Device = None) -> None:
    """Take the rule of the fleet, of --site or of --device away, so that the next wider one holds."""
    scope, whose = scope_of(site, device)
    with ledger() as found:
        cleared = found.row("clear_rule", scope, whose)
        holding = found.row("rule", site, device)
    if not cleared:
        console.print(f"There was no rule of {subject(scope, whose)}.", markup=False, soft_wrap=True)
    _say(scope, whose, holding)


def _say(scope: str, whose: str, rule: dict[str, Any]) -> None:
    who = {"fleet": "A device", "site": f"A device of {subject(scope, whose)}", "device": f"Device {printable(whose)}"}
    after = duration(rule["stale_after"])
    console.print(f"{who[scope]} is stale after {after}: {rule_origin(rule)}.", markup=False, soft_wrap=True)
