"""Which devices the store has refused, for as long as a container lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from hvac_heartbeat.outcome import Complaint

_LIMIT: Final = 50_000  # devices; some 10 MB


class Refusal(msgspec.Struct, frozen=True):
    """When a device was refused, in seconds of `time.monotonic`, at which site, and why.

    With `is_permanent` the store refused the device itself, with `lacks_fields` its optional fields alone. Without
    either, the refusal may pass.
    """

    at: float
    site_id: str
    complaint: Complaint
    is_permanent: bool = False
    lacks_fields: bool = False

    def is_same(self, site_id: str, complaint: Complaint) -> bool:
        """Say whether the device itself was refused at this site for this."""
        return self.is_permanent and self.site_id == site_id and self.complaint == complaint


class Refusals:
    """The last refusal of each device; the oldest are forgotten when there are more than 50,000.

    A device is kept by the hash of its id, because 50,000 ids can take half of the smallest Lambda's memory. The hash
    has 64 bits and a secret key (Python's SipHash), so that no two ids share one, by chance or by design.
    """

    def __init__(self) -> None:
        self._by_hash: dict[int, Refusal] = {}  # the longest ago first, as each refusal moves a device to the end

    def __len__(self) -> int:
        return len(self._by_hash)

    def __contains__(self, device_id: str) -> bool:
        return hash(device_id) in self._by_hash

    def get(self, device_id: str) -> Refusal | None:
        """Return a device's last refusal, None for a device that is not known to be refused."""
        return self._by_hash.get(hash(device_id))

    def add(self, device_id: str, refusal: Refusal) -> None:
        """Remember the last refusal of a device."""
        self.remove(device_id)
        self._by_hash[hash(device_id)] = refusal
        if len(self._by_hash) > _LIMIT:
            del self._by_hash[next(iter(self._by_hash))]

    def remove(self, device_id: str) -> None:
        """Forget a device, because the store has taken it."""
        self._by_hash.pop(hash(device_id), None)

    def longest_ago_first(self, device_ids: list[str]) -> list[str]:
        """Return those of these devices that were refused, in the order in which that happened."""
        known = [(refusal.at, device_id) for device_id in device_ids if (refusal := self.get(device_id)) is not None]
        return [device_id for _, device_id in sorted(known)]
