"""Work on many small things in several processes, with results in order."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_PROCESSES = 8
"""With more of them, the one that puts the results together would keep the others waiting."""


def available_processors() -> int:
    """How many this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def worthwhile_processes(num_items: int, items_each: int) -> int:
    """How many processes pay, when one is worth its start from `items_each` items on; 1 where forking is not safe or not allowed.

    Forks start in milliseconds; a new process would import everything anew, so systems other than Linux do without.
    """
    if sys.platform != "linux" or multiprocessing.current_process().daemon:
        return 1
    return max(1, min(available_processors(), num_items // items_each, MOST_PROCESSES))


@contextmanager
def shared_out(work: Callable[[Item], Result], items: Sequence[Item], processes: int) -> Iterator[Iterator[Result]]:
    """The results of `work` in the order of `items`, which this process and `processes - 1` forks of it take in turn.

    An error comes when its item's turn has come, as it would without forks. Forks wait when their results are not taken, so that
    few are in memory. They end with the block, and when this process is killed.
    """
    if processes == 1:
        yield map(work, items)
        return
    context = multiprocessing.get_context("fork")
    forks, ends = [], []
    try:
        for turn in range(1, processes):
            ours, theirs = context.Pipe(duplex=False)
            fork = context.Process(target=_send_results, args=(work, items[turn::processes], [*ends, ours], theirs), daemon=True)
            fork.start()
            theirs.close()  # a fork that ends is now the end of what comes
            forks.append(fork)
            ends.append(ours)
        yield (
            work(item) if position % processes == 0 else _received(ends[position % processes - 1], work, item)
            for position, item in enumerate(items)
        )
    finally:
        for fork in forks:
            fork.kill()
            fork.join()
        for end in ends:
            end.close()


def _send_results(
    work: Callable[[Item], Result], items: Sequence[Item], not_ours: Sequence[Connection], ours: Connection
) -> None:
    """What a fork does. Ctrl-C goes to all processes of a terminal, but ending the forks is the first one's task."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)  # as in PyTorch's own loaders: its pool of threads does not survive a fork
    for end in not_ours:  # else no fork would notice that the first process is gone
        end.close()
    try:
        for item in items:
            ours.send(work(item))
    except Exception:  # the first process does the same item again, and reports it there
        return


def _received(end: Connection, work: Callable[[Item], Result], item: Item) -> Result:
    """A fork's next result. One that came to an error, or was killed, has ended; its items are then done here."""
    try:
        return end.recv()
    except (EOFError, OSError):  # between two results, or amid one
        return work(item)
