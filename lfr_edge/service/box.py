"""What belongs to the box and not to one deployment; handed to each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.clock import Clock
from lfr_edge.console.door.accounts import Accounts
from lfr_edge.deployment.control.cancellations import Cancellations
from lfr_edge.deployment.control.trust import TrustStore
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.deployment.session import BoxRecord
from lfr_edge.service.migration import migrate
from lfr_edge.settings import Settings


@dataclass(frozen=True, slots=True)
class Box:
    settings: Settings
    clock: Clock
    record: BoxRecord
    accounts: Accounts
    trust: TrustStore  # whose authorities and lists are believed
    cancellations: Cancellations  # authorities that must not come back
    register: Register  # "was I on a list?"
    keys: FileKeyStore

    @classmethod
    def open(cls, settings: Settings, clock: Clock) -> Box:
        """What an older release left is brought forward first. Blocks on the disk.

        Raises:
            AuditError: as :meth:`BoxRecord.open`. ConfigError: ``format_newer``, ``migration_failed``.
        """
        migrate(settings.data, clock)
        keys = FileKeyStore(settings.data / "keys")
        return cls(
            settings,
            clock,
            BoxRecord.open(settings, clock),
            Accounts(settings.data / "accounts.json", clock),
            TrustStore(trust_path(settings)),
            Cancellations(settings.data / "cancelled", clock),
            Register(settings.data / "register", keys, clock),
            keys,
        )

    def role_of(self, account: str) -> str | None:
        """The role that an account has now; None where it does not exist or is disabled."""
        found = self.accounts.get(account)
        return None if found is None or found.disabled else str(found.role)


def trust_path(settings: Settings) -> Path:
    return settings.data / "trust.json"
