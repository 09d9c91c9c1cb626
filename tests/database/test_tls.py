"""TLS: a verified server is written to, and one that cannot be verified is refused with an error that says why."""

from __future__ import annotations

import ipaddress
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hvac_heartbeat.aws import handler
from hvac_heartbeat.local import programs
from hvac_heartbeat.local.postgres import PostgresServer
from tests.conftest import TABLE_AND_VIEW
from tests.database.debian import bindir_with_tls
from tests.database.invocation import check, deliver, wait_until
from tests.database.servers import backends, locked, reload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime.now(UTC)


@dataclass
class Authority:
    """A CA of the test's own."""

    key: ec.EllipticCurvePrivateKey
    root: x509.Certificate

    @classmethod
    def new(cls) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, _certificate("Test CA", key.public_key(), key, "Test CA", days=3650, ca=True))

    def issue(self, name: str, folder: Path, *, days: int = 30) -> None:
        """Write server.crt and server.key for `name` into a folder; with negative days it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _certificate(name, key.public_key(), self.key, "Test CA", days=days)
        (folder / "server.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "server.key").write_bytes(private)
        (folder / "server.key").chmod(0o600)
        account = programs.server_account()
        if account is not None:
            shutil.chown(folder / "server.key", user=account)
            shutil.chown(folder / "server.crt", user=account)


def _certificate(
    name: str,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    issuer: str,
    *,
    days: int,
    ca: bool = False,
) -> x509.Certificate:
    try:
        subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        subject = x509.DNSName(name.replace(" ", "-"))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture(scope="module")
def encrypted(authority: Authority) -> Iterator[PostgresServer]:
    """A server that speaks TLS over TCP and nothing else."""
    with PostgresServer(bindir_with_tls(), tcp=True) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(TABLE_AND_VIEW)
            authority.issue("localhost", server.data)
            admin.execute("ALTER SYSTEM SET ssl = on")
        (server.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
        reload(server)
        yield server


@pytest.fixture
def admin(
    encrypted: PostgresServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """The superuser's connection; the function is inside Lambda, and knows the test's CA."""
    for name in list(os.environ):
        if name.startswith(("DB_", "HEARTBEAT_", "AWS_LAMBDA_", "PG")):
            monkeypatch.delenv(name)
    root = tmp_path / "root.pem"
    root.write_bytes(authority.root.public_bytes(serialization.Encoding.PEM))
    variables = encrypted.environment() | {
        "DB_HOST": "localhost",
        "DB_PASSWORD": "not asked for",
        "DB_SSLROOTCERT": str(root),
        "AWS_LAMBDA_FUNCTION_NAME": "hvac-heartbeat",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # localhost may be ::1 first, where the server does not listen.
    handler.reset()
    with psycopg.connect(encrypted.url(), autocommit=True) as admin:
        admin.execute("TRUNCATE device_state")
        yield admin
        present(encrypted, authority, "localhost", days=30)
    handler.reset()


def present(server: PostgresServer, authority: Authority, name: str, *, days: int) -> None:
    authority.issue(name, server.data, days=days)
    reload(server)


def test_a_verified_server_is_written_to_and_the_line_is_encrypted(admin: psycopg.Connection) -> None:
    result = deliver("a")
    assert result.acknowledged == {"a"}
    check(result, admin, "a")
    row = admin.execute(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'hvac-heartbeat'"
    ).fetchone()
    assert row == (True,)


def test_a_batch_that_ran_out_of_time_is_taken_back_over_tls_too(
    admin: psycopg.Connection, encrypted: PostgresServer
) -> None:
    with locked(encrypted):
        assert deliver("a", seconds=3).failure is not None
        wait_until(lambda: not backends(admin))


def refused(admin: psycopg.Connection) -> str:
    result = deliver("a")
    assert result.failure is not None
    assert result.seconds < 5, f"nothing to wait for: {result.failure.__cause__}"
    check(result, admin, "a")
    return str(result.failure)


def test_a_certificate_for_another_name_is_refused(
    admin: psycopg.Connection, encrypted: PostgresServer, authority: Authority
) -> None:
    present(encrypted, authority, "another.example", days=30)
    assert "certificate is for another name than DB_HOST" in refused(admin)


def test_a_certificate_that_has_expired_is_refused(
    admin: psycopg.Connection, encrypted: PostgresServer, authority: Authority
) -> None:
    present(encrypted, authority, "localhost", days=-1)
    assert "has expired or is signed by none of the known roots" in refused(admin)


def test_a_certificate_of_a_foreign_ca_is_refused(admin: psycopg.Connection, encrypted: PostgresServer) -> None:
    present(encrypted, Authority.new(), "localhost", days=30)
    assert "has expired or is signed by none of the known roots" in refused(admin)


def test_the_shipped_roots_refuse_a_foreign_ca_too(admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DB_SSLROOTCERT")
    assert "has expired or is signed by none of the known roots" in refused(admin)


def test_a_file_of_roots_that_is_not_there_is_named(admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_SSLROOTCERT", "/nowhere/root.pem")
    assert "DB_SSLROOTCERT" in refused(admin)


def test_a_server_without_tls_is_refused_inside_lambda(admin: psycopg.Connection, encrypted: PostgresServer) -> None:
    admin.execute("ALTER SYSTEM SET ssl = off")
    reload(encrypted)
    try:
        assert "does not speak TLS" in refused(admin)
    finally:
        admin.execute("ALTER SYSTEM SET ssl = on")
        reload(encrypted)
