"""The erasure ledger: every template that was ever computed, and what became of it.

``processed = erased + retained`` holds at every moment the ledger is read. The four numbers behind it are
counted in four different places (the embedder, the occupied slots, the wipe, the alert channel), so the equation
is a check and not a definition; a reading that does not balance raises.
"""

from __future__ import annotations

from dataclasses import dataclass

from lfr_edge.errors import RecogniserError
from lfr_edge.sentences import say


@dataclass(frozen=True, slots=True)
class Reading:
    """The ledger at one moment between two match steps."""

    frames: int  # frames in which faces were looked for
    faces: int  # detections in those frames
    probes: int  # templates computed so far
    held: int  # templates of passages still in front of a camera: their fate is not decided yet
    processed: int  # templates whose fate is decided: probes - held
    erased: int  # of these, overwritten without a trace
    retained: int  # of these, kept as the picture of an alert (the template itself is overwritten, too)
    explained: int = (
        0  # of `probes`: variants of an alert's own crops, made to explain it; nobody walked past
    )

    def to_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


class Ledger:
    """Counts; never holds anything biometric. **Thread rule:** the recogniser's only thread."""

    def __init__(self) -> None:
        self._frames = self._faces = self._probes = self._erased = self._retained = self._explained = 0

    def looked(self, faces: int) -> None:
        """One frame went through the detector."""
        self._frames += 1
        self._faces += faces

    def embedded(self, templates: int) -> None:
        self._probes += templates

    def explained(self, templates: int) -> None:
        """Templates of an alert's own crops; they count like any other, and apart."""
        self._probes += templates
        self._explained += templates

    def erased(self, templates: int) -> None:
        self._erased += templates

    def retained(self, templates: int) -> None:
        self._retained += templates

    def read(self, held: int) -> Reading:
        """The balance; `held` is counted from the slots that are occupied now, not kept here.

        Raises:
            RecogniserError: ``recogniser_ledger`` if a template is unaccounted for. The process must not go on.
        """
        processed = self._probes - held
        if processed != self._erased + self._retained:
            raise RecogniserError(
                "recogniser_ledger",
                say(
                    "the erasure ledger does not balance: {processed} processed, {erased} erased, "
                    "{retained} retained",
                    processed=processed,
                    erased=self._erased,
                    retained=self._retained,
                ),
                hint="recognition stops; keep the audit log and report this as a fault",
            )
        return Reading(
            self._frames, self._faces, self._probes, held, processed,
            self._erased, self._retained, self._explained,
        )  # fmt: skip
