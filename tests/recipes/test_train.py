"""Training on a few tiny scenes: what it leaves, and that a stopped run goes on to the bit."""

import errno
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from planted_hooks import At, plant
from safetensors.torch import load_file

from unipan.checkpoint import PARTS, RunFolder, TrainingState, open_run
from unipan.config import Config, TrainConfig
from unipan.data.build import training_dataset
from unipan.errors import InputError
from unipan.recipes.evaluate import evaluate
from unipan.recipes.train import train
from unipan.recipes.training.checkpoints import _going_on, newest_state
from unipan.recipes.training.log import VARYING, Log

FILES = ["classes.json", "config.json", "log.jsonl", "model.safetensors"]


def log_of(run: Path) -> list[dict[str, Any]]:
    """The lines of the log without their timings."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in VARYING} for line in lines]


def newest(run: Path) -> TrainingState:
    state = newest_state(RunFolder(run))
    assert state
    return state


def contents(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def stopped_run(config: Config, out: Path, *, step: int) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        plant(patch, At(step, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            train(config, out)
    return out


def assert_same_run(one: Path, other: Path) -> None:
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert log_of(one) == log_of(other)
    states = [newest(run) for run in (one, other)]
    assert states[0].step == states[1].step
    for part in PARTS:
        tensors = [getattr(state, part) for state in states]
        assert set(tensors[0]) == set(tensors[1])
        assert all(torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items())


def test_a_run_holds_everything(tiny_run: Path, tiny_config: Config) -> None:
    assert set(FILES) <= set(contents(tiny_run))
    _, config, classes = open_run(tiny_run)
    assert config == tiny_config
    assert classes == training_dataset(tiny_config.data, 0).classes
    assert newest(tiny_run).step == 6
    assert not list(tiny_run.rglob(".*")), "no temporary file may be left"


def test_the_log_has_a_line_for_each_step(tiny_run: Path) -> None:
    lines = log_of(tiny_run)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["learning_rate"] for line in lines] == pytest.approx([0.02 / 3, 0.02, 0.02, 0.02, 0.02, 0.002])
    for line in lines:
        terms = {name: value for name, value in line.items() if name.startswith("loss/")}
        assert {"loss/semantic", "loss/panoptic", "loss/rpn_box", "loss/box_class"} <= set(terms)
        assert all(math.isfinite(value) for value in line.values() if isinstance(value, float))
        assert line["loss"] == pytest.approx(sum(terms.values()), abs=1e-4)


def test_the_network_learns(learnt_run: Path) -> None:
    losses = [line["loss"] for line in log_of(learnt_run)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@pytest.mark.parametrize("step", [4, 5])
def test_a_stopped_run_goes_on_to_the_bit(step: int, tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = stopped_run(tiny_config, tmp_path / "run", step=step)
    assert len(log_of(out)) == step
    state = newest(out)
    assert state.step == 4
    final = newest(tiny_run)
    assert not torch.equal(state.weights["panoptic_head.log_scale"], final.weights["panoptic_head.log_scale"])
    train(tiny_config, out, resume=True)
    assert_same_run(out, tiny_run)


def test_other_data_than_a_run_began_with_are_said(
    tiny_run: Path, tiny_config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    train(tiny_config, run, resume=True)
    assert "other training data" not in caplog.text
    known = json.loads((run / "training_data.json").read_text())
    assert known["images"] == len(training_dataset(tiny_config.data, tiny_config.train.seed))
    for other in (json.dumps(known | {"images": 3}), json.dumps(known | {"truth": {}}), "no JSON"):
        (run / "training_data.json").write_text(other)
        train(tiny_config, run, resume=True)
        assert "other training data: the run began with other images or another truth" in caplog.text
        assert (run / "training_data.json").read_text() == other, "what it began with stays known"
        caplog.clear()


def test_adam_on_a_cosine_goes_on_to_the_bit(tiny_config: Config, tmp_path: Path) -> None:
    other = replace(tiny_config.train, optimizer="adamw", schedule="cosine", learning_rate=0.001)
    config = replace(tiny_config, train=other)
    train(config, tmp_path / "whole")
    rates = [line["learning_rate"] for line in log_of(tmp_path / "whole")]
    assert max(rates) == rates[1] == pytest.approx(0.001)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert 0 < rates[-1] < 0.0002
    out = stopped_run(config, tmp_path / "run", step=5)
    train(config, out, resume=True)
    assert_same_run(out, tmp_path / "whole")


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


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_stopped_before_its_first_checkpoint_starts_anew(
    resume: bool, tiny_run: Path, tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = stopped_run(tiny_config, tmp_path / "run", step=1)
    train(tiny_config, out, resume=resume)
    assert ("stopped before its first checkpoint; starting from the beginning" in capsys.readouterr().err) == resume
    assert_same_run(out, tiny_run)


def test_the_seed_decides(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    train(replace(tiny_config, train=replace(tiny_config.train, seed=1, steps=2)), tmp_path / "run")
    assert log_of(tmp_path / "run")[0]["loss"] != log_of(tiny_run)[0]["loss"]


def test_going_on_with_other_settings_is_refused(tiny_run: Path, tiny_config: Config) -> None:
    before = contents(tiny_run)
    other = replace(tiny_config, train=replace(tiny_config.train, learning_rate=0.03))
    with pytest.raises(InputError, match=r"train\.learning_rate is 0\.02 there, 0\.03 here"):
        train(other, tiny_run, resume=True)
    assert contents(tiny_run) == before


def test_a_stopped_run_has_a_model_that_says_which_step_it_is_of(
    tiny_run: Path, tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = stopped_run(tiny_config, tmp_path / "run", step=5)
    folder = RunFolder(out)
    assert (folder.model_step, folder.is_finished) == (4, False)
    weights = newest(out).weights
    assert all(torch.equal(tensor, weights[name]) for name, tensor in load_file(folder.model).items())
    evaluate(str(out))
    assert f"{out} is not finished: its model is that of step 4 of 6." in capsys.readouterr().err
    assert (RunFolder(tiny_run).model_step, RunFolder(tiny_run).is_finished) == (None, True)


def test_a_run_may_end_earlier_or_later_than_was_said(
    tiny_run: Path, tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes of it is what a run of that length would have been from its start."""

    def to(steps: int) -> Config:
        return replace(tiny_config, train=replace(tiny_config.train, steps=steps))

    out = stopped_run(to(4), tmp_path / "run", step=3)
    train(to(3), out, resume=True)
    assert f"{out}: going on after step 2 of 3, which was to end after 4." in capsys.readouterr().err
    assert RunFolder(out).is_finished
    train(tiny_config, out, resume=True)
    message = capsys.readouterr().err
    assert "going on after step 3 of 6, which was to end after 3. What is done stays" in message
    assert "the learning rate is divided by 10 after 5." in message
    assert_same_run(out, tiny_run)
    assert open_run(out)[1] == tiny_config
    with pytest.raises(InputError, match=r"train\.steps is 5, but 6 steps of the run are done; give 6 or more"):
        train(to(5), out, resume=True)


