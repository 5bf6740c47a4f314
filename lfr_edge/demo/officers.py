"""The people of the demonstration: an officer who proposes, one who authorises and approves, an operator.

They are invented, and so is their authority; what they do is not: the same signature, the same proposals and
approvals, the same readiness list as in a van. Nobody can sign in as them.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lfr_edge.audit.event import Actor
from lfr_edge.console.door.accounts import Role
from lfr_edge.deployment.authority import Authority, Document
from lfr_edge.deployment.authority.document import encode_document, signed
from lfr_edge.deployment.authority.signing import public_bytes
from lfr_edge.deployment.authority.terms import (
    FORMAT,
    Assessment,
    Assessments,
    Command,
    ListTerms,
    Officer,
    Place,
    RetentionTerms,
    ThresholdTerms,
)
from lfr_edge.deployment.authority.words import Rank, instant_text, use_cases
from lfr_edge.deployment.control.proposal import Kind, Proposal
from lfr_edge.service import Service
from lfr_edge.service.control import Control

PLACE: Final = "A drawn shop front"
LATITUDE, LONGITUDE = 54.0, -2.5
_HOUR_NS: Final = 3_600_000_000_000
PROPOSER = Actor("demo-officer", str(Role.DEPLOYMENT_OFFICER))
APPROVER = Actor("demo-superintendent", str(Role.AUTHORISING_OFFICER))
OPERATOR = Actor("demo-operator", str(Role.OPERATOR))
PEOPLE: Final = (PROPOSER, APPROVER, OPERATOR)


async def begin(service: Service) -> None:
    """From preparation to running, step by step as people do it on the console.

    Raises:
        LfrError: a step was refused; its code says which.
    """
    await arrive(service)
    key, control = Ed25519PrivateKey.generate(), Control(service)
    await trust_key(service, key)
    document = signed(Document(authority_for(service)), key)
    await control.bring_authority(encode_document(document), PROPOSER)
    await control.propose("watchlist", "", PROPOSER)
    await approve(service, "watchlist.activate")
    for person in (OPERATOR, PROPOSER):
        await control.acknowledge((await control.picture()).briefing.sha256, person)
    await control.start(PROPOSER)
    for person in PEOPLE:
        await asyncio.to_thread(service.accounts.set_disabled, person.account, disabled=True)


async def arrive(service: Service) -> None:
    """Accounts without a password."""
    for person in PEOPLE:
        await asyncio.to_thread(service.accounts.add, person.account, Role(person.role))


async def trust_key(service: Service, key: Ed25519PrivateKey) -> None:
    """Two persons enrol the Authorising Officer's public key."""
    trust, approvals = service.box.trust, service.run.approvals
    change = trust.enrolment("authority", "Superintendent A. Example (invented)", public_bytes(key))
    summary = trust.summary(change)
    await asyncio.to_thread(approvals.propose, "trust.enrol", change, PROPOSER, summary)
    await approve(service, "trust.enrol")
    await asyncio.to_thread(trust.apply, change, approvals, PROPOSER)


async def approve(service: Service, kind: Kind) -> Proposal:
    """The second person says yes to the proposal of this kind that waits."""
    approvals = service.run.approvals
    waiting = await asyncio.to_thread(approvals.waiting)
    proposal = next(one for one in waiting if one.kind == kind)
    now_ns = service.clock.monotonic_ns()
    return await asyncio.to_thread(approvals.approve, proposal.id, proposal.sha256, APPROVER, now_ns)


def authority_for(service: Service) -> Authority:
    """For exactly what this demonstration does, from a minute ago for a day at most."""
    now_ns = service.clock.wall_ns()
    run, use_case = service.run, use_cases()["missing_person_hotspot"]
    assert run.listing is not None, "its key file opens the list"
    assert run.threshold is not None, "set with the list"
    prose: dict[str, Any] = {
        "legal_basis": "None: nobody is recognised but people in published photographs.",
        "objective": "To show that the machine works.",
        "necessity": "Seeing it work needs a face on a list and one in front of a camera.",
        "proportionality": "Two published photographs, one drawn street, no camera in any real place.",
        "alternatives": "Reading the documentation.",
    }
    paper = Assessment("DEMO", "1")
    return Authority(
        format=FORMAT,
        purpose="evaluation",
        operation="DEMO",
        use_case=use_case.code,
        policy_paragraph=use_case.paragraph,
        **prose,
        place=Place(
            PLACE, LATITUDE, LONGITUDE, 100, "The pavement in the clip.", ("None: it is a drawing.",)
        ),
        start=instant_text(now_ns - 60_000_000_000),
        end=instant_text(now_ns + 23 * _HOUR_NS),
        cameras=tuple(camera.id for camera in run.settings.cameras),
        watchlist=ListTerms(
            categories=("missing_person",),
            criteria="The astronaut.",
            maximum_size=1,
            image_sources=("published",),
            under_18=False,
            under_18_reason="",
        ),
        threshold=ThresholdTerms(run.threshold, ("deployment_officer",)),
        retention=RetentionTerms(24, 24),
        assessments=Assessments(paper, paper, paper, paper),
        officer=Officer("A. Example", Rank.SUPERINTENDENT, instant_text(now_ns - _HOUR_NS)),
        urgent=None,
        command=Command("B. Example", "C. Example", "D. Example"),
        conditions=("Nobody draws conclusions about accuracy from it.",),
    )
