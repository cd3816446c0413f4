"""The contact sheet shows what training gets, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from doctor_cases import write_clean
from PIL import Image

from unipan.classes import VOID
from unipan.cli import main
from unipan.config import Config
from unipan.data.build import step_batches, training_dataset
from unipan.data.loader import training_batches
from unipan.errors import InputError
from unipan.presets import PRESETS
from unipan.recipes import inspection
from unipan.recipes.inspection import inspect_samples
from unipan.types import Target
from unipan.viz.samples import draw_target, seen_by_training

Drawn = list[tuple[torch.Tensor, Target]]


@pytest.fixture
def small() -> Config:
    demo = PRESETS["scenes"]()
    return replace(demo, data=replace(demo.data, scene_size=(64, 96), jitter=0.3, scale_range=(0.6, 1.5), crop=(48, 64)))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """What was handed to the drawing, sample by sample."""
    seen: Drawn = []

    def recorded(image, target, classes, **options):
        seen.append((image, target))
        return draw_target(image, target, classes, **options)

    monkeypatch.setattr(inspection, "draw_target", recorded)
    return seen


def test_samples_are_those_of_the_loader(small: Config, drawn: Drawn, tmp_path: Path) -> None:
    inspect_samples(small, tmp_path / "new" / "sheet.png", samples=5)
    batches = training_batches(step_batches(small, training_dataset(small.data, small.train.seed)), range(5), 0)
    loaded = [
        (batch.images[position, :, :height, :width], target)
        for batch in batches
        for position, ((height, width), target) in enumerate(zip(batch.sizes, batch.targets, strict=True))
    ]
    assert len(drawn) == 5
    for (image, target), (its_image, its_target) in zip(drawn, loaded, strict=False):
        assert torch.equal(image, its_image)
        assert torch.equal(target.boxes, its_target.boxes)
        assert torch.equal(target.semantic, its_target.semantic)
        assert torch.equal(target.instances, its_target.instances)


def test_the_sheet_holds_each_sample_twice(small: Config, tmp_path: Path) -> None:
    """Side by side: the plain drawing, and the same one drawn on."""
    plain = replace(small, data=replace(small.data, scene_size=(240, 480), scale_range=(1.0, 1.0), crop=(0, 0)))
    inspect_samples(plain, tmp_path / "sheet.png", samples=3)
    sheet = np.array(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 12 + 4 * (480 + 12)
    assert sheet.shape[0] > 2 * 240
    left, right = sheet[-252:-12, 12:492].astype(int), sheet[-252:-12, 504:984].astype(int)
    assert left.std() > 5
    assert (left != right).any(-1).mean() > 0.5
    assert (sheet[-252:-12, 996:] == 255).all(), "there is no fourth sample"


def test_another_seed_gives_other_samples(small: Config, drawn: Drawn, tmp_path: Path) -> None:
    for seed in (0, 0, 1):
        inspect_samples(replace(small, train=replace(small.train, seed=seed)), tmp_path / "sheet.png", samples=1)
    first, again, other = (image for image, _ in drawn)
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


def test_a_target_as_segments() -> None:
    """Two cats, one in two parts; a crowd of cats; sky; void: each pixel keeps its meaning."""
    classes = training_dataset(PRESETS["scenes"]().data, 0).classes
    cat, sky = classes.things[0], classes.stuff[0]
    instances = torch.tensor([[0, 0, -1, 1, 1], [-1, -1, -1, -1, 0]], dtype=torch.int32)
    semantic = torch.tensor([[cat, cat, sky, cat, cat], [sky, VOID, cat, cat, cat]], dtype=torch.int16)
    boxes = torch.tensor([[0.0, 0, 5, 2], [3, 0, 5, 1]])
    target = Target(boxes=boxes, labels=torch.tensor([cat, cat]), instances=instances, semantic=semantic, seed=0)
    panoptic = seen_by_training(target, classes)
    by_id = {segment.id: segment for segment in panoptic.segments}
    kinds = [[(by_id[i].class_index, by_id[i].is_crowd) if i else None for i in row] for row in panoptic.ids.tolist()]
    assert kinds == [
        [(cat, False), (cat, False), (sky, False), (cat, False), (cat, False)],
        [(sky, False), None, (cat, True), (cat, True), (cat, False)],
    ]
    assert torch.equal((panoptic.ids == 1), instances == 0)
    assert torch.equal((panoptic.ids == 2), instances == 1)


def test_a_wrong_box_shows_as_it_is() -> None:
    """Boxes are drawn from the target, not from the masks."""
    classes = training_dataset(PRESETS["scenes"]().data, 0).classes
    instances = torch.full((200, 400), -1, dtype=torch.int32)
    instances[90:110, 190:210] = 0
    semantic = torch.full((200, 400), classes.stuff[0], dtype=torch.int16)
    semantic[instances == 0] = classes.things[0]
    drawings = []
    for box in ([190.0, 90, 210, 110], [20.0, 30, 380, 170]):
        target = Target(
            boxes=torch.tensor([box]), labels=torch.tensor([classes.things[0]]), instances=instances, semantic=semantic, seed=0
        )
        drawings.append(np.array(draw_target(torch.zeros(3, 200, 400, dtype=torch.uint8), target, classes, scale=1)).astype(int))
    differs = (drawings[0] != drawings[1]).any(-1)
    assert differs[30, 150:379].all()
    assert differs[31:169, 379].all()
    assert not differs[60:80, 250:350].any()


@pytest.mark.parametrize(("side", "room"), [(10, False), (160, True)])
def test_names_do_not_hide_what_is_to_be_checked(side: int, room: bool) -> None:
    """A small thing is not covered by its name; a large one has room for it, unless no names are wanted."""
    classes = training_dataset(PRESETS["scenes"]().data, 0).classes
    instances = torch.full((300, 300), -1, dtype=torch.int32)
    instances[100 : 100 + side, 100 : 100 + side] = 0
    target = Target(
        boxes=torch.tensor([[100.0, 100, 100 + side, 100 + side]]),
        labels=torch.tensor([classes.things[0]]),
        instances=instances,
        semantic=torch.where(instances == 0, classes.things[0], VOID).to(torch.int16),
        seed=0,
    )
    image = torch.zeros(3, 300, 300, dtype=torch.uint8)
    with_name, without = (np.array(draw_target(image, target, classes, scale=1, names=names)) for names in (True, False))
    assert (with_name != without).any() == room


def refusal(run: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_verb_takes_the_options_of_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = write_clean(tmp_path / "data"), tmp_path / "sheet.jpg"
    data = ["--data.root", str(root), "--data.train-split", "train", "--data.val-split", "val", "--data.merge", "none"]
    main(["inspect", "coco_small", *data, "--data.short-side", "64", "--samples", "2", "--out", str(out)])
    assert "2 samples with" in capsys.readouterr().out
    assert Image.open(out).format == "JPEG"
    assert "did you mean coco_small" in refusal(lambda: main(["inspect", "coco_smal"]), capsys)
    assert "name it .png" in refusal(lambda: main(["inspect", "demo", "--out", str(tmp_path / "x")]), capsys)


def test_no_samples_are_refused(small: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--samples is 0"):
        inspect_samples(small, tmp_path / "sheet.png", samples=0)
