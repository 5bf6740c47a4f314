"""The authorisation matrix: route × role, read from ``access.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from lfr_edge.console.door.accounts import Role
from lfr_edge.errors import ConfigError
from lfr_edge.sentences import say


@dataclass(frozen=True, slots=True)
class Rule:
    route: str  # "METHOD /path/{with}/placeholders", as the router prints it
    roles: frozenset[Role]
    anyone: bool  # without signing in
    background: bool  # asked by pages by themselves: no sign of a person's presence
    systems: bool = False  # for other systems, by bearer token

    def admits(self, role: Role | None) -> bool:
        return self.anyone or role in self.roles


def load_rules() -> dict[str, Rule]:
    """The matrix by route.

    Raises:
        ConfigError: ``access_rule_doubled``.
    """
    raw = tomllib.loads(resources.files(__package__).joinpath("access.toml").read_text(encoding="utf-8"))
    rules: dict[str, Rule] = {}
    for item in raw["rule"]:
        allow = set(item["allow"])
        anyone = "anyone" in allow
        roles = (
            frozenset(Role)
            if allow & {"anyone", "signed_in"}
            else frozenset(Role(name) for name in allow - {"system"})
        )
        if item["route"] in rules:
            raise ConfigError(
                "access_rule_doubled", say("access.toml has two rules for {item}", item=item["route"])
            )
        rules[item["route"]] = Rule(
            item["route"], roles, anyone, item.get("background", False), "system" in allow
        )
    return rules


def check_complete(rules: dict[str, Rule], routes: Iterable[str]) -> None:
    """No route without a rule, no rule without a route.

    Raises:
        ConfigError: ``access_rules_incomplete``; the console does not start.
    """
    odd = set(routes) ^ rules.keys()
    if odd:
        raise ConfigError(
            "access_rules_incomplete",
            say("routes and access.toml disagree about {odd}", odd=", ".join(sorted(odd))),
            hint="every route needs exactly one rule",
        )
