"""Predicts noise of many sizes in one process: does what it holds settle? `python benchmarks/soak_sizes.py RUN --images 400`.

With MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=1073741824 in the environment it keeps freed memory, as unipan's commands do.
"""

import random
import resource
from argparse import ArgumentParser
from pathlib import Path
from time import process_time

import torch

import unipan

SIDES = (64, 640), (64, 900)
"""Least and greatest height and width, in pixels."""
EVERY = 25


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=400)
    given = parser.parse_args()
    torch.set_num_threads(1)
    predict, sizes, noise = unipan.load(given.run), random.Random(1), torch.Generator().manual_seed(0)
    start = process_time()
    for number in range(1, given.images + 1):
        height, width = (sizes.randint(*side) for side in SIDES)
        predict((256 * torch.rand(3, height, width, generator=noise)).byte())
        if number % EVERY == 0:
            print(f"{number} images, {process_time() - start:.0f} s: holds {held_mib():.0f} MiB", flush=True)
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def held_mib() -> float:
    """Memory of this process that is in use now, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
