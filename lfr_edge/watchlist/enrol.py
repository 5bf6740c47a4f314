"""Each picture of a list → a verdict in plain words, and templates.

The room runs no networks: a :class:`Portraitist` (the vision room's stack) does, so that a picture on the list
takes exactly the way of a face before the camera.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final, Literal, Protocol

import numpy as np

from lfr_edge.errors import LfrError, WatchlistError
from lfr_edge.sentences import listed, say
from lfr_edge.vision.picture_quality import measure_picture
from lfr_edge.vision.pixels import face_picture
from lfr_edge.vision.portraits import Degradation, Found, Portrait
from lfr_edge.watchlist.container import Enrolled
from lfr_edge.watchlist.entry import Entry
from lfr_edge.watchlist.folder import Progress, Survey
from lfr_edge.watchlist.journal import Finished, record_name
from lfr_edge.watchlist.pages import Float32Array
from lfr_edge.watchlist.picture_verdicts import ElementVerdict, Verdict, judge_elements
from lfr_edge.watchlist.reports import EntryReport, ImageReport

# A face clearly in the foreground: its box has four times the area of any other.
_DOMINANT: Final = 4.0
_SHOWN: Final = 20
_MOST_AHEAD: Final = 64 << 20  # bytes of pictures that are read before it is their turn


class Portraitist(Protocol):
    """The vision side of enrolment. **Thread rule:** one thread at a time."""

    @property
    def dimension(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Of the model pack; templates of two packs cannot be compared."""
        ...

    def look(self, image: bytes) -> Portrait:
        """Decode and detect. Raises LfrError for bytes that are no picture."""
        ...

    def templates(self, portrait: Portrait, face: int, variants: Sequence[Degradation]) -> Float32Array:
        """(1 + variants, dimension) unit length: of the face as it is, then of each degraded variant."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What a picture must be. Inter-eye distances as console.md shows them: 60 px are good, below 20 useless."""

    refuse_eye_px: float = 20.0
    warn_eye_px: float = 60.0
    refuse_quality: float = 0.05
    warn_quality: float = 0.3
    several_faces: Literal["refuse", "central"] = "refuse"
    variants: tuple[Degradation, ...] = ()


@dataclass(frozen=True, slots=True)
class Usable:
    """What a picture gave. **Lifetime:** until it is sealed."""

    templates: Float32Array  # (1 + variants, dimension)
    shown: bytes = field(repr=False)  # JPEG of the face, cut and turned as an alert shows its probe


def enrol_list(
    survey: Survey, portraitist: Portraitist, rules: Rules | None = None, *, skip_refused: bool = False
) -> Iterator[Enrolled]:
    """Everybody on a surveyed list, ready for sealing; see :class:`Enrolment`.

    Raises:
        WatchlistError: ``watchlist_refused``, at the end, so that nothing is sealed.
    """
    return Enrolment(survey, portraitist, rules or Rules(), skip_refused).run()


def enrol_image(
    portraitist: Portraitist,
    name: str,
    data: bytes,
    rules: Rules,
    *,
    mark: tuple[float, float] | None = None,
) -> tuple[ImageReport, Usable | None]:
    """One picture: its verdict, and what it gave unless it is refused.

    `mark` is a point of the upright picture on the face that is meant, where there are several.
    """
    try:
        portrait = portraitist.look(data)
    except LfrError as error:
        return ImageReport(name, Verdict.REFUSE, (error.message,)), None
    chosen, reasons = choose_face(portrait, rules.several_faces, mark)
    if chosen is None:
        return ImageReport(name, Verdict.REFUSE, reasons), None
    face = portrait.found[chosen]
    elements = tuple(
        judge_elements(
            measure_picture(portrait, chosen, data),
            warn_eye_px=rules.warn_eye_px,
            refuse_eye_px=rules.refuse_eye_px,
        )
    )
    refusals, warnings = _judge(face, rules, elements)
    verdict = Verdict.REFUSE if refusals else Verdict.WARN if reasons or warnings else Verdict.PASS
    report = ImageReport(name, verdict, (*reasons, *refusals, *warnings), face.eye_px, face.quality, elements)
    if refusals:
        return report, None
    templates = portraitist.templates(portrait, chosen, rules.variants)
    if not np.isfinite(templates).all():
        return ImageReport(name, Verdict.REFUSE, (say("the network gave no usable template"),)), None
    still = portrait.picture
    return report, Usable(templates, face_picture(still.pixels, still.faces.points[chosen]))


class Memory(Protocol):
    """What was finished before: a :class:`~lfr_edge.watchlist.journal.Journal`, or nothing."""

    def take(self, name: bytes) -> Finished | None: ...

    def put(self, name: bytes, finished: Finished) -> None: ...


