"""HTTP bodies: pydantic at the border, our own errors behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lfr_edge.alerts.factors import Answer
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.console.door.accounts import Role
from lfr_edge.errors import AccessError
from lfr_edge.sentences import listed, own_words, say

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Why = Annotated[str, Field(min_length=3, max_length=500)]
Words = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FactorsBody(Body):
    subject: Words = []
    system: Words = []
    environment: Words = []


class LookBody(Body):
    answer: Answer
    factors: FactorsBody
    note: Annotated[str, Field(max_length=2000)] = ""
    version: Annotated[int, Field(ge=0, le=10**6)]


class OutcomeBody(Body):
    outcome: Outcome
    identity: Identity
    version: Annotated[int, Field(ge=0, le=10**6)]


class TakeBody(Body):
    version: Annotated[int, Field(ge=0, le=10**6)]


class ExportBody(Body):
    alerts: Annotated[list[Annotated[int, Field(ge=1, le=10**6)]], Field(min_length=1, max_length=50)]
    why: Why


class VerifyBody(Body):
    deployment: Annotated[str, Field(max_length=40)] = ""


class EmptyBody(Body):
    """Nothing to say: the address says it."""


class WhyBody(Body):
    why: Why


class PasswordBody(Body):
    password: Annotated[str, Field(max_length=256)]


class Credential(BaseModel):
    """A credential as ``PublicKeyCredential.toJSON()`` writes it. What browsers add later is let through: the
    library reads what it knows."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[str, Field(max_length=1400, pattern=r"^[A-Za-z0-9_-]*$")]
    rawId: Annotated[str, Field(max_length=1400)]  # noqa: N815 - the specification's name
    type: Literal["public-key"]
    response: Annotated[dict[str, Any], Field(max_length=20)]

    def plain(self) -> dict[str, Any]:
        return self.model_dump()


class CredentialBody(Body):
    credential: Credential
    next: Annotated[str, Field(max_length=200)] = "/"


class PasskeyBody(Body):
    credential: Credential
    name: Annotated[str, Field(min_length=1, max_length=40)]


class AccountBody(Body):
    name: Annotated[str, Field(max_length=32)]
    role: Role


B = TypeVar("B", bound=Body)


def _wrong(error: ErrorDetails) -> str:
    """The field, and the bound that it broke; never what was sent."""
    name = ".".join(map(str, error["loc"])) or "body"
    bounds = error.get("ctx", {})
    match error["type"]:
        case "less_than_equal":
            return say("{name} (at most {most})", name=name, most=bounds["le"])
        case "greater_than_equal":
            return say("{name} (at least {least})", name=name, least=bounds["ge"])
        case "string_too_long":
            return say("{name} (at most {most} characters)", name=name, most=bounds["max_length"])
        case "string_too_short":
            return say("{name} (at least {least} characters)", name=name, least=bounds["min_length"])
        case "too_long":
            return say("{name} (at most {most} of them)", name=name, most=bounds["max_length"])
    return own_words(name)


async def read_body(request: web.Request, kind: type[B]) -> B:
    """The JSON body as `kind`.

    Raises:
        AccessError: ``body_invalid``; names the field, never repeats the input.
    """
    if request.content_type != "application/json":
        raise AccessError("body_invalid", "the body must be application/json")
    raw = await request.read()
    try:
        return kind.model_validate(json.loads(raw))
    except ValidationError as error:
        fields = listed(map(_wrong, error.errors(include_input=False)))
        raise AccessError(
            "body_invalid", say("these fields are missing or wrong: {fields}", fields=fields)
        ) from None
    except (ValueError, RecursionError):
        raise AccessError("body_invalid", "the body is not JSON") from None
