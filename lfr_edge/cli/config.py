"""``lfr-edge config``: check a configuration, explain a field or an error code, write the reference pages."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from lfr_edge.errors import ConfigError

_EPILOG = """\
examples:
  lfr-edge config check lfr.toml                   every mistake in the file, without starting anything
  lfr-edge config explain cameras.stall_s          what one field means, its range and default
  lfr-edge config explain camera_auth_refused      what an error code means and what to do
  lfr-edge config schema > lfr.schema.json         JSON Schema, for editors
  lfr-edge config reference > docs/reference/configuration.md
  lfr-edge config errors > docs/reference/errors.md
  lfr-edge config openapi > docs/reference/openapi.json
  lfr-edge config api > docs/reference/api.md
  lfr-edge config commands > docs/reference/commands.md
  lfr-edge config verbs > docs/reference/verbs.md
"""
_OUTLINE: Final = argparse.RawDescriptionHelpFormatter


@dataclass(frozen=True, slots=True)
class SettingsField:
    """One field of the settings tree, in words."""

    section: str  # as the file has it: "[matching]", "[[cameras]]"; "" for the top of the file
    name: str
    title: str
    description: str
    values: str  # kind and range
    default: str  # "" where the field must be given

    @property
    def path(self) -> str:
        section = self.section.strip("[]")
        return f"{section}.{self.name}" if section else self.name


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = commands.add_parser(
        "config",
        help="check a configuration; explain a field or an error code",
        description="Check a configuration, and explain its fields and the error codes.",
        epilog=_EPILOG,
        formatter_class=_OUTLINE,
    )
    actions = group.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="read a configuration and say everything that is wrong with it")
    check.add_argument("path", type=Path, metavar="FILE", help="the configuration (TOML)")
    check.set_defaults(run=_check)
    explain = actions.add_parser("explain", help="explain one field or error code, or list all fields")
    explain.add_argument("name", nargs="?", metavar="NAME", help="such as cameras.url or camera_auth_refused")
    explain.set_defaults(run=_explain)
    for name, text, run in (
        ("schema", "print the JSON Schema of the configuration", _schema),
        ("reference", "print the reference page of every field", _reference),
        ("errors", "print the reference page of every error code", _errors),
        ("openapi", "print the description of the JSON API (OpenAPI 3.1)", _openapi),
        ("api", "print the reference page of the JSON API", _api),
        ("commands", "print the reference page of every command", _commands),
        ("verbs", "print the reference page of every verb of the record", _verbs),
    ):
        actions.add_parser(name, help=text).set_defaults(run=run)


def settings_fields() -> list[SettingsField]:
    """Every field in the order of the file, from the pydantic models themselves."""
    from lfr_edge.settings import Settings

    schema = Settings.model_json_schema()
    return list(_fields("", schema, schema["$defs"]))


def _fields(section: str, table: dict[str, Any], tables: dict[str, Any]) -> Iterator[SettingsField]:
    """A table's own fields, then those of the tables in it, as a TOML file has them."""
    below = []
    for name, field in table["properties"].items():
        path = f"{section.strip('[]')}.{name}".lstrip(".")
        if "$ref" in field:
            below.append((f"[{path}]", field["$ref"]))
        elif "$ref" in field.get("items", {}):  # a table that may come several times
            below.append((f"[[{path}]]", field["items"]["$ref"]))
        else:
            yield _field(section, name, field, table)
    for heading, reference in below:
        yield from _fields(heading, tables[reference.rsplit("/", 1)[1]], tables)


