"""Accounts: who may sign in, in which role. One small file, mode 0600, shared with ``lfr-edge accounts``.

There is no default account and no default password. A one-time code (printed by the first start, by
``lfr-edge accounts add`` or by a deployment officer's page) lets its bearer choose a password, once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from lfr_edge.clock import Clock
from lfr_edge.console.door.book import Account, Book, Passkey, Role, SetupCode, read_book, write_book
from lfr_edge.errors import AccessError
from lfr_edge.sentences import say

__all__ = ["Account", "Accounts", "Passkey", "Role", "check_password"]

CODE_LIFE_S: Final = 24 * 3600
PASSWORD_MIN: Final = 12  # NCSC: length over composition rules
PASSKEYS_MAX: Final = 8  # of one person
PASSWORD_MAX: Final = 256  # Argon2 would hash a megabyte for an attacker
_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_CODE_ALPHABET: Final = (
    "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # none that are read wrong aloud; 16 of them: 78 bits
)
_HASHER: Final = (
    PasswordHasher()
)  # argon2-cffi's defaults are RFC 9106's low-memory profile (64 MiB, 3 passes)
# Checked for unknown names, so that the time of an answer does not tell which names exist.
_NOBODY: Final = _HASHER.hash(secrets.token_hex(16))
T = TypeVar("T")


class Accounts:
    """**Thread rule:** any thread; :meth:`verify` and :meth:`redeem` take some 50 ms of one core and 64 MiB, so the
    console calls them off the loop, two at a time.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._book = Book({}, ())

    def all(self) -> tuple[Account, ...]:
        return tuple(sorted(self._read().accounts.values(), key=lambda account: account.name))

    def get(self, name: str) -> Account | None:
        """The account as the file has it now: a change by the command line counts at once."""
        return self._read().accounts.get(name)

    def first_code(self) -> str | None:
        """A new one-time code for the first account; None when there already is one."""
        return None if self._read().accounts else self._issue(None)

    def add(self, name: str, role: Role) -> str:
        """Create an account without a password and return its one-time code.

        Raises:
            AccessError: ``access_name_invalid``, ``access_name_taken``.
        """
        name = _checked_name(name)

        def change(book: Book) -> tuple[Book, None]:
            if name in book.accounts:
                raise AccessError(
                    "access_name_taken",
                    say("there is an account {name}", name=name),
                    hint="choose another name",
                )
            account = Account(name, role, None, disabled=False, generation=1)
            return replace(book, accounts={**book.accounts, name: account}), None

        self._change(change)
        return self._issue(name)

    def reset(self, name: str) -> str:
        """Take password and passkeys away, end the sessions, and return a one-time code for a new password."""
        self._amend(name, lambda a: replace(a, password_hash=None, passkeys=(), generation=a.generation + 1))
        return self._issue(name)

    def set_disabled(self, name: str, *, disabled: bool) -> None:
        """Disabled: no sign-in, and every open session and socket ends at once."""
        self._amend(name, lambda a: replace(a, disabled=disabled, generation=a.generation + 1))

    def add_passkey(self, name: str, passkey: Passkey) -> None:
        """Raises AccessError ``access_passkeys_full``, ``access_passkey_known``."""
        if self.by_passkey(passkey.id) is not None:
            raise AccessError("access_passkey_known", "this passkey is registered already")

        def amend(account: Account) -> Account:
            if len(account.passkeys) >= PASSKEYS_MAX:
                raise AccessError(
                    "access_passkeys_full",
                    say("an account has {passkeys_max} passkeys at most", passkeys_max=PASSKEYS_MAX),
                    hint="remove one",
                )
            return replace(account, passkeys=(*account.passkeys, passkey))

        self._amend(name, amend)

    def remove_passkey(self, name: str, passkey_id: str) -> None:
        self._amend(name, lambda a: replace(a, passkeys=tuple(p for p in a.passkeys if p.id != passkey_id)))

    def passkey_used(self, name: str, passkey_id: str, sign_count: int) -> None:
        """Keep the device's counter where it has one: it shows a copied key. Most passkeys always say 0."""
        if sign_count == 0:
            return

        def used(passkey: Passkey) -> Passkey:
            return replace(passkey, sign_count=sign_count) if passkey.id == passkey_id else passkey

        self._amend(name, lambda a: replace(a, passkeys=tuple(map(used, a.passkeys))))

    def by_passkey(self, passkey_id: str) -> tuple[Account, Passkey] | None:
        for account in self._read().accounts.values():
            for passkey in account.passkeys:
                if secrets.compare_digest(passkey.id.encode(), passkey_id.encode()):
                    return account, passkey
        return None

    def passkey(self, name: str, passkey_id: str) -> Passkey | None:
        found = self.by_passkey(passkey_id)
        return found[1] if found is not None and found[0].name == name else None

    def redeem(self, code: str, name: str, role: Role | None, password: str) -> Account:
        """Use a one-time code: choose a password and, for the first account, its name and role.

        Raises:
            AccessError: ``access_code_refused``, ``access_name_invalid``, ``access_password_weak``,
                ``access_role_missing``.
        """
        name = _checked_name(name)
        check_password(password, name)
        hashed = _HASHER.hash(password)
        digest = _digest(code)

        def change(book: Book) -> tuple[Book, Account]:
            now = self._clock.wall_ns() // 1_000_000_000
            found = next((c for c in book.codes if secrets.compare_digest(c.sha256, digest)), None)
            first = found is not None and found.account is None
            if found is None or found.expires_wall_s < now or (not first and found.account != name):
                raise _code_refused()
            if first and book.accounts:
                raise _code_refused()
            if first and role is None:
                raise AccessError(
                    "access_role_missing", "an account needs a role", hint="choose one of the five"
                )
            old = book.accounts.get(name)
            chosen = role if old is None else old.role
            assert chosen is not None
            generation = (old.generation if old else 0) + 1
            account = Account(name, chosen, hashed, disabled=False, generation=generation)
            codes = tuple(c for c in book.codes if c is not found)
            return Book({**book.accounts, name: account}, codes), account

        return self._change(change)

    def verify(self, name: str, password: str) -> Account:
        """The account of this name and password.

        Raises:
            AccessError: ``access_refused``, the same for an unknown name, a wrong password and a disabled account.
        """
        account = self.get(name.strip().lower())
        hashed = account.password_hash if account and account.password_hash else _NOBODY
        try:
            _HASHER.verify(hashed, password[:PASSWORD_MAX])
        except VerificationError:
            raise _refused() from None
        if account is None or account.password_hash is None or account.disabled:
            raise _refused()
        return account

    def rewrite(self) -> None:
        """The same accounts, in the newest format."""
        self._change(lambda book: (book, None))

    def _amend(self, name: str, amend: Callable[[Account], Account]) -> None:
        def change(book: Book) -> tuple[Book, None]:
            account = book.accounts.get(name)
            if account is None:
                raise AccessError(
                    "access_unknown",
                    say("there is no account {name}", name=name),
                    hint="lfr-edge accounts list",
                )
            return replace(book, accounts={**book.accounts, name: amend(account)}), None

        self._change(change)

    def _issue(self, account: str | None) -> str:
        raw = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(16))
        expires = self._clock.wall_ns() // 1_000_000_000 + CODE_LIFE_S
        kept = SetupCode(_digest(raw), account, expires)

        def change(book: Book) -> tuple[Book, None]:
            others = tuple(c for c in book.codes if c.account != account)
            return replace(book, codes=(*others, kept)), None

        self._change(change)
        return "-".join(raw[i : i + 4] for i in range(0, 16, 4))

    def _change(self, change: Callable[[Book], tuple[Book, T]]) -> T:
        with self._locked():
            book, result = change(self._read())
            write_book(self._path, book)
            self._seen = None
        return result

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _read(self) -> Book:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return Book({}, ())
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._book = read_book(self._path)
            self._seen = seen
        return self._book


