"""Freed memory that a command keeps, counted as the system counts it: by pages that it had to fill."""

import os
import subprocess
import sys

import pytest
from torch import nn

from unipan.ops.freed_memory import holes_given_back

COUNT = """
import os, resource, sys
from unipan.ops.freed_memory import keep_freed_memory
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


HOLES = """
import sys
from unipan.ops import freed_memory
from torch import nn, zeros
freed_memory.keep_freed_memory({})
resident = lambda: int(open("/proc/self/statm").read().split()[1])
kept, hole = [], []
class Layer(nn.Module):
    def forward(self, megabytes):
        found = bytearray(40 * 2**20)
        kept.append(bytearray(2**20))  # above it, so that the heap has a hole
        hole.append(resident())
        del found
        return zeros(megabytes, 2**18)
freed_memory.LARGE_BYTES = 2**23
layer = Layer()
with freed_memory.holes_given_back(layer):
    layer(4)
    small = resident()
    layer(16)
    large = resident()
    assert len(layer._forward_hooks) == 1
assert not layer._forward_hooks
print(hole[0] - small, hole[1] - large)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_holes_go_back_where_a_layer_returns_a_large_tensor() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    after_small, after_large = (int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20 for pages in done.stdout.split())
    assert after_small < 4  # MiB that are no longer resident
    assert after_large > 20


def test_where_memory_is_not_kept_layers_have_no_hooks() -> None:
    layer = nn.Identity()
    with holes_given_back(layer):
        assert not layer._forward_hooks


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_who_tunes_malloc_is_left_alone() -> None:
    assert not counted("keep", MALLOC_ARENA_MAX="2")[0]
