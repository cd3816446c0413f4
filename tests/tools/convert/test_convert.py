"""`unipan convert` as a person uses it, and on to training, evaluation, prediction and score with no line of Python."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from cityscapes_files import write_download
from export_forms import content_of, export_instances, export_labelme, save_images
from PIL import Image

from unipan.cli import main
from unipan.data.coco import json_set
from unipan.data.scenes.dataset import SceneDataset
from unipan.errors import InputError
from unipan.tools.convert.report import next_step
from unipan.tools.convert.run import parts_of

TINY = """--model.no-pretrained --model.fpn-channels 16 --model.decoder-channels 16 16 --model.affinity-dim 8
--model.detector.proposals-before-nms 50 --model.detector.proposals 20 --model.detector.rpn-samples 32
--model.detector.roi-samples 16 --model.detector.box-channels 16 --model.detector.score-threshold 0
--model.detector.max-detections 8 --train.steps 3 --train.batch-size 2 --train.warmup-steps 1 --train.decay-steps 2
--train.workers 0 --train.save-every 2 --train.device cpu --inference.score-threshold 0 --inference.max-admitted 4"""


@pytest.fixture(scope="module")
def scenes() -> SceneDataset:
    return SceneDataset(difficulty="standard", size=(64, 64), seed=3, length=6)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]):
    """Run a command line; returns what it prints to stdout."""

    def run(*words: object) -> str:
        main([str(word) for word in words])
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Run a command line that must fail; returns its one sentence."""

    def run(*words: object) -> str:
        with pytest.raises(SystemExit, match="2"):
            main([str(word) for word in words])
        last = [line for line in capsys.readouterr().err.splitlines() if line.strip()][-1]
        assert last.startswith("unipan: ")
        return last

    return run


def hand_made_set(folder: Path) -> None:
    """Six images of a labelling tool: a sky and a ground in semantic PNGs, cats as polygons, written with PIL and json alone."""
    (folder / "images").mkdir(parents=True)
    (folder / "semantic").mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 7):
        horizon, x = int(rng.integers(20, 40)), int(rng.integers(4, 30))
        semantic = np.full((64, 72), 2, dtype=np.uint8)
        semantic[:horizon] = 1
        cats = [[[x, 30, x + 20, 30, x + 20, 50, x, 50]], [[x + 12, 40, x + 34, 40, x + 23, 60]]]
        image = np.where(semantic[..., None] == 1, [120, 170, 250], [90, 140, 60]) + rng.integers(-9, 9, (64, 72, 3))
        for polygons in cats:
            annotations.append(
                {"id": len(annotations), "image_id": number, "category_id": 7, "segmentation": polygons, "iscrowd": 0}
            )
        image[30:50, x : x + 20] = [200, 120, 30]
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{number}.png")
        Image.fromarray(semantic).save(folder / "semantic" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 72, "height": 64})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "cat"}]}
    (folder / "instances.json").write_text(json.dumps(content))
    (folder / "stuff.json").write_text('[{"id": 1, "name": "sky"}, {"id": 2, "name": "ground"}]')


def test_training_on_a_small_custom_data_set_needs_no_python(tmp_path: Path, printed) -> None:
    mine, out, run = tmp_path / "mine", tmp_path / "panoptic", tmp_path / "run"
    hand_made_set(mine)
    message = printed(
        *("convert", "instances", mine / "instances.json", "--images", mine / "images", "--semantic", mine / "semantic"),
        *("--stuff", mine / "stuff.json", "--val-share", 0.33, "--out", out),
    )
    assert "things before crowds before stuff" in message
    command = shlex.split(message[message.index("unipan train") :])
    assert command[1:3] == ["train", "finetune"], "the preset for one's own images"
    assert "next: unipan evaluate" in printed("train", "demo", *command[3:-2], *TINY.split(), "--out", run)
    evaluation = json.loads(printed("evaluate", run, "--json"))
    assert json.loads((run / "metrics.json").read_text()) == evaluation
    held_out = json.loads((out / "annotations" / "panoptic_val.json").read_text())["images"]
    assert len(held_out) == 2
    printed("predict", run, *(mine / "images" / image["file_name"] for image in held_out), "--out", tmp_path / "answers")
    score = json.loads(
        printed("score", out / "annotations" / "panoptic_val.json", tmp_path / "answers" / "panoptic.json", "--json")
    )
    assert score["num_images"] == 2
    evaluated, scored = (
        [(entry["name"], entry["matched"], entry["extra"], entry["missed"]) for entry in quality["per_class"]]
        for quality in (evaluation["answer"]["quality"], score["quality"])
    )
    assert evaluated == scored
    assert sum(entry[1] + entry[3] for entry in scored) == 2 * 4, "both images have a sky, a ground and two cats"


