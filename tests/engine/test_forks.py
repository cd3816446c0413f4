"""Work in several processes: what comes back and when, and that no process stays behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from unipan.engine.forks import shared_out, worthwhile_processes
from unipan.errors import InputError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")


def results(work: Callable[[int], object], num_items: int, processes: int) -> list[object]:
    with shared_out(work, range(num_items), processes) as found:
        return list(found)


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("num_items", [0, 1, 4, 11])
def test_results_come_in_the_order_of_the_items(processes: int, num_items: int) -> None:
    assert results(lambda item: item * item, num_items, processes) == [item * item for item in range(num_items)]


def test_processes_take_items_in_turn() -> None:
    owners = results(lambda _: os.getpid(), 9, 3)
    assert owners[::3] == [os.getpid()] * 3
    assert len(set(owners)) == 3
    assert owners[1:3] == owners[4:6] == owners[7:9]


def test_an_error_comes_when_its_turn_has_come_and_ends_the_forks() -> None:
    def work(item: int) -> int:
        if item >= 4:
            raise InputError(f"item {item} is odd")
        return item

    taken, before = [], set(multiprocessing.active_children())  # of other tests
    with pytest.raises(InputError, match="item 4 is odd"), shared_out(work, range(9), 3) as found:
        taken.extend(iter(lambda: next(found), None))
    assert taken == [0, 1, 2, 3]
    assert set(multiprocessing.active_children()) <= before


def test_what_a_killed_fork_leaves_is_done_here() -> None:
    here = os.getpid()

    def work(item: int) -> int:
        if item == 3 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    assert results(work, 8, 2) == list(range(8))


def test_forks_wait_while_nobody_takes_their_results(tmp_path: Path) -> None:
    def work(item: int) -> bytes:
        (tmp_path / str(item)).touch()
        return bytes(100_000)

    before = set(multiprocessing.active_children())
    with shared_out(work, range(40), 2):
        time.sleep(0.3)
        assert len(list(tmp_path.iterdir())) <= 2
    assert set(multiprocessing.active_children()) <= before


def test_torch_works_in_forks_after_its_threads_ran_here() -> None:
    def work(item: int) -> float:
        return torch.full((300_000,), float(item)).sum().item()

    def too_late(*_: object) -> None:
        raise TimeoutError("a fork hangs")

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(20)
    try:
        work(1)
        assert results(work, 4, 2) == [300_000.0 * item for item in range(4)]
    finally:
        signal.alarm(0)
        torch.set_num_threads(threads)


PROGRAM = """
import os, signal, time
from unipan.engine.forks import shared_out

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

def work(item):
    if os.getppid() != {parent}:
        os.write(1, b"%d\\n" % os.getpid())
    else:
        time.sleep(60)
    time.sleep(0.03)

with shared_out(work, range(10_000), 3) as found:
    list(found)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_fork_outlives_the_first_process(number: int) -> None:
    program = [sys.executable, "-c", PROGRAM.format(parent=os.getpid())]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        forks = {int(process.stdout.readline()) for _ in range(12)}
        process.send_signal(number)
        try:
            process.communicate(timeout=60)  # the output ends when the last fork has
        finally:
            process.kill()
    assert len(forks) == 2


def test_so_many_processes_pay() -> None:
    cores = len(os.sched_getaffinity(0))
    assert worthwhile_processes(39, 20) == worthwhile_processes(0, 20) == 1
    assert worthwhile_processes(40, 20) == min(cores, 2)
    assert worthwhile_processes(10**6, 20) == min(cores, 8)
