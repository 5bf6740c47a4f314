"""``lfr-edge accounts``: who may sign in to the console of this box.

The running console sees every change at once: a disabled account loses its sessions and open pages within a second.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lfr_edge.errors import AccessError

if TYPE_CHECKING:
    from lfr_edge.console.door.accounts import Accounts

_EPILOG = """\
examples:
  lfr-edge accounts setup-code --config lfr.toml             a code for the first account of this box
  lfr-edge accounts list --config lfr.toml
  lfr-edge accounts add miller --role operator --config lfr.toml
  lfr-edge accounts reset miller --config lfr.toml           end the sessions; a code for a new password
  lfr-edge accounts disable miller --config lfr.toml         end the sessions; no sign-in any more
  lfr-edge accounts enable miller --config lfr.toml

No password is ever typed here: a one-time code lets its bearer choose one on the console's page /setup.
It works once and for 24 hours.
"""
_ROLES = (
    "operator",
    "engagement_officer",
    "deployment_officer",
    "authorising_officer",
    "auditor",
    "engineer",
)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "accounts",
        help="who may sign in to the console",
        description="List, add, disable and reset the accounts of this box.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", type=Path, required=True, help="the configuration (TOML); see deploy/lfr.toml"
    )
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("name", help="account, such as a shoulder number or a surname")
    _action(actions, "list", "accounts with role and state", [common], _list)
    add = _action(actions, "add", "a new account and its one-time code", [common, named], _add)
    add.add_argument("--role", required=True, choices=_ROLES, help="what the account may do")
    _action(actions, "disable", "no sign-in, and every session ends at once", [common, named], _disable)
    _action(actions, "enable", "undo disable", [common, named], _enable)
    _action(actions, "reset", "end the sessions; a one-time code for a new password", [common, named], _reset)
    _action(actions, "setup-code", "a one-time code for the first account", [common], _setup_code)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    parents: list[argparse.ArgumentParser],
    function: object,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        parents=parents,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=function)
    return parser


def _accounts(args: argparse.Namespace) -> Accounts:
    from lfr_edge.clock import SystemClock
    from lfr_edge.console.door.accounts import Accounts
    from lfr_edge.settings import load_settings

    return Accounts(load_settings(args.config).data / "accounts.json", SystemClock())


def _list(args: argparse.Namespace) -> int:
    for account in _accounts(args).all():
        state = (
            "disabled" if account.disabled else ("active" if account.password_hash else "waits for its code")
        )
        print(f"{account.name:32} {account.role:20} {state}")
    return 0


def _add(args: argparse.Namespace) -> int:
    from lfr_edge.console.door.accounts import Role

    _print_code(args.name.strip().lower(), _accounts(args).add(args.name, Role(args.role)))
    return 0


def _disable(args: argparse.Namespace) -> int:
    _accounts(args).set_disabled(args.name, disabled=True)
    print(f"{args.name} is disabled; its sessions have ended")
    return 0


def _enable(args: argparse.Namespace) -> int:
    _accounts(args).set_disabled(args.name, disabled=False)
    print(f"{args.name} may sign in again")
    return 0


def _reset(args: argparse.Namespace) -> int:
    _print_code(args.name, _accounts(args).reset(args.name))
    return 0


def _setup_code(args: argparse.Namespace) -> int:
    code = _accounts(args).first_code()
    if code is None:
        raise AccessError(
            "access_first_account_exists",
            "this box already has an account",
            hint="lfr-edge accounts add NAME --role ROLE, or accounts reset NAME",
        )
    _print_code("the first account", code)
    return 0


def _print_code(whose: str, code: str) -> None:
    print(f"one-time code for {whose}: {code}")
    print("open the console's page /setup with it within 24 hours")
