"""What the driver's errors mean: the one table of SQLSTATEs, for the handler, the command and `check`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from hvac_heartbeat.errors import StoreUnavailable
from hvac_heartbeat.store.connection import ConnectFailed, first_line
from hvac_heartbeat.store.timeout import DeadlinePassed

if TYPE_CHECKING:
    import psycopg


class StatementRefused(StoreUnavailable):
    """The database refuses the statement for what can be one row's fault; nothing of it was written.

    `constraint` and `column` are the server's own words and may be None.
    """

    def __init__(self, known: StoreUnavailable, error: psycopg.Error) -> None:
        super().__init__(str(known), sqlstate=known.sqlstate, where=known.where, cause=known.cause)
        self.constraint = error.diag.constraint_name
        self.column = error.diag.column_name


class Remedy(Enum):
    """What may help."""

    NONE = "nothing but a person"
    REFUSED = "leaving a row out"
    PAUSE = "time"
    RECONNECT = "another connection, at once"
    REDIRECT = "another connection after a pause, because the server's name may lead elsewhere by then"
    CREDENTIALS = "reading the credentials again"


class Failure(msgspec.Struct, frozen=True):
    """What an error means and what a person can do about it; `where` and `cause` as StoreUnavailable has them.

    `late` says that the server was silent, and that means less than anything it may have said before.
    """

    remedy: Remedy
    message: str
    advice: str = ""
    sqlstate: str | None = None
    late: bool = False
    where: str | None = None
    cause: str | None = None

    def unavailable(self) -> StoreUnavailable:
        message = f"{self.message}: {self.advice}" if self.advice else self.message
        return StoreUnavailable(message, sqlstate=self.sqlstate, where=self.where, cause=self.cause)


# By the whole SQLSTATE, or its first characters (PostgreSQL manual, appendix A). 57P01 to 57P05 end the connection, and
# 08xxx is one that is gone. 21000 is two ids of a batch that the database takes for one, P0 a RAISE in a trigger, 42501
# a policy on rows or a right that is missing for all of them.
_FAILURES: Final = {
    "08": Failure(Remedy.PAUSE, "the connection to the database was lost"),
    "21000": Failure(Remedy.REFUSED, "the database takes two devices of the batch for one"),
    "22": Failure(Remedy.REFUSED, "the database refuses a value"),
    "23": Failure(Remedy.REFUSED, "the database refuses a row"),
    "25006": Failure(
        Remedy.REDIRECT,
        "the database is read-only, as after a failover",
        "if it stays so, name the primary in DB_HOST",
    ),
    "28": Failure(
        Remedy.CREDENTIALS,
        "the database does not let the function in",
        "check DB_USER and the password (DB_PASSWORD, or what DB_SECRET_ARN or DB_IAM_AUTH stands for), "
        "then the server's pg_hba.conf",
    ),
    "3D000": Failure(Remedy.NONE, "there is no database of that name", "check DB_NAME"),
    "40001": Failure(Remedy.PAUSE, "the database could not order the write among others"),
    "40P01": Failure(Remedy.PAUSE, "the write was in a deadlock"),
    "42501": Failure(
        Remedy.REFUSED,
        "the role lacks a right",
        "grant it CONNECT on the database, SELECT, INSERT and UPDATE on device_state, and SELECT on v_devices_stale",
    ),
    "42P01": Failure(
        Remedy.NONE,
        "device_state or v_devices_stale is not there",
        "run `hvac-heartbeat migrate`, or check the role's search_path",
    ),
    "53300": Failure(Remedy.PAUSE, "the database has no connection left", "try again, or raise max_connections"),
    "55P03": Failure(Remedy.NONE, "somebody else holds a lock in the database"),
    "57P": Failure(Remedy.PAUSE, "the database is restarting or has closed the connection"),
    "P0": Failure(Remedy.REFUSED, "a trigger in the database refuses a row"),
}

# libpq keeps the SQLSTATE of a failed login to itself (PQconnectPoll has no result to ask), so the server's words are
# all there is. Words in another language are not known here: such a login is tried again while there is time.
_LOGIN_WORDS: Final = {
    "authentication failed": "28P01",
    "pg_hba.conf": "28000",
    "no such user": "28000",  # PgBouncer's
    "is not permitted to log in": "28000",
    "too many c": "53300",  # clients already; connections for role, for database
    "remaining connection slots": "53300",
    "the database system is": "57P03",
    "permission denied for database": "42501",
}
_FOREIGN_CERTIFICATE: Final = (
    "the server's certificate has expired or is signed by none of the known roots; nothing was sent",
    "name the file of its CA in DB_SSLROOTCERT",
)
_TLS_WORDS: Final = {
    "does not match host name": ("the server's certificate is for another name than DB_HOST; nothing was sent", ""),
    "certificate verify failed": _FOREIGN_CERTIFICATE,
    "signature failure": _FOREIGN_CERTIFICATE,
    "does not support SSL": ("the server does not speak TLS, and DB_SSLMODE asks for it; nothing was sent", ""),
    "root certificate file": ("the file of root certificates cannot be read", "check DB_SSLROOTCERT"),
    "could not get server's host name from server certificate": (
        "the server's certificate names no host; nothing was sent",
        "",
    ),
}
_UNREACHABLE: Final = Failure(
    Remedy.PAUSE,
    "the database cannot be reached",
    "check DB_HOST and DB_PORT, and the security groups on both sides",
)
_LOST: Final = Failure(Remedy.RECONNECT, "the connection to the database was lost")
_LATE: Final = Failure(Remedy.NONE, "the database did not answer in time", late=True)
_UNKNOWN: Final = Failure(Remedy.NONE, "the database reports an error")


def classify(error: psycopg.Error, where: str | None = None) -> Failure:
    """Return what an error means; `where` names the server of a connection that was open."""
    if isinstance(error, ConnectFailed):
        found = _by_words(str(error))
        # No row can be at fault before there is a statement.
        remedy = Remedy.NONE if found.remedy is Remedy.REFUSED else found.remedy
        return replace(found, remedy=remedy, late=error.timed_out, where=error.where, cause=error.cause)
    if isinstance(error, DeadlinePassed):
        return replace(_LATE, where=where)
    found = _LOST if error.sqlstate is None else _by_sqlstate(error.sqlstate)
    return replace(found, where=where, cause=first_line(error))


def _by_sqlstate(sqlstate: str | None) -> Failure:
    for length in (5, 3, 2):
        found = _FAILURES.get((sqlstate or "")[:length])
        if found is not None:
            return replace(found, sqlstate=sqlstate)
    return replace(_UNKNOWN, sqlstate=sqlstate)


def _by_words(said: str) -> Failure:
    for words, (message, advice) in _TLS_WORDS.items():
        if words in said:
            return Failure(Remedy.NONE, message, advice)
    for words, sqlstate in _LOGIN_WORDS.items():
        if words in said:
            return _by_sqlstate(sqlstate)
    if "FATAL:" in said and "does not exist" in said:
        return _by_sqlstate("28000" if "role" in said else "3D000")
    return _UNREACHABLE
