"""Two processes that meet through a launcher's environment, as torchrun sets it, and work off a list of functions together."""

import contextlib
import io
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.multiprocessing import get_context

PAIR = 2
Work = Callable[[Path], Any]


class Together:
    """What each process got: results by the function's name, one entry for each process."""

    def __init__(self, folder: Path, codes: list[int | None]) -> None:
        self.folder = folder
        self.codes = codes

    def __getitem__(self, name: str) -> list[Any]:
        return [pickle.loads((self.folder / f"{name}-{rank}").read_bytes()) for rank in range(PAIR)]


def run_pair(work: list[Work], folder: Path, *, seconds: float) -> Together:
    """Call each function of `work` (importable, given `folder`) in both processes. They must end within `seconds`."""
    stores = [TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=60)) for _ in range(2)]
    ports = [store.port for store in stores]
    processes = [get_context("spawn").Process(target=_process, args=(rank, ports, work, folder)) for rank in range(PAIR)]
    for process in processes:
        process.start()
    ends = time.monotonic() + seconds
    while any(process.is_alive() for process in processes) and time.monotonic() < ends:
        time.sleep(0.05)
        if any(process.exitcode for process in processes):  # the other is to notice by itself, and soon
            ends = min(ends, time.monotonic() + 30)
    late = [rank for rank, process in enumerate(processes) if process.is_alive()]
    for process in processes:
        process.kill()
    codes = [process.exitcode for process in processes]
    assert not late, f"rank {late} waits for ever; exit codes {codes}"
    return Together(folder, codes)


def meet_again() -> None:
    """Let those who have parted meet as new processes do: the first meeting's addresses are old."""
    os.environ["MASTER_PORT"] = os.environ["SECOND_PORT"]


def _process(rank: int, ports: list[int], work: list[Work], folder: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(PAIR),
        "LOCAL_WORLD_SIZE": str(PAIR),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(ports[0]),
        "SECOND_PORT": str(ports[1]),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "OMP_NUM_THREADS": "1",
    }
    for function in work:
        try:
            result = function(folder)
        except Exception:
            print(f"rank {rank}, {function.__name__}:", traceback.format_exc(), file=sys.stderr)
            raise
        (folder / f"{function.__name__}-{rank}").write_bytes(pickle.dumps(result))


def command(arguments: list[str]) -> tuple[int, str, str]:
    """Run a command of unipan in this process: exit status, stdout, stderr."""
    from unipan.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
            status: Any = 0
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()
