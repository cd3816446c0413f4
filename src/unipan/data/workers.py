"""The processes that load training data."""

import atexit
import multiprocessing
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from unipan.errors import InputError

NEWS_S = 5.0
"""So many seconds the system may take to tell that a worker has died, after a connection to it broke."""


def loaded(batches: Dataset, steps: range, workers: int) -> Iterator[Any]:
    """Yield the entries of these steps, from so many processes; 0 loads them in this one."""
    entries = _started(batches, steps, workers)
    while True:
        try:
            entry = next(entries)
        except StopIteration:
            return
        except (OSError, EOFError):
            if workers:  # a dying worker breaks its connections first; then PyTorch's signal raises the error that tells
                time.sleep(NEWS_S)
            raise
        yield entry


def _started(batches: Dataset, steps: range, workers: int) -> Iterator[Any]:
    end_workers_at_exit()
    with warnings.catch_warnings():  # of more workers than cores, which the training's summary tells in our own words
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader = DataLoader(
            batches,
            batch_size=None,  # the data set's entries are whole batches
            sampler=steps,
            num_workers=workers,
            worker_init_fn=leave_signals_to_the_trainer,
            generator=torch.Generator(),  # otherwise the loader draws a number from the global generator
        )
        return iter(loader)


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
            "the shared memory in /dev/shm, ran out. Go on from the last checkpoint (train --resume) with fewer --train.workers, "
            "or with --train.workers 0 to see the cause."
        ) from error


def leave_signals_to_the_trainer(worker: int) -> None:
    """In a loader process: SIGTERM and Ctrl-C often go to all processes of a job, but the trainer needs its data until it stops.

    It ends its workers itself (`end_workers_at_exit`); those of a trainer that was killed notice, and end.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@cache
def end_workers_at_exit() -> None:
    """Have left-over loader processes killed when this process ends.

    An error's traceback keeps its loader alive to the very end, where multiprocessing asks daemons to end by SIGTERM, which ours
    do not heed, and then waits for them for ever.
    """
    atexit.register(_kill_workers)


def _kill_workers() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would report their death as a fault
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
