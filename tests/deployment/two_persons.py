"""People, time and proposals for the tests of two-person control, and every way round it that we could think of.

An attack takes a :class:`Scene` in which an honest approval is one step away, deviates in one point, and says whether
it got what it wanted: an approval, or the use of one.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lfr_edge.alerts.record import Actor
from lfr_edge.deployment.control.approvals import Approvals, ControlError
from lfr_edge.deployment.control.proposal import RULES, Kind, Proposal
from tests.fakes.box import ListRecorder, ManualClock

EVERY_ROLE = ("operator", "deployment_officer", "authorising_officer", "auditor", "engineer")
KINDS: tuple[Kind, ...] = tuple(RULES)
CHANGE = {"list": "ab" * 32, "entries": 12, "sources": ["custody", "police"]}


@dataclass
class Scene:
    """A proposal of `kind` by okafor, waiting for lang."""

    folder: Path
    kind: Kind
    clock: ManualClock = field(default_factory=ManualClock)
    recorder: ListRecorder = field(default_factory=ListRecorder)
    roles: dict[str, str | None] = field(default_factory=dict)
    proposal: Proposal = field(init=False)
    approvals: Approvals = field(init=False)

    def __post_init__(self) -> None:
        self.roles |= {
            "okafor": "auditor" if "auditor" in RULES[self.kind].propose else "deployment_officer",
            "lang": "authorising_officer",
            "reed": "authorising_officer",
            "byte": "engineer",
            "miller": "operator",
        }
        self.start()
        self.proposal = self.approvals.propose(self.kind, CHANGE, self.actor("okafor"), ("Do exactly this.",))
        self.clock.pass_s(5)

    def start(self, boot: str = "boot-1") -> None:
        """A desk that has just started, over what lies on the disk."""
        self.approvals = Approvals(
            self.recorder, self.clock, self.folder / "approvals.json", self.roles.get, boot=boot
        )

    def actor(self, account: str, role: str | None = None) -> Actor:
        return Actor(account, role or self.roles.get(account) or "", "session")

    def approve(
        self,
        account: str = "lang",
        *,
        role: str | None = None,
        sha256: str | None = None,
        age_s: float = 1,
        id: str | None = None,  # noqa: A002
    ) -> Proposal:
        when = self.clock.mono - int(age_s * 1e9)
        return self.approvals.approve(
            id or self.proposal.id, sha256 or self.proposal.sha256, self.actor(account, role), when
        )

    def use(self, kind: Kind | None = None, change: dict | None = None) -> dict[str, str]:
        return self.approvals.use(kind or self.kind, CHANGE if change is None else change)

    def accepted(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except ControlError:  # anything else is a fault of the room, not a refusal
            return False
        return True

    def stored(self) -> dict:
        return json.loads((self.folder / "approvals.json").read_text())

    def store(self, raw: dict) -> None:
        (self.folder / "approvals.json").write_text(json.dumps(raw))


Attack = Callable[[Scene], bool]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__] = function
    return function


@attack
def the_proposer_approves(s: Scene) -> bool:
    return s.accepted(lambda: s.approve("okafor"))


@attack
def the_proposer_approves_in_another_role(s: Scene) -> bool:
    s.roles["okafor"] = "authorising_officer"
    return s.accepted(lambda: s.approve("okafor"))


@attack
def the_proposer_had_two_roles_for_a_moment(s: Scene) -> bool:
    before, s.roles["okafor"] = s.roles["okafor"], "authorising_officer"
    if s.accepted(lambda: s.approve("okafor")):
        return True
    s.roles["okafor"] = before
    return s.accepted(s.use)


@attack
def the_proposer_types_the_name_differently(s: Scene) -> bool:
    tried = False
    for name in ("Okafor", "OKAFOR", " okafor", "okafor ", "oKaFoR"):
        s.roles[name] = "authorising_officer"
        tried = tried or s.accepted(lambda name=name: s.approve(name))
    return tried


@attack
def a_role_that_may_not(s: Scene) -> bool:
    tried = False
    for role in EVERY_ROLE:
        if role not in RULES[s.kind].approve:
            s.roles["reed"] = role
            tried = tried or s.accepted(lambda: s.approve("reed"))
    return tried


@attack
def a_role_that_is_only_claimed(s: Scene) -> bool:
    return s.accepted(lambda: s.approve("miller", role="authorising_officer"))


@attack
def a_role_that_does_not_exist(s: Scene) -> bool:
    s.roles["reed"] = "commissioner"
    return s.accepted(lambda: s.approve("reed"))


@attack
def the_system_itself(s: Scene) -> bool:
    return s.accepted(lambda: s.approve("system", role="system"))


@attack
def nobody(s: Scene) -> bool:
    return s.accepted(lambda: s.approve("", role="authorising_officer"))


@attack
def an_account_that_is_unknown(s: Scene) -> bool:
    return s.accepted(lambda: s.approve("stranger", role="authorising_officer"))


@attack
def an_account_that_is_disabled(s: Scene) -> bool:
    s.roles["lang"] = None
    return s.accepted(lambda: s.approve("lang", role="authorising_officer"))


@attack
def the_approver_lost_the_role_but_not_the_session(s: Scene) -> bool:
    s.roles["lang"] = "operator"
    return s.accepted(lambda: s.approve("lang", role="authorising_officer"))


@attack
def the_proposer_lost_the_role_before_the_approval(s: Scene) -> bool:
    s.roles["okafor"] = "operator"
    return s.accepted(s.approve)


@attack
def the_proposer_was_disabled_before_the_approval(s: Scene) -> bool:
    s.roles["okafor"] = None
    return s.accepted(s.approve)


@attack
def the_proposer_lost_the_role_before_the_use(s: Scene) -> bool:
    s.approve()
    s.roles["okafor"] = "operator"
    return s.accepted(s.use)


@attack
def the_proposer_was_disabled_before_the_use(s: Scene) -> bool:
    s.approve()
    s.roles["okafor"] = None
    return s.accepted(s.use)


@attack
def the_approver_lost_the_role_before_the_use(s: Scene) -> bool:
    s.approve()
    s.roles["lang"] = "operator"
    return s.accepted(s.use)


@attack
def the_approver_was_disabled_before_the_use(s: Scene) -> bool:
    s.approve()
    s.roles["lang"] = None
    return s.accepted(s.use)


@attack
def a_password_of_a_minute_ago(s: Scene) -> bool:
    return s.accepted(lambda: s.approve(age_s=60.001))


@attack
def a_password_of_this_morning(s: Scene) -> bool:
    return s.accepted(lambda: s.approve(age_s=4 * 3600))


@attack
def a_password_still_to_come(s: Scene) -> bool:
    return s.accepted(lambda: s.approve(age_s=-0.001))


@attack
def a_digest_of_something_else(s: Scene) -> bool:
    return any(
        s.accepted(lambda sha256=sha256: s.approve(sha256=sha256))
        for sha256 in ("0" * 64, s.proposal.sha256.upper() + " ", s.proposal.sha256[:-1], "é" * 64)
    )


@attack
def another_proposal_with_this_digest(s: Scene) -> bool:
    other = s.approvals.propose(s.kind, {**CHANGE, "entries": 13}, s.actor("okafor"), ("Another.",))
    return s.accepted(lambda: s.approve(id=other.id))


@attack
def a_change_that_grew(s: Scene) -> bool:
    s.approve()
    return s.accepted(lambda: s.use(change={**CHANGE, "entries": 13}))


@attack
def a_change_with_one_thing_more(s: Scene) -> bool:
    s.approve()
    return s.accepted(lambda: s.use(change={**CHANGE, "note": ""}))


@attack
def a_change_with_one_thing_less(s: Scene) -> bool:
    s.approve()
    return s.accepted(lambda: s.use(change={"list": CHANGE["list"], "entries": 12}))


@attack
def a_change_in_another_order(s: Scene) -> bool:
    s.approve()
    return s.accepted(lambda: s.use(change={**CHANGE, "sources": ["police", "custody"]}))


@attack
def a_change_of_another_type(s: Scene) -> bool:
    s.approve()
    return s.accepted(lambda: s.use(change={**CHANGE, "entries": "12"}))


@attack
def an_approval_of_another_kind(s: Scene) -> bool:
    s.approve()
    return any(s.accepted(lambda kind=kind: s.use(kind=kind)) for kind in KINDS if kind != s.kind)


@attack
def no_approval_yet(s: Scene) -> bool:
    return s.accepted(s.use)


@attack
def nothing_proposed(s: Scene) -> bool:
    return s.accepted(lambda: s.use(change={"never": "proposed"}))


@attack
def the_second_use(s: Scene) -> bool:
    s.approve()
    s.use()
    return s.accepted(s.use)


@attack
def the_second_use_after_a_restart(s: Scene) -> bool:
    s.approve()
    s.start()
    s.use()
    s.start()
    return s.accepted(s.use)


@attack
def the_second_approval(s: Scene) -> bool:
    s.approve()
    return s.accepted(lambda: s.approve("reed"))


@attack
def an_approval_of_what_was_used(s: Scene) -> bool:
    s.approve()
    s.use()
    return s.accepted(lambda: s.approve("reed")) or s.accepted(s.use)


@attack
def an_approval_of_what_was_refused(s: Scene) -> bool:
    s.approvals.refuse(s.proposal.id, s.actor("reed"), "not this list")
    return s.accepted(s.approve) or s.accepted(s.use)


@attack
def the_use_of_what_was_refused_after_its_approval(s: Scene) -> bool:
    s.approve()
    s.approvals.refuse(s.proposal.id, s.actor("reed"), "not this list")
    return s.accepted(s.use)


@attack
def a_quarter_of_an_hour_late(s: Scene) -> bool:
    s.clock.pass_s(15 * 60 - 5)
    return s.accepted(s.approve)


@attack
def late_with_the_wall_clock_set_back(s: Scene) -> bool:
    s.clock.pass_s(15 * 60)
    s.clock.wall -= 10 * 60 * 10**9
    return s.accepted(s.approve)


@attack
def late_by_the_wall_clock_only(s: Scene) -> bool:
    s.clock.wall += 15 * 60 * 10**9
    return s.accepted(s.approve)


@attack
def before_it_was_proposed(s: Scene) -> bool:
    s.clock.wall -= 60 * 10**9
    return s.accepted(s.approve)


@attack
def a_use_a_quarter_of_an_hour_late(s: Scene) -> bool:
    s.approve()
    s.clock.pass_s(15 * 60)
    return s.accepted(s.use)


@attack
def a_use_late_with_the_wall_clock_set_back(s: Scene) -> bool:
    s.approve()
    s.clock.pass_s(15 * 60)
    s.clock.wall -= 10 * 60 * 10**9
    return s.accepted(s.use)


@attack
def an_approval_after_a_reboot(s: Scene) -> bool:
    s.start("boot-2")
    return s.accepted(s.approve)


@attack
def a_use_after_a_reboot(s: Scene) -> bool:
    s.approve()
    s.start("boot-2")
    return s.accepted(s.use)


@attack
def a_use_after_a_reboot_with_young_clocks(s: Scene) -> bool:
    s.approve()
    s.clock.mono = 10**9
    s.start("boot-2")
    return s.accepted(s.use)


@attack
def an_approval_that_could_not_be_recorded(s: Scene) -> bool:
    from lfr_edge.errors import AuditError

    s.recorder.fail_on["control.approved"] = AuditError("audit_write_failed", "the disk is full")
    try:
        s.approve()
    except AuditError:
        pass
    else:
        return True
    s.recorder.fail_on.clear()
    return s.accepted(s.use) or s.accepted(lambda: s.approve("reed"))


@attack
def an_approval_cut_off_by_a_power_cut(s: Scene) -> bool:
    """The process dies after the claim, before or after the record: the next one finds a no."""

    class Cut(BaseException):
        pass

    s.recorder.fail_on["control.approved"] = Cut()
    with contextlib.suppress(Cut):
        s.approve()
    s.recorder.fail_on.clear()
    s.start()
    return s.accepted(s.use) or s.accepted(lambda: s.approve("reed"))


@attack
def a_change_edited_on_the_disk(s: Scene) -> bool:
    s.approve()
    raw = s.stored()
    raw["proposals"][0]["change"]["entries"] = 13
    s.store(raw)
    return s.accepted(lambda: s.use(change={**CHANGE, "entries": 13})) or s.accepted(s.use)


@attack
def a_kind_edited_on_the_disk(s: Scene) -> bool:
    s.approve()
    other = next(kind for kind in KINDS if kind != s.kind)
    raw = s.stored()
    raw["proposals"][0]["kind"] = other
    s.store(raw)
    return s.accepted(lambda: s.use(kind=other)) or s.accepted(s.use)


@attack
def a_proposal_that_does_not_exist(s: Scene) -> bool:
    return s.accepted(lambda: s.approve(id="C-0000000000000000")) or s.accepted(lambda: s.approve(id="../x"))


@attack
def two_approvers_at_the_same_time(s: Scene) -> bool:
    """Whoever is second is refused; the record has one approval."""
    won = together(s, [lambda: s.approve("lang"), lambda: s.approve("reed")])
    return won != 1 or s.recorder.verbs("control.approved") != ["control.approved"]


@attack
def two_uses_at_the_same_time(s: Scene) -> bool:
    s.approve()
    return together(s, [s.use, s.use, s.use]) != 1


@attack
def a_refusal_and_an_approval_at_the_same_time(s: Scene) -> bool:
    """One of the two wins; a refusal that came second still stops the use."""
    refusal = lambda: s.approvals.refuse(s.proposal.id, s.actor("reed"), "no")  # noqa: E731
    together(s, [s.approve, refusal])
    refused = s.approvals.get(s.proposal.id).state == "refused"
    return refused and s.accepted(s.use)


def together(s: Scene, calls: list[Callable[[], object]]) -> int:
    """How many of the calls, begun at one moment in threads of their own, were accepted."""
    gate, won = threading.Barrier(len(calls)), []

    def run(call: Callable[[], object]) -> None:
        gate.wait()
        won.append(s.accepted(call))

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(won)
