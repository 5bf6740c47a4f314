"""``lfr-edge tls``: the console's certificates from an authority of the force's own."""

from __future__ import annotations

import argparse
import getpass
import ipaddress
import json
import os
import pwd
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lfr_edge.errors import AccessError

if TYPE_CHECKING:
    from lfr_edge.console.door.certificates import Authority, Names

_EPILOG = """\
examples:
  lfr-edge tls init /media/ca --dns lfr.example.police.uk --network 192.168.8.0/24
  lfr-edge tls issue /media/ca /etc/lfr-edge/tls --dns van-7.lfr.example.police.uk --ip 192.168.8.1 --user lfr-edge
  lfr-edge tls issue /media/ca /media/laptop --client laptop-3
  lfr-edge tls renew /media/ca /etc/lfr-edge/tls
  lfr-edge tls show /etc/lfr-edge/tls

The authority's folder belongs on a medium that leaves the box. Laptops and phones trust its ca.pem; it can sign only
for the names given to init. The console takes console.tls_certificate, console.tls_key and, where every laptop
shall identify itself, console.tls_client_ca. LFR_EDGE_CA_PASSPHRASE may hold the passphrase.
"""
_VARIABLE: Final = "LFR_EDGE_CA_PASSPHRASE"
_RENEW_WITHIN: Final = timedelta(days=10)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "tls",
        help="certificates of the console, from the force's own authority",
        description="Make and renew the console's certificates without any network.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    make = actions.add_parser("init", help="a new authority, for certain names only")
    make.add_argument("folder", type=Path, metavar="CA", help="the authority's new folder, on a medium")
    make.add_argument(
        "--dns", action="append", default=[], metavar="DOMAIN", help="it and all names below it"
    )
    make.add_argument(
        "--network", action="append", default=[], type=_network, metavar="NET", help="such as 192.168.8.0/24"
    )
    make.add_argument("--title", default="lfr-edge authority", help="what browsers show")
    make.set_defaults(run=_init)

    give = actions.add_parser("issue", help="a certificate for a console, or for a laptop")
    give.add_argument("ca", type=Path, metavar="CA", help="the authority's folder")
    give.add_argument("out", type=Path, metavar="OUT", help="folder for cert.pem, key.pem and ca.pem")
    give.add_argument("--dns", action="append", default=[], metavar="NAME", help="host name of the console")
    give.add_argument(
        "--ip", action="append", default=[], type=_address, metavar="ADDRESS", help="address of the console"
    )
    give.add_argument("--client", default="", metavar="NAME", help="for a laptop instead of a console")
    give.add_argument(
        "--user", metavar="NAME", help="of the service: folder and files will be theirs (as root)"
    )
    give.set_defaults(run=_issue)

    again = actions.add_parser("renew", help="the same names, a new key, a new date")
    again.add_argument("ca", type=Path, metavar="CA", help="the authority's folder")
    again.add_argument("out", type=Path, metavar="OUT", help="folder of the certificate to renew")
    again.set_defaults(run=_renew)
    for action in (give, again):
        action.add_argument("--days", type=int, default=30, help="1 to 90 (default: 30)")

    show = actions.add_parser("show", help="names and dates; exit status 1 within ten days of its end")
    show.add_argument("folder", type=Path, metavar="FOLDER", help="of an authority or a certificate")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(run=_show)


def _init(args: argparse.Namespace) -> int:
    from lfr_edge.console.door.certificates import new_authority, write_certificate, write_private

    if (args.folder / "ca.key").exists():
        raise AccessError(
            "tls_exists",
            f"{args.folder} holds an authority",
            hint="every laptop that trusts it would have to be changed; choose another folder",
        )
    authority = new_authority(args.title, args.dns, args.network, datetime.now(UTC))
    args.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(args.folder / "ca.key", authority.key, _passphrase(twice=True))
    write_certificate(args.folder / "ca.pem", authority.certificate)
    print(f"{args.folder}/ca.pem: bring it to every laptop and phone; keep the folder off the box")
    return 0


def _issue(args: argparse.Namespace) -> int:
    from lfr_edge.console.door.certificates import Names, read_authority

    if args.client and (args.dns or args.ip):
        raise AccessError(
            "tls_name_invalid", "a laptop's certificate has no host names", hint="drop --dns, --ip"
        )
    names = Names(tuple(args.dns), tuple(args.ip), args.client)
    owner = None if args.user is None else _owner(args.user)
    return _write(args, read_authority(args.ca, _passphrase()), names, owner)


def _renew(args: argparse.Namespace) -> int:
    from lfr_edge.console.door.certificates import names_of, read_authority, read_certificate

    names = names_of(read_certificate(args.out / "cert.pem"))
    now = args.out.stat()  # root renews, and the service must still be able to read the new key
    return _write(args, read_authority(args.ca, _passphrase()), names, (now.st_uid, now.st_gid))


def _write(
    args: argparse.Namespace, authority: Authority, names: Names, owner: tuple[int, int] | None
) -> int:
    from lfr_edge.console.door.certificates import as_files, issue
    from lfr_edge.console.door.pair import change

    certificate, key = issue(authority, names, args.days, datetime.now(UTC))
    change(args.out, as_files(authority, certificate, key), owner)
    print(f"{args.out}/cert.pem, key.pem: until {certificate.not_valid_after_utc:%Y-%m-%d}")
    return 0


def _owner(name: str) -> tuple[int, int]:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise AccessError(
            "tls_owner_unknown", f"there is no user {name}", hint="useradd --system …"
        ) from None
    if os.geteuid() not in {0, found.pw_uid}:
        raise AccessError(
            "tls_owner_unknown",
            f"only root can give files to {name}",
            hint="run it as root, or without --user",
        )
    return found.pw_uid, found.pw_gid


def _show(args: argparse.Namespace) -> int:
    from lfr_edge.console.door.certificates import names_of, permitted, read_certificate

    told: dict[str, Any]
    if (args.folder / "cert.pem").exists():
        certificate = read_certificate(args.folder / "cert.pem")
        names = names_of(certificate)
        told = {
            "dns": list(names.dns),
            "addresses": [str(a) for a in names.addresses],
            "client": names.client,
        }
    else:
        certificate = read_certificate(args.folder / "ca.pem")
        domains, networks = permitted(certificate)
        told = {"dns": list(domains), "networks": [str(network) for network in networks]}
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    told |= {"until": certificate.not_valid_after_utc.isoformat(), "days_left": left.days}
    if args.json:
        print(json.dumps(told, indent=2))
    else:
        for name, value in told.items():
            print(f"{name:<10} {', '.join(value) if isinstance(value, list) else value}")
    return 0 if left > _RENEW_WITHIN else 1


def _passphrase(*, twice: bool = False) -> bytes | None:
    """From the environment, or asked; an empty one is refused."""
    given = os.environ.get(_VARIABLE)
    if given is None:
        if not sys.stdin.isatty():
            raise AccessError("tls_passphrase_wrong", "no passphrase was given", hint=f"set {_VARIABLE}")
        given = getpass.getpass("passphrase of the authority: ")
        if twice and getpass.getpass("once more: ") != given:
            raise AccessError("tls_passphrase_wrong", "the two entries differ", hint="try again")
    if len(given) < 12:
        raise AccessError(
            "tls_passphrase_wrong", "the passphrase has fewer than 12 characters", hint="use a longer one"
        )
    return given.encode()


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)
