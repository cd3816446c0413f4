"""`--processes N`: a command starts the others that share its work, as a launcher would, and ends with them.

This process becomes the main one, so signals, messages and the exit status stay its own. The others run the same words. What they
write on stderr is shown only where one of them ended by itself, so that what all of them find is said once.
"""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from signal import SIGINT, Signals
from tempfile import TemporaryFile
from typing import Annotated, Any

from tyro.conf import arg

from unipan.errors import InputError, OthersUnreachable

ProcessCount = Annotated[int, arg(metavar="N", help="Share the work among N processes of this machine, which this one starts.")]

STARTED_BY = "UNIPAN_STARTED_BY"
"""Tells a process the id of the main one, which has started it."""
PATIENCE_S = 10
"""From one process's end to that of those that do not end by themselves."""
LOOK_EVERY_S = 0.2
NO_FAULT = {0, 130, 143}
"""What a process may end with while the main one still saves or draws."""


def asked_processes(words: Sequence[str]) -> int:
    """The last number that follows --processes; whether the command takes that is the parser's task."""
    numbers = re.findall(r"--processes[ =](\d+)", " ".join(words))
    return max(1, int(numbers[-1])) if numbers else 1


def is_started() -> bool:
    """Whether another process of ours has started this one, to share its work."""
    return STARTED_BY in os.environ


def in_processes(words: Sequence[str], count: int, run: Callable[..., None], /, *args: Any, **options: Any) -> None:
    """Call `run`, while `count` - 1 further processes work on the same command line, `words`; they come here too.

    Raises: InputError for a `count` below 1, and for one above 1 under a launcher.
    """
    if count < 1:
        raise InputError(f"--processes is {count}; it takes a number of processes, from 1 on.")
    if is_started():
        threading.Thread(target=_end_with_main, daemon=True).start()
    elif count > 1:
        if "WORLD_SIZE" in os.environ:
            raise InputError(f"--processes {count} came under a launcher, which starts processes itself; leave out either.")
        with _environment(count), _others(words, count):
            run(*args, **options)
        return
    run(*args, **options)


def _end_with_main() -> None:
    """Wait for the end of the process that has started this one, and end then, whatever is under way: only that one saves."""
    while str(os.getppid()) == os.environ[STARTED_BY]:
        time.sleep(LOOK_EVERY_S)
    os._exit(1)


@contextmanager
def _environment(count: int) -> Iterator[None]:
    """Within, the environment says what a launcher says to the main process: they are on one machine, and meet at a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    own |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if "GLOO_SOCKET_IFNAME" not in os.environ:  # gloo would look up the machine's name, which not every network knows
        own["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    former = {name: os.environ.pop(name, None) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in former.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


@contextmanager
def _others(words: Sequence[str], count: int) -> Iterator[None]:
    """Within, the other processes work; behind it they have ended."""
    others = _Others(words, count)
    try:
        yield
        others.end(PATIENCE_S, well=True)
    except OthersUnreachable:
        others.end(PATIENCE_S)
        others.show()
        raise
    except BaseException:
        others.end(PATIENCE_S if others.have_met() else 0)  # before that, they would wait for this one
        raise


def _path_option() -> list[str]:
    """So that a process imports from the current folder if this one does, and else nothing that happens to lie there."""
    return [] if sys.path[0] in ("", os.getcwd()) else ["-P"]  # noqa: PTH109 (as Python writes it)


class _Others:
    """The processes that this one has started."""

    def __init__(self, words: Sequence[str], count: int) -> None:
        self.count = count
        self.texts = [TemporaryFile() for _ in range(1, count)]  # noqa: SIM115 (read when all have ended)
        self.processes = [
            subprocess.Popen(
                [sys.executable, *_path_option(), "-m", "unipan", *words],
                env=os.environ | {"RANK": str(rank), "LOCAL_RANK": str(rank), STARTED_BY: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=text,
            )
            for rank, text in enumerate(self.texts, start=1)
        ]
        self._ending = threading.Event()
        self._own_ends: list[int | None] = []
        threading.Thread(target=self._end_if_one_failed, daemon=True).start()

    def have_met(self) -> bool:
        """Whether there are connections between all processes; each notices when another's close."""
        if "unipan.engine.processes" not in sys.modules:
            return False
        from torch import distributed

        return distributed.is_initialized()

    def end(self, patience_s: float, *, well: bool = False) -> None:
        """Close the connections, and wait for the others' end; kill those that have not ended after so long."""
        self._ending.set()
        if self.have_met():
            from unipan.engine.processes import close, shutdown

            if well:
                shutdown()
            else:
                close()
        self._wait(patience_s)

    def show(self) -> None:
        """Show what the others wrote on stderr, and which were killed."""
        for rank, (text, status) in enumerate(zip(self.texts, self._own_ends, strict=True), start=1):
            text.seek(0)
            print(text.read().decode(errors="replace"), end="", file=sys.stderr)
            if status is not None and status < 0:
                print(f"unipan (rank {rank} of {self.count}): ended by {Signals(-status).name}.", file=sys.stderr)

    def _wait(self, patience_s: float) -> None:
        latest = time.monotonic() + patience_s
        try:
            while any(process.poll() is None for process in self.processes) and time.monotonic() < latest:
                time.sleep(0.02)
        finally:
            self._own_ends = [process.poll() for process in self.processes]
            for process in self.processes:
                process.kill()
                process.wait()

    def _end_if_one_failed(self) -> None:
        """End this process if another has failed and it does not notice: no signal reaches one that waits to meet the others."""
        while not self._ending.wait(LOOK_EVERY_S):
            ended = [status for process in self.processes if (status := process.poll()) is not None]
            if (set(ended) - NO_FAULT or (ended and not self.have_met())) and not self._ending.wait(PATIENCE_S):
                self._wait(0)
                interrupted = bool({130, -SIGINT} & set(ended))
                if not interrupted:
                    self.show()
                why = "interrupted" if interrupted else "another process has ended, so this one ends too"
                print(f"unipan: {why}.", file=sys.stderr, flush=True)
                os._exit(130 if interrupted else 2)
