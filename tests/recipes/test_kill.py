"""SIGKILL at any moment, also in the middle of saving: the run goes on and ends with the very bytes of one never stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unipan.checkpoint import RunFolder
from unipan.config import Config
from unipan.recipes.training.checkpoints import newest_state, saved_steps
from unipan.recipes.training.log import VARYING
from unipan.settings_file import save_config

SERVER = Path(__file__).with_name("training_server.py")
MOMENT_S = 1.5
"""A kill that is not aimed at a save comes within so long after the first new line of the log."""


class Trainings:
    """Trainings in processes of their own, forked from one that is warm."""

    def __init__(self, server: subprocess.Popen[str], folder: Path, config: Config) -> None:
        self.server = server
        self.folder = folder
        save_config(config, folder / "settings.json")

    def run(
        self, out: Path, *, resume: bool, limit: int = 0, slow: bool = False, kill: Callable[[int], object] | None = None
    ) -> int:
        """Train into `out`; `kill` gets the process's id and may end it. Returns the exit status, -9 after SIGKILL."""
        order = {"settings": str(self.folder / "settings.json"), "out": str(out), "resume": resume, "slow": slow, "limit": limit}
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        child = int(self.server.stdout.readline())
        killer = threading.Thread(target=kill, args=(child,)) if kill else None
        if killer:
            killer.start()
        status = int(self.server.stdout.readline())
        if killer:
            killer.join()
        return status


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        yield started
    assert started.returncode == 0


@pytest.fixture
def trainings(server: subprocess.Popen[str], tmp_path: Path, tiny_config: Config, request: pytest.FixtureRequest) -> Trainings:
    steps = getattr(request, "param", tiny_config.train.steps)
    return Trainings(server, tmp_path, replace(tiny_config, train=replace(tiny_config.train, steps=steps, device="cpu")))


def end(child: int) -> None:
    with suppress(ProcessLookupError):  # it was done
        os.kill(child, signal.SIGKILL)


def wait_for(condition: Callable[[], bool], child: int) -> None:
    """Until it holds, or the process is gone."""
    while not condition() and Path(f"/proc/{child}/stat").exists():
        time.sleep(0.005)


def during_a_save(marker: Path, dice: random.Random) -> Callable[[int], None]:
    """Kill within the half second that a save takes."""
    moment = dice.uniform(0, 0.4)

    def kill(child: int) -> None:
        wait_for(marker.exists, child)
        time.sleep(moment)
        end(child)

    return kill


def at_random(out: Path, dice: random.Random) -> Callable[[int], None]:
    moment, log = dice.uniform(0, MOMENT_S), RunFolder(out).log
    before = log.read_bytes() if log.exists() else b""

    def kill(child: int) -> None:
        wait_for(lambda: log.exists() and log.read_bytes() != before, child)
        time.sleep(moment)
        end(child)

    return kill


def log_of(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in RunFolder(run).log.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in VARYING} for line in lines]


def survive(trainings: Trainings, *, kills: int, dice: random.Random) -> None:
    """Every second kill, the first one too, comes during a save."""
    never_stopped, out = trainings.folder / "never stopped", trainings.folder / "run"
    assert trainings.run(never_stopped, resume=False) == 0
    marker, in_saves = trainings.folder / "saving", 0
    for number in range(kills):
        marker.unlink(missing_ok=True)
        aimed = number % 2 == 0
        kill = during_a_save(marker, dice) if aimed else at_random(out, dice)
        resume = RunFolder(out).classes.exists()
        status = trainings.run(out, resume=resume, slow=aimed, kill=kill)
        assert status in (-signal.SIGKILL, 0), Path(f"{out}.stderr").read_text()
        in_saves += bool(list(out.rglob(".*.tmp")))
        for step in saved_steps(RunFolder(out))[-1:]:
            state = newest_state(RunFolder(out))
            assert state
            assert state.step == step, "what bears its name is whole"
    assert in_saves, "no kill came in the middle of a save"
    assert trainings.run(out, resume=True) == 0, Path(f"{out}.stderr").read_text()
    assert RunFolder(out).model.read_bytes() == RunFolder(never_stopped).model.read_bytes()
    assert log_of(out) == log_of(never_stopped)
    assert saved_steps(RunFolder(out)) == saved_steps(RunFolder(never_stopped))
    for step in saved_steps(RunFolder(out)):
        assert RunFolder(out).checkpoint(step).read_bytes() == RunFolder(never_stopped).checkpoint(step).read_bytes()
    assert not list(out.rglob(".*")), "no rubbish of the killed"


def test_three_kills_change_no_byte(trainings: Trainings) -> None:
    survive(trainings, kills=3, dice=random.Random(0))


@pytest.mark.slow
@pytest.mark.parametrize("trainings", [40], indirect=True)
def test_twenty_kills_change_no_byte(trainings: Trainings) -> None:
    survive(trainings, kills=20, dice=random.Random(1))


def test_a_disk_that_is_full_ends_a_training_with_one_sentence(trainings: Trainings) -> None:
    """A limit on the size of files stands for it: the write of a checkpoint fails halfway, in a real process."""
    out = trainings.folder / "run"

    def kill(child: int) -> None:
        wait_for(lambda: bool(saved_steps(RunFolder(out))), child)
        end(child)

    assert trainings.run(out, resume=False, kill=kill) == -signal.SIGKILL
    steps = saved_steps(RunFolder(out))
    before = {step: RunFolder(out).checkpoint(step).read_bytes() for step in steps}
    assert trainings.run(out, resume=True, limit=1_000_000) == 2
    messages = [line for line in Path(f"{out}.stderr").read_text().splitlines() if line.startswith("unipan:")]
    assert len(messages) == 1
    assert "cannot write" in messages[0]
    assert "File too large" in messages[0]
    assert "What stood there before is untouched." in messages[0]
    assert {step: RunFolder(out).checkpoint(step).read_bytes() for step in saved_steps(RunFolder(out))} == before
    assert not list(out.rglob(".*"))
    assert trainings.run(out, resume=True) == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_training_exits_as_a_scheduler_expects(trainings: Trainings, number: signal.Signals, status: int) -> None:
    out = trainings.folder / "run"

    def stop(child: int) -> None:
        wait_for(RunFolder(out).log.exists, child)
        os.kill(child, number)

    assert trainings.run(out, resume=False, kill=stop) == status
    state = newest_state(RunFolder(out))
    assert state
    messages = [line for line in Path(f"{out}.stderr").read_text().splitlines() if line.startswith("unipan:")]
    assert messages == [
        f"unipan: stopped by {number.name} after step {state.step} of 6, which is saved; give the same command with --resume to "
        f"go on in {out}."
    ]
    assert RunFolder(out).model_step == state.step
