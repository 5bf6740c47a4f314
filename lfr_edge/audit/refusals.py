"""Why a log refuses: the errors of opening, appending and closing, each in one place."""

from __future__ import annotations

from pathlib import Path

from lfr_edge.errors import AuditError


def log_exists(folder: Path) -> AuditError:
    return AuditError("audit_log_exists", f"{folder} already holds a log", hint="open it, or name another")


def log_missing(folder: Path) -> AuditError:
    return AuditError("audit_log_missing", f"{folder} holds no log", hint="create it first")


def log_closed(origin: str) -> AuditError:
    return AuditError("audit_log_closed", f"the log of {origin} is closed", hint="open a new one")


def log_failed(origin: str, reason: str) -> AuditError:
    return AuditError(
        "audit_log_failed",
        f"the audit log of {origin} is dead: {reason}",
        hint="stop recognition; check the disk; reopening the log recovers what is durable",
    )


def log_unwritable(folder: Path, error: OSError) -> AuditError:
    return AuditError(
        "audit_log_unwritable",
        f"{folder} cannot hold a log: {error.strerror}",
        hint="check free space, permissions and the mount of the audit folder",
    )


def key_mismatch(folder: Path) -> AuditError:
    return AuditError(
        "audit_key_mismatch",
        f"the keys at hand are not those of the log in {folder}",
        hint="the key store was replaced or the log comes from another box; open a new log",
    )


def key_not_destroyed(origin: str, error: OSError) -> AuditError:
    return AuditError(
        "audit_key_not_destroyed",
        f"the log of {origin} is closed, but its key is still on the disk: {error.strerror}",
        hint="destroy the key store by hand: whoever has the key can sign for this log",
    )


def disk_full(verb: str) -> AuditError:
    return AuditError(
        "audit_disk_full",
        f"the disk is full: {verb} was not recorded and may not happen",
        hint="stop recognition, close the deployment, free space on the audit disk",
    )
