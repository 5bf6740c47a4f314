"""Two persons: a release is installed only with the signatures of two enrolled installers over its manifest.

Each signs with a key on a medium of their own; the approvals lie beside the bundle.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lfr_install import signing
from lfr_install.faults import InstallError
from lfr_install.manifest import Manifest

NEEDED: Final = 2
SUFFIX: Final = ".approval"


def approve(bundle: Path, manifest: Manifest, private_key: Path, public_key: Path) -> Path:
    """Write this person's approval beside the bundle. Raises InstallError ``key_unusable``."""
    signature = signing.sign(_message(manifest), private_key)
    if not signing.verify(_message(manifest), signature, public_key):
        raise InstallError(
            "key_unusable", "the two keys do not belong together", hint="give a key and its own .pub"
        )
    out = bundle.with_name(f"{bundle.name}.{signing.key_id(public_key)}{SUFFIX}")
    out.write_bytes(signature)
    return out


def approvers(bundle: Path, manifest: Manifest, enrolled: Iterable[Path]) -> tuple[str, ...]:
    """Key ids of the enrolled installers whose approval of exactly this release lies beside the bundle."""
    given = {
        path.read_bytes()[: signing.SIGNATURE_BYTES + 1]
        for path in bundle.parent.glob(f"{_escaped(bundle.name)}.*{SUFFIX}")
    }
    found = {
        signing.key_id(key)
        for key in enrolled
        if any(signing.verify(_message(manifest), signature, key) for signature in given)
    }
    return tuple(sorted(found))


def require_two(approved_by: tuple[str, ...]) -> None:
    """Raises InstallError ``install_not_approved``."""
    if len(approved_by) < NEEDED:
        raise InstallError(
            "install_not_approved",
            f"{len(approved_by)} of {NEEDED} enrolled installers approved this release",
            hint="each runs: lfr-edge-install approve BUNDLE --key THEIRS --public-key THEIRS.pub",
        )


def _message(manifest: Manifest) -> bytes:
    return f"lfr-edge install approval 1\n{manifest.serial}\n{manifest.sha256}\n".encode()


def _escaped(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)
