"""The recognisers of one deployment, as one: each camera is looked at by exactly one of them.

Every member is a sealed process of its own with its own copy of networks and list, and knows nothing of the others.
They begin together and end together: when one dies the others are ended in order and all start anew, so that "since
the recogniser was started" means one moment on the record, and the ledger is the sum of theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lfr_edge.clock import Clock
from lfr_edge.errors import RecogniserError
from lfr_edge.recogniser.channel import Message
from lfr_edge.recogniser.handle import Ending, OnMessage, RecogniserHandle
from lfr_edge.recogniser.shares import Share, shares
from lfr_edge.recogniser.spec import StartSpec
from lfr_edge.vision.threads import available_cpus

_SUMMED: Final = ("suppressed", "passed_over", "put_off")


@dataclass(slots=True)
class _Member:
    share: Share
    handle: RecogniserHandle
    counters: dict[str, Any] | None = None  # its last pulse, or its receipt
    fresh: bool = False  # counted since the team's last pulse


class RecogniserTeam:
    """**Thread rule:** one event loop. **Lifetime:** one start, one end; the next start is another team.

    Args:
        on_message: as :class:`~lfr_edge.recogniser.handle.RecogniserHandle`. A ``pulse`` holds the sums of all, and
            comes when each has sent one: four a second, however many they are.
    """

    def __init__(self, clock: Clock, on_message: OnMessage) -> None:
        self._clock = clock
        self._on_message = on_message
        self._members: list[_Member] = []

    @property
    def members(self) -> tuple[RecogniserHandle, ...]:
        return tuple(member.handle for member in self._members)

    @property
    def idlest(self) -> RecogniserHandle:
        """Whoever has the fewest pixels to look at: for work that is no camera's."""
        return self._members[-1].handle

    async def start(self, spec: StartSpec, parts: tuple[bytes, ...]) -> dict[str, Any]:
        """Start them all at once and wait until each is sealed. Whoever fails takes the others along.

        Returns:
            What one :meth:`RecogniserHandle.start` returns, of all together, and ``recognisers``: how many.

        Raises:
            RecogniserError: as :meth:`RecogniserHandle.start`, the first one's.
        """
        for share in shares(spec.cameras, spec.models, cpus=available_cpus(), list_bytes=len(parts[0])):
            self._members.append(self._member(share))
        try:
            async with asyncio.TaskGroup() as group:
                starting = [
                    group.create_task(
                        member.handle.start(member.share.of(spec).model_dump(mode="json"), parts)
                    )
                    for member in self._members
                ]
        except BaseException as error:
            await self.kill()
            if isinstance(error, BaseExceptionGroup):
                raise error.exceptions[0] from None
            raise
        return _described([task.result() for task in starting])

    async def ended(self) -> Ending:
        """Wait for the first end of any of them, whoever caused it. The others go on until :meth:`stop`."""
        waiting = {asyncio.create_task(member.handle.ended()): member for member in self._members}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        first = done.pop()
        if len(waiting) == 1:
            return first.result()
        cameras = ", ".join(plan.id for plan in waiting[first].share.cameras)
        return replace(first.result(), message=f"{first.result().message} (it looked at {cameras})")

    def of(self, camera: str) -> RecogniserHandle:
        """Who looks at this camera. Raises KeyError where nobody does."""
        for member in self._members:
            if any(plan.id == camera for plan in member.share.cameras):
                return member.handle
        raise KeyError(camera)

    async def tell(
        self, kind: str, body: dict[str, Any] | None = None, parts: tuple[bytes, ...] = ()
    ) -> list[Message]:
        """Ask all of them at once, and wait for every answer.

        Raises:
            RecogniserError: as :meth:`RecogniserHandle.request`, the first one's, once all have answered or failed.
        """
        answers = await asyncio.gather(
            *(member.handle.request(kind, body, parts=parts) for member in self._members),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if isinstance(answer, Message)]

    async def add(self, parts: tuple[bytes, ...]) -> Message:
        """Put a sealed addition on everybody's list; the answer, which is the same of each.

        Raises:
            RecogniserError: as :meth:`tell`; ``recogniser_disagrees`` where some took it and some refused. They are
                ended then, and begin anew with the list that the desk has.
        """
        answers = await self.tell("add", parts=parts)
        if len({answer.body.get("code") for answer in answers}) > 1:
            await self.kill()
            raise RecogniserError(
                "recogniser_disagrees",
                "some recognisers took the addition and some refused it",
                hint="they start anew with the same list; look at the list before you add again",
            )
        return answers[0]

    async def stop(self) -> Ending:
        """End them in order. Without everybody's receipt the ending is that of one who left none.

        What all of them counted last, receipts included, is heard as a last pulse.
        """
        endings = await asyncio.gather(*(member.handle.stop() for member in self._members))
        for member, ending in zip(self._members, endings, strict=True):
            member.counters = ending.counters or member.counters
        await self._pulse()
        failed = next((ending for ending in endings if ending.counters is None), None)
        if failed is not None:
            return failed
        wiped = sum(ending.wiped or 0 for ending in endings)
        return replace(endings[0], wiped=wiped, counters=self._counted())

    async def kill(self) -> None:
        """SIGKILL, for all of them."""
        await asyncio.gather(*(member.handle.kill() for member in self._members))

    def _member(self, share: Share) -> _Member:
        # What it inherits, and nothing of another one's cameras.
        fds = [fd for plan in share.cameras for fd in (plan.slot_fd, plan.bell_fd)]

        async def hear(message: Message) -> None:
            if message.kind != "pulse":
                await self._on_message(message)
                return
            member.counters, member.fresh = message.body, True
            if all(one.fresh for one in self._members):
                for one in self._members:
                    one.fresh = False
                await self._pulse()

        member = _Member(share, RecogniserHandle(self._clock, fds, hear))
        return member

    async def _pulse(self) -> None:
        counted = self._counted()
        if counted is not None:
            await self._on_message(Message("pulse", counted))

    def _counted(self) -> dict[str, Any] | None:
        """None before the first word. Who died before saying one looked at nobody that anybody knows of."""
        counted = [member.counters for member in self._members if member.counters is not None]
        return together(counted) if counted else None


def together(counted: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counters of several recognisers as those of one: sums, and of each stage's time the slowest."""
    if len(counted) == 1:
        return counted[0]
    stages: dict[str, list[float]] = {}
    for one in counted:
        for name, times in one["stages_ms"].items():
            stages[name] = [max(pair) for pair in zip(times, stages.get(name, times), strict=True)]
    return {
        "ledger": {name: sum(one["ledger"][name] for one in counted) for name in counted[0]["ledger"]},
        **{name: sum(one[name] for one in counted) for name in _SUMMED},
        "paused": all(one["paused"] for one in counted),
        "cameras": {camera: view for one in counted for camera, view in one["cameras"].items()},
        "stages_ms": stages,
    }


def _described(ready: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Networks and list are the same for all; slots add up; what one lacks, the whole lacks."""
    return ready[0] | {
        "recognisers": len(ready),
        "degraded": next((one["degraded"] for one in ready if one["degraded"]), ""),
        "locked": all(one["locked"] for one in ready),
        "not_confined_by": list(dict.fromkeys(what for one in ready for what in one["not_confined_by"])),
        "bounded_by_memory": any(one["bounded_by_memory"] for one in ready),
        **{
            name: sum(one[name] for one in ready)
            for name in ("most_passages", "most_looks_a_step", "slots_mib")
        },
    }
