"""Our errors as HTTP answers: a page for a person, JSON for a script; never a traceback."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from lfr_edge.alerts.refusals import AlreadyDecidedError, AlreadyTakenError
from lfr_edge.console.keys import PORTS, SESSION
from lfr_edge.console.language import spoken
from lfr_edge.console.views import view_for
from lfr_edge.deployment.control.proposal import ControlError
from lfr_edge.errors import AccessError, AuditError, DeploymentError, LfrError, WatchlistError

_STATUS: Final = {
    "access_approver_protected": 403,
    "access_code_refused": 403,
    "access_cross_site": 403,
    "access_host_refused": 403,
    "access_name_taken": 409,
    "access_not_fresh": 403,
    "access_passkey_known": 409,
    "access_passkey_unknown": 404,
    "access_passkeys_full": 409,
    "access_passkeys_unavailable": 409,
    "access_proof_refused": 403,
    "access_refused": 401,
    "access_role_refused": 403,
    "access_signed_out": 401,
    "access_system_refused": 401,
    "access_too_many_tries": 429,
    "access_unknown": 404,
    "alert_already_decided": 409,
    "alert_changed": 409,
    "alert_material_failed": 503,
    "alert_pictures_damaged": 410,
    "alert_pictures_erased": 410,
    "alert_second_look_by_same_person": 409,
    "alert_already_taken": 409,
    "alert_is_drill": 409,
    "alert_look_first": 409,
    "alert_not_engaged": 409,
    "alert_store_failed": 503,
    "alert_unknown": 404,
    "alert_wrong_state": 409,
    "control_role_changed": 403,
    "control_role_refused": 403,
    "control_same_person": 403,
    "control_stale_sign_in": 403,
    "control_store_damaged": 503,
    "control_unknown": 404,
    "stream_not_configured": 409,
    "stream_taken": 429,
    "change_outdated": 409,
    "alert_not_held": 409,
    "anchor_code_wrong": 409,
    "anchor_contradicts": 409,
    "anchor_not_printed": 409,
    "anchor_unknown": 404,
    "hold_interrupted": 409,
    "hold_not_held": 409,
    "hold_unknown": 404,
    "notice_no_authority": 404,
    "deployment_busy": 409,
    "deployment_ended": 409,
    "deployment_ending": 409,
    "deployment_not_started": 409,
    "deployment_running": 409,
    "trust_key_known": 409,
    "trust_key_unknown": 404,
    "trust_store_damaged": 503,
    "audit_entry_missing": 404,
    "audit_entry_unsigned": 409,
    "audit_log_unknown": 404,
    "audit_report_refused": 409,
    "audit_report_unsigned": 409,
}


def status_of(error: LfrError) -> int:
    if error.code in _STATUS:
        return _STATUS[error.code]
    if isinstance(error, DeploymentError) and error.code.startswith(("authority_", "readiness_")):
        return 409  # not authorised here and now
    if isinstance(error, ControlError):
        return 409  # the proposal is no longer what the page shows
    if isinstance(error, AuditError):
        return 503  # without a record nothing is done
    if isinstance(error, WatchlistError):
        return 404 if error.code.endswith("_unknown") else 409
    return 400


def fault_response(request: web.Request, error: LfrError, status: int | None = None) -> web.StreamResponse:
    status = status or status_of(error)
    if not request.path.startswith(("/api/", "/live")) and "text/html" in request.headers.get("Accept", ""):
        return fault_page(request, error, status)
    told = spoken(request).said.told(error.code, message=error.message, hint=error.hint)
    body: dict[str, object] = {"error": error.code, **told}
    if isinstance(error, AlreadyDecidedError | AlreadyTakenError) and SESSION in request:
        body["winner"] = view_for(
            request.app[PORTS].desk, request[SESSION], error.winner, spoken(request).said
        )
    return web.json_response(body, status=status)


def fault_page(request: web.Request, error: LfrError, status: int) -> web.Response:
    session = request.get(SESSION)
    html = (
        spoken(request)
        .pages.get_template("fault.html")
        .render(
            session=session,
            nav=(),
            path=request.path,
            error=error,
            status=status,
            site=request.app[PORTS].site,
        )
    )
    return web.Response(text=html, content_type="text/html", status=status)


def too_many_tries() -> AccessError:
    return AccessError(
        "access_too_many_tries",
        "too many tries",
        hint="wait a minute, then try again; ten a minute are allowed",
    )