def check_password(password: str, name: str) -> None:
    """Raises AccessError ``access_password_weak``."""
    reason = ""
    if len(password) < PASSWORD_MIN:
        reason = say("it needs at least {least} characters", least=PASSWORD_MIN)
    elif len(password) > PASSWORD_MAX:
        reason = say("it may have at most {most} characters", most=PASSWORD_MAX)
    elif len(set(password)) < 5:
        reason = say("it repeats too few characters")
    elif name in password.lower():
        reason = say("it contains the account's name")
    if reason:
        raise AccessError(
            "access_password_weak",
            say("this password is refused: {reason}", reason=reason),
            hint="three random words do",
        )


def _checked_name(name: str) -> str:
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise AccessError(
            "access_name_invalid",
            "an account's name has 2 to 32 of a-z 0-9 . _ - and starts with a letter",
            hint="the shoulder number or the surname will do",
        )
    return name


def _digest(code: str) -> str:
    plain = "".join(c for c in code.upper() if c.isalnum())
    return hashlib.sha256(b"lfr-edge setup code\0" + plain.encode()).hexdigest()


def _refused() -> AccessError:
    return AccessError(
        "access_refused", "name or password is wrong", hint="ask a deployment officer for a new code"
    )


def _code_refused() -> AccessError:
    return AccessError(
        "access_code_refused",
        "this code is not valid for this name, was used, or is too old",
        hint="lfr-edge accounts setup-code (or: accounts reset NAME) prints a new one",
    )
