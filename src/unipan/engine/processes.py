"""The processes that work together on one command, and what they say to each other.

A launcher (`torchrun`, `accelerate launch`) or `--processes` starts the same command in each. Numbers and small objects pass on
the CPU, gradients (engine/gradients.py) where they are.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from unipan.errors import OthersUnreachable

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process among the others. The methods wait for all: each process must call the same ones in the same order."""

    index: int
    """From 0; launchers call it the rank."""
    count: int

    @property
    def is_main(self) -> bool:
        """Whether this is the one that prints and writes files."""
        return self.index == 0

    def barrier(self) -> None:
        """Wait until all have come here."""
        self.all_reduce(torch.zeros(1))  # distributed.barrier waits on the GPU where there is one, and sees no process die there

    def all_reduce(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same bits in each. values: of one shape everywhere, on the CPU or the process's GPU."""
        summed = values.clone()
        self.all_reduce_(summed)
        return summed

    def all_reduce_(self, values: Tensor) -> None:
        """Overwrite `values` with their sum over all processes."""
        if self.count > 1:
            with _others_needed():
                distributed.all_reduce(values)

    def any_of(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.all_reduce(torch.tensor(float(flag))) > 0)

    def gather_objects(self, mine: list[T]) -> list[T]:
        """The lists of all processes as one, in their order, in each of them. The objects are pickled, so never from a file."""
        if self.count == 1:
            return list(mine)
        lists: list[list[T]] = [[] for _ in range(self.count)]
        with _others_needed():
            distributed.all_gather_object(lists, mine)
        return [entry for one in lists for entry in one]

    def broadcast(self, values: Tensor) -> None:
        """Overwrite `values` with the main process's, in place. They are on the CPU or on the process's GPU."""
        if self.count > 1:
            with _others_needed():
                distributed.broadcast(values, src=0)


def this_process() -> Processes:
    """This process among the others; 0 of 1 without a launcher. The first call under a launcher waits for all of them."""
    if not distributed.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Processes(0, 1)
        _meet()
    return Processes(distributed.get_rank(), distributed.get_world_size())


def _meet() -> None:
    """Open the connections that the launcher describes in the environment: gloo for the CPU, NCCL for GPUs."""
    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % gpus)
    try:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")
    except (RuntimeError, ValueError) as error:  # ValueError: the environment is incomplete
        raise OthersUnreachable(
            f"the environment tells of {os.environ['WORLD_SIZE']} processes, but they cannot be reached ({error}); start the "
            "command with --processes, torchrun or accelerate launch, or unset WORLD_SIZE."
        ) from error
    atexit.register(close)


def shutdown() -> None:
    """Close the connections, at the end of a command that went well."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def close() -> None:
    """Close what is still open when this process ends, whatever it ends by.

    gloo's threads, left to the interpreter's end after another process has gone, aborted one in eight: its exit status was 134.
    NCCL's connections stay open: to close them may wait for a process that is no more.
    """
    if distributed.is_initialized() and distributed.get_backend() == "gloo":
        distributed.destroy_process_group()


@contextmanager
def _others_needed() -> Iterator[None]:
    """Say in a sentence that another process has ended: its connections close at once, whatever it died of."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0].removeprefix("[").partition("] ")[-1].partition(". ")[0]  # without gloo's own place
        raise OthersUnreachable(
            f"another process has ended or cannot be reached, so this one ends too; its own message says why ({reason or error})."
        ) from error
