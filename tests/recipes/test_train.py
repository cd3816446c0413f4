"""Training on a few tiny scenes: what it leaves, and that a stopped run goes on to the bit."""

import errno
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from unipan.checkpoint import load_training, open_run
from unipan.config import Config
from unipan.data.build import training_dataset
from unipan.engine.fit import Step
from unipan.errors import InputError
from unipan.recipes import train as recipe
from unipan.recipes.train import train

FILES = ["classes.json", "config.json", "log.jsonl", "model.safetensors", "training.safetensors"]


def log_of(run: Path) -> list[dict[str, Any]]:
    """The lines of the log without their timings."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir()}


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let training fail right after this step was logged."""
    after_step = recipe._after_step

    def stopping(*arguments) -> Callable[[Step], None]:
        after = after_step(*arguments)

        def stop(told: Step) -> None:
            after(told)
            if told.number == step:
                raise error

        return stop

    monkeypatch.setattr(recipe, "_after_step", stopping)


def stopped_run(config: Config, out: Path, *, step: int) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(step, patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(config, out)
    return out


def assert_same_run(one: Path, other: Path) -> None:
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert log_of(one) == log_of(other)
    states = [load_training(run / "training.safetensors") for run in (one, other)]
    assert states[0].step == states[1].step
    for part in ("weights", "momentum"):
        tensors = [getattr(state, part) for state in states]
        assert set(tensors[0]) == set(tensors[1])
        assert all(torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items())


def test_a_run_holds_everything(tiny_run: Path, tiny_config: Config) -> None:
    assert set(FILES) <= set(contents(tiny_run))
    _, config, classes = open_run(tiny_run)
    assert config == tiny_config
    assert classes == training_dataset(tiny_config.data, 0).classes
    assert load_training(tiny_run / "training.safetensors").step == 6
    assert not list(tiny_run.glob(".*")), "no temporary file may be left"


def test_the_log_has_a_line_for_each_step(tiny_run: Path) -> None:
    lines = log_of(tiny_run)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["learning_rate"] for line in lines] == pytest.approx([0.02 / 3, 0.02, 0.02, 0.02, 0.02, 0.002])
    for line in lines:
        terms = {name: value for name, value in line.items() if name.startswith("loss/")}
        assert {"loss/semantic", "loss/panoptic", "loss/rpn_box", "loss/box_class"} <= set(terms)
        assert all(math.isfinite(value) for value in line.values())
        assert line["loss"] == pytest.approx(sum(terms.values()), abs=1e-4)


def test_the_network_learns(learnt_run: Path) -> None:
    losses = [line["loss"] for line in log_of(learnt_run)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@pytest.mark.parametrize("step", [4, 5])
def test_a_stopped_run_goes_on_to_the_bit(step: int, tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = stopped_run(tiny_config, tmp_path / "run", step=step)
    assert len(log_of(out)) == step
    state = load_training(out / "training.safetensors")
    assert state.step == 4
    final = load_training(tiny_run / "training.safetensors")
    assert not torch.equal(state.weights["panoptic_head.log_scale"], final.weights["panoptic_head.log_scale"])
    train(tiny_config, out, resume=True)
    assert_same_run(out, tiny_run)


def test_a_run_killed_while_logging_goes_on(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = stopped_run(tiny_config, tmp_path / "run", step=4)
    with (out / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "lo')
    train(tiny_config, out, resume=True)
    assert_same_run(out, tiny_run)


def test_a_run_killed_before_its_model_was_written_gets_it(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(tiny_run, out)
    (out / "model.safetensors").unlink()
    train(tiny_config, out, resume=True)
    assert_same_run(out, tiny_run)


def test_a_run_stopped_before_its_first_checkpoint_starts_anew(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = stopped_run(tiny_config, tmp_path / "run", step=1)
    with pytest.raises(InputError, match=r"training\.safetensors is missing"):
        train(tiny_config, out, resume=True)
    train(tiny_config, out)
    assert_same_run(out, tiny_run)


def test_the_seed_decides(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    train(replace(tiny_config, train=replace(tiny_config.train, seed=1, steps=2)), tmp_path / "run")
    assert log_of(tmp_path / "run")[0]["loss"] != log_of(tiny_run)[0]["loss"]


def test_going_on_with_other_settings_is_refused(tiny_run: Path, tiny_config: Config) -> None:
    before = contents(tiny_run)
    other = replace(tiny_config, train=replace(tiny_config.train, learning_rate=0.03))
    with pytest.raises(InputError, match="--resume: the settings or the class table are not those of the run"):
        train(other, tiny_run, resume=True)
    assert contents(tiny_run) == before


def test_going_on_with_another_class_table_is_refused(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(tiny_run, out)
    categories = json.loads((out / "classes.json").read_text())
    (out / "classes.json").write_text(json.dumps(categories[::-1]))
    with pytest.raises(InputError, match="--resume: the settings or the class table"):
        train(tiny_config, out, resume=True)


def test_going_on_with_nothing_is_refused(tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run"):
        train(tiny_config, tmp_path, resume=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("left", FILES[3:])
def test_a_run_is_never_overwritten(left: str, tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    shutil.copy(tiny_run / left, tmp_path / left)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds a run already; add --resume"):
        train(tiny_config, tmp_path)
    assert contents(tmp_path) == before


def test_a_full_disk_stops_training_with_a_sentence(tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("unipan.checkpoint.save_file", full)
    with pytest.raises(InputError, match=r"cannot write .*training\.safetensors: No space left on device"):
        train(tiny_config, tmp_path / "run")
    assert sorted(contents(tmp_path / "run")) == FILES[:3]


def test_a_log_that_cannot_be_written_stops_training_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*: Is a directory; the last checkpoint is untouched"):
        recipe._append(tmp_path, {"step": 1})
