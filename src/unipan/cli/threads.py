"""How many threads a command computes with, and how they wait: told to OpenMP in the environment, before PyTorch is imported.

OpenMP's threads spin while they wait for each other. Where other programs want the cores too, all wait for the one that has none.
Threads that sleep at once are slow on a quiet machine; those that spin for a moment first are good on both (docs/performance.md).
"""

from collections.abc import Iterator, MutableMapping
from math import ceil
from pathlib import Path

from unipan.engine.forks import available_processors
from unipan.errors import InputError

SPINS = "3000"
"""Looks of a waiting thread before it sleeps, some microseconds; GNU's OpenMP, which PyTorch has on Linux, takes 300,000."""

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def set_threads(environment: MutableMapping[str, str], *, quota: float, processes: int = 1) -> None:
    """Threads that soon wait asleep, and no more of them than the processors they may use, unless the user has said otherwise.

    quota: how many processors' time this process may use (`processor_quota`). processes: how many are to share the processors.
    Raises: InputError where UNIPAN_THREADS is no number.
    """
    asked = environment.get("UNIPAN_THREADS", "")
    if asked and not (asked.isdecimal() and int(asked) > 0):
        raise InputError(f"UNIPAN_THREADS is {asked!r}; it takes a number of threads, from 1 on.")
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & environment.keys():
        environment.update({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPINS})  # the first one for other OpenMPs than GNU's
    if asked:
        environment["OMP_NUM_THREADS"] = asked
    elif quota < available_processors() or processes > 1:  # else OpenMP finds it out by itself
        usable = ceil(min(quota, available_processors()))
        environment.setdefault("OMP_NUM_THREADS", str(max(1, usable // processes)))


def processor_quota(groups: Path = CONTROL_GROUPS, own: Path = OWN_GROUP) -> float:
    """How many processors' time the control groups of this process allow, as of a container; infinite where nothing limits it."""
    return min((quota / period for quota, period in _limits(groups, own)), default=float("inf"))


def _limits(groups: Path, own: Path) -> Iterator[tuple[float, float]]:
    """Microseconds of processor time in a period, and the period: of the process's own group and of those above it."""
    try:
        lines = own.read_text().splitlines()
    except OSError:  # another system
        return
    paths = [line.partition("::")[2].strip("/") for line in lines if line.startswith("0::")]
    inner = groups / paths[0] if paths else groups
    for folder in {groups, inner, *(parent for parent in inner.parents if groups in parent.parents)}:
        yield from _numbers(folder / "cpu.max")
    first = list(_numbers(groups / "cpu/cpu.cfs_quota_us")), list(_numbers(groups / "cpu/cpu.cfs_period_us"))
    yield from ((quota, period) for (quota, _), (period, _) in zip(*first, strict=False) if quota > 0)


def _numbers(path: Path) -> Iterator[tuple[float, float]]:
    """The two numbers of a file, or its one and 1; none where it says "max" or is not there."""
    try:
        words = path.read_text().split()
        yield float(words[0]), float(words[1]) if len(words) > 1 else 1.0
    except (OSError, ValueError, IndexError):
        return
