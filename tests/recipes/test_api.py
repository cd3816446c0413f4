"""From Python: what `unipan train` and the other verbs do, with results as values."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_files import write_cat
from PIL import Image

import unipan
from unipan.cli import main
from unipan.config import Config
from unipan.errors import InputError
from unipan.settings_file import save_config


def digest(run: unipan.Run) -> str:
    return hashlib.sha256((Path(run.path) / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture
def short(tiny_config: Config) -> Config:
    return replace(tiny_config, train=replace(tiny_config.train, steps=3, save_every=2))


def test_from_python_and_from_the_command_line_the_weights_are_the_same_bytes(
    short: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_config(short, tmp_path / "short.json")
    main(["train", "--config", "short.json", "--train.seed", "7"])
    seed: dict[str, Any] = {"train.seed": 7}
    by_name = unipan.train(short, **seed)
    by_section = unipan.train(json.loads(Path("short.json").read_text()), out="there", train={"seed": 7})
    other = unipan.train(short)
    assert (by_name.path, by_section.path, other.path) == (Path("runs/train-2"), Path("there"), Path("runs/train-3"))
    assert digest(unipan.Run("runs/train-1")) == digest(by_name) == digest(by_section) != digest(other)
    assert by_name.config == replace(short, train=replace(short.train, seed=7))


def test_what_a_run_can_do(tiny_run: Path, tmp_path: Path) -> None:
    run = unipan.Run(tiny_run)
    evaluation = run.evaluate(overrides=unipan.Overrides(max_admitted=3))
    written = json.loads((tiny_run / "metrics_max-admitted-3.json").read_text())
    assert evaluation.answer.quality.all.pq == written["answer"]["quality"]["all"]["pq"]
    comparison = run.compare(samples=2, out=tmp_path / "compared")
    assert len(comparison.drawings) == 2
    assert {*comparison.reports} == {*run.predictor().heads}
    Image.new("RGB", (48, 40)).save(tmp_path / "one.png")
    assert len(run.compare(str(tmp_path / "one.png"), out=tmp_path / "one").drawings) == 1
    assert run.predictor(head="heuristic").head == "heuristic"
    assert run.classes == run.predictor().classes


def test_a_training_that_can_t_begin_leaves_no_folder(short: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no backbone 'resnet5O'"):
        unipan.train(short, model={"backbone": "resnet5O"})
    assert list(Path("runs").iterdir()) == []
    with pytest.raises(InputError, match="name its folder"):
        unipan.train(short, resume=True)
    with pytest.raises(InputError, match=r"setting train\.stepss is unknown \(near it: train\.steps\)"):
        unipan.train("demo", train={"stepss": 3})
    with pytest.raises(InputError, match="there is no preset dmeo"):
        unipan.train("dmeo")


untyped: Any = unipan


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run, _: untyped.train(None), "settings came as a NoneType; give a preset's name, a Config, or a mapping"),
        (lambda run, _: untyped.train("demo", out=5), "out is 5, a int; give a path"),
        (lambda run, _: untyped.Run(None), "the run is None, a NoneType; give a path"),
        (lambda run, out: untyped.Run(run).compare(5, out=out), "images is 5, a int; give a path"),
        (lambda run, out: untyped.Run(run).compare([b"a.png"], out=out), "images is b'a.png', a bytes; give a path"),
        (lambda run, _: untyped.Run(run).compare(samples=1, out=None), "out is None, a NoneType; give a path"),
        (lambda run, _: untyped.export(run, None), "onnx is None, a NoneType; give a path"),
        (lambda run, _: untyped.score(None, "a.json"), "the truth is None, a NoneType; give a path"),
        (lambda run, _: untyped.doctor(3), "data is 3, a int; give a path"),
        (
            lambda run, _: untyped.explore(run, np.zeros((40, 40, 3), np.uint8), truth="a.json"),
            "truth came as a str; give a Panoptic",
        ),
    ],
)
def test_a_value_of_a_wrong_kind_is_told_at_the_door(
    call: Callable[[Path, Path], object], message: str, tiny_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        call(tiny_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class EarlyStop(unipan.Hook):
    """Ends the training after its second step."""

    def __init__(self) -> None:
        self.ended = False

    def after_step(self, step: unipan.Step) -> None:
        step.fields["twice"] = 2 * step.index
        if step.index == 2:
            step.stop = StopIteration("that is enough")

    def close(self) -> None:
        self.ended = True


def test_a_hook_writes_into_the_log_and_stops_a_run_which_goes_on(short: Config, tmp_path: Path) -> None:
    hook = EarlyStop()
    with pytest.raises(StopIteration, match="enough"):
        unipan.train(short, out=tmp_path / "run", hooks=[hook])
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert ([line["twice"] for line in lines], hook.ended) == ([2, 4], True)
    went_on = unipan.train(short, out=tmp_path / "run", resume=True)
    assert digest(went_on) == digest(unipan.train(short, out=tmp_path / "whole"))


class Enough(unipan.Hook):
    """Finds two steps enough."""

    def after_step(self, step: unipan.Step) -> None:
        step.should_stop = step.index == 2


@pytest.mark.parametrize("hooks", [unipan.Hook(), [object()], [unipan.Hook], [Enough, "hook"], 3])
def test_hooks_that_are_none_are_refused_before_anything_is_written(hooks: Any, short: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"give a list of objects whose classes derive from unipan\.Hook\."):
        unipan.train(short, out=tmp_path / "run", hooks=hooks)
    assert not (tmp_path / "run").exists()


def test_a_hook_ends_a_run_which_is_then_whole(short: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    run = unipan.train(short, out=tmp_path / "run", hooks=[Enough()])
    assert len((tmp_path / "run/log.jsonl").read_text().splitlines()) == 2
    assert "Ended by a hook after step 2 of 3." in caplog.text
    assert run.predictor(device="cpu")(np.zeros((40, 40, 3), np.uint8)).ids.shape == (40, 40)
    went_on = unipan.train(short, out=tmp_path / "run", resume=True)
    assert digest(went_on) == digest(unipan.train(short, out=tmp_path / "whole"))


def test_score_and_doctor_give_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, predictions = write_cat(tmp_path / "truth.json", 0), write_cat(tmp_path / "predictions.json", 1)
    report = unipan.score(str(truth), predictions)
    assert report.quality.things.pq == pytest.approx(12 / 20)
    found = unipan.doctor(truth, images=[tmp_path])
    assert unipan.doctor(str(truth), images=str(tmp_path)).to_json() == found.to_json(), "one path is none of its letters"
    assert (found.trainable, found.copy) == (False, None)
    with pytest.raises(SystemExit):
        main(["doctor", str(truth), "--images", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out) == found.to_json()
