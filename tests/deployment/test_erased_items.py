"""B3 of reliability.md 7: erased items decrypt with no key that is left; every item that was not erased does.

The thief has the best of cards: a copy of every sealed picture from before the erasure, the deployment's key, and
every file that is on the box afterwards.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lfr_edge.alerts.material import AlertMaterial, AlertPictures
from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.audit.verify import verify
from lfr_edge.deployment.keeping.register import Register
from lfr_edge.deployment.keeping.sweeper import Sweeper
from lfr_edge.settings import Settings
from tests.deployment.conftest import Van
from tests.deployment.test_sweeper import Recorder

NAME, KEY, NONCE = "2025-01-08-1", secrets.token_bytes(32), 12
PICTURES = AlertPictures(b"probe" * 60, b"candidate" * 40)


def opens(sealed: bytes, key: bytes, token: str) -> bool:
    try:
        AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], f"pictures:{token}".encode())
    except InvalidTag:
        return False
    return True


def alert_keys(folder: Path, deployment_key: bytes) -> dict[str, bytes]:
    """Every alert's own key that the files in `folder` give to whoever has the deployment's key."""
    found = {}
    for path in folder.glob("*.key"):
        wrapped = path.read_bytes()
        found[path.stem] = AESGCM(deployment_key).decrypt(
            wrapped[:NONCE], wrapped[NONCE:], f"key:{path.stem}".encode()
        )
    return found


@pytest.mark.parametrize(
    "items", [30, pytest.param(1_000, marks=[pytest.mark.trial, pytest.mark.timeout(900)])]
)
def test_erased_items_decrypt_with_no_key_that_is_left(van: Van, tmp_path: Path, items: int) -> None:
    settings = Settings.model_validate({"site": "van", "data": tmp_path / "data", "audit": van.audit})
    folder = settings.data / "deployments" / NAME / "material"
    material = AlertMaterial(folder, KEY)
    story = van.deployment(NAME)
    story.open(people=5)
    erased, kept = ([secrets.token_hex(16) for _ in range(items)] for _ in range(2))
    for number, token in enumerate((*erased, *kept), 1):
        if number == items + 1:
            van.clock.advance(10 * 3600)
        story.say("alert.raised", ref=token, number=number, commitment=material.keep(token, PICTURES))
    story.close()
    copies = {path.stem: path.read_bytes() for path in folder.glob("*.sealed")}
    before = alert_keys(folder, KEY)

    van.clock.advance(15 * 3600)
    keys = FileKeyStore(settings.data / "keys")
    register = Register(settings.data / "register", keys, van.clock)
    swept = Sweeper(settings, van.clock, Recorder(van), register, keys).sweep()
    assert (len(swept.erased), swept.kept, swept.clean) == (items, items, True)

    left = alert_keys(folder, KEY)
    assert left.keys() == set(kept)
    every = [KEY, *left.values()]
    decrypted = sum(any(opens(copies[token], key, token) for key in every) for token in erased)
    controls = sum(opens(copies[token], left[token], token) for token in kept)
    attack = sum(opens(copies[token], before[token], token) for token in erased)
    print(
        f"\n{decrypted} of {items} erased items decrypt with {len(every)} keys; {controls} of {items} others do"
    )
    assert decrypted == 0
    assert controls == items
    assert attack == items, "the control of the attack: with a key taken before the erasure it works"
    assert all(material.read(token) == PICTURES for token in kept)
    assert verify(settings.audit).intact