def test_both_splits_hold_the_truth_and_divide_the_images(scenes: SceneDataset, tmp_path: Path, printed) -> None:
    samples = [scenes[index] for index in range(6)]
    images = save_images(tmp_path / "images", samples)
    path = export_instances(tmp_path, samples, scenes.classes, rle=True)
    options = ["--images", images, "--semantic", tmp_path / "semantic", "--stuff", tmp_path / "stuff.json", "--val-share", 0.3]
    message = printed("convert", "instances", path, *options, "--out", tmp_path / "out")
    assert "Overlapping" not in message
    found = {split: contents(tmp_path / "out", split, images) for split in ("train", "val")}
    assert {split: len(names) for split, names in found.items()} == {"train": 4, "val": 2}
    assert found["train"] | found["val"] == {sample.file_name: content_of(sample.truth) for sample in samples}
    printed("convert", "instances", path, *options, "--out", tmp_path / "again")
    printed("convert", "instances", path, *options, "--seed", 2, "--out", tmp_path / "other")
    assert contents(tmp_path / "again", "val", images) == found["val"]
    assert contents(tmp_path / "other", "val", images) != found["val"]


def contents(out: Path, split: str, images: Path) -> dict[str, set]:
    dataset = json_set(out / "annotations" / f"panoptic_{split}.json", images, None, merge="none")
    return {sample.file_name: content_of(sample.truth) for sample in (dataset[index] for index in range(len(dataset)))}


def test_splits_in_calls_of_their_own(scenes: SceneDataset, tmp_path: Path, printed, refused) -> None:
    samples = {"train": [scenes[0], scenes[1]], "val": [scenes[2]]}
    for split, some in samples.items():
        save_images(tmp_path / split / "images", some)
        export_labelme(tmp_path / split / "labelme", some)
    (tmp_path / "classes.json").write_text(json.dumps(scenes.classes.to_categories()))
    out = tmp_path / "out"

    def words(split: str) -> list[object]:
        return ["convert", "labelme", tmp_path / split / "labelme", "--images", tmp_path / split / "images", "--split", split]

    classes = ["--classes", tmp_path / "classes.json"]
    assert "convert val too, with --split and the same --out" in printed(*words("train"), *classes, "--out", out)
    assert "panoptic_train.json is there already" in refused(*words("train"), *classes, "--out", out)
    thing = next(s.name for s in samples["val"][0].truth.segments if s.is_thing)
    assert "was written with other classes" in refused(*words("val"), "--things", thing, "--out", out)
    message = printed(*words("val"), *classes, "--out", out)
    assert f"--data.images IMAGES_OF_TRAIN --data.val-images {tmp_path / 'val/images'}" in message
    assert contents(out, "val", tmp_path / "val/images") == {samples["val"][0].file_name: content_of(samples["val"][0].truth)}


