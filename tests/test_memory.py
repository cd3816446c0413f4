"""Freed memory that a command keeps, counted as the system counts it: by pages that it had to fill."""

import os
import subprocess
import sys

import pytest

COUNT = """
import os, resource, sys
from unipan.cli.memory import keep_freed_memory
kept = keep_freed_memory(os.environ) if sys.argv[1] == "keep" else False
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(2):
    bytearray(40 * 2**20)
before = faults()
for _ in range(4):
    bytearray(40 * 2**20)
print(kept, faults() - before)
"""
PAGES = 4 * 40 * 2**20 // os.sysconf("SC_PAGE_SIZE")


def counted(way: str, **variables: str) -> tuple[bool, int]:
    """Whether memory was kept, and the pages that were filled for four blocks of 40 MiB after the first two."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT, way], capture_output=True, text=True, check=True, env=os.environ | variables
    )
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_blocks_are_mapped_once() -> None:
    _, faults = counted("leave")
    assert faults > PAGES // 600  # in pages of 4 KiB, or in ones of 2 MiB
    kept, faults_kept = counted("keep")
    assert kept
    assert faults_kept < faults / 20


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_who_tunes_malloc_is_left_alone() -> None:
    assert not counted("keep", MALLOC_ARENA_MAX="2")[0]
