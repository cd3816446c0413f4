"""Averaged weights, evaluation and drawings during a training: they change nothing of it, and the model is what they say."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from planted_hooks import At, plant
from safetensors.torch import load_file

from unipan.checkpoint import load_training
from unipan.config import Config, TrainConfig
from unipan.data.build import validation_dataset
from unipan.data.dataset import Part, evenly_spaced
from unipan.errors import InputError
from unipan.predictor import load
from unipan.recipes.evaluate import evaluate_predictor
from unipan.recipes.train import train
from unipan.recipes.training.log import VARYING, read_log
from unipan.tensor_file import read_facts

SCORES = {"pq", "pq_things", "pq_stuff"}


def with_validation(config: Config) -> Config:
    """Six steps, evaluated after 2, 4 and 6, with averaged weights and one drawing."""
    schedule = replace(config.train, ema=0.6, evaluate_every=2, evaluate_images=3, panels_every=6, save_every=3)
    return replace(config, train=schedule)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory, tiny_config: Config) -> Path:
    out = tmp_path_factory.mktemp("checked") / "run"
    train(with_validation(tiny_config), out)
    return out


def comparable(run: Path, *, scores: bool = True) -> list[dict]:
    left_out = VARYING if scores else VARYING | SCORES
    return [{name: value for name, value in line.items() if name not in left_out} for line in read_log(run / "log.jsonl")]


def final_weights(run: Path) -> dict[str, torch.Tensor]:
    return load_training(run / "checkpoints" / "step-00000006.safetensors").weights


def test_looking_on_changes_nothing_of_the_training(checked: Path, tiny_run: Path) -> None:
    assert comparable(checked, scores=False) == comparable(tiny_run)
    other = final_weights(tiny_run)
    assert all(torch.equal(tensor, other[name]) for name, tensor in final_weights(checked).items())


def test_the_model_is_the_average_that_scored_best(checked: Path, tiny_config: Config) -> None:
    scored = {line["step"]: line["pq"] for line in read_log(checked / "log.jsonl") if "pq" in line}
    assert list(scored) == [2, 4, 6]
    model, best = (load_file(checked / name) for name in ("model.safetensors", "best.safetensors"))
    assert all(torch.equal(tensor, best[name]) for name, tensor in model.items())
    data = validation_dataset(tiny_config.data)
    part = Part(data, evenly_spaced(len(data), 3))
    again = evaluate_predictor(load(checked, device="cpu"), part, "again").answer.quality.all.pq
    assert again == max(scored.values())
    if max(scored, key=scored.__getitem__) == 6:
        average = load_training(checked / "checkpoints" / "step-00000006.safetensors").ema
        assert all(torch.equal(tensor, model[name]) for name, tensor in average.items())


def test_a_stopped_run_goes_on_with_its_average_and_its_best(checked: Path, tiny_config: Config, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        plant(patch, At(5, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            train(with_validation(tiny_config), out)
    assert (out / "best.safetensors").exists()
    train(with_validation(tiny_config), out, resume=True)
    assert comparable(out) == comparable(checked)
    for name in ("model.safetensors", "best.safetensors", "checkpoints/step-00000006.safetensors"):
        assert (out / name).read_bytes() == (checked / name).read_bytes(), name


def test_best_weights_of_steps_that_are_gone_are_not_taken_for_those_in_the_log(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopped after a step that was better than the last checkpoint's, the run goes on elsewhere, and is worse from then on."""
    out, config = tmp_path / "run", with_validation(tiny_config)
    config = replace(config, train=replace(config.train, evaluate_every=1, save_every=2, panels_every=0))

    def scored(quality: dict[int, float]) -> None:
        values = iter(quality.values())
        monkeypatch.setattr("unipan.recipes.training.validation.evaluate_predictor", lambda *_: answer_of(next(values)))

    scored({1: 0.1, 2: 0.2, 3: 0.5})
    with pytest.MonkeyPatch.context() as patch:
        plant(patch, At(3, RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            train(config, out)
    assert read_facts(out / "best.safetensors")["step"] == "3"
    scored({3: 0.15, 4: 0.16, 5: 0.12, 6: 0.11})
    train(config, out, resume=True)
    assert read_facts(out / "best.safetensors")["step"] == "4"
    model, average = load_file(out / "model.safetensors"), load_training(out / "checkpoints" / "step-00000004.safetensors").ema
    assert all(torch.equal(tensor, model[name]) for name, tensor in average.items())


def answer_of(pq: float) -> SimpleNamespace:
    part = SimpleNamespace(pq=pq)
    return SimpleNamespace(answer=SimpleNamespace(quality=SimpleNamespace(all=part, things=part, stuff=part)))


def test_an_image_that_cannot_be_read_costs_no_step(tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise InputError("cannot read the image bad.png")

    config = with_validation(tiny_config)
    monkeypatch.setattr("unipan.recipes.training.validation.evaluate_predictor", unreadable)
    with pytest.raises(InputError, match=r"the evaluation after step 2, which is saved, failed: cannot read the image bad\.png"):
        train(config, tmp_path)
    monkeypatch.undo()
    train(config, tmp_path, resume=True)
    assert [line["step"] for line in read_log(tmp_path / "log.jsonl")] == [1, 2, 3, 4, 5, 6]


def test_an_image_that_cannot_be_drawn_costs_its_panel_alone(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable(*_: object) -> None:
        raise InputError("cannot read the image bad.png")

    monkeypatch.setattr("unipan.recipes.training.validation._row", unreadable)
    train(replace(tiny_config, train=replace(tiny_config.train, panels_every=tiny_config.train.steps)), tmp_path)
    assert "no panel after step" in caplog.text
    assert "cannot read the image bad.png" in caplog.text
    assert (tmp_path / "model.safetensors").is_file()
    assert not (tmp_path / "panels").exists()


def test_the_drawing_shows_four_images(checked: Path) -> None:
    [path] = (checked / "panels").iterdir()
    assert path.name == "step-00000006.jpg"
    with Image.open(path) as drawing:
        assert drawing.width > 3 * 64
        assert drawing.height > 4 * 64


def test_a_part_of_a_set_is_evenly_spaced(tiny_config: Config) -> None:
    data = validation_dataset(replace(tiny_config.data, val_scenes=10))
    names = [sample.file_name for sample in Part(data, evenly_spaced(len(data), 4))]
    assert names == [data[index].file_name for index in (0, 2, 5, 7)]


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5])
def test_a_decay_that_is_none_is_refused(decay: float) -> None:
    with pytest.raises(InputError, match=r"train\.ema is .*; a decay lies in \[0, 1\)"):
        TrainConfig(ema=decay)
