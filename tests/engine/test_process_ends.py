"""Whatever a process ends by, its connections to others are closed before the interpreter goes."""

import os
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys
from torch import distributed
atexit.register(lambda: print("open" if distributed.is_initialized() else "closed"))  # registered first, so called last
from unipan.engine import processes
processes._meet()
assert distributed.is_initialized()
{end}
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [("", 0), ("processes.shutdown()", 0), ("sys.exit(143)", 143), ("raise ValueError", 1)],
    ids=["well", "parted", "stopped", "failed"],
)
def test_connections_are_closed_at_any_end(end: str, status: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launched = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)],
        env=os.environ | launched,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (status, "closed")
