"""Shakes hands with a PostgreSQL server over TLS by itself, to see the certificate that libpq does not show."""

from __future__ import annotations

import socket
import ssl
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from hvac_heartbeat.local.checkup.finding import Finding, Level
from hvac_heartbeat.store.root_certificates import roots_for

if TYPE_CHECKING:
    from hvac_heartbeat.settings import Settings

_SSL_REQUEST: Final = struct.pack(">ii", 8, 80877103)  # PostgreSQL manual, Message Formats, SSLRequest
_TIMEOUT_S: Final = 5.0
_SOON: Final = timedelta(days=30)


def examine_tls(settings: Settings, host: str, port: int) -> Finding:
    """Say whether the server speaks TLS, whether its certificate can be verified, and until when."""
    if host.startswith(("/", "@")):
        return Finding("TLS", Level.OK, "a unix socket on this machine, which needs none")
    verifies = settings.sslmode == "verify-full"
    try:
        with socket.create_connection((host, port), _TIMEOUT_S) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != b"S":
                return Finding(
                    "TLS",
                    Level.WRONG if settings.sslmode in {"require", "verify-ca", "verify-full"} else Level.WARNING,
                    f"the server does not speak TLS, and DB_SSLMODE is {settings.sslmode}",
                    "Give the server a certificate (ssl_cert_file, ssl_key_file), and then set ssl = on.",
                )
            context = ssl.create_default_context(cafile=settings.sslrootcert or roots_for(host))
            with context.wrap_socket(plain, server_hostname=host) as encrypted:
                expiry = str((encrypted.getpeercert() or {})["notAfter"])
                until = datetime.fromtimestamp(ssl.cert_time_to_seconds(expiry), UTC)
                return _verified(settings, encrypted.version() or "TLS", until)
    except ssl.SSLCertVerificationError as error:
        return Finding(
            "TLS",
            Level.WRONG if verifies else Level.WARNING,
            f"the server's certificate cannot be verified: {error.verify_message}",
            "Connect by the name in the certificate, or name its CA's file in DB_SSLROOTCERT.",
        )
    except (OSError, KeyError, ValueError) as error:
        return Finding("TLS", Level.NOTE, f"could not be looked at ({error})")


def _verified(settings: Settings, protocol: str, until: datetime) -> Finding:
    found = f"{protocol}, the certificate is valid until {until:%Y-%m-%d}; DB_SSLMODE is {settings.sslmode}"
    if until < datetime.now(UTC) + _SOON:
        return Finding("TLS", Level.WARNING, found, "Renew the server's certificate.")
    if settings.sslmode != "verify-full":
        return Finding("TLS", Level.WARNING, f"{found}, which does not verify it", "Set DB_SSLMODE=verify-full.")
    return Finding("TLS", Level.OK, f"{found}, verified")
