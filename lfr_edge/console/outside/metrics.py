"""What a monitoring system scrapes: the box's health in Prometheus' text format. Counts and states, nobody's data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final, get_args

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lfr_edge.alerts.desk import DeskCounts
from lfr_edge.console.keys import PORTS, SYSTEM
from lfr_edge.console.ports import CameraState, CameraStatus, Health, Phase, SystemStatus
from lfr_edge.errors import AccessError

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_MILLI: Final = 1e-3


class BoxMetrics(Collector):
    """One scrape's metrics. Units are seconds and counts, as Prometheus wants them."""

    def __init__(self, status: SystemStatus, desk: DeskCounts) -> None:
        self._status, self._desk = status, desk

    def collect(self) -> Iterator[Metric]:
        status = self._status
        yield _gauge("recognising", "1 while faces are looked at.", float(status.recognising))
        yield _states("phase", "Life of the deployment.", "phase", status.deployment.phase, get_args(Phase))
        yield _gauge("threshold", "Cosine similarity in force.", status.deployment.threshold)
        yield _gauge("watchlist_entries", "People on the running list.", status.deployment.list_size)
        remaining = status.deployment.remaining_s
        yield _gauge("authority_remaining_seconds", "Until the authority ends.", remaining)
        yield from self._ledger()
        yield from self._cameras()
        yield from self._alerts()
        yield _gauge("event_loop_lag_seconds", "Worst of the last ten seconds.", status.loop_lag_ms * _MILLI)
        yield _gauge(
            "power_watts", "Drawn by processors and cards; absent: not measured.", status.energy.watts
        )
        if status.energy.joules is not None:
            yield _counter("energy_joules", "Used since the service started.", status.energy.joules)
        troubles = GaugeMetricFamily("lfr_troubles", "Troubles that stand on the banner.", labels=["health"])
        for health in get_args(Health):
            troubles.add_metric([health], sum(one.health == health for one in status.troubles))
        yield troubles

    def _ledger(self) -> Iterator[Metric]:
        """``processed = erased + retained``: an alarm on the difference is an alarm on the promise."""
        ledger, counters = self._status.ledger, self._status.counters
        yield _counter("frames", "Frames looked at.", counters.frames)
        yield _counter("faces", "Detections.", counters.faces)
        yield _counter("probes", "Probes compared with the list.", counters.probes)
        yield _counter("templates_processed", "Templates whose fate is decided.", ledger.processed)
        yield _counter("templates_erased", "Templates erased at once.", ledger.erased)
        yield _counter("templates_retained", "Templates that became alerts.", ledger.retained)
        yield _gauge("templates_held", "Templates of people before a camera now.", ledger.held)

    def _cameras(self) -> Iterator[Metric]:
        cameras = self._status.cameras
        state = GaugeMetricFamily("lfr_camera_state", "1 for the state it is in.", labels=["camera", "state"])
        for camera in cameras:
            for name in get_args(CameraState):
                state.add_metric([camera.id, name], float(camera.state == name))
        yield state
        gauges: dict[str, tuple[str, str, float]] = {
            "fps": ("camera_frames_per_second", "Frames taken a second.", 1),
            "looks_per_s": ("camera_looks_per_second", "Frames looked at a second, over ten.", 1),
            "frame_age_ms": ("camera_frame_age_seconds", "Age of the newest frame.", _MILLI),
            "faces_per_min": ("camera_faces_per_minute", "Faces a minute.", 1),
            "median_eye_px": ("camera_inter_eye_pixels", "Median distance between the eyes.", 1),
            "sharpness": ("camera_sharpness_ratio", "Median of recent probes, 0 to 1.", 1),
            "light": ("camera_light_ratio", "Median of recent probes, 0 to 1.", 1),
        }
        for field, (name, text, unit) in gauges.items():
            family = GaugeMetricFamily(f"lfr_{name}", text, labels=["camera"])
            for camera in cameras:
                value = getattr(camera, field)
                if value is not None:
                    family.add_metric([camera.id], value * unit)
            yield family
        yield _per_camera("camera_dropped_frames", "Frames that a newer one replaced.", cameras, "drops")
        yield _per_camera("camera_blind_seconds", "Seconds without recognition.", cameras, "blind_s")

        drift = GaugeMetricFamily(
            "lfr_camera_drift_psi",
            "Distance of the last 500 passages from the baseline: 0.1 warn, 0.25 stop and review.",
            labels=["camera", "measure"],
        )
        for camera in cameras:
            for measure, value in camera.drift.items():
                drift.add_metric([camera.id, measure], value)
        yield drift

    def _alerts(self) -> Iterator[Metric]:
        desk = GaugeMetricFamily(
            "lfr_alerts", "Alerts of this deployment by what became of them.", labels=["state"]
        )
        for name, count in asdict(self._desk).items():
            desk.add_metric([name], count)
        yield desk
        latency = GaugeMetricFamily(
            "lfr_alert_latency_seconds", "Frame captured to alert offered.", labels=["quantile"]
        )
        measured = self._status.latency
        for quantile, value in (("0.5", measured.p50), ("0.95", measured.p95), ("0.99", measured.p99)):
            if value is not None:
                latency.add_metric([quantile], value * _MILLI)
        yield latency
        painted = None if measured.painted_p95 is None else measured.painted_p95 * _MILLI
        yield _gauge("alert_painted_p95_seconds", "Frame captured to alert on a screen.", painted)


async def metrics(request: web.Request) -> web.Response:
    """Health in Prometheus' text format, for an engineer or a system that may read ``status``."""
    system = request.get(SYSTEM)
    if system is not None and "status" not in system.events:
        raise AccessError(
            "access_system_refused", "this system may not read the status", hint='events = ["status"]'
        )
    ports = request.app[PORTS]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoxMetrics(ports.system.status(), ports.desk_counts()))
    return web.Response(body=generate_latest(registry), headers={"Content-Type": _TYPE})


def _gauge(name: str, text: str, value: float | None) -> Metric:
    """Without a value there is a name and no sample: absent is not zero."""
    family = GaugeMetricFamily(f"lfr_{name}", text, labels=[])
    if value is not None:
        family.add_metric([], value)
    return family


def _counter(name: str, text: str, value: float) -> Metric:
    family = CounterMetricFamily(f"lfr_{name}", text, labels=[])
    family.add_metric([], value)
    return family


def _states(name: str, text: str, label: str, now: str, states: tuple[str, ...]) -> Metric:
    family = GaugeMetricFamily(f"lfr_{name}", text, labels=[label])
    for state in states:
        family.add_metric([state], float(state == now))
    return family


def _per_camera(name: str, text: str, cameras: tuple[CameraStatus, ...], field: str) -> Metric:
    family = CounterMetricFamily(f"lfr_{name}", text, labels=["camera"])
    for camera in cameras:
        family.add_metric([camera.id], getattr(camera, field))
    return family


ROUTES: Final = {"GET /metrics": metrics}
