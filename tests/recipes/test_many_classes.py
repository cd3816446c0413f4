"""More classes than a byte can count: LVIS has 1,203. The whole road, from files to a score."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from unipan.classes import VOID, ClassInfo, ClassTable
from unipan.cli.app import main
from unipan.config import Config
from unipan.data.coco_writer import Entry, write_entry
from unipan.files import write_json
from unipan.losses.semantic import semantic_terms
from unipan.ops.segments import Label, panoptic_map
from unipan.predictor import load
from unipan.recipes.evaluate import evaluate
from unipan.recipes.score import score
from unipan.recipes.train import train
from unipan.types import Target

NUM_CLASSES = 1203
SIDE = 64
PAIRS = [(256, 1201), (1202, 511), (700, 257)]
"""Stuff and thing of each image."""


def table() -> ClassTable:
    return ClassTable(
        tuple(
            ClassInfo(name=f"class {i}", is_thing=i % 2 == 1, dataset_id=i + 1, color=(i % 256, i // 256, 9), supercategory="")
            for i in range(NUM_CLASSES)
        )
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images of stuff classes above 255, each with a thing of a class above 255."""
    folder, classes = tmp_path_factory.mktemp("many"), table()
    (folder / "images").mkdir()
    images, annotations = [], []
    for number, (stuff, thing) in enumerate(PAIRS):
        ids = torch.full((SIDE, SIDE), 1, dtype=torch.int32)
        ids[16:48, 16:48] = 2
        truth = panoptic_map(ids, [Label(1, stuff), Label(2, thing)], classes)
        name = f"{number}.png"
        Image.new("RGB", (SIDE, SIDE), (40 * number, 90, 200)).save(folder / "images" / name)
        image, annotation = write_entry(folder / "panoptic", Entry(number, name, truth), classes, scores=False)
        images.append(image)
        annotations.append(annotation)
    content = {"images": images, "annotations": annotations, "categories": classes.to_categories()}
    write_json(folder / "panoptic.json", content)
    return folder


def test_from_files_to_a_score(root: Path, tiny_config: Config, tmp_path: Path) -> None:
    truth, run = str(root / "panoptic.json"), tmp_path / "run"
    data = replace(tiny_config.data, source="coco", train=truth, val=truth, images=str(root / "images"))
    train(replace(tiny_config, data=data, train=replace(tiny_config.train, steps=2, decay_steps=())), run)
    assert len(load(run).classes) == NUM_CLASSES
    result = evaluate(str(run))
    seen = {label for pair in PAIRS for label in pair}
    assert {index for index, quality in enumerate(result.answer.quality.per_class) if quality.matched + quality.missed} == seen


def test_a_truth_scores_full_marks_against_itself(root: Path) -> None:
    assert score(root / "panoptic.json", root / "panoptic.json").quality.all.pq == 1.0


def test_the_doctor_finds_nothing_wrong_with_their_number(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", str(root / "panoptic.json"), "--images", str(root / "images")])
    assert "categories are none" not in capsys.readouterr().out
    assert stopped.value.code == 0


def test_each_class_is_learnt_as_itself() -> None:
    """Class 1202 is not 178, which it would be in a byte: the gradient is that of a cross-entropy over all classes."""
    semantic = torch.full((8, 8), 1202, dtype=torch.int16)
    semantic[:, :4] = VOID
    nothing = torch.zeros(0, dtype=torch.int64)
    target = Target(
        boxes=torch.zeros(0, 4), labels=nothing, instances=torch.full((8, 8), -1, dtype=torch.int32), semantic=semantic
    )
    logits = torch.zeros(NUM_CLASSES, 2, 2, requires_grad=True)
    term = semantic_terms([logits], [target], cross_entropy=True, lovasz=False, group=1)["semantic"]
    assert float(term.count) == 32
    term.mean.backward()
    assert logits.grad is not None
    wanted = torch.full((NUM_CLASSES,), 1 / NUM_CLASSES)
    wanted[1202] -= 1
    torch.testing.assert_close(logits.grad.sum((1, 2)), wanted)
