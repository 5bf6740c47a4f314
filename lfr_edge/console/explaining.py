"""After the decision: which regions of the face carried the similarity, from the sealed process, on the record."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from lfr_edge.alerts.alert import SCORE_SCALE
from lfr_edge.console.door.guard import session_of
from lfr_edge.console.keys import PORTS
from lfr_edge.errors import RecogniserError


async def explanation(request: web.Request) -> web.Response:
    """Loss of cosine for each covered part of the camera's picture. Only for a decided alert, never for a drill."""
    ports = request.app[PORTS]
    session = session_of(request)
    if ports.explain is None:
        raise RecogniserError(
            "recogniser_cannot_explain",
            "nothing is running that could explain",
            hint="explanations are made by the recogniser, while a deployment runs",
        )
    pictures = await ports.desk.pictures_to_explain(request.match_info["token"], session.actor)
    told = await ports.explain(pictures.probe_jpeg, pictures.candidate_jpeg)
    return web.json_response(
        {
            "score": told.score_e4 / SCORE_SCALE,
            "cells": [[loss / SCORE_SCALE for loss in row] for row in told.cells],
        }
    )


ROUTES: Final = {
    "GET /api/alerts/{token}/explanation": explanation,
}
