"""``lfr-edge support-bundle``: what somebody who helps from afar needs, and nothing about any person.

It is an allow-list: a file comes in only because a function here writes it. No log body, no list, no picture, no
account, no key, no address of a camera.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import tomllib
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from lfr_edge.errors import ConfigError, LfrError

_EPILOG: Final = """\
examples:
  lfr-edge support-bundle /run/media/usb/van-7.zip --config /etc/lfr-edge/lfr.toml
  unzip -p van-7.zip README.txt          what is in it, and what is not

Read it before it leaves the box: every file is text. It holds counts and states; no picture, no watchlist, no
entry of the record, no account name, no password, token or key, and of an address only its scheme.
"""
_README: Final = """\
What lfr-edge support-bundle collected at {at}:

versions.json       this machine and every installed package
doctor.json         lfr-edge doctor
configuration.json  the configuration; addresses, names of people and paths to secrets are left out
record.json         per log: number of entries by verb, verdict; no entry
service.txt         the last lines of the service's journal, where systemd keeps one

Nothing else. No picture, no list, no account, no key.
"""
# Fields whose value may say who, where or how to get in. Everything else is a number, a choice or a folder.
_LEFT_OUT: Final = frozenset(
    {
        "username",
        "site",
        "place",
        "latitude",
        "longitude",
        "contact",
        "force",
        "licence_reference",
        "dns_name",
        "host",
    }
)
_UNKNOWN: Final = "(not what belongs here: left out)"
_SCHEMES: Final = frozenset({"rtsp", "rtsps", "http", "https", "file"})
_FREE: Final = frozenset({"pack", "events"})  # any text, and none that anybody would keep secret
_JOURNAL_LINES: Final = 2000
_WAIT_S: Final = 20


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "support-bundle",
        help="collect what a helper from afar needs; nothing about any person",
        description="Collect versions, configuration without secrets, doctor's findings and the record's counts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT.zip", help="a new file, on a medium")
    parser.add_argument("--config", type=Path, metavar="TOML", help="of the service")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    parts: dict[str, Callable[[], str]] = {
        "versions.json": _versions,
        "doctor.json": lambda: _doctor(args.config),
        "service.txt": _journal,
    }
    if args.config is not None:
        parts["configuration.json"] = lambda: _configuration(args.config)
        parts["record.json"] = lambda: _record(args.config)
    try:
        with zipfile.ZipFile(args.out, "x", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("README.txt", _README.format(at=datetime.now(UTC).isoformat(timespec="seconds")))
            for name, collect in parts.items():
                archive.writestr(name, _told(collect))
    except FileExistsError:
        raise ConfigError("support_exists", f"{args.out} exists", hint="choose another name") from None
    except OSError as error:
        raise ConfigError(
            "support_unwritable", f"{args.out}: {error.strerror}", hint="choose another folder"
        ) from None
    print(f"{args.out}: {', '.join(['README.txt', *parts])}; read it before it leaves the box")
    return 0


def _told(collect: Callable[[], str]) -> str:
    """A part that cannot be collected says why, by its code: that is what a helper wants to know."""
    try:
        return collect()
    except LfrError as error:
        return json.dumps({"error": error.code})
    except Exception as error:  # a broken box is the very case this command is for
        return json.dumps({"error": type(error).__name__})


def _versions() -> str:
    packages = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
    machine = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    return json.dumps(machine | {"packages": dict(sorted(packages.items()))}, indent=1)


def _doctor(config: Path | None) -> str:
    from lfr_edge.cli.doctor import examine

    # The texts name paths and addresses; the state of each check is what helps.
    return json.dumps([{"check": f.check, "state": f.state} for f in examine(config)], indent=1)


def _configuration(path: Path) -> str:
    """As it is written, so that a file that does not load is there, too."""
    from lfr_edge.settings import Settings

    schema = Settings.model_json_schema()
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    return json.dumps(_shown(raw, schema, schema["$defs"]), indent=1)


def _shown(value: Any, kind: dict[str, Any] | None, tables: dict[str, Any], name: str = "") -> Any:
    """An allow-list: of a field that the settings know, what it may hold. A slip of the keyboard can put a password
    under any name (``pasword = …``), and a text where a number belongs.
    """
    if kind is None:
        return _UNKNOWN
    kinds = [_followed(one, tables) for one in kind.get("anyOf", [kind])]
    if isinstance(value, dict):
        fields: dict[str, Any] = next((one["properties"] for one in kinds if "properties" in one), {})
        return {key: _shown(below, fields.get(key), tables, key) for key, below in value.items()}
    if isinstance(value, list):
        items = next((one["items"] for one in kinds if "items" in one), None)
        return [_shown(item, items, tables, name) for item in value]
    if name in _LEFT_OUT or name.endswith(("_file", "_key", "key")):
        return "(left out)"
    if not isinstance(value, str):
        return value
    if name == "url":
        scheme = urlsplit(value).scheme
        return f"{scheme if scheme in _SCHEMES else 'file'}://(left out)"
    return value if name in _FREE or any(_may_hold(one, value) for one in kinds) else _UNKNOWN


def _followed(kind: dict[str, Any], tables: dict[str, Any]) -> dict[str, Any]:
    found = tables[kind["$ref"].rsplit("/", 1)[1]] if "$ref" in kind else kind
    return dict(found)


def _may_hold(kind: dict[str, Any], value: str) -> bool:
    if "enum" in kind or "const" in kind:
        return value in kind.get("enum", [kind.get("const")])
    if "pattern" in kind:
        return bool(re.search(kind["pattern"], value))
    return kind.get("format") == "path"


def _record(path: Path) -> str:
    from lfr_edge.settings import load_settings

    return json.dumps(list(_logs(load_settings(path).audit)), indent=1)


def _logs(folder: Path) -> Iterator[dict[str, Any]]:
    from lfr_edge.audit.verify import verify
    from lfr_edge.audit.view import LogView

    for log in sorted(path for path in folder.iterdir() if path.is_dir()):
        try:
            view = LogView.load(log)
            verbs = Counter(view.entry(seq).event.ev for seq in range(view.size))
            yield {"log": log.name, "verdict": verify(log).verdict, "entries": dict(sorted(verbs.items()))}
        except LfrError as error:
            yield {"log": log.name, "error": error.code}


def _journal() -> str:
    command = [
        "journalctl",
        "--unit=lfr-edge",
        "--no-pager",
        "--output=short-iso",
        f"--lines={_JOURNAL_LINES}",
    ]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_WAIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return "no journal here\n"
    return told.stdout or "no journal here\n"
