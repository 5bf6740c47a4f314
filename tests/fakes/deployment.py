"""A deployment that goes through its life at a word, for the console's pages; nothing runs behind it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lfr_edge.console.deployment_port import AuthorityView, Briefing, DeploymentPicture
from lfr_edge.deployment.authority import Clause
from lfr_edge.deployment.control.proposal import Proposal, Stamp
from lfr_edge.deployment.ending.receipts import Receipt, Receipts
from lfr_edge.deployment.readiness import CODES, Line
from lfr_edge.errors import DeploymentError, WatchlistError

PASSPHRASE = "seven quiet harbours"
BRIEFING = Briefing("This is overt.\n\nLook at both pictures yourself.", "ab" * 32, ())
AUTHORITY = AuthorityView(
    "cd" * 32, "Op Lantern", "Market Square", "Crime hotspot", "2026-11-22T09:00:00Z", "2026-11-22T17:00:00Z",
    0.45, ("Stop at once if the crowd is dense.",),
)  # fmt: skip
CLAUSES = (
    Clause(6, "window", "Window", True, "from 09:00 to 17:00", ""),
    Clause(16, "cameras", "Cameras", False, "not authorised: south", "remove the camera"),
)


WORDS = {
    "authority": ("no authority was read", "all 27 clauses hold", "choose the signed authority's file"),
    "list_unsealed": (
        "the watchlist is sealed",
        "1,204 entries",
        "unseal it, with its passphrase or its key file",
    ),
    "list_lawful": (
        "the watchlist is sealed",
        "every entry says why, by whom and from where",
        "compile it again",
    ),
    "list_fresh": ("the watchlist is sealed", "compiled 3 h ago", "compile the list again from current data"),
    "list_approved": ("the watchlist is sealed", "proposed by one person, approved by another", "propose it"),
    "cameras": ("south is connecting", "north, south", "power, cable, password: see the System page"),
    "threshold": (
        "the watchlist is sealed",
        "0.5432: at most one false alert in 100 faces of people not listed",
        "calibrate for this list's length",
    ),
    "models": ("no licence is named", "verified and licensed; warmed before the first face", "see models"),
    "clock": ("not in step with any source", "in step", "run chrony, or a GPS receiver"),
    "disk": ("1.2 GiB free", "41.0 GiB free", "keep 2 GiB free"),
    "log": ("the log cannot be written", "written and signed", "lfr-edge audit verify says what is wrong"),
    "briefing": (
        "not acknowledged by an operator",
        "acknowledged by miller, okafor",
        "read and acknowledge it below",
    ),
}


def lines(*missing: str) -> tuple[Line, ...]:
    """The readiness list with these lines still to do."""
    return tuple(
        Line(
            code,
            code not in missing,
            code not in {"clock"},
            WORDS[code][0 if code in missing else 1],
            WORDS[code][2] if code in missing else "",
            CLAUSES if code == "authority" and code in missing else (),
        )
        for code in CODES
    )


def preparing(*missing: str) -> DeploymentPicture:
    return DeploymentPicture(
        id="2026-11-22-1", site="Van 3", purpose="operational", phase="preparing", busy="", resuming=False,
        paused=False, failure="", lines=lines(*missing), authority=None if "authority" in missing else AUTHORITY,
        remaining_s=None, started_wall_ns=None, threshold=None if "list_unsealed" in missing else 0.48,
        alert_images_h=24.0, pack="default", list_size=0 if "list_unsealed" in missing else 1204,
        list_sha256="" if "list_unsealed" in missing else "ef" * 32, passphrase=True, briefing=BRIEFING,
        proposed=(), imports=1,
    )  # fmt: skip


def receipts(left: str = "") -> Receipts:
    when = 1_795_000_000_000_000
    items = (
        Receipt("templates", 1204, 0, when, "the recogniser overwrote 1332 slots and rows, then ended", False,
                "the recogniser's receipt", ""),
        Receipt("sealed_list", 1, 4_194_304, when, "overwritten once with random bytes, made durable, unlinked",
                True, "absent", left),
    )  # fmt: skip
    return Receipts("2026-11-22-1", "van-3/2026-11-22-1", items)


@dataclass
class FakeControl:
    """Answers like the supervisor. `now` is what the page sees; `said` what it was asked."""

    now: DeploymentPicture = field(default_factory=preparing)
    said: list[tuple[str, str]] = field(default_factory=list)

    async def picture(self) -> DeploymentPicture:
        return self.now

    async def unseal(self, passphrase, actor) -> None:
        self.said.append(("unseal", actor.account))
        if passphrase not in {None, PASSPHRASE}:
            raise WatchlistError(
                "watchlist_passphrase_wrong",
                "the passphrase does not open this list",
                hint="check the keyboard layout and try again; after an alteration the list must be sealed anew",
            )
        self.now = replace(self.now, lines=lines(*self._missing("list_unsealed")), list_sha256="ef" * 32,
                           list_size=1204, threshold=0.48)  # fmt: skip

    async def acknowledge(self, sha256, actor) -> None:
        if sha256 != self.now.briefing.sha256:
            raise DeploymentError("briefing_changed", "the briefing was changed", hint="read it again")
        names = (*self.now.briefing.acknowledged, actor.account)
        self.now = replace(self.now, briefing=replace(self.now.briefing, acknowledged=names),
                           lines=lines(*self._missing("briefing")))  # fmt: skip

    async def bring_authority(self, data, actor) -> None:
        self.said.append(("authority", data.decode()))
        if b"unsigned" in data:
            raise DeploymentError("authority_unsigned", "nobody has signed it", hint="have it signed")
        self.now = replace(
            self.now, authority=AUTHORITY, lines=lines(*self._missing("authority")), remaining_s=7200
        )

    async def propose(self, what, value, actor) -> Proposal:
        self.said.append((f"propose {what}", value))
        stamp = Stamp(0, 1_795_000_000 * 10**9, "boot")
        proposal = Proposal(
            "C-1", "watchlist.activate", {}, "00" * 32, ("Look for 1204 people.",), actor.account, stamp
        )
        self.now = replace(self.now, proposed=(proposal,))
        return proposal

    async def add_list(self, path, credential, actor) -> Proposal:
        del credential
        return await self.propose("watchlist", path.name, actor)

    async def start(self, actor) -> None:
        self.said.append(("start", actor.account))
        if not self.now.ready:
            raise DeploymentError("readiness_cameras", "a camera is dark", hint="see the System page")
        self.now = replace(
            self.now, phase="running", lines=(), remaining_s=7 * 3600 + 720, started_wall_ns=10**18
        )

    async def end(self, actor, why, *, erase_imports) -> None:
        self.said.append(("end", f"{why} {erase_imports}"))
        self._ended(why)

    async def cancel(self, actor, why) -> None:
        self.said.append(("cancel", why))
        self._ended(f"cancelled: {why}")

    async def prepare_next(self, actor) -> None:
        self.said.append(("next", actor.account))
        self.now = preparing(*CODES)

    def _missing(self, done: str) -> list[str]:
        return [line.code for line in self.now.lines if not line.ok and line.code != done]

    def _ended(self, why: str) -> None:
        self.now = replace(
            self.now, phase="ended", lines=(), remaining_s=0, why_ended=why, receipts=receipts(), root="5e" * 32,
            log_size=412,
        )  # fmt: skip
