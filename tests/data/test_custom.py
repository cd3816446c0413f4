"""Data of one's own: JSONs anywhere, their images and PNGs; what does not fit together is said before training starts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from unipan.class_colors import default_color
from unipan.classes import ClassTable
from unipan.config import DataConfig
from unipan.data.build import remarks, training_dataset, validation_dataset
from unipan.data.id_maps import write_id_map
from unipan.errors import InputError

CATEGORIES = [
    {"id": 40, "name": "sheep", "isthing": 1, "color": [1, 2, 3]},
    {"id": 7, "name": "meadow", "isthing": 0},
]
IDS = torch.tensor([[1, 1, 2, 2], [0, 2, 2, 2]])


def write_set(
    folder: Path, name: str, shades: list[int], categories: list[dict[str, Any]] = CATEGORIES, masks: Path | None = None
) -> Path:
    """A JSON, its PNGs, and in FOLDER/images an image of each shade of red."""
    masks = masks or folder / name
    for made in (masks, folder / "images"):
        made.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for shade in shades:
        Image.new("RGB", (4, 2), (shade, 0, 0)).save(folder / "images" / f"{shade}.png")
        write_id_map(masks / f"{shade}.png", IDS)
        images.append({"id": f"red {shade}", "file_name": f"{shade}.png"})
        segments = [{"id": 1, "category_id": 40}, {"id": 2, "category_id": 7}]
        annotations.append({"image_id": f"red {shade}", "file_name": f"{shade}.png", "segments_info": segments})
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations[::-1], "categories": categories}))
    return path


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    train, val = write_set(tmp_path, "train", [1, 2, 3]), write_set(tmp_path, "val", [4])
    return DataConfig(train=str(train), val=str(val), images=str(tmp_path / "images"))


def shades(dataset: Any) -> list[int]:
    return [int(sample.image[0, 0, 0]) for sample in dataset]


def test_three_settings_make_a_data_set(config: DataConfig) -> None:
    assert config.source == "scenes"  # a preset's own source does not matter
    train, val = training_dataset(config, seed=0), validation_dataset(config)
    assert (shades(train), shades(val)) == ([1, 2, 3], [4])
    assert train.classes == val.classes
    sheep, meadow = train.classes.classes
    assert (sheep.name, sheep.is_thing, sheep.dataset_id, sheep.color) == ("sheep", True, 40, (1, 2, 3))
    assert (meadow.name, meadow.is_thing, meadow.color, meadow.supercategory) == ("meadow", False, default_color(1), "meadow")
    assert [(s.name, s.area) for s in train[0].truth.segments] == [("sheep", 2), ("meadow", 5)]
    assert train[0].image_id == "red 1"
    assert not remarks(train)


def test_other_folders_and_a_root(tmp_path: Path) -> None:
    write_set(tmp_path, "t", [1], masks=tmp_path / "masks" / "t")
    write_set(tmp_path / "apart", "v", [2], masks=tmp_path / "masks" / "v")
    config = DataConfig(
        root=str(tmp_path),
        train="t.json",
        val="apart/v.json",
        images="images",
        val_images="apart/images",
        train_masks="masks/t",
        val_masks="masks/v",
    )
    assert (shades(training_dataset(config, seed=0)), shades(validation_dataset(config))) == ([1], [2])
    with pytest.raises(InputError, match=r"t\.json has no folder t beside it .*--data\.train-masks"):
        training_dataset(replace(config, train_masks=""), seed=0)


def test_paths_start_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path, "t", [9])
    monkeypatch.chdir(tmp_path)
    assert shades(training_dataset(DataConfig(train="t.json", val="t.json", images="images"), seed=0)) == [9]


def test_a_byte_order_mark_is_no_fault(config: DataConfig) -> None:
    """Some editors on Windows begin every file with one."""
    path = Path(config.val)
    plain = validation_dataset(config)[0].truth.segments
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert validation_dataset(config)[0].truth.segments == plain


def test_super_categories_merge(tmp_path: Path) -> None:
    grown = [entry | {"supercategory": "farm"} for entry in CATEGORIES]
    path = str(write_set(tmp_path, "t", [1], grown))
    config = DataConfig(train=path, val=path, images=str(tmp_path / "images"), merge="supercategory")
    assert [info.name for info in training_dataset(config, seed=0).classes.classes] == ["farm (things)", "farm (stuff)"]


def test_images_in_subfolders_are_found_by_name(config: DataConfig) -> None:
    images = Path(config.images)
    (images / "day" / "early").mkdir(parents=True)
    (images / "1.png").rename(images / "day" / "1.png")
    (images / "3.png").rename(images / "day" / "early" / "3.png")
    dataset = training_dataset(config, seed=0)
    assert shades(dataset) == [1, 2, 3]
    assert dataset[2].file_name == "day/early/3.png"
    Image.new("RGB", (4, 2)).save(images / "day" / "3.png")
    with pytest.raises(InputError, match=r"3\.png could be day/3\.png, day/early/3\.png, all below .*images"):
        training_dataset(config, seed=0)


def test_a_missing_image_is_named_when_read_and_a_wrong_folder_at_once(config: DataConfig, tmp_path: Path) -> None:
    (Path(config.images) / "2.png").unlink()
    dataset = training_dataset(config, seed=0)
    assert dataset[0].image_id == "red 1"
    with pytest.raises(InputError, match=r"no image file .*images/2\.png"):
        dataset[1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"none of the 3 images that .*train\.json names is in .*first 1\.png"):
        training_dataset(replace(config, images=str(tmp_path / "empty")), seed=0)


def changed(path: str, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(Path(path).read_text())
    change(content)
    Path(path).write_text(json.dumps(content))


def test_images_without_an_annotation_are_counted_in_a_line(config: DataConfig) -> None:
    changed(config.train, lambda content: content["images"].append({"id": "bare", "file_name": "bare.png"}))
    dataset = training_dataset(config, seed=0)
    assert len(dataset) == 3
    assert remarks(dataset) == [f"{config.train}: 1 image without an annotation left out; 3 remain."]
    changed(config.train, lambda content: content["images"].append({"id": "too", "file_name": "too.png"}))
    assert remarks(training_dataset(config, seed=0)) == [f"{config.train}: 2 images without an annotation left out; 3 remain."]


OTHER_CLASSES: list[tuple[Callable[[list[dict[str, Any]]], object], str]] = [
    (lambda entries: entries[1].update(name="grass"), r"class 2 is meadow \(stuff\) in the one, grass \(stuff\) in the other"),
    (lambda entries: entries[0].update(isthing=0), r"class 1 is sheep \(thing\) in the one, sheep \(stuff\) in the other"),
    (lambda entries: entries.reverse(), r"class 1 is sheep \(thing\) in the one, meadow \(stuff\) in the other"),
    (lambda entries: entries.append({"id": 1, "name": "sky", "isthing": 0}), "there are 2 classes in the one, 3 in the other"),
]


@pytest.mark.parametrize(("change", "complaint"), OTHER_CLASSES)
def test_held_out_images_have_the_same_classes(
    config: DataConfig, change: Callable[[list[dict[str, Any]]], object], complaint: str
) -> None:
    changed(config.val, lambda content: change(content["categories"]))
    with pytest.raises(InputError, match=rf"train\.json and .*val\.json differ in their categories: {complaint}"):
        training_dataset(config, seed=0)


def test_ids_and_colors_may_differ() -> None:
    others = ClassTable.from_categories([{"id": 1, "name": "sheep", "isthing": 1}, {"id": 2, "name": "meadow", "isthing": 0}])
    assert ClassTable.from_categories(CATEGORIES).difference(others) == ""


@pytest.mark.parametrize("missing", ["train", "val"])
def test_a_missing_json_is_named_before_training(config: DataConfig, missing: str) -> None:
    Path(getattr(config, missing)).unlink()
    with pytest.raises(InputError, match=rf"there is no file .*{missing}\.json"):
        training_dataset(config, seed=0)


SETTINGS = [
    ({"train": "a.json"}, r"data\.train is given without data\.val and data\.images"),
    (
        {"val": "a.json", "images": "b"},
        r"data\.val is given without data\.train; .* takes --data\.train JSON .*, in Python data=",
    ),
    ({"val_masks": "m"}, r"data\.val_masks is given without data\.train and data\.val and data\.images"),
    (
        {"root": "r"},
        r"data\.root is r, but data\.source is scenes, which reads no files; set --data\.source coco, cityscapes or shards",
    ),
    ({"root": "r", "train": "a", "val": "/b", "images": "c"}, r"data\.root is r, but data\.val \(/b\) is absolute"),
]


@pytest.mark.parametrize(("settings", "complaint"), SETTINGS)
def test_settings_that_do_not_go_together(settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        DataConfig(**settings)  # type: ignore[arg-type]
