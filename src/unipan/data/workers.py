"""The processes that load training data."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from unipan.errors import InputError


@contextmanager
def dead_workers_named() -> Iterator[None]:
    """Say in a sentence that a worker has died. PyTorch tells by a signal, so its error may come from any line of a training."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise InputError(
            f"a process that loads training data has died ({str(error).splitlines()[0].rstrip('. ')}): most often the memory, or "
            "the shared memory in /dev/shm, ran out. Go on from the last checkpoint with --resume and fewer --train.workers, or "
            "with --train.workers 0 to see the cause."
        ) from error


def leave_signals_to_the_trainer(worker: int) -> None:
    """In a loader process: SIGTERM and Ctrl-C often go to all processes of a job, but the trainer needs its data until it stops.

    It ends its workers itself; those of a trainer that was killed notice, and end.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