@pytest.mark.parametrize(
    ("decays", "steps", "done", "sentence"),
    [
        ((40, 60), 80, 10, "going on after step 10 of 80."),
        ((40, 60), 80, 80, "all of its 80 steps are done; a higher --train.steps trains it longer."),
        ((40, 60), 50, 10, "the learning rate is divided by 10 after 40; 60 lies beyond the end."),
        ((40, 60), 99, 80, "the learning rate is not divided any more (--train.decay-steps says when)."),
        ((40, 90), 99, 60, "the learning rate is divided by 10 after 90."),
    ],
)
def test_what_another_schedule_does_is_said(decays: tuple[int, ...], steps: int, done: int, sentence: str) -> None:
    saved = TrainConfig(steps=80, decay_steps=(40, 60))
    assert _going_on(saved, replace(saved, steps=steps, decay_steps=decays), done).endswith(sentence)


def test_a_division_that_is_done_cannot_be_changed() -> None:
    saved = TrainConfig(steps=80, decay_steps=(40, 60))
    with pytest.raises(InputError, match=r"is 40, 60 in the run and 41, 60 here, but 50 steps are done.*from step 50 on"):
        _going_on(saved, replace(saved, decay_steps=(41, 60)), 50)


def test_a_cosine_that_is_under_way_keeps_its_length() -> None:
    saved = TrainConfig(steps=80, schedule="cosine")
    assert _going_on(saved, replace(saved, decay_steps=(5,)), 50) == "going on after step 50 of 80."
    with pytest.raises(InputError, match=r"train\.steps is 80 in the run and 90 here, but with train\.schedule cosine"):
        _going_on(saved, replace(saved, steps=90), 50)


