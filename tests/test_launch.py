"""`--processes N`: who starts whom, and that all end together, whatever one of them ends by.

The processes that are started are stand-ins here; whole trainings are in `engine/test_processes.py`.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unipan.cli import main
from unipan.cli.launch import STARTED_BY, asked_processes, in_processes

OTHERS_SENTENCE = "unipan (rank 1 of 2): there is no image b.png."


class Program:
    """A main process of two, of which the other one is a shell script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, other: str, run: str) -> tuple[int, list[str], float]:
        """Status and stderr's lines of a program that calls `run`, a lambda, in two processes; and how many seconds it took."""
        script = self.folder / "other"
        script.write_text(
            f"#!/bin/sh\necho $$ > {self.folder}/id\necho $* $RANK $LOCAL_RANK $WORLD_SIZE > {self.folder}/told\n{other}\n"
        )
        script.chmod(0o755)
        code = (
            "import os, sys, time; from unipan.cli import launch; from unipan.cli.app import ending\n"
            "from unipan.errors import InputError, OthersUnreachable\n"
            "def fail(error): raise error\n"
            f"sys.executable, launch.PATIENCE_S = {str(script)!r}, 1\n"
            f"with ending(): launch.in_processes(['train', 'demo'], 2, {run})\n"
        )
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stderr.splitlines(), time.monotonic() - began

    def told(self) -> str:
        return (self.folder / "told").read_text().strip()

    def other_is_gone(self) -> bool:
        return not Path(f"/proc/{(self.folder / 'id').read_text().strip()}").exists()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def first_seen(program: Program, then: str) -> str:
    """A lambda that waits until the other process works, and then does what `then` says."""
    return f"lambda: ([time.sleep(0.02) for _ in range(2000) if not os.path.exists('{program.folder}/told')], {then})"


def test_it_gets_the_same_words_and_its_rank_and_both_are_awaited(program: Program) -> None:
    assert program("sleep 0.3", first_seen(program, "None"))[:2] == (0, [])
    assert program.told() == "-m unipan train demo 1 1 2"
    assert program.other_is_gone()


@pytest.mark.parametrize(
    ("other", "lines"),
    [(f"echo '{OTHERS_SENTENCE}' >&2; exit 2", [OTHERS_SENTENCE]), ("kill -9 $$", ["unipan (rank 1 of 2): ended by SIGKILL."])],
    ids=["failed", "killed"],
)
def test_one_that_ends_before_they_meet_leaves_none_waiting(other: str, lines: list[str], program: Program) -> None:
    status, err, seconds = program(other, "lambda: time.sleep(50)")
    assert (status, err) == (2, [*lines, "unipan: another process has ended, so this one ends too."])
    assert seconds < 30


def test_ctrl_c_while_they_meet_ends_all(program: Program) -> None:
    """Python hears of no signal while PyTorch waits for the others; the one that does is told from one that failed."""
    status, err, _ = program("echo as Python ends >&2; exit 130", "lambda: time.sleep(50)")
    assert (status, err) == (130, ["unipan: interrupted."])


def test_its_message_stands_before_that_of_the_main_one_that_missed_it(program: Program) -> None:
    unreachable = first_seen(program, "fail(OthersUnreachable('it is gone.'))")
    status, err, _ = program(f"echo '{OTHERS_SENTENCE}' >&2; exit 2", unreachable)
    assert (status, err) == (2, [OTHERS_SENTENCE, "unipan: it is gone."])


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        ("InputError('there is no image b.png.')", 2, "unipan: there is no image b.png."),
        ("KeyboardInterrupt", 130, "unipan: interrupted."),
    ],
)
def test_what_both_find_is_said_once_and_one_that_still_waits_is_ended(
    error: str, status: int, message: str, program: Program
) -> None:
    found, err, seconds = program(f"echo '{OTHERS_SENTENCE}' >&2; sleep 50", first_seen(program, f"fail({error})"))
    assert (found, err) == (status, [message])
    assert program.other_is_gone()
    assert seconds < 30


def test_when_the_main_one_is_gone_the_others_end() -> None:
    code = "import time; from unipan.cli.launch import in_processes; in_processes(['train'], 2, time.sleep, 50)"
    started = os.environ | {STARTED_BY: str(os.getppid())}  # of two, but never this process's child
    assert subprocess.run([sys.executable, "-c", code], env=started, check=False, timeout=30).returncode == 1


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ([], 1),
        (["--processes", "4"], 4),
        (["--processes=3"], 3),
        (["--processes", "2", "--processes", "5"], 5),
        (["--processes"], 1),
    ],
)
def test_the_threads_are_shared_by_as_many_as_are_asked_for(words: list[str], number: int) -> None:
    assert asked_processes(["train", *words]) == number


@pytest.mark.parametrize("number", ["0", "-1"])
def test_no_number_of_processes_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["train", "demo", "--processes", number])
    assert capsys.readouterr().err == f"unipan: --processes is {number}; it takes a number of processes, from 1 on.\n"


def test_a_launcher_s_processes_start_no_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "run", "--processes", "3"])
    assert "--processes 3 came under a launcher" in capsys.readouterr().err


def test_the_environment_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    monkeypatch.setenv("MASTER_PORT", "7")
    former, seen = dict(os.environ), []
    in_processes([], 2, lambda: seen.append(dict(os.environ)))
    assert os.environ == former
    [within] = seen
    assert (within["RANK"], within["WORLD_SIZE"], within["MASTER_ADDR"]) == ("0", "2", "127.0.0.1")
    assert within["MASTER_PORT"] != "7"


@pytest.mark.parametrize("way", ["-m", "-c"])
def test_the_others_import_what_the_main_one_does(way: str, tmp_path: Path) -> None:
    """From the current folder with `python -m unipan`; the command finds no module that happens to lie there."""
    (tmp_path / "html.py").write_text("raise SystemExit('shadowed')")
    code = "import sys; from unipan.cli.launch import _path_option; print(*_path_option())"
    (tmp_path / "asks.py").write_text(code)
    asked = ["-m", "asks"] if way == "-m" else ["-P", "-c", code]
    done = subprocess.run([sys.executable, *asked], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == ("" if way == "-m" else "-P")
