"""What of a run stays on the disk while it trains, and what it goes on from when something there is damaged."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unipan.checkpoint import RunFolder, TrainingState, save_training
from unipan.config import Config
from unipan.errors import InputError
from unipan.recipes.train import train
from unipan.recipes.training import checkpoints
from unipan.recipes.training.checkpoints import keep_checkpoint, newest_state, saved_steps


def state(step: int) -> TrainingState:
    return TrainingState(step, {"a": torch.full((2,), float(step))}, {})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Three checkpoints."""
    run = RunFolder(tmp_path)
    for step in (10, 20, 30):
        keep_checkpoint(run, state(step), keep=3)
    return run


def names(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.checkpoints.iterdir())


@pytest.mark.parametrize(("keep", "expected"), [(1, [40]), (2, [30, 40]), (4, [10, 20, 30, 40]), (9, [10, 20, 30, 40])])
def test_the_newest_stay(folder: RunFolder, keep: int, expected: list[int]) -> None:
    keep_checkpoint(folder, state(40), keep=keep)
    assert saved_steps(folder) == expected
    assert names(folder) == [f"step-{step:08}.safetensors" for step in expected]


def test_an_old_one_goes_only_when_the_new_one_is_there(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink, seen = Path.unlink, []

    def recorded(path: Path, **options: bool) -> None:
        if path.name.startswith("step-"):
            seen.append((path.name, saved_steps(folder)))
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", recorded)
    keep_checkpoint(folder, state(40), keep=3)
    assert seen == [("step-00000010.safetensors", [10, 20, 30, 40])]


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("function", ["unipan.tensor_file.save_file", "os.fsync", "pathlib.Path.replace"])
def test_a_full_disk_leaves_every_checkpoint_and_no_rubbish(
    folder: RunFolder, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: (folder.checkpoints / name).read_bytes() for name in names(folder)}
    monkeypatch.setattr(function, full)
    with pytest.raises(InputError, match=r"cannot write .*step-00000040\.safetensors: No space left on device"):
        keep_checkpoint(folder, state(40), keep=1)
    assert {name: (folder.checkpoints / name).read_bytes() for name in names(folder)} == before
    found = newest_state(folder)
    assert found
    assert found.step == 30


def test_a_log_is_on_the_disk_before_its_checkpoint(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.log.write_text("{}\n")
    did: list[str] = []
    monkeypatch.setattr(checkpoints, "flush", lambda path: did.append(path.name))
    monkeypatch.setattr(checkpoints, "save_training", lambda path, saved: did.append(path.name))
    keep_checkpoint(folder, state(40), keep=3)
    assert did == ["log.jsonl", "step-00000040.safetensors"]


def test_later_ones_that_were_passed_over_go_when_the_run_goes_on(folder: RunFolder) -> None:
    """Or the newest N by number would be the damaged ones."""
    os.truncate(folder.checkpoint(30), 50)
    found = newest_state(folder)
    assert found
    assert found.step == 20
    keep_checkpoint(folder, state(25), keep=2)
    assert saved_steps(folder) == [20, 25]


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 16]) + content[-8:])


DAMAGES: list[Callable[[Path], object]] = [
    lambda path: os.truncate(path, path.stat().st_size // 2),
    lambda path: path.write_bytes(b""),
    flip,
    lambda path: save_training(path, TrainingState(6, {"a": torch.tensor([torch.nan])}, {})),
    lambda path: save_training(path, TrainingState(7, {"a": torch.zeros(1)}, {})),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_one_is_told_in_one_line_and_the_one_before_taken(
    damage: Callable[[Path], object], tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(shutil.copytree(tiny_run, tmp_path / "run"))
    assert saved_steps(folder) == [4, 6]
    damage(folder.checkpoint(6))
    found = newest_state(folder)
    assert found
    assert found.step == 4
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "passed over: " in message
    assert "step-00000006.safetensors" in message


def test_a_run_whose_newest_checkpoint_is_damaged_ends_with_the_same_bytes(
    tiny_run: Path, tiny_config: Config, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    (out / "model.safetensors").unlink()
    flip(RunFolder(out).checkpoint(6))
    train(tiny_config, out, resume=True)
    assert saved_steps(RunFolder(out)) == [4, 6]
    for name in ("model.safetensors", "checkpoints/step-00000006.safetensors"):
        assert (out / name).read_bytes() == (tiny_run / name).read_bytes()


def test_a_run_without_a_whole_checkpoint_is_not_started_anew_in_silence(folder: RunFolder) -> None:
    for step in saved_steps(folder):
        folder.checkpoint(step).write_bytes(b"")
    with pytest.raises(InputError, match=r"has no checkpoint that is whole \(3 are damaged\)"):
        newest_state(folder)


def test_other_names_beside_the_checkpoints_are_left_alone(folder: RunFolder) -> None:
    for name in ("step-best.safetensors", "step-00000005.safetensors.bak", "notes"):
        (folder.checkpoints / name).write_text("mine")
    keep_checkpoint(folder, state(40), keep=1)
    assert names(folder) == ["notes", "step-00000005.safetensors.bak", "step-00000040.safetensors", "step-best.safetensors"]


def test_settings_that_change_no_step_may_differ(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    (out / "model.safetensors").unlink()
    train(replace(tiny_config, train=replace(tiny_config.train, keep=5, save_every=3, on_nonfinite="skip")), out, resume=True)
    assert (out / "model.safetensors").read_bytes() == (tiny_run / "model.safetensors").read_bytes()


def test_a_run_of_an_earlier_version_goes_on_and_says_what_is_new(
    tiny_run: Path, tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    settings = json.loads((out / "config.json").read_text())
    del settings["train"]["keep"]
    (out / "config.json").write_text(json.dumps(settings))
    train(tiny_config, out, resume=True)
    assert "was written by an earlier version; taken by default: train.keep." in " ".join(capsys.readouterr().err.split())
