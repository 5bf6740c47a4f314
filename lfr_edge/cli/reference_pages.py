"""Two generated pages of the documents: every command, from the parser; every verb of the record, from its list."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from typing import Final

from lfr_edge.audit.event import PROCESSING, REFUSED_WHEN_FULL, SIGNED_AT_ONCE, TWO_PERSONS

_MEANS: Final[Mapping[str, str]] = {
    "access.account_changed": "an account was added, stopped, enabled or reset, or a passkey registered or removed",
    "access.break_glass": "reserved: nothing writes it",
    "access.refused": "a sign-in or an act was refused; by role, by origin, by too many tries",
    "access.signed_in": "a person signed in, or proved again who they are",
    "access.signed_out": "a session ended: by its person, by time, by a change of the account",
    "alert.assigned": "nobody answered in time; the alert was shown to a further person",
    "alert.decided": "the looks decided it: referred, not referred, undetermined",
    "alert.engaged": "an officer on the street took the referral",
    "alert.erased": "its pictures are gone, with the commitment that shows which they were",
    "alert.escalated": "nobody answered in time; the alert was shown to everybody",
    "alert.expired": "nobody decided it: expired unreviewed, and published as that",
    "alert.held": "its pictures outlive their retention: ground, authoriser, end",
    "alert.looked": "one person's look: answer, factors, time it took",
    "alert.offered": "it was shown to an operator",
    "alert.outcome": "what came of the engagement, and apart from it whether it was the person",
    "alert.raised": "a score at or above the threshold: camera, entry by its code, score, threshold, commitment",
    "alert.released": "a hold ended before its date",
    "alert.suppressed": "the desk stayed full until it was too old: counted, and published as unreviewed",
    "anchor.confirmed": "an officer confirmed that the printed sheet of a log's end is signed",
    "anchor.printed": "the sheet with the code of a log's last head was printed",
    "anchor.witnessed": "a witness outside the box cosigned a head",
    "briefing.acknowledged": "a person acknowledged the briefing, by its SHA-256",
    "camera.changed": "how a camera is reached, changed by a reload: its name and the fields, no address",
    "camera.connected": "a camera's capture process has its first picture; what confines it",
    "camera.lost": "a camera gave no picture, and why",
    "clock.jumped": "reserved: nothing writes it",
    "control.approved": "a second person approved exactly the change of this SHA-256",
    "control.proposed": "a person proposed a change, by its SHA-256",
    "control.refused": "a proposal was refused or withdrawn",
    "deployment.authorised": "the authority in force: its document's SHA-256 and its end",
    "deployment.cancelled": "the authority was cancelled; recognition was over before",
    "deployment.closed": "the deployment ended: by whom, why",
    "deployment.opened": "the deployment is in preparation: site, versions, settings that matter",
    "deployment.started": "recognition may look at people from here on",
    "device.deployment_closed": "box's log: a deployment's log ended with this head",
    "device.deployment_opened": "box's log: a deployment's log began",
    "disclosure.sent": "another system was told of an alert, before it was",
    "disk.full": "only what ends or erases is recorded from here on",
    "drill.answered": "a look at a known-answer test, and whether it was right",
    "drill.raised": "a known-answer test was put on the desk",
    "evidence.exported": "pictures of alerts left the box, with two persons",
    "evidence.viewed": "somebody saw a picture of an alert, before it was shown",
    "ledger.counted": "templates processed = erased + retained, and held; from four counters that must agree",
    "log.closed": "the last entry",
    "log.opened": "the first entry: the log's public key",
    "log.recovered": "a torn write was put aside after a power cut: where, how many bytes",
    "log.succeeded": "a log that takes over from a damaged one, and names its last head",
    "material.erased": "a file was overwritten, unlinked and looked for again: receipt",
    "model.changed": "other networks, with two persons",
    "model.loaded": "networks in use, by the fingerprint of pack and files",
    "receipt.issued": "a person stopped got a receipt; the record holds the digest of its code",
    "recogniser.started": "the sealed processes run: how many, providers, what the kernel did not let them give up",
    "recogniser.stopped": "they ended: their own receipt, or how one died",
    "recognition.paused": "nobody is looked at, and why",
    "recognition.resumed": "people are looked at again",
    "report.made": "a report, a pack or a copy of the log was made, by its SHA-256",
    "retention.changed": "alert pictures are kept shorter or longer, with two persons",
    "statistics.counted": "cameras, faces by four denominators, latencies since the last such entry",
    "threshold.changed": "another threshold, with two persons; never below the authority's floor",
    "threshold.set": "the threshold of a start, and what it rests on",
    "trust.changed": "a key of an officer or an issuer was enrolled or removed, with two persons",
    "watchlist.activated": "a list is in use: digest, templates, both persons",
    "watchlist.added": "entries joined a list in use, with two persons",
    "watchlist.compiled": "a list was compiled or sealed on the box",
    "watchlist.destroyed": "a list's templates left the memory, or are booked out after a crash",
    "watchlist.imported": "a bundle was brought to the box",
    "watchlist.viewed": "a list was unsealed or looked at, or the register was asked, and why",
    "watchlist.withdrawn": "an entry left a list in use, effective with the next face",
}


def verbs_page() -> str:
    """docs/reference/verbs.md. Raises KeyError for a verb that nobody explained."""
    lines = [
        "# Verbs of the record",
        "",
        "Everything that the audit log can say. An entry also has the time by two clocks, who in which role and",
        "session, what it is about, and why; its form to the byte is in",
        "[the log's format](../../audit_logs/README.md). **1**: a head is signed at once. **2**: needs a proposal and",
        "another person's approval. **full**: refused while the disk is full; everything else is still recorded.",
        "",
        "This page is generated (`lfr-edge config verbs`); a test compares it with the code.",
    ]
    for processing in dict.fromkeys(PROCESSING.values()):
        of = (
            "of the box"
            if processing == "operation"
            else "as section 62 of the Data Protection Act 2018 names it"
        )
        lines += [
            "",
            f"## {processing.capitalize()}",
            "",
            f"Processing {of}.",
            "",
            "| Verb | Says | |",
            "|---|---|---|",
        ]
        for verb in sorted(verb for verb, kind in PROCESSING.items() if kind == processing):
            lines.append(f"| `{verb}` | {_MEANS[verb]} | {_marks(verb)} |")
    return "\n".join(lines) + "\n"


def _marks(verb: str) -> str:
    sets = (("1", SIGNED_AT_ONCE), ("2", TWO_PERSONS), ("full", REFUSED_WHEN_FULL))
    return ", ".join(f"**{mark}**" for mark, verbs in sets if verb in verbs)


def commands_page(parser: argparse.ArgumentParser) -> str:
    """docs/reference/commands.md, of the whole command line."""
    lines = [
        "# Commands",
        "",
        "The same as `--help` of each. Exit status: 0 done, 1 refused or failed, 2 wrong usage or configuration, 130",
        "interrupted; where a command means more by it, its text says so.",
        "",
        "This page is generated (`lfr-edge config commands`); a test compares it with the code.",
    ]
    for group in _below(parser):
        lines += ["", f"## {group.prog}", *_about(group)]
        for action in _all_below(group):
            lines += ["", f"### {action.prog}", *_about(action, of=group)]
        examples = _examples(group)
        if examples:
            lines += ["", "Examples:", "", "```sh", *examples, "```"]
    return "\n".join(lines) + "\n"


def _about(parser: argparse.ArgumentParser, of: argparse.ArgumentParser | None = None) -> Iterator[str]:
    text = " ".join((parser.description or "").split())
    if text:
        yield ""
        yield text if text.endswith((".", "?", ":", ")")) else f"{text}."
    rows = [_row(action) for action in parser._actions if _is_told(action)]
    if rows:
        yield from ("", "| Argument | Meaning |", "|---|---|", *rows)
    if of is not None and parser.epilog and parser.epilog != of.epilog:
        examples = _examples(parser)
        if examples:
            yield from ("", "```sh", *examples, "```")


def _is_told(action: argparse.Action) -> bool:
    skipped = isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
    return not skipped and action.help != argparse.SUPPRESS


def _row(action: argparse.Action) -> str:
    name = action.option_strings[-1] if action.option_strings else ""
    if action.choices is not None and action.metavar is None:
        value = "{" + ",".join(str(choice) for choice in action.choices) + "}"
    elif action.nargs == 0:
        value = ""
    else:
        metavar = action.metavar if action.metavar is not None else action.dest
        value = " ".join(metavar) if isinstance(metavar, tuple) else metavar
        value = value.upper() if name and action.metavar is None else value
    more = " …" if action.nargs in {"+", "*"} or isinstance(action, argparse._AppendAction) else ""
    told = " ".join(
        (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%").split()
    )
    needed = "**needed.** " if action.option_strings and action.required else ""
    return f"| `{' '.join(part for part in (name, value) if part)}{more}` | {needed}{_cell(told)} |"


def _cell(text: str) -> str:
    """Text of a help in a table's cell: no bar, no address or placeholder that would be read as markup."""
    return re.sub(r"<([^>]*)>", r"&lt;\1&gt;", text.replace("|", "\\|").replace("*", "\\*"))


def _examples(parser: argparse.ArgumentParser) -> list[str]:
    """Command lines of a help's examples; what stands behind one becomes a comment."""
    found = []
    for line in re.findall(r"^  (lfr-edge .*)$", parser.epilog or "", re.MULTILINE):
        command, *told = re.split(r"\s{2,}", line.strip(), maxsplit=1)
        found.append(f"{command}    # {told[0]}" if told else command)
    return found


def _below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from dict.fromkeys(action.choices.values())  # a second name of an action is the same parser


def _all_below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for one in _below(parser):
        yield one
        yield from _all_below(one)