@dataclass(slots=True)
class Enrolment:
    """All entries of a survey in their order, memory bounded by a few entries.

    `helpers` are more portraitists of the same pack: each works in a thread of its own, the result is the same.

    Iterate :meth:`run` into :func:`~lfr_edge.watchlist.container.seal`; `reports` then says how it went. Where an
    entry is refused, `run` raises at its end, so that nothing is sealed; `skip_refused` leaves those people out
    instead. **Thread rule:** one thread; its own threads meet nothing but portraitists.
    """

    survey: Survey
    portraitist: Portraitist
    rules: Rules = field(default_factory=Rules)
    skip_refused: bool = False
    progress: Progress | None = None
    on_report: Callable[[EntryReport], None] | None = None  # with every element's figure
    memory: Memory | None = None
    helpers: Sequence[Portraitist] = ()
    reports: list[EntryReport] = field(default_factory=list)  # brief
    resumed: int = 0  # entries that came out of the memory
    twice: list[tuple[str, str]] = field(
        default_factory=list
    )  # references that share a picture, byte for byte
    _pictures: dict[bytes, str] = field(default_factory=dict)  # SHA-256 → whose picture it was first

    def run(self) -> Iterator[Enrolled]:
        """Raises WatchlistError ``watchlist_refused``, at the start for the survey, at the end for pictures."""
        total = len(self.survey.required().entries)
        for done, (entry, pictures, finished) in enumerate(self._finished(), 1):
            report = EntryReport.from_json(finished.report)
            self._note_twice(entry.reference, pictures.values())
            self.reports.append(report.brief())
            if self.on_report:
                self.on_report(report)
            if self.progress:
                self.progress(done, total)
            if report.verdict is not Verdict.REFUSE:
                yield _enrolled(entry, pictures, report, finished)
        refused = [report for report in self.reports if report.verdict is Verdict.REFUSE]
        if refused and not self.skip_refused:
            raise _refusal(refused)

    def _finished(self) -> Iterator[tuple[Entry, Mapping[str, bytes], Finished]]:
        """Every entry in its order, looked at by as many portraitists as there are, a few entries ahead."""
        free: SimpleQueue[Portraitist] = SimpleQueue()
        for portraitist in (self.portraitist, *self.helpers):
            free.put(portraitist)

        def look(entry: Entry, pictures: Mapping[str, bytes]) -> Finished:
            portraitist = free.get()
            try:
                return self._look(portraitist, entry, pictures)
            finally:
                free.put(portraitist)

        ahead: deque[tuple[Entry, Mapping[str, bytes], bytes, Finished | Future[Finished]]] = deque()
        workers, held = 1 + len(self.helpers), 0  # bytes of pictures that wait
        most = 2 * workers if self.helpers else 1
        with ThreadPoolExecutor(workers, thread_name_prefix="enrol") as pool:
            try:
                for entry in self.survey.entries:
                    pictures = {image.file: self._read(image.file) for image in entry.images}
                    name = record_name(entry, list(pictures.values())) if self.memory is not None else b""
                    known = self.memory.take(name) if self.memory is not None else None
                    ahead.append((entry, pictures, name, known or pool.submit(look, entry, pictures)))
                    held += sum(map(len, pictures.values()))
                    while ahead and (len(ahead) >= most or held > _MOST_AHEAD):
                        held -= sum(map(len, ahead[0][1].values()))
                        yield self._keep(*ahead.popleft())
                while ahead:
                    yield self._keep(*ahead.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _keep(
        self, entry: Entry, pictures: Mapping[str, bytes], name: bytes, found: Finished | Future[Finished]
    ) -> tuple[Entry, Mapping[str, bytes], Finished]:
        if isinstance(found, Finished):
            self.resumed += 1
            return entry, pictures, found
        finished = found.result()
        if self.memory is not None:
            self.memory.put(name, finished)
        return entry, pictures, finished

    def _look(self, portraitist: Portraitist, entry: Entry, pictures: Mapping[str, bytes]) -> Finished:
        reports: list[ImageReport] = []
        usable: list[Usable] = []
        for image in entry.images:
            report, gave = enrol_image(
                portraitist, image.file, pictures[image.file], self.rules, mark=image.face
            )
            reports.append(report)
            if gave is not None:
                usable.append(gave)
        worst = {report.verdict for report in reports}
        verdict = Verdict.WARN if usable else Verdict.REFUSE
        verdict = Verdict.PASS if worst == {Verdict.PASS} else verdict
        nothing = np.zeros((0, portraitist.dimension), np.float32)
        templates = np.vstack([nothing, *(gave.templates for gave in usable)])
        told = EntryReport(entry.reference, verdict, tuple(reports)).to_json()
        return Finished(told, templates, usable[0].shown if usable else b"")

    def _note_twice(self, reference: str, pictures: Iterable[bytes]) -> None:
        for picture in pictures:
            first = self._pictures.setdefault(hashlib.sha256(picture).digest(), reference)
            if first != reference and (first, reference) not in self.twice:
                self.twice.append((first, reference))

    def _read(self, name: str) -> bytes:
        try:
            return self.survey.pictures.read(name)
        except ValueError as error:
            raise WatchlistError(
                "watchlist_refused",
                say("the folder changed while it was read: {error}", error=error),
                hint="leave the folder alone until the list is sealed, and start again",
            ) from None


def _enrolled(
    entry: Entry, pictures: Mapping[str, bytes], report: EntryReport, finished: Finished
) -> Enrolled:
    kept = [image for image in report.images if image.verdict is not Verdict.REFUSE]
    names = [image.image for image in kept]
    said = tuple(dict.fromkeys(reason for image in kept for reason in image.reasons))
    shown = tuple(pictures[name] for name in names)
    first = kept[0]  # the portrait is cut from it
    measured = {"eye_px": first.eye_px, "overall": first.quality}
    quality = {name: value for name, value in measured.items() if value is not None}
    return Enrolled(entry.with_images(names), shown, finished.templates, finished.portrait, said, quality)


def choose_face(
    portrait: Portrait,
    several: Literal["refuse", "central"],
    mark: tuple[float, float] | None = None,
) -> tuple[int | None, tuple[str, ...]]:
    """Which face is meant, and what there is to say about the choice."""
    found = portrait.found
    if not found:
        return None, (say("no face was found in the picture"),)
    if mark is not None:
        return _marked(portrait, mark)
    if len(found) == 1:
        return 0, ()
    order = sorted(range(len(found)), key=lambda i: -found[i].area)
    if found[order[0]].area >= _DOMINANT * found[order[1]].area:
        return order[0], (
            say("{count} faces in the picture; the one in the foreground was taken", count=len(found)),
        )
    if several == "refuse":
        return None, (
            say("{count} faces in the picture; crop it to the person who is meant", count=len(found)),
        )
    return _central(portrait), (
        say("{count} faces in the picture; the one in the middle was taken", count=len(found)),
    )


def _marked(portrait: Portrait, mark: tuple[float, float]) -> tuple[int | None, tuple[str, ...]]:
    """The face under the mark; of several that overlap there, the one whose middle is nearest."""
    x, y = mark

    def away(i: int) -> float:
        x1, y1, x2, y2 = portrait.found[i].box
        return (x - (x1 + x2) / 2) ** 2 + (y - (y1 + y2) / 2) ** 2

    boxes = ((i, face.box) for i, face in enumerate(portrait.found))
    under = [i for i, (x1, y1, x2, y2) in boxes if x1 <= x <= x2 and y1 <= y <= y2]
    if not under:
        return None, (say("there is no face at the marked point ({x:.0f}, {y:.0f})", x=x, y=y),)
    return min(under, key=away), ()


def _central(portrait: Portrait) -> int:
    """The large face near the middle: the area less the squared distance from the centre."""

    def weight(face: Found) -> float:
        x1, y1, x2, y2 = face.box
        dx, dy = (x1 + x2 - portrait.width) / 2, (y1 + y2 - portrait.height) / 2
        return face.area - 2 * (dx * dx + dy * dy)

    return max(range(len(portrait.found)), key=lambda i: weight(portrait.found[i]))


def _judge(
    face: Found, rules: Rules, elements: Sequence[ElementVerdict]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    refusals = [one.reason for one in elements if one.verdict is Verdict.REFUSE]
    warnings = [one.reason for one in elements if one.verdict is Verdict.WARN]
    # The recogniser's own opinion, for what no single element shows.
    if face.quality < rules.refuse_quality:
        refusals.append(
            say("the face cannot be recognised in this picture: {why}", why=_listed(face.weaknesses))
        )
    elif face.quality < rules.warn_quality and not refusals and not warnings:
        warnings.append(say("weak picture: {why}", why=_listed(face.weaknesses)))
    return tuple(refusals), tuple(warnings)


def _listed(weaknesses: Sequence[str]) -> str:
    return listed(weaknesses) or say("low overall quality")


def _refusal(refused: Sequence[EntryReport]) -> WatchlistError:
    lines = [
        say(
            "{reference}, {image}: {reasons}",
            reference=report.reference,
            image=image.image,
            reasons=listed(image.reasons, "; "),
        )
        for report in refused[:_SHOWN]
        for image in report.images
    ]
    if len(refused) > _SHOWN:
        lines.append(say("… and {more} more people", more=len(refused) - _SHOWN))
    return WatchlistError(
        "watchlist_refused",
        say(
            "the list is refused, nothing was changed; no usable picture of {count} person(s):\n  {lines}",
            count=len(refused),
            lines=listed(lines, "\n  "),
        ),
        hint="supply better pictures, or leave these people out on purpose with --skip-refused",
    )
