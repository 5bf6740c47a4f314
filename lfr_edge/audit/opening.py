"""What has to be right before a log is opened: its folder, its certificate, and the keys at hand."""

from __future__ import annotations

from lfr_edge.audit import refusals
from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.keys import Certificate, LogKeys, open_certificate, read_certificate
from lfr_edge.audit.view import LogView


def lay_out(files: LogFolder, keys: LogKeys) -> None:
    """Make the folder of a new log.

    Raises:
        AuditError: ``audit_log_exists``, ``audit_log_unwritable``.
    """
    if files.entries.exists():
        raise refusals.log_exists(files.path)
    try:
        make_folder(files.path)
        write_new(files.device_key, (keys.device.text + "\n").encode())
        write_new(files.certificate, str(keys.certificate).encode())
        # Last: a folder without this file is not yet a log, and it may be laid out again.
        write_new(files.entries, b"")
    except OSError as error:
        raise refusals.log_unwritable(files.path, error) from None


def check_keys(files: LogFolder, origin: str, keys: LogKeys) -> Certificate:
    """The log's certificate, if the keys at hand are the ones that it names.

    Raises:
        AuditError: ``audit_log_missing``, ``audit_log_closed``, ``audit_key_mismatch``, ``audit_certificate_wrong``.
        OSError: the certificate cannot be read.
    """
    if not files.is_log():
        raise refusals.log_missing(files.path)
    certificate = open_certificate(read_certificate(files.certificate), keys.device)
    if certificate.origin == origin and certificate.key == keys.signer.verifier:
        return certificate
    if certificate.origin == origin and _is_closed(files):
        # The log's own key went with its closing; what is at hand was made since, for nothing.
        keys.destroy()
        raise refusals.log_closed(origin)
    raise refusals.key_mismatch(files.path)


def _is_closed(files: LogFolder) -> bool:
    view = LogView.load(files.path)
    return view.size > 0 and view.entry(view.size - 1).event.ev == "log.closed"
