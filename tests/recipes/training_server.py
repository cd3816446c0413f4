"""A warm process that forks one training after another, for tests that kill them: the imports are paid for once.

An order is a line of JSON on stdin: {"settings": FILE, "out": FOLDER, "resume": BOOL, "slow": BOOL, "limit": BYTES}. The answer
is the child's process id and, when it has ended, its exit status, each on a line of stdout. Messages go to OUT.stderr.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unipan import tensor_file
from unipan.cli.app import ending
from unipan.recipes.train import train
from unipan.settings_file import load_config

CHUNKS = 16
CHUNK_S = 0.03


def save_slowly(marker: Path) -> None:
    """Let each save of tensors take half a second, in chunks, and say that it has begun by making `marker`."""
    save_at_once = tensor_file.save_file

    def save_file(tensors: Any, path: Path, metadata: Mapping[str, str]) -> None:
        save_at_once(tensors, path, metadata)  # type: ignore[arg-type]
        content = path.read_bytes()
        marker.touch()
        with path.open("wb") as file:
            for position in range(CHUNKS):
                file.write(content[len(content) * position // CHUNKS : len(content) * (position + 1) // CHUNKS])
                file.flush()
                time.sleep(CHUNK_S)

    tensor_file.save_file = save_file  # type: ignore[assignment]


def follow(order: Mapping[str, Any]) -> None:
    """Train as the command line does; never returns."""
    out = Path(order["out"])
    errors = os.open(f"{out}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(errors, 2)
    os.dup2(errors, 1)
    if order["slow"]:
        save_slowly(out.with_name("saving"))
    if order["limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
    with ending():
        train(load_config(Path(order["settings"])), out, resume=order["resume"])


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                follow(json.loads(line))
                status = 0
            except SystemExit as stop:
                status = int(stop.code or 0)
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
