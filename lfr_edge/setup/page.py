"""A setup under way as its page sees it (:mod:`lfr_edge.console.first_run`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lfr_edge.console.door.accounts import Accounts
from lfr_edge.console.first_run import Finished, Shown
from lfr_edge.errors import CameraError, ConfigError
from lfr_edge.sentences import say
from lfr_edge.setup.answers import AccountAnswer
from lfr_edge.setup.finding import Finding
from lfr_edge.setup.onvif import FoundCamera, find_cameras, streams_of
from lfr_edge.setup.people import PEOPLE, accounts_of, missing_roles
from lfr_edge.setup.position import position_of, position_text
from lfr_edge.setup.preparation import CameraAnswer, Preparation, describe, packs_here, require_stream

# Fields of the page and where the configuration has them.
_FIELDS: Final = {
    "site": ("", "site"),
    "data": ("", "data"),
    "audit": ("", "audit"),
    "store": ("models", "store"),
    "purpose": ("models", "purpose"),
    "licence_reference": ("models", "licence_reference"),
    "place": ("deployment", "place"),
    "force": ("notice", "force"),
    "contact": ("notice", "contact"),
}
_SYSTEM_DATA: Final = "/var/lib/lfr-edge"


class PageSetup:
    """**Thread rule:** one call at a time (the page has one browser); blocking methods are called in a thread."""

    def __init__(
        self, box: Preparation, *, owner: str | None = None, interfaces: Sequence[str] | None = None
    ) -> None:
        self._box = box
        self._owner = owner
        self._interfaces = interfaces
        self._found: tuple[FoundCamera, ...] = ()
        self._seen: dict[str, str] = {}
        self._findings: tuple[Finding, ...] = ()
        self._verdicts: tuple[str, ...] = ()

    def gone(self) -> bool:
        """Whether the box has an account: then the console's door decides, and this page is over."""
        data = self._box.at(self._box.settings.data)
        return bool(Accounts(data / "accounts.json", self._box.clock).all())

    def shown(self) -> Shown:
        accounts = self._box.draft.answers.accounts
        return Shown(
            fields={name: self._field(*place) for name, place in _FIELDS.items()}
            | {"position": position_text(self._box.settings)},
            people=tuple(
                (str(role), " ".join(account.name for account in accounts if account.role is role))
                for role, _ in PEOPLE
            ),
            missing=tuple(map(str, missing_roles(accounts))),
            cameras=tuple(
                (camera.id, camera.url, self._seen.get(camera.id, ""))
                for camera in self._box.settings.cameras
            ),
            found=tuple((one.service, one.host, f"{one.name} {one.model}".strip()) for one in self._found),
            findings=tuple((one.check, one.state, one.text, one.do) for one in self._findings),
            verdicts=self._verdicts,
            exists=self._box.path.exists(),
        )

    def site(self, fields: Mapping[str, str]) -> None:
        """Raises ConfigError ``setup_configuration_invalid``, ``setup_position_invalid``: nothing of it is kept."""
        given: dict[str, Any] = {}
        if position := fields.get("position", "").strip():
            given["deployment"] = dict(position_of(position))
        for name, (table, field) in _FIELDS.items():
            value = fields.get(name, "").strip()
            if value and table:
                given.setdefault(table, {})[field] = value
            elif value:
                given[field] = value
        self._box.change(**given)

    def people(self, fields: Mapping[str, str]) -> None:
        """Raises ConfigError ``setup_account_invalid``: nothing of the form is kept."""
        accounts: list[AccountAnswer] = []
        for role, _ in PEOPLE:
            accounts += accounts_of(fields.get(str(role), "").lower().split(), role, accounts)
        self._box.draft.keep(accounts=tuple(accounts))

    async def find(self) -> None:
        self._found = await find_cameras(self._interfaces)
        if not self._found:
            raise CameraError(
                "camera_none_found",
                "no camera answered",
                hint="is ONVIF switched on there? type its address by hand",
            )

    async def camera(self, fields: Mapping[str, str]) -> None:
        """Add a camera and look at it; one that cannot be seen stays in the list, with the reason.

        Raises:
            CameraError, ConfigError: it cannot be added at all.
        """
        url, username, password = (
            fields.get("url", "").strip(),
            fields.get("username", "").strip(),
            fields.get("password", ""),
        )
        if service := fields.get("service", ""):
            url = await self._largest(service, username, password)
        require_stream(url)
        camera = self._box.add_camera(CameraAnswer(fields.get("id", "").strip(), url, username, password))
        try:
            report = await self._box.probe(camera, seconds=self._box.draft.answers.probe_s)
        except CameraError as error:
            self._seen[camera.id] = error.message
        else:
            self._seen[camera.id] = describe(report)

    def remove(self, camera: str) -> None:
        self._box.remove_camera(camera)

    def check(self) -> None:
        self._findings = tuple(self._box.checks())

    def measure(self) -> None:
        """Raises ModelError, VisionError: the pack is not there or does not run."""
        measured = self._box.measure(self._box.draft.answers.benchmark_s)
        self._verdicts = (*(verdict.text for verdict in measured.verdicts), measured.circumstances)

    def write(self, *, replace: bool) -> Finished:
        """Raises as :meth:`Preparation.write`; ConfigError ``setup_no_site``, ``setup_nobody``: a part was not sent."""
        if "site" not in self._box.draft.answers.configuration:
            raise ConfigError("setup_no_site", "part 1 was not kept yet", hint="look at part 1 and keep it")
        if not self._box.draft.answers.accounts:
            raise ConfigError(
                "setup_nobody", "nobody could sign in to this box", hint="name one person at least in part 2"
            )
        written = self._box.write(replace=replace, owner=self._owner)
        return Finished(
            tuple(map(str, written.files)),
            written.device,
            tuple((code.account, str(code.role), code.code) for code in written.codes),
            str(written.configuration),
        )

    async def _largest(self, service: str, username: str, password: str) -> str:
        """Of a device that was found; nobody can make the box ask another address."""
        if service not in {one.service for one in self._found}:
            raise CameraError(
                "camera_none_found", "that camera did not answer", hint="look for cameras again"
            )
        streams = await streams_of(service, username, password)
        if not streams:
            raise CameraError(
                "camera_onvif_failed", say("the camera did not name its streams ({code})", code="none"),
                hint="type the stream's address by hand, as the camera's handbook gives it",
            )  # fmt: skip
        return streams[0].url

    def _field(self, table: str, name: str) -> str:
        given = self._box.draft.answers.configuration
        value = (given.get(table, {}) if table else given).get(name)
        if value is not None:
            return str(value)
        data = _SYSTEM_DATA if self._box.path.is_relative_to("/etc") else "var"
        known = {"data": data, "audit": f"{data}/audit", "store": packs_here(data)}
        settings = getattr(self._box.settings, table) if table else self._box.settings
        return known.get(name) or str(getattr(settings, name) or "")
