"""FFmpeg's many ways to fail, as the few that a person can act on. No text of FFmpeg's is passed on: it holds
the address with the password in it."""

from __future__ import annotations

import errno
from typing import Final

from av import error as av_error

from lfr_edge.capture.source import SourceSpec, redact
from lfr_edge.errors import CameraError
from lfr_edge.sentences import say

_UNREACHABLE: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
_REFUSED: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})
_NEARLY: Final = 0.9  # share of the open timeout after which a failure is the timeout


def opening_error(error: Exception, spec: SourceSpec, took_s: float) -> CameraError:
    """What kept the source from opening."""
    place = _place(spec)
    if isinstance(error, av_error.HTTPUnauthorizedError | av_error.HTTPForbiddenError):
        return CameraError(
            "camera_auth_refused",
            say("{place} refuses the user name or the password", place=place),
            hint="check username and password_file of this camera",
        )
    if isinstance(error, av_error.HTTPNotFoundError | av_error.FileNotFoundError):
        return CameraError(
            "camera_not_found",
            say("{place} has no such stream", place=place),
            hint="check the path in the camera's url",
        )
    if spec.live and (
        isinstance(error, av_error.ExitError | av_error.TimeoutError)
        or took_s >= _NEARLY * spec.open_timeout_s
    ):
        return CameraError(
            "camera_timeout",
            say(
                "{place} did not answer in {open_timeout_s:g} s",
                place=place,
                open_timeout_s=spec.open_timeout_s,
            ),
            hint="check power and network",
        )
    by_number = _network_error(getattr(error, "errno", None), spec)
    if by_number is not None:
        return by_number
    if isinstance(error, av_error.DecoderNotFoundError | av_error.HTTPClientError | av_error.HTTPServerError):
        return CameraError(
            "camera_unreadable",
            say("{place} refuses the request", place=place),
            hint="check the path and the transport",
        )
    if isinstance(error, av_error.InvalidDataError | av_error.EOFError | ValueError):
        return CameraError(
            "camera_unreadable",
            say("{place} sends no readable video", place=place),
            hint="check the path of the stream",
        )
    return CameraError(
        "camera_unreadable",
        say("{place} cannot be opened: {reason}", place=place, reason=_reason(error, spec)),
    )


def _network_error(number: int | None, spec: SourceSpec) -> CameraError | None:
    """What the network said, by its errno."""
    place = _place(spec)
    if number in _REFUSED:
        return CameraError(
            "camera_refused",
            say("{place} refuses the connection", place=place),
            hint="check that RTSP is on, and the port",
        )
    if number in _UNREACHABLE:
        return CameraError(
            "camera_unreachable",
            say("{place} cannot be reached", place=place),
            hint="check cable, switch and address",
        )
    if spec.url.startswith("rtsps:") and number == errno.EIO:
        return CameraError(
            "camera_tls_untrusted",
            say("the certificate of {place} could not be verified", place=place),
            hint="set ca_file to the certificate authority that signed the camera's certificate",
        )
    return None


def reading_error(error: Exception, spec: SourceSpec) -> CameraError:
    """What ended a source that was open."""
    place = _place(spec)
    if isinstance(error, av_error.ExitError | av_error.TimeoutError):
        return CameraError(
            "camera_timeout", say("{place} stopped sending", place=place), hint="check power and network"
        )
    if getattr(error, "errno", None) in _REFUSED:
        return CameraError(
            "camera_ended", say("{place} closed the connection", place=place), hint="check power and network"
        )
    if isinstance(error, av_error.EOFError):
        return ended(spec)
    return CameraError(
        "camera_unreadable",
        say("{place} cannot be read further: {reason}", place=place, reason=_reason(error, spec)),
    )


def ended(spec: SourceSpec) -> CameraError:
    return CameraError(
        "camera_ended", say("{place} ended the stream", place=_place(spec)), hint="check power and network"
    )


def _place(spec: SourceSpec) -> str:
    if not spec.live:
        return redact(spec.url.rsplit("/", 1)[-1], spec)
    host, port = spec.endpoint
    return f"{host}:{port}"


def _reason(error: Exception, spec: SourceSpec) -> str:
    return redact(getattr(error, "strerror", None) or type(error).__name__, spec)
