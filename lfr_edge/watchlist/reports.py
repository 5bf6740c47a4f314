"""What was found in one person's pictures, for a page, a terminal and the journal of a compile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lfr_edge.watchlist.picture_verdicts import ElementVerdict, Verdict


@dataclass(frozen=True, slots=True)
class ImageReport:
    image: str
    verdict: Verdict
    reasons: tuple[str, ...]
    eye_px: float | None = None
    quality: float | None = None
    elements: tuple[ElementVerdict, ...] = ()  # ISO/IEC 29794-5, in the order of picture_verdicts

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "eye_px": None if self.eye_px is None else round(self.eye_px, 1),
            "quality": None if self.quality is None else round(self.quality, 3),
            "elements": [element.to_json() for element in self.elements],
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> ImageReport:
        """Raises ValueError, KeyError or TypeError for what :meth:`to_json` did not write."""
        return ImageReport(
            raw["image"],
            Verdict(raw["verdict"]),
            tuple(raw["reasons"]),
            raw["eye_px"],
            raw["quality"],
            tuple(ElementVerdict.from_json(element) for element in raw["elements"]),
        )


@dataclass(frozen=True, slots=True)
class EntryReport:
    """`verdict` is REFUSE where no image can be used, WARN where one was refused or is weak."""

    reference: str
    verdict: Verdict
    images: tuple[ImageReport, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "verdict": self.verdict.value,
            "images": [image.to_json() for image in self.images],
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> EntryReport:
        """Raises ValueError, KeyError or TypeError for what :meth:`to_json` did not write."""
        images = tuple(ImageReport.from_json(image) for image in raw["images"])
        return EntryReport(raw["reference"], Verdict(raw["verdict"]), images)

    def brief(self) -> EntryReport:
        """Without the figures of what passed: 20,000 of these are kept in memory."""
        images = tuple(
            replace(image, elements=tuple(e for e in image.elements if e.verdict is not Verdict.PASS))
            for image in self.images
        )
        return replace(self, images=images)
