"""Every error this package raises, below one base class; each says what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hvac_heartbeat.outcome import Complaint


class HvacHeartbeatError(Exception):
    """Something went wrong in hvac-heartbeat; without a message, the first line of the class's docstring is one."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").split("\n", 1)[0])


class SettingsError(HvacHeartbeatError):
    """The environment variables cannot be used: set the ones that the message names."""


class StoreUnavailable(HvacHeartbeatError):
    """The database could not take the heartbeats; send them again, a replay is harmless.

    `sqlstate` is PostgreSQL's five-character code where the server gave one (PostgreSQL manual, appendix A), `where`
    the server as "host:port", and `cause` the first line of what the driver said. The message never holds a host, a
    user, SQL or a value; the last two may, and are for whoever runs the function, not for its callers.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        sqlstate: str | None = None,
        where: str | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.where = where
        self.cause = cause

    @property
    def in_full(self) -> str:
        """The message with host, port and cause, for a terminal or a log."""
        known = ": ".join(part for part in (self.where, self.cause) if part)
        return f"{self} ({known})" if known else str(self)


class EventRefused(HvacHeartbeatError):
    """The event as a whole is not one this function takes; nothing of it was written.

    `status` is the HTTP status that says so; `headers` go with it on the HTTP triggers.
    """

    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class BatchRefused(HvacHeartbeatError):
    """The database refuses the batch for one of its rows; the others may be good.

    `complaint` says what is wrong with a row. `failure` is None where it is the row that is at fault, today and
    tomorrow; else it says why the row was not written, and it is worth a retry.
    """

    def __init__(self, complaint: Complaint, failure: StoreUnavailable | None = None) -> None:
        super().__init__(f"{complaint.field} {complaint.reason}")
        self.complaint = complaint
        self.failure = failure
