"""The pages. Each is complete as it arrives; scripts add what changes."""

from __future__ import annotations

import json
from typing import Any, Final

import jinja2
from aiohttp import web

from lfr_edge.alerts.factors import Answer, EnvironmentFactor, SubjectFactor, SystemFactor
from lfr_edge.clock import utc_text
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.door.guard import see_other, session_of
from lfr_edge.console.keys import PORTS, RULES, SESSION
from lfr_edge.console.language import spoken
from lfr_edge.console.sayings import Sayings
from lfr_edge.console.texts import LANGUAGES, Texts
from lfr_edge.console.views import source_title, status_view
from lfr_edge.deployment.report.svg import svg
from lfr_edge.deployment.report.wording import percent

# One key a factor, in three rows of the keyboard, so that hands stay where they are.
FACTOR_KEYS: Final = {
    "subject": tuple(zip("qwertyu", SubjectFactor, strict=True)),
    "system": tuple(zip("asdf", SystemFactor, strict=True)),
    "environment": tuple(zip("zxcvb", EnvironmentFactor, strict=True)),
}
# In the order of a deployment's life; who sees which is for access.toml to say.
_NAV: Final = (
    "/desk", "/engagement", "/deployment", "/approvals", "/watchlist", "/supervision", "/holds", "/system",
    "/reports", "/accuracy", "/audit", "/anchors", "/notice", "/accounts",
)  # fmt: skip
# The first of these that there is; for a role that is not named, the first page of its menu.
_HOME: Final[dict[Role, tuple[str, ...]]] = {
    Role.OPERATOR: ("/desk",),
    Role.DEPLOYMENT_OFFICER: ("/deployment", "/system"),
    Role.AUTHORISING_OFFICER: ("/approvals", "/watchlist"),
    Role.AUDITOR: ("/audit",),
    Role.ENGINEER: ("/system",),
}


def environment(texts: Texts, said: Sayings) -> jinja2.Environment:
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("lfr_edge.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.globals["t"] = texts
    pages.globals["said"] = said.html
    pages.globals["languages"] = LANGUAGES
    pages.globals["role_name"] = lambda role: texts(f"role.{role}") if role in set(Role) else role
    pages.globals["source_title"] = lambda code: source_title(code, said)
    pages.filters["utc"] = lambda wall_ns: utc_text(wall_ns)[:19].replace("T", " ") + " UTC"
    pages.filters["percent"] = lambda share: f"{percent(share)} %"
    pages.globals["svg"] = svg
    pages.filters["grouped"] = lambda n: f"{n:,}".replace(",", "\u202f")
    return pages


def render(request: web.Request, template: str, **values: Any) -> web.Response:
    session = request.get(SESSION)
    nav = tuple(path for path in _NAV if session and _admits(request, path, session.role))
    language = spoken(request)
    script_texts = json.dumps(language.texts.section("js")).replace("<", "\\u003c")
    html = language.pages.get_template(template).render(
        session=session,
        nav=nav,
        path=request.path,
        site=request.app[PORTS].site,
        script_texts=script_texts,
        **values,
    )
    return web.Response(text=html, content_type="text/html")


async def home(request: web.Request) -> web.Response:
    role = session_of(request).role
    return see_other(next(path for path in (*_HOME.get(role, ()), *_NAV) if _admits(request, path, role)))


def _admits(request: web.Request, path: str, role: Role) -> bool:
    rule = request.app[RULES].get(f"GET {path}")
    return rule is not None and rule.admits(role)


async def desk(request: web.Request) -> web.Response:
    cameras = request.app[PORTS].system.status().cameras
    return render(request, "desk.html", answers=tuple(Answer), factor_keys=FACTOR_KEYS, cameras=cameras)


async def system(request: web.Request) -> web.Response:
    ports = request.app[PORTS]
    status = ports.system.status()
    may_pause = request.app[RULES]["POST /api/pause"].admits(session_of(request).role)
    view = status_view(status, ports.desk_counts(), spoken(request).said)
    return render(request, "system.html", status=status, view=view, may_pause=may_pause)


async def accounts(request: web.Request) -> web.Response:
    found = request.app[PORTS].accounts.all()
    roles = tuple(role for role in Role if role is not Role.AUTHORISING_OFFICER)  # see api.add_account
    return render(request, "accounts.html", accounts=found, roles=roles, me=session_of(request).account)


async def me(request: web.Request) -> web.Response:
    ports, session = request.app[PORTS], session_of(request)
    account = ports.accounts.get(session.account)
    passkeys = account.passkeys if account else ()
    return render(request, "me.html", passkeys=passkeys, dns_name=ports.dns_name)


ROUTES: Final = {
    "GET /me": me,
    "GET /": home,
    "GET /desk": desk,
    "GET /system": system,
    "GET /accounts": accounts,
}