def reference_page() -> str:
    """docs/reference/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "One TOML file, read by `lfr-edge serve --config lfr.toml`; [deploy/lfr.toml](../../deploy/lfr.toml) is an "
        "example. Relative paths count from the file's own folder. An unknown key is an error. Passwords and keys "
        "are never in the file: it names the files that hold them.",
        "",
        "This page is generated (`lfr-edge config reference`); a test compares it with the code.",
    ]
    section = None
    for field in settings_fields():
        if field.section != section:
            section = field.section
            heading = f"## {section}" if section else "## Top of the file"
            lines += ["", heading, "", "| Field | Meaning | Values | Default |", "|---|---|---|---|"]
        default = f"`{field.default}`" if field.default else "must be given"
        lines.append(
            f"| `{field.name}` | **{field.title}.** {_cell(field.description)} | {field.values} | {default} |"
        )
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """docs/reference/errors.md."""
    from lfr_edge.cli.error_codes import error_codes

    lines = [
        "# Error codes",
        "",
        "Every error has a stable code, a sentence that says what happened and a hint that says what to do next. "
        "`lfr-edge config explain CODE` prints the same on the box. `…` stands for a name or a number that is known "
        "only then. Exit status: 2 for `ConfigError`, else 1.",
        "",
        "This page is generated (`lfr-edge config errors`); a test compares it with the code.",
    ]
    kind = None
    for row in error_codes():
        if row.kind != kind:
            kind = row.kind
            lines += ["", f"## {kind}", "", "| Code | What happened | What to do |", "|---|---|---|"]
        lines.append(f"| `{row.code}` | {_cell(row.message)} | {_cell(row.hint)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _field(section: str, name: str, field: dict[str, Any], owner: dict[str, Any]) -> SettingsField:
    kinds = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
    optional = len(kinds) < len(field.get("anyOf", [field]))
    default = "" if name in owner.get("required", ()) else json.dumps(field.get("default"))
    return SettingsField(
        section,
        name,
        field.get("title", name),
        field.get("description", ""),
        ", ".join(_values(kinds[0])) + (", or absent" if optional else ""),
        "absent" if default == "null" else default,
    )


def _values(kind: dict[str, Any]) -> Iterator[str]:
    if "enum" in kind:
        yield " or ".join(f"`{json.dumps(value)}`" for value in kind["enum"])
        return
    if kind["type"] == "array":
        yield "list of " + ", ".join(_values(kind["items"]))
        return
    yield (
        "path"
        if kind.get("format") == "path"
        else {"boolean": "`true` or `false`", "string": "text"}.get(kind["type"], str(kind["type"]))
    )
    for key, word in (
        ("minimum", "at least"),
        ("exclusiveMinimum", "more than"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "multiple of"),
        ("maxLength", "characters at most"),
    ):
        if key in kind:
            yield (
                f"{word} {kind[key]:,}".replace(",", "\u202f")
                if key != "maxLength"
                else f"{kind[key]} {word}"
            )
    if "pattern" in kind:
        yield f"`{kind['pattern']}`"


def _check(args: argparse.Namespace) -> int:
    from lfr_edge.capture.source import require_address
    from lfr_edge.settings import load_settings

    settings = load_settings(args.path)
    for camera in settings.cameras:
        require_address(camera.url)
        if urlsplit(camera.url).password:  # reported without it: this text may go into a terminal's history
            print(
                f"{camera.id}: the address holds a password that everybody sees who may read this file; "
                "give username and password_file instead"
            )
    print(f"{args.path}: {len(settings.cameras)} cameras, pack '{settings.models.pack}': no mistake found")
    print("lfr-edge doctor --config checks what it names, too")
    return 0


def _explain(args: argparse.Namespace) -> int:
    from lfr_edge.cli.error_codes import error_codes

    fields = settings_fields()
    if args.name is None:
        for field in fields:
            print(f"{field.path:28} {field.description}")
        return 0
    for field in fields:
        if args.name in {field.path, field.name}:
            print(f"{field.path}: {field.title}\n  {field.description}")
            print(f"  values:  {field.values.replace('`', '')}")
            print(f"  default: {field.default or 'must be given'}")
    codes = [row for row in error_codes() if row.code == args.name]
    for row in codes:
        print(f"{row.code} ({row.kind}): {row.message}" + (f"\n  → {row.hint}" if row.hint else ""))
    if not codes and not any(args.name in {field.path, field.name} for field in fields):
        raise ConfigError(
            "config_unknown_name",
            f"there is no field or error code {args.name}",
            hint="lfr-edge config explain lists the fields, lfr-edge config errors the codes",
        )
    return 0


def _schema(_: argparse.Namespace) -> int:
    from lfr_edge.settings import Settings

    print(json.dumps(Settings.model_json_schema(), indent=2))
    return 0


def _reference(_: argparse.Namespace) -> int:
    print(reference_page(), end="")
    return 0


def _openapi(_: argparse.Namespace) -> int:
    from lfr_edge.console.app import api_description

    print(json.dumps(api_description(), indent=1))
    return 0


def _api(_: argparse.Namespace) -> int:
    from lfr_edge.console.api_page import page
    from lfr_edge.console.app import api_description

    print(page(api_description()), end="")
    return 0


def _commands(_: argparse.Namespace) -> int:
    from lfr_edge.cli.main import build_parser
    from lfr_edge.cli.reference_pages import commands_page

    print(commands_page(build_parser()), end="")
    return 0


def _verbs(_: argparse.Namespace) -> int:
    from lfr_edge.cli.reference_pages import verbs_page

    print(verbs_page(), end="")
    return 0


def _errors(_: argparse.Namespace) -> int:
    print(errors_page(), end="")
    return 0
