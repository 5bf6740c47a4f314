"""The description of the JSON API, made from the code itself: routes, bodies, roles, answers.

A handler's body is the model that it reads (``read_body(request, Model)``), its summary the first line of its
docstring, who may call it the line of ``access.toml``. Nothing is written twice.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lfr_edge.console.answers import ANSWERS, QUERIES, UPLOADS, Answer, Fault, NoticeAnswer
from lfr_edge.console.door.access import Rule, load_rules
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.keys import OPENAPI

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
VERSION: Final = "1"  # rises when a member or a call goes away, not when one is added
_READS: Final = re.compile(r"read_body\(\s*request,\s*(\w+)\s*\)")
_PLACE: Final = re.compile(r"{(\w+)}")
_MODE: Final = "validation"
_REF: Final = "#/components/schemas/{model}"
_PATTERNS: Final = {
    "token": "^[0-9a-f]{32}$",
    "change": "^(disable|enable|reset)$",
    "camera": "^[a-z0-9_-]{1,32}$",
}
_ABOUT: Final = """\
The JSON that the console's own pages speak, and the event stream for other systems.

**People** sign in on the page; the session is a cookie. Every unsafe call needs `Origin` and `Sec-Fetch-Site` as a
browser sends them from the console's own pages. **Systems** send `Authorization: Bearer TOKEN`, and may read
`/api/events` (and `/metrics`, if `status` is among their events) and nothing else. Errors are objects with `error`,
`message` and `hint`. 409 means that somebody was first or that the moment is wrong; 403 `access_not_fresh` that
identity must be proven again.

The live channel of the desk is a WebSocket at `/live?after=CURSOR`; it is for the pages and may change with them."""


def document(rooms: Iterable[ModuleType]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the routes under ``/api/`` that `rooms` name."""
    rules = load_rules()
    routes = {route: handler for room in rooms for route, handler in room.ROUTES.items() if " /api/" in route}
    paths: dict[str, dict[str, Any]] = {}
    for route, handler in sorted(routes.items(), key=lambda item: item[0].split(" ")[::-1]):
        method, path = route.split(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(route, handler, rules[route])
    return {
        "openapi": "3.1.0",
        "info": {"title": "lfr-edge console", "version": VERSION, "description": _ABOUT},
        "paths": paths,
        "webhooks": {"alert": {"post": _webhook()}},
        "components": {
            "schemas": _schemas(routes.values()),
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-lfr-session"},
                "system": {"type": "http", "scheme": "bearer"},
            },
        },
    }


async def described(request: web.Request) -> web.Response:
    """This description."""
    return web.json_response(request.app[OPENAPI]())


def body_of(handler: Handler) -> type[BaseModel] | None:
    """The model that `handler` reads."""
    found = _READS.search(inspect.getsource(handler))
    if found is None:
        return None
    model = getattr(sys.modules[handler.__module__], found.group(1))
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    return model


def summary_of(handler: Handler) -> str:
    doc = inspect.getdoc(handler)
    return (
        doc.split("\n\n")[0].replace("\n", " ")
        if doc
        else handler.__name__.replace("_", " ").capitalize() + "."
    )


def roles_of(rule: Rule) -> tuple[str, ...]:
    if rule.anyone:
        return ("anyone",)
    if rule.systems:
        return ("system",)
    return ("everybody signed in",) if rule.roles == frozenset(Role) else tuple(sorted(rule.roles))


def _operation(route: str, handler: Handler, rule: Rule) -> dict[str, Any]:
    status, answer = ANSWERS.get(route, (200, None))
    operation: dict[str, Any] = {
        "operationId": f"{handler.__module__.rpartition('.')[2]}.{handler.__name__}",
        "summary": summary_of(handler),
        "description": f"For: {', '.join(roles_of(rule))}.",
        "responses": {
            str(status): {"description": "Done.", "content": _content(route, answer)},
            "default": {"description": "Refused.", "content": _json(Fault)},
        },
        "security": [] if rule.anyone else [{"system": []}] if rule.systems else [{"session": []}],
    }
    parameters = list(_parameters(route))
    if parameters:
        operation["parameters"] = parameters
    if (body := body_of(handler)) is not None:
        operation["requestBody"] = {"required": True, "content": _json(body)}
    elif kind := UPLOADS.get(route):
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": {"type": "object"}}}}
    return operation


def _parameters(route: str) -> Iterator[dict[str, Any]]:
    for name in _PLACE.findall(route):
        schema = {"type": "string", "minLength": 1, "maxLength": 128}
        if name in _PATTERNS:
            schema["pattern"] = _PATTERNS[name]
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for name, schema in QUERIES.get(route, {}).items():
        yield {"name": name, "in": "query", "required": False, "schema": schema}


def _content(route: str, answer: type[Answer] | None) -> dict[str, Any]:
    if route == "GET /api/events":
        return {"text/event-stream": {"schema": {"type": "string"}}, "application/x-ndjson": {
            "schema": _json(NoticeAnswer)["application/json"]["schema"]}}  # fmt: skip
    return _json(answer) if answer else {"application/json": {"schema": {"type": "object"}}}


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}


def _webhook() -> dict[str, Any]:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    header = {"type": "string"}
    return {
        "summary": "An event, sent to each webhook of the configuration.",
        "description": "Standard Webhooks: signature is `v1,` and the base64 of HMAC-SHA256 over"
        " `webhook-id.webhook-timestamp.body`. The same id is the same event, sent again.",
        "parameters": [{"name": name, "in": "header", "required": True, "schema": header} for name in names],
        "requestBody": {"required": True, "content": _json(NoticeAnswer)},
        "responses": {"2XX": {"description": "Taken."}},
    }


def _schemas(handlers: Iterable[Handler]) -> Mapping[str, Any]:
    every: list[type[BaseModel]] = [Fault, NoticeAnswer]
    every += [model for _, model in ANSWERS.values() if model is not None]
    every += [body for handler in handlers if (body := body_of(handler)) is not None]
    models = sorted(dict.fromkeys(every), key=lambda model: model.__name__)
    _, schema = models_json_schema([(model, _MODE) for model in models], ref_template=_REF)
    definitions: Mapping[str, Any] = schema["$defs"]
    return definitions


ROUTES: Final = {"GET /api/openapi.json": described}
