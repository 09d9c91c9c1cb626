"""The roots that ship with the package, which of them a server is verified against, and what may come to them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deployment.certificates import common_name, is_rds_root, main, roots_in
from hvac_heartbeat.store.root_certificates import BUNDLE, _chosen, roots_for

# One of the public roots has a serial number of zero.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

GOVCLOUD = "Amazon RDS us-gov-west-1 Root CA RSA2048 G1"
CHINA = "Amazon RDS cn-north-1 Root CA RSA2048 G1"
SMALL = "# Head\n" + "".join(f"\n# {name}\nroot\n" for name in (GOVCLOUD, CHINA, "Amazon Root CA 1", "ISRG Root X1"))


def test_every_shipped_root_is_valid_for_another_year() -> None:
    """When this fails, run `python -m deployment.certificates` and release."""
    roots = x509.load_pem_x509_certificates(BUNDLE.read_bytes())
    assert len(roots) > 50
    assert min(root.not_valid_after_utc for root in roots) > datetime.now(UTC) + timedelta(days=300)
    assert BUNDLE.stat().st_size < 250_000


def test_its_help_is_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "usage: python -m deployment.certificates" in capsys.readouterr().out


def test_every_shipped_root_of_rds_is_one_and_stands_under_its_own_name() -> None:
    _, *shipped = BUNDLE.read_text(encoding="ascii").split("\n\n# ")
    of_rds = [root for root in shipped if root.startswith("Amazon RDS ")]
    assert len(of_rds) >= 3 * 27
    for root in of_rds:
        [certificate] = roots_in(root)
        assert is_rds_root(certificate)
        assert root.startswith(f"{common_name(certificate)}\n")


@pytest.mark.parametrize(
    ("host", "common_names"),
    [
        ("db.abc.eu-west-1.rds.amazonaws.com", {"Amazon RDS eu-west-1 Root CA RSA2048 G1", "Amazon Root CA 1"}),
        ("p.proxy-abc.us-east-2.rds.amazonaws.com", {"Amazon RDS us-east-2 Root CA ECC384 G1", "Amazon Root CA 4"}),
        ("abc.xyz.tsdb.cloud.timescale.com", {"ISRG Root X1", "Amazon Root CA 1"}),
    ],
)
def test_a_server_is_verified_against_the_roots_that_can_have_signed_it(host: str, common_names: set[str]) -> None:
    with open(roots_for(host), encoding="ascii") as file:  # noqa: PTH123 - a descriptor's path
        found = [common_name(root) for root in roots_in(file.read())]
    assert common_names <= set(found)
    assert len(found) <= 20


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("db.abc.us-gov-west-1.rds.amazonaws.com", {GOVCLOUD, "Amazon Root CA 1"}),
        ("DB.ABC.US-GOV-WEST-1.RDS.AMAZONAWS.COM.", {GOVCLOUD, "Amazon Root CA 1"}),
        ("db.abc.rds.cn-north-1.amazonaws.com.cn", {CHINA, "Amazon Root CA 1"}),
        ("db.abc.il-central-1.rds.amazonaws.com", {"Amazon Root CA 1"}),
        ("db.abc.us-gov-west-1.rds.amazonaws.com.example", {"Amazon Root CA 1", "ISRG Root X1"}),
        ("db.example.com", {"Amazon Root CA 1", "ISRG Root X1"}),
    ],
)
def test_a_region_s_roots_are_taken_for_its_hosts_alone_in_every_partition(host: str, expected: set[str]) -> None:
    assert set(re.findall("^# (.*)$", _chosen(host, SMALL), re.MULTILINE)) == expected


def made(name: str, *, issuer: str | None = None, ca: bool = True) -> str:
    """Return a certificate that its own key, or with an issuer another one, has signed."""
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC))
        .not_valid_after(datetime.now(UTC) + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(other if issuer else key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_a_root_of_govcloud_may_come_to_them() -> None:
    assert is_rds_root(made(GOVCLOUD))


@pytest.mark.parametrize(
    "certificate",
    [
        made("Amazon RDS us-gov-west-1 RSA2048 G1", issuer=GOVCLOUD),
        made(GOVCLOUD, issuer="Amazon RDS us-gov-west-1 Root CA RSA4096 G1"),
        made(GOVCLOUD, issuer=GOVCLOUD),
        made(GOVCLOUD, ca=False),
        made("db.abc.us-gov-west-1.rds.amazonaws.com"),
        made("Amazon RDS Preview us-east-2 Root CA RSA2048 G1"),
    ],
    ids=["intermediate", "another's", "a signature that is not its own", "not a CA", "a server's", "the preview's"],
)
def test_what_is_no_root_of_rds_does_not_come_to_them(certificate: str) -> None:
    assert not is_rds_root(certificate)
