"""`hvac-heartbeat deaf`: when we could not hear anybody, so that silence proves nothing."""

from __future__ import annotations

from hvac_heartbeat.cli.arguments import EPILOG, AsJson, group
from hvac_heartbeat.cli.ledger import ledger
from hvac_heartbeat.cli.output import console
from hvac_heartbeat.cli.windows import EVER, At, Everything, From, Id, Note, Until, bounds, end, said, show_windows

app = group("List, add or end our own outages: time in which we heard nobody, so that no silence counts.")


@app.command("list", epilog=EPILOG, short_help="List what lasts and what is to come.")
def list_deaf(*, everything: Everything = False, as_json: AsJson = False) -> None:
    """List our outages that last or are to come, the latest first."""
    with ledger() as found:
        windows = found.rows("deaf", EVER if everything else None)
    none = "No outage of ours was ever added" if everything else "No outage of ours lasts; --all has what is over"
    show_windows(windows, f"{none}.", as_json=as_json)


@app.command("add", epilog=EPILOG, short_help="Add an outage of ours.")
def add_deaf(*, starts_at: From = None, ends_at: Until = None, note: Note = "") -> None:
    """Add an outage of ours, also afterwards. Each device gets its whole stale_after once more after it."""
    starts_at, ends_at = bounds(starts_at, ends_at)
    with ledger() as found:
        window = found.row("add_deaf", starts_at, ends_at, note)
    console.print(said("deaf", window), markup=False, soft_wrap=True)


@app.command("end", epilog=EPILOG, short_help="End an outage, by its number.")
def end_deaf(number: Id, *, at: At = None) -> None:
    """End an outage, now or --at a time; one that has not begun is removed."""
    end("deaf", number, at)
