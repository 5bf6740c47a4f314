"""Why a log refuses: the errors of opening, appending and closing, each in one place."""

from __future__ import annotations

from pathlib import Path

from lfr_edge.errors import AuditError
from lfr_edge.sentences import say


def log_exists(folder: Path) -> AuditError:
    return AuditError(
        "audit_log_exists",
        say("{folder} already holds a log", folder=folder),
        hint="open it, or name another",
    )


def log_missing(folder: Path) -> AuditError:
    return AuditError(
        "audit_log_missing", say("{folder} holds no log", folder=folder), hint="create it first"
    )


def log_closed(origin: str) -> AuditError:
    return AuditError(
        "audit_log_closed", say("the log of {origin} is closed", origin=origin), hint="open a new one"
    )


def log_failed(origin: str, reason: str) -> AuditError:
    return AuditError(
        "audit_log_failed",
        say("the audit log of {origin} is dead: {reason}", origin=origin, reason=reason),
        hint="stop recognition; check the disk; reopening the log recovers what is durable",
    )


def log_unwritable(folder: Path, error: OSError) -> AuditError:
    return AuditError(
        "audit_log_unwritable",
        say("{folder} cannot hold a log: {strerror}", folder=folder, strerror=error.strerror),
        hint="check free space, permissions and the mount of the audit folder",
    )


def key_mismatch(folder: Path) -> AuditError:
    return AuditError(
        "audit_key_mismatch",
        say("the keys at hand are not those of the log in {folder}", folder=folder),
        hint="the key store was replaced or the log comes from another box; open a new log",
    )


def key_unwritable(path: Path, error: OSError) -> AuditError:
    return AuditError(
        "audit_key_unwritable",
        say("the key {path} cannot be written: {strerror}", path=path, strerror=error.strerror),
        hint="make room on the data disk, or mount it writable, and start again; keys written before are untouched",
    )


def key_unreadable(path: Path, error: OSError) -> AuditError:
    return AuditError(
        "audit_key_unreadable",
        say("the key {path} cannot be read: {strerror}", path=path, strerror=error.strerror),
        hint="check owner, permissions and the disk; do not make a new key, or what the old one signed stands alone",
    )


def key_not_destroyed(origin: str, error: OSError) -> AuditError:
    return AuditError(
        "audit_key_not_destroyed",
        say(
            "the log of {origin} is closed, but its key is still on the disk: {strerror}",
            origin=origin,
            strerror=error.strerror,
        ),
        hint="destroy the key store by hand: whoever has the key can sign for this log",
    )


def disk_full(verb: str) -> AuditError:
    return AuditError(
        "audit_disk_full",
        say("the disk is full: {verb} was not recorded and may not happen", verb=verb),
        hint="stop recognition, close the deployment, free space on the audit disk",
    )