def test_going_on_with_another_class_table_is_refused(tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(tiny_run, out)
    categories = json.loads((out / "classes.json").read_text())
    (out / "classes.json").write_text(json.dumps(categories[::-1]))
    with pytest.raises(InputError, match="holds a run with other settings or another class table"):
        train(tiny_config, out, resume=True)


@pytest.mark.parametrize("left", [(), ("config.json",)], ids=["nothing", "killed between two files"])
def test_going_on_where_nothing_has_begun_is_to_begin(
    left: tuple[str, ...], tiny_run: Path, tiny_config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A scheduler gives the same command each time, also after a kill within the first seconds."""
    out = tmp_path / "run"
    for name in left:
        out.mkdir()
        shutil.copy(tiny_run / name, out / name)
    train(tiny_config, out, resume=True)
    assert f"{out} holds no run yet; starting from the beginning." in caplog.text
    assert (out / "model.safetensors").read_bytes() == (tiny_run / "model.safetensors").read_bytes()


def test_a_strangers_folder_is_no_run_to_go_on_with(tiny_config: Config, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds config\.json, which no training wrote"):
        train(tiny_config, tmp_path, resume=True)


@pytest.mark.parametrize("left", ["model.safetensors", "checkpoints/step-00000006.safetensors"])
def test_a_run_is_never_overwritten(left: str, tiny_run: Path, tiny_config: Config, tmp_path: Path) -> None:
    (tmp_path / left).parent.mkdir(exist_ok=True)
    shutil.copy(tiny_run / left, tmp_path / left)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds a run already; add --resume"):
        train(tiny_config, tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": '{"train": {"steps": 7}}'},  # a file of settings
        {"classes.json": '[{"id": 1, "name": "cat", "isthing": 1}]'},
        {"log.jsonl": '{"step": 5, "mine": 1}\n'},
        {"training_data.json": '{"my": "data"}'},
        {"config.json": "whole", "log.jsonl": '{"epoch": 5}\n'},
        {"config.json": "whole", "log.jsonl": "null\n"},
    ],
)
def test_files_that_no_training_wrote_are_never_replaced(
    files: dict[str, str], tiny_run: Path, tiny_config: Config, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text((tiny_run / name).read_text() if text == "whole" else text)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"holds {' and '.join(files)}, which no training wrote"):
        train(tiny_config, tmp_path)
    assert contents(tmp_path) == before


def test_a_run_of_an_earlier_version_that_was_killed_early_starts_anew(
    tiny_config: Config, tiny_run: Path, tmp_path: Path
) -> None:
    settings = json.loads((tiny_run / "config.json").read_text())
    del settings["train"]["accumulate"]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    shutil.copy(tiny_run / "classes.json", tmp_path)
    train(replace(tiny_config, train=replace(tiny_config.train, steps=1)), tmp_path)
    assert (tmp_path / "model.safetensors").exists()


def test_weights_that_the_last_step_broke_are_no_model(tiny_config: Config, tmp_path: Path) -> None:
    far = replace(tiny_config.train, steps=1, warmup_steps=0, learning_rate=1e30, weight_decay=1e30)
    broken = replace(tiny_config, train=far)
    with pytest.raises(InputError, match=r"the training diverged: after its last step .* not finite"):
        train(broken, tmp_path)


def test_a_full_disk_stops_training_with_a_sentence(tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("unipan.tensor_file.save_file", full)
    with pytest.raises(InputError, match=r"cannot write .*step-00000002\.safetensors: No space left on device"):
        train(tiny_config, tmp_path / "run")
    assert sorted(contents(tmp_path / "run")) == [*FILES[:3], "training_data.json"]


def test_a_log_that_cannot_be_written_stops_training_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*: Is a directory; the last checkpoint is untouched"):
        Log(tmp_path).note({"step": 1})
