"""`hvac-heartbeat maintenance`: when a device's silence is expected."""

from __future__ import annotations

from hvac_heartbeat.cli.arguments import EPILOG, AsJson, Device, Site, group, scope_of, wrong
from hvac_heartbeat.cli.ledger import ledger, warn_if_unknown
from hvac_heartbeat.cli.output import console
from hvac_heartbeat.cli.windows import EVER, At, Everything, From, Id, Note, Until, bounds, end, said, show_windows

app = group("List, add or end maintenance: time in which silence is expected and no report counts it.")


@app.command("list", epilog=EPILOG, short_help="List what lasts and what is to come.")
def list_maintenance(
    *, site: Site = None, device: Device = None, everything: Everything = False, as_json: AsJson = False
) -> None:
    """List the maintenance that lasts or is to come, the latest first."""
    with ledger() as found:
        windows = found.rows("maintenance", site, device, EVER if everything else None)
    none = (
        "No maintenance was ever added" if everything else "No maintenance lasts or is to come; --all has what is over"
    )
    show_windows(windows, f"{none}.", as_json=as_json)


@app.command("add", epilog=EPILOG, short_help="Add maintenance of a site or a device.")
def add_maintenance(
    *,
    site: Site = None,
    device: Device = None,
    starts_at: From = None,
    ends_at: Until = None,
    note: Note = "",
) -> None:
    """Add maintenance of --site or --device, also afterwards: reports then leave that time out.

    A device that is taken out of service gets one without an end.
    """
    scope, whose = scope_of(site, device)
    if scope == "fleet":
        raise wrong("say whose maintenance it is: --site or --device", "--site")
    starts_at, ends_at = bounds(starts_at, ends_at)
    with ledger() as found:
        window = found.row("add_maintenance", scope, whose, starts_at, ends_at, note)
        warn_if_unknown(found, site, device)
    console.print(said("maintenance", window), markup=False, soft_wrap=True)


@app.command("end", epilog=EPILOG, short_help="End maintenance, by its number.")
def end_maintenance(number: Id, *, at: At = None) -> None:
    """End maintenance, now or --at a time; what has not begun is removed."""
    end("maintenance", number, at)
