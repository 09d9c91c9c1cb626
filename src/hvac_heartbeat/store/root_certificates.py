"""Which root certificates a server's certificate is verified against: the few of our bundle that can have signed it.

libpq reads the whole file for every connection, and OpenSSL takes 0.3 ms of a full core for each certificate in it:
31 ms for the bundle, 2.8 ms for the eight that an RDS host needs (docs/decisions/0013).
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Final

BUNDLE: Final = Path(__file__).with_name("certificates") / "rds-and-public-roots.pem"
_RDS: Final = "Amazon RDS "
_AMAZON: Final = ("Amazon Root CA ", "Starfield Services ")
# The China partition has it the other way round.
_RDS_HOST: Final = re.compile(
    r"(?:.*\.)?(?:([a-z0-9-]+)\.rds\.amazonaws\.com|rds\.([a-z0-9-]+)\.amazonaws\.com\.cn)\.?", re.IGNORECASE
)


@cache
def roots_for(host: str) -> str:
    """Return the path of a file with the roots for a server of this name.

    RDS signs with roots of the region that the host's name ends with, and RDS Proxy with Amazon's public ones
    ("Using SSL/TLS to encrypt a connection to a DB instance" and "RDS Proxy concepts and terminology", Amazon RDS User
    Guide). Any other name gets every public root.
    """
    chosen = _chosen(host, BUNDLE.read_text(encoding="ascii"))
    if not hasattr(os, "memfd_create"):
        return str(BUNDLE)
    # A file without a name: nobody else can write it, and it goes when the process does. Never closed for that reason.
    descriptor = os.memfd_create("roots")
    os.write(descriptor, chosen.encode("ascii"))
    return f"/proc/self/fd/{descriptor}"


def _chosen(host: str, bundle: str) -> str:
    _, *roots = bundle.split("\n\n# ")
    rds = _RDS_HOST.fullmatch(host)
    if rds is None:
        return "\n\n".join(f"# {root}" for root in roots if not root.startswith(_RDS))
    region = (rds[1] or rds[2]).lower()
    wanted = (f"{_RDS}{region} ", *_AMAZON)
    return "\n\n".join(f"# {root}" for root in roots if root.startswith(wanted))
