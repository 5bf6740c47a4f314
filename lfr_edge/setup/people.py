"""Who a box needs, and what makes a name an account's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from lfr_edge.console.door.book import Role
from lfr_edge.errors import ConfigError
from lfr_edge.setup.answers import AccountAnswer

# Who a deployment needs at least, and what each does, in the order in which they are asked for.
PEOPLE: Final = (
    (Role.DEPLOYMENT_OFFICER, "starts and ends deployments, keeps the accounts"),
    (Role.AUTHORISING_OFFICER, "approves what needs two persons; does not operate"),
    (Role.OPERATOR, "decides alerts"),
    (Role.ENGAGEMENT_OFFICER, "speaks to people on the street"),
    (Role.AUDITOR, "reads and checks the record"),
    (Role.ENGINEER, "cameras and health; never pictures or lists"),
)
NEEDED: Final = frozenset({Role.DEPLOYMENT_OFFICER, Role.AUTHORISING_OFFICER, Role.OPERATOR})


def missing_roles(accounts: Iterable[AccountAnswer]) -> tuple[Role, ...]:
    """Roles without which no deployment starts."""
    return tuple(sorted(NEEDED - {account.role for account in accounts}))


def accounts_of(names: Sequence[str], role: Role, others: Sequence[AccountAnswer]) -> list[AccountAnswer]:
    """Raises ConfigError ``setup_account_invalid``."""
    taken = {account.name for account in others}
    made = []
    for name in dict.fromkeys(names):
        if name in taken:
            raise ConfigError(
                "setup_account_invalid", f"{name} has another role already", hint="another name"
            )
        try:
            made.append(AccountAnswer(name=name, role=role))
        except ValueError:
            raise ConfigError(
                "setup_account_invalid",
                f"{name[:40]!r} cannot be a name: 2 to 32 characters of a-z 0-9 . _ -, a letter first",
                hint="a shoulder number after a letter does",
            ) from None
    return made
