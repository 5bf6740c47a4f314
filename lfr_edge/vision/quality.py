"""How usable a face is, and why not: six components, each 0 to 1, and words for a person.

The components are cheap and explainable on purpose. They choose the best shot of a passage, keep hopeless faces
out of the network, and tell whoever compiles a watchlist what is wrong with a photograph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lfr_edge.capture.frame import UInt8Array
from lfr_edge.sentences import say
from lfr_edge.vision.faces import Faces, Float32Array

Float64Array = NDArray[np.float64]

# A frontal head in units of the ArcFace crop: x, y as its template has them, z towards the camera. With 63 mm
# between the eyes (35 crop pixels) the nose tip stands about 32 mm and the mouth about 9 mm before the eyes.
# The nose is set 3 pixels lower than in the template: so the median pitch of LFW's press photographs is 0.
_HEAD: Final = np.array(
    [
        (38.2946, 51.6963, 0.0),
        (73.5318, 51.5014, 0.0),
        (56.0252, 74.9, 18.0),
        (41.5493, 92.3655, 5.0),
        (70.7299, 92.2041, 5.0),
    ]
)
_TO_POSE: Final = np.linalg.pinv(_HEAD - _HEAD.mean(axis=0))  # (3, 5)

# (value that gives 0, value that gives 1); between them linear. Sizes: ../models/README.md, recognition falls
# from 64 % at 48 px faces (about 20 px between the eyes) to 14 % at 32 px (13).
_EYE_PX: Final = (8.0, 32.0)
_TURN_DEG: Final = (60.0, 15.0)
_DARK: Final = (20.0, 60.0)  # mean luma
_BRIGHT: Final = (245.0, 200.0)
_CONTRAST: Final = (8.0, 30.0)  # standard deviation of luma
_SHARPNESS: Final = (2.0, 14.0)  # standard deviation of the Laplacian of the aligned crop
_SCORE: Final = (0.3, 0.85)
_INSIDE: Final = (0.7, 1.0)  # share of the box that lies in the picture
_WEAK: Final = 0.5  # a component below this is worth a word
_FLOOR: Final = 0.02
# Exponents of the product. Size and sharpness decide most of what a network can tell.
_WEIGHTS: Final = {"size": 1.0, "sharpness": 1.0, "pose": 1.0, "light": 0.5, "inside": 0.5, "score": 0.5}
_ALL_WEIGHTS: Final = sum(_WEIGHTS.values())


@dataclass(frozen=True, slots=True)
class Geometry:
    """The part of :class:`Quality` that boxes, points and scores tell, before a face is cut out."""

    size: Float32Array  # as in Quality, (n,) each
    pose: Float32Array
    inside: Float32Array
    score: Float32Array
    eye_px: Float32Array
    yaw_deg: Float32Array
    pitch_deg: Float32Array
    roll_deg: Float32Array

    def __len__(self) -> int:
        return len(self.size)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Geometry:
        return Geometry(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def most(self) -> Float32Array:
        """(n,) the highest :attr:`Quality.overall` that these faces can have, whatever their crops show."""
        return _mean(self, ("size", "pose", "inside", "score"))


@dataclass(frozen=True, slots=True)
class Quality:
    """Row i of every array is face i. Components are 0 (unusable) to 1 (as good as needed)."""

    size: Float32Array  # (n,) from the distance between the eyes
    sharpness: Float32Array  # (n,) from the aligned crop
    pose: Float32Array  # (n,) from yaw and pitch; 1 is frontal
    light: Float32Array  # (n,) exposure and contrast
    inside: Float32Array  # (n,) how much of the box lies in the picture
    score: Float32Array  # (n,) the detector's
    eye_px: Float32Array  # (n,) pixels of the full frame
    yaw_deg: Float32Array  # (n,) positive: the subject looks to the picture's right
    pitch_deg: Float32Array  # (n,) positive: the subject looks down
    roll_deg: Float32Array  # (n,) positive: the head is turned clockwise in the picture
    luma: Float32Array  # (n,) mean, 0..255

    def __len__(self) -> int:
        return len(self.size)

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Quality:
        return Quality(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def measures(self, i: int) -> dict[str, float]:
        """Face `i` in numbers for a record: no picture, no template."""
        fields = {name: round(float(getattr(self, name)[i]), 3) for name in self.__dataclass_fields__}
        return {"overall": round(float(self.overall[i]), 3), **fields}

    @property
    def overall(self) -> Float32Array:
        """(n,) weighted geometric mean: no component makes up for another.

        Never quite 0, so that hopeless looks still have an order and the best of them is tried first.
        """
        return _mean(self, _WEIGHTS)

    def explain(self, i: int) -> tuple[str, ...]:
        """What is wrong with face `i`, in plain words, worst first; empty where nothing is."""
        side = say("left") if self.yaw_deg[i] < 0 else say("right")
        upright = say("down") if self.pitch_deg[i] > 0 else say("up")
        turned = abs(self.yaw_deg[i]) >= abs(self.pitch_deg[i])
        if self.luma[i] < _DARK[1]:
            light = say("too dark")
        elif self.luma[i] > _BRIGHT[1]:
            light = say("too bright")
        else:
            light = say("too little contrast")
        words = {
            "size": say("too small: {px:.0f} px between the eyes", px=self.eye_px[i]),
            "sharpness": say("blurred"),
            "pose": say(
                "turned {degrees:.0f}° to the picture's {side}", degrees=abs(self.yaw_deg[i]), side=side
            )
            if turned
            else say("looking {degrees:.0f}° {way}", degrees=abs(self.pitch_deg[i]), way=upright),
            "light": light,
            "inside": say("cut off by the edge of the picture"),
            "score": say("the detector is not sure that this is a face"),
        }
        weak = [(float(getattr(self, name)[i]), name) for name in words if getattr(self, name)[i] < _WEAK]
        return tuple(words[name] for _, name in sorted(weak))


def geometry(faces: Faces, width: int, height: int) -> Geometry:
    """Of `faces` (n) in a picture of `width` × `height` pixels."""
    yaw, pitch, roll = head_pose(faces.points)
    eye_px = faces.eye_px
    return Geometry(
        size=_ramp(eye_px, _EYE_PX),
        pose=_ramp(np.hypot(yaw, pitch), _TURN_DEG),
        inside=_ramp(share_inside(faces.boxes, width, height), _INSIDE),
        score=_ramp(faces.scores, _SCORE),
        eye_px=eye_px,
        yaw_deg=yaw,
        pitch_deg=pitch,
        roll_deg=roll,
    )


def assess(known: Geometry, crops: UInt8Array, slots: Sequence[int]) -> Quality:
    """Quality of the faces of which so much is `known`.

    Face i's aligned BGR crop is ``crops[slots[i]]``. **Lifetime:** the grey pictures this works on are
    overwritten before it returns.
    """
    luma, contrast, edges = _look(crops, slots)
    exposure = np.minimum(_ramp(luma, _DARK), _ramp(luma, _BRIGHT))
    return Quality(
        size=known.size,
        sharpness=_ramp(edges, _SHARPNESS),
        pose=known.pose,
        light=exposure * _ramp(contrast, _CONTRAST),
        inside=known.inside,
        score=known.score,
        eye_px=known.eye_px,
        yaw_deg=known.yaw_deg,
        pitch_deg=known.pitch_deg,
        roll_deg=known.roll_deg,
        luma=luma,
    )


def _mean(of: Geometry | Quality, names: Iterable[str]) -> Float32Array:
    """(n,) product of the components `names`, each to its share of all weights. Those left out count as 1: as none
    is more than 1, fewer names never make it less."""
    product = np.ones(len(of), np.float32)
    for name in names:
        product *= np.maximum(getattr(of, name), _FLOOR) ** np.float32(_WEIGHTS[name] / _ALL_WEIGHTS)
    return product


def _look(crops: UInt8Array, slots: Sequence[int]) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Mean and spread of luma and spread of the Laplacian (n,), over the middle, where the face is."""
    shape: tuple[int, int] = crops.shape[1:3]
    grey, edges = np.zeros(shape, np.uint8), np.zeros(shape, np.int16)
    middle = tuple(slice(side // 6, side - side // 6) for side in shape)
    found = np.zeros((3, len(slots)), np.float32)
    for i, slot in enumerate(slots):
        cv2.cvtColor(crops[slot], cv2.COLOR_BGR2GRAY, dst=grey)
        cv2.Laplacian(grey, cv2.CV_16S, dst=edges)
        mean, spread = cv2.meanStdDev(grey[middle])
        found[:, i] = mean[0, 0], spread[0, 0], cv2.meanStdDev(edges[middle])[1][0, 0]
    grey[:] = 0
    edges[:] = 0
    return found[0], found[1], found[2]


def head_pose(points: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Yaw, pitch and roll in degrees, each (n,), from `points` (n, 5, 2).

    Weak perspective (Dementhon's POS): the best linear fit of a generic head to the five points, then its two
    rows read as a rotation. Five points of a stranger's face: good to about ten degrees, meant for sorting.
    """
    centred = points.astype(np.float64) - points.mean(axis=1, keepdims=True)
    rows = np.einsum("kj,njc->nck", _TO_POSE, centred)  # (n, 2, 3): image x and y in head axes
    length = np.linalg.norm(rows, axis=2, keepdims=True)
    right, down = (rows / np.maximum(length, 1e-9)).transpose(1, 0, 2)
    # Of the axis that points forward, right × down, nothing but its height is wanted.
    rise = right[:, 2] * down[:, 0] - right[:, 0] * down[:, 2]
    turn = np.arctan2(-right[:, 1], down[:, 1])  # undone first: it leaves no height in the ear-to-ear axis
    level = np.cos(turn)[:, None] * right + np.sin(turn)[:, None] * down
    yaw = np.degrees(np.arctan2(level[:, 2], level[:, 0]))
    pitch = np.degrees(np.arcsin(np.clip(-rise, -1, 1)))
    roll = np.degrees(turn)
    return yaw.astype(np.float32), pitch.astype(np.float32), roll.astype(np.float32)


def share_inside(boxes: Float32Array, width: int, height: int) -> Float32Array:
    """(n,) share of each box's area that lies in the picture."""
    limits = np.array([width, height], np.float32)
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    visible = np.maximum(np.minimum(boxes[:, 2:], limits) - np.maximum(boxes[:, :2], 0), 0)
    shares: Float32Array = (visible / size).prod(axis=1).astype(np.float32)
    return shares


def _ramp(values: Float32Array, ends: tuple[float, float]) -> Float32Array:
    """0 at the first end, 1 at the second, linear between; the ends may be in either order."""
    low, high = ends
    ramp: Float32Array = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    return ramp
