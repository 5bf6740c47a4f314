"""The sealed process itself: ``python -m lfr_edge.recogniser FD``.

Order matters: everything that needs a file (interpreter, libraries, verified networks) is loaded first; then the
process gives up the disk, the network and the right to start anything, for good; only then does the first pixel
come in.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from pydantic import ValidationError

from lfr_edge.confinement import be_taken_first, confine
from lfr_edge.errors import LfrError, RecogniserError
from lfr_edge.recogniser.channel import BlockingChannel, Message
from lfr_edge.recogniser.spec import StartSpec
from lfr_edge.recogniser.worker import Worker, build


def main(arguments: list[str]) -> int:
    be_taken_first("recogniser")
    # Ctrl-C and a service manager reach every process of the group. This one ends when the desk says so, with its
    # receipt, or with the desk.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    channel = BlockingChannel(socket.socket(fileno=int(arguments[0])))
    message = channel.receive()
    if message is None or message.kind != "start":
        return 0  # the desk went away before it said anything
    try:
        spec = StartSpec.model_validate(message.body)
        worker = build(spec, channel, templates=message.parts[0], key=message.parts[1])
        # The sealed list and its key are in the index now; the message that carried them is dropped before the
        # first frame.
        del message
        gc.collect()
        _close_mouth()
        confinement = confine("recogniser")
    except LfrError as error:
        channel.send(Message("refused", {"code": error.code, "message": error.message, "hint": error.hint}))
        return 1
    except (ValidationError, IndexError):
        channel.send(
            Message(
                "refused",
                {"code": "recogniser_protocol", "message": "the start message is malformed", "hint": ""},
            )
        )
        return 1
    return _serve(worker, channel, list(confinement.missing))


def _serve(worker: Worker, channel: BlockingChannel, missing: list[str]) -> int:
    channel.send(Message("ready", {**worker.description(), "not_confined_by": missing}))
    try:
        worker.run()
    except RecogniserError as error:
        if error.code != "recogniser_protocol":  # a broken channel has nobody left to tell
            channel.send(Message("fault", {"code": error.code, "message": error.message}))
        return 1
    except LfrError as error:
        channel.send(Message("fault", {"code": error.code, "message": error.message}))
        return 1
    except Exception as error:
        # Where, never what: an exception's text and its frames' values may hold part of a face.
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
        channel.send(Message("fault", {"code": "recogniser_fault", "message": place}))
        return 1
    finally:
        worker.wipe()
    return 0


def _close_mouth() -> None:
    """Nothing is printed any more: output may end in a journal, and a traceback may hold part of a face."""
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        for stream in (1, 2):
            os.dup2(nothing.fileno(), stream)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
