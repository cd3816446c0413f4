"""Writing a run: the whole new file or the former one, whatever the disk or the system does meanwhile."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError
from torch import nn

from unipan.checkpoint import RunFolder, open_run, save_model, write_settings
from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.files import replace_atomically, sweep, write_json
from unipan.presets import PRESETS

CONFIG = PRESETS["scenes"]()
CLASSES = ClassTable.from_categories([{"id": 1, "name": "sky", "isthing": 0}])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def network(width: int) -> nn.Module:
    return nn.Linear(2, width)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that was saved before."""
    path = tmp_path / "model.safetensors"
    save_model(path, network(3))
    return path


def failing_save(error: Exception) -> Callable[..., None]:
    def save_file(tensors, filename, metadata) -> None:
        Path(filename).write_bytes(b"half of it")
        raise error

    return save_file


def failing_fsync(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("function", "failing"),
    [
        ("unipan.tensor_file.save_file", failing_save(OSError(errno.ENOSPC, "No space left on device"))),
        ("unipan.tensor_file.save_file", failing_save(SafetensorError("I/O error: No space left on device"))),
        ("os.fsync", failing_fsync),
    ],
)
def test_a_full_disk_leaves_the_former_file(
    model: Path, function: str, failing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = model.read_bytes()
    monkeypatch.setattr(function, failing)
    with pytest.raises(InputError, match=r"cannot write .*model\.safetensors: .*No space left on device.*untouched"):
        save_model(model, network(4))
    assert model.read_bytes() == before
    assert names(model.parent) == [model.name]


def test_a_limit_of_the_system_leaves_the_former_file(model: Path) -> None:
    before = model.read_bytes()
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, former[1]))
    try:
        with pytest.raises(InputError, match=r"cannot write .*model\.safetensors: .*File too large"):
            save_model(model, network(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert model.read_bytes() == before
    assert names(model.parent) == [model.name]


def test_a_killed_process_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"pq": 1})
    code = (
        "import os, sys; from pathlib import Path; from unipan.files import replace_atomically\n"
        "replace_atomically(Path(sys.argv[1]), lambda part: (part.write_text('{'), os.kill(os.getpid(), 9)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == '{\n  "pq": 1\n}\n'


def test_what_a_killed_save_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".model.safetensors.tmp", ".tmpdLkxAW", "model.safetensors", ".hidden", "notes.tmp"):
        (tmp_path / name).write_text("")
    (tmp_path / ".folder.tmp").mkdir()
    sweep(tmp_path)
    sweep(tmp_path / "not there")
    assert names(tmp_path) == [".folder.tmp", ".hidden", "model.safetensors", "notes.tmp"]


def test_a_file_and_its_name_are_flushed_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved before its content is on the disk, or with the move in memory alone, a power cut could leave nothing."""
    did = []
    monkeypatch.setattr("unipan.files.flush", lambda path: did.append(f"flush {path.name}"))
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: (did.append("move"), replace(self, target)))
    write_json(tmp_path / "metrics.json", {})
    assert did == ["flush .metrics.json.tmp", "move", f"flush {tmp_path.name}"]


def test_others_may_read_what_they_may_of_any_new_file(model: Path) -> None:
    """Safetensors alone would shut out whoever shares the machine."""
    former = os.umask(0o027)
    try:
        save_model(model, network(3))
    finally:
        os.umask(former)
    assert model.stat().st_mode & 0o777 == 0o640


def test_a_fault_of_ours_is_no_input_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "metrics.json", {"pq": object()})
    assert names(tmp_path) == []


def test_a_new_file_replaces_the_former(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for text in ("one", "two"):
        replace_atomically(path, lambda part, text=text: part.write_text(text))
        assert path.read_text() == text
    assert names(tmp_path) == ["file"]


def test_a_run_cannot_start_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"cannot make the folder .*taken"):
        write_settings(RunFolder(tmp_path / "taken"), CONFIG, CLASSES)


def test_a_full_disk_while_settings_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    write_settings(folder, CONFIG, CLASSES)
    monkeypatch.setattr(os, "fsync", failing_fsync)
    with pytest.raises(InputError, match=r"cannot write .*config\.json: No space left on device"):
        write_settings(folder, CONFIG, CLASSES)
    assert open_run(tmp_path)[1] == CONFIG
    assert names(tmp_path) == ["classes.json", "config.json"]