def test_nothing_that_looks_finished_is_left_of_a_failure(scenes: SceneDataset, tmp_path: Path, refused) -> None:
    """The failure comes in the held-out split, when the other is written."""
    samples = [scenes[index] for index in range(4)]
    images = save_images(tmp_path / "images", samples)
    path = export_instances(tmp_path, samples, scenes.classes, rle=True)
    words = ["convert", "instances", path, "--images", images, "--semantic", tmp_path / "semantic", "--val-share", 0.25]
    words += ["--stuff", tmp_path / "stuff.json", "--out", tmp_path / "out"]
    names = [sample.file_name for sample in samples]
    _, held_out = parts_of(Named(names), split="train", val_share=0.25, seed=0)  # type: ignore[arg-type]
    (images / names[held_out.indices[0]]).unlink()
    assert "there is no image" in refused(*words)
    assert not list((tmp_path / "out" / "annotations").iterdir())
    assert not list((tmp_path / "out").rglob("*.json*"))


class Named:
    """A source of so many images."""

    overlap_rule, images_dir = "", Path("images of mine")

    def __init__(self, names: list[str]) -> None:
        self.file_names = names


def test_who_is_held_out_hardly_changes_when_images_are_added() -> None:
    def held_out(count: int) -> set[str]:
        some = [f"{n}.jpg" for n in range(count)]
        train, val = parts_of(Named(some), split="train", val_share=0.2, seed=4)  # type: ignore[arg-type]
        assert sorted([*train.indices, *val.indices]) == list(range(count))
        assert len(val.indices) == round(0.2 * count)
        return {some[index] for index in val.indices}

    assert len(held_out(100) & held_out(105)) >= 17


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (5, {"val_share": 1.0}, "--val-share is 1"),
        (1, {"val_share": 0.5}, "one image only"),
        (5, {"val_share": 0.5, "split": "val"}, "--split val can't hold"),
        (5, {"split": "../up"}, "--split '../up'"),
    ],
)
def test_wrong_divisions(count: int, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parts_of(Named(["a"] * count), **{"split": "train", "val_share": 0.0, "seed": 0} | options)  # type: ignore[arg-type]


def test_the_command_that_comes_next_can_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    for split in ("train", "val"):
        (tmp_path / "annotations" / f"panoptic_{split}.json").touch()
    parts = parts_of(Named(["a", "b"]), split="train", val_share=0.5, seed=0)  # type: ignore[arg-type]
    look, train = next_step(parts, tmp_path).splitlines()
    assert shlex.split(look) == ["Next:", "unipan", "doctor", str(tmp_path), "--images", "images of mine"]
    assert shlex.split(train)[-4:] == ["--data.images", "images of mine", "--out", "runs/mine"]


def test_what_may_be_train_ids_of_cityscapes_is_said(tmp_path: Path, printed) -> None:
    root = write_download(tmp_path / "root")
    assert "train ids" not in printed("convert", "cityscapes", root, "--out", tmp_path / "label-ids")
    for path in root.rglob("*_instanceIds.png"):
        Image.fromarray(np.full_like(np.array(Image.open(path)), 13)).save(path)  # a car, or a fence?
    assert "val: The labels of 2 frames that were looked at may be train ids" in printed(
        "convert", "cityscapes", root, "--out", tmp_path / "train-ids"
    )


def test_the_sample_of_cityscapes(sample_data: Path, tmp_path: Path, printed) -> None:
    root = sample_data / "cityscapes-sample"
    assert "convert train too" in printed("convert", "cityscapes", root, "--out", tmp_path)
    written = json.loads((tmp_path / "annotations" / "panoptic_val.json").read_text())
    assert [image["id"] for image in written["images"]] == ["frankfurt_000000_000294"]
    dataset = json_set(tmp_path / "annotations" / "panoptic_val.json", root / "leftImg8bit", None, merge="none")
    values = torch.from_numpy(np.array(Image.open(next(root.glob("gtFine/*/*/*_instanceIds.png")))).astype(np.int32))
    ids = dataset[0].truth.ids
    assert torch.equal(ids[ids > 0], values[ids > 0])


def test_an_unknown_form_names_the_nearest(refused) -> None:
    assert "did you mean labelme?" in refused("convert", "labelmee", ".", "--out", "x")
