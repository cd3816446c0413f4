"""A corrupt image in the middle of a training, and a log of what was skipped."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from unipan.choices import Faulty
from unipan.config import Config
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.loader import epoch_order
from unipan.data.scenes.dataset import SceneDataset
from unipan.engine.processes import Processes
from unipan.errors import InputError
from unipan.recipes.train import train
from unipan.recipes.training.skipped_images import SkippedImages
from unipan.types import Batch

SCENES = SceneDataset(difficulty="standard", size=(64, 64), seed=5, length=3)
SEED = 0
LAST = int(epoch_order(3, SEED, 0)[2])
"""The sample that the first step of two does not see."""
CUT = SCENES[LAST].file_name


@pytest.fixture(scope="module")
def corrupt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JSON of three scenes; one image is cut short."""
    folder = tmp_path_factory.mktemp("corrupt")
    samples = [SCENES[position] for position in range(3)]
    for sample in samples:
        Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(folder / sample.file_name)
    cut = folder / CUT
    cut.write_bytes(cut.read_bytes()[:2000])
    entries = (Entry(sample.image_id, sample.file_name, sample.truth) for sample in samples)
    return write_panoptic(folder, entries, SCENES.classes, json_name="truth.json", png_folder="truth", scores=False)


def on_json(tiny: Config, path: Path, faulty: Faulty, workers: int = 0) -> Config:
    data = replace(tiny.data, train=str(path), val=str(path), images=str(path.parent), faulty=faulty)
    return replace(tiny, data=data, train=replace(tiny.train, save_every=1, workers=workers, steps=5, seed=SEED))


def log_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_skipped_images_are_named_once_noted_and_counted(
    corrupt: Path, tiny_config: Config, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(on_json(tiny_config, corrupt, "skip", workers=1), tmp_path / "run")
    message = "".join(capfd.readouterr().err.split())
    positions = 3 + int(epoch_order(3, SEED, 3)[0] == LAST)  # of 10: one in each epoch of 3
    assert message.count(f"skipped:cannotreadtheimage{corrupt.parent}/{CUT}") == 1
    assert f"skipped1faultyimage:{positions}times" in message
    lines = log_of(tmp_path / "run")
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5]
    noted = [complaint for line in lines for complaint in line.get("skipped", [])]
    assert len(noted) == positions
    assert all(CUT in complaint for complaint in noted)


def test_by_default_a_corrupt_image_stops_and_the_run_goes_on_skipping_it(
    corrupt: Path, tiny_config: Config, tmp_path: Path
) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    with pytest.raises(InputError, match=rf"{CUT}.*--data\.faulty skip"):
        train(on_json(tiny_config, corrupt, "stop"), out)
    assert [line["step"] for line in log_of(out)] == [1]
    train(on_json(tiny_config, corrupt, "skip", workers=1), out, resume=True)
    train(on_json(tiny_config, corrupt, "skip"), whole)
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_each_file_is_named_when_it_is_first_met(capfd: pytest.CaptureFixture[str]) -> None:
    def batch(*skipped: str) -> Batch:
        return Batch(images=torch.zeros(1, 3, 2, 2), sizes=((2, 2),), targets=(), names=("x",), skipped=skipped)

    notes: list[Mapping[str, object]] = []
    hook = SkippedImages(notes.append, Processes(0, 1))
    given = [batch(), batch("b.jpg [cut]", "a.jpg"), batch("a.jpg"), batch()]
    for index, one in enumerate(given, start=7):
        hook.before_step(index, one)
    hook.at_end()
    assert notes == [{"step": 8, "skipped": ["b.jpg [cut]", "a.jpg"]}, {"step": 9, "skipped": ["a.jpg"]}]
    lines = capfd.readouterr().err.splitlines()
    assert lines[:2] == ["skipped: b.jpg [cut]", "skipped: a.jpg"]
    assert "skipped 2 faulty images: 3 times the next one" in lines[2]


def test_a_sound_data_set_is_not_spoken_of(capfd: pytest.CaptureFixture[str]) -> None:
    SkippedImages(lambda line: pytest.fail(f"noted {line}"), Processes(0, 1)).at_end()
    assert capfd.readouterr().err == ""
