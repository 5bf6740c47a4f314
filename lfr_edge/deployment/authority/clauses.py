"""The authority, clause by clause, held against what the box is about to do.

Every line of a Written Authority Document (domain.md 4) is one clause with a number, a sentence and, where it does
not hold, what to do. Recognition starts only where all hold; a refusal names the clause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lfr_edge.deployment.authority import limits, rules
from lfr_edge.deployment.authority.case import Case, Finding
from lfr_edge.deployment.authority.document import SignedAuthority
from lfr_edge.deployment.authority.facts import Facts
from lfr_edge.errors import DeploymentError
from lfr_edge.sentences import listed, say


@dataclass(frozen=True, slots=True)
class Clause:
    """One line as people read it: what the authority says, or why it does not hold."""

    number: int
    code: str  # refusals are named authority_<code>
    title: str
    ok: bool
    text: str
    hint: str  # what to do; empty where the clause holds


@dataclass(frozen=True, slots=True)
class Rule:
    number: int
    title: str
    refusal: DeploymentError  # a pattern: code, and what to do
    check: Callable[[Case], Finding]

    @property
    def code(self) -> str:
        return self.refusal.code.removeprefix("authority_")


def _refusal(code: str, message: str, *, hint: str) -> DeploymentError:
    return DeploymentError(code, message, hint=hint)


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        1,
        "Signature",
        _refusal(
            "authority_signature",
            "nobody has signed this authority",
            hint="the Authorising Officer signs it with: lfr-edge authority sign FILE --key KEY",
        ),
        rules.signature,
    ),
    Rule(
        2,
        "Cancellation",
        _refusal(
            "authority_cancelled",
            "the authority was cancelled",
            hint="stop; another deployment needs a new authority",
        ),
        rules.cancellation,
    ),
    Rule(
        3,
        "Purpose",
        _refusal(
            "authority_purpose",
            "the authority is for another purpose",
            hint="models.purpose of the configuration and the authority must agree",
        ),
        rules.purpose,
    ),
    Rule(
        4,
        "Authorising Officer",
        _refusal(
            "authority_officer",
            "the officer may not authorise, or has not yet",
            hint="an officer of the rank of superintendent or above authorises",
        ),
        rules.officer,
    ),
    Rule(
        5,
        "Urgent oral authority",
        _refusal(
            "authority_urgent",
            "an oral authority lacks its written confirmation",
            hint="the Authorising Officer confirms it with: lfr-edge authority confirm FILE --key KEY",
        ),
        rules.urgency,
    ),
    Rule(
        6,
        "Window",
        _refusal(
            "authority_window",
            "it is not between start and end",
            hint="wait for the start, or get a new authority; an extension is a new authority",
        ),
        rules.window,
    ),
    Rule(
        7,
        "Use case",
        _refusal(
            "authority_use_case",
            "the use case and the paragraph of the policy do not belong together",
            hint="see the use cases in lfr-edge authority schema",
        ),
        rules.use_case,
    ),
    Rule(
        8,
        "Legal basis",
        _refusal(
            "authority_legal_basis",
            "no legal basis is written",
            hint="write the power that is relied on, and have it signed again",
        ),
        rules.legal_basis,
    ),
    Rule(
        9,
        "Objective",
        _refusal(
            "authority_objective",
            "no objective is written",
            hint="write what the deployment is for, and have it signed again",
        ),
        rules.objective,
    ),
    Rule(
        10,
        "Necessity",
        _refusal(
            "authority_necessity",
            "no necessity is written",
            hint="write why it is strictly necessary, and have it signed again",
        ),
        rules.necessity,
    ),
    Rule(
        11,
        "Proportionality",
        _refusal(
            "authority_proportionality",
            "no proportionality is written",
            hint="write why it is not excessive, and have it signed again",
        ),
        rules.proportionality,
    ),
    Rule(
        12,
        "Alternatives considered",
        _refusal(
            "authority_alternatives",
            "no alternatives are written",
            hint="write which less intrusive means were considered, and have it signed again",
        ),
        rules.alternatives,
    ),
    Rule(
        13,
        "Place",
        _refusal(
            "authority_place",
            "the box is not at the authorised place",
            hint="move the van, correct deployment.place, latitude and longitude, or get a new authority",
        ),
        limits.place,
    ),
    Rule(
        14,
        "Zone of recognition",
        _refusal(
            "authority_zone",
            "the zone of recognition is not described",
            hint="describe the area in which faces are looked at, and have it signed again",
        ),
        limits.zone,
    ),
    Rule(
        15,
        "Sensitive places",
        _refusal(
            "authority_sensitive_places",
            "nothing is said of sensitive places",
            hint="write what is near, or that there is nothing, and have it signed again",
        ),
        limits.sensitive_places,
    ),
    Rule(
        16,
        "Cameras",
        _refusal(
            "authority_cameras",
            "a camera is not in the authority",
            hint="remove the camera from the configuration, or get a new authority",
        ),
        limits.cameras,
    ),
    Rule(
        17,
        "Categories",
        _refusal(
            "authority_categories",
            "a category on the list is not in the authority",
            hint="compile the list without these entries, or get a new authority",
        ),
        limits.list_categories,
    ),
    Rule(
        18,
        "Criteria",
        _refusal(
            "authority_criteria",
            "the criteria of the list are not written",
            hint="write what puts a person on this list, and have it signed again",
        ),
        limits.criteria,
    ),
    Rule(
        19,
        "Size of the list",
        _refusal(
            "authority_list_size",
            "the list is larger than authorised",
            hint="compile a shorter list, or get a new authority",
        ),
        limits.list_size,
    ),
    Rule(
        20,
        "Image sources",
        _refusal(
            "authority_image_sources",
            "images come from a source that is not in the authority",
            hint="compile the list without these images, or get a new authority",
        ),
        limits.image_sources,
    ),
    Rule(
        21,
        "Under-18s",
        _refusal(
            "authority_under_18",
            "people under 18 are not authorised",
            hint="compile the list without these entries, or get a separate authority",
        ),
        limits.under_18,
    ),
    Rule(
        22,
        "Age of the list",
        _refusal(
            "authority_compiled",
            "the list was not compiled in the last 24 hours",
            hint="compile the list again from current data",
        ),
        limits.compiled,
    ),
    Rule(
        23,
        "Threshold",
        _refusal(
            "authority_threshold",
            "the threshold is below the authorised floor",
            hint="raise matching.threshold, or choose a lower target_fpir",
        ),
        limits.threshold,
    ),
    Rule(
        24,
        "Retention",
        _refusal(
            "authority_retention",
            "data would be kept longer than authorised",
            hint="shorten retention in the configuration",
        ),
        limits.retention,
    ),
    Rule(
        25,
        "Assessments",
        _refusal(
            "authority_assessments",
            "an assessment lacks its reference or version",
            hint="name DPIA, EIA, CIA and APD with their versions, and have it signed again",
        ),
        rules.assessments,
    ),
    Rule(
        26,
        "Command",
        _refusal(
            "authority_command",
            "gold, silver or bronze is not named",
            hint="name all three, and have it signed again",
        ),
        rules.command,
    ),
    Rule(
        27,
        "Conditions",
        _refusal(
            "authority_conditions",
            "a condition is empty",
            hint="write it or remove it, and have it signed again",
        ),
        rules.conditions,
    ),
)


def clauses(signed: SignedAuthority, facts: Facts | None) -> tuple[Clause, ...]:
    """Every clause with its verdict, in the order of the document.

    Args:
        facts: None judges the document alone, as before signing: what depends on box, list or clock then holds.
    """
    case = Case(signed, facts)
    return tuple(_judged(rule, rule.check(case)) for rule in RULES)


def _judged(rule: Rule, finding: Finding) -> Clause:
    ok = not finding.problem
    hint = "" if ok else rule.refusal.hint
    return Clause(rule.number, rule.code, rule.title, ok, finding.says if ok else finding.problem, hint)


def named(clause: Clause) -> str:
    """As a refusal names it."""
    return say(
        "clause {number}, {title}: {text}", number=clause.number, title=say(clause.title), text=clause.text
    )


def refuse(found: Sequence[Clause]) -> None:
    """Return only where every clause holds.

    Raises:
        DeploymentError: ``authority_<code>`` of the first clause that does not; the message names all of them.
    """
    broken = [clause for clause in found if not clause.ok]
    if broken:
        first = broken[0]
        lines = listed((named(clause) for clause in broken), "; ")
        raise DeploymentError(f"authority_{first.code}", lines, hint=first.hint)


def threshold_change(signed: SignedAuthority, role: str, threshold: float) -> Clause:
    """Whether somebody in `role` may propose this threshold while live: who may, and the floor (clause 23)."""
    rule = next(rule for rule in RULES if rule.code == "threshold")
    terms = signed.authority.threshold
    if role not in terms.changed_by:
        return _judged(
            rule,
            Finding(
                "",
                say(
                    "the authority does not let a {role} change the threshold",
                    role=say(role.replace("_", " ")),
                ),
            ),
        )
    if not threshold >= terms.floor:
        return _judged(
            rule,
            Finding(
                "",
                say(
                    "{threshold:.4f} is below the floor of {floor:.4f}",
                    threshold=threshold,
                    floor=terms.floor,
                ),
            ),
        )
    return _judged(
        rule,
        Finding(
            say(
                "{threshold:.4f} is not below the floor of {floor:.4f}",
                threshold=threshold,
                floor=terms.floor,
            )
        ),
    )
