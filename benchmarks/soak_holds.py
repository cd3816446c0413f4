"""What a long-lived process holds, and whether it grew: the measuring of `soak.py`. Linux with glibc 2.33 or newer.

Three numbers tell a leak from fragmentation. Python's blocks and malloc's bytes in use count what is alive: they rise where
something is kept. Memory counts the pages behind them, after `malloc_trim` has given back those that lie free: it rises alone
where what is alive lies scattered.
"""

import ctypes
import gc
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

BOUNDS = {"memory_mib": 2, "in_use_mib": 2, "blocks": 5000, "handles": 0, "threads": 0}
"""By how much the median of the last quarter of the cycles may exceed that of the first quarter after the warm-up."""
WARM_UP = 0.2
"""Share of the cycles in which all of it may find its level."""


class MallocInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    )


@dataclass(frozen=True)
class State:
    """What the process holds after a cycle."""

    cycle: int
    minutes: float
    memory_mib: float
    """Pages of its own, in memory or swapped out; those of files, which come and go with the disk's cache, don't count."""
    in_use_mib: float
    """Of malloc: PyTorch's tensors, and all that isn't Python's own small blocks."""
    blocks: int
    """Of Python."""
    handles: int
    threads: int
    children: int


def read_state(cycle: int, started: float) -> State:
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = MallocInfo
    in_use = libc.mallinfo2()
    libc.malloc_trim(0)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    kib = {name: int(value.split()[0]) for name, value in (line.split(":") for line in lines)}
    tasks = list(Path("/proc/self/task").iterdir())
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return State(
        cycle=cycle,
        minutes=round((time.monotonic() - started) / 60, 2),
        memory_mib=round((kib["Anonymous"] + kib["Swap"]) / 2**10, 1),
        in_use_mib=round((in_use.uordblks + in_use.hblkhd) / 2**20, 1),
        blocks=sys.getallocatedblocks(),
        handles=len(list(Path("/proc/self/fd").iterdir())) - 1,
        threads=len(tasks),
        children=len(children),
    )


def growth(states: Sequence[State]) -> dict[str, tuple[float, float]]:
    """Of everything that is bounded, the medians of the first quarter after the warm-up and of the last."""
    warm = states[int(len(states) * WARM_UP) :]
    quarter = max(len(warm) // 4, 1)
    return {
        name: (
            median(getattr(entry, name) for entry in warm[:quarter]),
            median(getattr(entry, name) for entry in warm[-quarter:]),
        )
        for name in BOUNDS
    }


def faults(states: Sequence[State]) -> list[str]:
    """A sentence for each thing that was left over."""
    grown = [
        f"{name} grew from {early:,.10g} to {late:,.10g}"
        for name, (early, late) in growth(states).items()
        if late > early + BOUNDS[name]
    ]
    return grown + [f"cycle {entry.cycle} left {entry.children} child processes" for entry in states if entry.children]
