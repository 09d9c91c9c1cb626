"""Translates the driver's errors, the one place that does: what happened, in words for the caller, and what to try."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec

from hvac_heartbeat.errors import HvacHeartbeatError, StoreUnavailable
from hvac_heartbeat.store.connection import DeadlinePassed

if TYPE_CHECKING:
    import psycopg


class StatementRefused(HvacHeartbeatError):
    """The database refuses a row of the statement, today and tomorrow (SQLSTATE class 22 or 23).

    `constraint` and `column` are the server's own words and may be None.
    """

    def __init__(self, sqlstate: str, constraint: str | None, column: str | None) -> None:
        """Take what the server said."""
        super().__init__(f"the database refuses the row (SQLSTATE {sqlstate})")
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.column = column


class Remedy(Enum):
    """What may help."""

    NONE = "nothing but a person"
    REFUSED = "nothing: the row is at fault"
    PAUSE = "time"
    RECONNECT = "another connection, at once"
    REDIRECT = "another connection after a pause, because the server's name may lead elsewhere by then"
    CREDENTIALS = "reading the credentials again"


class Failure(msgspec.Struct, frozen=True):
    """One error of the driver, understood. `message` holds no host, user, SQL or value."""

    remedy: Remedy
    message: str
    sqlstate: str | None = None


# PostgreSQL manual, appendix A. 57P01 to 57P05 end the connection, and 08xxx is one that is gone.
_REMEDIES: Final = {
    "22": (Remedy.REFUSED, "the database refuses a value"),
    "23": (Remedy.REFUSED, "the database refuses a row"),
    "08": (Remedy.PAUSE, "the connection to the database was lost"),
    "28": (Remedy.CREDENTIALS, "the database does not let the function in: check the credentials"),
    "57P": (Remedy.PAUSE, "the database is restarting or has closed the connection"),
    "25006": (Remedy.REDIRECT, "the database is read-only, as after a failover"),
    "40001": (Remedy.PAUSE, "the database could not order the write among others"),
    "40P01": (Remedy.PAUSE, "the write was in a deadlock"),
    "53300": (Remedy.PAUSE, "the database has no connection left"),
    "P0": (Remedy.REFUSED, "a trigger in the database refuses a row"),
    "21000": (Remedy.REFUSED, "the database takes two devices of the batch for one"),
    "3D000": (Remedy.NONE, "there is no database of that name: check DB_NAME"),
    "42501": (Remedy.REFUSED, "the role lacks a right: it needs SELECT, INSERT and UPDATE on device_state"),
    "42P01": (Remedy.NONE, "device_state is not there: run the migrations or check the role's search_path"),
}

# libpq keeps the SQLSTATE of a failed login to itself (PQconnectPoll has no result to ask), so the server's words are
# all there is. Words in another language are not known here: such a login is tried again while there is time.
_LOGIN_WORDS: Final = (
    ("authentication failed", "28P01"),
    ("pg_hba.conf", "28000"),
    ("no such user", "28000"),  # PgBouncer's
    ("is not permitted to log in", "28000"),
    ("too many c", "53300"),  # clients already; connections for role, for database
    ("remaining connection slots", "53300"),
    ("the database system is", "57P03"),
    ("permission denied for database", "42501"),
)
_TLS_WORDS: Final = (
    ("does not match host name", "the server's certificate is for another name than DB_HOST"),
    ("certificate verify failed", "the server's certificate has expired or is signed by none of the known roots"),
    ("signature failure", "the server's certificate has expired or is signed by none of the known roots"),
    ("does not support SSL", "the server does not speak TLS, and DB_SSLMODE asks for it"),
    ("root certificate file", "the file of root certificates cannot be read: check DB_SSLROOTCERT"),
    ("could not get server's host name from server certificate", "the server's certificate names no host"),
)
_UNREACHABLE = Failure(Remedy.PAUSE, "the database cannot be reached")


def classify(error: psycopg.Error, *, connecting: bool) -> Failure:
    """Return what an error means. `connecting` tells a login from a statement."""
    if isinstance(error, DeadlinePassed):
        return Failure(Remedy.NONE, "the database did not answer in time")
    if error.sqlstate is not None:
        return _by_sqlstate(error.sqlstate, connecting=connecting)
    if not connecting:
        return Failure(Remedy.RECONNECT, "the connection to the database was lost")
    return _by_words(str(error))


def _by_sqlstate(sqlstate: str, *, connecting: bool) -> Failure:
    for length in (5, 3, 2):
        if sqlstate[:length] in _REMEDIES:
            remedy, message = _REMEDIES[sqlstate[:length]]
            if remedy is Remedy.REFUSED and connecting:
                break
            return Failure(remedy, message, sqlstate)
    return Failure(Remedy.NONE, "the database could not take the heartbeats", sqlstate)


def _by_words(said: str) -> Failure:
    for words, message in _TLS_WORDS:
        if words in said:
            return Failure(Remedy.NONE, f"{message}; nothing was sent")
    for words, sqlstate in _LOGIN_WORDS:
        if words in said:
            return _by_sqlstate(sqlstate, connecting=True)
    if "FATAL:" in said and "does not exist" in said:
        return _by_sqlstate("28000" if "role" in said else "3D000", connecting=True)
    return _UNREACHABLE


def failure(sqlstate: str) -> StoreUnavailable:
    found = _by_sqlstate(sqlstate, connecting=True)
    return StoreUnavailable(found.message, sqlstate=sqlstate)
