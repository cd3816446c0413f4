"""On the command line alone, and unless the user said otherwise: threads that wait asleep, no more than a container allows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unipan.cli.threads import SPINS, processor_quota, set_threads
from unipan.engine.forks import available_processors
from unipan.errors import InputError

SHOWN = "import os; print({name: os.environ.get(name) for name in ('OMP_WAIT_POLICY', 'OMP_NUM_THREADS')})"
INF = float("inf")
ASLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPINS}


@pytest.mark.parametrize(
    ("given", "quota", "expected"),
    [
        ({}, INF, {**ASLEEP}),
        ({}, 0.5, {**ASLEEP, "OMP_NUM_THREADS": "1"}),
        ({"OMP_NUM_THREADS": "7"}, 0.5, {**ASLEEP, "OMP_NUM_THREADS": "7"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, INF, {"OMP_WAIT_POLICY": "ACTIVE"}),
        ({"GOMP_SPINCOUNT": "100"}, INF, {"GOMP_SPINCOUNT": "100"}),
        ({"UNIPAN_THREADS": "3"}, 0.5, {"UNIPAN_THREADS": "3", **ASLEEP, "OMP_NUM_THREADS": "3"}),
    ],
)
def test_what_the_user_said_stays(given: dict[str, str], quota: float, expected: dict[str, str]) -> None:
    environment = dict(given)
    set_threads(environment, quota=quota)
    assert environment == expected


def test_processes_share_the_processors() -> None:
    here = available_processors()
    for processes, quota, each in ((2, INF, max(1, here // 2)), (here, INF, 1), (here + 1, INF, 1), (2, 0.5, 1)):
        environment: dict[str, str] = {}
        set_threads(environment, quota=quota, processes=processes)
        assert environment["OMP_NUM_THREADS"] == str(each)
    asked = {"OMP_NUM_THREADS": "7"}
    set_threads(asked, quota=INF, processes=2)
    assert asked["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_no_number_of_threads_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="UNIPAN_THREADS"):
        set_threads({"UNIPAN_THREADS": value}, quota=INF)


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, INF),
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, 0.5),
        ("0::/a\n", {"cpu.max": "300000 100000", "a/cpu.max": "200000 100000"}, 2.0),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 2.5),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, INF),
        ("0::/\n", {"cpu.max": "nonsense"}, INF),
        ("0::/\n", {}, INF),
    ],
)
def test_the_quota_of_control_groups(own: str, files: dict[str, str], expected: float, tmp_path: Path) -> None:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert processor_quota(tmp_path / "groups", tmp_path / "own") == expected
    assert processor_quota(tmp_path, tmp_path / "gone") == INF


def shown(before: str) -> dict[str, str | None]:
    environment = {name: value for name, value in os.environ.items() if name not in ASLEEP and name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", before + SHOWN], env=environment, capture_output=True, text=True, check=True)
    return eval(done.stdout.splitlines()[-1])


def test_the_command_line_sets_them_and_an_import_does_not() -> None:
    assert shown("from unipan.cli import main; main(['--version']);")["OMP_WAIT_POLICY"] == "PASSIVE"
    assert shown("import unipan, unipan.cli.app;")["OMP_WAIT_POLICY"] is None
    assert available_processors() >= 1
