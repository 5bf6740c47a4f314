"""The probe and its command line."""

from __future__ import annotations

import argparse
import json

import pytest

from lfr_edge.capture.probe import face_sizes, probe_camera
from lfr_edge.cli import camera
from lfr_edge.clock import SystemClock
from lfr_edge.errors import CameraError
from lfr_edge.settings import CameraSettings
from tests.capture.conftest import PASSWORD


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    camera.register(parser.add_subparsers())
    return parser.parse_args(["camera", "probe", *words])


async def test_probe_measures_the_stream(server):
    settings = CameraSettings(id="gate", url=server.url("/cam1"))
    for _ in range(5):  # the camera is of this process, too, and falls behind where the machine is busy
        report = await probe_camera(settings, SystemClock(), seconds=1.5, min_eye_px=8)
        assert (report.codec, report.width, report.height, report.frozen) == ("h264", 320, 240, False)
        assert report.first_frame_s > 0
        assert 0 < report.latency_ms <= report.latency_p95_ms
        if 20 < report.fps < 30 and report.latency_ms < 1000:
            break
    assert 20 < report.fps < 30
    assert 25 <= report.frames <= 60
    assert report.latency_ms < 1000


async def test_probe_says_why_not(locked_server):
    settings = CameraSettings(id="gate", url=locked_server.url("/cam1"), username="x")
    with pytest.raises(CameraError) as caught:
        await probe_camera(settings, SystemClock(), seconds=1, min_eye_px=8)
    assert caught.value.code == "camera_auth_refused"


def test_faces_shrink_with_the_share():
    sizes = face_sizes(1920, 8)
    assert [size.face_px for size in sizes] == sorted((size.face_px for size in sizes), reverse=True)
    tenth = sizes[0]
    assert (tenth.share, tenth.view_m, tenth.face_px, tenth.eye_px, tenth.enough) == (
        10,
        1.6,
        192.0,
        75.6,
        True,
    )
    assert not sizes[-1].enough
    assert not any(size.enough for size in face_sizes(160, 8))


def test_command_prints_a_table(clips, capsys):
    arguments = parse(str(clips / "h264.mp4"), "--seconds", "0.6")
    assert arguments.run(arguments) == 0
    text = capsys.readouterr().out
    assert "320 x 240" in text
    assert "too small" in text


def test_command_prints_json(clips, capsys):
    arguments = parse(str(clips / "h264.mp4"), "--seconds", "9", "--json")
    assert arguments.run(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["codec"] == "h264"
    assert len(report["faces"]) == 6


def test_command_refuses_in_words(tmp_path):
    for url in ("ftp://u:hunter2@h/x", str(tmp_path / "absent"), f"rtsp://u:{PASSWORD}@h:bad/"):
        arguments = parse(url)
        with pytest.raises(CameraError) as caught:
            arguments.run(arguments)
        assert "hunter2" not in caught.value.diagnostics()
        assert "secret" not in caught.value.diagnostics()


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    assert "--ca-file" in capsys.readouterr().out
