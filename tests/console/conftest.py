from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from lfr_edge.console.door import accounts as accounts_room
from lfr_edge.console.door.accounts import Role
from tests.fakes.box import PASSWORD, House, ListRecorder, enrol, house


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id at its full price costs these tests minutes; the real price is tested in test_accounts."""
    cheap = accounts_room.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts_room, "_HASHER", cheap)


@pytest.fixture
async def box(tmp_path: Path):
    async with house(tmp_path, recorder=ListRecorder()) as running:
        yield running


class Person:
    """A browser's manners without a browser: one cookie jar, and the headers that Chromium sends."""

    def __init__(self, house: House) -> None:
        self.session = aiohttp.ClientSession(
            house.url,
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            headers={"Origin": house.url, "Sec-Fetch-Site": "same-origin"},
        )

    def __getattr__(self, name: str):
        return getattr(self.session, name)

    async def sign_in(self, name: str, password: str = PASSWORD) -> int:
        data = {"name": name, "password": password, "next": "/"}
        async with self.post("/sign-in", data=data, allow_redirects=False) as answer:
            return answer.status


@pytest.fixture
async def sign_in(box: House):
    """``person = await sign_in("miller", Role.OPERATOR)``; no role: a stranger."""
    people: list[Person] = []

    async def come(name: str = "stranger", role: Role | None = None) -> Person:
        person = Person(box)
        people.append(person)
        if role is not None:
            if box.accounts.get(name) is None:
                enrol(box.accounts, name, role)
            assert await person.sign_in(name) == 303
        return person

    yield come
    for person in people:
        await person.close()
