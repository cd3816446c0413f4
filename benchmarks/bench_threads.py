"""How OpenMP's threads wait for each other: spinning, asleep, or, as on the command line, spinning for a moment first.

    python benchmarks/bench_threads.py [RUN] [--rounds 5] [--busy 2] [--first]

RUN is a trained demo; without it, one of 60 steps is trained first. Each way computes its answers in a process of its own, by
turns. Busy processes are loops that want a core each. --first: the quiet case is measured ahead of all other processes
(SCHED_FIFO), which makes a machine quiet; needs root.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from record import record

import unipan
from unipan.cli.threads import SPINS

IMAGES, IMAGES_BUSY = 6, 2

CHILD = """
import json, os, sys
from unipan.recipes.benchmark import benchmark
if sys.argv[2] == "first":
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
print(json.dumps(benchmark(sys.argv[1], samples=int(sys.argv[3]), device="cpu").images_per_second))
"""
"""Through the library, which leaves OpenMP's variables alone."""

WAYS = {
    "spinning": {},
    "asleep": {"OMP_WAIT_POLICY": "PASSIVE"},
    "unipan: a moment": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPINS},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def ms_an_image(run: str, variables: dict[str, str], images: int, *, first: bool) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "MKL_"))}
    command = [sys.executable, "-c", CHILD, run, "first" if first else "", str(images)]
    done = subprocess.run(command, env=environment | variables, stdout=subprocess.PIPE, text=True, check=True)
    return 1000 / json.loads(done.stdout)


@contextmanager
def beside(count: int) -> Iterator[None]:
    """Within, so many further processes compute without end."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument("--first", action="store_true")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        measure(given, given.run or str(unipan.train("demo", out=Path(folder) / "run", train={"steps": 60}).path))


def measure(given: argparse.Namespace, run: str) -> None:
    cases = {"quiet": 0, f"beside {given.busy} busy processes": given.busy}
    measured = {case: {way: list[float]() for way in WAYS} for case in cases}
    for _ in range(given.rounds):
        for case, count in cases.items():
            for way, variables in WAYS.items():
                with beside(count):
                    found = ms_an_image(run, variables, IMAGES_BUSY if count else IMAGES, first=given.first and not count)
                measured[case][way].append(found)
                print(case, way, f"{found:.1f} ms", file=sys.stderr, flush=True)
    priority = " Quiet: ahead of all other processes." if given.first else ""
    record(
        "bench_threads",
        measured,
        clock="an image",
        note=f"{given.rounds} rounds of {IMAGES} images, beside others of {IMAGES_BUSY}.{priority}",
    )


if __name__ == "__main__":
    main()
